"""Times as sources write them: RFC 3339 instants and clock positions like `01:02:03.450`. Pure."""

import re
from datetime import UTC, datetime

MAX_MS = 31 * 24 * 3600 * 1000
"""No recording is longer than a month; a greater number is a mistake of units, or hostile."""

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]{1,30})?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-9]{2})(?:[.,]([0-9]{1,9}))?")
_YEARS = range(1900, 2200)


def rfc3339(text: str) -> datetime:
    """The instant, in UTC. Raises `ValueError` with the end of a sentence that begins with the field's name."""
    found = _RFC3339.fullmatch(text.strip())
    if found is None:
        raise ValueError("is not a date and time like 2025-11-03T16:01:12Z")
    day, minute, second, fraction, zone = found.groups()
    if zone is None:
        raise ValueError("has no time zone; write it like 2025-11-03T16:01:12Z or 2025-11-03T18:01:12+02:00")
    second = "59" if second == "60" else second  # a leap second, which Python's clock does not know
    try:
        local = datetime.fromisoformat(
            f"{day}T{minute}:{second}{(fraction or '')[:7]}{'+00:00' if zone in 'zZ' else zone}"
        )
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a date and time that exists") from None
    if instant.year not in _YEARS:
        raise ValueError("lies too far in the past or in the future to be the time of a recording")
    return instant


def clock_ms(text: str) -> int:
    """Milliseconds of `H:MM:SS`, `M:SS`, each with an optional fraction after a dot or comma. Raises `ValueError`."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError("is not a time like 00:01:02")
    hours, minutes, seconds, fraction = found.groups()
    if int(seconds) > 59 or (hours is not None and int(minutes) > 59):
        raise ValueError("is not a time like 00:01:02")
    milliseconds = int(((fraction or "") + "000")[:3])
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + milliseconds


def seconds_to_ms(seconds: float) -> int:
    """Milliseconds of a number of seconds. Raises `ValueError` for what cannot be a length or position."""
    if not 0 <= seconds <= MAX_MS / 1000:  # also False for NaN
        raise ValueError("must be a number of seconds between 0 and one month")
    return round(seconds * 1000)
