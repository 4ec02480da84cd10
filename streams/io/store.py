"""PostgreSQL: pools, workspace scoping, and which of the driver's errors mean "the database is away"."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import asyncpg

from schemas.faults import ConfigFault, OutageFault

Pool = asyncpg.Pool
Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says when the server goes away while it begins a statement
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

_PIPELINE = {"callstream.scope": "pipeline", "enable_seqscan": "off", "jit": "off"}
"""The pipeline finds rows by their keys alone. Its statements are planned when a new table is still empty, and would go
on reading all of it while it grows."""


@contextmanager
def outages() -> Iterator[None]:
    """Turn the driver's "the server is away, full or busy" errors into `OutageFault`. Others pass through."""
    try:
        yield
    except asyncpg.DataError:
        raise  # also an InterfaceError, but it speaks of a value, not of the server
    except _AWAY as error:
        raise OutageFault("database_away", "PostgreSQL cannot be reached.", detail=repr(error)) from error


async def open_pool(url: str, *, pipeline: bool = False, size: int = 8) -> asyncpg.Pool:
    """A pool. `pipeline=True` sees every workspace; else a connection sees nothing until `in_workspace` names one.

    Refuses a login to which row-level security does not apply.
    """
    settings = {"application_name": "callstream"} | (_PIPELINE if pipeline else {})
    with outages():
        pool = await asyncpg.create_pool(
            url, min_size=1, max_size=size, init=_prepare, server_settings=settings, command_timeout=60,
            reset=_as_it_is,
        )  # fmt: skip
        unsafe = await pool.fetchval(
            "SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.relname = 'recordings'"
            " AND pg_has_role(r.oid, c.relowner, 'USAGE')) FROM pg_roles r WHERE r.rolname = current_user"
        )
    if unsafe:
        await pool.close()
        raise ConfigFault(
            "database_login_unsafe",
            "CALLSTREAM_DATABASE_URL logs in as a superuser or as the tables' owner, for whom row-level security is "
            "off. Use a login that is only a member of callstream_app; put the owner's into "
            "CALLSTREAM_DATABASE_OWNER_URL for `callstream migrate`.",
        )
    return pool


async def open_pool_patiently(url: str, *, pipeline: bool = False, size: int = 8) -> asyncpg.Pool:
    """`open_pool`, waiting for a server that is still starting."""
    while True:
        try:
            return await open_pool(url, pipeline=pipeline, size=size)
        except OutageFault:
            await asyncio.sleep(0.5)


async def _prepare(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _as_it_is(connection: Any) -> None:
    """Nobody sets a connection to anything that outlives its transaction, so no round trip is spent on a reset."""


@asynccontextmanager
async def in_workspace(pool: asyncpg.Pool, workspace_id: UUID) -> AsyncIterator[Connection]:
    """A transaction that sees only one workspace."""
    with outages():
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('callstream.workspace_id', $1, true)", str(workspace_id))
            yield connection
