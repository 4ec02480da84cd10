"""Workers join, leave and are killed while a backlog is worked off: every event has one outcome, every call one row.

A backlog is the point: without one Faust's weaknesses with tables and rebalances do not show (faust.md §2).
"""

import asyncio
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ops.local import Local, start_local
from schemas.calls import RawCall
from schemas.topics import COMPLETED, DEAD, SKIPPED
from streams.io.bus import header
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


@dataclass
class Feed:
    """Publishes calls, each followed by a duplicate or not, and remembers what must become of each event."""

    stack: Stack
    calls: list[str] = field(default_factory=list)
    """External ids; every one must be stored once."""
    events: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The event ids of each external id."""
    poison: set[str] = field(default_factory=set)
    """Event ids that must end as dead letters."""

    @property
    def total(self) -> int:
        return sum(map(len, self.events.values())) + len(self.poison)

    async def publish(self, count: int) -> None:
        """Publish about `count` events: half of them duplicates, one in a hundred poison."""
        batch: list[RawCall] = []
        for _ in range(count // 2):
            external_id = f"call-{len(self.calls)}"
            self.calls.append(external_id)
            batch += [self.stack.raw(external_id, _payload(external_id)) for _ in range(2)]
            for call in batch[-2:]:
                self.events[external_id].add(str(call.event_id))
            if len(self.calls) % 50 == 0:
                bad = self.stack.raw(f"bad-{len(self.calls)}", '{"title": "no content"}')
                self.poison.add(str(bad.event_id))
                batch.append(bad)
        await self.stack.publish(*batch)


def _payload(external_id: str) -> str:
    return json.dumps({
        "external_id": external_id, "title": f"Call {external_id}", "recording_start_time": "2026-05-04T10:00:00Z",
        "duration_seconds": 60, "full_transcript": f"Ann: hello, this is {external_id}.\n" * 20,
    })  # fmt: skip


@dataclass
class Outcomes:
    """Every outcome on the outcome topics, by event id, read as it comes."""

    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    records: int = 0

    async def read(self, bootstrap: str) -> None:
        names = [COMPLETED.name, SKIPPED.name, DEAD.name]
        consumer = aiokafka.AIOKafkaConsumer(*names, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async for record in consumer:
                self.seen[header(record.headers, "ce_id") or ""].add(record.topic)
                self.records += 1
        finally:
            await consumer.stop()


@pytest.fixture(scope="module")
def servers() -> Iterator[Local]:
    """Kafka and PostgreSQL of this module's own, so that its topics hold its events alone."""
    folder = Path(tempfile.mkdtemp(prefix="callstream-crowd-"))  # pytest's folder is closed to PostgreSQL's user
    local = start_local(folder, throwaway=True)
    try:
        yield local
    finally:
        local.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def crowd(servers: Local, tmp_path: Path) -> Iterator[Stack]:
    """callstream with small windows, so that a backlog lasts."""
    addresses = {
        "owner_url": servers.postgres.owner_url,
        "app_url": servers.postgres.app_url,
        "admin_url": servers.postgres.admin_url,
    }
    stack = start_stack(
        tmp_path / "stack", servers.kafka.bootstrap, roles=ROLES, servers=addresses, env={"CALLSTREAM_WINDOW": "4"}
    )
    try:
        yield stack
    finally:
        stack.stop()


@asynccontextmanager
async def _kept_up(work: Awaitable[None], enough: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Run `work` beside a block; its failure fails the block. With `enough`, it ends by itself after the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        if enough is not None:
            enough.set()
        else:
            task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(result, Exception):
            raise result


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

    async with _kept_up(outcomes.read(crowd.settings.kafka or "")):
        async with _kept_up(keep_a_backlog(), enough):
            for change, arguments in changes:
                await progress()
                await change(*arguments)
            await progress()
        await until(
            lambda: _truth(len(outcomes.seen) >= feed.total), HANG,
            f"an outcome of each event\n{crowd.logs()}",
        )  # fmt: skip

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
