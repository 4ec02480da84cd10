"""Gong: what only Gong does. What every source must do is in tests/contract."""

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Delivery, Notice, Received, Window
from connectors.gong import SCOPES, base, external_id_of, read_webhook
from connectors.gong_pages import transcripts
from schemas.faults import ConfigFault, CursorFault, InvalidCall
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors.core import Vendors


@pytest.fixture
async def gong(fake_vendors: Vendors) -> Vendor:
    """Connected by an access key."""
    return await vendor_of("gong", "basic", fake_vendors)


def paths(vendor: Vendor, before: int) -> list[str]:
    """What was asked for since then."""
    return [seen.path for seen in vendor.world.requests[before:]]


async def test_a_page_costs_a_request_and_one_more_for_every_50_transcripts(gong: Vendor) -> None:
    gong.add(*some_calls(gong, 60, 8))
    before = len(gong.world.requests)
    async with gong.api() as api:
        found = [await gong.pull.fetch(api, item) for item in await gong.items(api, gong.recent(10))]
    assert len(found) == 60
    assert all(one.has_transcript for one in found)
    assert paths(gong, before) == ["/api.gong.io/v2/calls/extensive", *["/api.gong.io/v2/calls/transcript"] * 2]


async def test_transcripts_that_are_too_much_at_once_are_asked_for_by_halves(
    gong: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = gong.add(*some_calls(gong, 5, 8))
    monkeypatch.setattr("connectors.wire.MAX_BODY", 2_000)
    async with gong.api() as api:
        assert set(await transcripts(api, sorted(wanted))) == wanted
        monkeypatch.setattr("connectors.wire.MAX_BODY", 100)
        with pytest.raises(InvalidCall, match="more than"):
            await transcripts(api, sorted(wanted))


async def test_a_range_without_calls_is_empty_although_it_is_answered_with_404(gong: Vendor) -> None:
    async with gong.api() as api:
        before = len(gong.world.requests)
        page = await gong.pull.list_page(api, gong.recent(5), None)
        assert gong.pull.count is not None
        assert await gong.pull.count(api, gong.recent(5)) == 0
    assert (list(page.items), page.cursor) == ([], None)
    assert {seen.status for seen in gong.world.requests[before:]} == {404}


async def test_a_404_in_the_middle_of_a_listing_begins_it_again(gong: Vendor) -> None:
    async with gong.api() as api:
        with pytest.raises(CursorFault):
            await gong.pull.list_page(api, gong.recent(5), "eyJ.demo.100")


async def test_calls_without_any_transcript_are_listed_all_the_same(gong: Vendor) -> None:
    wanted = gong.add(a_call(1, gong.before(days=3), has_transcript=False))
    async with gong.api() as api:
        (item,) = await gong.items(api, gong.recent(10))
        found = await gong.pull.fetch(api, item)
    assert {item.external_id} == wanted
    assert (found.has_transcript, found.waits_for, found.payload["transcript"]) == (False, None, [])
    assert found.recording is not None
    assert found.recording.filename == f"{item.external_id}.mp3"


async def test_a_meeting_is_found_by_its_start_although_its_schedule_lies_outside(gong: Vendor) -> None:
    hour = gong.before(days=3).replace(minute=0, second=0)
    wanted = gong.add(a_call(1, hour + timedelta(minutes=14)))
    gong.add(a_call(2, hour + timedelta(minutes=4)))
    window = Window(hour + timedelta(minutes=5), hour + timedelta(minutes=59))
    async with gong.api() as api:
        items = await gong.items(api, window)
    assert {item.external_id for item in items} == wanted


async def test_with_oauth_the_customers_own_address_is_used(fake_vendors: Vendors) -> None:
    vendor = await vendor_of("gong", "oauth", fake_vendors)
    vendor.add(a_call(1, vendor.before(days=3)))
    before = len(vendor.world.requests)
    async with vendor.api() as api:
        assert vendor.connector.validate is not None
        account = await vendor.connector.validate(api)
        assert len(await vendor.items(api, vendor.recent(10))) == 1
    assert (account.label, account.account_id, account.missing) == ("acme.example", "acme.api.gong.io", ())
    assert all(path.startswith("/acme.api.gong.io/v2/") for path in paths(vendor, before))


async def test_rights_that_were_not_given_are_named(fake_vendors: Vendors) -> None:
    vendor = await vendor_of("gong", "oauth", fake_vendors)
    async with vendor.api(scope="api:calls:read:basic api:users:read") as api:
        assert vendor.connector.validate is not None
        missing = (await vendor.connector.validate(api)).missing
    assert missing == tuple(name for name in SCOPES if name not in ("api:calls:read:basic", "api:users:read"))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "https://api.gong.io"),
        ("https://acme.api.gong.io/", "https://acme.api.gong.io"),
        (" https://US-1234.api.gong.io ", "https://us-1234.api.gong.io"),
    ],
)
def test_a_customer_may_have_an_address_of_its_own(given: str, address: str) -> None:
    assert base({"api_base_url_for_customer": given}) == address


@pytest.mark.parametrize(
    "given",
    [
        "http://api.gong.io", "https://gong.io.evil.example", "https://evil.example", "https://evilgong.io",
        "https://api.gong.io@evil.example", "https://api.gong.io:8443", "https://api.gong.io/x", "api.gong.io",
        "https://evil.example/.gong.io", "https://169.254.169.254",
    ],
)  # fmt: skip
def test_the_credential_goes_to_gongs_own_servers_only(given: str) -> None:
    with pytest.raises(ConfigFault, match="Gong account"):
        base({"api_base_url_for_customer": given})


def test_an_id_of_twenty_digits_stays_a_text() -> None:
    assert external_id_of({"metaData": {"id": "99999999999999999999"}}) == "99999999999999999999"
    with pytest.raises(InvalidCall, match=r"metaData\.id must be a text"):
        external_id_of({"metaData": {"id": 9.9e19}})


async def test_signed_addresses_and_the_meeting_room_are_left_out(gong: Vendor) -> None:
    gong.add(a_call(1, gong.before(days=3)))
    async with gong.api() as api:
        (item,) = await gong.items(api, gong.recent(10))
        found = await gong.pull.fetch(api, item)
    assert "media" in item.data
    assert "media" not in found.payload
    assert "meetingUrl" in item.data["metaData"]
    assert "meetingUrl" not in found.payload["metaData"]


def delivered(event: Any) -> list[Received | Notice]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return read_webhook(Delivery("POST", "https://calls.example.com/x", {}, {}, body, "s", 0.0, 300))


def test_a_rule_names_the_call_to_read_and_its_test_names_none() -> None:
    event = {"callData": {"metaData": {"id": "77"}}, "isTest": False}
    assert delivered(event) == [Notice("77")]
    assert delivered(event | {"isTest": True}) == []
    assert delivered({"isTest": True}) == []


@pytest.mark.parametrize("event", [b"", b"{", b"[]", {}, {"callData": {}}, {"callData": {"metaData": {"id": 77}}}])
def test_an_event_that_names_nothing_is_kept_as_it_came(event: Any) -> None:
    (found,) = delivered(event)
    assert isinstance(found, Received)
    assert found.external_id.startswith("invalid-")
