"""Failed imports: see them, group them, look at the original, retry one or many, discard."""

import asyncio
import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api import auth, bulk_retries, masking
from api.auth import Caller
from api.events import broker_away
from api.paging import (
    Items,
    Storable,
    cursor_count,
    cursor_id,
    cursor_text,
    cursor_time,
    decode_cursor,
    page,
)  # fmt: skip
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from schemas.faults import Fault
from streams.io import media, queries, retries
from streams.io.store import in_workspace

SQL = queries.load("failed_imports")

FailedStatus = Literal["open", "retrying", "resolved", "parked", "discarded"]
UNRESOLVED: tuple[FailedStatus, ...] = ("open", "retrying", "parked")
CAN_RETRY: tuple[FailedStatus, ...] = ("open", "parked")
MAX_CLAIM_BYTES = 8 * 1024**2
"""A larger original that lies in the media store is not opened for the detail page."""
DEFAULT_RATE = 50.0
LIKE, ESCAPED = re.compile(r"[\\%_]"), r"\\\g<0>"
"""What means something in a pattern of LIKE, and how it is meant word for word."""


class FailedImport(BaseModel):
    """A call that could not be imported, and why. `filename` is that of an uploaded file."""

    id: UUID
    event_id: UUID | None
    source_app: str | None
    external_id: str | None
    filename: str | None
    job_id: UUID | None
    stage: str
    kind: str
    reason: str
    message: str
    attempts: int
    retryable: bool
    next_retry_at: datetime | None
    retried_at: datetime | None
    status: FailedStatus
    fingerprint: str
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None


class Original(BaseModel):
    """The event as it came, with secrets hidden. `format` says whether `value` is JSON, text, or base64."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: dict[str, str]
    format: Literal["json", "text", "binary", "null"]
    value: Any
    size_bytes: int
    truncated: bool


class FailedImportDetail(FailedImport):
    """A failed import with the engineer's detail, the original, and the call in the library if it is there."""

    detail: str
    call_id: UUID | None
    original: Original


class FailedGroup(BaseModel):
    """Failed imports of the same cause, from these sources; `message` is that of one of them. `retryable`: some of them
    may become right by themselves."""

    fingerprint: str
    stage: str
    kind: str
    reason: str
    message: str
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    source_apps: list[str]
    retryable: bool


Word = Annotated[Storable, Field(max_length=512)]


class FailedFilter(BaseModel):
    """Which failed imports are meant. Everything given must fit; nothing given means all that are not resolved."""

    status: list[FailedStatus] | None = None
    stage: Word | None = None
    reason: Word | None = None
    source_app: Word | None = None
    fingerprint: Word | None = None
    job_id: UUID | None = None
    external_id: Word | None = None
    q: Word | None = Field(None, description="Words that all must stand in the message or the external id.")

    def values(self, default: tuple[FailedStatus, ...]) -> tuple[Any, ...]:
        """The bound values of the queries, in their order."""
        return (
            list(self.status or default), self.stage, self.reason, self.source_app, self.fingerprint, self.job_id,
            self.external_id, [f"%{LIKE.sub(ESCAPED, word)}%" for word in (self.q or "").split()] or None,
        )  # fmt: skip


class RetryMany(BaseModel):
    """Retry everything a filter means. `rate` is per second."""

    filter: FailedFilter = FailedFilter()
    dry_run: bool = False
    rate: float = Field(default=DEFAULT_RATE, gt=0, le=1000, allow_inf_nan=False)


class RetryManyAnswer(BaseModel):
    """How many will be retried (dry run: would be), and of a dry run also the groups they belong to. `bulk_retry_id` is
    what `GET /api/failed-imports/retries/{id}` tells the progress of; null for a dry run."""

    retry_count: int
    bulk_retry_id: UUID | None = None
    dry_run: bool = False
    groups: list[FailedGroup] | None = None


class StatusAnswer(BaseModel):
    """A failed import and its new state."""

    id: UUID
    status: FailedStatus


async def list_failed(
    ports: Ports, caller: Caller, wanted: FailedFilter, limit: int, cursor: str | None
) -> Items[FailedImport]:
    """Failed imports, latest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(
            SQL["list_failed"], caller.workspace_id, *wanted.values(UNRESOLVED), *after, limit + 1
        )
    return page(
        rows, limit, lambda row: FailedImport(**_shown(row)), lambda r: (r["last_seen_at"], r["failed_import_id"])
    )


async def list_groups(
    ports: Ports, caller: Caller, wanted: FailedFilter, limit: int, cursor: str | None
) -> Items[FailedGroup]:
    """Failed imports of the same cause as one item each, the largest group first."""
    after = decode_cursor(cursor, cursor_count, cursor_text)
    rows = await _groups(ports, caller, wanted, UNRESOLVED, after, limit + 1)
    return page(rows, limit, _group, lambda row: (row["count"], row["fingerprint"]))


async def _groups(
    ports: Ports,
    caller: Caller,
    wanted: FailedFilter,
    default: tuple[FailedStatus, ...],
    after: tuple[Any, ...],
    limit: int,
) -> list[Any]:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        return list(
            await connection.fetch(SQL["group_failed"], caller.workspace_id, *wanted.values(default), *after, limit)
        )


def _group(row: Any) -> FailedGroup:
    return FailedGroup(**{**dict(row), "message": masking.masked_text(row["message"])})


async def get_failed(ports: Ports, caller: Caller, failed_import_id: UUID) -> FailedImportDetail:
    """One failed import with its original, secrets hidden."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["find_failed"], caller.workspace_id, failed_import_id)
    if row is None:
        raise not_found("failed import")
    headers = masking.masked_headers(row["original_headers"])
    shown = await asyncio.to_thread(masking.masked_original, await _original(ports, row["original_value"], headers))
    key = row["original_key"]
    original = Original(
        topic=row["origin_topic"],
        partition=row["origin_partition"],
        offset=row["origin_offset"],
        key=masking.masked_text(key.decode("utf-8", "replace")) if key is not None else None,
        headers=headers,
        **shown,
    )
    shown_row = {**_shown(row), "detail": masking.masked_text(row["detail"])}
    return FailedImportDetail(**shown_row, original=original)


