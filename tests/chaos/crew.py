"""The workers of a run, by name, each under a supervisor of its own. To the watchdog they look like one supervisor."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psutil

from ops.supervise import Supervisor
from schemas.faults import OutageFault
from streams.io import clock
from streams.io.store import outages
from tests.chaos.plan import role_of
from tests.stack import Stack, until

WINDOWS = {"dedup": "8", "pipeline": "40", "transcribe": "4"}
"""Events in flight: a small window makes dedup the slow one, so that the backlog lies in front of it."""
READY_SECONDS = 180.0
MIB = 1024 * 1024


@dataclass
class Crew:
    """Workers that join, leave, are killed and are watched."""

    stack: Stack
    workers: dict[str, Supervisor] = field(default_factory=dict)
    roles: Sequence[str] = ("pipeline", "dedup", "transcribe")

    def pids(self, role: str) -> list[int]:
        """The processes of a role."""
        return [pid for more in self._of(role) for pid in more.pids(role)]

    def started_at(self, role: str) -> float | None:
        """When the youngest process of a role was started, on the monotonic clock."""
        return max((at for more in self._of(role) if (at := more.started_at(role)) is not None), default=None)

    def kill(self, role: str) -> list[int]:
        """kill -9 of a whole role."""
        return [pid for more in self._of(role) for pid in more.kill(role)]

    def names(self, role: str) -> list[str]:
        """The workers of a role."""
        return [name for name in self.workers if role_of(name) == role]

    async def join(self, *names: str, limit: float = READY_SECONDS) -> None:
        """Start workers side by side and wait until each has said that it is ready."""
        since = clock.now()
        for name in names:
            role = role_of(name)
            self.workers[name] = await asyncio.to_thread(
                self.stack.add, role, name, CALLSTREAM_WINDOW=WINDOWS[role], CALLSTREAM_TRANSCRIBE_WINDOW="4"
            )
        for name in names:
            await self.ready(name, since, limit)

    async def leave(self, *names: str) -> None:
        """Stop workers in good order, side by side."""
        await asyncio.gather(*(asyncio.to_thread(self.stack.stop_worker, self.workers.pop(name)) for name in names))

    def kill_worker(self, name: str) -> None:
        """kill -9; its supervisor starts it again."""
        self.workers[name].kill()

    def hang(self, name: str) -> None:
        """Make a worker stand still, as one that is stuck does, until somebody kills it."""
        os.kill(self.workers[name].pids(role_of(name))[0], signal.SIGSTOP)

    async def restart(self, name: str) -> None:
        """What a deploy does: SIGTERM, start again, wait until it is ready."""
        more = self.workers[name]
        await asyncio.to_thread(self.stack.loop.run, more.stop())
        since = clock.now()
        await asyncio.to_thread(self.stack.loop.run, more.start())
        await self.ready(name, since)

    async def ready(self, name: str, since: datetime, limit: float = READY_SECONDS) -> None:
        """Wait until a worker has said since then that it is ready. A database that is away is waited for."""

        async def says_so() -> bool:
            sql = "SELECT ready FROM worker_heartbeats WHERE worker = $1 AND at > $2"
            try:
                with outages():
                    return bool(await self.stack.value(sql, name, since))
            except OutageFault:
                return False

        await until(says_so, limit, f"{name} to be ready", pause=0.2)

    def _of(self, role: str) -> list[Supervisor]:
        return [self.workers[name] for name in self.names(role)]


@dataclass
class Memory:
    """What every worker process has used, sampled through a run."""

    samples: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Per worker and process id: seconds on the monotonic clock, and resident memory in bytes."""

    async def watch(self, crew: Crew, pause: float = 1.0) -> None:
        """Sample until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            for name, more in list(crew.workers.items()):
                for pid in more.pids(role_of(name)):
                    try:
                        rss = psutil.Process(pid).memory_info().rss
                    except psutil.Error:
                        continue
                    self.samples.setdefault(f"{name} ({pid})", []).append((now(), rss))
            await asyncio.sleep(pause)

    def summary(self, lived: float) -> dict[str, dict[str, Any]]:
        """In MiB, per process that lived so many seconds: at the start, at the end, the maximum, and how much more its
        last quarter used than its second one. The first is left out: caches and modules fill then."""
        found: dict[str, dict[str, Any]] = {}
        for name, samples in self.samples.items():
            began, seconds = samples[0][0], samples[-1][0] - samples[0][0]
            if seconds < lived:
                continue
            parts: list[list[int]] = [[], [], [], []]
            for at, rss in samples:
                parts[min(3, int((at - began) / seconds * 4))].append(rss)
            middle = [sorted(part)[len(part) // 2] if part else samples[-1][1] for part in parts]
            found[name] = {
                "seconds": round(seconds),
                "start": samples[0][1] // MIB,
                "end": samples[-1][1] // MIB,
                "maximum": max(rss for _, rss in samples) // MIB,
                "growth": (middle[3] - middle[1]) // MIB,
            }
        return found
