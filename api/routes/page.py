"""The small page at `/`."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.pages import fill, html

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> HTMLResponse:
    """The page finds out by itself who is signed in."""
    return html(fill("index.html"))