async def _original(ports: Ports, value: bytes | None, headers: dict[str, str]) -> bytes | None:
    """The value itself, or what it refers to in the media store (claim check) where that is there and not too large."""
    ref = headers.get("ce_dataref", "")
    if not ref.startswith("claims/") or ".." in ref:
        return value
    found = bytearray()
    try:
        async for chunk in media.stream(ports.store, ref):
            found += chunk
            if len(found) > MAX_CLAIM_BYTES:
                return value
    except Fault:
        return value
    return bytes(found)


def _shown(row: Any) -> dict[str, Any]:
    return {**dict(row), "id": row["failed_import_id"], "message": masking.masked_text(row["message"])}


async def retry(ports: Ports, caller: Caller, failed_import_id: UUID) -> StatusAnswer:
    """Send one on its way again, from the stage that failed. 404, or 409 where there is nothing to retry now."""
    await _must_be(ports, caller, failed_import_id, CAN_RETRY, "retry")
    await _retry_one(ports, caller, failed_import_id)
    await _audit(ports, caller, "failed_import.retried", str(failed_import_id))
    return StatusAnswer(id=failed_import_id, status="retrying")


async def discard(ports: Ports, caller: Caller, failed_import_id: UUID) -> StatusAnswer:
    """Let one go. The same call may come again later, as a new one."""
    await _must_be(ports, caller, failed_import_id, UNRESOLVED, "discard")
    try:
        async with asyncio.timeout(BROKER_SECONDS * 2):
            await retries.discard(ports.pool, ports.bus, caller.workspace_id, failed_import_id)
    except LookupError:
        raise _nothing_to("discard") from None
    except TimeoutError:
        raise broker_away() from None
    await _audit(ports, caller, "failed_import.discarded", str(failed_import_id))
    return StatusAnswer(id=failed_import_id, status="discarded")


async def retry_matching(ports: Ports, caller: Caller, wanted: RetryMany) -> RetryManyAnswer:
    """Count, or start retrying, everything a filter means."""
    if wanted.dry_run:
        rows = await _groups(ports, caller, wanted.filter, CAN_RETRY, (None, None), 1000)
        groups = [_group(row) for row in rows]
        return RetryManyAnswer(retry_count=sum(group.count for group in groups), dry_run=True, groups=groups)
    bulk_retry_id, count = await retry_all(ports, caller, wanted.filter, rate=wanted.rate)
    detail = wanted.filter.model_dump(mode="json", exclude_none=True)
    await _audit(ports, caller, "failed_imports.retried", str(bulk_retry_id), filter=detail, count=count,
                 rate=wanted.rate)  # fmt: skip
    return RetryManyAnswer(retry_count=count, bulk_retry_id=bulk_retry_id)


async def retry_all(
    ports: Ports, caller: Caller, wanted: FailedFilter, *, rate: float = DEFAULT_RATE
) -> tuple[UUID, int]:
    """Begin to retry everything a filter means, and how many that are. It goes on whatever becomes of this process."""
    shown = wanted.model_dump(mode="json", exclude_none=True)
    return await bulk_retries.begin(ports, caller, wanted.values(CAN_RETRY), shown, rate)


async def _retry_one(ports: Ports, caller: Caller, failed_import_id: UUID) -> None:
    try:
        async with asyncio.timeout(BROKER_SECONDS * 2):
            await retries.retry(ports.pool, ports.bus, caller.workspace_id, failed_import_id)
    except LookupError:
        raise _nothing_to("retry") from None
    except TimeoutError:
        raise broker_away() from None


async def _must_be(
    ports: Ports, caller: Caller, failed_import_id: UUID, allowed: tuple[FailedStatus, ...], what: str
) -> None:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        status = await connection.fetchval(SQL["failed_status"], caller.workspace_id, failed_import_id)
    if status is None:
        raise not_found("failed import")
    if status not in allowed:
        said = {"retrying": "is being retried already", "resolved": "is resolved", "discarded": "was discarded"}
        raise _nothing_to(what, f"This failed import {said.get(status, f'is {status}')}.")


def _nothing_to(what: str, sentence: str = "Somebody else was faster.") -> Problem:
    return Problem(409, f"cannot_{what}", f"{sentence} There is nothing to {what} now.")


async def _audit(ports: Ports, caller: Caller, action: str, target: str, **detail: Any) -> None:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await auth.audit(connection, caller, caller.workspace_id, action, target, **detail)
