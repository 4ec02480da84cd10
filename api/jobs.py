"""Import jobs: how far they are, their calls, retry and cancel. Counts come from `job_calls` at every look."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from api import auth, failed_imports
from api.auth import Caller
from api.deps import must_be_operator
from api.paging import Items, cursor_id, cursor_text, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from streams.io import clock, queries, replays
from streams.io.store import in_workspace

SQL = queries.load("jobs")
MAX_ERRORS = 100

JobStatus = Literal["pending", "counting", "in_progress", "waiting", "completed", "partial", "failed", "cancelled"]
CallStatus = Literal["pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused"]


class Job(BaseModel):
    """A job and how far it is. `processed_calls` counts the calls that have come to an end, whichever."""

    id: UUID
    job_type: str
    source_app: str
    status: JobStatus
    total_calls: int
    processed_calls: int
    imported_calls: int
    updated_calls: int
    skipped_calls: int
    failed_calls: int
    waiting_calls: int
    estimated_completion_at: datetime | None
    last_error: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None


class JobError(BaseModel):
    """A call of a job that went wrong."""

    source_app: str
    external_id: str
    filename: str | None
    status: CallStatus
    reason: str | None
    at: datetime


class JobDetail(Job):
    """A job with its latest errors, at most 100."""

    errors: list[JobError]


class Transcription(BaseModel):
    """Where the speech to text of a call stands. `chunks_total` is null as long as nobody knows how many parts a
    recording has; one in a single piece has one."""

    state: Literal["waiting", "running", "done"]
    chunks_done: int
    chunks_total: int | None


class JobCall(BaseModel):
    """A call of a job. `detail` is the sentence for the person, `call_id` the call in the library once it is there.
    `transcription` is null for a call that came with its transcript, that has not got so far, or that failed."""

    source_app: str
    external_id: str
    filename: str | None
    status: CallStatus
    detail: str | None
    call_id: UUID | None
    failed_import_id: UUID | None
    next_retry_at: datetime | None
    transcription: Transcription | None
    updated_at: datetime


class Retried(BaseModel):
    """How many failed imports are on their way again."""

    retried_count: int


def status_of(
    counts: dict[str, int], *, total: int, open_ended: bool, cancelled: bool, broken: bool = False
) -> JobStatus:
    """A job's state out of its calls'. Discarded calls are neither good nor bad. `broken`: a replay that gave up."""
    ended = sum(counts.values()) - counts["pending"] - counts["waiting"]
    if cancelled or broken:
        return "cancelled" if cancelled else "failed"
    if counts["pending"] or open_ended:
        return "in_progress" if ended or counts["waiting"] else "pending"
    if counts["waiting"]:
        return "waiting"
    bad = counts["failed"] + counts["refused"]
    if not bad:
        return "completed"
    return "failed" if bad == total else "partial"


def estimate(started_at: datetime, now: datetime, ended: int, total: int) -> datetime | None:
    """When the job will be done if it goes on at its speed so far."""
    if not 0 < ended < total or now <= started_at:
        return None
    try:
        return now + (now - started_at) / ended * (total - ended)
    except OverflowError:
        return None


COUNTED = ("pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused")


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    counts = {name: row[name] for name in COUNTED}
    total = max(row["total_calls"], sum(counts.values()))
    ended = sum(counts.values()) - counts["pending"] - counts["waiting"]
    status = status_of(
        counts, total=total, open_ended=row["open_ended"], cancelled=row["cancelled_at"] is not None,
        broken=row["replay_state"] == "failed",
    )  # fmt: skip
    over = status in {"completed", "partial", "failed"}
    return {
        "id": row["job_id"],
        "job_type": row["job_type"],
        "source_app": row["source_app"],
        "status": status,
        "total_calls": total,
        "processed_calls": ended,
        "imported_calls": counts["imported"],
        "updated_calls": counts["updated"],
        "skipped_calls": counts["skipped"],
        "failed_calls": counts["failed"] + counts["refused"],
        "waiting_calls": counts["waiting"],
        "estimated_completion_at": (
            estimate(row["started_at"], max(now, row["started_at"] + timedelta(milliseconds=1)), ended, total)
            if status == "in_progress" else None
        ),
        "last_error": row["last_error"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "completed_at": row["cancelled_at"] or ((row["last_change"] or row["created_at"]) if over else None),
    }  # fmt: skip


async def list_jobs(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[Job]:
    """Jobs, newest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["list_jobs"], caller.workspace_id, None, *after, limit + 1)
    now = clock.now()
    return page(rows, limit, lambda row: Job(**_shown(row, now)), lambda row: (row["created_at"], row["job_id"]))


