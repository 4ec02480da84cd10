"""The `Retry-After` header of HTTP."""

import math
from datetime import datetime
from email.utils import parsedate_to_datetime


def retry_after(value: str | None, now: datetime) -> float | None:
    """Its value, in seconds or as a date, as seconds from `now`. None where it is missing or makes no sense."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or now.tzinfo) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
