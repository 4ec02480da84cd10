"""Every page, empty and full, light and dark, wide and narrow: no serious fault by axe, and nothing beyond the edge."""

import json
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.async_api import ViewportSize, expect

from tests.browser.places import EVERYWHERE
from tests.browser.rig import SETTLED, WIDE, Hub, Person
from tests.fakes.audio import make_wav
from tests.fakes.vendors.core import Fault

pytestmark = pytest.mark.browser
NARROW: ViewportSize = {"width": 360, "height": 740}
NARROW_RULES = ("target-size", "scrollable-region-focusable", "aria-hidden-focus", "list", "aria-required-children")
DRAWN = """
() => new Promise(drawn => {
    let frames = 4;
    const next = () => (frames-- ? requestAnimationFrame(next) : setTimeout(drawn));
    next();
})
"""
STILL = "() => !document.getAnimations().some(each => each.playState === 'running')"
BEYOND = """
() => [...document.querySelectorAll('main *')]
    .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter(each => !each.closest('[class*=overflow], [class*=sr-only]'))
    .concat([...document.querySelectorAll('[role=row]')].filter(each => each.scrollWidth > each.clientWidth + 1))
    .slice(0, 3).map(each => each.outerHTML.slice(0, 160))
"""
WIDTHS = (768, 1024, 1280, 1600)


@dataclass(frozen=True)
class Full:
    """A workspace in which there is one of everything."""

    workspace_id: UUID
    user_id: UUID
    places: tuple[str, ...]


@pytest.fixture(scope="module")
async def full(hub: Hub) -> Full:
    """Sources that work and one that does not, calls with and without a recording, failures, keys, webhooks, people."""
    workspace_id = await hub.workspace("Berg & Sons")
    user_id = await hub.member(workspace_id, "Mila Berg", "owner")
    async with hub.person("Mila Berg", workspace_id=workspace_id, user_id=user_id) as owner:
        places = await furnish(hub, owner)
    return Full(workspace_id, user_id, tuple(places))


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
    hook = await owner.api("POST", "/api/webhook-subscriptions", url=hub.receiver.url("/everybody"), description="CRM")
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
        f"/calls/{played['id']}", f"/calls/{read['id']}?view=both", f"/jobs/{jobs[0]['id']}",
        f"/failed/{failed[0]['id']}",
        f"/replay?open={replay['id']}", f"/settings/webhooks?open={hook['id']}", f"/?older={sources[0]['id']}",
        f"/?disconnect={sources[0]['id']}",
    ]  # fmt: skip


async def faults_of(person: Person, places: tuple[str, ...]) -> list[str]:
    """What is wrong with these pages: light, then dark, then on a narrow phone."""
    page, found = person.page, list[str]()
    for path in places:
        await page.set_viewport_size(WIDE)
        await page.emulate_media(color_scheme="light")
        await person.settled(path, within=True)
        await page.wait_for_function(STILL)
        found += [f"{path}: {each}" for each in await person.serious_faults()]
        await page.emulate_media(color_scheme="dark")
        await page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
        await page.wait_for_function(STILL)
        found += [f"{path}, dark: {each}" for each in await person.serious_faults("color-contrast")]
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(DRAWN)
            if beyond := await page.evaluate(BEYOND):
                found.append(f"{path}: sticks out at {width} px, {beyond}")
        await page.set_viewport_size(NARROW)
        await page.evaluate(DRAWN)
        await page.wait_for_function(SETTLED)
        wide = await page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth")
        beyond = await page.evaluate(BEYOND)
        if wide > 0 or beyond:
            found.append(f"{path}: {wide} px too wide on a phone, {beyond}")
        found += [f"{path}, narrow: {each}" for each in await person.serious_faults(*NARROW_RULES)]
    return found


async def test_nothing_is_seriously_wrong_with_pages_that_are_full(hub: Hub, full: Full) -> None:
    how = {"workspace_id": full.workspace_id, "user_id": full.user_id, "reduced_motion": "reduce"}
    async with hub.person("Mila Berg", **how) as mila:
        found = await faults_of(mila, (*EVERYWHERE, *full.places))
    assert not found, "\n".join(found)


async def test_nothing_is_seriously_wrong_with_empty_pages_nor_before_one_signs_in(hub: Hub) -> None:
    async with hub.person("Noor Haddad", reduced_motion="reduce") as noor:
        found = await faults_of(noor, EVERYWHERE)
        await noor.context.clear_cookies()
        await noor.open("/")
        found += await faults_of(noor, ("/",))
    assert not found, "\n".join(found)


async def test_on_a_phone_the_bar_reaches_from_edge_to_edge_and_leads_everywhere(hub: Hub) -> None:
    how = {"viewport": NARROW, "has_touch": True, "is_mobile": True}
    async with hub.person("Theo Grant", **how) as theo:
        page = await theo.settled("/")
        bar = page.get_by_role("navigation", name="Main")
        box = await bar.bounding_box()
        assert box is not None
        assert (box["x"], box["width"]) == (0, NARROW["width"])
        await bar.get_by_role("link", name="Library").tap()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Library")
        await theo.button("More", exact=True).tap()
        await page.get_by_role("dialog").get_by_role("link", name="Settings").tap()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
        await expect(page.get_by_role("dialog")).to_have_count(0)
