"""API keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api import auth
from api.auth import Scope
from api.deps import TheCaller, ThePorts
from api.paging import Cursor, Items, Limit, Storable, cursor_id, cursor_time, decode_cursor, page
from api.problems import not_found

router = APIRouter(prefix="/api/keys", tags=["keys"])


class KeyCreate(BaseModel):
    """What the key is for, and what it may do: `read` looks, `write` changes things, `admin` is for keys, people,
    settings and what else concerns the whole workspace. By default it may do what you may, and never more."""

    name: Storable = Field(min_length=1, max_length=auth.MAX_NAME)
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=10)


class Key(BaseModel):
    """A key in use. `prefix` is its beginning, to tell keys apart; the key itself is not kept."""

    id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None


class NewKey(Key):
    """The key just made. It is shown this once."""

    key: str


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "id": row["api_key_id"]}


@router.get("")
async def list_keys(caller: TheCaller, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None) -> Items[Key]:
    """Keys in use, newest first: an owner sees everybody's, others their own."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    rows = await auth.list_api_keys(
        ports.pool, caller.workspace_id, user_id=caller.own_only, after=(after[0], after[1]), limit=limit + 1
    )
    return page(rows, limit, lambda row: Key(**_shown(row)), lambda row: (row["created_at"], row["api_key_id"]))


@router.post("", status_code=201)
async def create_key(body: KeyCreate, caller: TheCaller, ports: ThePorts) -> NewKey:
    """A new API key. It is shown this once; keep it safe."""
    plaintext, row = await auth.add_api_key(
        ports.pool, caller.workspace_id, caller.user_id, body.name, scopes=body.scopes, caller=caller
    )
    return NewKey(**_shown(row), key=plaintext)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, caller: TheCaller, ports: ThePorts) -> Response:
    """Close a key for good, at once."""
    if not await auth.revoke_api_key(ports.pool, caller.workspace_id, key_id, user_id=caller.own_only, caller=caller):
        raise not_found("API key")
    return Response(status_code=204)
