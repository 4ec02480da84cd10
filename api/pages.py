"""The HTML of callstream: the built page in `page/`, and a few plain pages in `static/`.

Each is sent with a policy under which only our own files run.
"""

import re
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; font-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Dialogs and toasts insert style elements of their own; scripts stay ours alone."""

PROGRAMS = re.compile(
    r"/(api|graphql|webhooks|health|metrics|docs|redoc|openapi\.json|static|assets|sign-in|admin/imports)(/|$)"
)
"""Addresses of programs: what is not found there is a problem document, never the page."""
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
IMMUTABLE = "public, max-age=31536000, immutable"
FILE = re.compile(r"[A-Za-z0-9][\w.-]*")
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
}


@cache
def _page(name: str) -> Template:
    return Template((STATIC / name).read_text(encoding="utf-8"))


def fill(name: str, **values: str) -> str:
    """A page with its `$names` filled in, escaped."""
    return _page(name).substitute({key: escape(_printable(value), quote=True) for key, value in values.items()})


def html(text: str, status: int = 200, policy: str = POLICY) -> HTMLResponse:
    """An answer that runs nothing but our own files and is kept by nobody."""
    return HTMLResponse(text, status, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


def page(folder: Path = PAGE) -> HTMLResponse:
    """The page, which finds out by itself who is signed in and what the address means; or how to build it."""
    try:
        return html((folder / "index.html").read_text("utf-8"), policy=PAGE_POLICY)
    except FileNotFoundError:
        return html(fill("not-built.html"), 503)


def asset(name: str, accept_encoding: str, folder: Path = PAGE) -> Response:
    """A file of the built page. Its name holds its hash, so it is kept for good; it is sent as it was compressed at the
    build, where the browser takes that. 404 when there is none."""
    path = folder / "assets" / name
    if not FILE.fullmatch(name) or not path.is_file():
        raise HTTPException(404, "There is no such file.")
    headers = {"Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}
    for encoding, suffix in ENCODINGS:
        packed = path.with_name(name + suffix)
        if _accepts(accept_encoding, encoding) and packed.is_file():
            return FileResponse(packed, headers=headers | {"Content-Encoding": encoding}, media_type=_type(path))
    return FileResponse(path, headers=headers, media_type=_type(path))


def page_or(not_found: ASGIApp, folder: Path = PAGE) -> ASGIApp:
    """What is asked when no route fits: the page for a browser's address, a file of the page by its name, else
    `not_found`. The page sorts its own addresses out, so that a link to any of them can be shared."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope) if scope["type"] == "http" else None
        found = _found(request, folder) if request and request.method in {"GET", "HEAD"} else None
        await (found or not_found)(scope, receive, send)

    return answer


def _found(request: Request, folder: Path) -> Response | None:
    path = request.url.path
    if PROGRAMS.match(path):
        return None
    name = path.removeprefix("/")
    if FILE.fullmatch(name) and name != "index.html" and Path(name).suffix in TYPES and (folder / name).is_file():
        return FileResponse(folder / name, headers={"Cache-Control": "no-cache"}, media_type=_type(folder / name))
    return page(folder) if "text/html" in request.headers.get("accept", "") else None


def _type(path: Path) -> str:
    return TYPES.get(path.suffix, "application/octet-stream")


def _accepts(header: str, encoding: str) -> bool:
    for part in header.split(","):
        name, _, rest = part.partition(";")
        if name.strip().lower() == encoding:
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", rest)
    return False


def _printable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
