"""`callstream up`: everything on one machine, in the foreground, until Ctrl-C.

Kafka and PostgreSQL are embedded where the settings name none. Whoever dies is started again; whatever happens to us,
nobody of ours outlives us.
"""

import asyncio
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import SecretStr

from ops.jars import class_path
from ops.kafka_server import Kafka, start_kafka
from ops.local import lock_data_dir
from ops.migrate import ensure_home, migrate
from ops.postgres_server import Postgres, start_postgres, write_secret
from ops.processes import ServerFailed
from ops.supervise import ROLES, WORKERS, Supervisor, child_env, empty_folder, show_on_stdout
from ops.topics import create_topics
from schemas.faults import ConfigFault
from schemas.settings import INSTANCE_FILE, Settings
from streams.io import clock
from streams.io.secrets import generate_key
from streams.io.store import open_pool

KEY_FILE: Final = "secret.key"
READY_SECONDS: Final = 90.0
CHECK_SECONDS: Final = 1.0
ROLE_GRACE: Final = 10.0
Show = Callable[[str], None]
T = TypeVar("T")


class Stopped(Exception):
    """We were told to stop before everything was up."""


@dataclass(frozen=True, slots=True)
class Home:
    """Whose installation this is."""

    workspace_id: UUID
    user_id: UUID


def up(settings: Settings, *, show: Show = show_on_stdout) -> int:
    """Run everything until told to stop; return the exit code. `settings` must not come from a running instance."""
    settings = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    with lock_data_dir(settings.data_dir, settings.port):
        refuse_taken_port(settings)
        settings = settings.model_copy(update={"secret_keys": secret_keys(settings)})
        # Set before anything counts: prometheus-client decides at its import whether counts are shared.
        metrics = empty_folder(settings.data_dir / "metrics")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        instance = settings.data_dir / INSTANCE_FILE
        instance.unlink(missing_ok=True)
        try:
            return asyncio.run(_up(settings, metrics, show))
        finally:
            instance.unlink(missing_ok=True)


def refuse_taken_port(settings: Settings) -> None:
    """Raise `ConfigFault` when somebody else listens where we want to."""
    with suppress(OSError):
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise ConfigFault(
                    "port_taken",
                    f"Port {settings.port} of {settings.host} is taken by another program or cannot be used. "
                    "Set CALLSTREAM_PORT to a free one.",
                    detail=str(error),
                ) from None


def secret_keys(settings: Settings) -> SecretStr:
    """The keys that protect stored secrets. With the embedded database they are made once and kept beside it."""
    if settings.secret_keys is not None:
        return settings.secret_keys
    path = settings.data_dir / KEY_FILE
    if settings.database_url is not None:
        kept = f" Secrets of the embedded database are under the key in {path}." if path.exists() else ""
        raise ConfigFault(
            "secret_keys_missing",
            "CALLSTREAM_DATABASE_URL names a database of your own, so CALLSTREAM_SECRET_KEYS must be set: all who "
            f"read it need the same keys. Make one with `callstream keys generate-secret`.{kept}",
        )
    if path.exists():
        return SecretStr(path.read_text().strip())
    write_secret(path, generate_key() + "\n")
    return SecretStr(path.read_text().strip())


async def _up(settings: Settings, metrics: Path, show: Show) -> int:
    stop = _stop_event(show)
    servers = Servers(settings, show)
    supervisor: Supervisor | None = None
    background: list[asyncio.Task[None]] = []
    try:
        settings, home = await _unless(stop, servers.start())
        write_secret(settings.data_dir / INSTANCE_FILE, json.dumps(_instance(settings, home)))
        background.append(asyncio.create_task(servers.keep_running()))
        supervisor = Supervisor(
            dict.fromkeys(ROLES, 1),
            child_env(settings, metrics),
            settings.data_dir / "logs",
            metrics=metrics,
            show=show,
            grace=ROLE_GRACE,
        )
        await supervisor.start()
        background.append(asyncio.create_task(_watch(settings, supervisor)))
        with _timed(show, f"Started {', '.join(ROLES)}"):
            red = await _unless(stop, _wait_until_ready(settings))
        link = await _unless(stop, _sign_in_link(settings, home))
        show(welcome(settings, link, red))
        await stop.wait()
    except Stopped:
        pass
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        if supervisor is not None:
            await supervisor.stop("api")
            await supervisor.stop(*WORKERS)
        await servers.stop()
    show("Stopped. Everything is kept; `callstream up` goes on from here.")
    return 0


