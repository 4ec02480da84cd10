"""Imports from sources: started by a person for a time, counted beforehand, estimated within the vendor's limits."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import auth, connecting, platforms, quota
from api.auth import Caller
from api.idempotency import checked_key, once
from api.ports import Ports
from api.problems import Problem
from api.sources import Begun, Span, find
from connectors.contract import Api, Connector, Pull, Window
from connectors.pacing import seconds_for
from connectors.registry import CONNECTORS
from schemas.faults import CursorFault, InvalidCall, MissingFault, TransientFault
from streams import vendor
from streams.io import clock, pulls, queries
from streams.io.pulls import JobType
from streams.io.sources import Source
from streams.io.store import Connection, in_workspace

SQL = queries.load("connections")
COUNT_SECONDS = 10.0
"""How long a vendor may take to say how many calls there are."""
COUNT_PAGES = 5
"""Pages of a listing that are read where a vendor does not say it."""


class ImportStart(BaseModel):
    """An import to start. `date_range` is needed but for a sync; `filters` are those of the platform."""

    model_config = ConfigDict(extra="forbid")

    source_id: UUID
    job_type: JobType = "historical"
    date_range: Span | None = None
    filters: dict[str, str] = Field(default_factory=dict, max_length=20)


class ImportStarted(BaseModel):
    """The import that goes on behind this answer. Null estimates: the vendor does not say how many calls there are."""

    job_id: UUID
    estimated_calls: int | None
    estimated_duration_seconds: float | None


class PreviewWanted(BaseModel):
    """What an import would be asked for."""

    model_config = ConfigDict(extra="forbid")

    source_id: UUID
    date_range: Span
    filters: dict[str, str] = Field(default_factory=dict, max_length=20)


class Pricing(BaseModel):
    """What the calls would cost by this installation's own prices. `free_calls_included`: what is left of the plan's
    month; null: without limit. `billable_calls` are those beyond it."""

    free_calls_included: int | None = None
    billable_calls: int
    cost_per_call_cents: int
    total_cost_cents: int


class Preview(BaseModel):
    """What an import would bring. `at_least`: the vendor does not count, and only the first pages were looked at."""

    call_count: int | None
    at_least: bool
    date_range: Span
    estimated_duration_seconds: float | None
    pricing: Pricing


async def start(ports: Ports, caller: Caller, wanted: ImportStart, key: str | None) -> ImportStarted:
    """Start an import. The same `Idempotency-Key` with the same content starts it once."""
    content = hashlib.sha256(json.dumps(wanted.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    async def work() -> dict[str, object]:
        return (await _start(ports, caller, wanted)).model_dump(mode="json")

    return ImportStarted(**await once(ports.pool, caller.workspace_id, checked_key(key), content, work))


async def _start(ports: Ports, caller: Caller, wanted: ImportStart) -> ImportStarted:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, wanted.source_id, to_change=True)
        await quota.must_have_room(ports, connection, caller.workspace_id)
    connector, pull = ready(source)
    if wanted.job_type == "sync":
        if wanted.date_range is not None or wanted.filters:
            sentence = "A sync chooses its own time. Start a historical import or a backfill for a date range."
            raise Problem(422, "invalid_request", sentence, field="date_range")
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            job_id = await connecting.begin_sync(connection, ports.settings, source)
        assert job_id is not None  # noqa: S101 - it can be pulled, as `ready` says
        await pulls.start(ports.pool, ports.bus, caller.workspace_id, job_id)
        return ImportStarted(job_id=job_id, estimated_calls=None, estimated_duration_seconds=None)
    if wanted.date_range is None:
        raise Problem(422, "invalid_request", "date_range is missing: from when until when.", field="date_range")
    window = window_of(connector, wanted.date_range, wanted.filters, clock.now())
    async with vendor.open_api(ports.settings, ports.pool, ports.secrets, source) as api:
        count = await counted(api, pull, window)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        job_id = await write_down(connection, caller, source, wanted.job_type, window, count)
    return await set_off(ports, source, job_id, count)


async def write_down(
    connection: Connection, caller: Caller, source: Source, job_type: JobType, window: Window, count: int | None
) -> UUID:
    """A new job, not yet begun. The vendor is asked for the number of calls later, where it did not say it now."""
    _, pull = ready(source)
    job_id = await pulls.create_job(
        connection, workspace_id=source.workspace_id, source_id=source.source_id, source_app=source.source_app,
        user_id=source.user_id, job_type=job_type, since=window.since, until=window.until,
        filters=window.filters, count_first=count is None and pull.count is not None,
    )  # fmt: skip
    if count is not None:
        await connection.execute(SQL["set_estimate"], job_id, count)
    await auth.audit(
        connection, caller, source.workspace_id, "import.started", str(job_id), platform=source.source_app,
        job_type=job_type, since=window.since.isoformat(), until=window.until.isoformat(),
    )  # fmt: skip
    return job_id


async def set_off(ports: Ports, source: Source, job_id: UUID, count: int | None) -> ImportStarted:
    """Have the first page of a job pulled."""
    await pulls.start(ports.pool, ports.bus, source.workspace_id, job_id)
    seconds = await duration_of(ports, source, count)
    return ImportStarted(job_id=job_id, estimated_calls=count, estimated_duration_seconds=seconds)


async def backfill(ports: Ports, caller: Caller, source_id: UUID, span: Span, key: str | None = None) -> Begun:
    """Import a time again, mostly a gap. What is in the library unchanged is skipped."""
    wanted = ImportStart(source_id=source_id, job_type="backfill", date_range=span)
    return Begun(job_id=(await start(ports, caller, wanted, key)).job_id)


async def preview(ports: Ports, caller: Caller, wanted: PreviewWanted) -> Preview:
    """What an import would bring, how long it would take and what it would cost. Nothing is imported."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, wanted.source_id)
        free = (await quota.of(ports, connection, caller.workspace_id)).remaining
    connector, pull = ready(source)
    window = window_of(connector, wanted.date_range, wanted.filters, clock.now())
    async with vendor.open_api(ports.settings, ports.pool, ports.secrets, source) as api:
        count, at_least = await counted(api, pull, window), False
        if count is None:
            count, at_least = await _listed(api, pull, window)
    known = {each.platform: each.cost_per_call_cents for each in await _platforms(ports)}
    cost, calls = known.get(source.source_app, 0), max(0, (count or 0) - (free or 0))
    return Preview(
        call_count=count,
        at_least=at_least,
        date_range=Span(since=window.since, until=window.until),
        estimated_duration_seconds=await duration_of(ports, source, count),
        pricing=Pricing(
            free_calls_included=free, billable_calls=calls, cost_per_call_cents=cost, total_cost_cents=calls * cost
        ),
    )


