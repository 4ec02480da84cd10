"""The settings of a workspace."""

from fastapi import APIRouter

from api import settings
from api.deps import TheCaller, TheOwner, ThePorts
from api.settings import SettingsChange, SettingsView

router = APIRouter(prefix="/api/settings", tags=["settings"])


@router.get("")
async def get_settings(caller: TheCaller, ports: ThePorts) -> SettingsView:
    """The processing window and whether it is open now, and the plan."""
    return await settings.get(ports, caller)


@router.patch("")
async def change_settings(body: SettingsChange, caller: TheOwner, ports: ThePorts) -> SettingsView:
    """Set the hours in which historical imports, backfills and scheduled syncs run, or null for any time. A sync asked
    for by hand, uploads and webhooks never wait. For owners."""
    return await settings.change(ports, caller, body)
