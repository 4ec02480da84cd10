"""Coverage: a time that nobody has read is shown as a gap, and a backfill closes it while one watches."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub
from tests.fakes.vendors.core import FakeCall, Line

pytestmark = pytest.mark.browser


async def test_a_gap_has_a_name_and_a_backfill_closes_it_live(hub: Hub) -> None:
    hub.seed("fathom", 2)
    world = hub.vendors.world
    now = world.now()
    for number, days in ((810_001, 38), (810_002, 42), (810_003, 55)):
        call = FakeCall(str(number), f"Long ago {days}", now - timedelta(days=days), 60.0)
        call.lines = [Line("Mila", 1.0, 3.0, "That was long ago.")]
        world.add("fathom", call)
    async with hub.person("Mila Berg") as mila:
        await mila.connect("fathom", hub.vendors.credential("fathom"))
        page = await mila.open("/")
        await expect(mila.card("Fathom").get_by_role("link", name="2 calls imported")).to_be_visible()
        await mila.button("More for Fathom").click()
        await page.get_by_role("menuitem", name="Import older calls…").click()
        asked = page.get_by_role("dialog", name="Import older calls")
        await asked.get_by_label("From").fill((now - timedelta(days=60)).strftime("%Y-%m-%d"))
        await asked.get_by_label("To").fill((now - timedelta(days=50)).strftime("%Y-%m-%d"))
        await expect(asked.get_by_text("1 call", exact=True)).to_be_visible()
        await asked.get_by_role("button", name="Start import").click()
        await expect(mila.toast("1 new call imported")).to_be_visible()

        await mila.button("More for Fathom").click()
        await page.get_by_role("menuitem", name="Coverage").click()
        gaps = page.get_by_role("region", name="Gaps")
        await expect(gaps.get_by_role("heading")).to_have_text("1 gap")
        begins = (now - timedelta(days=49)).strftime("%-d %b %Y")
        await expect(gaps.get_by_role("listitem")).to_contain_text(begins)
        await expect(page.get_by_role("gridcell", name=f"{begins}: gap, the whole day", exact=True)).to_be_visible()
        await gaps.get_by_role("button", name=re.compile("^Backfill")).click()
        asked = page.get_by_role("dialog", name="Backfill this gap?")
        await expect(asked.get_by_text("2 calls", exact=True)).to_be_visible()
        await asked.get_by_role("button", name="Start backfill").click()
        await expect(page.get_by_role("gridcell", name=f"{begins}: imported", exact=True)).to_be_visible()
        await expect(gaps).to_have_count(0)
        await expect(page.get_by_text(re.compile("^Everything since"))).to_be_visible()
        await expect(mila.toast("2 new calls imported")).to_be_visible()
        assert len((await mila.api("GET", "/api/calls"))["items"]) == 5
