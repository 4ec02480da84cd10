"""The library."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api import calls, erase, transcripts
from api.calls import CallDetail, CallFilter, CallItem
from api.deps import TheCaller, ThePorts
from api.paging import Cursor, Instant, Items, Limit, Storable
from api.transcripts import Format, Which

router = APIRouter(prefix="/api/calls", tags=["calls"])


async def _filter(
    q: Annotated[
        Storable | None,
        Query(max_length=500, description='Words in title or transcript; "quoted phrase", OR and -not work.'),
    ] = None,
    source_app: Annotated[Storable | None, Query(max_length=40)] = None,
    source_id: Annotated[UUID | None, Query(description="Brought by this connected account.")] = None,
    participant: Annotated[
        Storable | None, Query(max_length=200, description="Part of a name, email or phone.")
    ] = None,
    speaker: Annotated[
        Storable | None, Query(max_length=200, description="Part of the name of somebody who speaks or takes part.")
    ] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Recorded at this time or later.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Recorded before this time.")] = None,
) -> CallFilter:
    return CallFilter(
        q=q, source_app=source_app, source_id=source_id, participant=participant, speaker=speaker, since=since,
        until=until,
    )  # fmt: skip


@router.get("")
async def list_calls(
    caller: TheCaller,
    ports: ThePorts,
    wanted: Annotated[CallFilter, Depends(_filter)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[CallItem]:
    """The library, newest first: search in title and transcript, filter by source, participant, speaker and date."""
    return await calls.list_calls(ports, caller, wanted, limit, cursor)


@router.get("/{call_id}")
async def get_call(call_id: UUID, caller: TheCaller, ports: ThePorts) -> CallDetail:
    """One call with its transcript, by speaker, and the transcript word for word as the source gave it."""
    return await calls.get_call(ports, caller, call_id)


@router.get("/{call_id}/media", response_class=Response)
@router.head("/{call_id}/media", response_class=Response, include_in_schema=False)
async def get_call_media(
    call_id: UUID,
    request: Request,
    caller: TheCaller,
    ports: ThePorts,
    download: Annotated[bool, Query(description="As a file to save, instead of one to play.")] = False,
) -> Response:
    """The recording. `Range` is honoured, so that a player can jump."""
    wanted, head = request.headers.get("range"), request.method == "HEAD"
    return await calls.get_media(ports, caller, call_id, wanted, head=head, download=download)


@router.get("/{call_id}/transcript", response_class=Response)
async def download_transcript(
    call_id: UUID,
    caller: TheCaller,
    ports: ThePorts,
    wanted: Annotated[Format, Query(alias="format", description="Of ours; the original comes as it is.")] = "txt",
    which: Annotated[Which, Query(description="Ours, or word for word what the source gave.")] = "ours",
) -> Response:
    """The transcript as a file: text, captions (WebVTT, SubRip), or JSON."""
    return await transcripts.download(ports, caller, call_id, wanted, which)


@router.delete("/{call_id}", status_code=204)
async def erase_call(call_id: UUID, caller: TheCaller, ports: ThePorts) -> None:
    """Erase a call everywhere, for good: no sync, webhook, upload, retry or replay brings it back."""
    await erase.erase_call(ports, caller, call_id)
