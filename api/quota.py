"""The quota at the doors: what would need room in the plan's month is refused at once where there is none.

Webhooks never come here: a call that a vendor sends is accepted, or it would be lost.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from api.ports import Ports
from streams.io import clock, queries, quotas
from streams.io.store import Connection, in_workspace

SQL = queries.load("quotas")


class QuotaView(BaseModel):
    """What the workspace may import this calendar month (UTC), and has. Null: without a plan, or without limit."""

    plan: str | None
    imports_a_month: int | None
    used: int
    remaining: int | None
    resets_at: datetime


async def of(ports: Ports, connection: Connection, workspace_id: UUID) -> quotas.Quota:
    """How the workspace stands."""
    return await quotas.quota(connection, workspace_id, ports.settings.plans, clock.now())


def shown(quota: quotas.Quota) -> QuotaView:
    """The quota as people see it."""
    return QuotaView(
        plan=quota.plan, imports_a_month=quota.limit, used=quota.used, remaining=quota.remaining,
        resets_at=quota.resets_at,
    )  # fmt: skip


async def must_have_room(ports: Ports, connection: Connection, workspace_id: UUID) -> None:
    """Raises a fault, answered 402, when nothing more may be imported this month."""
    found = await of(ports, connection, workspace_id)
    if found.room == 0:
        raise quotas.used_up(found)


async def without_room(
    ports: Ports, workspace_id: UUID, source_app: str, external_ids: Sequence[str]
) -> tuple[frozenset[str], str]:
    """Which of these calls, in their order, the month has no room for, and the sentence that says so. Those in the
    library already need none. Raises as `must_have_room` where there is room for none of them."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        found = await of(ports, connection, workspace_id)
        if found.room is None:
            return frozenset(), ""
        rows = await connection.fetch(SQL["stored_of"], workspace_id, source_app, list(external_ids))
    stored = {row["external_id"] for row in rows}
    new = [each for each in dict.fromkeys(external_ids) if each not in stored]
    if new and len(new) == len(set(external_ids)) and not found.room:
        raise quotas.used_up(found)
    return frozenset(new[found.room :]), found.sentence
