"""Platforms that accounts can be connected of."""

from fastapi import APIRouter

from api import platforms
from api.deps import TheCaller, ThePorts
from api.paging import Items
from api.platforms import Platform

router = APIRouter(prefix="/api/platforms", tags=["sources"])


@router.get("")
async def list_platforms(_: TheCaller, ports: ThePorts) -> Items[Platform]:
    """What callstream can connect to: what each platform is able to, how an account is connected, which fields the form
    has, and how webhooks are set up. `status` is beta until somebody has run it against the live platform."""
    return Items[Platform](items=await platforms.list_platforms(ports.settings, ports.pool, ports.base_url))
