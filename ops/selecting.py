"""What of the archive is meant, as people say it on the command line."""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from api.replays import ReplayCreate
    from streams.io.replays import Selection

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WHEN: Final = "a time such as 2026-01-31T09:00:00Z, a date, or 2h or 7d (so long ago)"

From = Annotated[str | None, typer.Option("--from", metavar="T", help=f"Accepted at or after {WHEN}.")]
To = Annotated[str | None, typer.Option("--to", metavar="T", help=f"Accepted before {WHEN}.")]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.")]
ExternalId = Annotated[str | None, typer.Option("--external-id", help="Only this call, by the id its source gave it.")]
InWorkspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace, by name or id.")]


def read_time(text: str | None, now: datetime, option: str) -> datetime | None:
    """The time a person means; without a zone it is UTC, and a date is its beginning. Raises `typer.BadParameter`."""
    from api.paging import Instant

    if text is None or text == "now":
        return None if text is None else now
    try:
        if ago := re.fullmatch(r"(\d{1,9})\s*([smhdw])(?: ago)?", text.strip(), re.IGNORECASE):
            return now - timedelta(**{_UNITS[ago[2].lower()]: int(ago[1])})
        return TypeAdapter[datetime](Instant).validate_python(text.strip())
    except (ValidationError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not {WHEN}.", param_hint=option) from None


def wanted(
    since: str | None,
    before: str | None,
    source: str | None,
    external_id: str | None,
    now: datetime,
    *,
    topic: str | None = None,
    rate: float | None = None,
    dry_run: bool = False,
) -> tuple["ReplayCreate", "Selection"]:
    """What a replay shall be. Raises `typer.BadParameter` with the sentence that the API would answer."""
    from api.problems import Problem
    from api.replays import ReplayCreate, selection_of

    try:
        given = ReplayCreate(
            from_=read_time(since, now, "--from"), to=read_time(before, now, "--to"), source_app=source,
            external_id=external_id, topic=topic, rate=rate, dry_run=dry_run,
        )  # fmt: skip
        return given, selection_of(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    except Problem as problem:
        raise typer.BadParameter(problem.sentence) from None
