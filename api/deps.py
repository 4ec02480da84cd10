"""Dependencies of the routes: the ports, and the caller, who must be signed in."""

import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from api import auth
from api.auth import Caller
from api.ports import Ports
from api.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
OPERATORS = frozenset({"owner", "support"})

_bearer = HTTPBearer(auto_error=False, description="An API key, `csk_…`.")
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
    """The caller, by API key or by session. 401 when there is neither; a wrong key is never made good by a cookie."""
    ports = ports_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        caller = await auth.find_key_owner(ports.pool, key.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise _unknown("This API key is not known here, or it was revoked.")
        return caller
    caller = await auth.find_session(ports.pool, cookie) if cookie else None
    if caller is None:
        raise _unknown("Sign in, or send an API key as `Authorization: Bearer csk_…`.")
    if request.method not in SAFE_METHODS and not _is_own_page(request, caller):
        raise Problem(403, "csrf", "This request did not come from our own page. Send the X-CSRF-Token of the session.")
    return caller


def must_be_operator(caller: Caller) -> Caller:
    """The caller, who may do what touches a whole workspace. 403 for a member."""
    if caller.role not in OPERATORS:
        raise Problem(403, "not_allowed", "Only an owner of this workspace or support may do this. Ask an owner.")
    return caller


async def get_operator(caller: Annotated[Caller, Depends(get_caller)]) -> Caller:
    """The same, as a dependency."""
    return must_be_operator(caller)


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
ThePorts = Annotated[Ports, Depends(get_ports)]
