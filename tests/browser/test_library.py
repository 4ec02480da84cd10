"""The library: find a call, read it, play it at a line, take it along, erase it, and a hundred thousand of them."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub, Person
from tests.fakes.audio import make_wav
from tests.fakes.vendors.core import FakeCall, Line
from tests.fakes.vendors.core import Person as Somebody

pytestmark = pytest.mark.browser
MANY = 100_000
FILL = """
INSERT INTO recordings (
    recording_id, workspace_id, source_app, external_id, title, full_transcript, recording_start_time, duration_ms,
    metadata_quality, event_id, fingerprint, observed_at, received_at, imported_at
)
SELECT gen_random_uuid(), $1, 'zoom', 'many-' || n, 'Weekly planning ' || n, 'We plan.',
    now() - n * interval '1 minute', 600000, 'partial', gen_random_uuid(), md5(n::text), now(), now(),
    now() - n * interval '1 second'
FROM generate_series(1, $2) AS n
"""


async def recording_in_library(person: Person, hub: Hub, name: str, seconds: float, pitch: int) -> str:
    """A recording of a person's that has been transcribed; its id."""
    [said] = await person.upload((name, make_wav(seconds, pitch)))

    async def there() -> str | None:
        found = (await person.api("GET", "/api/calls"))["items"]
        return next((str(each["id"]) for each in found if each["external_id"] == said["external_id"]), None)

    return str(await hub.until(there, "the transcribed recording"))


