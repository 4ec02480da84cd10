"""The `Retry-After` header of HTTP, and what some write into it instead."""

import math
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str | None, now: datetime) -> float | None:
    """Its value, in seconds or as a date, as seconds from `now`. None where it is missing or makes no sense.

    Besides the date of HTTP one in ISO 8601 is taken, as Zoom writes it
    (https://developers.zoom.us/docs/api/rate-limits/, November 2025).
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = _date(value.strip())
        if date is None:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or now.tzinfo) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _date(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError):
            return read(text)
    return None
