"""Storing calls: one transaction a batch, idempotent, newer content over older. The promise's last step."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import structlog

from schemas.calls import Call
from schemas.faults import InvalidCall
from streams.io import clock, queries
from streams.io.store import Connection, outages

SQL = queries.load("persist")
log = structlog.get_logger("persist")
Key = tuple[UUID, str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one call. `result` other than imported or updated: nothing was written."""

    result: Literal["imported", "updated", "already_imported", "older_than_stored"]
    import_id: UUID | None
    recording_id: UUID | None
    imported_at: datetime | None
    owner_event_id: UUID | None


def key_of(call: Call) -> Key:
    """The call's identity in the database; the unique index over it is the law."""
    return (call.workspace_id, call.source_app, call.external_id)


async def store(pool: asyncpg.Pool, calls: Sequence[Call]) -> list[Stored]:
    """Store a batch of calls with different keys, in one transaction with their status rows and failed imports.

    Calling it again with the same calls gives the same answers. Raises `OutageFault`; `InvalidCall` for a call that
    names a workspace that is not there.
    """
    with outages():
        try:
            async with pool.acquire() as connection, connection.transaction():
                stored = await _store(connection, calls)
        except asyncpg.ForeignKeyViolationError as error:
            raise InvalidCall(
                "unknown_workspace", "The call belongs to a workspace that does not exist.", detail=str(error)
            ) from error
    await _file_in_vaults(pool, calls, stored)
    return stored


async def _store(connection: Connection, calls: Sequence[Call]) -> list[Stored]:
    written = {_key(row): row for row in await connection.fetch(SQL["upsert_recordings"], *_columns(calls))}
    rest = [call for call in calls if key_of(call) not in written]
    found = {_key(row): row for row in await connection.fetch(SQL["find_recordings"], *_keys(rest))} if rest else {}

    results: list[tuple[str, Any]] = []
    for call in calls:
        row = written.get(key_of(call))
        results.append(("imported" if row["is_new"] else "updated", row) if row else _unwritten(call, found))
    imports = await _set_status(connection, calls, results)
    await _remember_newer(connection, calls, results)
    return [
        Stored(
            result=result,  # type: ignore[arg-type]
            import_id=imports.get(key_of(call)),
            recording_id=row["recording_id"],
            imported_at=row["imported_at"],
            owner_event_id=row.get("event_id"),
        )
        for call, (result, row) in zip(calls, results, strict=True)
    ]


def _unwritten(call: Call, found: dict[Key, Any]) -> tuple[str, Any]:
    row = found[key_of(call)]
    if row["event_id"] == call.event_id:
        return ("updated" if row["was_updated"] else "imported", row)
    same = row["fingerprint"] == call.fingerprint
    return ("already_imported" if same else "older_than_stored", row)


async def _set_status(
    connection: Connection, calls: Sequence[Call], results: Sequence[tuple[str, Any]]
) -> dict[Key, UUID]:
    kept = [(c, result, row) for c, (result, row) in zip(calls, results, strict=True) if result in _WRITTEN]
    imports: dict[Key, UUID] = {}
    if kept:
        rows = await connection.fetch(
            SQL["upsert_imported_calls"],
            [clock.new_id() for _ in kept],
            *_keys([c for c, _, _ in kept]),
            [row["recording_id"] for _, _, row in kept],
            [result for _, result, _ in kept],
            [c.event_id for c, _, _ in kept],
        )
        imports = {_key(row): row["import_id"] for row in rows}
    jobs = [(c, result) for c, result, _ in kept if c.job_id]
    if jobs:
        await connection.execute(
            SQL["settle_job_calls"],
            [c.job_id for c, _ in jobs],
            [c.source_app for c, _ in jobs],
            [c.external_id for c, _ in jobs],
            [result for _, result in jobs],
        )
    await connection.execute(SQL["resolve_failed_imports"], *_keys(calls))
    return imports


async def _remember_newer(connection: Connection, calls: Sequence[Call], results: Sequence[tuple[str, Any]]) -> None:
    same = [c for c, (result, _) in zip(calls, results, strict=True) if result == "already_imported"]
    if same:
        await raise_observed(connection, same)


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
        await pool.execute(SQL["add_vault_entries"], *(list(column) for column in zip(*wanted, strict=True)))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        log.warning("vault_entry_failed", calls=len(wanted), error=repr(error))


_WRITTEN = ("imported", "updated")


def _key(row: Any) -> Key:
    return (row["workspace_id"], row["source_app"], row["external_id"])


def _keys(calls: Sequence[Call]) -> tuple[list[UUID], list[str], list[str]]:
    return [c.workspace_id for c in calls], [c.source_app for c in calls], [c.external_id for c in calls]


def _columns(calls: Sequence[Call]) -> list[list[Any]]:
    """The columns of `upsert_recordings`, in its order."""
    return [
        [clock.new_id() for _ in calls],
        *_keys(calls),
        [c.placement.owner_user_id for c in calls],
        [c.placement.bank_id for c in calls],
        [c.title for c in calls],
        [c.full_transcript for c in calls],
        [_json([s.model_dump() for s in c.segments]) for c in calls],
        [_json([p.model_dump(exclude_none=True) for p in c.participants]) for c in calls],
        [c.original_transcript for c in calls],
        [c.recording_start_time for c in calls],
        [c.duration_ms for c in calls],
        [c.language for c in calls],
        [_json(c.media.model_dump(exclude_none=True, exclude={"url"})) if c.media else None for c in calls],
        [_json(c.source_metadata) for c in calls],
        [c.metadata_quality for c in calls],
        [c.event_id for c in calls],
        [c.fingerprint for c in calls],
        [c.observed_at for c in calls],
        [c.received_at for c in calls],
        [c.job_id for c in calls],
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
