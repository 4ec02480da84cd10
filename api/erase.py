"""Erase a call: for the library's page and for the command line."""

import asyncio
from contextlib import suppress
from uuid import UUID

from api import auth
from api.auth import Caller
from api.deps import OPERATORS
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from schemas.faults import OutageFault
from streams.io import erase, queries
from streams.io.erase import Erased, Named
from streams.io.recordings import named_id
from streams.io.store import in_workspace

SQL = queries.load("calls")


async def erase_call(ports: Ports, caller: Caller, call_id: UUID) -> None:
    """Erase a call of the library everywhere. 403 for a colleague's, but to owners and support; 404 when it is gone."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["find_owner"], caller.workspace_id, call_id)
    if row is None:
        raise not_found("call")
    if caller.role not in OPERATORS and row["owner_user_id"] != caller.user_id:
        raise Problem(403, "not_allowed", "A colleague brought this call. Ask them, or an owner of the workspace.")
    await erase_named(ports, caller, row["source_app"], row["external_id"])


async def erase_named(ports: Ports, caller: Caller, source_app: str, external_id: str) -> tuple[Erased, int | None]:
    """Erase a call by its names, stored or not; what was removed, and how many files with it. None: the media store or
    the broker is away, and the files are removed as soon as it is back."""
    call = (caller.workspace_id, source_app, external_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        done = await erase.erase(connection, call, by=caller.actor)
        await auth.audit(
            connection, caller, caller.workspace_id, "call.erased", str(named_id("recording", call)),
            source_app=source_app, external_id=external_id, failed_imports=done.failed_imports,
        )  # fmt: skip
    with suppress(OutageFault, TimeoutError):  # then the audit does it
        async with asyncio.timeout(BROKER_SECONDS):
            return done, await erase.finish(ports.pool, ports.store, ports.bus, call)
    return done, None


async def find_named(ports: Ports, caller: Caller, external_id: str, source_app: str | None) -> list[Named]:
    """The calls of that external id, one a source."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        return await erase.named(connection, caller.workspace_id, external_id, source_app)
