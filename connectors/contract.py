"""The types a connector file sees. A connector is data and flat functions; there is no base class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.calls import NormalizedCall

Headers = Mapping[str, str]
"""Request headers with lower-case names."""


@dataclass(frozen=True, slots=True)
class Received:
    """One call as it came in: its id at the source, its payload word for word, and how old its content is."""

    external_id: str
    payload: str
    observed_at: datetime | None = None
    """None: the source does not say; the time of acceptance counts."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """How a source's webhook is read. `verify` raises `BadSignature`; `read` runs only after it."""

    verify: Callable[[Headers, bytes, str, float, int], str]
    """(headers, raw body, secret, now in unix seconds, tolerance in seconds) -> the delivery id."""
    read: Callable[[bytes], list[Received]]
    """(raw body) -> the calls it brings. Never raises for odd content: an unreadable body becomes one `Received`
    whose payload is that body as text, so that it ends among the failed imports with a reason."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Everything callstream knows about a source."""

    source_app: str
    display_name: str
    to_call: Callable[[dict[str, Any]], NormalizedCall]
    """Pure. Raises `InvalidCall` naming the field, and nothing else."""
    external_id_of: Callable[[dict[str, Any]], str]
    """The source's own id of the call in a payload. Raises `InvalidCall` where there is none."""
    webhook: Webhook | None = None
    volatile: frozenset[str] = field(default_factory=frozenset)
    """Fields of `NormalizedCall` that change by themselves and so do not count as an update."""


class BadSignature(Exception):
    """The webhook's signature, timestamp or headers are not right. `str()` says which, without secrets."""
