"""The things of the fake vendors' world: calls with their people and words, faults, limits, tokens, requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Kind = Literal[
    "429", "500", "503", "cut_json", "slow", "empty_page", "repeat_page", "reorder_page", "bad_token", "forbidden",
    "deny",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on a call."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Something said, in seconds from the start."""

    speaker: str | None
    start_s: float
    end_s: float
    text: str


@dataclass(slots=True)
class FakeCall:
    """One call as the vendor knows it. `appears_at` is when it begins to be listed, `transcript_at` when its
    transcript is ready; None for both: at once."""

    id: str
    title: str
    started_at: datetime
    duration_s: float
    people: list[Person] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    has_transcript: bool = True
    transcript_at: datetime | None = None
    has_recording: bool = True
    changed_at: datetime | None = None
    appears_at: datetime | None = None
    language: str = "en"

    @property
    def ended_at(self) -> datetime:
        """When it was over."""
        return self.started_at + timedelta(seconds=self.duration_s)


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` requests whose path holds `where`.

    `deny` is for the authorize page, and a token page goes wrong only if `where` names it. `retry_after` (seconds) goes
    with 429 and 503, `seconds` with slow.
    """

    kind: Kind
    times: int = 1
    where: str = ""
    retry_after: float | None = None
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit that is enforced as a sliding window, and the headers by which the vendor tells of it.

    With `penalty_s` going over closes the bucket for so long, and every request meanwhile begins the time anew.
    """

    count: int
    seconds: float
    bucket: str = "default"
    limit_header: str = ""
    remaining_header: str = ""
    reset_header: str = ""
    reset_in: Literal["seconds", "epoch", "milliseconds", "iso"] = "seconds"
    retry_after: Literal["seconds", "date", "iso", ""] = "seconds"
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    penalty_s: float = 0.0


@dataclass(slots=True)
class Token:
    """An access or refresh token. `server` is the token address it came from: Google's serves two sources."""

    server: str
    account: str
    scopes: frozenset[str] | None
    expires_at: float
    refused_after: float | None = None
    """Of a refresh token that was rotated out: how long it may still be used."""


@dataclass(slots=True)
class Seen:
    """One request as it came, with the status it was answered with."""

    method: str
    path: str
    query: dict[str, str]
    at: float
    """Unix seconds by the real clock."""
    source: str = ""
    account: str = ""
    status: int = 0
    fault: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """What the limits add to the answer."""
    cut: bool = False
    sent: dict[str, str] = field(default_factory=dict)
    """The request's headers."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One webhook request as the vendor sends it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """What one page of a listing holds, and where the next one begins; None at the end."""

    items: list[T]
    following: int | None
