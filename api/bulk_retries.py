"""Retries of many failed imports: written down first, then sent one after the other at a rate, whoever dies meanwhile.

Each has a lease, so that one process works on it; when that process is gone, another one or its next start goes on.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import BaseModel

from api.auth import Caller
from api.events import broker_away
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from schemas.faults import OutageFault
from streams.io import clock, queries, retries
from streams.io.store import Connection, in_workspace, outages

SQL = queries.load("bulk_retries")
LEASE_SECONDS = 30.0
RENEW_SECONDS = 8.0
LOOK_SECONDS = 5.0
"""How often a process looks for retries that nobody works on."""
OUTAGE_PAUSE_SECONDS = 5.0
MAX_AT_ONCE = 8
MAX_TURNS = 100

log = structlog.get_logger()


class BulkRetry(BaseModel):
    """How far a retry of many is. `sent` counts those whose turn has come: they came through (`resolved`), failed
    again, were discarded meanwhile, or are on their way (`in_progress`). `finished_at` is null until none is."""

    id: UUID
    total: int
    sent: int
    resolved: int
    failed_again: int
    discarded: int
    in_progress: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """A retry of many that this process has a lease on."""

    bulk_retry_id: UUID
    workspace_id: UUID
    rate: float
    holder: UUID

    @property
    def key(self) -> tuple[UUID, UUID]:
        """What its rows are found by."""
        return self.workspace_id, self.bulk_retry_id


@dataclass
class Pace:
    """So many a second, and when the next is due. What was missed by an outage is not caught up."""

    rate: float
    due: float


async def begin(
    ports: Ports, caller: Caller, meant: tuple[Any, ...], shown: dict[str, Any], rate: float
) -> tuple[UUID, int]:
    """Write down a retry of everything a filter means (its bound values, and as it is shown) and how many that are.

    The first is sent at once, so that a broker that is away is said and nothing begun; the rest go behind the request.
    """
    bulk_retry_id = clock.new_id()
    held = Held(bulk_retry_id, caller.workspace_id, rate, bulk_retry_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await connection.execute(SQL["drop_old"], caller.workspace_id)
        total: int = await connection.fetchval(
            SQL["begin"], caller.workspace_id, *meant, bulk_retry_id, caller.actor, shown, rate, LEASE_SECONDS
        )
    try:
        over = await _turns(ports, held, pace := Pace(rate, asyncio.get_running_loop().time()), most=1)
    except OutageFault:
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            await connection.execute(SQL["forget"], *held.key)
        raise
    if not over:
        ports.in_background(_work(ports, held, pace))
    return bulk_retry_id, total


async def find(ports: Ports, caller: Caller, bulk_retry_id: UUID) -> BulkRetry:
    """How far one is. Raises a 404 problem."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["find"], caller.workspace_id, bulk_retry_id)
    if row is None:
        raise not_found("retry")
    again = row["sent"] - row["resolved"] - row["discarded"] - row["in_progress"]
    ended = row["finished_at"] if not row["in_progress"] else None
    finished_at = max(ended, row["last_change"] or ended) if ended else None
    same = ("total", "sent", "resolved", "discarded", "in_progress", "created_at")
    return BulkRetry(
        id=bulk_retry_id, failed_again=again, finished_at=finished_at, **{name: row[name] for name in same}
    )


async def keep_on(ports: Ports) -> None:
    """As long as this process runs: take over retries that nobody works on."""
    room = asyncio.Semaphore(MAX_AT_ONCE)
    while True:
        await room.acquire()
        held = await _take(ports)
        if held is None:
            room.release()
            await asyncio.sleep(LOOK_SECONDS)
            continue
        log.info("a retry of many goes on", bulk_retry_id=str(held.bulk_retry_id))
        ports.in_background(_in_its_room(_work(ports, held, Pace(held.rate, asyncio.get_running_loop().time())), room))


async def _in_its_room(work: Any, room: asyncio.Semaphore) -> None:
    try:
        await work
    finally:
        room.release()


async def _take(ports: Ports) -> Held | None:
    holder = clock.new_id()
    try:
        with outages():
            row = await ports.pool.fetchrow(SQL["take"], holder, LEASE_SECONDS)
    except OutageFault:
        return None
    return Held(row["bulk_retry_id"], row["workspace_id"], row["rate"], holder) if row else None


async def _work(ports: Ports, held: Held, pace: Pace) -> None:
    """Send the rest. Waits while the broker or the database is away; ends early when another process has taken over."""
    try:
        while True:
            try:
                if await _turns(ports, held, pace, most=max(1, min(MAX_TURNS, int(held.rate * 2)))):
                    return
            except OutageFault as fault:
                log.warning("a retry of many waits", reason=fault.reason, detail=fault.detail)
                await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
    except asyncio.CancelledError:  # this process is told to stop: another may go on at once
        await asyncio.shield(_release(ports, held))
        raise


async def _turns(ports: Ports, held: Held, pace: Pace, *, most: int) -> bool:
    """The turns of the next few, at the rate. True: there are no more, or it is somebody else's now."""
    async with in_workspace(ports.pool, held.workspace_id) as connection:
        if not await _renewed(connection, held):
            return True
        rows = await connection.fetch(SQL["next_turns"], *held.key, most)
        if not rows:
            await connection.execute(SQL["finish"], *held.key, held.holder)
            return True
    had: list[UUID] = []
    try:
        for row in rows:
            if row["to_send"]:
                if not await _wait(ports, held, pace):
                    return True
                await _send(ports, held.workspace_id, row["failed_import_id"])
            had.append(row["failed_import_id"])
    finally:
        if had:
            async with in_workspace(ports.pool, held.workspace_id) as connection:
                await connection.execute(SQL["had_their_turn"], *held.key, had)
    return False


async def _wait(ports: Ports, held: Held, pace: Pace) -> bool:
    """Until the next may go, with the lease kept. False: the lease is lost."""
    loop = asyncio.get_running_loop()
    while (left := pace.due - loop.time()) > RENEW_SECONDS:
        await asyncio.sleep(RENEW_SECONDS)
        async with in_workspace(ports.pool, held.workspace_id) as connection:
            if not await _renewed(connection, held):
                return False
    await asyncio.sleep(max(0.0, left))
    pace.due = max(pace.due, loop.time()) + 1 / pace.rate
    return True


async def _send(ports: Ports, workspace_id: UUID, failed_import_id: UUID) -> None:
    try:
        async with asyncio.timeout(BROKER_SECONDS * 2):
            await retries.retry(ports.pool, ports.bus, workspace_id, failed_import_id)
    except LookupError:
        pass  # somebody else was faster
    except TimeoutError:
        raise OutageFault("broker_away", broker_away().sentence) from None


async def _renewed(connection: Connection, held: Held) -> bool:
    return bool(await connection.fetchval(SQL["renew"], *held.key, held.holder, LEASE_SECONDS))


async def _release(ports: Ports, held: Held) -> None:
    try:
        async with in_workspace(ports.pool, held.workspace_id) as connection:
            await connection.execute(SQL["release"], *held.key, held.holder)
    except (OutageFault, Problem):
        return
