"""Servers of our own for one part: real Kafka and PostgreSQL in a folder that is gone afterwards."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import psycopg

from ops.local import Local, start_local
from ops.migrate import ensure_home, migrate

PARTITIONS = 8


@dataclass
class Ground:
    """Running servers with a migrated database, and what was measured on them needs to know."""

    folder: Path
    local: Local
    workspace_id: UUID
    user_id: UUID

    @property
    def kafka(self) -> str:
        """The broker's address."""
        return self.local.kafka.bootstrap

    @property
    def admin_url(self) -> str:
        """A login that sees everything."""
        return self.local.postgres.admin_url

    def new_database(self, create: str) -> tuple[str, str]:
        """A database of a chain's own, with its table: the administrator's and the application's address."""
        name = "bench_" + uuid4().hex[:8]
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        admin_url, app_url = (
            url.rsplit("/", 1)[0] + f"/{name}" for url in (self.admin_url, self.local.postgres.app_url)
        )
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(create.encode())
        return admin_url, app_url

    def server_seconds(self) -> dict[str, float]:
        """CPU seconds that the servers have used so far."""
        return {
            "kafka": cpu_seconds([self.local.kafka.server.pid]),
            "postgres": cpu_seconds([self.local.postgres.server.pid]),
        }


def cpu_seconds(pids: list[int | None]) -> float:
    """CPU seconds of these processes and their children, ended children included."""
    total = 0.0
    for pid in pids:
        try:
            process = psutil.Process(pid) if pid else None
            for each in [process, *process.children(recursive=True)] if process else []:
                times = each.cpu_times()
                total += times.user + times.system + (times.children_user + times.children_system)
        except psutil.Error:
            continue
    return total


def memory_mb(pids: list[int]) -> float:
    """Resident memory of these processes, in MB."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids if psutil.pid_exists(pid)) / 2**20


@asynccontextmanager
async def open_ground() -> AsyncIterator[Ground]:
    """Start the servers as `callstream up` would, with nothing given up for speed, and remove everything afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="callstream-bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as a user of its own
    local = None
    try:
        local = await asyncio.to_thread(start_local, folder / "servers")
        await asyncio.to_thread(migrate, local.postgres.owner_url)
        workspace_id, user_id = await asyncio.to_thread(ensure_home, local.postgres.owner_url)
        yield Ground(folder, local, workspace_id, user_id)
    finally:
        if local is not None:
            await asyncio.to_thread(local.stop)
        shutil.rmtree(folder, ignore_errors=True)
