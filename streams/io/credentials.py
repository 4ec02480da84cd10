"""Credentials of connected accounts: sealed for their row, opened for a request, refreshed once for everybody.

A refresh holds the row until the new token is stored, so of many workers one asks and the others get its answer; and
because a rotated refresh token is spent by asking, that answer is stored whatever becomes of whoever wanted it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from schemas.faults import ConfigFault, OutageFault
from streams.io import clock, queries
from streams.io.secrets import Secrets
from streams.io.store import Connection, Pool, in_workspace

SQL = queries.load("credentials")
FIELD = "encrypted_credential"
MARGIN_SECONDS = 60.0
"""A token that ends sooner is refreshed before it is used."""
STORE_AGAIN = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Pauses before the tries to store a fresh token while the database is away."""
_RUNNING: set[asyncio.Task[dict[str, str]]] = set()

Credential = Mapping[str, str]
Refresh = Callable[[Credential], Awaitable[Credential]]
"""Asks the source for a fresh token in the place of this one."""


def row_of(source_id: UUID) -> str:
    """The row a credential is sealed for."""
    return f"import_credentials/{source_id}"


async def put(
    connection: Connection, secrets: Secrets, workspace_id: UUID, source_id: UUID, kind: str, credential: Credential,
    scopes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Keep the credential of a source that has just been checked, instead of any it had."""
    await connection.execute(
        SQL["put"], clock.new_id(), workspace_id, source_id, kind,
        _seal(secrets, workspace_id, source_id, credential), list(scopes), expires_at(credential),
    )  # fmt: skip


async def read(pool: Pool, secrets: Secrets, workspace_id: UUID, source_id: UUID) -> dict[str, str]:
    """The credential of a source. Raises `ConfigFault` when there is none, or none that can be opened."""
    async with in_workspace(pool, workspace_id) as connection:
        sealed = await connection.fetchval(SQL["get"], source_id, workspace_id)
    return _open(secrets, workspace_id, source_id, sealed)


async def renew(
    pool: Pool, secrets: Secrets, workspace_id: UUID, source_id: UUID, stale: Credential, refresh: Refresh
) -> dict[str, str]:
    """The credential instead of one that is refused or about to end: what another worker stored meanwhile, or else a
    refreshed one, stored before anybody uses it. Raises what `refresh` does, `ConfigFault` and `OutageFault`.
    """
    task = asyncio.create_task(_renew(pool, secrets, workspace_id, source_id, stale, refresh))
    _RUNNING.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


async def settled(seconds: float = 10.0) -> None:
    """When no refresh is under way any more, or after some seconds. To be awaited before a worker ends, or a rotated
    token may be lost."""
    if _RUNNING:
        await asyncio.wait(_RUNNING, timeout=seconds)


def _forget(task: asyncio.Task[dict[str, str]]) -> None:
    _RUNNING.discard(task)
    if not task.cancelled():
        task.exception()  # whoever wanted it may be gone


async def _renew(
    pool: Pool, secrets: Secrets, workspace_id: UUID, source_id: UUID, stale: Credential, refresh: Refresh
) -> dict[str, str]:
    fresh: dict[str, str] | None = None
    for pause in STORE_AGAIN:
        await asyncio.sleep(pause)
        try:
            async with in_workspace(pool, workspace_id) as connection:
                sealed = await connection.fetchval(SQL["hold"], source_id, workspace_id)
                kept = _open(secrets, workspace_id, source_id, sealed)
                if kept.get("access_token") != stale.get("access_token"):
                    return kept
                if fresh is None:
                    fresh = dict(await refresh(kept))
                await connection.execute(
                    SQL["refreshed"], source_id, workspace_id, _seal(secrets, workspace_id, source_id, fresh),
                    expires_at(fresh),
                )  # fmt: skip
            return fresh
        except OutageFault:
            if fresh is None:
                raise
    raise OutageFault("database_away", "PostgreSQL cannot be reached.", detail="a refreshed token was not stored")


async def mark_verified(connection: Connection, source_id: UUID) -> None:
    """The source has just taken the credential."""
    await connection.execute(SQL["verified"], source_id)


def expires_at(credential: Credential) -> datetime | None:
    """When its access token ends, if that is known."""
    try:
        return datetime.fromtimestamp(int(credential["expires_at"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def ends_soon(credential: Credential, now: datetime) -> bool:
    """Whether it must be refreshed before it is used."""
    ends = expires_at(credential)
    return ends is not None and (ends - now).total_seconds() < MARGIN_SECONDS


def _seal(secrets: Secrets, workspace_id: UUID, source_id: UUID, credential: Credential) -> bytes:
    return secrets.seal(json.dumps(dict(credential)), workspace_id=workspace_id, row=row_of(source_id), field=FIELD)


def _open(secrets: Secrets, workspace_id: UUID, source_id: UUID, sealed: bytes | None) -> dict[str, str]:
    if sealed is None:
        raise ConfigFault("credential_missing", "There is no credential for this account any more. Connect it again.")
    opened = secrets.open(bytes(sealed), workspace_id=workspace_id, row=row_of(source_id), field=FIELD)
    fields: dict[str, str] = json.loads(opened)
    return fields
