"""A real OAuth 2 authorization server for the fakes: codes used once, PKCE, refreshing with and without rotation.

Who comes to the authorize page is signed in as `world.login` and agrees at once, unless a fault `deny` was ordered.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.vendors.shapes import Token
from tests.fakes.vendors.world import REFUSALS, World, reply, seen_of

CODE_SECONDS = 300.0
FAULTS = ("429", "500", "503", "cut_json", "forbidden")
Grant = Callable[[Mapping[str, str], str, str], bool]
"""Whether the form of a vendor's own grant type, the client's id and its secret are right."""


@dataclass(frozen=True, slots=True)
class Server:
    """How one vendor's authorization server behaves."""

    source: str
    token_url: str
    client_in: Literal["header", "body"]
    body: Literal["form", "json"]
    pkce: bool
    rotates: bool
    keeps: Mapping[str, Any]
    grace_s: float
    repeats: bool
    offline: bool
    grants: Mapping[str, Grant]
    scopes: str


@dataclass(frozen=True, slots=True)
class _Code:
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    method: str
    account: str
    offline: bool
    expires_at: float


class _Wrong(Exception):
    """What the token endpoint refuses, by OAuth's word for it."""


def oauth_routes(
    world: World, source: str, authorize_url: str, token_url: str, client_in: Literal["header", "body"] = "body",
    body: Literal["form", "json"] = "form", pkce: bool = False, rotates: bool = True,
    keeps: Mapping[str, Any] | None = None, *, grace_s: float = 0.0, repeats: bool = False, offline: bool = False,
    revoke_url: str = "", grants: Mapping[str, Grant] | None = None, scopes: str = "",
) -> list[Route]:  # fmt: skip
    """The authorize, token and revoke pages of a source.

    `pkce`: a challenge is required; sent unasked it is checked all the same. `rotates`: each refresh gives a new
    refresh token, and the old one is refused, after `grace_s` if told. Without rotation the answer to a refresh holds
    no refresh token, or the same one with `repeats`. `offline`: a refresh token only for access_type=offline. `keeps`:
    more fields of the answer. `grants`: grant types of the vendor's own, which give an access token only. `scopes`:
    what is granted to who asks for none. Two sources may name one server: the first one's behaviour holds, and its
    tokens are good for both.
    """
    server = Server(
        source, token_url, client_in, body, pkce, rotates, dict(keeps or {}), grace_s, repeats, offline,
        dict(grants or {}), scopes,
    )  # fmt: skip
    world.servers[source], world.scopes[source] = token_url, scopes
    codes: dict[str, _Code] = world.notes.setdefault(f"codes {token_url}", {})
    routes = [
        Route(_path(authorize_url), _authorize_page(world, server, codes), methods=["GET"]),
        Route(_path(token_url), _token_page(world, server, codes), methods=["POST"]),
    ]
    if revoke_url:
        routes.append(Route(_path(revoke_url), _revoke_page(world, server), methods=["POST"]))
    return routes


def issue(
    world: World, source: str, *, account: str = "1", scopes: str = "", refreshing: bool = True
) -> dict[str, str]:
    """A credential as if somebody had connected: access token, refresh token, and when the first one runs out."""
    server = world.servers[source]
    access, refresh = _new("access"), _new("refresh")
    expires_at = world.now().timestamp() + world.token_seconds
    scopes = scopes or world.scopes.get(source, "")
    granted = frozenset(scopes.split()) & world.granted.get(source, frozenset(scopes.split()))
    world.tokens[access] = Token(server, account, granted or None, expires_at)
    found = {"access_token": access, "expires_at": str(int(expires_at))}
    if refreshing:
        world.refresh_tokens[refresh] = Token(server, account, granted or None, float("inf"))
        found["refresh_token"] = refresh
    return found | ({"scope": " ".join(sorted(granted))} if granted else {})


def _path(url: str) -> str:
    return "/" + url.partition("://")[2]


def _new(kind: str) -> str:
    return f"fake-{kind}-{secrets.token_urlsafe(18)}"


def _of(world: World, server: Server) -> list[str]:
    """The sources whose tokens come from here."""
    return [source for source, url in world.servers.items() if url == server.token_url]


def _authorize_page(world: World, server: Server, codes: dict[str, _Code]) -> Callable[[Request], Any]:
    async def authorize(request: Request) -> Response:
        return _authorize(world, server, codes, request)

    return authorize


def _authorize(world: World, server: Server, codes: dict[str, _Code], request: Request) -> Response:
    query = request.query_params
    seen_of(request).source = server.source
    redirect_uri, client_id = query.get("redirect_uri", ""), query.get("client_id", "")
    if client_id not in world.clients or urlsplit(redirect_uri).scheme not in ("http", "https"):
        return reply({"error": "invalid_request", "error_description": "unknown client or redirect address"}, 400)
    if query.get("response_type") != "code" or (server.pkce and not query.get("code_challenge")):
        return _back(redirect_uri, {"error": "invalid_request"}, query.get("state"))
    if any(world.take(source, request.scope["path"], ("deny",)) for source in _of(world, server)):
        seen_of(request).fault = "deny"
        return _back(redirect_uri, {"error": "access_denied"}, query.get("state"))
    code = _new("code")
    codes[code] = _Code(
        client_id,
        redirect_uri,
        frozenset((query.get("scope") or server.scopes).split()),
        query.get("code_challenge", ""),
        query.get("code_challenge_method", "plain"),
        world.login,
        query.get("access_type") == "offline",
        world.now().timestamp() + CODE_SECONDS,
    )
    return _back(redirect_uri, {"code": code}, query.get("state"))


