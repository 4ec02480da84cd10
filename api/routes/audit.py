"""The audit log."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import audit
from api.audit import Entry
from api.deps import TheOperator, ThePorts
from api.paging import Cursor, Instant, Items, Limit, Storable

router = APIRouter(prefix="/api/audit", tags=["audit"])


@router.get("")
async def list_audit(
    caller: TheOperator,
    ports: ThePorts,
    action: Annotated[
        Storable | None, Query(max_length=100, description="`key.created`, or `key` for all about keys.")
    ] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Done at this time or later.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Done before this time.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Entry]:
    """Who did what in your workspace, newest first. For owners and support."""
    return await audit.list_entries(ports, caller, action, since, until, limit, cursor)
