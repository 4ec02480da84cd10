"""Replays at work: the archive is read again, and what is meant goes through the pipeline once more.

Runs beside the audit, in the same process and under the same lock. Every replay is a task of its own. What it promises:

- A record is published again byte for byte, under its own event id, with the replay's id in a header.
- The events of a call are published in their order, each acknowledged by the broker before the cursor moves. Killed at
  any point, the replay goes on at its cursor: events may be published twice, none is left out.
- Live calls come first: nothing is published while the pipeline is behind.
- A replay is done when everything that it published has come to its end.
- A bug ends the one replay it happens in, with a sentence; an outage is waited for.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from obstore.store import ObjectStore

from schemas.faults import Fault, OutageFault
from schemas.settings import Settings
from schemas.topics import DEAD, NORMALIZED, RAW, READY, REPLAY, SKIPPED, UNIQUE, Topic
from streams.dry_run import DryRun
from streams.io import archive, clock, replays
from streams.io.archive import BATCH, Cursor, Record, remaining
from streams.io.bus import Bus, header
from streams.io.groups import Groups, open_groups
from streams.io.replays import Replay
from streams.io.store import Pool

log = structlog.get_logger("replay")
MAX_READING: Final = 3
"""Replays that read at the same time; the others wait in their order."""
POLL_SECONDS: Final = 1.0
LAG_POLL_SECONDS: Final = 0.075
LIVE_LAG: Final = 500
"""With more than this unacknowledged on the way, no batch is published. The pipeline commits every half second, so two
batches on the way keep it busy; and a live call that arrives now stands behind less than a second of work."""
SPEECH_LAG: Final = 50
"""The same for recordings that wait for speech to text, which takes minutes."""
ON_THE_WAY: Final = (
    ("pipeline", (REPLAY, READY, RAW), LIVE_LAG),
    ("dedup", (NORMALIZED,), LIVE_LAG),
    ("transcribe", (UNIQUE,), SPEECH_LAG),
)
THE_WAY_DOWN: Final[tuple[tuple[str, tuple[Topic, ...]], ...]] = (
    ("pipeline", (REPLAY,)),
    ("dedup", (NORMALIZED,)),
    ("transcribe", (UNIQUE,)),
    ("pipeline", (READY,)),
    ("pipeline", (SKIPPED, DEAD)),
)
"""Each step is over when the role has acknowledged what lay there when the step before was over. Every one of them ends
although live calls go on arriving."""


@dataclass
class Pace:
    """At most `rate` events a second, by the schedule and not by the sleeps: what was slept too long is caught up."""

    rate: float | None
    free_at: float

    def claim(self, count: int, now: float) -> float:
        """How many seconds to wait before `count` events."""
        if not self.rate:
            return 0.0
        start = max(self.free_at, now - 1.0)
        self.free_at = start + count / self.rate
        return max(0.0, start - now)


@dataclass
class Replayer:
    """Works on every replay that is due."""

    settings: Settings
    pool: Pool
    bus: Bus
    store: ObjectStore
    groups: Groups
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One batch at a time is let into the pipeline, whoever's it is."""

    async def run(self) -> None:
        """Work until cancelled."""
        tasks: dict[UUID, asyncio.Task[None]] = {}
        try:
            while True:
                tasks = {replay_id: task for replay_id, task in tasks.items() if not task.done()}
                with suppress(OutageFault):
                    for replay_id in await replays.due(self.pool, MAX_READING):
                        if replay_id not in tasks:
                            tasks[replay_id] = asyncio.create_task(self._work(replay_id))
                await asyncio.sleep(POLL_SECONDS)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _work(self, replay_id: UUID) -> None:
        error: str | None = None
        while True:
            try:
                if error is not None:
                    return await replays.close(self.pool, replay_id, "failed", error=error)
                replay = await replays.find(self.pool, replay_id)
                if replay is not None:
                    await self._step(replay)
                return None
            except OutageFault as fault:
                log.warning("replay_waits", replay=str(replay_id), detail=fault.detail or str(fault))
                await asyncio.sleep(POLL_SECONDS)
            except Exception as bug:  # whatever it is, it ends this replay and no other
                log.error("replay_failed", replay=str(replay_id), exc_info=bug)
                error = _sentence(bug)

    async def _step(self, replay: Replay) -> None:
        """Bring the replay from where it stands to its end, or to where it was stopped."""
        if replay.dry_run:
            return await self._compare(replay)
        if replay.state != "finishing":
            if not await self._publish_all(replay):
                return None
            await replays.finishing(self.pool, replay.replay_id)
        for role, topics in THE_WAY_DOWN:
            if not await self._arrived(replay, role, topics):
                return None
        await replays.close(self.pool, replay.replay_id, "done")

    async def _compare(self, replay: Replay) -> None:
        """A dry run keeps what it knows in memory, so it always begins at the beginning."""
        cursor = await archive.bounds(self.settings, replay.selection)
        await replays.start(self.pool, replay.replay_id, cursor, remaining(cursor))
        work = DryRun(self.settings, self.pool, self.store, replay)

        async def advance(now_at: Cursor, read: int, matched: int) -> bool:
            return await replays.advance(self.pool, replay.replay_id, now_at, read=read, matched=matched, published=0)

        if await work.run(cursor, advance):
            await replays.close(self.pool, replay.replay_id, "done", report=work.report.as_json())

    async def _publish_all(self, replay: Replay) -> bool:
        """Publish everything that is meant, from the cursor on. False: the replay was stopped."""
        cursor = replay.cursor
        if replay.state == "queued":
            cursor = await archive.bounds(self.settings, replay.selection)
            await replays.start(self.pool, replay.replay_id, cursor, remaining(cursor))
        left = remaining(cursor)
        pace = Pace(replay.rate, time.monotonic())
        limit = min(BATCH, max(1, int(replay.rate))) if replay.rate else BATCH
        select = archive.select(
            self.settings,
            workspace_id=replay.workspace_id,
            selection=replay.selection,
            start=cursor,
            limit=limit,
        )
        async with aclosing(select) as batches:
            async for batch in batches:
                count = len(batch.records)
                if count and not await self._publish(replay, batch.records, pace.claim(count, time.monotonic())):
                    return False
                read, left = left - remaining(batch.cursor), remaining(batch.cursor)
                if not await replays.advance(
                    self.pool, replay.replay_id, batch.cursor, read=read, matched=count, published=count
                ):
                    return False
        return True

    async def _publish(self, replay: Replay, records: Sequence[Record], wait: float) -> bool:
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(POLL_SECONDS, left))
            if left > POLL_SECONDS and not await self._goes_on(replay):
                return False
        async with self._turn:
            if not await self._make_way(replay):
                return False
            owners = [archive.owner_of(record.key) for record in records]
            calls = {(owner[1], owner[2]): _event_id(r) for owner, r in zip(owners, records, strict=True) if owner}
            await replays.expect(self.pool, replay, list(calls), list(calls.values()))
            await self._send(replay, records)
        return True

    async def _send(self, replay: Replay, records: Sequence[Record]) -> None:
        """Publish a batch: the events of one call one after the other, the calls side by side."""
        calls: dict[bytes, list[Record]] = {}
        for record in records:
            calls.setdefault(record.key, []).append(record)

        async def one(events: Sequence[Record]) -> None:
            for event in events:
                headers = archive.replayed_headers(event, replay.replay_id)
                await self.bus.send(REPLAY.name, event.key, event.value, headers)

        for result in await asyncio.gather(*map(one, calls.values()), return_exceptions=True):
            if result is not None:
                raise result

    async def _make_way(self, replay: Replay) -> bool:
        """Wait until little is on the way through the pipeline, live calls and replayed ones together."""
        asked = time.monotonic()
        while await self._busy():
            await asyncio.sleep(LAG_POLL_SECONDS)
            if time.monotonic() - asked > POLL_SECONDS:
                asked = time.monotonic()
                if not await self._goes_on(replay):
                    return False
        return True

    async def _busy(self) -> bool:
        lags = await asyncio.gather(*(self.groups.lag(role, topics) for role, topics, _ in ON_THE_WAY))
        live = sum(lag for lag, (_, _, limit) in zip(lags, ON_THE_WAY, strict=True) if limit == LIVE_LAG)
        return live >= LIVE_LAG or lags[-1] >= SPEECH_LAG

    async def _arrived(self, replay: Replay, role: str, topics: Sequence[Topic]) -> bool:
        """Wait until the role has acknowledged what lies on these topics now."""
        ends = await self.groups.ends(topics)
        asked = time.monotonic()
        while await self.groups.behind(role, ends):
            await asyncio.sleep(0.25)
            if time.monotonic() - asked > POLL_SECONDS:
                asked = time.monotonic()
                if not await self._goes_on(replay):
                    return False
        return True

    async def _goes_on(self, replay: Replay) -> bool:
        return await replays.find(self.pool, replay.replay_id) is not None


async def run(settings: Settings, pool: Pool, bus: Bus, store: ObjectStore) -> None:
    """Work on replays until cancelled. Never ends by itself: it is no reason for the audit to stop."""
    while True:
        try:
            async with open_groups(settings) as groups:
                await Replayer(settings, pool, bus, store, groups).run()
        except OutageFault as fault:
            log.warning("replays_wait", detail=fault.detail)
        except Exception as bug:  # the audit goes on without us
            log.error("replays_stopped", exc_info=bug)
        await asyncio.sleep(2.0)


def _event_id(record: Record) -> UUID:
    try:
        return UUID(header(record.headers, "ce_id") or "")
    except ValueError:
        return clock.new_id()


def _sentence(bug: BaseException) -> str:
    if isinstance(bug, Fault):
        return str(bug)
    return f"The replay ended by an error in callstream ({repr(bug)[:300]}). Start it again; if that fails, report it."
