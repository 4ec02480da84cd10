"""The promise under fire: processes killed, servers stopped, workers coming and going, while calls flow.

A stack with servers of its own, because these tests stop them. After each test every event is accounted for.
"""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import aiokafka
import pytest

from ops.local import Local
from schemas.calls import RawCall
from schemas.topics import NORMALIZED
from streams.io import clock
from streams.io.bus import header
from tests.stack import Stack, account, counted, until
from tests.system.test_pipeline import generic

pytestmark = pytest.mark.system


def many(stack: Stack, count: int) -> tuple[list[RawCall], list[RawCall]]:
    """`count` raw calls: half of them duplicates, one in a hundred poison; shuffled."""
    run = uuid4().hex[:8]
    body = "We talked about the plan and agreed on the next step. " * 30
    good = []
    for number in range(count // 2):
        name = f"{run}-{number}"
        payload = generic(name, title=f"Call {number}", segments=None, full_transcript=body)
        good += [stack.raw(name, payload), stack.raw(name, payload)]
    poison = [stack.raw(f"{run}-poison-{n}", generic("p", title=n)) for n in range(count // 100)]
    random.shuffle(good)
    return good, poison


async def pour(stack: Stack, calls: list[RawCall], seconds: float) -> None:
    """Publish over a while, so that calls flow while things break."""
    slices = 20
    shuffled = random.sample(calls, len(calls))
    for number in range(slices):
        await stack.publish(*shuffled[number::slices])
        await asyncio.sleep(seconds / slices)


async def test_kill_9_of_every_role_at_random_moments(fire: Stack) -> None:
    good, poison = many(fire, 5000)
    pouring = asyncio.create_task(pour(fire, [*good, *poison], 15))
    for role in random.sample(["pipeline", "dedup", "transcribe", "audit", "pipeline", "dedup"], 6):
        await asyncio.sleep(random.uniform(1.0, 4.0))
        assert fire.kill(role)
    await pouring
    await account(fire, good, poison)


async def test_workers_join_and_one_is_killed(fire: Stack) -> None:
    good, poison = many(fire, 3000)
    pouring = asyncio.create_task(pour(fire, [*good, *poison], 12))
    more = [await asyncio.to_thread(fire.add, role, f"{role}-more") for role in ("pipeline", "dedup")]
    await asyncio.sleep(9)
    fire.kill("dedup")
    more[0].kill()
    await pouring
    await account(fire, good, poison)
    for worker in more:
        await asyncio.to_thread(fire.stop_worker, worker)


async def test_the_database_stops_and_starts(fire: Stack, servers: Local) -> None:
    good, poison = many(fire, 2000)
    pouring = asyncio.create_task(pour(fire, [*good, *poison], 8))
    await asyncio.sleep(2)
    await fire.close_pools()
    await asyncio.to_thread(servers.postgres.stop)
    await asyncio.sleep(4)
    await asyncio.to_thread(servers.postgres.start)
    await pouring
    await account(fire, good, poison)


async def test_the_broker_stops_and_starts(fire: Stack, servers: Local) -> None:
    good, poison = many(fire, 2000)
    half = len(good) // 2
    await fire.publish(*good[:half], *poison)
    await asyncio.sleep(1)
    await asyncio.to_thread(servers.kafka.stop)
    await asyncio.sleep(3)
    await asyncio.to_thread(servers.kafka.start)
    await fire.publish(*good[half:])
    await account(fire, good, poison)


async def test_redelivery_of_old_events_never_overwrites_newer_content(fire: Stack) -> None:
    name = f"old-{uuid4()}"
    start = clock.now()
    versions = [
        fire.raw(name, generic(name, title=f"Version {n}"), observed_at=start + timedelta(seconds=n)) for n in range(20)
    ]
    await fire.publish(versions[-1])
    await fire.wait_recording(name)
    await fire.publish(*random.sample(versions, len(versions)))
    await fire.publish(*versions[:10])
    await account(fire, versions, [])
    assert await fire.value("SELECT title FROM recordings WHERE external_id = $1", name) == "Version 19"


async def test_the_audit_brings_back_an_event_that_was_taken_out(fire: Stack) -> None:
    """Skip an event by force between normalize and dedup: commit dedup's group past it while dedup is away."""
    await asyncio.to_thread(fire.pause, "dedup")
    call = fire.raw(f"taken-{uuid4()}", generic("taken"))
    await fire.publish(call)
    group = f"{fire.settings.group_prefix}-dedup"
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=fire.settings.kafka, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    parts = [aiokafka.TopicPartition(NORMALIZED.name, p) for p in range(fire.settings.partitions)]
    consumer.assign(parts)

    async def normalized() -> aiokafka.TopicPartition | None:
        for tp in parts:
            end = (await consumer.end_offsets([tp]))[tp]
            if not end:
                continue
            consumer.seek(tp, end - 1)
            record = await consumer.getone(tp)
            if header(record.headers, "ce_id") == str(call.event_id):
                return tp
        return None

    tp = await until(normalized, 60, "the event on the normalized topic")
    await consumer.commit({tp: (await consumer.end_offsets([tp]))[tp]})
    await consumer.stop()
    await asyncio.to_thread(fire.resume, "dedup")
    await fire.wait_recording(call.external_id, timeout=180)
    fire.taken_out += 1
    assert counted(fire, "import_calls_recovered_total") == fire.taken_out
