"""callstream as a whole for tests: every role a process under the real supervisor, on real Kafka and PostgreSQL."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aiokafka
import asyncpg
import httpx2
import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from api import auth
from ops.migrate import ensure_home, migrate
from ops.processes import is_free
from ops.supervise import Supervisor, child_env, command_of, empty_folder
from ops.topics import create_topics
from schemas.calls import RawCall
from schemas.settings import Settings
from schemas.topics import COMPLETED, DEAD, RAW, SKIPPED
from streams.io import clock, media
from streams.io.bus import Bus, header
from streams.io.secrets import generate_key
from streams.io.store import open_pool
from tests.fakes.openai_server import FakeOpenAI, start_fake_openai
from tests.servers import Servers, shared_servers

T = TypeVar("T")
ROLES = {"api": 1, "pipeline": 1, "dedup": 1, "transcribe": 1, "pull": 1, "audit": 1}


class Loop:
    """An event loop in a thread of its own: the supervisor must run on while tests think."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine over there and wait for it here."""
        waiting: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return waiting.result(120)

    def stop(self) -> None:
        """End the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Stack:
    """A running callstream. Sync methods start and stop things; async ones are for the tests' own loop."""

    settings: Settings
    supervisor: Supervisor
    loop: Loop
    openai: FakeOpenAI
    workspace_id: UUID
    user_id: UUID
    owner_url: str
    app_url: str
    api_key: str
    env: Mapping[str, str]
    taken_out: int = 0
    """Events that a test took out of the stream by force: as many may have been recovered, and no more."""
    _others: list[Supervisor] = field(default_factory=list)
    _pools: dict[int, asyncpg.Pool] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.settings.port}"

    def client(self) -> httpx2.AsyncClient:
        """A client of the API with the owner's key. Close it."""
        return httpx2.AsyncClient(
            base_url=self.api_url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=60, trust_env=False
        )

    async def pool(self) -> asyncpg.Pool:
        """A pool of the running loop's own that sees every workspace."""
        key = id(asyncio.get_running_loop())
        if key not in self._pools:
            self._pools[key] = await open_pool(self.app_url, pipeline=True, size=4)
        return self._pools[key]

    def bus(self) -> Bus:
        """A producer as the ways in use it. Stop it."""
        return Bus(self.settings.kafka or "", media.open_media(self.settings), source="test", linger_ms=5)

    def raw(self, external_id: str, payload: str, *, source_app: str = "generic", **fields: Any) -> RawCall:
        """A raw call of this stack's workspace."""
        now = clock.now()
        return RawCall(
            **{
                "event_id": clock.new_id(),
                "workspace_id": self.workspace_id,
                "source_app": source_app,
                "external_id": external_id,
                "observed_at": now,
                "received_at": now,
                "payload": payload,
                **fields,
            }
        )

    async def publish(self, *calls: RawCall) -> None:
        """Publish raw calls, each acknowledged by the broker."""
        bus = self.bus()
        try:
            await asyncio.gather(*(bus.publish(RAW, call) for call in calls))
        finally:
            await bus.stop()

    async def fetch(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Rows, over all workspaces."""
        rows: list[asyncpg.Record] = await (await self.pool()).fetch(sql, *values)
        return rows

    async def value(self, sql: str, *values: Any) -> Any:
        """One value."""
        return await (await self.pool()).fetchval(sql, *values)

    async def wait_recording(self, external_id: str, timeout: float = 60) -> asyncpg.Record:
        """The stored call, as soon as it is there."""
        sql = "SELECT * FROM recordings WHERE external_id = $1"
        return await until(lambda: self._one(sql, external_id), timeout, f"recording {external_id}")

    async def wait_failed(self, external_id: str, timeout: float = 60, status: str = "open") -> asyncpg.Record:
        """The failed import of a call, as soon as it is there in that status."""
        sql = "SELECT * FROM failed_imports WHERE external_id = $1 AND status = $2"
        return await until(
            lambda: self._one(sql, external_id, status), timeout, f"{status} failed import {external_id}"
        )

    async def _one(self, sql: str, *values: Any) -> asyncpg.Record | None:
        rows = await self.fetch(sql, *values)
        return rows[0] if rows else None

    async def close_pools(self) -> None:
        """Close the running loop's pool, before that loop ends."""
        pool = self._pools.pop(id(asyncio.get_running_loop()), None)
        if pool is not None:
            await pool.close()

    def kill(self, role: str) -> list[int]:
        """kill -9 of every process of a role; the supervisor starts it again."""
        return self.supervisor.kill(role)

    def pause(self, role: str) -> None:
        """Stop the processes of a role until `resume`."""
        self.loop.run(self.supervisor.stop(role))

    def resume(self, role: str) -> None:
        """Start them again."""
        self.loop.run(self.supervisor.start(role))

    def add(self, role: str, name: str, **env: str) -> Supervisor:
        """One more worker of a role, with a folder of its own and, if given, other settings."""
        folder = self.settings.data_dir / "workers" / name
        folder.mkdir(parents=True)
        settings = {"CALLSTREAM_WORKER_DIR": str(folder), "CALLSTREAM_WORKER_NAME": name, **env}
        prefix = ["env", *(f"{key}={value}" for key, value in settings.items())]

        def command(wanted: str) -> Sequence[str]:
            return [*prefix, *command_of(wanted)]

        more = Supervisor({role: 1}, self.env, self.settings.data_dir / "logs" / name, command=command, show=_quiet)
        self.loop.run(more.start())
        self._others.append(more)
        return more

    def stop_worker(self, more: Supervisor) -> None:
        """Stop a worker that was added."""
        self.loop.run(more.stop())
        self._others.remove(more)

    def stop(self) -> None:
        """Stop everything that this stack started, side by side."""

        async def stop_all() -> None:
            await asyncio.gather(*(supervisor.stop() for supervisor in [*self._others, self.supervisor]))

        self.loop.run(stop_all())
        self.openai.stop()
        self.loop.stop()

    def logs(self) -> str:
        """What the roles said, for a failing test."""
        files = sorted((self.settings.data_dir / "logs").rglob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


def start_stack(
    folder: Path,
    bootstrap: str,
    *,
    roles: Mapping[str, int] = ROLES,
    servers: Servers | None = None,
    env: Mapping[str, str] | None = None,
    vendor_origin: str | None = None,
) -> Stack:
    """Start callstream on a database of its own, and wait until it is ready. With `vendor_origin`, requests to sources
    go to the fake vendors there."""
    owner_url, app_url = new_database(servers or shared_servers())
    workspace_id, user_id = ensure_home(owner_url)
    openai = start_fake_openai()
    settings = Settings(
        data_dir=folder,
        kafka=bootstrap,
        database_url=app_url,
        secret_keys=generate_key(),
        port=free_port(),
        partitions=4,
        group_prefix="cs" + uuid4().hex[:8],
        vendor_origin=vendor_origin,
    )
    loop = Loop()
    loop.run(create_topics(settings))
    metrics = empty_folder(folder / "metrics")
    whole_env = {
        **child_env(settings, metrics),
        "OPENAI_API_KEY": openai.api_key,
        "OPENAI_BASE_URL": openai.base_url,
        "CALLSTREAM_PARTITIONS": "4",
        "CALLSTREAM_GROUP_PREFIX": settings.group_prefix,
        "CALLSTREAM_SESSION_TIMEOUT_SECONDS": "6",
        "CALLSTREAM_AUDIT_AFTER_SECONDS": "20",
        **({"CALLSTREAM_VENDOR_ORIGIN": vendor_origin} if vendor_origin else {}),
        **(env or {}),
    }
    supervisor = Supervisor(roles, whole_env, folder / "logs", metrics=metrics, show=_quiet)
    api_key = loop.run(_api_key(app_url, workspace_id, user_id))
    stack = Stack(
        settings, supervisor, loop, openai, workspace_id, user_id, owner_url, app_url, api_key, whole_env
    )  # fmt: skip
    loop.run(supervisor.start())
    wait_ready(stack, roles)
    return stack


def wait_ready(stack: Stack, roles: Mapping[str, int], timeout: float = 60) -> None:
    """Wait until the API answers and every role has said that it is ready."""
    wanted = sum(count for role, count in roles.items() if role != "api")
    deadline = time.monotonic() + timeout
    while True:
        with psycopg.connect(stack.owner_url, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM worker_heartbeats WHERE ready").fetchone()
        if row and row[0] >= wanted and ("api" not in roles or _answers(stack.api_url)):
            return
        if time.monotonic() > deadline:
            stack.stop()
            raise AssertionError(f"callstream did not become ready\n{stack.logs()}")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/live", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def new_database(servers: Servers) -> tuple[str, str]:
    """A migrated database; the owner's and the application's address of it."""
    name = "stack_" + uuid4().hex[:8]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner')
    owner_url, app_url = (servers[which].rsplit("/", 1)[0] + f"/{name}" for which in ("owner_url", "app_url"))
    migrate(owner_url)
    return owner_url, app_url


async def _api_key(app_url: str, workspace_id: UUID, user_id: UUID) -> str:
    pool = await open_pool(app_url, size=1)
    try:
        return await auth.create_api_key(pool, workspace_id, user_id, "tests")
    finally:
        await pool.close()


def free_port() -> int:
    """A port nobody listens on."""
    return next(port for port in range(18400 + uuid4().int % 2000, 30000) if is_free(port))


async def until(probe: Callable[[], Awaitable[T | None]], timeout: float, what: str, pause: float = 0.1) -> T:
    """Ask until there is an answer. The limit only ends a test that would hang; it measures nothing."""
    deadline = time.monotonic() + timeout
    while True:
        found = await probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s in vain for {what}")
        await asyncio.sleep(pause)


def _quiet(line: str) -> None:
    """The logs are in files."""


def counted(stack: Stack, metric: str) -> float:
    """A counter summed over all processes of the stack, dead ones too."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(stack.settings.data_dir / "metrics"))
    return sum(s.value for family in registry.collect() for s in family.samples if s.name == metric)


async def outcomes_of(stack: Stack) -> dict[str, set[str]]:
    """Per event id, the kinds of outcome it has had so far: the last words of the outcome topics' names."""
    kinds = {COMPLETED.name: "completed", SKIPPED.name: "skipped", DEAD.name: "dead"}
    consumer = aiokafka.AIOKafkaConsumer(
        *kinds,
        bootstrap_servers=stack.settings.kafka,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4_000_000,
    )
    await consumer.start()
    found: dict[str, set[str]] = {}
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    found.setdefault(header(record.headers, "ce_id") or "", set()).add(kinds[tp.topic])
    finally:
        await consumer.stop()
    return found


async def account(stack: Stack, good: Sequence[RawCall], poison: Sequence[RawCall], timeout: float = 180) -> None:
    """Wait until every event has an outcome, then prove the promise: none lost, none stored twice, poison in view."""
    wanted = {str(call.event_id) for call in (*good, *poison)}

    async def settled() -> bool | None:
        return wanted <= set(await outcomes_of(stack)) or None

    try:
        await until(settled, timeout, "an outcome of every event", pause=1.0)
    except AssertionError:
        missing = wanted - set(await outcomes_of(stack))
        raise AssertionError(f"{len(missing)} of {len(wanted)} without an outcome\n{stack.logs()}") from None
    names = {call.external_id for call in good}
    rows = await stack.fetch("SELECT external_id, count(*) AS n FROM recordings GROUP BY 1")
    stored = {row["external_id"]: row["n"] for row in rows}
    assert names <= set(stored), f"{len(names - set(stored))} calls are not stored"
    assert set(stored.values()) == {1}
    imported = await stack.fetch("SELECT external_id FROM imported_calls WHERE status IN ('imported', 'updated')")
    assert names <= {row["external_id"] for row in imported}
    ids = {call.event_id for call in poison}

    async def in_view() -> bool | None:
        rows = await stack.fetch("SELECT event_id FROM failed_imports WHERE status = 'open'")
        return ids <= {row["event_id"] for row in rows} or None

    await until(in_view, 60, "all poison in the view")
    failed = await stack.fetch("SELECT event_id, reason, detail FROM failed_imports WHERE status = 'open'")
    unexpected = [dict(row) for row in failed if row["event_id"] in {call.event_id for call in good}]
    assert not unexpected, unexpected[:3]
    assert counted(stack, "import_calls_recovered_total") == stack.taken_out
