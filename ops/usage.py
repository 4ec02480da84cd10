"""`callstream usage`: what speech to text was used for, and what it probably cost."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.settings import load_settings
from streams.io import clock

if TYPE_CHECKING:
    from datetime import datetime

    from api.usage import Usage, Used

usage = typer.Typer()
WHEN = "YYYY-MM-DD, or a time: 2026-01-31T09:00:00Z"


@usage.command("usage")
def show_usage(
    since: Annotated[str | None, typer.Option("--from", metavar="WHEN", help=f"From then on. {WHEN}.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help=f"Before then. {WHEN}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Minutes of audio that were transcribed, and their estimated cost: by default of this month, in UTC."""
    from api.usage import period
    from api.usage import usage as count
    from ops import show

    wanted = period(_instant(since, "--from"), _instant(until, "--to"), clock.now())

    async def work() -> "Usage":
        async with show.hub(load_settings()) as (ports, caller):
            return await count(ports, caller.workspace_id, *wanted)

    found = asyncio.run(work())
    if as_json:
        typer.echo(found.model_dump_json(by_alias=True, indent=2))
    else:
        print_usage(found)


def _instant(text: str | None, option: str) -> "datetime | None":
    from api.paging import Instant

    try:
        found: datetime | None = TypeAdapter(Instant | None).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-01-31T09:00:00Z.", param_hint=option) from None
    return found


def print_usage(found: "Usage") -> None:
    """The usage for a person: a line that sums it up, then a table by model and one by day."""
    from ops import show

    typer.echo(
        f"From {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC: {found.imports} calls came in, "
        f"{minutes(found.transcribed_seconds)} minutes were transcribed, estimated cost {cost(found)}."
    )
    if found.quota.imports_a_month is not None:
        typer.echo(
            f"The plan {found.quota.plan} allows {found.quota.imports_a_month} imports this month, {found.quota.used} "
            f"are used. The next month begins on {found.quota.resets_at:%Y-%m-%d}, UTC."
        )
    if not found.by_model:
        return
    for heading, rows in (
        ("Model", [(each.model, each) for each in found.by_model]),
        ("Day", [(f"{day.day}", day) for day in found.by_day]),
    ):
        typer.echo("")
        show.table(
            (heading, "Minutes", "Answers", "Estimated cost"),
            ((name, minutes(each.seconds), each.requests, cost(each)) for name, each in rows),
            empty="",
        )


def minutes(seconds: float) -> str:
    """Seconds as minutes, to a tenth."""
    return f"{seconds / 60:.1f}"


def cost(used: "Used") -> str:
    """An estimated cost, or that it is not known."""
    if used.estimated_cost_usd is None:
        return f"not known (no price for {minutes(used.unpriced_seconds)} min)"
    return f"${used.estimated_cost_usd:.4f}" if 0 < used.estimated_cost_usd < 0.1 else f"${used.estimated_cost_usd:.2f}"