def _back(redirect_uri: str, values: dict[str, str], state: str | None) -> Response:
    query = urlencode(values | ({"state": state} if state is not None else {}))
    return RedirectResponse(f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{query}", 302)


def _token_page(world: World, server: Server, codes: dict[str, _Code]) -> Callable[[Request], Any]:
    async def token(request: Request) -> Response:
        seen = seen_of(request)
        seen.source = server.source
        for source in _of(world, server):
            if fault := world.take(source, request.scope["path"], FAULTS, named=True):
                seen.fault, seen.cut = fault.kind, fault.kind == "cut_json"
                if not seen.cut:
                    return reply({"error": "temporarily_unavailable"}, REFUSALS[fault.kind])
        try:
            form, client_id = await _form(world, server, request)
            return reply(_granted(world, server, codes, form, client_id), headers={"Cache-Control": "no-store"})
        except _Wrong as wrong:
            return reply({"error": str(wrong)}, 401 if str(wrong) == "invalid_client" else 400)

    return token


async def _form(world: World, server: Server, request: Request) -> tuple[dict[str, str], str]:
    """The fields of a token request and its client, which must have proved itself where this vendor wants it. Zoom
    takes the fields of its own grant type from the query, too."""
    raw = await request.body()
    try:
        if server.body == "json":
            form = {str(name): str(value) for name, value in (await request.json()).items()}
        else:
            form = dict(request.query_params) | dict(parse_qsl(raw.decode(), keep_blank_values=True))
    except (ValueError, AttributeError):
        raise _Wrong("invalid_request") from None
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if server.client_in == "header":
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "basic":
            raise _Wrong("invalid_client")
        client_id, _, secret = base64.b64decode(given).decode().partition(":")
    if own := server.grants.get(form.get("grant_type", "")):
        if not own(form, client_id, secret):
            raise _Wrong("invalid_client")
    elif not secret or world.clients.get(client_id) != secret:
        raise _Wrong("invalid_client")
    return form, client_id


def _granted(
    world: World, server: Server, codes: dict[str, _Code], form: Mapping[str, str], client_id: str
) -> dict[str, Any]:
    now, kind = world.now().timestamp(), form.get("grant_type", "")
    if kind in server.grants:
        return _answer(world, server, "1", frozenset(server.scopes.split()), None)
    if kind == "authorization_code":
        code = codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at < now or code.client_id != client_id:
            raise _Wrong("invalid_grant")
        if form.get("redirect_uri") != code.redirect_uri or not _proved(code, form.get("code_verifier", "")):
            raise _Wrong("invalid_grant")
        keeps = code.offline or not server.offline
        for source in _of(world, server):
            world.revoked.discard(source)
        return _answer(world, server, code.account, code.scopes, _new("refresh") if keeps else None)
    if kind != "refresh_token":
        raise _Wrong("unsupported_grant_type")
    given = form.get("refresh_token", "")
    old = world.refresh_tokens.get(given)
    if old is None or old.server != server.token_url or (old.refused_after is not None and old.refused_after < now):
        raise _Wrong("invalid_grant")
    if not server.rotates:
        answer = _answer(world, server, old.account, old.scopes or frozenset(), None)
        return answer | ({"refresh_token": given} if server.repeats else {})
    if old.refused_after is None:
        old.refused_after = now + server.grace_s if server.grace_s else 0.0
    return _answer(world, server, old.account, old.scopes or frozenset(), _new("refresh"))


def _proved(code: _Code, verifier: str) -> bool:
    if not code.challenge:
        return not verifier
    if code.method == "S256":
        verifier = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return secrets.compare_digest(verifier, code.challenge)


def _answer(world: World, server: Server, account: str, asked: frozenset[str], refresh: str | None) -> dict[str, Any]:
    allowed = [world.granted[source] for source in _of(world, server) if source in world.granted]
    scopes = asked.intersection(*allowed) if allowed and asked else asked
    access = _new("access")
    world.tokens[access] = Token(server.token_url, account, scopes, world.now().timestamp() + world.token_seconds)
    answer: dict[str, Any] = {
        "access_token": access, "token_type": "bearer", "expires_in": int(world.token_seconds), **server.keeps,
    }  # fmt: skip
    if scopes:
        answer["scope"] = " ".join(sorted(scopes))
    if refresh:
        world.refresh_tokens[refresh] = Token(server.token_url, account, scopes, float("inf"))
        answer["refresh_token"] = refresh
    return answer


def _revoke_page(world: World, server: Server) -> Callable[[Request], Any]:
    async def revoke(request: Request) -> Response:
        seen_of(request).source = server.source
        form = dict(parse_qsl((await request.body()).decode()))
        token = form.get("token") or request.query_params.get("token", "")
        gone = world.refresh_tokens.pop(token, None) or world.tokens.pop(token, None)
        if gone:
            for tokens in (world.tokens, world.refresh_tokens):
                for name, other in list(tokens.items()):
                    if (other.account, other.server) == (gone.account, gone.server):
                        del tokens[name]
        return reply({"status": "success"})

    return revoke
