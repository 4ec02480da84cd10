"""A database and an event loop for properties: hypothesis runs plain functions, many times over one database."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

from ops.migrate import ensure_home
from streams.io.store import open_pool
from tests.servers import shared_servers

T = TypeVar("T")


@dataclass
class World:
    """A migrated database, a pool that sees every workspace, and the loop the pool lives in."""

    loop: asyncio.AbstractEventLoop
    pool: asyncpg.Pool
    workspace_id: UUID
    numbers: Iterator[int]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        return self.loop.run_until_complete(coroutine)


@pytest.fixture(scope="module")
def world(template_database: str) -> Iterator[World]:
    """One database for all examples of a module; each example uses names of its own."""
    servers = shared_servers()
    name = "property_" + uuid4().hex[:8]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner TEMPLATE "{template_database}"')
    owner_url, app_url = (servers[which].rsplit("/", 1)[0] + f"/{name}" for which in ("owner_url", "app_url"))
    workspace_id, _ = ensure_home(owner_url)
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(open_pool(app_url, pipeline=True))
    try:
        yield World(loop, pool, workspace_id, count())
    finally:
        loop.run_until_complete(pool.close())
        loop.close()
        with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