async def test_words_are_found_and_marked_and_a_line_plays_the_recording_there(hub: Hub) -> None:
    async with hub.person("Mila Berg") as mila:
        call_id = await recording_in_library(mila, hub, "roadmap.wav", 30.0, 620)
        other = await recording_in_library(mila, hub, "retro.wav", 6.0, 640)
        whole = await mila.api("GET", f"/api/calls/{call_id}")
        wanted = next(each for each in whole["segments"] if each["start_ms"] >= 8_000)
        word = max(re.findall(r"\b[a-z]{4,}\b", wanted["text"]), key=len)
        page = await mila.open("/calls")
        await expect(page.get_by_role("grid", name="Calls").get_by_role("row")).to_have_count(3)
        await page.keyboard.press("/")
        search = page.get_by_role("searchbox", name="Search in titles and transcripts")
        await expect(search).to_be_focused()
        await page.keyboard.type(f"{word} roadmap")
        grid = page.get_by_role("grid", name="Calls")
        await expect(grid.get_by_role("row")).to_have_count(2)
        await expect(grid.locator("mark").filter(has_text=re.compile("roadmap", re.IGNORECASE)).first).to_be_visible()
        await expect(grid.locator("mark").filter(has_text=re.compile(word, re.IGNORECASE)).first).to_be_visible()
        await expect(page).to_have_url(re.compile("q="))
        await grid.get_by_role("link", name="roadmap").click()

        transcript = page.get_by_role("region", name="Transcript")
        await expect(transcript.locator("mark").first).to_be_visible()
        await expect(transcript.get_by_role("listitem").first).to_contain_text("Audio ")
        at = wanted["start_ms"] // 1000
        await transcript.get_by_role("button", name=re.compile(rf"Play from 0?0:{at:02}")).click()
        begun = await page.wait_for_function(
            "at => {const a = document.querySelector('audio');"
            "return a && !a.paused && a.currentTime >= at && a.currentTime}",
            arg=at,
        )
        assert at <= float(await begun.json_value()) < at + 8
        await expect(mila.button("Pause")).to_be_visible()
        await expect(transcript.locator("[aria-current=true]")).to_contain_text(wanted["text"].split()[0])
        await mila.button("Pause").click()
        assert await page.evaluate("document.querySelector('audio').paused")

        await mila.button("Download").click()
        async with page.expect_download() as saved:
            await page.get_by_role("menuitem", name="Captions (VTT)").click()
        written = (await (await saved.value).path()).read_text(encoding="utf-8")
        assert written.startswith("WEBVTT")
        assert wanted["text"] in written
        await mila.button("Download").click()
        async with page.expect_download() as saved:
            await page.get_by_role("menuitem", name=re.compile("^Recording")).click()
        assert (await (await saved.value).path()).read_bytes() == make_wav(30.0, 620)

        await page.go_back()
        await expect(search).to_have_value(f"{word} roadmap")
        await mila.open(f"/calls/{other}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("retro")


async def test_the_original_transcript_stands_beside_ours(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        await noor.upload(("offer.vtt", b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Noor>Here is the offer.\n"))
        page = await noor.open("/calls")
        await page.get_by_role("link", name="offer").click()
        await page.get_by_role("tab", name="Original").click()
        await expect(page.get_by_role("region", name="Text of the original transcript")).to_contain_text("<v Noor>")
        await page.get_by_role("tab", name="Side by side").click()
        await expect(page.get_by_role("region", name="Text of the original transcript")).to_be_visible()
        await expect(page.get_by_role("region", name="Transcript", exact=True)).to_contain_text("Here is the offer.")


async def test_an_erased_call_is_asked_about_gone_and_stays_gone_after_a_sync(hub: Hub) -> None:
    world = hub.vendors.world
    start = world.now() - timedelta(days=4)
    for number, title in ((700_001, "Salary talk"), (700_002, "Planning")):
        lines = [Line("Mila", 1.0, 3.0, "Good morning.")]
        world.add(
            "fireflies", FakeCall(str(number), title, start, 60.0, [Somebody("Mila", "mila@acme.example")], lines)
        )
    async with hub.person("Theo Grant") as theo:
        await theo.connect("fireflies", hub.vendors.credential("fireflies"))
        await hub.until(theo.at_rest, "the first sync")
        page = await theo.open("/calls")
        await page.get_by_role("link", name="Salary talk").click()
        await theo.button("Erase").click()
        asked = page.get_by_role("dialog", name="Erase this call?")
        erase = asked.get_by_role("button", name="Erase for good")
        await expect(erase).to_be_disabled()
        await page.keyboard.press("Escape")
        await expect(theo.button("Erase")).to_be_focused()
        await theo.button("Erase").click()
        await asked.get_by_label("I understand that this cannot be undone").check()
        await erase.click()
        await expect(page).to_have_url(re.compile(r"/calls$"))
        await expect(theo.toast("Call erased")).to_be_visible()
        await expect(page.get_by_role("link", name="Planning").first).to_be_visible()
        await expect(page.get_by_role("link", name="Salary talk")).to_have_count(0)

        [source] = (await theo.api("GET", "/api/sources"))["items"]
        now = world.now()
        body = {"from": (now - timedelta(days=9)).isoformat(), "to": (now - timedelta(hours=1)).isoformat()}
        await theo.api("POST", f"/api/sources/{source['id']}/backfill", **body)
        await hub.until(theo.at_rest, "the backfill")
        await page.reload()
        await expect(page.get_by_role("link", name="Planning").first).to_be_visible()
        await expect(page.get_by_role("link", name="Salary talk")).to_have_count(0)


async def test_a_hundred_thousand_calls_scroll_with_few_rows_in_the_page(hub: Hub) -> None:
    async with hub.person("Ines Vogel") as ines:
        pool = await hub.stack.pool()
        await pool.execute(FILL, ines.workspace_id, MANY)
        page = await ines.open("/calls")
        rows = page.get_by_role("grid", name="Calls").locator("[data-index]")
        await expect(rows.first).to_be_visible()
        await page.mouse.move(640, 500)
        seen = 0
        while seen < 600:
            await page.mouse.wheel(0, 4_000)
            await page.wait_for_function(
                "seen => [...document.querySelectorAll('[data-index]')].some(row => +row.dataset.index > seen)",
                arg=seen,
            )
            seen = max(await rows.evaluate_all("found => found.map(row => Number(row.dataset.index))"))
            assert await rows.count() < 80
        wrong = await rows.evaluate_all(
            "all => all.filter(row => !row.textContent.includes(`Weekly planning ${+row.dataset.index + 1}`)).length"
        )
        assert not wrong, "every row stands in its place"
        await page.keyboard.press("/")
        await page.keyboard.type("99321")
        await expect(page.get_by_role("link", name="Weekly planning 99321")).to_be_visible()
        await page.get_by_role("link", name="Weekly planning 99321").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Weekly planning 99321")
