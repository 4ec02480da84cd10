"""Import jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import jobs
from api.deps import TheCaller, ThePorts
from api.jobs import CallStatus, Job, JobCall, JobDetail, Retried
from api.paging import Cursor, Items, Limit

router = APIRouter(prefix="/api/imports", tags=["imports"])


@router.get("")
async def list_imports(caller: TheCaller, ports: ThePorts, limit: Limit = 20, cursor: Cursor = None) -> Items[Job]:
    """Imports, newest first, each with its counts. `status` is pending, in_progress, waiting, completed, partial (some
    calls failed), failed (all did) or cancelled."""
    return await jobs.list_jobs(ports, caller, limit, cursor)


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
    """Retry every failed call of an import. The first goes at once, the rest behind this answer; if the process dies
    before they are through, the rest stay among the failed imports."""
    return await jobs.retry_failed(ports, caller, job_id)


@router.delete("/{job_id}")
async def cancel_import(job_id: UUID, caller: TheCaller, ports: ThePorts) -> JobDetail:
    """Cancel an import: nothing more is fetched for it. Calls that were accepted already still arrive. 409 when it is
    over."""
    return await jobs.cancel(ports, caller, job_id)
