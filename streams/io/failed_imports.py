"""Dead letters become failed imports; failed imports go back as retries or are let go."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from schemas.calls import ClaimReleased, Event
from schemas.dead_letter import PREFIX, Headers, death_of
from schemas.topics import BY_NAME, NORMALIZED
from schemas.topics import DEAD as DEAD_TOPIC
from streams.io import clock, erase, queries
from streams.io.bus import ATTEMPT, REPLAY_ID, Bus, header
from streams.io.recordings import close_books, named_id
from streams.io.store import Connection, in_workspace, outages

DEAD = queries.load("dead_letters")
RETRY = queries.load("retries")
RETRY_OF = "retry_of"
"""Header of a retried event that has no id: the identity of its first dead letter, so that it fails as the same one."""
_PLACE = re.compile(r"[\w.-]{1,249}/\d{1,10}/\d{1,19}", re.ASCII)


def next_retry(kind: str, attempt: int, schedule: Sequence[int], max_attempts: int, now: datetime) -> datetime | None:
    """When to try again by itself: `transient` faults only, after 5 min, 30 min, 1 h, 3 h, 6 h, then every 6 h."""
    if kind != "transient" or attempt >= max_attempts or not schedule:
        return None
    return now + timedelta(seconds=schedule[min(attempt, len(schedule)) - 1])


def identity_of(headers: Headers, body: dict[str, Any], place: str) -> tuple[str, UUID | None]:
    """What makes a dead letter the same as an earlier one: its event id, or where it first lay if it never had one."""
    event_id = _uuid(header(headers, "ce_id")) or _uuid(body.get("event_id"))
    if event_id:
        return str(event_id), event_id
    first = header(headers, RETRY_OF) or ""
    return (first if _PLACE.fullmatch(first) else place[:300]), None


def parties_of(key: bytes | None) -> tuple[UUID | None, str | None, str | None]:
    """Workspace, source and external id out of a Kafka key; None for what cannot be read."""
    text = (key or b"").decode("utf-8", "replace").replace("\x00", "")
    workspace, _, rest = text.partition(":")
    source, _, external_id = rest.partition(":")
    try:
        workspace_id = UUID(workspace)
    except ValueError:
        return None, None, text[:512] or None
    return workspace_id, source[:40] or None, external_id[:512] or None


async def record(
    pool: asyncpg.Pool,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    at: tuple[str, int, int],
    schedule: Sequence[int],
    max_attempts: int,
) -> None:
    """Keep one dead letter. Idempotent; whatever is in it, it is kept. `at`: topic, partition, offset of the letter."""
    now = clock.now()
    death = death_of(headers, topic=at[0], partition=at[1], offset=at[2], now=now)
    original = [(name, data) for name, data in headers if not name.startswith(PREFIX)]
    body = _body(value)
    identity, event_id = identity_of(original, body, f"{death.topic}/{death.partition}/{death.offset}")
    workspace_id, source_app, external_id = parties_of(key)
    replay_id = _uuid(header(original, REPLAY_ID)) or _uuid(body.get("replay_id"))
    job_id = replay_id or _uuid(body.get("job_id"))
    parked = death.attempt >= max_attempts
    with outages():
        async with pool.acquire() as connection, connection.transaction():
            call = (workspace_id, source_app, external_id) if workspace_id and source_app and external_id else None
            if call is not None and await _is_erased(connection, call, event_id, job_id):
                return
            if call is not None and event_id:
                await connection.execute(DEAD["make_call"], named_id("import", call), *call, event_id)
                await connection.execute(DEAD["lock_call"], *call)
            kept = await connection.fetchval(
                DEAD["record_dead_letter"], clock.new_id(), workspace_id, identity, event_id, source_app, external_id,
                job_id, _time(body.get("observed_at")), _text(death.stage), _text(death.kind), _text(death.reason),
                _text(death.message), _text(death.detail), death.attempt, death.kind != "rejected",
                next_retry(death.kind, death.attempt, schedule, max_attempts, now),
                "parked" if parked else "open", death.fingerprint, death.topic, death.partition, death.offset,
                key, value, [[n, base64.b64encode(d or b"").decode()] for n, d in original],
                _utc(death.at) or now, replay_id,
            )  # fmt: skip
            if (kept or replay_id) is None or workspace_id is None or source_app is None or external_id is None:
                return
            if job_id:
                await connection.execute(
                    DEAD["fail_job_call"], job_id, source_app, external_id, _text(death.message), workspace_id
                )
            await connection.execute(
                DEAD["fail_imported_call"], workspace_id, source_app, external_id, _text(death.message),
                death.attempt - 1,
            )  # fmt: skip
            await close_books(connection, [(workspace_id, source_app, external_id)])


async def _is_erased(connection: Connection, call: erase.Key, event_id: UUID | None, job_id: UUID | None) -> bool:
    """Whether the call was erased. Then nothing of it is kept, and its job reads why."""
    await erase.hold_erasing(connection, [call[0]])
    if not await erase.erased(connection, [call]):
        return False
    if event_id:
        await erase.note_left(connection, [(call, None, None, event_id)])
    if job_id:
        await connection.execute(DEAD["skip_erased"], *call, job_id, erase.ERASED)
    return True


async def retry(pool: asyncpg.Pool, bus: Bus, workspace_id: UUID, failed_import_id: UUID) -> None:
    """Send the untouched original back to the topic of the stage that failed, with the same event id.

    Raises `LookupError` when there is nothing to retry, `OutageFault` when Kafka is away (the row is as it was).
    """
    async with in_workspace(pool, workspace_id) as connection:
        await connection.execute(RETRY["await_job_call"], failed_import_id, workspace_id)
        row = await connection.fetchrow(RETRY["start_retry"], failed_import_id, workspace_id)
        if row is None or row["origin_topic"] not in BY_NAME or row["origin_topic"] == DEAD_TOPIC.name:
            raise LookupError(failed_import_id)
    ours = (ATTEMPT, RETRY_OF)
    headers = [(name, base64.b64decode(data)) for name, data in row["original_headers"] if name not in ours]
    headers.append((ATTEMPT, str(row["attempts"] + 1).encode()))
    if row["event_id"] is None:
        headers.append((RETRY_OF, row["identity"].encode()))
    try:
        await bus.send(row["origin_topic"], row["original_key"], row["original_value"], headers)
    except BaseException:
        await _not_sent(pool, workspace_id, row)
        raise


async def _not_sent(pool: asyncpg.Pool, workspace_id: UUID, row: Any) -> None:
    async with in_workspace(pool, workspace_id) as connection:
        if row["job_id"]:
            await connection.execute(
                DEAD["fail_job_call"], row["job_id"], row["source_app"], row["external_id"], row["message"],
                workspace_id,
            )  # fmt: skip
        await connection.execute(
            RETRY["reopen"], row["failed_import_id"], row["old_status"], row["old_retried_at"],
            row["old_next_retry_at"],
        )  # fmt: skip


async def discard(pool: asyncpg.Pool, bus: Bus, workspace_id: UUID, failed_import_id: UUID) -> None:
    """Let go of a failed import and release its claim, so that the call may come again. Raises `LookupError`."""
    async with in_workspace(pool, workspace_id) as connection:
        await connection.execute(RETRY["discard_call"], failed_import_id, workspace_id)
        row = await connection.fetchrow(RETRY["discard"], failed_import_id, workspace_id)
        if row is None:
            raise LookupError(failed_import_id)
        release = _release(workspace_id, row)
        if release is not None:
            # Inside the transaction: when Kafka is away nothing is discarded, and the person can try again.
            await bus.publish(NORMALIZED, release)


def _release(workspace_id: UUID, row: Any) -> Event | None:
    """The end of the event's claim; None for what cannot have one, because no valid event has such names."""
    try:
        return ClaimReleased(
            event_id=row["event_id"],
            workspace_id=workspace_id,
            source_app=row["source_app"],
            external_id=row["external_id"],
            observed_at=row["first_seen_at"],
            received_at=row["first_seen_at"],
        )
    except ValidationError:
        return None


async def due_retries(pool: asyncpg.Pool, *, stuck_seconds: float, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """(failed import, workspace) of what is to be retried now. For the scheduler, which sees all workspaces."""
    with outages():
        rows = await pool.fetch(RETRY["due_retries"], stuck_seconds, limit)
    return [(row["failed_import_id"], row["workspace_id"]) for row in rows]


def _body(value: bytes | None) -> dict[str, Any]:
    try:
        body = json.loads(value or b"{}")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _time(value: Any) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _utc(time: datetime) -> datetime | None:
    """The same moment as PostgreSQL can take it; None when it lies outside the calendar, or names no zone."""
    try:
        return time.astimezone(UTC) if time.tzinfo else None
    except OverflowError:
        return None


def _text(text: str) -> str:
    return text.replace("\x00", "")
