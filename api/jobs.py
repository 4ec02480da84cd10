"""Import jobs: how far they are, their calls, retry and cancel. Counts come from `job_calls` at every look."""

from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel

from api import auth, failed_imports
from api.auth import Caller
from api.deps import must_be_operator
from api.paging import Items, cursor_id, cursor_text, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from connectors.pacing import seconds_for
from connectors.registry import CONNECTORS
from schemas.faults import OutageFault
from streams.io import clock, pulls, queries, replays
from streams.io.store import in_workspace

SQL = queries.load("jobs")
MAX_ERRORS = 100

JobStatus = Literal["pending", "counting", "in_progress", "waiting", "completed", "partial", "failed", "cancelled"]
CallStatus = Literal["pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused"]


class Job(BaseModel):
    """A job and how far it is. `processed_calls` counts the calls that have come to an end, whichever.

    `total_calls` is what the source says there are, as long as the job is not through with its list. `resume_at`: a
    limit or a fault of the source stops it until then, and `last_error` says which.
    """

    id: UUID
    job_type: str
    source_app: str
    source_id: UUID | None = None
    status: JobStatus
    total_calls: int
    processed_calls: int
    imported_calls: int
    updated_calls: int
    skipped_calls: int
    failed_calls: int
    waiting_calls: int
    resume_at: datetime | None = None
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


@dataclass(frozen=True, slots=True)
class Pulling:
    """Where a job stands that pulls. `waiting_until`: when the last of its waiting calls is looked at again."""

    phase: Literal["counting", "pulling", "done"]
    resume_at: datetime | None = None
    estimated_calls: int | None = None
    failed_at: datetime | None = None
    waiting_until: datetime | None = None


def status_of(
    counts: dict[str, int],
    *,
    total: int,
    open_ended: bool,
    cancelled: bool,
    broken: bool = False,
    pulling: Pulling | None = None,
    now: datetime | None = None,
) -> JobStatus:
    """A job's state out of its calls'. Discarded calls are neither good nor bad. `broken`: a replay that gave up.

    One that pulls says as well whether it counts, and whether the source lets it wait; one that gave up has failed,
    whatever it brought before.
    """
    ended = sum(counts.values()) - counts["pending"] - counts["waiting"]
    if cancelled or broken or (pulling and pulling.failed_at):
        return "cancelled" if cancelled else "failed"
    if pulling and now and pulling.phase != "done" and pulling.resume_at and pulling.resume_at > now:
        return "waiting"
    if pulling and pulling.phase == "counting":
        return "counting"
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


def pull_estimate(
    source_app: str, pulling: Pulling, *, started_at: datetime, now: datetime, known: int, ended: int, total: int
) -> datetime | None:
    """When a job that pulls will be done: not before its source lets it go on, not faster than the source's limits
    allow, and not faster than it went so far. None where the source does not say how many calls there are."""
    begins = max(now, pulling.resume_at) if pulling.resume_at else now
    ends: list[datetime] = [pulling.waiting_until] if pulling.waiting_until else []
    if pulling.phase != "done":
        connector = CONNECTORS.get(source_app)
        if pulling.estimated_calls is None or connector is None or connector.pull is None:
            return None
        left = max(0, pulling.estimated_calls - known)
        seconds = seconds_for(left, connector.pull.spends, connector.limits, begins)
        try:
            ends.append(begins + timedelta(seconds=seconds))
        except OverflowError:
            return None
    if (so_far := estimate(started_at, now, ended, total)) is not None:
        ends.append(so_far + (begins - now))
    return max(ends) if ends else None


COUNTED = ("pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused")


def _pulling(row: Any) -> Pulling | None:
    return Pulling(**{each.name: row[each.name] for each in fields(Pulling)}) if row["phase"] else None


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    counts = {name: row[name] for name in COUNTED}
    known, pulling = sum(counts.values()), _pulling(row)
    listing = pulling is not None and pulling.phase != "done" and row["cancelled_at"] is None
    total = max(row["total_calls"], known, (row["estimated_calls"] or 0) if listing else 0)
    ended = known - counts["pending"] - counts["waiting"]
    status = status_of(
        counts, total=total, open_ended=row["open_ended"], cancelled=row["cancelled_at"] is not None,
        broken=row["replay_state"] == "failed", pulling=pulling, now=now,
    )  # fmt: skip
    return {
        "id": row["job_id"],
        "job_type": row["job_type"],
        "source_app": row["source_app"],
        "source_id": row["source_id"],
        "status": status,
        "total_calls": total,
        "processed_calls": ended,
        "imported_calls": counts["imported"],
        "updated_calls": counts["updated"],
        "skipped_calls": counts["skipped"],
        "failed_calls": counts["failed"] + counts["refused"],
        "waiting_calls": counts["waiting"],
        "resume_at": row["resume_at"] if status == "waiting" else None,
        "estimated_completion_at": _estimated(row, status, pulling, now, known, ended, total),
        "last_error": row["last_error"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "completed_at": _completed_at(row) if status in {"completed", "partial", "failed", "cancelled"} else None,
    }


def _estimated(
    row: Any, status: JobStatus, pulling: Pulling | None, now: datetime, known: int, ended: int, total: int
) -> datetime | None:
    started, running = row["started_at"], status in {"pending", "counting", "in_progress", "waiting"}
    moment = max(now, started + timedelta(milliseconds=1))
    if pulling is not None and running:
        return pull_estimate(
            row["source_app"], pulling, started_at=started, now=moment, known=known, ended=ended, total=total
        )
    return estimate(started, moment, ended, total) if status == "in_progress" else None


def _completed_at(row: Any) -> datetime:
    if row["cancelled_at"]:
        return cast(datetime, row["cancelled_at"])
    ends = [row["failed_at"] or row["done_at"], row["last_change"]]
    return cast(datetime, max((end for end in ends if end), default=row["created_at"]))


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
    if again and row["status"] == "waiting" and not detail:
        detail = "Waiting for the source."
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
    """Send every failed import of the job on its way again; the first at once, the rest behind the request. Calls that
    could not be read at their source are read again."""
    await _must_exist(ports, caller, job_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["failed_of_job"], caller.workspace_id, job_id)
        source = await connection.fetchrow(SQL["job_source"], caller.workspace_id, job_id)
        again = await pulls.read_again(connection, caller.workspace_id, job_id) if source else 0
        count = len(rows) + again
        await auth.audit(connection, caller, caller.workspace_id, "import.retried", str(job_id), count=count)
    if again:
        with suppress(OutageFault):  # then the schedule does it
            await pulls.wake(ports.bus, pulls.ref_of(source))
    ids = [row["failed_import_id"] for row in rows]
    return Retried(retried_count=again + await failed_imports.retry_many(ports, caller, ids))


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
            await connection.execute(SQL["stop_waiting"], caller.workspace_id, job_id)
        if not is_replay or await replays.cancel(connection, caller.workspace_id, job_id):
            action = "replay.cancelled" if is_replay else "import.cancelled"
            await auth.audit(connection, caller, caller.workspace_id, action, str(job_id))
    return await get_job(ports, caller, job_id)


async def _must_exist(ports: Ports, caller: Caller, job_id: UUID) -> None:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["job_exists"], caller.workspace_id, job_id)
    if row is None:
        raise not_found("import")
