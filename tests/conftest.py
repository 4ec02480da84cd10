"""Fixtures on real parts: one embedded Kafka and PostgreSQL a session, a fresh database a test, a running stack."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

from ops.local import Local
from ops.migrate import ensure_home, migrate
from ops.topics import create_topics
from schemas.settings import Settings
from streams.io.store import open_pool
from tests.servers import Servers, addresses_of, own_servers, shared_servers
from tests.stack import Stack, start_stack

HERE = Path(__file__).parent
HANG_SECONDS = 600
"""When a test that sets no limit of its own is ended: the suite never hangs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first: a broken house rule is seen before a broker starts. Each with a limit."""
    order = {"house": 0, "unit": 1, "property": 2, "contract": 3, "system": 4, "browser": 5}
    items.sort(key=lambda item: order.get(item.path.relative_to(HERE).parts[0], 9))
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANG_SECONDS))


@dataclass
class Database:
    """A migrated database of a test's own, with a home workspace."""

    app_url: str
    owner_url: str
    pipeline_pool: asyncpg.Pool
    workspace_id: UUID
    user_id: UUID


@pytest.fixture(scope="session")
def template_database() -> str:
    """A migrated database that others are cloned from."""
    servers = shared_servers()
    name = "template_" + uuid4().hex[:8]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner')
    owner_url = _in_database(servers["owner_url"], name)
    migrate(owner_url)
    ensure_home(owner_url)
    return name


def _in_database(url: str, name: str) -> str:
    return url.rsplit("/", 1)[0] + "/" + name


@pytest.fixture
async def database(template_database: str) -> AsyncIterator[Database]:
    """A fresh database, gone afterwards."""
    servers = shared_servers()
    name = "test_" + uuid4().hex[:12]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner TEMPLATE "{template_database}"')
    owner_url, app_url = _in_database(servers["owner_url"], name), _in_database(servers["app_url"], name)
    workspace_id, user_id = ensure_home(owner_url)
    pool = await open_pool(app_url, pipeline=True)
    try:
        yield Database(app_url, owner_url, pool, workspace_id, user_id)
    finally:
        pool.terminate()
        with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass
class Broker:
    """The session's Kafka, with callstream's topics."""

    bootstrap: str


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Broker:
    """The session's Kafka. Topics of callstream exist; a test that needs its own makes them."""
    bootstrap = shared_servers()["kafka"]
    settings: Any = Settings(data_dir=tmp_path_factory.mktemp("broker"), kafka=bootstrap, partitions=4)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create_topics(settings)).result()
    return Broker(bootstrap)


@pytest.fixture(scope="session")
async def stack(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """callstream as a whole, every role a process, an API and a fake speech-to-text service. Shared by many tests:
    use external ids of your own, and leave it running."""
    running = start_stack(tmp_path_factory.mktemp("stack"), broker.bootstrap)
    try:
        yield running
    finally:
        await running.close_pools()
        running.stop()


@pytest.fixture(scope="session")
async def quiet() -> AsyncIterator[Servers]:
    """Kafka and PostgreSQL beside the session's, for stacks of a test's own: a new stack reads its topics from their
    beginning, and on the session's broker that is whatever all other tests have published."""
    with own_servers("quiet") as local:
        yield addresses_of(local)


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Local]:
    """Kafka and PostgreSQL that tests may stop."""
    with own_servers("fire") as local:
        yield local


FIRE = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "CALLSTREAM_RETRY_SCHEDULE_SECONDS": "[2, 2, 2, 2, 2]"}


@pytest.fixture(scope="session")
async def fire(servers: Local, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A stack on them, to be killed and stalled. It has no speech-to-text key, and retries soon."""
    stack = start_stack(
        tmp_path_factory.mktemp("fire"), servers.kafka.bootstrap, servers=addresses_of(servers), env=FIRE
    )
    try:
        yield stack
    finally:
        await stack.close_pools()
        stack.stop()
