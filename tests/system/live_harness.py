"""Instances of the API behind real sockets, and readers of their event streams."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import uvicorn
from fastapi import FastAPI

from api import auth
from api.app import create_app
from api.ports import Ports
from ops.api_server import ApiServer
from schemas.calls import ImportCompleted, ImportSkipped
from schemas.dead_letter import Death, headers_of
from schemas.settings import Settings
from schemas.topics import COMPLETED, DEAD, RAW, SKIPPED
from streams.io import clock
from streams.io.bus import Bus
from streams.io.secrets import generate_key
from streams.io.store import open_pool

KEY = generate_key()
PATIENCE = 60.0
"""When a test that waits in vain is ended; it measures nothing."""


class _Server(ApiServer):
    """Leaves the signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Event:
    """One event as a reader sees it."""

    name: str
    data: dict[str, Any]
    id: str


@dataclass
class Reader:
    """An open stream. `last_id` is what a browser would send when it connects again."""

    answer: httpx2.Response
    last_id: str | None = None
    comments: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    _events: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)

    async def run(self) -> None:
        """Read until the stream ends, as the specification of server-sent events says."""
        name, data, given = "", "", None
        try:
            async for line in self.answer.aiter_lines():
                key, _, value = line.partition(": ")
                self.moved.set()
                if not line:
                    if given is not None:
                        self.last_id = given
                    if data:
                        self._events.put_nowait(Event(name, json.loads(data), self.last_id or ""))
                    name, data, given = "", "", None
                elif line.startswith(":"):
                    self.comments += 1
                elif key == "event":
                    name = value
                elif key == "data":
                    data += value
                elif key == "id":
                    given = value
        except httpx2.HTTPError:
            pass
        self._events.put_nowait(None)

    async def next(self) -> Event:
        """The next event."""
        event = await self.next_or_end()
        assert event is not None, "the stream has ended"
        return event

    async def next_or_end(self) -> Event | None:
        """The next event, or None when the stream has ended."""
        async with asyncio.timeout(PATIENCE):
            return await self._events.get()

    async def until(self, name: str, **fields: Any) -> Event:
        """The next event of that name with these fields."""
        while True:
            event = await self.next()
            if event.name == name and event.data.items() >= fields.items():
                return event

    async def opened(self) -> None:
        """Wait for the id with which every stream begins."""
        await self.come_to(lambda: self.last_id is not None)

    async def come_to(self, condition: Callable[[], bool]) -> None:
        """Wait until what has been read fulfils a condition."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.moved.clear()
                await self.moved.wait()


@dataclass
class Instance:
    """One process of the API, as far as others can tell."""

    app: FastAPI
    server: ApiServer
    url: str
    serving: asyncio.Task[None]

    @property
    def ports(self) -> Ports:
        """What it opened."""
        ports: Ports = self.app.state.ports
        return ports

    def client(self, key: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """A client of it."""
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.AsyncClient(base_url=self.url, headers={**bearer, **headers}, timeout=PATIENCE, trust_env=False)

    @asynccontextmanager
    async def reading(
        self, key: str, *, after: str | None = None, types: str | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Reader]:
        """An open stream; cut at the end of the block."""
        wanted = {"Last-Event-ID": after} if after else {}
        async with self.client(key or None, **wanted, **(headers or {})) as client:
            params = {"types": types} if types else {}
            async with client.stream("GET", "/api/events", params=params) as answer:
                assert answer.status_code == 200, await answer.aread()
                assert answer.headers["content-type"].startswith("text/event-stream")
                reader = Reader(answer, after)
                task = asyncio.create_task(reader.run())
                try:
                    if after is None:
                        await reader.opened()
                    yield reader
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Stop as a signal would."""
        self.server.should_exit = True
        await asyncio.wait_for(self.serving, PATIENCE)


