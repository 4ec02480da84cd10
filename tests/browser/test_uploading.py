"""Files go from a folder into the library: each says how far it is, and a bad one why it cannot come."""

import json

import pytest
from playwright.async_api import FilePayload, Locator, expect

from tests.browser.rig import Hub, Person
from tests.fakes.audio import make_mp3, make_wav

pytestmark = pytest.mark.browser
VTT = b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Mila>Shall we look at the offer?\n"


def file(name: str, body: bytes) -> FilePayload:
    """A file as somebody chooses it."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": body}


def state(person: Person, name: str) -> Locator:
    """What is said of a file that is uploaded."""
    return person.page.get_by_role("list", name="Uploads").get_by_role("listitem", name=name)


async def choose(person: Person, *files: FilePayload) -> None:
    """Choose files in the dialog."""
    await person.button("Upload files").first.click()
    async with person.page.expect_file_chooser() as chooser:
        await person.page.get_by_role("dialog").get_by_role("button", name="Choose files").click()
    await (await chooser.value).set_files(list(files))


async def test_many_files_go_up_with_one_bad_among_them_and_the_same_file_is_stored_once(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        page = await noor.open("/?upload=1")
        asked = page.get_by_role("dialog", name="Upload files")
        await expect(asked.get_by_text("MP3, WAV, M4A, MP4")).to_be_visible()
        recording = make_mp3(2.0, 700)
        bad = json.dumps({"segments": "none"}).encode()
        async with page.expect_file_chooser() as chooser:
            await asked.get_by_role("button", name="Choose files").click()
        await (await chooser.value).set_files(
            [
                file("kick-off.vtt", VTT),
                file("interview.mp3", recording),
                file("broken.json", bad),
                file("notes.txt", b"Noor: Good morning\nTheo: Good morning, Noor\n"),
                file("talk.wav", make_wav(1.0, 910)),
            ]
        )
        for good in ("kick-off.vtt", "interview.mp3", "notes.txt", "talk.wav"):
            await expect(state(noor, good)).to_contain_text("In your library")
            await expect(state(noor, "broken.json")).to_contain_text("The transcript holds no words.")

        await state(noor, "interview.mp3").get_by_role("link", name="Open").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("interview")
        await expect(page.get_by_role("region", name="Transcript")).to_contain_text("Audio ")
        await page.get_by_role("link", name="Library").first.click()
        await expect(page.get_by_role("grid", name="Calls").get_by_role("row")).to_have_count(5)

        await page.get_by_role("link", name="Import Hub").first.click()
        await choose(noor, file("interview.mp3", recording))
        twice = (
            page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text="Already in your library")
        )
        await expect(twice).to_have_count(1)
        assert len((await noor.api("GET", "/api/calls"))["items"]) == 4


async def test_files_that_are_dropped_on_the_hub_are_taken(hub: Hub) -> None:
    async with hub.person("Rosa Lind") as rosa:
        page = await rosa.open("/")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome to callstream")
        carried = await page.evaluate_handle(
            """text => {
                const carried = new DataTransfer();
                carried.items.add(new File([text], "standup.vtt"));
                return carried;
            }""",
            VTT.decode().replace("offer", "plan"),
        )
        for kind in ("dragenter", "dragover"):
            await page.dispatch_event("main", kind, {"dataTransfer": carried})
        await expect(page.get_by_text("Drop to upload")).to_be_visible()
        await page.dispatch_event("main", "drop", {"dataTransfer": carried})
        await expect(state(rosa, "standup.vtt")).to_contain_text("In your library")
        await expect(page.get_by_text("Drop to upload")).to_have_count(0)
