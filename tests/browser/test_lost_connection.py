"""The API goes away under an open page, and the page comes back by itself."""

import asyncio
import json

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub, Person

pytestmark = pytest.mark.browser
LOST = "Connection lost, trying again…"


async def arrives(hub: Hub, person: Person, name: str) -> None:
    """A call that a webhook brought, published where the pipeline reads."""
    payload = {
        "external_id": name, "title": name, "recording_start_time": "2026-03-02T10:00:00Z",
        "full_transcript": "Good morning, everybody.",
    }  # fmt: skip
    await hub.stack.publish(hub.stack.raw(name, json.dumps(payload), workspace_id=person.workspace_id))


async def test_after_the_api_was_away_the_page_goes_on_by_itself_with_what_came_meanwhile(hub: Hub) -> None:
    async with hub.person("Mila Berg") as mila:
        await arrives(hub, mila, "before-the-break")
        page = await mila.open("/calls")
        await expect(page.get_by_role("link", name="before-the-break")).to_be_visible()
        await page.evaluate("window.stillTheSame = true")
        await asyncio.to_thread(hub.stack.pause, "api")
        try:
            await expect(page.get_by_text(LOST)).to_be_visible()
            await arrives(hub, mila, "during-the-break")
            await hub.stack.wait_recording("during-the-break")
        finally:
            await asyncio.to_thread(hub.stack.resume, "api")
        await expect(page.get_by_text(LOST)).to_have_count(0)
        await mila.button("Show 1 new call").click()
        await expect(page.get_by_role("link", name="during-the-break")).to_be_visible()

        await asyncio.to_thread(hub.stack.kill, "api")
        await hub.until(hub.answers, "the API after kill -9")
        await arrives(hub, mila, "after-the-kill")
        await mila.button("Show 1 new call").click()
        await expect(page.get_by_role("link", name="after-the-kill")).to_be_visible()
        await expect(page.get_by_text(LOST)).to_have_count(0)
        assert await page.evaluate("window.stillTheSame"), "nobody has loaded the page again"


async def test_a_browser_that_was_offline_goes_on_by_itself(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        page = await noor.settled("/calls")
        await noor.context.set_offline(True)
        await expect(page.get_by_text(LOST)).to_be_visible()
        await arrives(hub, noor, "while-offline")
        await hub.stack.wait_recording("while-offline")
        await noor.context.set_offline(False)
        await expect(page.get_by_text(LOST)).to_have_count(0)
        await expect(page.get_by_role("link", name="while-offline")).to_be_visible()
