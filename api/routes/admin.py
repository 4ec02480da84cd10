"""Imports by support on behalf of a customer."""

from uuid import UUID

from fastapi import APIRouter

from api import admin
from api.admin import AdminDetail, AdminImport, AdminStarted, AdminView
from api.deps import TheOperator, ThePorts
from api.paging import Cursor, Items, Limit

router = APIRouter(prefix="/admin/imports", tags=["admin"])


@router.post("", status_code=202)
async def start_admin_import(body: AdminImport, caller: TheOperator, ports: ThePorts) -> AdminStarted:
    """Import a customer's calls with a credential that is used for this import only: it is checked at once, kept
    encrypted while the import runs, and deleted when it is over. For owners and support."""
    return await admin.start(ports, caller, body)


@router.get("")
async def list_admin_imports(
    caller: TheOperator, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[AdminView]:
    """These imports, newest first, and whether their credential is still kept."""
    return await admin.list_imports(ports, caller, limit, cursor)


@router.get("/{job_id}")
async def get_admin_import(job_id: UUID, caller: TheOperator, ports: ThePorts) -> AdminDetail:
    """One of them, with how far it is."""
    return await admin.get_import(ports, caller, job_id)


@router.delete("/{job_id}")
async def cancel_admin_import(job_id: UUID, caller: TheOperator, ports: ThePorts) -> AdminDetail:
    """Cancel one. Its credential is deleted within seconds; calls that were accepted still arrive."""
    return await admin.cancel(ports, caller, job_id)
