"""The three chains as running processes: callstream's own roles, the naive Faust chain, the bare aiokafka chain."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from api import auth
from bench import plain
from bench.ground import PARTITIONS, Ground
from ops.processes import HOST, is_free
from ops.supervise import WORKERS, Supervisor, child_env, empty_folder
from ops.topics import create_topics
from schemas.settings import Settings
from schemas.topics import COMPLETED, RAW, SKIPPED
from streams.io.secrets import generate_key
from streams.io.store import open_pool

ROOT = Path(__file__).parent.parent
READY_SECONDS = 120.0
SPLIT = {"pipeline": 1, "dedup": 1, "transcribe": 1}


@dataclass
class Chain:
    """A chain that can be started and stopped, and where to put in and read out."""

    name: str
    ground: Ground
    supervisor: Supervisor
    raw: str
    completed: str
    skipped: str | None
    """Where duplicates are told of. The other chains drop them in silence."""
    database_url: str
    table: str
    settings: Settings
    said: list[str]
    """What the processes printed: normally nothing."""

    async def start(self, *roles: str) -> None:
        """Start its processes."""
        if self.name == "callstream":
            async with connected(self.database_url) as connection:
                await connection.execute("DELETE FROM worker_heartbeats")
        await self.supervisor.start(*roles)
        if self.name == "callstream":
            await self._ready(roles or self.supervisor.roles)

    async def stop(self, *roles: str) -> None:
        """Stop them."""
        await self.supervisor.stop(*roles)

    def pids(self) -> dict[str, list[int]]:
        """Process ids by role."""
        return {role: self.supervisor.pids(role) for role in self.supervisor.roles}

    async def _ready(self, roles: Sequence[str]) -> None:
        wanted = set(roles) - {"api"}
        async with connected(self.database_url) as connection, asyncio.timeout(READY_SECONDS):
            while True:
                rows = await connection.fetch("SELECT role FROM worker_heartbeats WHERE ready")
                if {row["role"] for row in rows} >= wanted and ("api" not in roles or not is_free(self.settings.port)):
                    return
                await asyncio.sleep(0.2)


class connected:
    """A connection of the administrator's, for the length of an `async with` block."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Any:
        self._connection = await asyncpg.connect(self._url)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def callstream(ground: Ground, *, api: bool = False, env: Mapping[str, str] | None = None) -> Chain:
    """callstream itself: one worker of each role under its own supervisor, and the API where it is asked for."""
    folder = ground.folder / "callstream"
    folder.mkdir(exist_ok=True)
    settings = Settings(
        data_dir=folder,
        kafka=ground.kafka,
        database_url=ground.local.postgres.app_url,
        secret_keys=generate_key(),
        port=free_port(),
        partitions=PARTITIONS,
    )
    await create_topics(settings)
    metrics = empty_folder(folder / "metrics")
    whole = {**child_env(settings, metrics), **_paths(), "CALLSTREAM_PARTITIONS": str(PARTITIONS), **(env or {})}
    whole = {name: value for name, value in whole.items() if not name.startswith("OPENAI_")}
    roles = dict.fromkeys((*(("api",) if api else ()), *WORKERS), 1)
    said: list[str] = []
    supervisor = Supervisor(roles, whole, folder / "logs", metrics=metrics, show=said.append)
    return Chain(
        "callstream", ground, supervisor, RAW.name, COMPLETED.name, SKIPPED.name, ground.admin_url, "recordings",
        settings, said,
    )  # fmt: skip


async def other(ground: Ground, name: str, module: str, number: int) -> Chain:
    """One of the chains to compare with, on topics and in a database of its own."""
    prefix = f"bench.{name}.{number}"
    topics = plain.topics_of(prefix)
    await new_topics(ground.kafka, list(topics.values()))
    admin_url, app_url = ground.new_database(plain.CREATE)
    folder = ground.folder / prefix
    settings = Settings(data_dir=folder, kafka=ground.kafka, database_url=app_url, partitions=PARTITIONS)
    env = {
        **child_env(settings, folder / "metrics"), **_paths(),
        "CALLSTREAM_PARTITIONS": str(PARTITIONS), "BENCH_TOPICS": prefix,
    }  # fmt: skip
    del env["PROMETHEUS_MULTIPROC_DIR"]
    for role in SPLIT:
        (folder / "workers" / f"{role}-1").mkdir(parents=True)

    def command(role: str) -> Sequence[str]:
        return [sys.executable, "-m", f"bench.{module}", role]

    said: list[str] = []
    supervisor = Supervisor(SPLIT, env, folder / "logs", command=command, show=said.append)
    return Chain(
        name, ground, supervisor, topics["raw"], topics["completed"], None, admin_url, "calls", settings, said
    )  # fmt: skip


async def api_key(chain: Chain) -> str:
    """A key of the owner's for callstream's API."""
    pool = await open_pool(chain.ground.local.postgres.app_url, size=1)
    try:
        return await auth.create_api_key(pool, chain.ground.workspace_id, chain.ground.user_id, "bench")
    finally:
        await pool.close()


async def new_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Make topics that are like callstream's."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


def free_port() -> int:
    """A port nobody listens on."""
    return next(port for port in range(20_000 + os.getpid() % 5000, 31_000) if is_free(port))


def _paths() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "CALLSTREAM_HOST": HOST}
