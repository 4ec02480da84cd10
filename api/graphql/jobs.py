"""Import jobs: see, start, cancel, follow."""

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from api import imports, jobs
from api.graphql.context import Info, asked
from api.graphql.errors import Refusal, as_data, id_of
from api.graphql.limits import MAX_LIMIT, PAGED
from api.graphql.watching import while_signed_in
from api.imports import ImportStart
from api.jobs import Job
from api.paging import encode_cursor
from api.problems import Problem
from api.sources import Span
from schemas.faults import OutageFault
from streams.io.job_views import OVER


@strawberry.enum(description="What an import is for.")
class ImportJobType(Enum):
    """What an import is for."""

    HISTORICAL = strawberry.enum_value("historical", description="The calls of a time range.")
    SYNC = strawberry.enum_value("sync", description="What is new since the last sync.")
    BACKFILL = strawberry.enum_value("backfill", description="A time range again, mostly a gap.")
    UPLOAD = strawberry.enum_value("upload", description="Files of a person, by POST /api/uploads.")
    REPLAY = strawberry.enum_value("replay", description="Kept events again, by POST /api/replays.")


@strawberry.enum(description="How far an import is.")
class ImportJobStatus(Enum):
    """How far an import is."""

    PENDING = strawberry.enum_value("pending", description="Nothing has come to an end yet.")
    COUNTING = strawberry.enum_value("counting", description="The platform is asked how many calls there are.")
    IN_PROGRESS = "in_progress"
    WAITING = strawberry.enum_value(
        "waiting", description="For a limit of the platform, until `resumeAt`, or for calls that are not ready there."
    )
    COMPLETED = strawberry.enum_value("completed", description="Over, and every call is in the library.")
    PARTIAL = strawberry.enum_value("partial", description="Over, and some calls failed. They can be retried.")
    FAILED = strawberry.enum_value("failed", description="All calls failed, or it could not go on.")
    CANCELLED = "cancelled"


@strawberry.type(description="An import, and how far it is.")
class ImportJob:
    """An import, and how far it is."""

    id: strawberry.ID
    platform: str
    credential_id: strawberry.ID | None = strawberry.field(description="Null for what came by no account.")
    job_type: ImportJobType
    status: ImportJobStatus
    total_calls: int = strawberry.field(description="As many as are known; while it lists, what the platform says.")
    processed_calls: int = strawberry.field(description="Calls that have come to an end, whichever.")
    imported_calls: int
    updated_calls: int
    skipped_calls: int = strawberry.field(description="Calls that were there already.")
    failed_calls: int
    waiting_calls: int
    started_at: datetime | None
    completed_at: datetime | None
    estimated_completion_at: datetime | None
    resume_at: datetime | None = strawberry.field(description="A limit or fault of the platform stops it until then.")
    last_error: str | None = strawberry.field(description="A sentence for a person.")
    created_at: datetime
    cursor: str = strawberry.field(description="`after` for the imports before this one.")


@strawberry.input(description="One filter of an import, as `PlatformCapability.filters` names them.")
class ImportFilter:
    """One filter of an import."""

    name: str
    value: str


@strawberry.type(description="The import, or why it was not started.")
class StartImportJobResult:
    """The import, or why it was not started."""

    job: ImportJob | None = None
    estimated_calls: int | None = strawberry.field(default=None, description="Null: the platform does not say it.")
    estimated_duration_minutes: int | None = None
    error: Refusal | None = None


@strawberry.type(description="The import, cancelled, or why it was not.")
class CancelImportJobResult:
    """The import, cancelled, or why it was not."""

    job: ImportJob | None = None
    error: Refusal | None = None


def shown(job: Job) -> ImportJob:
    """A job as clients see it."""
    same = (
        "platform", "total_calls", "processed_calls", "imported_calls", "updated_calls", "skipped_calls",
        "failed_calls", "waiting_calls", "started_at", "completed_at", "estimated_completion_at", "resume_at",
        "last_error", "created_at",
    )  # fmt: skip
    values = job.model_dump() | {"platform": job.source_app}
    return ImportJob(
        id=strawberry.ID(str(job.id)),
        credential_id=strawberry.ID(str(job.source_id)) if job.source_id else None,
        job_type=ImportJobType(job.job_type),
        status=ImportJobStatus(job.status),
        cursor=encode_cursor((job.created_at, job.id)),
        **{name: values[name] for name in same},
    )


def minutes(seconds: float | None) -> int | None:
    """Whole minutes, rounded up."""
    return None if seconds is None else math.ceil(seconds / 60)


