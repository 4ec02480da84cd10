"""Without a mouse: connect, sync, find the failed import, retry it. Where the keyboard is can always be seen."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.rig import Hub
from tests.fakes.audio import make_wav

pytestmark = pytest.mark.browser
SEEN = """
() => {
    const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    const label = at.closest('label, [class*=has-focus-visible]');
    const around = label && getComputedStyle(label).outlineStyle !== 'none';
    return {ring: ring || Boolean(around), size: box.width * box.height, words: at.outerHTML.slice(0, 200)};
}
"""


async def tab_to(page: Page, wanted: Locator, *, key: str = "Tab", limit: int = 80) -> None:
    """Press Tab until it has the focus, which can be seen all the way."""
    for _ in range(limit):
        if await wanted.count() and await wanted.evaluate("each => each === document.activeElement"):
            return
        await page.keyboard.press(key)
        at = await page.evaluate(SEEN)
        assert at["words"].startswith(("<body", "<main")) or at["ring"], (
            f"nobody sees that the keyboard is at {at['words']}"
        )
    raise AssertionError(f"Tab does not reach {wanted}")


async def test_everything_from_connecting_to_a_retry_is_done_by_keyboard(hub: Hub) -> None:
    hub.seed("fireflies", 3)
    async with hub.person("Mila Berg") as mila:
        page = await mila.settled("/connect")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await tab_to(page, page.get_by_role("searchbox", name="Find a platform"))
        await page.keyboard.type("fireflies", delay=40)
        await tab_to(page, page.locator("#content").get_by_role("link", name="Fireflies"))
        await page.keyboard.press("Enter")
        await tab_to(page, page.get_by_label("API key"))
        await page.keyboard.type(hub.vendors.credential("fireflies")["api_key"])
        await tab_to(page, page.get_by_label("Your plan at Fireflies"))
        await page.keyboard.type("Business")
        await page.keyboard.press("Enter")
        card = mila.card("Fireflies")
        await expect(card.get_by_role("link", name="3 calls imported")).to_be_visible()
        await tab_to(page, mila.button("Sync now: Fireflies"))
        await page.keyboard.press("Enter")
        await expect(mila.toast(re.compile("No new calls|Skipped"))).to_be_visible()

        await tab_to(page, mila.button("More for Fireflies"), key="Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("menuitem").first).to_be_focused()
        await page.keyboard.press("End")
        await expect(page.get_by_role("menuitem", name="Disconnect…")).to_be_focused()
        await page.keyboard.press("Enter")
        asked = page.get_by_role("dialog", name="Disconnect Fireflies?")
        await expect(asked).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(asked).to_have_count(0)
        await expect(mila.button("More for Fireflies")).to_be_focused()

        hub.stack.openai.control({"status": 400})
        await mila.upload(("tape.wav", make_wav(1.0, 1310)))
        main = page.get_by_role("navigation", name="Main").first
        failed = main.get_by_role("link", name=re.compile(r"Failed imports\s*, 1 open"))
        await expect(failed).to_be_visible()
        hub.stack.openai.control()
        await tab_to(page, failed, key="Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Failed imports")
        await tab_to(page, page.get_by_role("tab", name="By cause"))
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name="One by one")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("tab", name="One by one")).to_have_attribute("aria-selected", "true")
        row = page.get_by_role("grid", name="Failed imports").locator("[data-index='0']")
        await expect(row).to_be_visible()
        await tab_to(page, row)
        await page.keyboard.press("Enter")
        await tab_to(page, mila.button("Retry", exact=True))
        await page.keyboard.press("Enter")
        await expect(mila.toast("The call was imported")).to_be_visible()


async def test_arrow_keys_walk_a_list_and_enter_opens(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        for name in ("first", "second", "third"):
            await noor.upload((f"{name}.vtt", f"WEBVTT\n\n00:01.000 --> 00:02.000\nThe {name}.\n".encode()))
        await hub.until(noor.at_rest, "the uploads")
        page = await noor.settled("/calls")
        grid = page.get_by_role("grid", name="Calls")
        await expect(grid.locator("[data-index]")).to_have_count(3)
        await tab_to(page, grid.locator("[data-index='0']"))
        await page.keyboard.press("ArrowDown")
        await expect(grid.locator("[data-index='1']")).to_be_focused()
        await page.keyboard.press("End")
        last = grid.locator("[data-index='2']")
        await expect(last).to_be_focused()
        title = await last.get_by_role("link").inner_text()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
