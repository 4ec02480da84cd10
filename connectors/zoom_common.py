"""What Zoom Meetings and Zoom Phone share: connecting, errors, downloads, news. Vendor pages:
https://developers.zoom.us/docs/integrations/oauth and /docs/api/rate-limits, checked November 2025.

Zoom grants the scopes that an app was registered with; none are named in the authorize address.
"""

import re
from asyncio import Lock
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from connectors.answers import DAILY_LIMIT, json_of
from connectors.auths import basic, bearer
from connectors.contract import Account, Answer, Api, Auth, Credential, Delivery, Field, Limit, Notice, OAuth, Received
from connectors.listing import body_text, object_in
from connectors.payloads import Payload, invalid_id
from schemas.faults import ConfigFault, Fault, InvalidCall, MissingFault, TransientFault

API = "https://api.zoom.us/v2"
TOKEN_URL = "https://zoom.us/oauth/token"  # noqa: S105 - an address
HOSTS = re.compile(r"([a-z0-9-]+\.)*zoom\.(us|com)")
"""Where a token of Zoom's may be sent, and where its downloads may lead to."""
SHORTEST_WRITING, WRITING_TIMES = timedelta(minutes=30), 2
"""memory: Zoom writes a transcript in about twice the length of the call."""
_SCOPES = re.compile(r"[a-z_]+(?::[a-z_]+)+")
_REDIRECTS = (301, 302, 303, 307, 308)

LIMITS = (Limit(30, 1, "light"), Limit(20, 1, "medium"), Limit(10, 1, "heavy"))
"""Of meetings on a Pro plan. A smaller plan is found out by what Zoom refuses."""
PHONE_LIMITS = (Limit(20, 1, "light"), Limit(10, 1, "medium"), Limit(5, 1, "heavy"))


def auths(rights: str) -> tuple[Auth, ...]:
    """By OAuth, or with a server-to-server app: its token is asked for when it is needed. `rights` ends a sentence."""
    server_to_server = (
        Field("account_id", "Account ID", secret=False, help="On the app's page at Zoom, under App Credentials."),
        Field("client_id", "Client ID", secret=False, help="On the app's page at Zoom, under App Credentials."),
        Field("client_secret", "Client secret", help="On the app's page at Zoom, under App Credentials."),
    )
    return (
        Auth(
            "oauth",
            bearer(),
            oauth=OAuth(
                "https://zoom.us/oauth/authorize", TOKEN_URL, (), pkce=True, client_in="header", keeps=("scope",)
            ),
            instructions=f"The app at Zoom must have these scopes: {rights}.",
        ),
        Auth(
            "password",
            lambda credential: {},
            server_to_server,
            instructions="For a whole account: make a server-to-server OAuth app at https://marketplace.zoom.us, "
            f"with these scopes: {rights}.",
        ),
    )


@dataclass(slots=True)
class _Token:
    """What a server-to-server app was given, and until when it holds."""

    text: str = ""
    scopes: str = ""
    until: float = 0.0
    asking: Lock = field(default_factory=Lock)


async def _asked(api: Api) -> _Token:
    @asynccontextmanager
    async def nothing_yet() -> AsyncIterator[_Token]:
        yield _Token()

    token = await api.keep("zoom token", nothing_yet)
    async with token.asking:
        if token.until <= api.now.timestamp():
            query = {"grant_type": "account_credentials", "account_id": api.credential["account_id"]}
            as_app = basic("client_id", "client_secret")(api.credential)
            told = object_in(await api.post(f"{TOKEN_URL}?{urlencode(query)}", headers=as_app, bucket="light"), "Zoom")
            token.text, token.scopes = str(told.get("access_token") or ""), str(told.get("scope") or "")
            lives = told.get("expires_in")
            token.until = api.now.timestamp() + (lives if type(lives) is int and 60 < lives < 86_400 else 600) / 2
    return token


async def headers(api: Api) -> dict[str, str]:
    """What a request needs beside the headers of the credential: the token, with a server-to-server app."""
    return {"Authorization": f"Bearer {(await _asked(api)).text}"} if "account_id" in api.credential else {}


async def get(api: Api, path: str, bucket: str, **params: Any) -> Payload:
    """The object at a path below the API's address."""
    return object_in(await api.get(path, params=params, headers=await headers(api), bucket=bucket), "Zoom")


async def granted(api: Api) -> frozenset[str]:
    """The scopes the account has given. Empty: that is not known."""
    said = (await _asked(api)).scopes if "account_id" in api.credential else api.credential.get("scope", "")
    return frozenset(re.findall(r"[^\s,]+", said))