@asynccontextmanager
async def instance(folder: Path, kafka: str, app_url: str, **changed: Any) -> AsyncIterator[Instance]:
    """The API on a port of its own. A stop waits for open answers without end, so that one that hangs is seen."""
    settings = Settings(data_dir=folder, kafka=kafka, database_url=app_url, **{"secret_keys": KEY, **changed})
    app = create_app(settings)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", access_log=False, log_config=None)
        server = _Server(config, app)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            assert not serving.done(), serving.exception()
            await asyncio.sleep(0.01)
        made = Instance(app, server, f"http://127.0.0.1:{listening.getsockname()[1]}", serving)
        try:
            yield made
        finally:
            if not serving.done():
                await made.stop()


@dataclass(frozen=True)
class Home:
    """A workspace with its owner and a key."""

    workspace_id: UUID
    user_id: UUID
    key: str


async def new_home(app_url: str, role: str = "owner") -> Home:
    """A workspace of a test's own: all databases of a session share Kafka, and the first workspace's id."""
    pool = await open_pool(app_url, pipeline=True, size=1)
    try:
        workspace_id, user_id = clock.new_id(), clock.new_id()
        await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'A house')", workspace_id)
        await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Mila')", user_id)
        await pool.execute(
            "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, $3)", workspace_id, user_id, role
        )
        return Home(workspace_id, user_id, await auth.create_api_key(pool, workspace_id, user_id, "tests"))
    finally:
        await pool.close()


@dataclass
class Publisher:
    """Publishes outcomes as the pipeline does."""

    bus: Bus

    async def completed(self, home: Home, external_id: str, **fields: Any) -> ImportCompleted:
        """A stored call."""
        now = clock.now()
        event = ImportCompleted(
            **{
                **_identity(home, external_id),
                "import_id": clock.new_id(),
                "recording_id": clock.new_id(),
                "outcome": "imported",
                "metadata_quality": "full",
                "title": f"Call {external_id}",
                "recording_start_time": now - timedelta(days=1),
                "imported_at": now,
                **fields,
            }
        )
        await self.bus.publish(COMPLETED, event)
        return event

    async def skipped(self, home: Home, external_id: str, **fields: Any) -> ImportSkipped:
        """A duplicate."""
        event = ImportSkipped(
            **{
                **_identity(home, external_id),
                "reason": "already_imported",
                "fingerprint": "f",
                "stage": "dedup",
                "skipped_at": clock.now(),
                **fields,
            }
        )
        await self.bus.publish(SKIPPED, event)
        return event

    async def failed(self, home: Home, external_id: str, value: bytes = b"{}") -> UUID:
        """A dead letter; its event id."""
        event_id = clock.new_id()
        death = Death(
            stage="normalize", kind="rejected", reason="invalid_field", message="title is missing.", detail="",
            topic=RAW.name, partition=0, offset=0, attempt=1, at=clock.now(),
        )  # fmt: skip
        headers = headers_of(death, [("ce_id", str(event_id).encode())])
        key = f"{home.workspace_id}:generic:{external_id}".encode()
        await self.bus.send(DEAD.name, key, value, headers)
        return event_id

    async def many(self, home: Home, names: Sequence[str]) -> None:
        """Many outcomes at once, of three kinds by turns."""
        kinds = (self.completed, self.skipped, self.failed)
        await asyncio.gather(*(kinds[number % 3](home, name) for number, name in enumerate(names)))


@asynccontextmanager
async def publisher(instance: Instance) -> AsyncIterator[Publisher]:
    """A producer of a test's own."""
    bus = Bus(instance.ports.settings.kafka or "", instance.ports.store, source="test")
    try:
        yield Publisher(bus)
    finally:
        await bus.stop()


def _identity(home: Home, external_id: str) -> dict[str, Any]:
    now = clock.now()
    return {
        "event_id": clock.new_id(),
        "workspace_id": home.workspace_id,
        "source_app": "generic",
        "external_id": external_id,
        "observed_at": now,
        "received_at": now,
    }
