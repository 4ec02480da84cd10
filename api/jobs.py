"""Import jobs: how far they are, their calls, retry and cancel. Counts come from `job_calls` at every look."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from api import auth, failed_imports
from api.auth import Caller
from api.deps import must_be_operator
from api.failed_imports import FailedFilter
from api.paging import MAX_LIMIT, Items, cursor_id, cursor_text, cursor_time, decode_cursor, encode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from connectors.pacing import seconds_for
from connectors.registry import CONNECTORS
from schemas.faults import OutageFault
from streams.io import clock, job_views, pulls, queries, replays
from streams.io.job_views import COUNTED, CallStatus, Job, JobStatus, Pulling, pulling_of, status_of
from streams.io.store import in_workspace

__all__ = ["COUNTED", "CallStatus", "Job", "JobStatus", "Pulling", "status_of"]
SQL = queries.load("jobs")
LIVE = queries.load("live")
MAX_ERRORS = 100
MAX_LOOKED_AT = 1000
"""Jobs that one request for a list goes through."""

AnyJobType = Literal["historical", "sync", "backfill", "upload", "replay"]


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
    """A call of a job. `detail` is the sentence for the person, `call_id` and `title` the call in the library once it
    is there.
    `transcription` is null for a call that came with its transcript, that has not got so far, or that failed."""

    source_app: str
    external_id: str
    filename: str | None
    title: str | None
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


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    known = sum(row[name] for name in COUNTED)
    shown = job_views.shown(row, now)
    ended, total = shown["processed_calls"], shown["total_calls"]
    estimated = _estimated(row, shown["status"], pulling_of(row), now, known, ended, total)
    return {**shown, "estimated_completion_at": estimated}


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


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant. Everything given must fit; nothing given means all."""

    status: Sequence[JobStatus] | None = None
    source_id: UUID | None = None
    job_type: Sequence[str] | None = None
    platform: str | None = None


async def list_jobs(
    ports: Ports, caller: Caller, limit: int, cursor: str | None, wanted: JobFilter = JobFilter()
) -> Items[Job]:
    """Jobs, newest first. A job's state is known only once its calls are counted, so a page by state may be shorter
    than `limit` (even empty) and have a cursor all the same: that many jobs are looked at in one request."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    size = MAX_LIMIT if wanted.status else limit + 1
    given = (wanted.source_id, wanted.job_type or None, wanted.platform)
    now, found, looked_at = clock.now(), list[Job](), 0
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        while True:
            rows = await connection.fetch(SQL["list_jobs"], caller.workspace_id, None, *after, size, *given)
            jobs = [Job(**_shown(row, now)) for row in rows]
            found += [job for job in jobs if not wanted.status or job.status in wanted.status]
            looked_at += len(rows)
            if len(found) > limit:
                return Items(items=found[:limit], next_cursor=_after(found[limit - 1]))
            if len(rows) < size:
                return Items(items=found)
            if looked_at >= MAX_LOOKED_AT:
                return Items(items=found, next_cursor=_after(jobs[-1]))
            after = (jobs[-1].created_at, jobs[-1].id)


def _after(job: Job) -> str:
    return encode_cursor((job.created_at, job.id))


async def get_job(ports: Ports, caller: Caller, job_id: UUID) -> JobDetail:
    """One job with its latest errors."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["list_jobs"], caller.workspace_id, job_id, None, None, 1, *[None] * 3)
        if row is None:
            raise not_found("import")
        errors = await connection.fetch(SQL["job_errors"], caller.workspace_id, job_id, MAX_ERRORS)
    shown = [JobError(**{**dict(error), "at": error["updated_at"]}) for error in errors]
    detail = _shown(row, clock.now())
    if detail["last_error"] is None and shown:
        detail["last_error"] = shown[0].reason
    return JobDetail(**detail, errors=shown)


async def read_jobs(ports: Ports, workspace_id: UUID, job_ids: Sequence[UUID]) -> list[Job]:
    """These jobs as `get_job` gives them, but for the errors. What is not there is left out."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        rows = await connection.fetch(LIVE["read_jobs"], workspace_id, job_ids)
    now = clock.now()
    return [Job(**_shown(row, now)) for row in rows]


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


async def retry_failed(ports: Ports, caller: Caller, job_id: UUID, *, read_again: bool = True) -> Retried:
    """Send every failed import of the job on its way again; the first at once, the rest behind the request. Calls that
    could not be read at their source are read again, if they can be (`read_again`)."""
    await _must_exist(ports, caller, job_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await connection.fetchrow(SQL["job_source"], caller.workspace_id, job_id)
        again = await pulls.read_again(connection, caller.workspace_id, job_id) if source and read_again else 0
    if again:
        with suppress(OutageFault):  # then the schedule does it
            await pulls.wake(ports.bus, pulls.ref_of(source))
    _, failed = await failed_imports.retry_all(ports, caller, FailedFilter(job_id=job_id))
    count = again + failed
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await auth.audit(connection, caller, caller.workspace_id, "import.retried", str(job_id), count=count)
    return Retried(retried_count=count)


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
