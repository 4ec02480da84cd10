"""Pictures of platforms, for whoever shows them beside a name."""

from fastapi import APIRouter, Response

from api import logos

router = APIRouter(tags=["platforms"], include_in_schema=False)


@router.get("/logos/{platform}.svg")
async def get_logo(platform: str) -> Response:
    """The mark of a platform. Public: it says nothing of anybody."""
    return Response(logos.mark_of(platform), media_type="image/svg+xml", headers=logos.HEADERS)