async def get_job(ports: Ports, caller: Caller, job_id: UUID) -> JobDetail:
    """One job with its latest errors."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["list_jobs"], caller.workspace_id, job_id, None, None, 1)
        if row is None:
            raise not_found("import")
        errors = await connection.fetch(SQL["job_errors"], caller.workspace_id, job_id, MAX_ERRORS)
    shown = [JobError(**{**dict(error), "at": error["updated_at"]}) for error in errors]
    detail = _shown(row, clock.now())
    if detail["last_error"] is None and shown:
        detail["last_error"] = shown[0].reason
    return JobDetail(**detail, errors=shown)


async def list_calls(
    ports: Ports, caller: Caller, job_id: UUID, status: list[CallStatus] | None, limit: int, cursor: str | None
) -> Items[JobCall]:
    """The calls of a job, in a fixed order that paging can rely on while states change."""
    after = decode_cursor(cursor, cursor_text, cursor_text)
    await _must_exist(ports, caller, job_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(
            SQL["list_job_calls"], caller.workspace_id, job_id, status or None, *after, limit + 1
        )
    return page(rows, limit, _shown_call, lambda row: (row["source_app"], row["external_id"]))


def _shown_call(row: Any) -> JobCall:
    again = row["next_retry_at"]
    detail = row["message"] or row["reason"]
    if detail and again:
        detail = f"{detail.rstrip('.')}. Next try {again:%H:%M} UTC."
    spoken = Transcription(**dict(row)) if row["state"] else None
    if detail is None and spoken is not None and row["status"] == "pending":
        detail = transcription_sentence(spoken)
    return JobCall(**{**dict(row), "detail": detail, "call_id": row["recording_id"], "transcription": spoken})


def transcription_sentence(spoken: Transcription) -> str | None:
    """What a person is told while a recording is turned into text."""
    if spoken.state == "waiting":
        return "Waiting to be transcribed."
    if spoken.state == "done":
        return None
    if spoken.chunks_total is None or spoken.chunks_total < 2:
        return "Being transcribed."
    return f"Being transcribed: {spoken.chunks_done} of {spoken.chunks_total} parts."


async def retry_failed(ports: Ports, caller: Caller, job_id: UUID) -> Retried:
    """Send every failed import of the job on its way again; the first at once, the rest behind the request."""
    await _must_exist(ports, caller, job_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["failed_of_job"], caller.workspace_id, job_id)
        await auth.audit(connection, caller, caller.workspace_id, "import.retried", str(job_id), count=len(rows))
    ids = [row["failed_import_id"] for row in rows]
    return Retried(retried_count=await failed_imports.retry_many(ports, caller, ids))


async def cancel(ports: Ports, caller: Caller, job_id: UUID) -> JobDetail:
    """Mark the job as cancelled. Calls that were accepted already still arrive: they were promised.

    A replay is cancelled as under `/api/replays`, by those who may start one.
    """
    before = await get_job(ports, caller, job_id)
    if before.status in {"completed", "partial", "failed"}:
        raise Problem(409, "already_over", f"This import is {before.status}: there is nothing left to cancel.")
    is_replay = before.job_type == "replay"
    if is_replay:
        must_be_operator(caller)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if not is_replay:
            await connection.execute(SQL["cancel_job"], caller.workspace_id, job_id)
        if not is_replay or await replays.cancel(connection, caller.workspace_id, job_id):
            action = "replay.cancelled" if is_replay else "import.cancelled"
            await auth.audit(connection, caller, caller.workspace_id, action, str(job_id))
    return await get_job(ports, caller, job_id)


async def _must_exist(ports: Ports, caller: Caller, job_id: UUID) -> None:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["job_exists"], caller.workspace_id, job_id)
    if row is None:
        raise not_found("import")
