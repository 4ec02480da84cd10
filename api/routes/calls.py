"""The library."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api import calls
from api.calls import CallDetail, CallFilter, CallItem
from api.deps import TheCaller, ThePorts
from api.paging import Cursor, Instant, Items, Limit, Storable

router = APIRouter(prefix="/api/calls", tags=["calls"])


async def _filter(
    q: Annotated[
        Storable | None,
        Query(max_length=500, description='Words in title or transcript; "quoted phrase", OR and -not work.'),
    ] = None,
    source_app: Annotated[Storable | None, Query(max_length=40)] = None,
    participant: Annotated[
        Storable | None, Query(max_length=200, description="Part of a name, email or phone.")
    ] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Recorded at this time or later.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Recorded before this time.")] = None,
) -> CallFilter:
    return CallFilter(q=q, source_app=source_app, participant=participant, since=since, until=until)


@router.get("")
async def list_calls(
    caller: TheCaller,
    ports: ThePorts,
    wanted: Annotated[CallFilter, Depends(_filter)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[CallItem]:
    """The library, newest first: search in title and transcript, filter by source, participant and date."""
    return await calls.list_calls(ports, caller, wanted, limit, cursor)


@router.get("/{call_id}")
async def get_call(call_id: UUID, caller: TheCaller, ports: ThePorts) -> CallDetail:
    """One call with its transcript, by speaker, and the transcript word for word as the source gave it."""
    return await calls.get_call(ports, caller, call_id)


@router.get("/{call_id}/media", response_class=Response)
@router.head("/{call_id}/media", response_class=Response, include_in_schema=False)
async def get_call_media(call_id: UUID, request: Request, caller: TheCaller, ports: ThePorts) -> Response:
    """The recording. `Range` is honoured, so that a player can jump."""
    wanted, head = request.headers.get("range"), request.method == "HEAD"
    return await calls.get_media(ports, caller, call_id, wanted, head=head)
