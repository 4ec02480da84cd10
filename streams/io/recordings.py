"""Storing calls: one transaction a batch, idempotent, newer content over older. The promise's last step."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

import asyncpg
import structlog

from schemas.calls import Call, Event
from schemas.faults import InvalidCall
from streams.io import erase, queries
from streams.io.store import Connection, outages

SQL = queries.load("persist")
log = structlog.get_logger("persist")
Key = tuple[UUID, str, str]
MAX_CALL = 64 * 1024**2
MAX_BATCH = 32 * 1024**2
"""In characters. PostgreSQL drops a connection that sends it 1 GB at once, which would look like an outage."""
VAULT_SECONDS = 10
RACES = 5
"""How often a batch may meet another worker's in a row."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one call. `result` other than imported or updated: nothing was written."""

    result: Literal["imported", "updated", "already_imported", "older_than_stored", "erased"]
    import_id: UUID | None
    recording_id: UUID | None
    imported_at: datetime | None
    owner_event_id: UUID | None


def key_of(call: Event) -> Key:
    """The call's identity in the database; the unique index over it is the law."""
    return (call.workspace_id, call.source_app, call.external_id)


async def store(pool: asyncpg.Pool, calls: Sequence[Call]) -> list[Stored]:
    """Store a batch of calls with different keys, in one transaction with their status rows and failed imports.

    Calling it again with the same calls gives the same answers. Very large calls make a transaction of their own.
    Raises `OutageFault`; `InvalidCall` for a call that names a workspace that is not there, or that PostgreSQL cannot
    hold.
    """
    stored: list[Stored] = []
    for part, rows in _parts(calls):
        stored += await _store_part(pool, part, rows)
    await _file_in_vaults(pool, calls, stored)
    return stored


async def _store_part(pool: asyncpg.Pool, calls: Sequence[Call], rows: Sequence[Sequence[Any]]) -> list[Stored]:
    with outages():
        try:
            return await _store_at_last(pool, calls, rows)
        except asyncpg.ForeignKeyViolationError as error:
            raise InvalidCall(
                "unknown_workspace", "The call belongs to a workspace that does not exist.", detail=str(error)
            ) from error
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise InvalidCall(
                "unstorable_value", "The call holds a value that the database cannot store.", detail=str(error)
            ) from error


async def _store_at_last(pool: asyncpg.Pool, calls: Sequence[Call], rows: Sequence[Sequence[Any]]) -> list[Stored]:
    """Two workers with the same new call meet at its primary key, which ON CONFLICT does not watch. The one who comes
    second finds the row at its next try."""
    for _ in range(RACES):
        with suppress(asyncpg.UniqueViolationError):
            async with pool.acquire() as connection, connection.transaction():
                return await _store(connection, calls, rows)
    async with pool.acquire() as connection, connection.transaction():
        return await _store(connection, calls, rows)


def _parts(calls: Sequence[Call]) -> Iterator[tuple[list[Call], list[list[Any]]]]:
    """The calls with their rows, in batches that PostgreSQL can take at once."""
    part: list[Call] = []
    rows: list[list[Any]] = []
    size = 0
    for call in calls:
        row = _row(call)
        length = sum(len(value) for value in row if isinstance(value, str))
        if length > MAX_CALL:
            raise InvalidCall("call_too_large", "The call's transcript and metadata are too large to be stored.")
        if part and size + length > MAX_BATCH:
            yield part, rows
            part, rows, size = [], [], 0
        part.append(call)
        rows.append(row)
        size += length
    if part:
        yield part, rows


async def _store(connection: Connection, calls: Sequence[Call], rows: Sequence[Sequence[Any]]) -> list[Stored]:
    await erase.hold_erasing(connection, [call.workspace_id for call in calls])
    columns = (list(column) for column in zip(*rows, strict=True))
    written = {_key(row): row for row in await connection.fetch(SQL["upsert_recordings"], *columns)}
    rest = [call for call in calls if key_of(call) not in written]
    found = {_key(row): row for row in await connection.fetch(SQL["find_recordings"], *_keys(rest))} if rest else {}
    erased = await _leave_erased(connection, [call for call in rest if key_of(call) not in found])

    results: list[tuple[str, Any]] = []
    for call in calls:
        row = written.get(key_of(call))
        if row is None and key_of(call) in erased:
            results.append(("erased", {}))
        else:
            results.append(("imported" if row["is_new"] else "updated", row) if row else _unwritten(call, found))
    imports = await _set_status(connection, calls, results)
    await _remember_newer(connection, calls, results)
    await close_books(connection, [key_of(call) for call in calls])
    return [
        Stored(
            result=result,  # type: ignore[arg-type]
            import_id=imports.get(key_of(call)),
            recording_id=row.get("recording_id"),
            imported_at=row.get("imported_at"),
            owner_event_id=row.get("event_id"),
        )
        for call, (result, row) in zip(calls, results, strict=True)
    ]


async def _leave_erased(connection: Connection, calls: Sequence[Call]) -> set[Key]:
    """Which of these calls were erased. What came with them once more is noted, to be removed."""
    erased = await erase.erased(connection, [key_of(call) for call in calls]) if calls else set()
    left = [
        (key_of(call), call.media.ref if call.media else None, call.media.sha256 if call.media else None, call.event_id)
        for call in calls
        if key_of(call) in erased
    ]
    if left:
        await erase.note_left(connection, left)
    return erased


