"""The live picture of the stages, on real Kafka and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiokafka
import pytest
from aiokafka import TopicPartition

from schemas.topics import NORMALIZED
from streams.io import outcomes
from tests.conftest import Broker, Database
from tests.stack import until
from tests.system.api_harness import Api, running_api
from tests.system.live_harness import new_home

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application, with groups that have acknowledged nothing yet."""
    async with running_api(tmp_path, broker.bootstrap, database, group_prefix=f"cs{uuid4().hex[:8]}") as running:
        yield running


async def stage(api: Api, name: str) -> dict[str, Any]:
    """One stage of the picture."""
    answer = await api.client.get("/api/pipeline")
    assert answer.status_code == 200, answer.text
    [found] = [each for each in answer.json()["stages"] if each["name"] == name]
    return dict(found)


async def acknowledge(api: Api, count: int) -> int:
    """Let dedup's group acknowledge `count` records of a partition; how many it left there."""
    part = TopicPartition(NORMALIZED.name, 0)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=api.settings.kafka, group_id=f"{api.settings.group_prefix}-dedup", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([part])
        begin, end = (await consumer.beginning_offsets([part]))[part], (await consumer.end_offsets([part]))[part]
        await consumer.commit({part: begin + count})
        return int(end - begin - count)
    finally:
        await consumer.stop()


async def test_what_waits_is_what_the_group_has_not_acknowledged(api: Api) -> None:
    for number in range(8):
        await api.ports.bus.send(NORMALIZED.name, b"%d" % number, b"{}", [])
    before = await stage(api, "dedup")
    assert before["waiting"] >= 8
    assert before["per_second"] == 0.0
    part = TopicPartition(NORMALIZED.name, 0)
    producer = await api.ports.bus._sender.connected()
    for _ in range(4):
        await (await producer.send(NORMALIZED.name, b"{}", partition=part.partition))
    await acknowledge(api, 0)

    async def seen(waiting: int) -> bool | None:
        return (await stage(api, "dedup"))["waiting"] == waiting or None

    await until(lambda: seen(before["waiting"] + 4), 60, "the four")
    await acknowledge(api, 3)
    await until(lambda: seen(before["waiting"] + 1), 60, "three of them done")

    async def has_rate() -> bool | None:
        return (await stage(api, "dedup"))["per_second"] > 0 or None

    await until(has_rate, 60, "a rate")
    answer = (await api.client.get("/api/pipeline")).json()
    assert [each["name"] for each in answer["stages"]] == ["pull", "normalize", "dedup", "transcribe", "persist"]
    assert answer["oldest_waiting_seconds"] >= 0


async def test_failed_imports_are_those_of_the_workspace_and_still_open(api: Api, database: Database) -> None:
    await api.add_failed("a", stage="normalize")
    await api.add_failed("b", stage="normalize")
    await api.add_failed("c", stage="persist")
    await api.add_failed("d", stage="persist", status="resolved")
    other = await new_home(database.app_url)
    await database.pipeline_pool.execute(
        "UPDATE failed_imports SET workspace_id = $1 WHERE external_id = 'b'", other.workspace_id
    )
    answer = (await api.client.get("/api/pipeline")).json()
    assert {each["name"]: each["failed"] for each in answer["stages"] if each["failed"]} == {
        "normalize": 1,
        "persist": 1,
    }
    assert answer["failed_open"] == 2


async def test_a_stage_says_who_works_there(api: Api, database: Database) -> None:
    assert (await stage(api, "dedup"))["workers"] == 0
    await outcomes.beat(database.pipeline_pool, "dedup-1", "dedup", ready=True, detail="")
    await outcomes.beat(database.pipeline_pool, "dedup-2", "dedup", ready=False, detail="the table")
    found = await stage(api, "dedup")
    assert (found["workers"], found["healthy"], found["detail"]) == (2, True, "A worker waits: the table.")


async def test_members_do_not_see_it(api: Api, database: Database) -> None:
    member = await new_home(database.app_url, role="member")
    answer = await api.anonymous.get("/api/pipeline", headers={"Authorization": f"Bearer {member.key}"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_allowed")


async def test_many_who_ask_share_one_sampler_and_a_broker_that_is_away_is_said(
    tmp_path: Path, broker: Broker, database: Database, api: Api
) -> None:
    answers = await asyncio.gather(*(api.client.get("/api/pipeline") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(api.ports.sampler.samples) <= 3
    async with running_api(tmp_path / "lost", "127.0.0.1:1", database) as lost:
        answer = await lost.client.get("/api/pipeline")
        assert (answer.status_code, answer.json()["reason"]) == (503, "broker_away")
