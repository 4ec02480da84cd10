"""Workers join, leave and are killed while a backlog is worked off: every event has one outcome, every call one row.

A backlog is the point: without one Faust's weaknesses with tables and rebalances do not show (faust.md §2).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import COMPLETED, DEAD, SKIPPED
from tests.chaos.feed import Feed
from tests.chaos.outcomes import Outcomes
from tests.chaos.storm import kept_up
from tests.servers import addresses_of, own_servers
from tests.stack import Stack, counted, start_stack, until

pytestmark = [pytest.mark.system, pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(600)]

ROLES = {"pipeline": 2, "dedup": 1, "audit": 1, "transcribe": 1}
"""Two that normalize against one that deduplicates, so that the backlog lies before the role with the table: there,
with Faust's own order of recovery, this test fails."""
BACKLOG = 3000
"""Events that wait at any time while workers come and go."""
BETWEEN = 150
"""Outcomes to wait for between two changes: work goes on, so nothing stands still."""
HANG = 240.0


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Stack]:
    """callstream with small windows, so that a backlog lasts, on servers of its own: their topics hold its events
    alone."""
    with own_servers("crowd") as local:
        stack = start_stack(
            tmp_path / "stack", local.kafka.bootstrap, roles=ROLES, servers=addresses_of(local),
            env={"CALLSTREAM_WINDOW": "4"},
        )  # fmt: skip
        try:
            yield stack
        finally:
            stack.stop()


async def test_no_event_is_lost_and_no_call_stored_twice_while_workers_come_and_go(crowd: Stack) -> None:
    feed, outcomes, enough = Feed(crowd), Outcomes(), asyncio.Event()

    async def keep_a_backlog() -> None:
        while not enough.is_set():
            if feed.total - len(outcomes.seen) < BACKLOG:
                await feed.publish(500)
            await asyncio.sleep(0.1)

    async def progress() -> None:
        goal = len(outcomes.seen) + BETWEEN
        await until(lambda: _truth(len(outcomes.seen) >= goal), HANG, f"{BETWEEN} more outcomes\n{crowd.logs()}")

    more: dict[str, Any] = {}

    alive = Counter(ROLES)

    async def joins(role: str, name: str) -> None:
        more[name] = await asyncio.to_thread(crowd.add, role, name)
        alive[role] += 1

        async def joined() -> bool:
            return await members(crowd, role) >= alive[role]

        await until(joined, HANG, f"{name} in its group\n{crowd.logs()}")

    async def leaves(role: str, name: str) -> None:
        await asyncio.to_thread(crowd.stop_worker, more.pop(name))
        alive[role] -= 1

    async def is_killed(role: str, name: str = "") -> None:
        (more[name] if name else crowd.supervisor).kill(role)

    changes: list[tuple[Callable[..., Awaitable[None]], tuple[str, ...]]] = [
        (joins, ("dedup", "dedup-b")),
        (joins, ("pipeline", "pipeline-b")),
        (is_killed, ("dedup",)),
        (leaves, ("dedup", "dedup-b")),
        (is_killed, ("pipeline",)),
        (joins, ("dedup", "dedup-c")),
        (leaves, ("pipeline", "pipeline-b")),
        (is_killed, ("dedup", "dedup-c")),
    ]

    async with kept_up(outcomes.read(crowd.settings.kafka or "")):
        async with kept_up(keep_a_backlog(), enough):
            for change, arguments in changes:
                await progress()
                await change(*arguments)
            await progress()
        await until(
            lambda: _truth(len(outcomes.seen) >= feed.total), HANG,
            f"an outcome of each event\n{crowd.logs()}",
        )  # fmt: skip
    await feed.close()

    assert set(outcomes.seen) == feed.poison.union(*feed.events.values())
    assert {event for event, topics in outcomes.seen.items() if DEAD.name in topics} == feed.poison
    owners = {row["external_id"]: str(row["event_id"]) for row in await crowd.fetch("SELECT * FROM recordings")}
    assert set(owners) == set(feed.calls)
    assert await crowd.value("SELECT count(*) FROM recordings") == len(feed.calls)
    wrong = {
        external_id: {event: outcomes.seen[event] for event in events}
        for external_id, events in feed.events.items()
        if any(outcomes.seen[e] != {COMPLETED.name if e == owners[external_id] else SKIPPED.name} for e in events)
    }
    assert wrong == {}
    assert counted(crowd, "import_calls_recovered_total") == 0
    starts = crowd.supervisor.starts()
    assert {role: starts[role] for role in ROLES} == {"pipeline": 4, "dedup": 2, "audit": 1, "transcribe": 1}
    assert more["dedup-c"].starts()["dedup"] == 2, "nobody ended but those that were killed"


async def members(stack: Stack, role: str) -> int:
    """How many workers are in the group of a role. One that was killed counts until its session ends."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.settings.kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([f"{stack.settings.group_prefix}-{role}"])
    finally:
        await admin.close()
    return len(answer.groups[0][5])


async def _truth(value: bool) -> bool:
    return value
