"""What all fake vendors share: calls, faults on order, limits that are enforced, and a log of what was asked.

A vendor module calls `guard` first in each route and `page_of` wherever it lists, and gets for it: credentials checked,
limits with its own header names, and every fault. The clock is real, plus a skew that a test may set.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from tests.fakes.vendors.shapes import FakeCall, Fault, Rate, Seen, Slice, Token

CLIENT_ID, CLIENT_SECRET = "fake-client", "fake-secret"
"""Our registration at every fake authorization server."""
REFUSALS = {"429": 429, "500": 500, "503": 503, "bad_token": 401, "forbidden": 403}
PAGE_FAULTS = ("empty_page", "repeat_page", "reorder_page")
T = TypeVar("T")

Refusal = Callable[[str, int, float], tuple[int, Any]]
"""A module's own way to refuse: kind (`rate`, `unauthorized`, `forbidden`, `server`), usual status, seconds to wait.
Gives the status and the JSON it really answers with."""


@dataclass
class World:
    """Everything the fake vendors know. Tests change it as they like while the server runs."""

    calls: dict[str, list[FakeCall]] = field(default_factory=lambda: defaultdict(list))
    limits: dict[str, list[Rate]] = field(default_factory=lambda: defaultdict(list))
    limited: bool = True
    """False: no limits anywhere."""
    requests: list[Seen] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    """The token address of each source with OAuth."""
    scopes: dict[str, str] = field(default_factory=dict)
    """What a source grants to who asks for nothing."""
    granted: dict[str, frozenset[str]] = field(default_factory=dict)
    """Scopes that the person allows, by source, where that is less than what was asked for."""
    clients: dict[str, str] = field(default_factory=lambda: {CLIENT_ID: CLIENT_SECRET})
    credentials: dict[str, list[Mapping[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """What each source accepts; the first is its account "1", the next "2"."""
    login: str = "1"
    """The account that is signed in at the vendors when somebody comes to an authorize page."""
    token_seconds: float = 3600.0
    revoked: set[str] = field(default_factory=set)
    skew: timedelta = timedelta(0)
    media: dict[str, tuple[FakeCall, str, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    """For vendor modules: whatever they have to remember, under their own names."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    origin: str = ""
    _faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    _ids: dict[tuple[str, str], tuple[Any, int, dict[str, FakeCall]]] = field(default_factory=dict)
    _spent: dict[tuple[str, str, Rate], deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _closed: dict[tuple[str, str, Rate], float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> datetime:
        """The present by the vendors' clock."""
        return datetime.now(UTC) + self.skew

    def add(self, source: str, call: FakeCall) -> FakeCall:
        """One more call."""
        self.calls[source].append(call)
        return call

    def seed(
        self, source: str, count: int, since: datetime, until: datetime, chance: Random, *, hostile: bool = False
    ) -> list[FakeCall]:
        """Many calls in a time, the same for the same `chance`. Hostile ones hold what breaks careless code."""
        from tests.fakes.vendors.seeding import seeded

        made = seeded(len(self.calls[source]), count, since, until, chance, hostile=hostile)
        self.calls[source].extend(made)
        return made

    def listed(self, source: str, since: datetime | None = None, until: datetime | None = None) -> list[FakeCall]:
        """The calls that appear by now and began in [since, until), oldest first."""
        now = self.now()
        found = [
            call for call in list(self.calls[source])
            if (call.appears_at is None or call.appears_at <= now)
            and (since is None or call.started_at >= since) and (until is None or call.started_at < until)
        ]  # fmt: skip
        return sorted(found, key=lambda call: (call.started_at, call.id))

    def find(self, source: str, call_id: str) -> FakeCall | None:
        """The call with this id of the world's, if it appears by now."""
        return self.known(source, lambda call: call.id, call_id)

    def known(self, source: str, id_of: Callable[[FakeCall], str], wanted: str) -> FakeCall | None:
        """The call that a module's `id_of` gives this id, if it appears by now. Quick among ten thousand, too."""
        calls, name = self.calls[source], (source, getattr(id_of, "__qualname__", ""))
        with self._lock:
            known, count, ids = self._ids.get(name, (None, 0, {}))
            if known is not calls or count > len(calls):
                count, ids = 0, {}
            ids.update((id_of(call), call) for call in calls[count:])
            self._ids[name] = (calls, len(calls), ids)
        call = ids.get(wanted)
        return call if call and (call.appears_at is None or call.appears_at <= self.now()) else None

    def transcript_ready(self, call: FakeCall) -> bool:
        """Whether its transcript can be read by now."""
        return call.has_transcript and (call.transcript_at is None or call.transcript_at <= self.now())

    def order(self, source: str, fault: Fault) -> None:
        """Let something go wrong."""
        with self._lock:
            self._faults[source].append(fault)

    def take(self, source: str, path: str, kinds: Iterable[str], *, named: bool = False) -> Fault | None:
        """The first ordered fault of these kinds that fits the path, used up by one. `named`: only if it names it."""
        with self._lock:
            for fault in self._faults[source]:
                if fault.kind in kinds and fault.where in path and (fault.where or not named):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults[source].remove(fault)
                    return fault
        return None

    def calm(self, source: str) -> None:
        """No fault is waiting any more."""
        with self._lock:
            self._faults[source].clear()

    def waiting(self, source: str) -> list[Fault]:
        """The ordered faults that have not happened yet."""
        with self._lock:
            return list(self._faults[source])

    def asked(self, source: str, where: str = "", status: int | None = None) -> list[Seen]:
        """The requests of a source so far, by a part of their path and their status."""
        return [
            seen for seen in list(self.requests)
            if seen.source == source and where in seen.path and status in (None, seen.status)
        ]  # fmt: skip

    def revoke(self, source: str) -> None:
        """The person takes the access back: every token and key of the source is refused from now on."""
        self.revoked.add(source)
        server = self.servers.get(source)
        for tokens in (self.tokens, self.refresh_tokens):
            for name in [name for name, token in list(tokens.items()) if server and token.server == server]:
                del tokens[name]

    def restore(self, source: str) -> None:
        """The source's own credential is accepted again. OAuth tokens that were revoked stay dead."""
        self.revoked.discard(source)

    def expire(self, source: str) -> None:
        """Every access token of the source has run out; refreshing works."""
        for token in list(self.tokens.values()):
            if token.server == self.servers.get(source):
                token.expires_at = 0.0

    def account_of(self, source: str, request: Request) -> str | None:
        """Whose credential the request carries; None: nobody's that is accepted."""
        given = request.headers.get("authorization", "")
        bearer = given[7:].strip() if given[:7].casefold() == "bearer " else request.query_params.get("access_token")
        token = self.tokens.get(bearer or "")
        if token and token.server == self.servers.get(source):
            return token.account if token.expires_at > self.now().timestamp() else None
        if source in self.revoked:
            return None
        keys = {bearer, request.headers.get("x-api-key"), request.query_params.get("key"), given} - {None, ""}
        for number, credential in enumerate(self.credentials[source], 1):
            values = list(credential.values())
            basic = "Basic " + base64.b64encode(":".join(values[:2]).encode()).decode()
            secrets = {
                value for name, value in credential.items()
                if name in ("access_token", "api_key", "key", "token") or len(credential) == 1
            }  # fmt: skip
            static = "access_token" not in credential
            if static and (keys & secrets or (len(values) > 1 and given == basic)):
                return str(number)
        return None

    def _spend(self, source: str, account: str, bucket: str, cost: int) -> tuple[dict[str, str], float]:
        """The headers of the bucket's limits, and how long the request must wait: 0 for one that is let in."""
        now, wait = time.time(), 0.0
        headers: dict[str, str] = {}
        rates = [rate for rate in self.limits[source] if rate.bucket == bucket] if self.limited else []
        with self._lock:
            for rate in rates:
                key = (source, account, rate)
                spent = self._spent[key]
                while spent and spent[0] <= now - rate.seconds:
                    spent.popleft()
                closed = self._closed.get(key, 0.0)
                over = len(spent) + cost > rate.count
                if rate.penalty_s and (over or closed > now):
                    closed = self._closed[key] = now + rate.penalty_s
                needed = min(max(len(spent) + cost - rate.count - 1, 0), len(spent) - 1) if spent else 0
                free = spent[needed] + rate.seconds - now if over and spent else 0.0
                wait = max(wait, free, closed - now)
            for rate in rates:
                spent = self._spent[source, account, rate]
                if wait <= 0:
                    spent.extend([now] * cost)
                left = 0 if wait > 0 else max(rate.count - len(spent), 0)
                headers |= _limit_headers(rate, left, wait or (spent[0] + rate.seconds - now), wait, self.skew)
        return headers, wait


def _limit_headers(rate: Rate, left: int, reset: float, wait: float, skew: timedelta) -> dict[str, str]:
    headers = dict(rate.extra)
    if rate.limit_header:
        headers[rate.limit_header] = str(rate.count)
    if rate.remaining_header:
        headers[rate.remaining_header] = str(left)
    if rate.reset_header:
        headers[rate.reset_header] = _moment(rate.reset_in, reset, skew)
    if wait > 0 and rate.retry_after:
        headers["Retry-After"] = _moment(rate.retry_after, wait, skew)
    return headers


def _moment(style: str, seconds: float, skew: timedelta) -> str:
    then = datetime.now(UTC) + skew + timedelta(seconds=math.ceil(seconds))
    match style:
        case "epoch":
            return str(math.ceil(then.timestamp()))
        case "milliseconds":
            return str(math.ceil(seconds * 1000))
        case "iso":
            return then.isoformat(timespec="seconds").replace("+00:00", "Z")
        case "date":
            return format_datetime(then, usegmt=True)
        case _:
            return str(math.ceil(seconds))


def reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in ASCII, so that even a lone surrogate gets through, as it does at some vendors."""
    return Response(json.dumps(data), status, headers=dict(headers or {}), media_type="application/json")


def refused(world: World, source: str, kind: str, status: int, wait: float = 0.0) -> Response:
    """A refusal in the vendor's own words."""
    said = world.refusals.get(source)
    status, body = said(kind, status, wait) if said else (status, {"error": kind})
    return reply(body, status)


def seen_of(request: Request) -> Seen:
    """The log's entry of this request."""
    seen: Seen = request.scope["seen"]
    return seen


async def guard(
    world: World, source: str, request: Request, bucket: str = "default", *, cost: int = 1, scope: str | None = None
) -> Response | None:
    """The refusal of a request, or None: it is let in. First in each route of a vendor.

    Faults on order come first, then the credential, then the limits of `bucket`, and last the right `scope`.
    """
    seen = seen_of(request)
    seen.source = source
    path = request.scope["path"]
    fault = world.take(source, path, (*REFUSALS, "slow", "cut_json"))
    seen.fault = fault.kind if fault else ""
    if fault and fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if fault and fault.kind == "cut_json":
        seen.cut = True
    if fault and fault.kind in REFUSALS:
        return _ordered(world, source, request, fault)
    account = world.account_of(source, request)
    if account is None:
        return refused(world, source, "unauthorized", 401)
    seen.account = account
    headers, wait = world._spend(source, account, bucket, cost)
    seen.headers.update(headers)
    if wait > 0:
        return refused(world, source, "rate", 429, wait)
    allowed = world.granted.get(source)
    if scope and allowed is not None and scope not in allowed:
        return refused(world, source, "forbidden", 403)
    return None


def _ordered(world: World, source: str, request: Request, fault: Fault) -> Response:
    status = REFUSALS[fault.kind]
    if fault.kind == "bad_token":
        token = world.tokens.get(request.headers.get("authorization", "")[7:].strip())
        if token:
            token.expires_at = 0.0
    kind = {401: "unauthorized", 403: "forbidden", 429: "rate"}.get(status, "server")
    wait = fault.retry_after if fault.retry_after is not None else 1.0 if status == 429 else 0.0
    answer = refused(world, source, kind, status, wait)
    if wait:
        rate = next(iter(world.limits[source]), Rate(1, 1.0))
        answer.headers["Retry-After"] = _moment(rate.retry_after or "seconds", wait, world.skew)
    return answer


def page_of(world: World, source: str, request: Request, items: Sequence[T], offset: int, size: int) -> Slice[T]:
    """A page, or what a fault on order makes of it: an empty one that leads on, the one before again, or shuffled.

    No fault hides a call for good: whoever walks to the end has seen every one.
    """
    fault = world.take(source, request.scope["path"], PAGE_FAULTS)
    kind = fault.kind if fault else ""
    seen_of(request).fault = kind or seen_of(request).fault
    if kind == "empty_page" and offset < len(items):
        return Slice([], offset)
    if kind == "repeat_page" and offset > 0:
        return Slice(list(items[max(offset - size, 0) : offset]), offset)
    found = list(items[offset : offset + size])
    if kind == "reorder_page":
        found.reverse()
    return Slice(found, offset + size if offset + size < len(items) else None)