class Servers:
    """The embedded servers this instance needs: both, one or none."""

    def __init__(self, settings: Settings, show: Show) -> None:
        self._settings = settings
        self._show = show
        self._postgres: Postgres | None = None
        self._kafka: Kafka | None = None

    async def start(self) -> tuple[Settings, Home]:
        """Start what is embedded, bring both up to this version, and return the settings with all addresses."""
        database, kafka = await asyncio.gather(self._start_database(), self._start_kafka(), return_exceptions=True)
        for outcome in (database, kafka):
            if isinstance(outcome, BaseException):
                raise outcome
        found, home = database
        return self._settings.model_copy(update={**found, **kafka}), home

    async def _start_database(self) -> tuple[dict[str, Any], Home]:
        found: dict[str, Any] = {}
        if self._settings.database_url is None:
            with _timed(self._show, "Started PostgreSQL"):
                postgres = await _in_thread(self._start_postgres)
            owner = postgres.owner_url
            found = {"database_url": SecretStr(postgres.app_url), "database_owner_url": SecretStr(owner)}
        else:
            owner = (self._settings.database_owner_url or self._settings.database_url).get_secret_value()
        applied = await _in_thread(lambda: migrate(owner))
        if applied:
            self._show(f"Database brought up to {applied[-1]}")
        return found, Home(*await _in_thread(lambda: ensure_home(owner)))

    def _start_postgres(self) -> Postgres:
        self._postgres = start_postgres(self._settings.data_dir)
        return self._postgres

    async def _start_kafka(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._settings.kafka is None:
            with _timed(self._show, "Checked Kafka's files"):
                await _in_thread(lambda: class_path(lambda name: self._show(f"Fetching {name}")))
            with _timed(self._show, "Started Kafka"):
                found = {"kafka": (await _in_thread(self._start_broker)).bootstrap}
        changes = await create_topics(self._settings.model_copy(update=found))
        if made := [name for name, change in changes.items() if change == "created"]:
            self._show(f"Created {len(made)} topics")
        return found

    def _start_broker(self) -> Kafka:
        self._kafka = start_kafka(self._settings.data_dir)
        return self._kafka

    async def keep_running(self) -> None:
        """Start a server again that died. Runs until cancelled, and not in the middle of a start."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for name, server in (("PostgreSQL", self._postgres), ("Kafka", self._kafka)):
                if server is None or server.server.alive:
                    continue
                self._show(f"{name} has ended; starting it again")
                try:
                    await _in_thread(server.start)
                except ServerFailed as failed:
                    self._show(str(failed))
                    await asyncio.sleep(5 * CHECK_SECONDS)

    async def stop(self) -> None:
        """Stop what was started: Kafka first, for nobody needs it any more, then PostgreSQL."""
        for server in (self._kafka, self._postgres):
            if server is not None:
                await _in_thread(server.stop)


async def _in_thread(work: Callable[[], T]) -> T:
    """Work that blocks, in a thread. A cancellation waits for its end: a thread cannot be cancelled, only forgotten."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _stop_event(show: Show) -> asyncio.Event:
    """An event set by Ctrl-C or SIGTERM. A second one does not wait for anybody: what is ours ends with us."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        show("Stopping… (once more: at once)")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


async def _unless(stop: asyncio.Event, work: Awaitable[Any]) -> Any:
    """The result of `work`; `Stopped` if we are told to stop first. Threads are waited for, the rest is cancelled."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait([task])
        raise Stopped
    finally:
        stopped.cancel()


async def _watch(settings: Settings, supervisor: Supervisor) -> None:
    from ops.watchdog import Watchdog
    from schemas.metrics import STALLED_RESTARTS

    await Watchdog(settings, supervisor, on_restart=lambda role: STALLED_RESTARTS.labels(role).inc()).run()


def _instance(settings: Settings, home: Home) -> dict[str, Any]:
    """What the other commands must know about us."""

    def plain(secret: SecretStr | None) -> str | None:
        return secret.get_secret_value() if secret else None

    return {
        "kafka": settings.kafka,
        "database_url": plain(settings.database_url),
        "database_owner_url": plain(settings.database_owner_url),
        "secret_keys": plain(settings.secret_keys),
        "workspace_id": str(home.workspace_id),
        "user_id": str(home.user_id),
        "pid": os.getpid(),
        "host": settings.host,
        "port": settings.port,
        "started_at": clock.now().isoformat(),
    }


def address(settings: Settings) -> str:
    """Where people reach this installation."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = _local_host(settings)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _local_host(settings: Settings) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)


async def _wait_until_ready(settings: Settings) -> list[str]:
    """Wait until everything says it is ready; return what still is not when the patience is over."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        red = await asyncio.to_thread(ask_ready, _local_host(settings), settings.port)
        if not red or time.monotonic() > deadline:
            return red
        await asyncio.sleep(0.2)


def ask_ready(host: str, port: int) -> list[str]:
    """What is not well, by the names of /health/ready; roles that have not said anything yet are not. Empty: all is."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return red_names(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return ["api"]
    finally:
        connection.close()


def red_names(body: bytes) -> list[str]:
    """The names in an answer of /health/ready that are not well, and of the roles that are missing from it."""
    try:
        found = json.loads(body)
        checks = {str(check["name"]) for check in found["checks"]}
        red = [str(name) for name in found["red"]]
    except (ValueError, TypeError, KeyError):
        return ["api"]
    return red + [name for role in WORKERS if (name := f"worker:{role}") not in checks]


async def _sign_in_link(settings: Settings, home: Home) -> str:
    from api.auth import create_sign_in_link

    if settings.database_url is None:
        raise ConfigFault("database_unset", "No database is set.")
    pool = await open_pool(settings.database_url.get_secret_value(), size=1)
    try:
        return address(settings) + await create_sign_in_link(pool, home.workspace_id, home.user_id)
    finally:
        await pool.close()


def welcome(settings: Settings, link: str, red: list[str]) -> str:
    """What a person sees once everything is up; with lines around it on a terminal."""
    rows = [
        ("Address", address(settings)),
        ("Sign in", f"{link}  (works once, within the hour)"),
        ("Upload", "callstream import FILE…"),
        ("", f'curl -H "Authorization: Bearer $KEY" -F files=@FILE {address(settings)}/api/uploads'),
        ("A key", "callstream keys create --name NAME"),
        ("Data", str(settings.data_dir)),
        ("Stop", "Ctrl-C"),
    ]
    text = "\n".join(f"{name:<9}{value}" for name, value in rows)
    if red:
        text += f"\n\nNot ready yet: {', '.join(red)}. See {settings.data_dir / 'logs'} or run `callstream doctor`."
    if not sys.stdout.isatty():
        return f"\n{text}\n"
    width = max(map(len, text.splitlines())) + 2
    edge = "─" * width
    return "\n".join([f"╭{edge}╮", *(f"│ {line:<{width - 1}}│" for line in text.splitlines()), f"╰{edge}╯"])


@contextmanager
def _timed(show: Show, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    show(f"{what} in {time.monotonic() - began:.1f} s")