def whole_account(credential: Credential, scopes: Collection[str]) -> bool:
    """Whether everybody's calls are to be listed: a server-to-server app, or a scope that only an admin can give."""
    return "account_id" in credential or any(scope in credential.get("scope", "").split() for scope in scopes)


async def validate(api: Api, needed: Iterable[tuple[str, ...]]) -> Account:
    """Whose account it is. `missing` has the first of each group of scopes of which none was granted."""
    have = await granted(api)
    missing = tuple(group[0] for group in needed if have and not have & set(group))
    if "account_id" in api.credential:
        return Account(f"Zoom account {api.credential['account_id']}", api.credential["account_id"], missing)
    me = await get(api, "/users/me", "light")
    label = next((str(me[name]) for name in ("email", "display_name", "id") if me.get(name)), "Zoom account")
    return Account(label, str(me.get("account_id") or me.get("id") or ""), missing)


def complaint(answer: Answer) -> Fault | None:
    """Zoom's codes: 4711 and 104 name missing scopes, 3301 says that there is no recording (all three memory), 12000
    that there is no transcript. A daily limit is told by a header."""
    if 200 <= answer.status < 400:
        return None
    where = f"{answer.url} answered {answer.status}"
    if answer.status == 429:
        daily = answer.headers.get("x-ratelimit-type", "").casefold().startswith("daily")
        return TransientFault(DAILY_LIMIT, "Zoom allows no more requests today.", detail=where) if daily else None
    try:
        said = json_of(answer, "Zoom")
    except TransientFault:
        return None
    said = said if isinstance(said, dict) else {}
    if said.get("error") and answer.url.endswith("/oauth/token"):
        sentence = "Zoom does not accept this account id, client id and client secret. Copy them again from the app."
        return ConfigFault("credential_refused", sentence, detail=where)
    if said.get("code") in (4711, 104):
        scopes = ", ".join(_SCOPES.findall(str(said.get("message")))[:5]) or "the scope for recordings"
        sentence = f"Zoom says that the app lacks a right: {scopes}. Add it to the app at Zoom and connect again."
        return ConfigFault("permission_missing", sentence, detail=where)
    if said.get("code") in (12000, 3301):
        return MissingFault("not_at_source", "Zoom does not have it, or not any more.", detail=where)
    return None


async def download(api: Api, url: str) -> bytes:
    """A small file. Zoom leads on to another of its hosts, which gets no token."""
    more = await headers(api)
    for _ in range(4):
        if not trusted(url):
            sentence = "Zoom gave an address that is not its own, so it was not opened. Report it with the time."
            raise InvalidCall("address_invalid", sentence)
        answer = await api.send("GET", url, headers={**more, "Accept": "*/*"}, bucket="light", ok=_REDIRECTS)
        if answer.status not in _REDIRECTS:
            return answer.body
        url, more = answer.headers.get("location", ""), {"Authorization": ""}
    raise InvalidCall("redirect_refused", "Zoom leads from one address to the next without end. Report it.")


def trusted(url: Any) -> bool:
    """Whether an address is Zoom's own."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme == "https" and bool(HOSTS.fullmatch(parts.hostname or ""))
    except ValueError:
        return False


async def playable(api: Api, url: str) -> tuple[str, bool]:
    """The address of a recording, and whether it wants the account's own headers."""
    if "account_id" not in api.credential:
        return url, True
    return f"{url}{'&' if '?' in url else '?'}access_token={quote((await _asked(api)).text)}", False


def encoded(uuid: str) -> str:
    """A meeting's UUID in a path. One that begins with a slash, or has two in a row, must be encoded twice."""
    once = quote(uuid, safe="")
    return quote(once, safe="") if uuid.startswith("/") or "//" in uuid else once


def patience(length: timedelta | None) -> timedelta:
    """How long after its end a call may still get a transcript of which there is no sign."""
    return min(max((length or timedelta(0)) * WRITING_TIMES, SHORTEST_WRITING), timedelta(hours=24))


def length_of(start: datetime | None, end: datetime | None) -> timedelta | None:
    """From start to end, where both are known."""
    return end - start if start is not None and end is not None else None


def notices(
    delivery: Delivery, events: Mapping[str, timedelta], ids: Callable[[Payload], Iterable[str]]
) -> list[Received | Notice]:
    """The calls that a delivery names, to be read after what `events` says. What cannot be read goes on as text."""
    text, value = body_text(delivery)
    event = value.get("event") if isinstance(value, dict) else None
    if isinstance(value, dict) and not (isinstance(event, str) and event in events):
        return []
    try:
        thing = value["payload"]["object"] if isinstance(value, dict) else None
        if isinstance(thing, dict):
            return [Notice(external_id, events[str(event)]) for external_id in ids(thing)]
    except (KeyError, TypeError, InvalidCall):
        pass
    return [Received(invalid_id(text), text)]
