"""A connector beside the stand-in of its source, for the suites that talk over real HTTP."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from pydantic import SecretStr

from connectors import oauth
from connectors.contract import Auth, Connector, Credential, Found, Item, Page, Pull, Window
from connectors.http import Client, NoBudget, open_http
from connectors.registry import CONNECTORS, to_call
from schemas.calls import NormalizedCall
from schemas.faults import CursorFault
from schemas.settings import OAuthClient, Settings
from streams.io.reach import reach
from streams.io.retry_after import retry_after
from streams.vendor import finish_sign_in, server_of, sign_in_address
from tests.fakes.vendors.core import CLIENT_ID, CLIENT_SECRET, FakeCall, Fault, Line, Person, Vendors, World

MAX_PAGES = 400
"""More than any listing here has: a listing that does not end is seen."""
PULLING = tuple(name for name, connector in CONNECTORS.items() if connector.pull is not None)
FAKED = tuple(name for name in PULLING if find_spec(f"tests.fakes.vendors.{name}"))
TWELVE = {
    "fathom", "zoom", "zoom_phone", "youtube", "grain", "fireflies", "gong", "ringcentral", "dialpad", "hubspot",
    "google_meet", "five9",
}  # fmt: skip
"""What people were promised."""
REDIRECT = "https://calls.example.com/api/oauth/callback"
MARK = "unmistakable"
"""Stands in every secret of a test, so that it is found wherever it leaks to."""


@dataclass
class Counted(NoBudget):
    """Any time, and written down."""

    spent: Counter[str]

    async def spend(self, bucket: str, cost: int) -> float:
        """Never waits."""
        self.spent[bucket] += cost
        return 0.0


@dataclass
class Vendor:
    """A connector, its stand-in, and what the client waited instead of sleeping."""

    connector: Connector
    fake: Any
    running: Vendors
    kind: str
    credential: dict[str, str]
    """One that the source accepts."""
    slept: list[float] = field(default_factory=list)
    spent: Counter[str] = field(default_factory=Counter)
    """Of the account's limits, by bucket."""

    @property
    def name(self) -> str:
        """The source."""
        return self.connector.source_app

    @property
    def world(self) -> World:
        """What the stand-ins know."""
        return self.running.world

    @property
    def pull(self) -> Pull:
        """How it is pulled."""
        assert self.connector.pull is not None
        return self.connector.pull

    @property
    def auth(self) -> Auth:
        """The way it is connected."""
        return next(auth for auth in self.connector.auths if auth.kind == self.kind)

    @asynccontextmanager
    async def api(self, **other: str) -> AsyncIterator[Client]:
        """A client with the stand-in's credential, or with some of its fields changed."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async with open_http() as http:

            async def renew(stale: Credential) -> Credential:
                return await oauth.refresh(self.server(http), stale)

            client = Client(
                self.connector, self.auth, {**self.credential, **other}, http, self.world.now, retry_after,
                Counted(self.spent), renew if self.kind == "oauth" else None, self.running.origin, sleep=sleep,
                reach=partial(reach, settings=self.settings),
            )  # fmt: skip
            async with client.kept:
                yield client

    @property
    def settings(self) -> Settings:
        """Those of an installation that is registered with every source."""
        return settings_of(self.running.origin)

    def server(self, http: httpx2.AsyncClient) -> oauth.Server:
        """The source's authorization server."""
        return replace(server_of(self.settings, self.connector, http), clock=self.world.now)

    def add(self, *calls: FakeCall) -> set[str]:
        """Let these have been held; their ids as the connector must report them."""
        for call in calls:
            self.world.add(self.name, call)
        return {self.fake.external_id(call) for call in calls}

    def order(self, kind: Any, times: int = 1, **fields: Any) -> None:
        """Let something go wrong with the next requests."""
        self.world.order(self.name, Fault(kind, times=times, **fields))

    def calm(self) -> None:
        """Nothing that was ordered goes wrong any more."""
        for source in FAKED:  # two of them may have one authorization server
            for fault in self.world.waiting(source):
                fault.times = 0
                self.world.take(source, fault.where, [fault.kind])

    @contextmanager
    def later(self, span: timedelta) -> Iterator[None]:
        """So much later by everybody's clock."""
        self.world.skew += span
        try:
            yield
        finally:
            self.world.skew -= span

    def before(self, **span: float) -> datetime:
        """A moment so long ago, to the second."""
        return (self.world.now() - timedelta(**span)).replace(microsecond=0)

    def recent(self, days: float) -> Window:
        """The last days, with the present in them."""
        return Window(self.before(days=days), self.world.now() + timedelta(minutes=1))

    def far_back(self, days: float) -> float:
        """So many days, or as many as the source remembers."""
        reaches = self.pull.reaches_back
        return min(days, reaches / timedelta(days=1) - 1) if reaches else days

    async def pages(self, client: Client, window: Window) -> list[Page]:
        """A listing to its end, begun again where the connector asks for that."""
        cursor: str | None = None
        found: list[Page] = []
        while len(found) < MAX_PAGES:
            try:
                page = await self.pull.list_page(client, window, cursor)
            except CursorFault:
                cursor = None
                continue
            found.append(page)
            if page.cursor is None:
                return found
            cursor = page.cursor
        raise AssertionError(f"the listing of {self.name} does not end")

    async def items(self, client: Client, window: Window) -> list[Item]:
        """Everything a listing brings, repetitions too."""
        return [item for page in await self.pages(client, window) for item in page.items]

    async def read(self, client: Client, item: Item) -> tuple[Found, NormalizedCall]:
        """A call read whole, and mapped as it would be after its way through Kafka."""
        found = await self.pull.fetch(client, item)
        return found, self.mapped(found.payload, anything=not found.has_transcript)

    def mapped(self, payload: Mapping[str, Any], *, anything: bool = False) -> NormalizedCall:
        """The call in a payload; `anything`: it may have nothing to read, because a recording comes beside it."""
        text = json.dumps(payload, ensure_ascii=False)
        return self.connector.to_call(json.loads(text)) if anything else to_call(self.name, text)[0]


