"""The page at `/` and the files it is made of. Its other addresses are answered by `api.pages.page_or`."""

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse, Response

from api import pages

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> HTMLResponse:
    """The page finds out by itself who is signed in."""
    return pages.page()


@router.get("/assets/{name}")
async def get_asset(name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """A file of the page, kept for good."""
    return pages.asset(name, accept_encoding)
