"""Two people in two workspaces, and what somebody who is not an owner finds."""

import json

import pytest
from playwright.async_api import expect

from tests.browser.places import EVERYWHERE, SETTINGS
from tests.browser.rig import Hub, Person

pytestmark = pytest.mark.browser
PLANTED = "Quillon"
"""Stands in everything that belongs to one of them, and in nothing else."""


async def furnish(hub: Hub, owner: Person) -> list[str]:
    """Everything a workspace can hold, with the planted word in it; the addresses of the things."""
    hub.seed("grain", 2)
    for call in hub.vendors.world.calls["grain"]:
        call.title = f"{PLANTED} {call.title}"
    await owner.connect("grain", hub.vendors.credential("grain"))
    bad = json.dumps({"segments": "none"}).encode()
    await owner.upload((f"{PLANTED}.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n"), (f"{PLANTED}.json", bad))
    await owner.api("POST", "/api/keys", name=f"{PLANTED} reports")
    await owner.api("POST", "/api/members", name=f"{PLANTED} Colleague", role="member")
    url = f"https://example.com/{PLANTED}"
    made = await owner.api("POST", "/api/webhook-subscriptions", url=url, description=PLANTED)
    await owner.api("POST", "/api/webhook-endpoints", platform="generic")
    await hub.until(owner.at_rest, "the imports")
    calls = (await owner.api("GET", "/api/calls"))["items"]
    jobs = (await owner.api("GET", "/api/imports"))["items"]
    failed = (await owner.api("GET", "/api/failed-imports"))["items"]
    sources = (await owner.api("GET", "/api/sources"))["items"]
    assert len(calls) == 3
    assert len(failed) == 1
    return [
        *(f"/calls/{each['id']}" for each in calls),
        *(f"/jobs/{each['id']}" for each in jobs),
        f"/failed/{failed[0]['id']}",
        f"/calls?source_id={sources[0]['id']}",
        f"/?disconnect={sources[0]['id']}",
        f"/coverage?source={sources[0]['id']}",
        f"/failed?job_id={failed[0]['job_id']}",
        f"/settings/webhooks?open={made['id']}",
        f"/admin?job={jobs[0]['id']}",
    ]


async def test_people_of_two_workspaces_see_nothing_of_each_other(hub: Hub) -> None:
    async with hub.person(f"{PLANTED} Berg", workspace_name=f"{PLANTED} & Sons") as owner:
        theirs = await furnish(hub, owner)
        for path in ("/calls", "/failed?view=calls", "/settings/keys", "/settings/people"):
            page = await owner.settled(path)
            await expect(page.get_by_text(PLANTED).first).to_be_visible()
        async with hub.person("Noor Haddad", workspace_name="Haddad Studio") as stranger:
            for path in (*EVERYWHERE, f"/calls?q={PLANTED}", f"/failed?view=calls&q={PLANTED}", *theirs):
                page = await stranger.settled(path, within=True)
                shown = await page.locator("#content, [data-sonner-toaster], [role=dialog]").all_inner_texts()
                typed = "No failed import fits", "No call fits"
                found = [text for text in shown if PLANTED in text and not any(each in text for each in typed)]
                assert not found, (path, found)
            await stranger.open(f"/calls/{theirs[0].rpartition('/')[2]}")
            await expect(stranger.page.get_by_text("It is not in your library")).to_be_visible()


async def test_a_member_finds_sentences_where_only_owners_may(hub: Hub) -> None:
    workspace_id = await hub.workspace("Berg & Sons")
    hub.seed("fireflies", 2)
    async with hub.person("Mila Berg", workspace_id=workspace_id) as owner:
        await owner.connect("fireflies", hub.vendors.credential("fireflies"))
        await hub.until(owner.at_rest, "the first sync")
    async with hub.person("Sam Ortiz", "member", workspace_id=workspace_id) as sam:
        page = await sam.settled("/")
        main = page.get_by_role("navigation", name="Main").first
        await expect(main.get_by_role("link", name="Library")).to_be_visible()
        for hidden in ("Replay", "Pipeline", "Admin"):
            await expect(main.get_by_role("link", name=hidden)).to_have_count(0)
        card = sam.card("Fireflies")
        await expect(card.get_by_text("Connected by a colleague")).to_be_visible()
        await expect(card.get_by_role("switch")).to_have_count(0)
        for path in ("/replay", "/pipeline", "/admin", "/settings/webhooks", "/settings/people", "/settings/audit"):
            await sam.settled(path, within=True)
            await expect(page.get_by_text("owners and support").first).to_be_visible()
        for each in SETTINGS:
            await sam.settled(f"/settings/{each}", within=True)
            await expect(page.get_by_role("alert")).to_have_count(0)
        call = (await sam.api("GET", "/api/calls"))["items"][0]
        await sam.settled(f"/calls/{call['id']}")
        await sam.button("Erase").click()
        asked = page.get_by_role("dialog", name="Erase this call?")
        await asked.get_by_label("I understand that this cannot be undone").check()
        await asked.get_by_role("button", name="Erase for good").click()
        await expect(asked.get_by_role("alert")).to_contain_text("Only an owner of the workspace")
