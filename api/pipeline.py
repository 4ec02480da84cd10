"""The pipeline as it runs: how much waits before each stage, how fast it goes, who works there, and what failed.

The numbers are the installation's, for all workspaces share the stages; what failed is the workspace's own. One sampler
a process reads how far the roles' consumer groups are, only as long as somebody asks.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel

from api import health
from api.jobs import LIVE
from api.ports import BROKER_SECONDS, Ports
from schemas.faults import OutageFault
from schemas.topics import BACKFILL, NORMALIZED, PULL, RAW, READY, REPLAY, UNIQUE, Topic
from streams.io import clock, tail
from streams.io.groups import Groups, open_groups
from streams.io.store import in_workspace, outages
from streams.io.tail import Place

Name = Literal["pull", "normalize", "dedup", "transcribe", "persist"]
STAGES: Mapping[Name, tuple[str, tuple[Topic, ...]]] = {
    "pull": ("pull", (PULL,)),
    "normalize": ("pipeline", (RAW, BACKFILL, REPLAY)),
    "dedup": ("dedup", (NORMALIZED,)),
    "transcribe": ("transcribe", (UNIQUE,)),
    "persist": ("pipeline", (READY,)),
}
"""Each stage's role, and the topics it reads."""

EVERY_SECONDS: Final = 2.0
KEPT: Final = 6
"""Samples a rate is made of: some ten seconds."""
IDLE_SECONDS: Final = 30.0
TRIES: Final = 3


class Stage(BaseModel):
    """A stage: events `waiting` before it and taken `per_second`, of all workspaces; `failed`: open failed imports of
    yours. `healthy`: a worker of it lives and is ready; `detail` says what is wrong."""

    name: Name
    waiting: int
    per_second: float
    failed: int
    workers: int
    healthy: bool
    detail: str


class Pipeline(BaseModel):
    """All stages, in the order of a call's way. `oldest_waiting_seconds`: how long the oldest waiting event has waited
    before its stage, null when nothing waits."""

    at: datetime
    stages: list[Stage]
    failed_open: int
    oldest_waiting_seconds: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """How far the groups were: per stage, events acknowledged and events waiting."""

    taken_at: float
    done: Mapping[Name, int]
    waiting: Mapping[Name, int]
    oldest_ms: int | None


@dataclass
class Sampler:
    """Looks every two seconds as long as somebody asks, and a little longer."""

    ports: Ports
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    asked_at: float = 0.0
    error: OutageFault | None = None
    _first: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _times: dict[Place, tuple[int, int]] = field(default_factory=dict)

    async def newest(self) -> Sequence[Sample]:
        """The latest samples, the newest last. Raises `OutageFault` when the broker is away."""
        loop = asyncio.get_running_loop()
        self.asked_at = loop.time()
        if self._task is None or self._task.done():
            self._first.clear()
            self._task = asyncio.create_task(self._run(loop))
        try:
            async with asyncio.timeout(2 * BROKER_SECONDS):
                await self._first.wait()
        except TimeoutError:
            raise OutageFault("broker_away", "Kafka cannot be reached. Try again in a moment.") from None
        if self.error is not None:
            raise self.error
        return list(self.samples)

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self.samples.clear()
        failures = 0
        while loop.time() - self.asked_at < IDLE_SECONDS:
            try:
                async with open_groups(self.ports.settings) as groups:
                    while loop.time() - self.asked_at < IDLE_SECONDS:
                        self.samples.append(await self._look(groups, loop.time()))
                        failures, self.error = 0, None
                        self._first.set()
                        await asyncio.sleep(EVERY_SECONDS)
            except OutageFault as fault:
                failures += 1
                if failures >= TRIES:  # a broker that has just started knows of no groups for a moment
                    self.error = fault
                    self._first.set()
                await asyncio.sleep(EVERY_SECONDS / 4)

    async def _look(self, groups: Groups, now: float) -> Sample:
        done: dict[Name, int] = {}
        waiting: dict[Name, int] = {}
        oldest: dict[Place, int] = {}
        for name, (role, topics) in STAGES.items():
            ends = await groups.ends(topics)
            left = await groups.left(role, ends)
            waiting[name] = sum(left.values())
            done[name] = sum(ends.values()) - waiting[name]
            oldest |= {(part.topic, part.partition): ends[part] - n for part, n in left.items() if n}
        return Sample(now, done, waiting, await self._oldest(oldest))

    async def _oldest(self, heads: Mapping[Place, int]) -> int | None:
        """When the oldest of the records that wait was published. What stands still is read once."""
        self._times = {place: known for place, known in self._times.items() if heads.get(place) == known[0]}
        unknown = {place: offset for place, offset in heads.items() if place not in self._times}
        found = await tail.first_times(self.ports.settings.kafka or "", unknown)
        self._times |= {place: (heads[place], at) for place, at in found.items()}
        return min((at for _, at in self._times.values()), default=None)


async def picture(ports: Ports, workspace_id: UUID) -> Pipeline:
    """The pipeline now. Raises `OutageFault` when broker or database are away."""
    samples = await ports.sampler.newest()
    async with in_workspace(ports.pool, workspace_id) as connection:
        failed = {row["stage"]: row["count"] for row in await connection.fetch(LIVE["failed_by_stage"], workspace_id)}
    with outages():
        beats = await ports.pool.fetch(health.SQL["heartbeats"], health.SILENT_SECONDS)
    newest, now = samples[-1], clock.now()
    oldest = None if newest.oldest_ms is None else max(0.0, round(now.timestamp() - newest.oldest_ms / 1000, 1))
    stages = [
        Stage(
            name=name, waiting=newest.waiting[name], per_second=per_second(samples, name), failed=failed.get(name, 0),
            **workers_of(role, beats),
        )
        for name, (role, _) in STAGES.items()
    ]  # fmt: skip
    return Pipeline(at=now, stages=stages, failed_open=sum(failed.values()), oldest_waiting_seconds=oldest)


def per_second(samples: Sequence[Sample], name: Name) -> float:
    """Events a second between the first and the last sample; 0 as long as there is one alone."""
    first, last = samples[0], samples[-1]
    if last.taken_at <= first.taken_at:
        return 0.0
    return round(max(0, last.done[name] - first.done[name]) / (last.taken_at - first.taken_at), 1)


def workers_of(role: str, beats: Sequence[Any]) -> dict[str, Any]:
    """How many workers a role has, and whether one of them is ready; what is wrong otherwise."""
    alive = [beat for beat in beats if beat["role"] == role and beat["fresh"]]
    if not alive:
        detail = f"No worker has been heard of for {health.SILENT_SECONDS:.0f} seconds. Start one."
        return {"workers": 0, "healthy": False, "detail": detail}
    blocked = next((beat for beat in alive if not beat["ready"]), None)
    healthy = any(beat["ready"] for beat in alive)
    detail = f"A worker waits: {blocked['detail'] or 'it is starting'}." if blocked else ""
    return {"workers": len(alive), "healthy": healthy, "detail": detail}
