"""Instants in milliseconds since 1970, which some sources write as texts, and positions of instants in a recording."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.payloads import Payload, invalid
from connectors.timeparse import MAX_MS

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 7_258_118_400_000
"""The year 2200."""


def epoch_of(value: Any) -> datetime | None:
    """The instant of so many milliseconds since 1970, as a number or a text; None for anything else. Never raises."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        return None
    return _EPOCH + timedelta(milliseconds=round(value))


def epoch_at(payload: Payload, name: str, *, where: str = "") -> datetime | None:
    """The instant in a field; None where it is absent or blank. Raises `InvalidCall` for what is no such instant."""
    value = payload.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    instant = epoch_of(value)
    if instant is None:
        raise invalid(where + name, "is not a time in milliseconds since 1970")
    return instant


def epoch_ms(time: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def position(time: datetime, start: datetime) -> int:
    """Milliseconds from the start of a recording, which nothing comes before."""
    return min(max((time - start) // timedelta(milliseconds=1), 0), MAX_MS)