@cache
def settings_of(origin: str) -> Settings:
    """Settings that lead to the stand-ins."""
    ours = OAuthClient(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
    return Settings(vendor_origin=origin, oauth_clients=dict.fromkeys(CONNECTORS, ours))


def ways() -> list[tuple[str, str]]:
    """Every connector in every way it can be connected: source and kind."""
    return [(name, auth.kind) for name in FAKED for auth in CONNECTORS[name].auths]


async def vendor_of(name: str, kind: str, running: Vendors) -> Vendor:
    """The connector and its stand-in, without a call, fault or limit of an earlier test."""
    world = running.world
    fake = import_module(f"tests.fakes.vendors.{name}")
    world.calls[name] = []
    world.limited = False
    world.skew = timedelta(0)
    vendor = Vendor(CONNECTORS[name], fake, running, kind, {})
    vendor.calm()
    if kind == fake.KIND:
        vendor.credential = running.credential(name)
    elif kind == "oauth":
        vendor.credential = await signed_in(vendor)
    else:
        vendor.credential = {one.name: one.default or f"{MARK}-{one.name}" for one in vendor.auth.fields}
        if vendor.credential not in world.credentials[name]:
            world.credentials[name].append(vendor.credential)
    return vendor


async def signed_in(vendor: Vendor) -> dict[str, str]:
    """A credential by a real redirect: a browser goes to the source, agrees there, and comes back with a code."""
    verifier, state = oauth.new_verifier(), "state-of-ours"
    fields = {one.name: one.default for one in vendor.auth.fields if one.default}
    address = sign_in_address(
        vendor.settings, vendor.connector, redirect_uri=REDIRECT, state=state, verifier=verifier, fields=fields
    )
    async with open_http() as http:
        answer = await http.get(address)
    back = urlsplit(answer.headers["location"])
    came = dict(parse_qsl(back.query))
    assert f"{back.scheme}://{back.netloc}{back.path}" == REDIRECT
    assert came["state"] == state
    return await finish_sign_in(
        vendor.settings, vendor.connector, code=came["code"], redirect_uri=REDIRECT, verifier=verifier, fields=fields
    )


def some_calls(vendor: Vendor, count: int, days: float, **fields: Any) -> list[FakeCall]:
    """Calls evenly over the last days, the youngest two hours old."""
    oldest, youngest = vendor.before(days=days), vendor.before(hours=2)
    step = (youngest - oldest) / max(count - 1, 1)
    return [a_call(number, oldest + step * number, **fields) for number in range(count)]


def a_call(number: int, start: datetime, **fields: Any) -> FakeCall:
    """A call of five minutes between two people, with what breaks careless readers in its words."""
    mila, rosa = "Mila Chen", "Rosa Lind"
    lines = [
        Line(speaker=mila, start_s=1.5, end_s=4.0, text=f"Good morning, this is call {number}."),
        Line(speaker=rosa, start_s=5.0, end_s=7.25, text="Schön – 你好, shall we begin?"),
        Line(speaker=mila, start_s=61.0, end_s=64.5, text="Yes. Then we are done."),
    ]
    people = [
        Person(name=mila, email="mila@acme.example", phone="+14155550100"),
        Person(name=rosa, email="rosa@northwind.example", phone="+14155550143"),
    ]
    given: dict[str, Any] = {"people": people, "lines": lines, **fields}
    start = start.replace(microsecond=0)
    return FakeCall(id=str(100_000 + number), title=f"Call number {number}", started_at=start, duration_s=300, **given)


def ids(items: Iterable[Item]) -> Sequence[str]:
    """Their ids, in order."""
    return [item.external_id for item in items]
