"""Signing in with a one-time link, and out again."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Cookie, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from api import auth
from api.deps import TheCaller, ThePorts, same_origin
from api.pages import fill, html
from api.ports import Ports
from api.problems import Problem

router = APIRouter(tags=["session"])


class Session(BaseModel):
    """Who is signed in. Send `csrf_token` as X-CSRF-Token with every request that changes something."""

    workspace_id: str
    workspace_name: str
    user_id: str
    name: str
    email: str | None
    role: str
    csrf_token: str | None


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


def _set_cookie(response: Response, ports: Ports, value: str, seconds: int) -> None:
    secure = ports.base_url.startswith("https://")
    response.set_cookie(
        auth.SESSION_COOKIE, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=secure
    )
