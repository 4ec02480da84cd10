"""Every page, empty and full, light and dark, wide and narrow: no serious fault by axe, and nothing beyond the edge."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.browser.places import EVERYWHERE
from tests.browser.rig import Hub, Person
from tests.fakes.audio import make_wav
from tests.fakes.vendors.core import Fault

pytestmark = pytest.mark.browser
NARROW = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
MENDS = """
() => [...document.querySelectorAll('main *')]
    .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter(each => !each.closest('[class*=overflow], .sr-only'))
    .slice(0, 3).map(each => each.outerHTML.slice(0, 160))
"""


@dataclass(frozen=True)
class Full:
    """A workspace in which there is one of everything."""

    workspace_id: UUID
    user_id: UUID
    places: tuple[str, ...]


@pytest.fixture(scope="module")
async def full(hub: Hub) -> AsyncIterator[Full]:
    """Sources that work and one that does not, calls with and without a recording, failures, keys, webhooks, people."""
    workspace_id = await hub.workspace("Berg & Sons")
    user_id = await hub.member(workspace_id, "Mila Berg", "owner")
    async with hub.person("Mila Berg", workspace_id=workspace_id, user_id=user_id) as owner:
        places = await furnish(hub, owner)
    yield Full(workspace_id, user_id, tuple(places))


async def furnish(hub: Hub, owner: Person) -> list[str]:
    """Fill it; the addresses of what is in it."""
    hub.seed("grain", 5)
    hub.seed("hubspot", 3)
    for platform in ("grain", "gong"):
        await owner.connect(platform, hub.vendors.credential(platform))
    bad = json.dumps({"segments": "none"}).encode()
    vtt = b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Mila>Hello there, planning.\n"
    await owner.upload(("talk.wav", make_wav(3.0, 1510)), ("planning.vtt", vtt), ("empty-chair.json", bad))
    await hub.until(owner.at_rest, "the imports")
    hub.vendors.world.order("gong", Fault("forbidden", times=1000))
    sources = (await owner.api("GET", "/api/sources"))["items"]
    failing = next(each["id"] for each in sources if each["platform"] == "gong")
    await owner.api("POST", f"/api/sources/{failing}/sync")
    await owner.api("POST", "/api/keys", name="Nightly report", scopes=["read"])
    await owner.api("POST", "/api/members", name="Sam Ortiz", role="member", email="sam@acme.example")
    hook = await owner.api(
        "POST", "/api/webhook-subscriptions", url=hub.receiver.url("/everybody"), description="CRM"
    )
    await owner.api("POST", f"/api/webhook-subscriptions/{hook['id']}/test")
    replay = await owner.api("POST", "/api/replays", dry_run=True)

    async def done() -> bool | None:
        state = (await owner.api("GET", f"/api/replays/{replay['id']}"))["status"]
        return state in {"completed", "partial", "failed"} or None

    async def in_error() -> bool | None:
        return (await owner.api("GET", f"/api/sources/{failing}"))["state"] == "error" or None

    await hub.until(done, "the dry run")
    await hub.until(in_error, "the source that fails")
    hub.vendors.world.calm("gong")
    calls = (await owner.api("GET", "/api/calls"))["items"]
    jobs = (await owner.api("GET", "/api/imports"))["items"]
    failed = (await owner.api("GET", "/api/failed-imports"))["items"]
    played = next(each for each in calls if each["title"] == "talk")
    read = next(each for each in calls if each["title"] == "planning")
    return [
        f"/calls/{played['id']}", f"/calls/{read['id']}?view=both", f"/jobs/{jobs[0]['id']}", f"/failed/{failed[0]['id']}",
        f"/replay?open={replay['id']}", f"/settings/webhooks?open={hook['id']}", f"/?older={sources[0]['id']}",
        f"/?disconnect={sources[0]['id']}",
    ]  # fmt: skip


async def faults_of(person: Person, places: tuple[str, ...]) -> list[str]:
    """What axe finds on these pages."""
    found = []
    for path in places:
        await person.settled(path)
        found += [f"{path}: {each}" for each in await person.serious_faults()]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_fault_on_pages_with_content(hub: Hub, full: Full, scheme: str) -> None:
    how = {"workspace_id": full.workspace_id, "user_id": full.user_id, "color_scheme": scheme}
    async with hub.person("Mila Berg", **how) as mila:
        found = await faults_of(mila, (*EVERYWHERE, *full.places))
    assert not found, "\n".join(found)


async def test_axe_finds_no_serious_fault_on_empty_pages_nor_for_somebody_who_is_not_signed_in(hub: Hub) -> None:
    async with hub.person("Noor Haddad", color_scheme="dark") as noor:
        found = await faults_of(noor, EVERYWHERE)
        await noor.context.clear_cookies()
        found += await faults_of(noor, ("/",))
    assert not found, "\n".join(found)


async def test_on_a_narrow_phone_no_page_is_wider_than_the_screen_and_axe_is_content(hub: Hub, full: Full) -> None:
    async with hub.person("Mila Berg", workspace_id=full.workspace_id, user_id=full.user_id, **NARROW) as mila:
        found = []
        for path in (*EVERYWHERE, *full.places):
            page = await mila.settled(path)
            wide = await page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth")
            over = await page.evaluate(MENDS)
            if wide > 0 or over:
                found.append(f"{path}: {wide} px too wide, {over}")
            found += [f"{path}: {each}" for each in await mila.serious_faults()]
        bar = await mila.page.get_by_role("navigation", name="Main").last.bounding_box()
        assert bar is not None
        assert bar["width"] == NARROW["viewport"]["width"], "the bar reaches from edge to edge"
    assert not found, "\n".join(found)
