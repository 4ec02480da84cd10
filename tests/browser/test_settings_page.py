"""Settings and Admin: keys that work, webhooks that arrive, hours that are kept, an import for somebody else."""

import re

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.rig import Hub

pytestmark = pytest.mark.browser
VTT = b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Mila>Shall we look at the offer?\n"


async def test_a_key_is_shown_once_works_and_is_refused_after_it_was_revoked(hub: Hub) -> None:
    async with hub.person("Mila Berg") as mila:
        page = await mila.open("/settings/keys")
        await mila.button("New key").click()
        asked = page.get_by_role("dialog", name="New key")
        await asked.get_by_role("button", name="Make the key").click()
        await expect(asked.get_by_text("Give the key a name.")).to_be_visible()
        await asked.get_by_label("Name").fill("Nightly report")
        await asked.get_by_label("Name").press("Enter")
        shown = page.get_by_role("region", name="The key for Nightly report")
        await expect(shown).to_be_focused()
        key = await shown.locator("code").first.inner_text()
        assert key.startswith("csk_")
        async with httpx2.AsyncClient(base_url=hub.url, trust_env=False) as program:
            asks = {"Authorization": f"Bearer {key}"}
            assert (await program.get("/api/calls", headers=asks)).status_code == 200
            await shown.get_by_role("button", name="I have kept it").click()
            await page.reload()
            row = mila.row("Nightly report")
            await expect(row).to_be_visible()
            assert key not in await page.content()
            await mila.button("Revoke Nightly report").click()
            dialog = page.get_by_role("dialog", name="Revoke Nightly report?")
            await dialog.get_by_role("button", name="Revoke").click()
            await expect(mila.toast("The key is revoked")).to_be_visible()
            await expect(row).to_have_count(0)
            assert (await program.get("/api/calls", headers=asks)).status_code == 401


async def test_an_outgoing_webhook_arrives_and_is_listed_as_delivered(hub: Hub) -> None:
    async with hub.person("Noor Haddad") as noor:
        page = await noor.open("/settings/webhooks")
        await noor.button("Add a webhook").click()
        asked = page.get_by_role("dialog", name="Add a webhook")
        await asked.get_by_label("Address of your system").fill(hub.receiver.url("/crm"))
        await asked.get_by_label("What is it?").fill("CRM notes")
        await asked.get_by_role("button", name="Add a webhook").click()
        shown = page.get_by_role("region", name="Your webhook is on")
        await expect(shown.locator("code").first).to_have_text(re.compile("^whsec_"))
        await shown.get_by_role("button", name="I have kept it").click()
        await page.get_by_role("list", name="Webhooks").get_by_role("link", name="CRM notes").click()
        await noor.button("Send a test").first.click()
        await expect(noor.toast("The test arrived")).to_be_visible()
        [came] = hub.receiver.at("/crm")
        assert came.json["type"] == "test"

        await noor.upload(("offer.vtt", VTT))
        messages = page.get_by_role("grid", name="Messages")
        imported = messages.get_by_role("row").filter(has_text="offer").first
        for _ in range(2):
            await hub.receiver.wait(3, "/crm")  # the test, the call, and the end of the upload
        await page.reload()
        await expect(imported).to_contain_text("Delivered")
        await imported.click()
        sheet = page.get_by_role("dialog")
        await expect(sheet.get_by_label("What is sent")).to_contain_text('"import.completed"')
        seen = len(hub.receiver.at("/crm"))
        await sheet.get_by_role("button", name="Resend").click()
        await hub.receiver.wait(seen + 1, "/crm")
        assert hub.receiver.at("/crm")[-1].json["type"] == "import.completed"


async def test_the_processing_window_is_saved_and_can_be_taken_away(hub: Hub) -> None:
    async with hub.person("Theo Grant") as theo:
        page = await theo.open("/settings/window")
        await page.get_by_role("switch", name="Only at certain hours").click()
        await page.get_by_label("From").fill("21:30")
        await page.get_by_label("To", exact=True).fill("05:15")
        await theo.button("Save").click()
        await expect(theo.toast("Saved")).to_be_visible()
        kept = (await theo.api("GET", "/api/settings"))["processing_window"]
        assert kept == {"from": "21:30", "to": "05:15", "zone": "Europe/Berlin"}
        await page.reload()
        await expect(page.get_by_label("From")).to_have_value("21:30")
        await page.get_by_role("switch", name="Only at certain hours").click()
        await theo.button("Save").click()
        await expect(theo.toast("Imports run at any time.")).to_be_visible()
        assert (await theo.api("GET", "/api/settings"))["processing_window"] is None


async def test_somebody_who_is_invited_comes_in_by_the_link_in_their_role(hub: Hub) -> None:
    async with hub.person("Rosa Lind") as rosa:
        page = await rosa.open("/settings/people")
        await rosa.button("Invite somebody").first.click()
        asked = page.get_by_role("dialog", name="Invite somebody")
        await asked.get_by_label("Name").fill("Ines Vogel")
        await asked.get_by_role("button", name="Make the link").click()
        shown = page.get_by_role("region", name="The sign-in link for Ines Vogel")
        link = await shown.locator("code").first.inner_text()
        async with hub.person("Somebody", workspace_id=rosa.workspace_id, user_id=rosa.user_id) as other:
            await other.context.clear_cookies()
            await other.page.goto(hub.url + link[link.index("/sign-in") :])
            await other.button("Sign in").click()
            await other.page.wait_for_url(hub.url + "/")
            await expect(other.page.get_by_text("Ines Vogel")).to_be_visible()
            await expect(other.page.get_by_text("Member · Berg & Sons")).to_be_visible()


async def test_an_import_for_a_customer_runs_and_keeps_nothing_of_the_sign_in(hub: Hub) -> None:
    hub.seed("fireflies", 3)
    async with hub.person("Sam Ortiz", "support") as sam:
        await hub.member(sam.workspace_id, "Carla Customer", "member")
        page = await sam.open("/admin")
        await sam.button("New import").first.click()
        await page.get_by_label("Customer").select_option(label="Carla Customer")
        await page.get_by_label("Platform").select_option(label="Fireflies")
        await page.get_by_label("API key").fill("wrong")
        await page.get_by_label("Your plan at Fireflies").fill("Business")
        await sam.button("Start import").click()
        await expect(page.get_by_role("alert").filter(has_text="Fireflies").first).to_be_visible()
        await page.get_by_label("API key").fill(hub.vendors.credential("fireflies")["api_key"])
        await sam.button("Start import").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Import for Carla Customer")
        await expect(sam.toast("3 new calls imported")).to_be_visible()
        await expect(page.get_by_text(re.compile("deleted", re.IGNORECASE)).first).to_be_visible()
        await expect(page.get_by_role("grid", name="Calls of this import").get_by_role("row")).to_have_count(4)
        await page.get_by_role("link", name="Admin", exact=True).first.click()
        await expect(sam.row("Carla Customer")).to_be_visible()
