"""Sources: connected accounts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api import imports, sources
from api.deps import TheCaller, ThePorts
from api.idempotency import Key
from api.paging import Cursor, Instant, Items, Limit
from api.sources import (
    Begun,
    CallComing,
    CallWanted,
    Coverage,
    NewSource,
    SourceChange,
    SourceCreate,
    SourceView,
    Span,
)  # fmt: skip

router = APIRouter(prefix="/api/sources", tags=["sources"])


@router.get("")
async def list_sources(
    caller: TheCaller, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[SourceView]:
    """Connected accounts, newest first, each with its state, last sync and calls imported."""
    return await sources.list_sources(ports, caller, limit, cursor)


@router.post("", status_code=201)
async def connect_source(
    body: SourceCreate, caller: TheCaller, ports: ThePorts, idempotency_key: Key = None
) -> NewSource:
    """Connect an account by a form; `GET /api/platforms` says which fields it has. The platform is asked at once: 422
    says which field is wrong or which right is missing. The first sync begins right away. The same account again gets
    the new credential and stays the same source."""
    return await sources.connect(ports, caller, body, idempotency_key)


@router.get("/{source_id}")
async def get_source(source_id: UUID, caller: TheCaller, ports: ThePorts) -> SourceView:
    """One connected account."""
    return await sources.get_source(ports, caller, source_id)


@router.patch("/{source_id}")
async def change_source(source_id: UUID, body: SourceChange, caller: TheCaller, ports: ThePorts) -> SourceView:
    """Change the schedule, whether recordings are kept, or the credential, which is checked first."""
    return await sources.change(ports, caller, source_id, body)


@router.delete("/{source_id}", status_code=204)
async def disconnect_source(source_id: UUID, caller: TheCaller, ports: ThePorts) -> Response:
    """Disconnect an account: its credential is deleted and imports under way end. Its calls stay in the library."""
    await sources.disconnect(ports, caller, source_id)
    return Response(status_code=204)


@router.post("/{source_id}/sync", status_code=202)
async def sync_source(source_id: UUID, caller: TheCaller, ports: ThePorts) -> Begun:
    """Sync now. Where a sync is under way, that one is named. A source in error is tried again."""
    return await sources.sync(ports, caller, source_id)


@router.post("/{source_id}/pause")
async def pause_source(source_id: UUID, caller: TheCaller, ports: ThePorts) -> SourceView:
    """No syncs until it is resumed."""
    return await sources.set_active(ports, caller, source_id, active=False)


@router.post("/{source_id}/resume")
async def resume_source(source_id: UUID, caller: TheCaller, ports: ThePorts) -> SourceView:
    """Go on, with a sync at once. Its error, if it had one, is forgotten and found again if it is still there."""
    return await sources.set_active(ports, caller, source_id, active=True)


@router.get("/{source_id}/coverage")
async def get_coverage(
    source_id: UUID,
    caller: TheCaller,
    ports: ThePorts,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to")] = None,
) -> Coverage:
    """Which time ranges are proven imported, and the gaps between. By default from the first that is covered until the
    last sync."""
    return await sources.coverage(ports, caller, source_id, since, until)


@router.post("/{source_id}/backfill", status_code=202)
async def backfill_source(
    source_id: UUID, body: Span, caller: TheCaller, ports: ThePorts, idempotency_key: Key = None
) -> Begun:
    """Import a time range again, mostly a gap of the coverage. What is stored unchanged is skipped."""
    return await imports.backfill(ports, caller, source_id, body, idempotency_key)


@router.post("/{source_id}/calls", status_code=202)
async def read_call(source_id: UUID, body: CallWanted, caller: TheCaller, ports: ThePorts) -> CallComing:
    """Bring in one call: by its id at the platform or, as with YouTube, by its address. 404 when there is no such call,
    or the account may not read it."""
    return await sources.read_call(ports, caller, source_id, body)
