"""Dead letters become failed imports; failed imports go back as retries or are let go."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from schemas.calls import ClaimReleased, Event
from schemas.dead_letter import PREFIX, Headers, death_of
from schemas.topics import BY_NAME, NORMALIZED
from schemas.topics import DEAD as DEAD_TOPIC
from streams.io import clock, queries
from streams.io.bus import ATTEMPT, Bus, header
from streams.io.store import in_workspace, outages

DEAD = queries.load("dead_letters")
RETRY = queries.load("retries")


def next_retry(kind: str, attempt: int, schedule: Sequence[int], max_attempts: int, now: datetime) -> datetime | None:
    """When to try again by itself: `transient` faults only, after 5 min, 30 min, 1 h, 3 h, 6 h, then every 6 h."""
    if kind != "transient" or attempt >= max_attempts or not schedule:
        return None
    return now + timedelta(seconds=schedule[min(attempt, len(schedule)) - 1])


def identity_of(headers: Headers, topic: str, partition: int, offset: int) -> tuple[str, UUID | None]:
    """What makes a dead letter the same as an earlier one: its event id, or where it lay if it never had one."""
    text = header(headers, "ce_id") or ""
    try:
        event_id = UUID(text)
    except ValueError:
        return f"{topic}/{partition}/{offset}", None
    return str(event_id), event_id


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
    identity, event_id = identity_of(original, death.topic, death.partition, death.offset)
    workspace_id, source_app, external_id = parties_of(key)
    body = _body(value)
    job_id = _uuid(body.get("job_id"))
    parked = death.attempt >= max_attempts
    with outages():
        async with pool.acquire() as connection, connection.transaction():
            kept = await connection.fetchval(
                DEAD["record_dead_letter"], clock.new_id(), workspace_id, identity, event_id, source_app, external_id,
                job_id, _text(death.stage), _text(death.kind), _text(death.reason), _text(death.message),
                _text(death.detail), death.attempt, death.kind != "rejected",
                next_retry(death.kind, death.attempt, schedule, max_attempts, now),
                "parked" if parked else "open", death.fingerprint, death.topic, death.partition, death.offset,
                key, value, [[n, base64.b64encode(d or b"").decode()] for n, d in original], death.at,
            )  # fmt: skip
            if kept is None or workspace_id is None or source_app is None or external_id is None:
                return
            if job_id:
                await connection.execute(DEAD["fail_job_call"], job_id, source_app, external_id, _text(death.message))
            if event_id:
                await connection.execute(
                    DEAD["fail_imported_call"], clock.new_id(), workspace_id, source_app, external_id,
                    _text(death.message), death.attempt - 1, event_id,
                )  # fmt: skip


async def retry(pool: asyncpg.Pool, bus: Bus, workspace_id: UUID, failed_import_id: UUID) -> None:
    """Send the untouched original back to the topic of the stage that failed, with the same event id.

    Raises `LookupError` when there is nothing to retry, `OutageFault` when Kafka is away (the row is open again).
    """
    async with in_workspace(pool, workspace_id) as connection:
        row = await connection.fetchrow(RETRY["start_retry"], failed_import_id, workspace_id)
        if row is None or row["origin_topic"] not in BY_NAME or row["origin_topic"] == DEAD_TOPIC.name:
            raise LookupError(failed_import_id)
        if row["job_id"] and row["source_app"] and row["external_id"]:
            await connection.execute(RETRY["await_job_call"], row["job_id"], row["source_app"], row["external_id"])
    headers = [(name, base64.b64decode(data)) for name, data in row["original_headers"] if name != ATTEMPT]
    headers.append((ATTEMPT, str(row["attempts"] + 1).encode()))
    try:
        await bus.send(row["origin_topic"], row["original_key"], row["original_value"], headers)
    except Exception:
        async with in_workspace(pool, workspace_id) as connection:
            await connection.execute(RETRY["reopen"], failed_import_id)
        raise


async def discard(pool: asyncpg.Pool, bus: Bus, workspace_id: UUID, failed_import_id: UUID) -> None:
    """Let go of a failed import and release its claim, so that the call may come again. Raises `LookupError`."""
    async with in_workspace(pool, workspace_id) as connection:
        row = await connection.fetchrow(RETRY["discard"], failed_import_id, workspace_id)
        if row is None:
            raise LookupError(failed_import_id)
        if row["source_app"] and row["external_id"]:
            await connection.execute(
                RETRY["discard_call"], workspace_id, row["source_app"], row["external_id"], row["job_id"]
            )
        if row["event_id"] and row["source_app"] and row["external_id"]:
            # Inside the transaction: when Kafka is away nothing is discarded, and the person can try again.
            await bus.publish(NORMALIZED, _release(workspace_id, row))


def _release(workspace_id: UUID, row: Any) -> Event:
    return ClaimReleased(
        event_id=row["event_id"],
        workspace_id=workspace_id,
        source_app=row["source_app"],
        external_id=row["external_id"],
        observed_at=row["first_seen_at"],
        received_at=row["first_seen_at"],
    )


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


def _text(text: str) -> str:
    return text.replace("\x00", "")
