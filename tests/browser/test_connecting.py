"""Somebody connects a source, watches its first sync, and does with it what cards are for."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub
from tests.fakes.vendors.core import Fault

pytestmark = pytest.mark.browser


async def test_signing_in_at_the_platform_leads_back_to_the_hub_and_the_first_sync_counts_live(hub: Hub) -> None:
    hub.seed("zoom", 8)
    for _ in range(6):
        hub.vendors.world.order("zoom", Fault("slow", where="/rec/download", seconds=0.7))
    async with hub.person("Mila Berg") as mila:
        page = mila.page
        await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome to callstream")
        await page.get_by_role("link", name="Zoom Meetings").click()
        await expect(page).to_have_url(f"{hub.url}/connect/zoom")
        await mila.button("Sign in at Zoom Meetings").click()
        await page.wait_for_url(re.compile(r"/\?connected="))
        card = mila.card("Zoom Meetings")
        await expect(card.get_by_text(re.compile(r"Syncing… [1-7] of 8 calls"))).to_be_visible()
        await expect(mila.toast("8 new calls imported")).to_be_visible()
        await expect(card.get_by_role("link", name="8 calls imported")).to_be_visible()
        await expect(card.get_by_text("Last sync")).to_be_visible()
        await expect(card.get_by_text("Active", exact=True).first).to_be_visible()

        await mila.button("Sync now: Zoom Meetings").click()
        await expect(mila.toast(re.compile(r"No new calls|Skipped \d duplicate"))).to_be_visible()
        await expect(card.get_by_role("link", name="8 calls imported")).to_be_visible()

        await card.get_by_role("link", name="8 calls imported").click()
        await expect(page.get_by_role("grid", name="Calls").get_by_role("row")).to_have_count(9)


async def test_a_refusal_at_the_platform_is_told_in_words_and_leads_on(hub: Hub) -> None:
    hub.vendors.world.order("zoom_phone", Fault("deny"))
    async with hub.person("Noor Haddad") as noor:
        page = await noor.open("/connect/zoom_phone")
        await noor.button("Sign in at Zoom Phone").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("not connected")
        await page.get_by_role("link").first.click()
        await page.wait_for_url(re.compile(re.escape(hub.url)))


async def test_a_wrong_key_is_told_at_its_field_and_the_right_one_makes_a_card(hub: Hub) -> None:
    hub.seed("fireflies", 3)
    async with hub.person("Theo Grant") as theo:
        page = await theo.open("/connect")
        await page.get_by_role("searchbox", name="Find a platform").fill("firefl")
        await page.get_by_role("link", name="Fireflies").click()
        key = page.get_by_label("API key")
        await theo.button("Connect", exact=True).click()
        await expect(page.get_by_text("Enter this: API key.")).to_be_visible()
        await expect(key).to_be_focused()
        await key.fill("not-a-key")
        await page.get_by_label("Your plan at Fireflies").fill("Business")
        await theo.button("Connect", exact=True).click()
        wrong = page.get_by_role("alert").filter(has_text="Fireflies")
        await expect(wrong).to_be_visible()
        await expect(key).to_be_focused()
        await expect(key).to_have_attribute("aria-invalid", "true")
        await key.fill(hub.vendors.credential("fireflies")["api_key"])
        await theo.button("Connect", exact=True).click()
        await expect(theo.card("Fireflies")).to_be_visible()
        await expect(theo.toast("3 new calls imported")).to_be_visible()


async def test_a_source_is_paused_goes_on_and_is_disconnected_and_its_calls_stay(hub: Hub) -> None:
    hub.seed("grain", 4)
    async with hub.person("Rosa Lind") as rosa:
        await rosa.connect("grain", hub.vendors.credential("grain"))
        page = await rosa.open("/")
        card = rosa.card("Grain")
        await expect(card.get_by_role("link", name="4 calls imported")).to_be_visible()
        switch = card.get_by_role("switch", name="Active")
        await switch.click()
        await expect(card.get_by_text("Paused", exact=True)).to_be_visible()
        await expect(rosa.toast("Grain is paused")).to_be_visible()
        await expect(rosa.button("Sync now: Grain")).to_be_disabled()
        [source] = (await rosa.api("GET", "/api/sources"))["items"]
        assert source["state"] == "paused"
        hub.seed("grain", 2, days=0.5, again=True)
        await page.reload()
        await expect(switch).not_to_be_checked()
        await switch.click()
        await expect(rosa.toast("Grain goes on")).to_be_visible()
        await expect(card.get_by_role("link", name="6 calls imported")).to_be_visible()

        await rosa.button("More for Grain").click()
        await page.get_by_role("menuitem", name="Disconnect…").click()
        asked = page.get_by_role("dialog", name="Disconnect Grain?")
        await expect(asked).to_contain_text("The calls that are there stay in your library.")
        await asked.get_by_role("button", name="Cancel").click()
        await expect(card).to_be_visible()
        await rosa.button("More for Grain").click()
        await page.get_by_role("menuitem", name="Disconnect…").click()
        await asked.get_by_role("button", name="Disconnect").click()
        await expect(rosa.toast("Grain is disconnected")).to_be_visible()
        await expect(card).to_have_count(0)
        await page.get_by_role("link", name="Library").first.click()
        await expect(page.get_by_role("grid", name="Calls").get_by_role("row")).to_have_count(7)