def limited(limit: int | None, default: int) -> int:
    """A limit that lists take. Raises a 422 problem."""
    limit = default if limit is None else limit
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(422, "invalid_request", f"limit must lie between 1 and {MAX_LIMIT}.", field="limit")
    return limit


Limit = Annotated[int | None, strawberry.argument(description=f"How many at most, up to {MAX_LIMIT}.")]
After = Annotated[str | None, strawberry.argument(description="`cursor` of the last item that was answered before.")]


async def import_jobs(
    info: Info, status: ImportJobStatus | None = None, limit: Limit = 20, after: After = None
) -> list[ImportJob]:
    """Imports, newest first."""
    ports, caller = asked(info)
    wanted = jobs.JobFilter(status=[status.value] if status else None)
    found = await jobs.list_jobs(ports, caller, limited(limit, PAGED["importJobs"]), after, wanted)
    return [shown(job) for job in found.items]


async def import_job(info: Info, id: strawberry.ID) -> ImportJob | None:
    """One import; null when there is none."""
    ports, caller = asked(info)
    try:
        return shown(await jobs.get_job(ports, caller, id_of(id, "import", "id")))
    except Problem as problem:
        if problem.status == 404:
            return None
        raise


async def start_import_job(
    info: Info,
    credential_id: strawberry.ID,
    job_type: ImportJobType = ImportJobType.HISTORICAL,
    date_range_start: datetime | None = None,
    date_range_end: datetime | None = None,
    filters: list[ImportFilter] | None = None,
    idempotency_key: Annotated[
        str | None, strawberry.argument(description="The same key and arguments: the same import.")
    ] = None,
) -> StartImportJobResult:
    """Import calls of a connected account. HISTORICAL and BACKFILL need a date range; SYNC chooses its own."""
    return await as_data(
        _start(info, credential_id, job_type, (date_range_start, date_range_end), filters or [], idempotency_key),
        lambda error: StartImportJobResult(error=error),
    )


async def _start(
    info: Info, credential_id: str, job_type: ImportJobType, span: tuple[datetime | None, datetime | None],
    filters: list[ImportFilter], key: str | None,
) -> StartImportJobResult:  # fmt: skip
    ports, caller = asked(info, "write")
    if job_type in (ImportJobType.UPLOAD, ImportJobType.REPLAY):
        sentence = "Start a HISTORICAL import, a BACKFILL or a SYNC here; uploads and replays have routes of their own."
        raise Problem(422, "invalid_request", sentence, field="job_type")
    wanted = ImportStart(
        source_id=id_of(credential_id, "source", "credentialId"), job_type=job_type.value, date_range=span_of(*span),
        filters={each.name: each.value for each in filters},
    )  # fmt: skip
    begun = await imports.start(ports, caller, wanted, key)
    job = await jobs.get_job(ports, caller, begun.job_id)
    return StartImportJobResult(
        job=shown(job), estimated_calls=begun.estimated_calls,
        estimated_duration_minutes=minutes(begun.estimated_duration_seconds),
    )  # fmt: skip


def span_of(start: datetime | None, end: datetime | None) -> Span | None:
    """A date range; None for none. Raises a 422 problem for half of one."""
    if start is None or end is None:
        if start is end:
            return None
        name = "dateRangeStart" if start is None else "dateRangeEnd"
        raise Problem(422, "invalid_request", f"{name} is missing: from when until when.", field=name)
    return Span(since=start, until=end)


async def cancel_import_job(info: Info, job_id: strawberry.ID) -> CancelImportJobResult:
    """Cancel an import: nothing more is fetched for it. Calls that were accepted already still arrive."""
    return await as_data(_cancel(info, job_id), lambda error: CancelImportJobResult(error=error))


async def _cancel(info: Info, job_id: str) -> CancelImportJobResult:
    ports, caller = asked(info, "write")
    job = await jobs.cancel(ports, caller, id_of(job_id, "import", "jobId"))
    return CancelImportJobResult(job=shown(job))


async def import_job_progress(info: Info, job_id: strawberry.ID) -> AsyncGenerator[ImportJob]:
    """An import as it stands now and at every change, until it is over."""
    ports, caller = asked(info)
    wanted = id_of(job_id, "import", "jobId")
    await jobs.get_job(ports, caller, wanted)
    watched = while_signed_in(info.context, ports.live.watch_job(caller.workspace_id, wanted))
    async with aclosing(watched):
        async for job in watched:
            yield shown(job)
            if job.status in OVER:
                return
    raise OutageFault("stopping", "This process is about to stop. Subscribe again to follow the rest.")
