"""What speech to text was used for in a period: minutes, answers and estimated cost, and the calls that came in.

Counted from the answers that were paid for, so that a recording which came twice counts once, as the vendor bills it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import quota
from api.ports import Ports
from api.problems import Problem
from api.quota import QuotaView
from streams.io import queries
from streams.io.store import in_workspace

SQL = queries.load("speech")
MICROS = 1_000_000


class Used(BaseModel):
    """What was used. `estimated_cost_usd` is in US dollars by the vendor's price list, and null where the price of some
    of it is not known; `unpriced_seconds` says of how much."""

    requests: int
    estimated_cost_usd: float | None
    unpriced_seconds: float


class UsedByModel(Used):
    """What one model was used for. `requests` counts the answers that were paid for: one a part of a recording."""

    model: str
    seconds: float


class UsedByDay(Used):
    """What was used on one day, in UTC. Days on which nothing was used are left out."""

    day: date
    seconds: float


class Usage(Used):
    """What was used from a time until before another."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    transcribed_seconds: float
    by_model: list[UsedByModel]
    by_day: list[UsedByDay]
    imports: int
    """Calls that came into the library in this time, with or without a recording."""
    quota: QuotaView
    """What the plan allows in the present month, whatever time was asked for."""


def period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The time that is meant: by default this calendar month in UTC. What is given alone is completed by the bounds of
    a month: the month that `until` ends, or the present one. Raises a 422 problem for one that ends before it begins.
    """
    if until is None:
        until = _month(_month(now.astimezone(UTC)) + timedelta(days=32))
    if since is None:
        since = _month(max(until.astimezone(UTC), _EARLIEST) - timedelta(microseconds=1))
    if since >= until:
        raise Problem(422, "empty_period", "`from` must be earlier than `to`.", field="from")
    return since, until


_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


def _month(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


async def usage(ports: Ports, workspace_id: UUID, since: datetime, until: datetime) -> Usage:
    """What a workspace used. Raises `OutageFault`."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        allowed = await quota.of(ports, connection, workspace_id)
        models = await connection.fetch(SQL["usage_by_model"], workspace_id, since, until)
        days = await connection.fetch(SQL["usage_by_day"], workspace_id, since, until)
        imports = await connection.fetchval(SQL["count_imports"], workspace_id, since, until)
    return Usage(
        since=since,
        until=until,
        transcribed_seconds=float(sum(row["seconds"] for row in models)),
        by_model=[UsedByModel(model=row["model"], seconds=float(row["seconds"]), **_used([row])) for row in models],
        by_day=[UsedByDay(day=row["day"], seconds=float(row["seconds"]), **_used([row])) for row in days],
        imports=imports,
        quota=quota.shown(allowed),
        **_used(models),
    )


def _used(rows: Sequence[Any]) -> dict[str, Any]:
    unpriced = float(sum(row["unpriced_seconds"] for row in rows))
    micros = int(sum(row["cost_micros"] or 0 for row in rows))
    return {
        "requests": sum(row["requests"] for row in rows),
        "estimated_cost_usd": None if unpriced else micros / MICROS,
        "unpriced_seconds": unpriced,
    }
