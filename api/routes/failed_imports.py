"""Failed imports."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from api import bulk_retries, failed_imports
from api.bulk_retries import BulkRetry
from api.deps import TheCaller, ThePorts
from api.failed_imports import (
    FailedFilter,
    FailedGroup,
    FailedImport,
    FailedImportDetail,
    FailedStatus,
    RetryMany,
    RetryManyAnswer,
    StatusAnswer,
    Word,
)
from api.paging import Cursor, Items, Limit

router = APIRouter(prefix="/api/failed-imports", tags=["failed imports"])


async def _filter(
    status: Annotated[
        list[FailedStatus] | None, Query(description="Default: open, retrying and parked. May be given several times.")
    ] = None,
    stage: Annotated[Word | None, Query()] = None,
    reason: Annotated[Word | None, Query()] = None,
    source_app: Annotated[Word | None, Query()] = None,
    fingerprint: Annotated[Word | None, Query(description="Failures of the same cause share one.")] = None,
    job_id: UUID | None = None,
    external_id: Annotated[Word | None, Query()] = None,
    q: Annotated[Word | None, Query(description="Words that all must stand in the message or the external id.")] = None,
) -> FailedFilter:
    return FailedFilter(
        status=status, stage=stage, reason=reason, source_app=source_app, fingerprint=fingerprint, job_id=job_id,
        external_id=external_id, q=q,
    )  # fmt: skip


@router.get("")
async def list_failed_imports(
    caller: TheCaller,
    ports: ThePorts,
    wanted: Annotated[FailedFilter, Depends(_filter)],
    group: Annotated[bool, Query(description="One item per cause instead of one per call.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[FailedImport] | Items[FailedGroup]:
    """Calls that could not be imported, latest first, each with its reason. With `group=true` failures of the same
    cause are one item with a count, the largest first."""
    if group:
        return await failed_imports.list_groups(ports, caller, wanted, limit, cursor)
    return await failed_imports.list_failed(ports, caller, wanted, limit, cursor)


@router.get("/{failed_import_id}")
async def get_failed_import(failed_import_id: UUID, caller: TheCaller, ports: ThePorts) -> FailedImportDetail:
    """One failed import with the engineer's detail and the original event. What looks like a secret is shown as •••;
    a large original is cut."""
    return await failed_imports.get_failed(ports, caller, failed_import_id)


@router.post("/retry", status_code=202)
async def retry_failed_imports(body: RetryMany, caller: TheCaller, ports: ThePorts) -> RetryManyAnswer:
    """Retry everything a filter means (default: all that are open or parked), at most `rate` a second.

    With `dry_run` nothing is sent, and the answer counts what would be, by cause. Otherwise the first goes at once and
    the rest behind this answer, also when the process dies meanwhile: another one, or its next start, goes on.
    """
    return await failed_imports.retry_matching(ports, caller, body)


@router.get("/retries/{bulk_retry_id}")
async def get_bulk_retry(bulk_retry_id: UUID, caller: TheCaller, ports: ThePorts) -> BulkRetry:
    """How far a retry of many is: what came through, what failed again, and what is still on its way."""
    return await bulk_retries.find(ports, caller, bulk_retry_id)


@router.post("/{failed_import_id}/retry", status_code=202)
async def retry_failed_import(failed_import_id: UUID, caller: TheCaller, ports: ThePorts) -> StatusAnswer:
    """Send a call on its way again, from the stage that failed. It resolves by itself when it gets through. 409 when
    it is resolved, discarded or being retried already."""
    return await failed_imports.retry(ports, caller, failed_import_id)


@router.post("/{failed_import_id}/discard")
async def discard_failed_import(failed_import_id: UUID, caller: TheCaller, ports: ThePorts) -> StatusAnswer:
    """Let a failed import go. The same call may be sent again later and is then a new one."""
    return await failed_imports.discard(ports, caller, failed_import_id)
