"""`make shots`: a picture of every page, light, dark and on a phone, for `docs/screenshots/`.

A stack of its own with believable calls from the stand-ins, a few of which fail. Nothing is drawn by hand: what is ugly
here is ugly there.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.rig import PHONE, ROOT, SETTLED, WIDE, Hub, Person, open_hub
from tests.fakes.audio import make_wav
from tests.fakes.vendors.core import Fault, start_fake_vendors
from tests.servers import shared_servers

FOLDER = ROOT / "docs" / "screenshots"
PLATFORMS = ("fathom", "zoom", "gong", "hubspot", "fireflies", "grain")
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}
QUALITY = 82
FILES = (
    ("kick-off.vtt", b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Mila>Shall we look at the offer?\n"),
    ("empty-chair.json", b'{"segments": "none"}'),
    ("interview.wav", make_wav(25.0, 610)),
    ("notes.txt", b"Mila: Good morning\nTheo: Good morning, Mila\n"),
)
"""The second is broken."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A page under a name. `wait`: a text that must be there first; `full`: with what is below the fold."""

    name: str
    path: str
    wait: str | None = None
    full: bool = False


async def fill(hub: Hub, owner: Person) -> list[Shot]:
    """Connect sources, import, upload, let something fail; and the pages that show it."""
    for place, platform in enumerate(PLATFORMS):
        hub.seed(platform, 6 + 5 * place, days=20)
    for platform in PLATFORMS:
        await owner.connect(platform, hub.vendors.credential(platform))
    await owner.upload(*FILES)
    await hub.until(owner.at_rest, "all first syncs")
    hub.vendors.world.order("hubspot", Fault("forbidden", times=1000))
    found = (await owner.api("GET", "/api/sources"))["items"]
    failing = next(each for each in found if each["platform"] == "hubspot")
    await owner.api("POST", f"/api/sources/{failing['id']}/sync")
    await owner.api("POST", "/api/keys", name="Reporting", scopes=["read"])
    await owner.api("POST", "/api/keys", name="Warehouse loader")
    await owner.api(
        "POST", "/api/webhook-subscriptions", url="https://hooks.acme.example/callstream", description="CRM notes"
    )
    replay = await owner.api("POST", "/api/replays", dry_run=True)
    await hub.until(lambda: _over(owner, f"/api/replays/{replay['id']}"), "the dry run")
    await hub.until(lambda: _in_error(owner), "the source that fails")
    [played] = (await owner.api("GET", "/api/calls?q=interview"))["items"]
    jobs = (await owner.api("GET", "/api/imports"))["items"]
    failed = (await owner.api("GET", "/api/failed-imports"))["items"]
    largest = max(jobs, key=lambda job: job["total_calls"])
    return [
        Shot("hub", "/"),
        Shot("upload", "/?upload=1"),
        Shot("connect", "/connect"),
        Shot("connect-form", "/connect/fireflies"),
        Shot("jobs", "/jobs"),
        Shot("job", f"/jobs/{largest['id']}"),
        Shot("failed", "/failed"),
        Shot("failed-detail", f"/failed/{failed[0]['id']}"),
        Shot("library", "/calls"),
        Shot("library-search", "/calls?q=offer"),
        Shot("call", f"/calls/{played['id']}"),
        Shot("coverage", "/coverage"),
        Shot("replay", f"/replay?open={replay['id']}"),
        Shot("pipeline", "/pipeline"),
        Shot("settings-keys", "/settings/keys"),
        Shot("settings-webhooks", "/settings/webhooks"),
        Shot("settings-window", "/settings/window"),
        Shot("settings-usage", "/settings/usage"),
        Shot("settings-people", "/settings/people"),
        Shot("admin", "/admin"),
    ]


async def _over(owner: Person, path: str) -> bool | None:
    return (await owner.api("GET", path))["status"] in {"completed", "partial", "failed"} or None


async def _in_error(owner: Person) -> bool | None:
    found = (await owner.api("GET", "/api/sources"))["items"]
    return any(each["state"] == "error" for each in found) or None


async def take(hub: Hub, folder: Path, only: Sequence[str]) -> int:
    """All pictures; how many."""
    taken = 0
    workspace_id = await hub.workspace("Acme")
    async with hub.person("Mila Berg", workspace_id=workspace_id) as owner:
        shots = await fill(hub, owner)
        shots = [shot for shot in shots if not only or shot.name in only]
        for look, how in LOOKS.items():
            async with hub.person("Mila Berg", workspace_id=workspace_id, user_id=owner.user_id, **how) as person:
                for shot in shots:
                    await picture(person, shot, folder / f"{shot.name}-{look}.jpg")
                    taken += 1
            if not only or "welcome" in only:
                async with hub.person("Noor Haddad", workspace_name="Haddad Studio", **how) as newcomer:
                    await picture(newcomer, Shot("welcome", "/"), folder / f"welcome-{look}.jpg")
                    taken += 1
    return taken


async def picture(person: Person, shot: Shot, path: Path) -> None:
    """One picture, when nothing is loading any more."""
    page = await person.open(shot.path)
    await page.locator("h1").first.wait_for()
    if shot.wait:
        await page.get_by_text(shot.wait).first.wait_for()
    await page.wait_for_function(SETTLED)
    await page.evaluate("document.fonts.ready")
    await page.screenshot(path=path, type="jpeg", quality=QUALITY, full_page=shot.full, animations="disabled")


async def main(folder: Path, only: Sequence[str]) -> None:
    """Start everything, take the pictures, end everything."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="callstream-shots-"))
    try:
        with start_fake_vendors() as vendors:
            async with open_hub(place, shared_servers(), vendors) as hub:
                taken = await take(hub, folder, only)
        print(f"{taken} pictures in {folder}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="make shots")
    options.add_argument("--out", type=Path, default=FOLDER)
    options.add_argument("only", nargs="*", help="names of pages, e.g. hub library; default: all")
    given = options.parse_args()
    asyncio.run(main(given.out, given.only))
