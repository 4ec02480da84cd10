"""What every request may use: database, bus, media store, secrets, temporary folder. Opened once per process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from obstore.store import ObjectStore

from api.scratch import scratch_folder
from api.tokens import open_identities
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from streams.io.bus import Bus
from streams.io.media import open_media
from streams.io.secrets import Secrets, open_secrets
from streams.io.store import Pool, open_pool, open_pool_patiently

if TYPE_CHECKING:
    from api.live import Live
    from api.pipeline import Sampler

PROBES = 4
"""Uploaded files looked into at the same time: each takes a process. Large transcripts, which cost many times their
size while they are encoded, go one at a time."""
BROKER_SECONDS = 5.0
"""How long a request waits for the broker before it says 503."""

log = structlog.get_logger()


class Ports:
    """Ports to the outside. `pool` raises `OutageFault` as long as the database has not been reached."""

    live: "Live"
    sampler: "Sampler"
    """Who tells what happens, and how far the stages are; the application sets both (`api.live.open_live`)."""

    def __init__(self, settings: Settings, secrets: Secrets, store: ObjectStore, bus: Bus, scratch: Path) -> None:
        self.settings = settings
        self.secrets = secrets
        self.store = store
        self.bus = bus
        self.scratch = scratch
        self.probes = asyncio.Semaphore(PROBES)
        self.large_texts = asyncio.Semaphore(1)
        self.identities = open_identities(settings)
        self._pool: Pool | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pool(self) -> Pool:
        """The connection pool of the application's login."""
        if self._pool is None:
            raise OutageFault("database_away", "PostgreSQL cannot be reached.")
        return self._pool

    @property
    def base_url(self) -> str:
        """The address people and vendors reach this installation under, without a trailing slash."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        host = "127.0.0.1" if self.settings.host in {"0.0.0.0", "::", ""} else self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    async def connect(self) -> None:
        """Open the pool; where the database is away, go on trying behind the requests. Raises `ConfigFault`."""
        url = self.settings.database_url
        if url is None:
            raise ConfigFault(
                "database_missing", "CALLSTREAM_DATABASE_URL is not set and no embedded server is running."
            )
        try:
            self._pool = await open_pool(url.get_secret_value(), size=16)
        except OutageFault:
            self.in_background(self._connect_later(url.get_secret_value()))

    async def _connect_later(self, url: str) -> None:
        self._pool = await open_pool_patiently(url, size=16)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the requests. It is ended when the process is told to stop; its errors are logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed", exc_info=error)

    async def close(self) -> None:
        """End what runs in the background and disconnect."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(BROKER_SECONDS):
                await self.bus.stop()
        if self._pool is not None:
            try:
                async with asyncio.timeout(BROKER_SECONDS):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncIterator[Ports]:
    """Everything opened, and closed afterwards. Raises `ConfigFault` when a setting is missing or refused."""
    if not settings.kafka:
        raise ConfigFault("kafka_missing", "CALLSTREAM_KAFKA is not set and no embedded server is running.")
    store = open_media(settings)
    with scratch_folder(settings.data_dir) as scratch:
        ports = Ports(settings, open_secrets(settings), store, Bus(settings.kafka, store, source="api"), scratch)
        try:
            await ports.connect()
            with suppress(OutageFault, TimeoutError):
                async with asyncio.timeout(BROKER_SECONDS):
                    await ports.bus.start()
            yield ports
        finally:
            await ports.close()
