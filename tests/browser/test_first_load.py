"""What a visit costs: the script of the first one, and no list that is fetched again for each event."""

import json
from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Request, expect

from tests.browser.rig import Hub

pytestmark = pytest.mark.browser
MOST_SCRIPT = 250_000
LISTS = {"/api/sources", "/api/imports", "/api/calls", "/api/failed-imports", "/api/platforms"}


async def test_a_first_visit_receives_less_than_250_kb_of_script(hub: Hub) -> None:
    async with hub.person("Mila Berg") as mila:
        page = await mila.context.new_page()
        devtools = await mila.context.new_cdp_session(page)
        await devtools.send("Network.enable")
        await devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
        scripts: set[str] = set()
        received: Counter[str] = Counter()
        devtools.on(
            "Network.responseReceived",
            lambda each: scripts.add(each["requestId"]) if "javascript" in each["response"]["mimeType"] else None,
        )
        devtools.on(
            "Network.loadingFinished", lambda each: received.update({each["requestId"]: int(each["encodedDataLength"])})
        )
        await page.goto(hub.url + "/")
        await page.get_by_role("heading", level=1).wait_for()
        await page.wait_for_load_state("load")
        size = sum(bytes_ for name, bytes_ in received.items() if name in scripts)
        assert 0 < size < MOST_SCRIPT


async def test_a_sync_is_shown_live_without_fetching_lists_again(hub: Hub) -> None:
    hub.seed("grain", 30)
    async with hub.person("Noor Haddad") as noor:
        await noor.upload(("offer.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nThe offer.\n"))
        made = await noor.connect("grain", hub.vendors.credential("grain"))
        await hub.until(noor.at_rest, "the first sync")
        page = await noor.settled("/")
        await expect(noor.card("Grain").get_by_role("link", name="30 calls imported")).to_be_visible()
        hub.seed("grain", 25, days=0.9, again=True)
        asked: Counter[str] = Counter()

        def count(request: Request) -> None:
            if request.method == "GET":
                asked[urlsplit(request.url).path] += 1

        page.on("request", count)
        await noor.button("Sync now: Grain").click()
        await expect(noor.toast("25 new calls imported")).to_be_visible()
        await expect(noor.card("Grain").get_by_role("link", name="55 calls imported")).to_be_visible()
        again = {path: times for path, times in asked.items() if path in LISTS}
        assert not again, json.dumps(asked)
        assert asked[f"/api/sources/{made['id']}"] <= 8, json.dumps(asked)
