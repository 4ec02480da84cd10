"""Connecting an account by signing in at its platform."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api import auth, oauth
from api.deps import TheCaller, ThePorts, get_caller, ports_of
from api.oauth import Back, SignIn
from api.pages import fill, html
from api.problems import Problem
from schemas.faults import Fault

router = APIRouter(prefix="/api/oauth", tags=["sources"])
OURS = frozenset({"source_id"})
MAX_FIELDS = 20


@router.get("/{platform}/start", response_model=SignIn, responses={303: {"description": "To the platform's sign-in."}})
async def start_sign_in(
    platform: str,
    request: Request,
    caller: TheCaller,
    ports: ThePorts,
    source_id: Annotated[UUID | None, Query(description="Connect this source again.")] = None,
) -> Response:
    """Begin to connect an account. A browser is sent to the platform; a program gets the address to open in the browser
    of a person who is signed in here. Fields that must be known before (`GET /api/platforms`) are query parameters.
    """
    fields = {name: value for name, value in list(request.query_params.items())[:MAX_FIELDS] if name not in OURS}
    by_browser = caller.csrf_token is not None
    session = request.cookies.get(auth.SESSION_COOKIE) if by_browser else None
    found = await oauth.start(ports, caller, platform, fields, session=session, source_id=source_id)
    if by_browser and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(found.authorize_url, 303, {"Cache-Control": "no-store"})
    return JSONResponse(found.model_dump(mode="json"), headers={"Cache-Control": "no-store"})


@router.get("/{platform}/callback", include_in_schema=False)
async def end_sign_in(platform: str, request: Request) -> Response:
    """Where the platform sends the browser back to: the account is checked and kept, and its first sync begins."""
    ports, asked = ports_of(request), request.query_params
    by_browser = "text/html" in request.headers.get("accept", "")
    back = Back(asked.get("state", "")[:200], asked.get("code"), asked.get("error", "")[:100] or None)
    session = request.cookies.get(auth.SESSION_COOKIE)
    try:
        try:
            caller = await get_caller(request, None, session)
        except Problem:
            caller = None
        made = await oauth.finish(ports, caller, platform, back, session=session)
    except (Problem, Fault) as error:
        if not by_browser:
            raise
        status = error.status if isinstance(error, Problem) else 502
        return html(fill("not-connected.html", sentence=str(error), platform=quote(platform, safe="")), status=status)
    if not by_browser:
        shown = {"source_id": str(made.source.source_id), "is_new": made.is_new}
        return JSONResponse(shown | {"job_id": str(made.job_id) if made.job_id else None})
    return RedirectResponse(f"/?connected={made.source.source_id}#sources", 303, {"Cache-Control": "no-store"})
