"""Imports by support on behalf of a customer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import admin
from api.admin import AdminDetail, AdminImport, AdminStarted, AdminView
from api.deps import TheOperator, ThePorts
from api.idempotency import Key
from api.jobs import CallStatus, JobCall, Retried
from api.paging import Cursor, Items, Limit

router = APIRouter(prefix="/admin/imports", tags=["admin"])


@router.post("", status_code=202)
async def start_admin_import(
    body: AdminImport, caller: TheOperator, ports: ThePorts, idempotency_key: Key = None
) -> AdminStarted:
    """Import a customer's calls with a credential that is used for this import only: it is checked at once, kept
    encrypted while the import runs, and deleted when it is over. For owners and support."""
    return await admin.start(ports, caller, body, idempotency_key)


@router.get("")
async def list_admin_imports(
    caller: TheOperator, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[AdminView]:
    """These imports, newest first: for whom, how far each is, and whether its credential is still kept."""
    return await admin.list_imports(ports, caller, limit, cursor)


@router.get("/{job_id}")
async def get_admin_import(job_id: UUID, caller: TheOperator, ports: ThePorts) -> AdminDetail:
    """One of them, with how far it is."""
    return await admin.get_import(ports, caller, job_id)


@router.get("/{job_id}/calls")
async def list_admin_import_calls(
    job_id: UUID,
    caller: TheOperator,
    ports: ThePorts,
    status: Annotated[list[CallStatus] | None, Query(description="Only calls in these states.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[JobCall]:
    """The calls of one of them with their states, what went wrong, and when the next try is."""
    return await admin.list_calls(ports, caller, job_id, status, limit, cursor)


@router.post("/{job_id}/retry", status_code=202)
async def retry_admin_import(job_id: UUID, caller: TheOperator, ports: ThePorts) -> Retried:
    """Retry every failed call of one. Calls that could not be read at the platform are read again only as long as the
    credential is kept; afterwards, start another import."""
    return await admin.retry(ports, caller, job_id)


@router.delete("/{job_id}")
async def cancel_admin_import(job_id: UUID, caller: TheOperator, ports: ThePorts) -> AdminDetail:
    """Cancel one. Its credential is deleted within seconds; calls that were accepted still arrive."""
    return await admin.cancel(ports, caller, job_id)
