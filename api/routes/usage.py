"""What speech to text was used for."""

from typing import Annotated

from fastapi import APIRouter, Query

from api import usage
from api.deps import TheCaller, ThePorts
from api.paging import Instant
from api.usage import Usage
from streams.io import clock

router = APIRouter(prefix="/api/usage", tags=["usage"])


@router.get("")
async def get_usage(
    caller: TheCaller,
    ports: ThePorts,
    since: Annotated[
        Instant | None,
        Query(alias="from", description="From this time on; by default from the first of the month, UTC."),
    ] = None,
    until: Annotated[
        Instant | None, Query(alias="to", description="Before this time; by default the end of this month, UTC.")
    ] = None,
) -> Usage:
    """How much audio of your workspace was transcribed in a time, what that probably cost, by model and by day, and how
    many calls came in. The cost is estimated by the vendor's price list and null where a price is not known; the
    vendor's invoice is what counts. `quota`: what your plan allows this month."""
    return await usage.usage(ports, caller.workspace_id, *usage.period(since, until, clock.now()))
