"""The one way to a source over HTTP: authorised, within its limits, with faults in our own terms.

No proxy or cookie of the environment is used, and redirects are followed only to the same host. No exception, log line
or metric holds a token, a query, a body or a header's value.
"""

import asyncio
import json as jsonlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from connectors.answers import LIMITED, LONGEST_WAIT, RATE_LIMITED, asked_at, fault_of, json_of, left_of, limited
from connectors.budget import Budget, NoBudget
from connectors.contract import Answer, Auth, Connector, Credential, T
from connectors.kept import Kept, Reach, nowhere
from connectors.wire import exchange, original, rewrite
from schemas.faults import Fault, InvalidCall, TransientFault

__all__ = ["Budget", "Client", "NoBudget", "Refresh", "WaitOf", "exchange", "open_http", "rewrite"]

TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
PAUSES = (0.5, 2.0)
"""Between tries in place. What needs longer is the caller's to plan."""
PATIENCE = 5.0
"""A wait for a limit is sat out up to this long."""
LIMITED_SECONDS = 30.0
"""The wait after a 429 that names none. RingCentral starts its penalty anew for whoever comes sooner."""
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)

Refresh = Callable[[Credential], Awaitable[Credential]]
"""Given a credential that was refused, the one that holds now. Asked once a request, and only with OAuth."""
WaitOf = Callable[[str | None, datetime], float | None]
"""The value of a `Retry-After` header as seconds from a time."""


def open_http(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """A client for sources. Close it. `transport` is the way to the network, where it is not the usual one."""
    return httpx2.AsyncClient(
        verify=_tls(), transport=transport, trust_env=False, follow_redirects=False, timeout=TIMEOUT,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])), headers={"User-Agent": "callstream"},
    )  # fmt: skip


@cache
def _tls() -> SSLContext:
    return httpx2.create_ssl_context()


