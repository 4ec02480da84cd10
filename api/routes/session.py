"""Signing in, with a one-time link or by the identity provider, and out again."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Cookie, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from api import auth, oidc
from api.auth import Scope
from api.deps import TheCaller, ThePorts, same_origin
from api.pages import fill, html
from api.ports import Ports
from api.problems import Problem, status_of
from schemas.faults import Fault

router = APIRouter(tags=["session"])


class Session(BaseModel):
    """Who is signed in. Send `csrf_token` as X-CSRF-Token with every request that changes something."""

    workspace_id: str
    workspace_name: str
    user_id: str
    name: str
    email: str | None
    role: str
    scopes: list[Scope]
    csrf_token: str | None


class WaysIn(BaseModel):
    """Whether people can sign in with an identity provider, and what it is called; sign-in links always work."""

    oidc: bool
    name: str | None


@router.get("/api/sign-in")
async def ways_to_sign_in(ports: ThePorts) -> WaysIn:
    """How people sign in here. Needs no signing in. With `oidc` a button leads to `/sign-in/oidc`."""
    found = ports.identities if ports.identities and ports.identities.client_id else None
    return WaysIn(oidc=found is not None, name=found.name if found else None)


@router.get("/sign-in/oidc", include_in_schema=False)
async def begin_at_provider(ports: ThePorts) -> Response:
    """To the identity provider, with what must come back kept in this browser alone."""
    try:
        begun = await oidc.start(ports)
    except (Problem, Fault) as error:
        return _not_signed_in(error)
    response = RedirectResponse(begun.address, 303, {"Cache-Control": "no-store"})
    _set_cookie(response, ports, begun.cookie, oidc.MINUTES * 60, name=oidc.COOKIE, path=oidc.CALLBACK)
    return response


@router.get(oidc.CALLBACK, include_in_schema=False)
async def come_back_from_provider(request: Request, ports: ThePorts) -> Response:
    """Back from the identity provider: a session begins."""
    asked = request.query_params
    cookie, error = request.cookies.get(oidc.COOKIE, ""), asked.get("error", "")
    back = oidc.Back(cookie, asked.get("state", ""), asked.get("code", "")[:4096], error, asked.get("iss"))
    try:
        session = await oidc.finish(ports, back)
        response: Response = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        _set_cookie(response, ports, session.token, int(oidc.SESSION.total_seconds()))
    except (Problem, Fault) as failed:
        response = _not_signed_in(failed)
    _set_cookie(response, ports, "", 0, name=oidc.COOKIE, path=oidc.CALLBACK)
    return response


@router.get("/sign-in", include_in_schema=False)
async def show_sign_in(token: str = "") -> HTMLResponse:
    """A page with one button: link previews open it as well, and must not use the link up."""
    return html(fill("sign-in.html", token=token[:200]))


@router.post("/sign-in", include_in_schema=False)
async def sign_in(request: Request, ports: ThePorts) -> Response:
    """Use the link up and begin a session."""
    if request.headers.get("origin") and not same_origin(request):
        raise Problem(403, "csrf", "This request did not come from our own page.")
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    session = await auth.use_sign_in_link(ports.pool, form.get("token", [""])[0][:200])
    if session is None:
        return html(fill("sign-in-used.html"), status=410)
    response = RedirectResponse("/", 303)
    _set_cookie(response, ports, session.token, auth.SESSION_DAYS * 24 * 3600)
    return response


@router.get("/api/session")
async def get_session(caller: TheCaller, ports: ThePorts) -> Session:
    """Who is signed in, and the token that requests of a signed-in page must carry."""
    known = await auth.describe(ports.pool, caller)
    return Session(
        workspace_id=str(caller.workspace_id), user_id=str(caller.user_id), csrf_token=caller.csrf_token, **known
    )


@router.post("/api/session/sign-out", status_code=204)
async def sign_out(
    caller: TheCaller,
    ports: ThePorts,
    callstream_session: Annotated[str | None, Cookie(include_in_schema=False)] = None,
) -> Response:
    """End the session."""
    if callstream_session:
        await auth.end_session(ports.pool, caller, callstream_session)
    response = Response(status_code=204)
    _set_cookie(response, ports, "", 0)
    return response


def _not_signed_in(error: Problem | Fault) -> Response:
    status = error.status if isinstance(error, Problem) else status_of(error)
    return html(fill("not-signed-in.html", sentence=str(error)), status=status)


def _set_cookie(
    response: Response, ports: Ports, value: str, seconds: int, *, name: str = auth.SESSION_COOKIE, path: str = "/"
) -> None:
    secure = ports.base_url.startswith("https://")
    response.set_cookie(name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure)
