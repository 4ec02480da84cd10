"""Previews: what an import would bring, before it is started."""

from datetime import datetime

import strawberry

from api import imports
from api.graphql.context import Info, asked
from api.graphql.errors import id_of
from api.graphql.jobs import ImportFilter, minutes
from api.imports import PreviewWanted
from api.sources import Span


@strawberry.type(description="From a time until before another.")
class DateRange:
    """From a time until before another."""

    start: datetime
    end: datetime


@strawberry.type(description="What the calls would cost by this installation's own prices.")
class ImportPricing:
    """What the calls would cost."""

    free_calls_included: int | None = strawberry.field(description="Null: without limit.")
    billable_calls: int
    cost_per_call_cents: int
    total_cost_cents: int


@strawberry.type(description="What an import would bring. Nothing is imported.")
class ImportPreview:
    """What an import would bring."""

    call_count: int | None = strawberry.field(description="Null: the platform does not say it, or not soon enough.")
    at_least: bool = strawberry.field(description="The platform does not count; only its first pages were looked at.")
    date_range: DateRange = strawberry.field(description="As far as the platform reaches back.")
    estimated_duration_minutes: int | None
    pricing: ImportPricing


async def import_preview(
    info: Info,
    credential_id: strawberry.ID,
    date_range_start: datetime,
    date_range_end: datetime,
    filters: list[ImportFilter] | None = None,
) -> ImportPreview | None:
    """How many calls an import would bring, how long it would take and what it would cost."""
    ports, caller = asked(info)
    wanted = PreviewWanted(
        source_id=id_of(credential_id, "credential", "credentialId"),
        date_range=Span(since=date_range_start, until=date_range_end),
        filters={each.name: each.value for each in filters or []},
    )
    found = await imports.preview(ports, caller, wanted)
    return ImportPreview(
        call_count=found.call_count,
        at_least=found.at_least,
        date_range=DateRange(start=found.date_range.since, end=found.date_range.until),
        estimated_duration_minutes=minutes(found.estimated_duration_seconds),
        pricing=ImportPricing(**found.pricing.model_dump()),
    )
