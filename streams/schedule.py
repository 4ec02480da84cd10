"""What comes due in imports from sources: syncs, jobs whose rest is over or that stand still, calls that wait.

Runs beside the audit, in the same process and under the same lock. Several at a time would do no harm: everything is
taken by compare-and-set, and a command that comes twice does nothing. An outage is waited for. A bug in one part never
keeps the others from their turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from connectors.contract import Connector
from schemas.faults import OutageFault
from schemas.metrics import JOBS
from schemas.settings import Settings
from schemas.topics import PULL
from streams.io import clock, pulls
from streams.io.bus import Bus
from streams.io.store import Pool, outages

log = structlog.get_logger("schedule")
ROUND_SECONDS = 2.0
STOOD_SECONDS = 60.0
"""A command that nobody has begun for so long may have been lost, and is sent again."""
WAKE_SECONDS = 30.0
"""Between two commands for the waiting calls of one source, as long as nobody works on them."""


@dataclass
class Schedule:
    """One round after the other. Its memory only saves work: another that starts without it does the same."""

    settings: Settings
    pool: Pool
    bus: Bus
    connectors: Mapping[str, Connector]
    stood_seconds: float = STOOD_SECONDS
    wake_seconds: float = WAKE_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = clock.now
    _woken: dict[UUID, float] = field(default_factory=dict)

    async def round(self) -> None:
        """Everything that is due now. Raises `OutageFault`."""
        for part in (self.syncs, self.kicks, self.waiting, self.books):
            await self._part(part)

    async def _part(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except OutageFault:
            raise
        except Exception as bug:  # the other parts go on
            log.error("schedule_failed", part=part.__name__, exc_info=bug)

    async def syncs(self) -> None:
        """Begin the syncs that are due."""
        for source_id in await pulls.due_syncs(self.pool):
            begun = await self._sync(source_id)
            if begun is not None:
                await pulls.start(self.pool, self.bus, *begun)

    async def _sync(self, source_id: UUID) -> tuple[UUID, UUID] | None:
        """Take a due sync and make its job, both or neither; workspace and job. None: there is nothing to do."""
        with outages():
            async with self.pool.acquire() as connection, connection.transaction():
                due = await pulls.take_sync(connection, source_id)
                connector = self.connectors.get(due.source.source_app) if due else None
                if due is None or connector is None or connector.pull is None:
                    return None
                if due.window is not None and (opens_at := due.window.opens_at(self.now())) is not None:
                    await pulls.put_off_sync(connection, source_id, opens_at)
                    return None
                job_id = await pulls.create_sync(
                    connection,
                    due.source,
                    user_id=due.user_id,
                    synced_until=due.synced_until,
                    overlap=connector.pull.overlap,
                    reaches_back=connector.pull.reaches_back,
                    first_sync_days=self.settings.first_sync_days,
                    on_schedule=True,
                )
        return due.source.workspace_id, job_id

    async def kicks(self) -> None:
        """Send the commands of jobs that nobody is at."""
        for kick in await pulls.kicks(self.pool, self.stood_seconds):
            try:
                await self.bus.publish(PULL, pulls.command(kick.source, job_id=kick.job_id, step=kick.step))
            except OutageFault:
                await pulls.not_kicked(self.pool, kick.job_id, kick.step)
                raise

    async def waiting(self) -> None:
        """Have waiting calls looked at that are due."""
        now = self.monotonic()
        self._woken = {source: at for source, at in self._woken.items() if now - at < self.wake_seconds}
        for source in await pulls.due_waiting(self.pool):
            if source.source_id not in self._woken:
                await pulls.wake(self.bus, source)
                self._woken[source.source_id] = now

    async def books(self) -> None:
        """Close what was cancelled or lost its source, and forget secrets that nobody needs any more."""
        for source_app in await pulls.close_cancelled(self.pool):
            JOBS.labels(source_app, "cancelled").inc()
        for source_app in await pulls.give_up_orphans(self.pool):
            JOBS.labels(source_app, "failed").inc()
        await pulls.forget_secrets(self.pool)


async def run(settings: Settings, pool: Pool, bus: Bus, connectors: Mapping[str, Connector]) -> None:
    """Keep the schedule until cancelled. Never ends by itself: it is no reason for the audit to stop."""
    schedule = Schedule(settings, pool, bus, connectors)
    while True:
        try:
            await schedule.round()
        except OutageFault as fault:
            log.warning("schedule_waits", detail=fault.detail)
        await asyncio.sleep(ROUND_SECONDS)
