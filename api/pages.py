"""The few HTML pages: files in `static/`, sent with a policy under which only our own files run."""

from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi.responses import HTMLResponse

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _page(name: str) -> Template:
    return Template((STATIC / name).read_text(encoding="utf-8"))


def fill(name: str, **values: str) -> str:
    """A page with its `$names` filled in, escaped."""
    return _page(name).substitute({key: escape(_printable(value), quote=True) for key, value in values.items()})


def html(text: str, status: int = 200) -> HTMLResponse:
    """An answer that runs nothing but our own files and is kept by nobody."""
    return HTMLResponse(text, status, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


def _printable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
