"""Calls that cannot be imported: the others are, each says why, and a retry brings it in when the cause is gone."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub, Person
from tests.fakes.audio import make_wav

pytestmark = pytest.mark.browser
REFUSED = {"status": 400}
"""What the speech-to-text service says of a recording that it cannot read."""
LIKE = "The recording could not be transcribed"


async def fail_uploads(hub: Hub, person: Person, names: list[str], pitch: int) -> None:
    """Recordings that the speech-to-text service refuses, one after the other."""
    hub.stack.openai.control(*[REFUSED for _ in names])
    try:
        await person.upload(*((name, make_wav(1.0, pitch + at)) for at, name in enumerate(names)))

        async def failed() -> bool | None:
            found = (await person.api("GET", "/api/failed-imports?limit=100"))["items"]
            return len(found) == len(names) or None

        await hub.until(failed, "the failed imports")
    finally:
        hub.stack.openai.control()


async def test_one_call_fails_the_others_come_and_a_retry_brings_it_when_the_cause_is_gone(hub: Hub) -> None:
    hub.seed("gong", 4, days=9)
    world = hub.vendors.world
    silent = world.calls["gong"][1]
    silent.has_transcript, silent.started_at = False, world.now() - timedelta(days=8)
    hub.stack.openai.control(REFUSED)
    async with hub.person("Ines Vogel") as ines:
        await ines.connect("gong", hub.vendors.credential("gong"))
        page = await ines.open("/")
        card = ines.card("Gong")
        await expect(card.get_by_role("link", name="3 calls imported")).to_be_visible()
        right_now = page.get_by_role("region", name="Right now")
        await expect(right_now.get_by_text("1 failed import")).to_be_visible()
        await right_now.get_by_role("link", name="Look at it").click()

        await expect(page.get_by_role("heading", name=LIKE)).to_be_visible()
        await page.get_by_role("link", name="Show 1 call").click()
        await page.get_by_role("link", name=LIKE).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(LIKE)
        steps = page.get_by_role("list", name="The steps of this call")
        await expect(steps.get_by_role("listitem").filter(has_text="Transcribing")).to_contain_text("failed here")
        await expect(steps.get_by_role("listitem").filter(has_text="Saving")).to_contain_text("not reached")
        await expect(page.get_by_text("What to do next:")).to_be_visible()

        hub.stack.openai.control()
        await ines.button("Retry", exact=True).click()
        await expect(ines.toast("The call was imported")).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Imported since")).to_be_visible()
        await page.get_by_role("link", name="Open call").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(silent.title)
        await expect(page.get_by_role("region", name="Transcript")).to_contain_text("Audio ")
        await ines.open("/failed")
        await expect(page.get_by_text("Everything came through")).to_be_visible()


async def test_many_that_failed_alike_are_counted_first_and_retried_with_one_button(hub: Hub) -> None:
    async with hub.person("Sam Ortiz") as sam:
        names = [f"interview-{number:02}.wav" for number in range(12)]
        await fail_uploads(hub, sam, names, 500)
        page = await sam.open("/failed")
        cause = page.get_by_role("list", name="Causes").get_by_role("listitem")
        await expect(cause).to_have_count(1)
        await expect(cause).to_contain_text("12 calls")
        await cause.get_by_role("button", name="Retry all like this").click()
        asked = page.get_by_role("dialog")
        await expect(asked).to_contain_text("12 calls will be tried again")
        before = (await sam.api("GET", "/api/failed-imports"))["items"]
        assert {each["status"] for each in before} == {"open"}, "looking changes nothing"
        await asked.get_by_label("How fast").select_option("5")
        await asked.get_by_role("button", name="Retry 12 calls").click()
        await expect(asked).to_have_count(0)
        await expect(page.get_by_text(re.compile(r"Retrying… \d+ of 12 calls")).first).to_be_visible()
        await expect(page).to_have_url(re.compile(r"[?&]retry="))
        await page.reload()
        await expect(page.get_by_text("12 calls imported").first).to_be_visible()
        await expect(page.get_by_text("Everything came through")).to_be_visible()
        assert len((await sam.api("GET", "/api/calls"))["items"]) == 12


async def test_a_failed_import_is_discarded_only_after_a_question(hub: Hub) -> None:
    async with hub.person("Theo Grant") as theo:
        await fail_uploads(hub, theo, ["tape.wav"], 800)
        [failed] = (await theo.api("GET", "/api/failed-imports"))["items"]
        page = await theo.open(f"/failed/{failed['id']}")
        await theo.button("Discard").click()
        asked = page.get_by_role("dialog", name="Discard this failed import?")
        await asked.get_by_role("button", name="Keep it").click()
        await expect(theo.button("Discard")).to_be_focused()
        await theo.button("Discard").click()
        await asked.get_by_role("button", name="Discard").click()
        await expect(page).to_have_url(f"{hub.url}/failed")
        await expect(page.get_by_text("Everything came through")).to_be_visible()