def _unwritten(call: Call, found: dict[Key, Any]) -> tuple[str, Any]:
    row = found[key_of(call)]
    if row["event_id"] == call.event_id and call.replay_id in (None, row["replay_id"]):
        return (row["outcome"], row)
    same = row["fingerprint"] == call.fingerprint or row["event_id"] == call.event_id
    return ("already_imported" if same else "older_than_stored", row)


async def _set_status(
    connection: Connection, calls: Sequence[Call], results: Sequence[tuple[str, Any]]
) -> dict[Key, UUID]:
    kept = [(c, result, row) for c, (result, row) in zip(calls, results, strict=True) if result in _WRITTEN]
    imports: dict[Key, UUID] = {}
    if kept:
        rows = await connection.fetch(
            SQL["upsert_imported_calls"],
            [named_id("import", key_of(c)) for c, _, _ in kept],
            *_keys([c for c, _, _ in kept]),
            [row["recording_id"] for _, _, row in kept],
            [result for _, result, _ in kept],
            [c.event_id for c, _, _ in kept],
        )
        imports = {_key(row): row["import_id"] for row in rows}
    jobs = [(job, c, result) for c, result, _ in kept for job in (c.job_id, c.replay_id) if job]
    if jobs:
        await lock_job_calls(connection, [(job, c) for job, c, _ in jobs])
        await connection.execute(
            SQL["settle_job_calls"],
            [c.workspace_id for _, c, _ in jobs],
            [job for job, _, _ in jobs],
            [c.source_app for _, c, _ in jobs],
            [c.external_id for _, c, _ in jobs],
            [result for _, _, result in jobs],
        )
    return imports


async def _remember_newer(connection: Connection, calls: Sequence[Call], results: Sequence[tuple[str, Any]]) -> None:
    same = [c for c, (result, _) in zip(calls, results, strict=True) if result == "already_imported"]
    if same:
        await raise_observed(connection, same)


async def lock_job_calls(connection: Connection, calls: Sequence[tuple[UUID, Event]]) -> None:
    """Lock the rows of these calls in their jobs, so that two batches with the same calls never wait for each other."""
    await connection.execute(
        SQL["lock_job_calls"],
        [job for job, _ in calls],
        [c.source_app for _, c in calls],
        [c.external_id for _, c in calls],
    )


async def close_books(connection: Connection, keys: Sequence[Key]) -> None:
    """Resolve the failed imports that stored content has made needless, and settle the jobs that wait for them."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    await connection.execute(SQL["resolve_failed_imports"], *columns)
    await connection.execute(SQL["settle_failed_job_calls"], *columns)


async def raise_observed(connection: Connection, calls: Sequence[Any]) -> None:
    """Remember that stored content was seen again later. Takes calls or skipped events."""
    await connection.execute(
        SQL["raise_observed"],
        [c.workspace_id for c in calls],
        [c.source_app for c in calls],
        [c.external_id for c in calls],
        [c.fingerprint for c in calls],
        [c.observed_at for c in calls],
    )


async def _file_in_vaults(pool: asyncpg.Pool, calls: Sequence[Call], stored: Sequence[Stored]) -> None:
    wanted = [
        (call.workspace_id, call.placement.vault_id, result.recording_id)
        for call, result in zip(calls, stored, strict=True)
        if call.placement.vault_id and result.recording_id
    ]
    if not wanted:
        return
    try:
        columns = [list(column) for column in zip(*wanted, strict=True)]
        await pool.execute(SQL["add_vault_entries"], *columns, timeout=VAULT_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        log.warning("vault_entry_failed", calls=len(wanted), error=repr(error))


_WRITTEN = ("imported", "updated")


def _key(row: Any) -> Key:
    return (row["workspace_id"], row["source_app"], row["external_id"])


def _keys(calls: Sequence[Call]) -> tuple[list[UUID], list[str], list[str]]:
    return [c.workspace_id for c in calls], [c.source_app for c in calls], [c.external_id for c in calls]


def _row(call: Call) -> list[Any]:
    """The columns of `upsert_recordings`, in its order."""
    return [
        named_id("recording", key_of(call)),
        *key_of(call),
        call.placement.owner_user_id,
        call.placement.bank_id,
        call.title,
        call.full_transcript,
        _json([s.model_dump() for s in call.segments]),
        _json([p.model_dump(exclude_none=True) for p in call.participants]),
        call.original_transcript,
        call.recording_start_time,
        call.duration_ms,
        call.language,
        _json(call.media.model_dump(exclude_none=True, exclude={"url"})) if call.media else None,
        _json(call.source_metadata),
        call.metadata_quality,
        call.event_id,
        call.fingerprint,
        call.observed_at,
        call.received_at,
        call.job_id,
        call.replay_id,
        call.source_id,
        _speakers(call),
    ]


def _speakers(call: Call) -> str:
    """Who speaks or takes part, as it is searched."""
    names = [s.speaker for s in call.segments] + [p.name for p in call.participants]
    return "\n".join(dict.fromkeys(name.lower() for name in names if name))


def named_id(what: str, key: Key) -> UUID:
    """The same id for the same call, always: links to a call hold when its row is made again by a replay."""
    workspace_id, source_app, external_id = key
    return uuid5(workspace_id, f"{what}:{source_app}:{external_id}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
