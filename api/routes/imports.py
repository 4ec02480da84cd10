"""Import jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query

from api import imports, jobs
from api.deps import TheCaller, ThePorts
from api.imports import ImportStart, ImportStarted, Preview, PreviewWanted
from api.jobs import AnyJobType, CallStatus, Job, JobCall, JobDetail, JobFilter, JobStatus, Retried
from api.paging import Cursor, Items, Limit, Storable

router = APIRouter(prefix="/api/imports", tags=["imports"])


@router.post("", status_code=202)
async def start_import(
    body: ImportStart,
    caller: TheCaller,
    ports: ThePorts,
    idempotency_key: Annotated[str | None, Header(description="The same key and content: the same import.")] = None,
) -> ImportStarted:
    """Import the calls of a time range from a connected account. `job_type` is historical, backfill (the same, for a
    gap) or sync (what is new; without `date_range`). The import goes on page by page behind this answer."""
    return await imports.start(ports, caller, body, idempotency_key)


@router.post("/preview")
async def preview_import(body: PreviewWanted, caller: TheCaller, ports: ThePorts) -> Preview:
    """How many calls an import would bring, how long it would take within the platform's limits, and what it would
    cost. Nothing is imported."""
    return await imports.preview(ports, caller, body)


@router.get("")
async def list_imports(
    caller: TheCaller,
    ports: ThePorts,
    status: Annotated[list[JobStatus] | None, Query(description="Only imports in these states.")] = None,
    source_id: Annotated[UUID | None, Query(description="Only imports of this connected account.")] = None,
    job_type: Annotated[list[AnyJobType] | None, Query(description="Only imports of these kinds.")] = None,
    platform: Annotated[Storable | None, Query(max_length=40, description="Only imports from this platform.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Items[Job]:
    """Imports, newest first, each with its counts. `status` is pending, counting (the source is asked how many calls
    there are), in_progress, waiting (for a limit of the source, until `resume_at`, or for calls that are not ready
    there), completed, partial (some calls failed), failed (all did, or it could not go on) or cancelled. A page by
    `status` may hold fewer than `limit` and still have a `next_cursor`."""
    wanted = JobFilter(status, source_id, job_type, platform)
    return await jobs.list_jobs(ports, caller, limit, cursor, wanted)


@router.get("/{job_id}")
async def get_import(job_id: UUID, caller: TheCaller, ports: ThePorts) -> JobDetail:
    """One import with its counts, when it will probably be done, and its latest errors (at most 100)."""
    return await jobs.get_job(ports, caller, job_id)


@router.get("/{job_id}/calls")
async def list_import_calls(
    job_id: UUID,
    caller: TheCaller,
    ports: ThePorts,
    status: Annotated[list[CallStatus] | None, Query(description="Only calls in these states.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[JobCall]:
    """The calls of an import with their states, what went wrong, and when the next try is."""
    return await jobs.list_calls(ports, caller, job_id, status, limit, cursor)


@router.post("/{job_id}/retry", status_code=202)
async def retry_import(job_id: UUID, caller: TheCaller, ports: ThePorts) -> Retried:
    """Retry every failed call of an import. The first goes at once, the rest behind this answer, also when the process
    dies meanwhile."""
    return await jobs.retry_failed(ports, caller, job_id)


@router.delete("/{job_id}")
async def cancel_import(job_id: UUID, caller: TheCaller, ports: ThePorts) -> JobDetail:
    """Cancel an import: nothing more is fetched for it. Calls that were accepted already still arrive. 409 when it is
    over."""
    return await jobs.cancel(ports, caller, job_id)