async def _platforms(ports: Ports) -> list[platforms.Platform]:
    return await platforms.list_platforms(ports.settings, ports.pool, ports.base_url)


def ready(source: Source) -> tuple[Connector, Pull]:
    """The connector of a source that can be pulled now. Raises a 409 problem."""
    connector = CONNECTORS.get(source.source_app)
    if connector is None or connector.pull is None:
        raise Problem(409, "no_sync", "Calls of this source come by webhook only; there is nothing to import.")
    if not source.is_active:
        raise Problem(409, "source_paused", "This source is paused. Resume it first.")
    if source.error_message is not None:
        raise Problem(409, source.error_reason or "source_error", source.error_message)
    return connector, connector.pull


def window_of(connector: Connector, span: Span, filters: Mapping[str, str], now: datetime) -> Window:
    """What is to be listed. Raises a 422 problem for a time that has no calls and for filters that are none."""
    assert connector.pull is not None  # noqa: S101 - `ready` says so
    known = {each.name for each in connector.pull.filters}
    odd = sorted(filters.keys() - known)
    if odd:
        able = f"Those that can be used: {', '.join(sorted(known))}." if known else "There are none for this platform."
        raise Problem(422, "unknown_filter", f"There is no filter {odd[0][:60]}. {able}", field="filters")
    since, until, back = span.since, min(span.until, now), connector.pull.reaches_back
    if since >= until:
        sentence = "`from` must be earlier than `to`, and not in the future."
        raise Problem(422, "empty_period", sentence, field="date_range.from")
    if back is not None and until <= now - back:
        sentence = f"{connector.display_name} keeps calls for {back.days} days only, and this time lies before that."
        raise Problem(422, "too_long_ago", sentence, field="date_range.to")
    earliest = since if back is None else max(since, now - back)
    return Window(earliest, until, {name: value for name, value in filters.items() if value.strip()})


async def counted(api: Api, pull: Pull, window: Window) -> int | None:
    """How many calls the vendor says there are; None where it does not, or not soon. A refused credential is said."""
    if pull.count is None:
        return None
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            return await pull.count(api, window)
    except (TransientFault, MissingFault, CursorFault, InvalidCall, TimeoutError):
        return None


async def _listed(api: Api, pull: Pull, window: Window) -> tuple[int | None, bool]:
    """How many calls the first pages hold, and whether there are more."""
    seen: set[str] = set()
    cursor: str | None = None
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            for _ in range(COUNT_PAGES):
                page = await pull.list_page(api, window, cursor)
                if page.total is not None:
                    return page.total, False
                seen |= {item.external_id for item in page.items}
                cursor = page.cursor
                if cursor is None:
                    return len(seen), False
    except (TransientFault, MissingFault, CursorFault, InvalidCall, TimeoutError):
        if not seen:
            return None, False
    return len(seen), True


async def duration_of(ports: Ports, source: Source, count: int | None) -> float | None:
    """Seconds that reading so many calls takes within the vendor's limits, of which some of today's may be used up."""
    connector = CONNECTORS[source.source_app]
    if count is None or connector.pull is None:
        return None
    used = await vendor.budget_of(ports.pool, connector, source.account).used_today()
    return round(seconds_for(count, connector.pull.spends, connector.limits, clock.now(), used), 1)
