"""Dependencies of the routes: the ports, and the caller, who must be signed in and may do only so much.

What a caller may do is decided here and nowhere else, but for whose thing it is: `scope_of` says which scope an
operation takes, `must_be_operator` and `must_be_owner` which role.
"""

import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from api import auth, oidc
from api.auth import Caller, Scope
from api.ports import Ports
from api.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
OPERATORS = frozenset({"owner", "support"})

SCOPE_BY_PATH: Mapping[str, Scope | None] = {
    "/api/session": None,  # whoever is known here may ask who they are, and sign out
    "/api/keys": "admin",
    "/api/members": "admin",
    "/api/settings": "admin",
    "/api/webhook-subscriptions": "admin",
    "/api/audit": "admin",
    "/api/pipeline": "admin",
    "/api/replays": "admin",
    "/admin": "admin",
    "/api/oauth": "write",  # its GETs connect an account
    "/graphql": "read",  # a mutation asks for `write` itself, by `must_have`
}
"""What whole parts of the API take; None: nothing. Elsewhere it is `read` for safe methods and `write` for others."""

MISSING: Mapping[Scope, str] = {
    "read": "read anything",
    "write": "change anything",
    "admin": "see or change keys, people, settings and what else concerns the whole workspace",
}

_bearer = HTTPBearer(auto_error=False, description="An API key, `csk_…`, or a token of the identity provider.")
_cookie = APIKeyCookie(name=auth.SESSION_COOKIE, auto_error=False, description="A person's session.")


def ports_of(request: Request) -> Ports:
    """What `open_ports` opened when the process started."""
    ports: Ports = request.app.state.ports
    return ports


async def get_ports(request: Request) -> Ports:
    """The same, as a dependency: `async`, because FastAPI runs any other in a thread."""
    return ports_of(request)


async def get_caller(
    request: Request,
    _key: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Caller:
    """The caller, by API key, token or session. 401 when there is none of them; a wrong key is never made good by a
    cookie. 403 where their key has not got the scope that this takes."""
    caller = await caller_of(ports_of(request), request.headers.get("authorization"), cookie)
    if caller.csrf_token is not None and request.method not in SAFE_METHODS and not _is_own_page(request, caller):
        raise Problem(403, "csrf", "This request did not come from our own page. Send the X-CSRF-Token of the session.")
    must_have(caller, scope_of(request.method, request.scope["path"]))  # what was routed by, not what a header says
    return caller


async def caller_of(ports: Ports, authorization: str | None, cookie: str | None) -> Caller:
    """Who an `Authorization` header is of, or else a session cookie. Raises a 401 problem. What they may do, and where
    their browser was led from, is still to be checked."""
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        caller = await _by_bearer(ports, key.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise _unknown("This API key is not known here, or it was revoked.")
        return caller
    caller = await auth.find_session(ports.pool, cookie) if cookie else None
    if caller is None:
        raise _unknown("Sign in, or send an API key as `Authorization: Bearer csk_…`.")
    return caller


async def _by_bearer(ports: Ports, key: str) -> Caller | None:
    if key.startswith(auth.KEY_PREFIX) or ports.identities is None:
        return await auth.find_key_owner(ports.pool, key)
    try:
        return await oidc.caller_of_token(ports.pool, ports.identities, key)
    except oidc.BadToken as error:
        raise _unknown(str(error)) from None


def scope_of(method: str, path: str) -> Scope | None:
    """The scope that a request takes."""
    for beginning, scope in SCOPE_BY_PATH.items():
        if path == beginning or path.startswith(beginning + "/"):
            return scope
    return "read" if method in SAFE_METHODS else "write"


def must_have(caller: Caller, scope: Scope | None) -> Caller:
    """The caller, whose scopes hold this one. Raises a 403 problem that names it."""
    if scope is not None and scope not in caller.scopes:
        sentence = f"This API key may not {MISSING[scope]}: it has not got the scope `{scope}`. Use one that has."
        raise Problem(403, "scope_missing", sentence, scope=scope)
    return caller


def must_be_operator(caller: Caller) -> Caller:
    """The caller, who may do what touches a whole workspace. 403 for a member."""
    if caller.role not in OPERATORS:
        raise Problem(403, "not_allowed", "Only an owner of this workspace or support may do this. Ask an owner.")
    return must_have(caller, "admin")


def must_be_owner(caller: Caller) -> Caller:
    """The caller, who may decide about the workspace itself. 403 for anybody else."""
    if caller.role != "owner":
        raise Problem(403, "not_allowed", "Only an owner of this workspace may do this. Ask one.")
    return must_have(caller, "admin")


async def get_operator(caller: Annotated[Caller, Depends(get_caller)]) -> Caller:
    """The same, as a dependency."""
    return must_be_operator(caller)


async def get_owner(caller: Annotated[Caller, Depends(get_caller)]) -> Caller:
    """An owner, as a dependency."""
    return must_be_owner(caller)


def same_origin(request: Request) -> bool:
    """Whether the browser says the request comes from a page of this very installation."""
    origin = request.headers.get("origin")
    if not origin or origin == "null":
        return False
    own = ports_of(request).settings.public_url
    allowed = {f"{request.url.scheme}://{request.headers.get('host', '')}"}
    if own:
        parts = urlsplit(own)
        allowed.add(f"{parts.scheme}://{parts.netloc}")
    return origin.lower() in {each.lower() for each in allowed}


def _is_own_page(request: Request, caller: Caller) -> bool:
    token = request.headers.get(CSRF_HEADER)
    if token is not None:
        return hmac.compare_digest(token.encode("utf-8", "replace"), (caller.csrf_token or "").encode())
    return same_origin(request)


def _unknown(sentence: str) -> Problem:
    return Problem(401, "not_signed_in", sentence, headers={"WWW-Authenticate": 'Bearer realm="callstream"'})


TheCaller = Annotated[Caller, Depends(get_caller)]
TheOperator = Annotated[Caller, Depends(get_operator)]
TheOwner = Annotated[Caller, Depends(get_owner)]
ThePorts = Annotated[Ports, Depends(get_ports)]
