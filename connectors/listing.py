"""What connectors that pull have in common: lists out of answers, what lies in a window, and what is still unwritten.

An answer that is JSON and still not what the source documents is taken as a passing fault of the source, like JSON
that breaks off: nothing of it is kept, and the page is asked for again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.answers import broken
from connectors.contract import Delivery, Window
from connectors.payloads import Payload, parse_json
from connectors.timeparse import rfc3339
from schemas.faults import CursorFault, InvalidCall, MissingFault

REFUSED, MISSING = "request_refused", "not_at_source"
"""What `connectors.answers` says of a 400 and of a 404."""
PATIENCE = timedelta(hours=24)
"""How long after its end a call without a transcript is taken for one that is still being written."""


def objects(value: Any, source: str) -> list[Payload]:
    """`value` as a list of objects. Raises `TransientFault` when it is anything else."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise broken(source, "not what it documents")
    return value


def object_in(value: Any, source: str) -> Payload:
    """`value` as an object. Raises `TransientFault` when it is anything else."""
    if not isinstance(value, dict):
        raise broken(source, "not what it documents")
    return value


def listed_id(entry: Payload, id_of: Callable[[Payload], str], source: str) -> str:
    """The id of a listed object, as `id_of` reads it. Raises `TransientFault` when it has none."""
    try:
        return id_of(entry)
    except InvalidCall:
        raise broken(source, "not what it documents") from None


def instant(value: Any) -> datetime | None:
    """The time a source wrote, or None for anything that is no time. Never raises: listings go by it, calls do not."""
    try:
        return rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def is_in(window: Window, start: datetime | None) -> bool:
    """Whether a call that began then belongs to the window. One that does not say belongs to every window."""
    return start is None or window.since <= start < window.until


def is_fresh(now: datetime, ended: datetime | None, patience: timedelta = PATIENCE) -> bool:
    """Whether a call that ended then may still get its transcript."""
    return ended is not None and now - ended < patience


def without(payload: Mapping[str, Any], names: Collection[str]) -> Payload:
    """The payload but for these fields: addresses that are signed, and so are secrets and die."""
    return {name: value for name, value in payload.items() if name not in names}


def stamp(time: datetime) -> str:
    """A time as every source reads it: `2025-11-03T16:01:12.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body_text(delivery: Delivery) -> tuple[str, Any]:
    """The body of a webhook as text and as a JSON value, which is None for what is no JSON."""
    text = delivery.body.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return text, parse_json(text)
    except InvalidCall:
        return text, None


@contextmanager
def place_in_list(source: str, cursor: str | None) -> Iterator[None]:
    """Around the request for a page: a refusal of one that is not the first means that its cursor is forgotten."""
    try:
        yield
    except (InvalidCall, MissingFault) as fault:
        if cursor is None or fault.reason not in (REFUSED, MISSING):
            raise
        sentence = f"{source} has forgotten the place in its list. The listing begins again."
        raise CursorFault("cursor_expired", sentence, detail=fault.detail) from None
