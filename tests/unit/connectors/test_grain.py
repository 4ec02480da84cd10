"""Grain: what only Grain does. What every source must do is in tests/contract."""

import json
from typing import Any

import httpx2
import pytest

from connectors.contract import Delivery, Notice, Received, Window
from connectors.grain import READY_AFTER, read_webhook
from connectors.http import rewrite
from schemas.faults import InvalidCall
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors.core import Vendors


@pytest.fixture
async def grain(fake_vendors: Vendors) -> Vendor:
    """Connected by an access token."""
    return await vendor_of("grain", "api_key", fake_vendors)


async def test_every_request_names_its_version(grain: Vendor) -> None:
    grain.add(a_call(1, grain.before(days=3)))
    before = len(grain.world.requests)
    async with grain.api() as api:
        (item,) = await grain.items(api, grain.recent(10))
        await grain.pull.fetch(api, item)
        await grain.pull.find(api, item.external_id)
        await api.get("https://api.grain.com/_/public-api/me")
    seen = grain.world.requests[before:]
    assert len(seen) == 4
    assert {request.sent["public-api-version"] for request in seen} == {"2025-10-31"}


async def test_a_request_without_the_version_is_refused(grain: Vendor) -> None:
    async with grain.api() as api:
        with pytest.raises(InvalidCall):
            await api.post("/recordings", json={}, headers={"Public-Api-Version": ""})


async def test_an_account_is_named_or_at_least_proved(grain: Vendor) -> None:
    assert grain.connector.validate is not None
    async with grain.api() as api:
        account = await grain.connector.validate(api)
        assert (account.label, account.account_id) == ("noor@acme.example", "u-1")
        grain.world.notes["grain has no me"] = True
        try:
            assert (await grain.connector.validate(api)).label == "Grain account"
        finally:
            del grain.world.notes["grain has no me"]


@pytest.mark.parametrize("written", [True, False])
async def test_a_young_recording_waits_and_an_old_one_brings_its_sound(grain: Vendor, written: bool) -> None:
    late = {"transcript_at": grain.world.now().replace(year=2100)} if written else {"has_transcript": False}
    grain.add(a_call(1, grain.before(minutes=30), **late), a_call(2, grain.before(days=3), **late))
    async with grain.api() as api:
        young, old = [await grain.pull.fetch(api, item) for item in await grain.items(api, grain.recent(10))]
    assert young.waits_for == "Grain is still writing the transcript."
    assert (old.waits_for, old.has_transcript, old.payload["transcript"]) == (None, False, [])
    assert old.recording is not None
    assert old.recording.authorised


async def test_the_recording_is_behind_a_redirect(grain: Vendor, fake_vendors: Vendors) -> None:
    grain.add(a_call(1, grain.before(days=3)))
    async with grain.api() as api:
        (item,) = await grain.items(api, grain.recent(10))
        recording = (await grain.pull.fetch(api, item)).recording
    assert recording is not None
    async with httpx2.AsyncClient(trust_env=False) as http:
        address = rewrite(recording.url, fake_vendors.origin)
        answer = await http.get(address, headers=grain.auth.headers(grain.credential))
        media = await http.get(rewrite(answer.headers["location"], fake_vendors.origin))
    assert answer.status_code == 302
    assert media.headers["content-type"] == recording.content_type == "video/mp4"


async def test_a_recording_without_sound_has_none(grain: Vendor) -> None:
    grain.add(a_call(1, grain.before(days=3), has_recording=False))
    async with grain.api() as api:
        (item,) = await grain.items(api, grain.recent(10))
        found = await grain.pull.fetch(api, item)
    assert (found.recording, found.has_transcript) == (None, True)


async def test_the_picture_is_left_out_because_its_address_may_be_signed(grain: Vendor) -> None:
    grain.add(a_call(1, grain.before(days=3)))
    async with grain.api() as api:
        (item,) = await grain.items(api, grain.recent(10))
        found = await grain.pull.fetch(api, item)
    assert "thumbnail_url" in item.data
    assert "thumbnail_url" not in found.payload


async def test_words_of_the_title_narrow_the_listing(grain: Vendor) -> None:
    grain.add(*some_calls(grain, 3, 5))
    window = grain.recent(10)
    async with grain.api() as api:
        items = await grain.items(api, Window(window.since, window.until, {"title_search": "number 2"}))
    assert [item.data["title"] for item in items] == ["Call number 2"]


def delivered(event: Any) -> list[Received | Notice]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return read_webhook(Delivery("POST", "https://calls.example.com/x", {}, {}, body, "s", 0.0, 300))


@pytest.mark.parametrize("kind", ["recording_added", "recording_updated"])
def test_a_hook_names_the_recording_to_read(kind: str) -> None:
    assert delivered({"type": kind, "user_id": "u", "data": {"id": "r-1"}}) == [Notice("r-1", READY_AFTER)]


@pytest.mark.parametrize(
    "event", [b"", b" ", {}, {"type": "recording_deleted", "data": {"id": "r-1"}}, {"type": "highlight_added"}]
)
def test_a_test_of_the_address_and_other_hooks_bring_nothing(event: Any) -> None:
    assert delivered(event) == []


@pytest.mark.parametrize("event", [b"{", b"[]", {"type": "recording_added"}, {"type": "recording_added", "data": {}}])
def test_a_hook_that_names_nothing_is_kept_as_it_came(event: Any) -> None:
    (found,) = delivered(event)
    assert isinstance(found, Received)
    assert found.external_id.startswith("invalid-")
    assert found.payload == (event.decode() if isinstance(event, bytes) else json.dumps(event))
