"""The jobs of a workspace, looked at as long as somebody listens.

A job is read when an event names it, and again until nothing about it moves any more: the row of an outcome may be
written by another worker a moment after its event. What moves without any event (a job begun, cancelled, or waiting for
its source) is found by one look at the newest jobs every two seconds. Every change is told at most twice a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from api.jobs import LIVE, read_jobs
from api.ports import Ports
from schemas.faults import Fault
from streams.io import clock
from streams.io.job_views import OVER, Job
from streams.io.store import in_workspace

Sink = Callable[[Job | None], None]
"""Is told a job, or None when the one it asked for is not there."""

STEP_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 2.0
EASE: Final = 5
"""So many times as long as a read took nothing is read: jobs of a million calls take a while to count."""
SETTLE: Final = 6
"""A job that is over is read so many times more, each time after twice as long, half a minute in all."""
NEWEST: Final = 100
NEWEST_AT_FIRST: Final = 2_000
AT_ONCE: Final = 200
SLACK = timedelta(seconds=5)
"""Clocks of the database and of this process may differ so much."""

log = structlog.get_logger("live")


@dataclass(slots=True)
class _Tracked:
    due: float
    last: Job | None = None
    read_at: float = 0.0
    quiet: int = 0
    touched: bool = False
    joined: bool = False
    """Read only for those who have just come: to the others it is no news."""
    owed: set[Sink] = field(default_factory=set)


class Follower:
    """Follows the jobs of one workspace and tells its sinks. `run` is its work, to be cancelled when nobody is left."""

    def __init__(self, ports: Ports, workspace_id: UUID) -> None:
        self._ports = ports
        self._workspace_id = workspace_id
        self._sinks: dict[Sink, UUID | None] = {}
        self._tracked: dict[UUID, _Tracked] = {}
        self._joining: list[tuple[Sink, datetime]] = []
        self._looked = clock.now()
        self._look_due = 0.0
        self._not_before = 0.0
        self._wake = asyncio.Event()

    @property
    def alone(self) -> bool:
        """Whether nobody listens any more."""
        return not self._sinks

    def join(self, sink: Sink, since: datetime) -> None:
        """Tell `sink` of every job that is not over or changed since then, and of every change from now on."""
        self._sinks[sink] = None
        self._joining.append((sink, since))
        self._look_due = 0.0
        self._wake.set()

    def watch(self, sink: Sink, job_id: UUID) -> None:
        """Tell `sink` of one job: how it is, and every change."""
        self._sinks[sink] = job_id
        self.touch(job_id)
        self._tracked[job_id].owed.add(sink)

    def leave(self, sink: Sink) -> None:
        """Tell `sink` nothing more."""
        self._sinks.pop(sink, None)
        self._joining = [each for each in self._joining if each[0] != sink]
        for tracked in self._tracked.values():
            tracked.owed.discard(sink)

    def touch(self, job_id: UUID) -> None:
        """Something happened to this job: read it soon, and until it is quiet."""
        tracked = self._tracked.setdefault(job_id, _Tracked(due=0.0))
        tracked.due = min(tracked.due, tracked.read_at + STEP_SECONDS)
        tracked.quiet, tracked.touched, tracked.joined = 0, True, False
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled. An outage of the database is waited for."""
        loop, away = asyncio.get_running_loop(), False
        while True:
            try:
                self._wake.clear()
                await self._step(loop)
                away = False
                soonest = min([self._look_due, *(tracked.due for tracked in self._tracked.values())])
                wait = max(soonest, self._not_before) - loop.time()
                if wait > 0:
                    await self._sleep(wait)
                if (rest := self._not_before - loop.time()) > 0:
                    await asyncio.sleep(rest)
            except Fault as fault:
                if not away:
                    log.warning("jobs cannot be followed", reason=fault.reason, detail=fault.detail)
                away = True
                await asyncio.sleep(1)
            except Exception as error:
                log.error("jobs cannot be followed", exc_info=error)
                await asyncio.sleep(1)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        began = loop.time()
        if began >= self._look_due:
            await self._look(loop)
        due = [job_id for job_id, tracked in self._tracked.items() if tracked.due <= loop.time()][:AT_ONCE]
        if due:
            await self._read(due, loop)
        self._not_before = loop.time() + EASE * max(0.0, loop.time() - began - 0.05)

    async def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Find jobs that moved without an event. Only for those who listen to all of them."""
        now, joining = clock.now(), self._joining
        if None in self._sinks.values():
            since = [at for sink, at in joining if sink in self._sinks]
            async with in_workspace(self._ports.pool, self._workspace_id) as connection:
                find = partial(connection.fetch, LIVE["moving_jobs"], self._workspace_id)
                moving = await find(self._looked - SLACK, NEWEST)
                wanted = await find(min(since) - SLACK, NEWEST_AT_FIRST) if since else []
            for job_id in [row["job_id"] for row in moving]:
                known = self._tracked.get(job_id)
                if known is None or known.joined or (known.last and known.last.status in OVER):
                    self.touch(job_id)
            for job_id in [row["job_id"] for row in wanted]:
                tracked = self._tracked.setdefault(job_id, _Tracked(due=0.0, joined=True))
                tracked.owed |= {sink for sink, _ in joining if sink in self._sinks}
                tracked.due = min(tracked.due, tracked.read_at + STEP_SECONDS)
        self._looked = now
        self._joining = [each for each in self._joining if each not in joining]
        self._look_due = loop.time() + (0.0 if self._joining else LOOK_SECONDS)

    async def _read(self, due: list[UUID], loop: asyncio.AbstractEventLoop) -> None:
        began = loop.time()
        for job_id in due:
            self._tracked[job_id].touched, self._tracked[job_id].read_at = False, began
        found = {job.id: job for job in await read_jobs(self._ports, self._workspace_id, due)}
        for job_id in due:
            tracked, job = self._tracked[job_id], found.get(job_id)
            owed, tracked.owed = tracked.owed, set()
            if job is None:
                del self._tracked[job_id]
                self._tell(None, {sink for sink, wanted in self._sinks.items() if wanted == job_id})
                continue
            moved = not tracked.joined if tracked.last is None else _still(job) != _still(tracked.last)
            everybody = {sink for sink, wanted in self._sinks.items() if wanted in (None, job_id)}
            self._tell(job, everybody if moved else owed & everybody)
            tracked.last, tracked.joined = job, False
            tracked.quiet = 0 if moved or tracked.touched else tracked.quiet + 1
            if job.status in OVER and tracked.quiet >= SETTLE:
                del self._tracked[job_id]
            elif tracked.touched:  # while we read: the next read sees it
                tracked.due = began + STEP_SECONDS
            else:
                tracked.due = began + (STEP_SECONDS * 2**tracked.quiet if job.status in OVER else LOOK_SECONDS)

    def _tell(self, job: Job | None, sinks: set[Sink]) -> None:
        for sink in sinks:
            sink(job)


def _still(job: Job) -> Job:
    """The job without what moves although nothing happens."""
    return job.model_copy(update={"estimated_completion_at": None})
