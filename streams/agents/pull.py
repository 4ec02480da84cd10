"""pull: one slice of one page of a source a command, in a role of its own, because sources are slow."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from connectors.contract import Api
from connectors.registry import CONNECTORS
from schemas.calls import Event
from schemas.outcomes import Done, Outcome
from schemas.pulls import PullCommand
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io import credentials
from streams.io.bus import Bus
from streams.io.secrets import open_secrets
from streams.io.sources import Source
from streams.io.stored_media import RecordingStore
from streams.ports import Ports
from streams.pull import Puller
from streams.pull_calls import CallReader, Pace
from streams.runner import Stage, Taken
from streams.vendor import open_api

PATIENCE = 1.5
"""How many slices long a command may hold up those behind it on its partition."""


class Commands:
    """Commands at work. One that takes longer than a slice should (a large recording is under way) goes on beside the
    stage, so that it holds nobody up: its job is under a lease, and if we die the schedule sends the command again."""

    def __init__(self, work: Callable[[PullCommand], Coroutine[Any, Any, None]], patience: float) -> None:
        self._work = work
        self._patience = patience
        self._beside: set[asyncio.Task[None]] = set()

    async def run(self, command: PullCommand) -> None:
        """Work on a command until it is done or has had its time."""
        work = asyncio.create_task(self._work(command))
        try:
            await asyncio.wait({work}, timeout=self._patience)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise
        if work.done():
            work.result()
        else:
            self._beside.add(work)
            work.add_done_callback(self._forget)

    async def stop(self) -> None:
        """Drop what goes on beside the stage: the schedule sends it again."""
        for work in self._beside:
            work.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await credentials.settled()

    def _forget(self, work: asyncio.Task[None]) -> None:
        self._beside.discard(work)
        if not work.cancelled():
            work.exception()  # an outage: the lease has been given back, and the schedule sees that


def commands_of(ports: Ports, settings: Settings, bus: Bus) -> Commands:
    """Commands, worked on by the engine with the real connectors. Raises `ConfigFault` without keys for secrets."""
    secrets = open_secrets(settings)
    pace = Pace(slice_seconds=settings.pull_slice_seconds)

    async def work(command: PullCommand) -> None:
        pool = await ports.pool()

        def opened(source: Source) -> AbstractAsyncContextManager[Api]:
            return open_api(settings, pool, secrets, source)

        reader = CallReader(pool, bus, RecordingStore(ports.store, settings))
        await Puller(reader, CONNECTORS, opened, pace, settings.plans).run(command)

    return Commands(work, PATIENCE * settings.pull_slice_seconds)


def pull_stage(reads: Topic, commands: Commands, settings: Settings) -> Stage:
    """The stage that pulls. `commands` must be stopped with it."""

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, PullCommand)  # noqa: S101 - the topic's model table says so
        await commands.run(event)
        return Done()

    return Stage("pull", reads, run=run, window=settings.pull_window)
