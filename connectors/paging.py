"""Small helpers for listings: windows of limited length, and cursors that hold more than one thing. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.contract import Window
from schemas.faults import CursorFault


def windows(since: datetime, until: datetime, days: float) -> list[tuple[datetime, datetime]]:
    """Consecutive spans of at most `days` that cover since…until without gap or overlap, oldest first."""
    step, found = timedelta(days=days), []
    while since < until:
        end = min(since + step, until)
        found.append((since, end))
        since = end
    return found


def window_at(window: Window, number: int, days: float) -> tuple[datetime, datetime] | None:
    """The span of that number, counted from 0; None behind the last. The first one is there even if it is empty."""
    start = window.since + timedelta(days=days) * number
    if number and start >= window.until:
        return None
    return start, min(start + timedelta(days=days), max(window.until, start))


def cursor(**parts: Any) -> str:
    """A cursor of several parts, as text. Give each listing the same names."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parts(text: str | None, **first: Any) -> dict[str, Any]:
    """The parts of a cursor; `first` for the first page, and for parts that are missing.

    Raises `CursorFault` for what is no such cursor, such as one that another version of the connector wrote.
    """
    if text is None:
        return dict(first)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, Mapping) or not set(value) <= set(first):
        raise CursorFault("cursor_unreadable", "The place in the list was not understood. The listing begins again.")
    return {**first, **value}


def next_page(number: int, token: str | None, more: bool) -> str | None:
    """The cursor of a listing in windows: the token's page in the same window, else the first of the next, else None.

    `more` says whether there is a next window. Reads back as `parts(text, window=0, token=None)`.
    """
    if token:
        return cursor(window=number, token=token)
    return cursor(window=number + 1, token=None) if more else None
