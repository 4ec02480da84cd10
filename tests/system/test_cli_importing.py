"""Sending JSON Lines: stopped half-way, through outages, and without growing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.auth import Caller
from api.intake import Given, Sender
from api.ports import Ports, open_ports
from ops import importing, show
from ops.importing import BATCH_LINES, Progress, send
from schemas.faults import OutageFault
from schemas.settings import Settings
from streams.io.secrets import generate_key
from tests.conftest import Broker, Database

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

LINES = 4 * BATCH_LINES


@pytest.fixture
async def ports(broker: Broker, database: Database, tmp_path: Path) -> AsyncIterator[Ports]:
    settings = Settings(
        data_dir=tmp_path,
        kafka=broker.bootstrap,
        database_url=SecretStr(database.app_url),
        secret_keys=SecretStr(generate_key()),
    )
    async with open_ports(settings) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    with path.open("w") as lines:
        for number in range(LINES):
            call = {"external_id": f"c{number}", "title": "T", "recording_start_time": "2025-01-02T03:04:05Z"}
            lines.write(json.dumps({**call, "full_transcript": "hello"}) + "\n")
    return path


def sender(database: Database) -> Sender:
    return Sender(database.workspace_id, database.user_id)


async def statuses(database: Database) -> dict[str, int]:
    rows = await database.pipeline_pool.fetch("SELECT status, count(*) AS n FROM job_calls GROUP BY 1")
    return {row["status"]: row["n"] for row in rows}


async def the_job(database: Database) -> tuple[Any, ...]:
    (row,) = await database.pipeline_pool.fetch("SELECT total_calls, open_ended, last_error FROM import_jobs")
    return tuple(row)


class Flaky:
    """A bus that is away for its first calls, or for good."""

    def __init__(self, ports: Ports, monkeypatch: pytest.MonkeyPatch, faults: float) -> None:
        self.faults = faults
        self.published: list[str] = []
        self._publish = ports.bus.publish
        monkeypatch.setattr(ports.bus, "publish", self.publish)
        monkeypatch.setattr(importing, "PAUSE_SECONDS", 0.05)

    async def publish(self, topic: Any, event: Any, **carried: Any) -> None:
        if self.faults > 0:
            self.faults -= 1
            raise OutageFault("broker_away", "Kafka cannot be reached.")
        await self._publish(topic, event, **carried)
        self.published.append(event.external_id)


async def test_every_line_is_sent_once_through_an_outage(
    ports: Ports, database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Flaky(ports, monkeypatch, faults=700)
    said: list[str] = []
    sent = await send(ports, sender(database), [file], Given(), asyncio.Event(), Progress(say=said.append))
    assert (sent.calls, sent.duplicates, len(sent.jobs)) == (LINES, 0, 1)
    assert sorted(bus.published) == sorted(f"c{number}" for number in range(LINES))
    assert any("Waiting for it; nothing is lost" in sentence for sentence in said)
    assert await statuses(database) == {"pending": LINES}
    assert await the_job(database) == (LINES, False, None)


async def test_stopped_half_way_the_job_says_so_and_what_was_sent_goes_on(
    ports: Ports, database: Database, file: Path
) -> None:
    stop = asyncio.Event()
    sent = await send(ports, sender(database), [file], Given(), stop, Progress(sent=lambda count: stop.set()))
    assert 0 < sent.calls < LINES
    assert sent.calls % BATCH_LINES == 0
    assert await statuses(database) == {"pending": sent.calls}
    assert await the_job(database) == (sent.calls, False, importing.STOPPED)


async def test_stopped_while_the_broker_is_away_nothing_is_promised(
    ports: Ports, database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = asyncio.Event()
    bus = Flaky(ports, monkeypatch, faults=float("inf"))
    sent = await send(ports, sender(database), [file], Given(), stop, Progress(say=lambda sentence: stop.set()))
    assert (sent.calls, bus.published) == (0, [])
    found = await statuses(database)
    assert set(found) == {"refused"}
    caller = Caller(database.workspace_id, database.user_id, "owner", "test")
    summary = await show.look(ports, caller, sent)
    assert (summary.imported, summary.failed, summary.pending) == (0, found["refused"], 0)


async def test_what_is_in_flight_is_bounded(
    ports: Ports, database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "IN_FLIGHT", 600)
    open_now = most = 0
    publish = ports.bus.publish

    async def counted(*arguments: Any, **carried: Any) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await publish(*arguments, **carried)
        open_now -= 1

    monkeypatch.setattr(ports.bus, "publish", counted)
    sent = await send(ports, sender(database), [file], Given(), asyncio.Event())
    assert sent.calls == LINES
    assert 500 <= most <= 600
