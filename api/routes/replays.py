"""Replays. For owners and support."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header

from api import replays
from api.deps import TheOperator, ThePorts
from api.paging import Cursor, Items, Limit
from api.replays import Replay, ReplayCreate

router = APIRouter(prefix="/api/replays", tags=["replays"])
Key = Annotated[
    str | None,
    Header(description="The same key with the same content gets the same answer; with other content 409."),
]


@router.post("", status_code=202)
async def start_replay(body: ReplayCreate, caller: TheOperator, ports: ThePorts, idempotency_key: Key = None) -> Replay:
    """Read raw calls of the archive again and import them as today's callstream understands them. Nothing is stored
    twice: calls that come out the same are skipped. With `dry_run` nothing is imported; `report` says what would be.
    A replay goes beside live calls, never before them. Its calls are under `/api/imports/{id}/calls`."""
    return await replays.create(ports, caller, body, idempotency_key)


@router.get("")
async def list_replays(caller: TheOperator, ports: ThePorts, limit: Limit = 20, cursor: Cursor = None) -> Items[Replay]:
    """Replays, newest first."""
    return await replays.list_replays(ports, caller, limit, cursor)


@router.get("/{replay_id}")
async def get_replay(replay_id: UUID, caller: TheOperator, ports: ThePorts) -> Replay:
    """One replay: how far it is, what it changed, and of a dry run what it would change. `status` is pending,
    in_progress, completed, partial (some calls failed), failed or cancelled."""
    return await replays.get(ports, caller, replay_id)


@router.delete("/{replay_id}")
async def cancel_replay(replay_id: UUID, caller: TheOperator, ports: ThePorts) -> Replay:
    """Stop a replay. What it has published already still arrives. 409 when it is over."""
    return await replays.cancel(ports, caller, replay_id)
