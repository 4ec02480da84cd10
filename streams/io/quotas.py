"""How many calls a workspace may import this month, by its plan, and how many it has.

Counted from the library and from the calls that are on their way, so it needs no ledger. Two imports that count at the
same moment may both find room: what is imported beyond the limit is at most what was on its way then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.faults import InvalidCall
from streams.io import queries
from streams.io.store import Connection, Pool, outages

SQL = queries.load("quotas")
USED_UP = "quota_used_up"
Plans = Mapping[str, int | None]
"""Imports a month by the name of the plan; None: without limit."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a workspace may import in a month, and what it has imported in the present one.

    `limit` is None where nothing limits it: there is no plan, or the settings name none of that name any more.
    """

    plan: str | None
    limit: int | None
    used: int
    on_the_way: int
    resets_at: datetime

    @property
    def remaining(self) -> int | None:
        """How many more calls may come into the library this month."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def room(self) -> int | None:
        """The same without those that are on their way already: so many more may be accepted."""
        return None if self.limit is None else max(0, self.limit - self.used - self.on_the_way)

    @property
    def sentence(self) -> str:
        """What is said when there is no more room."""
        if self.remaining:
            return (
                f"The {self.limit} imports of this month are used up by calls that are on their way now. "
                "Try again in a few minutes."
            )
        until = f"{self.resets_at.day} {self.resets_at:%B}"
        return (
            f"The {self.limit} imports of this month are used up. You can import again from {until} on, "
            "or ask the operator of this installation for another plan."
        )


async def quota(connection: Connection | Pool, workspace_id: UUID, plans: Plans, now: datetime) -> Quota:
    """How a workspace stands this month, which begins and ends in UTC."""
    begins = month_of(now)
    resets_at = month_of(begins + timedelta(days=32))
    with outages():
        plan = await connection.fetchval(SQL["plan_of"], workspace_id)
        used = await connection.fetchval(SQL["imported_since"], workspace_id, begins)
        limit = plans.get(plan) if plan is not None else None
        on_the_way = 0
        if limit is not None:
            on_the_way = await connection.fetchval(SQL["on_the_way"], workspace_id, now - timedelta(days=31))
    return Quota(plan, limit, used, on_the_way, resets_at)


def month_of(moment: datetime) -> datetime:
    """The beginning of a moment's month."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def used_up(quota: Quota) -> InvalidCall:
    """The fault of what would need room and finds none."""
    return InvalidCall(USED_UP, quota.sentence)


async def set_plan(connection: Connection, workspace_id: UUID, plan: str | None) -> None:
    """Give a workspace another plan, or none. What waited for its quota is looked at again."""
    with outages():
        await connection.execute(SQL["set_plan"], workspace_id, plan)
        await connection.execute(SQL["let_go_of_held"], workspace_id, "quota")


async def let_go_of_window(connection: Connection, workspace_id: UUID) -> None:
    """The window has changed: what waited for it is looked at again."""
    with outages():
        await connection.execute(SQL["let_go_of_held"], workspace_id, "window")
