"""The audit log: who did what to which thing, and when. It only grows."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from api.auth import Caller
from api.paging import Items, cursor_count, decode_cursor, page
from api.ports import Ports
from streams.io import queries
from streams.io.store import in_workspace

SQL = queries.load("audit")


class Entry(BaseModel):
    """Something that was done. `actor` is `user:ID`, `key:NAME` or `command-line`; `actor_name` null: a person who
    is no longer in this workspace."""

    id: int
    at: datetime
    actor: str
    actor_name: str | None
    action: str
    target: str
    detail: dict[str, Any]


async def list_entries(
    ports: Ports, caller: Caller, action: str | None, since: datetime | None, until: datetime | None, limit: int,
    cursor: str | None,
) -> Items[Entry]:  # fmt: skip
    """What was done in the workspace, newest first. `action` may be the beginning of several: `key`."""
    (before,) = decode_cursor(cursor, cursor_count)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["list_audit"], caller.workspace_id, action, since, until, before, limit + 1)
    return page(rows, limit, lambda row: Entry(**dict(row), actor_name=_name_of(row)), lambda row: (row["id"],))


def _name_of(row: Any) -> str | None:
    """How a person would name them."""
    kind, _, name = row["actor"].partition(":")
    known = {"key": f"API key {name}", "command-line": "Command line"}
    return row["person"] or known.get(kind)
