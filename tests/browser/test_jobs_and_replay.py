"""A job is watched and cancelled; calls that arrived before are read again, first for show and then in earnest."""

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub
from tests.fakes.vendors.core import Fault

pytestmark = pytest.mark.browser
VTT = b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Mila>Shall we look at the offer?\n"


async def test_a_job_is_cancelled_after_a_question_and_what_came_stays(hub: Hub) -> None:
    hub.seed("grain", 6)
    world = hub.vendors.world
    async with hub.person("Mila Berg") as mila:
        for _ in range(60):
            world.order("grain", Fault("slow", where="/transcript", seconds=2.0))
        await mila.connect("grain", hub.vendors.credential("grain"))
        page = await mila.open("/jobs")
        await expect(page.get_by_role("grid", name="Jobs").get_by_role("row")).to_have_count(2)
        await mila.row("Grain").click()
        await mila.button("Cancel", exact=True).click()
        asked = page.get_by_role("dialog", name="Cancel this import?")
        await asked.get_by_role("button", name="Keep importing").click()
        await expect(mila.button("Cancel", exact=True)).to_be_focused()
        await mila.button("Cancel", exact=True).click()
        await asked.get_by_role("button", name="Cancel import").click()
        await expect(mila.toast("Import cancelled")).to_be_visible()
        await expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible()
        await expect(mila.button("Cancel", exact=True)).to_have_count(0)
        world.calm("grain")
        await page.get_by_role("link", name="Jobs", exact=True).first.click()
        await page.get_by_label("State").select_option(label="Cancelled")
        await expect(page.get_by_role("grid", name="Jobs").get_by_role("row")).to_have_count(2)
        await page.get_by_label("State").select_option(label="Done")
        await expect(page.get_by_text("No import fits")).to_be_visible()


async def test_a_replay_is_tried_first_and_then_runs(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        await noor.upload(("offer.vtt", VTT), ("plan.vtt", VTT.replace(b"offer", b"plan")))
        await hub.until(noor.at_rest, "the uploads")
        pool = await hub.stack.pool()
        await pool.execute("UPDATE recordings SET title = 'Old words' WHERE workspace_id = $1", noor.workspace_id)
        page = await noor.open("/replay")
        await noor.button("Dry run").click()
        found = page.get_by_role("status").filter(has_text="2 would change")
        await expect(found).to_be_visible()
        titles = {each["title"] for each in (await noor.api("GET", "/api/calls"))["items"]}
        assert titles == {"Old words"}, "looking changes nothing"
        await noor.button("Start for real").click()
        asked = page.get_by_role("dialog", name="Start for real?")
        await asked.get_by_role("button", name="Start", exact=True).click()
        await expect(page.get_by_role("status").filter(has_text="2 updated").first).to_be_visible()
        await page.get_by_role("link", name="Library").first.click()
        for title in ("offer", "plan"):
            await expect(page.get_by_role("link", name=title, exact=True)).to_be_visible()
