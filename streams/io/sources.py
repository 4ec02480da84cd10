"""Sources: connected accounts with their schedule and the sentence that says why one stands still.

Functions take a connection, in a workspace (`in_workspace`) or of the pipeline; errors of the database are its
`outages()` to translate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.faults import ConfigFault
from streams.io import clock, credentials, queries
from streams.io.secrets import Secrets
from streams.io.store import Connection, Pool

SQL = queries.load("sources")


@dataclass(frozen=True, slots=True)
class Source:
    """A connected account. `error_message` is what a person must do before it goes on; None: it goes on."""

    source_id: UUID
    workspace_id: UUID
    user_id: UUID
    source_app: str
    account_email: str
    account_id: str
    is_active: bool
    one_off: bool
    keep_recordings: bool
    error_reason: str | None
    error_message: str | None
    synced_until: datetime | None
    last_sync_at: datetime | None
    found_by_poll: int
    created_at: datetime
    enabled: bool | None
    """Whether it is synced by itself. None, as all of the schedule: an import by support has none."""
    sync_frequency_minutes: int | None
    next_sync_at: datetime | None
    credential_id: UUID | None
    """None, as all of the credential: it was deleted, because the import it was for is over."""
    credential_type: str | None
    scopes: tuple[str, ...] | None
    expires_at: datetime | None
    last_verified_at: datetime | None

    @property
    def account(self) -> str:
        """What its limits are counted under, for all sources of the same account."""
        return f"{self.source_app}:{self.account_id.partition('::')[0] or self.source_id}"


async def create_or_reconnect(
    connection: Connection, secrets: Secrets, *, workspace_id: UUID, user_id: UUID, source_app: str, account_email: str,
    kind: str, credential: Mapping[str, str], account_id: str = "", scopes: Sequence[str] = (), sync_minutes: int = 60,
    sync_enabled: bool = True, keep_recordings: bool = False, one_off: bool = False,
) -> tuple[Source, bool]:  # fmt: skip
    """Keep an account whose credential has just been checked; True: it is a new one.

    The same person's same account again is the same source: it gets the new credential, its error is cleared, and it
    is due at once. Without `scopes` those count that the authorization server named. An import by support (`one_off`)
    is a source of its own each time and has no schedule. Raises `ConfigFault` when the account is connected in another
    workspace of the same person.
    """
    wanted = clock.new_id()
    source_id = await connection.fetchval(
        SQL["connect"], wanted, workspace_id, user_id, source_app, account_email, account_id, one_off, keep_recordings
    )
    if source_id is None:
        sentence = "This account is connected in another workspace of yours already. Disconnect it there first."
        raise ConfigFault("account_elsewhere", sentence)
    granted = scopes or credential.get("scope", "").split()
    await credentials.put(connection, secrets, workspace_id, source_id, kind, credential, granted)
    if not one_off:
        await connection.execute(SQL["schedule_first"], source_id, workspace_id, sync_enabled, sync_minutes)
    source = await get(connection, workspace_id, source_id)
    assert source is not None  # noqa: S101 - it was written in this transaction
    return source, source_id == wanted


async def get(connection: Connection | Pool, workspace_id: UUID | None, source_id: UUID) -> Source | None:
    """A source of a workspace; with None of any workspace, which only the pipeline sees."""
    row = await connection.fetchrow(SQL["get"], source_id, workspace_id)
    return None if row is None else source_of(row)


async def list_sources(
    connection: Connection, workspace_id: UUID, *, limit: int = 200, before: tuple[datetime, UUID] | None = None
) -> list[Source]:
    """The sources of a workspace without imports by support, newest first. `before`: (created_at, source_id)."""
    rows = await connection.fetch(SQL["list"], workspace_id, *(before or (None, None)), limit)
    return [source_of(row) for row in rows]


async def change(
    connection: Connection, workspace_id: UUID, source_id: UUID, *, is_active: bool | None = None,
    keep_recordings: bool | None = None,
) -> bool:  # fmt: skip
    """Pause (`is_active=False`), resume (True: its error is cleared, too), keep recordings or not. False: no such
    source."""
    found = await connection.fetchval(SQL["change"], workspace_id, source_id, is_active, keep_recordings)
    return found is not None


async def pause(connection: Connection, workspace_id: UUID, source_id: UUID) -> bool:
    """No syncs until it is resumed. False: no such source."""
    return await change(connection, workspace_id, source_id, is_active=False)


async def resume(connection: Connection, workspace_id: UUID, source_id: UUID) -> bool:
    """It goes on, with a sync at once. False: no such source."""
    found = await change(connection, workspace_id, source_id, is_active=True)
    await sync_now(connection, source_id)
    return found


async def set_schedule(
    connection: Connection, workspace_id: UUID, source_id: UUID, *, enabled: bool | None = None,
    minutes: int | None = None,
) -> bool:  # fmt: skip
    """Sync by itself or not, and how often. False: no such source, or one without a schedule."""
    return await connection.fetchval(SQL["schedule"], workspace_id, source_id, enabled, minutes) is not None


async def sync_now(connection: Connection, source_id: UUID) -> None:
    """Its next sync is due at once."""
    await connection.execute(SQL["sync_now"], source_id)


async def set_error(
    connection: Connection, source_id: UUID, reason: str, sentence: str, *, seen: datetime | None = None
) -> None:
    """It stands still until a person has done what the sentence says.

    `seen` is the `last_verified_at` of the source that was asked: whatever failed with an older credential is no error
    of the one that a person has entered meanwhile.
    """
    await connection.execute(SQL["set_error"], source_id, reason, sentence, seen)


async def clear_error(connection: Connection, source_id: UUID) -> None:
    """What was wrong is mended."""
    await connection.execute(SQL["clear_error"], source_id)


async def mark_verified(connection: Connection, source_id: UUID) -> None:
    """The source took the credential just now, so it has no error either."""
    await credentials.mark_verified(connection, source_id)
    await clear_error(connection, source_id)


async def delete(connection: Connection, workspace_id: UUID, source_id: UUID) -> tuple[str, str] | None:
    """Disconnect: credential, schedule and running jobs end, the calls stay. Its platform and account; None: none."""
    await connection.execute(SQL["cancel_jobs"], workspace_id, source_id)
    row = await connection.fetchrow(SQL["delete"], workspace_id, source_id)
    return None if row is None else (row["source_app"], row["account_email"])


def source_of(row: Any) -> Source:
    """The source in a row that has all its columns."""
    values = {field.name: row[field.name] for field in fields(Source)}
    return Source(**{**values, "scopes": None if values["scopes"] is None else tuple(values["scopes"])})
