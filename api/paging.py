"""Cursor paging and the small input types every route shares. Whatever a client sends, it gets 422 and never 500."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, BeforeValidator

from api.problems import Problem

T = TypeVar("T")
MAX_LIMIT = 200


class Items(BaseModel, Generic[T]):
    """One page. `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def _storable(text: str) -> str:
    """PostgreSQL cannot compare with U+0000 or with half a character."""
    if "\x00" in text or not _is_encodable(text):
        raise ValueError("holds characters that cannot be stored or compared")
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _instant(value: Any) -> Any:
    """RFC 3339, or a date alone; a `+` that a form turned into a space is put back; no zone means UTC."""
    if not isinstance(value, str):
        return value
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        found = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", value) if "T" in value else value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2025-01-31T09:00:00Z") from None


Storable = Annotated[str, AfterValidator(_storable)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"How many items at most, up to {MAX_LIMIT}.")]
Cursor = Annotated[
    Storable | None, Query(max_length=2000, description="`next_cursor` of the page before; nothing for the first page.")
]


def encode_cursor(values: Sequence[Any]) -> str:
    """An opaque cursor after the row that has these values."""
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in values], default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The values of a cursor, each read by its kind; as many None for no cursor. Raises a 422 problem."""
    if cursor is None:
        return (None,) * len(kinds)
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError
        return tuple(kind(value) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
        sentence = "cursor is not one that this list gave out. Leave it out to begin at the first page."
        raise Problem(422, "bad_cursor", sentence, field="cursor") from None


def cursor_time(value: Any) -> datetime:
    """A time in a cursor."""
    if not isinstance(value, str):
        raise ValueError
    found = datetime.fromisoformat(value)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def cursor_id(value: Any) -> UUID:
    """An id in a cursor."""
    if not isinstance(value, str):
        raise ValueError
    return UUID(value)


def cursor_text(value: Any) -> str:
    """A text in a cursor."""
    if not isinstance(value, str):
        raise ValueError
    return _storable(value)


def cursor_count(value: Any) -> int:
    """A count in a cursor."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError
    return value


def page(
    rows: Sequence[Any], limit: int, show: Callable[[Any], T], position: Callable[[Any], Sequence[Any]]
) -> Items[T]:
    """One page out of up to `limit + 1` rows; the one too many only says that there is more."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Items[T](
        items=[show(row) for row in shown], next_cursor=encode_cursor(position(shown[-1])) if more else None
    )