@dataclass(slots=True)
class Client:
    """A connector's `Api` for one account."""

    connector: Connector
    auth: Auth
    credential: Credential
    http: httpx2.AsyncClient
    clock: Callable[[], datetime]
    wait_of: WaitOf
    budget: Budget
    refresh: Refresh | None = None
    vendor_origin: str | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    reach: Reach = nowhere
    kept: Kept = field(default_factory=Kept)
    """Close it when the client is no longer used."""
    queues: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By bucket: who waits for the budget does so in turn, and nobody for ever."""

    @property
    def now(self) -> datetime:
        """The present."""
        return self.clock()

    async def get(
        self, url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
        bucket: str = "default", cost: int = 1,
    ) -> Any:  # fmt: skip
        """The JSON at an address; None for an empty answer."""
        return await self._ask("GET", self._with(url, params), None, headers or {}, bucket, cost, (), json_of)

    async def post(
        self, url: str, *, json: Any = None, headers: Mapping[str, str] | None = None, bucket: str = "default",
        cost: int = 1,
    ) -> Any:  # fmt: skip
        """The JSON that a question in JSON is answered with. What we ask by POST are reads, and so may be repeated."""
        body, typed = _written(json, None, headers)
        return await self._ask("POST", self.address(url), body, typed, bucket, cost, (), json_of)

    async def send(
        self, method: str, url: str, *, params: Mapping[str, Any] | None = None, json: Any = None,
        content: bytes | None = None, headers: Mapping[str, str] | None = None, bucket: str = "default", cost: int = 1,
        ok: Sequence[int] = (),
    ) -> Answer:  # fmt: skip
        """The answer as it came. A redirect to the same host is followed, unless its status is in `ok`."""
        body, typed = _written(json, content, headers)
        whole: Answer = await self._ask(
            method, self._with(url, params), body, typed, bucket, cost, ok, lambda answer, vendor: answer
        )
        return whole

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Checked addresses of a host that a person named."""
        return await self.reach(host, port)

    async def keep(self, name: str, opened: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Something of the connector's own, for as long as this client is used."""
        return await self.kept.get(name, opened)

    async def allow(self, bucket: str = "default", cost: int = 1) -> None:
        """Return when a request may be sent, which is then counted. Raises `TransientFault` if that is not soon."""
        waited = 0.0
        async with self.queues[bucket]:
            while wait := await self.budget.spend(bucket, cost):
                if waited + wait > PATIENCE:
                    raise limited(self.connector.display_name, RATE_LIMITED, wait, self.now)
                waited += wait
                await self.sleep(wait)

    def address(self, url: str) -> str:
        """The absolute address of a path below the connector's base."""
        if "://" in url:
            return url
        base = self.connector.base
        return (base if isinstance(base, str) else base(self.credential)).rstrip("/") + "/" + url.lstrip("/")

    def _with(self, url: str, params: Mapping[str, Any] | None) -> str:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        return str(httpx2.URL(self.address(url)).copy_merge_params(given)) if given else self.address(url)

    async def _ask(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], bucket: str, cost: int,
        ok: Sequence[int], read: Callable[[Answer, str], Any],
    ) -> Any:  # fmt: skip
        pauses, refresh = list(PAUSES), self.refresh if self.auth.kind == "oauth" else None
        while True:
            await self.allow(bucket, cost)
            answer, used = None, self.credential
            try:
                answer = await self._follow(method, url, content, headers, ok)
                if answer.status != 401 or refresh is None:
                    await self._observe(answer, bucket)
                    self._check(answer, ok)
                    return read(answer, self.connector.display_name)
            except TransientFault as fault:
                await self.sleep(await self._pause(fault, answer, bucket, pauses))
                continue
            if self.credential is used:  # else another request has had it refreshed meanwhile
                self.credential = await refresh(used)
            refresh = None

    async def _follow(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], ok: Sequence[int]
    ) -> Answer:
        for _ in range(MAX_REDIRECTS):
            ours = {"Accept": "application/json"} | self.auth.headers(self.credential) | dict(headers)
            ours = {name: value for name, value in ours.items() if value}  # "" leaves one of the account's own out
            answer = await exchange(
                self.http, self.connector, method, url, headers=ours, content=content, vendor_origin=self.vendor_origin
            )
            goes_to = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or answer.status in ok or not goes_to:
                return answer
            following = urljoin(url, original(goes_to, self.vendor_origin))
            if urlsplit(following)[:2] != urlsplit(url)[:2]:
                break
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, content = "GET", None
            url = following
        vendor = self.connector.display_name
        sentence = f"{vendor} sends the request on to another server, which does not get this account's credential."
        raise InvalidCall("redirect_refused", f"{sentence} Report it together with the time it happened.")

    def _check(self, answer: Answer, ok: Sequence[int]) -> None:
        """Raise what the answer complains of: in the source's own words, else by its status."""
        fault: Fault | None = self.connector.complaint(answer) if self.connector.complaint else None
        if fault is None and not 200 <= answer.status < 300 and answer.status not in ok:
            fault = fault_of(answer.status, self.connector.display_name, f"{answer.url} answered {answer.status}")
        if fault is not None:
            raise fault

    async def _observe(self, answer: Answer, bucket: str) -> None:
        if (left := left_of(answer, self.connector.limit_headers, bucket, self.now)) is not None:
            await self.budget.observe(bucket, *left)

    async def _pause(self, fault: TransientFault, answer: Answer | None, bucket: str, pauses: list[float]) -> float:
        """How long to wait before the next try in place. Raises when that is too long, or was done too often."""
        wait = fault.retry_after
        if wait is None and answer is not None:
            wait = self.wait_of(answer.headers.get("retry-after"), asked_at(answer, self.now))
        if fault.reason in LIMITED:
            if wait is None and answer is not None and fault.reason == RATE_LIMITED:
                left = left_of(answer, self.connector.limit_headers, bucket, self.now)
                wait = left[1] if left is not None and left[0] < 1 else LIMITED_SECONDS
            wait = await self.budget.block(bucket, None if wait is None else min(wait, LONGEST_WAIT))
            fault = limited(self.connector.display_name, fault.reason, wait, self.now)
        elif wait is not None:
            wait = min(wait, LONGEST_WAIT)
        if not pauses or (wait or 0.0) > PATIENCE:
            raise TransientFault(fault.reason, fault.sentence, detail=fault.detail, retry_after=wait) from None
        return max(wait or 0.0, pauses.pop(0)) * (1 + random.random() / 10)  # noqa: S311 - only so that not all come at once


def _written(
    json: Any, content: bytes | None, headers: Mapping[str, str] | None
) -> tuple[bytes | None, Mapping[str, str]]:
    if json is None:
        return content, headers or {}
    return jsonlib.dumps(json).encode(), {"Content-Type": "application/json"} | dict(headers or {})
