"""RingCentral against its stand-in over real HTTP: heavy requests, pages, several legs, RingSense, webhooks."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Delivery, Item, Notice, Received
from connectors.registry import CONNECTORS
from connectors.ringcentral_calls import recordings_of
from schemas.faults import ConfigFault, InvalidCall, TransientFault
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors import ringcentral as fake
from tests.fakes.vendors.core import Fault, Vendors, start_fake_vendors

SECRET = "a-token-of-ours"
WEBHOOK = CONNECTORS["ringcentral"].webhook


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with start_fake_vendors("ringcentral") as vendors:
        yield vendors


@pytest.fixture
async def vendor(running: Vendors) -> AsyncIterator[Vendor]:
    yield await vendor_of("ringcentral", "oauth", running)
    running.world.notes.clear()
    running.world.limited = False


async def test_the_eleventh_heavy_request_of_a_minute_waits_as_long_as_ringcentral_says(vendor: Vendor) -> None:
    vendor.world.limited = True
    async with vendor.api() as api:
        for _ in range(10):
            await vendor.pull.list_page(api, vendor.recent(2), None)
        with pytest.raises(TransientFault) as caught:
            await vendor.pull.list_page(api, vendor.recent(2), None)
    assert caught.value.reason == "rate_limited"
    assert caught.value.retry_after == 60.0
    assert vendor.slept == [], "whoever comes again during the penalty begins it anew"
    assert len(vendor.world.asked("ringcentral", "/call-log", 429)) == 1


async def test_the_recording_is_counted_as_the_heavy_request_it_is(vendor: Vendor) -> None:
    vendor.add(a_call(1, vendor.before(days=1)))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(2))
        found = await vendor.pull.fetch(api, item)
    assert found.recording is not None
    assert (found.recording.bucket, found.recording.authorised) == ("heavy", True)
    assert found.recording.url.startswith("https://media.ringcentral.com/")


async def test_a_recording_of_a_leg_alone_is_found_and_none_twice(vendor: Vendor) -> None:
    wanted = vendor.add(*some_calls(vendor, 20, 9))
    async with vendor.api() as api:
        items = await vendor.items(api, vendor.recent(10))
    assert sorted(item.external_id for item in items) == sorted(wanted)
    assert any("leg" in item.data for item in items)
    assert any("leg" not in item.data for item in items)


def test_every_leg_with_a_recording_of_its_own_is_a_call_of_its_own() -> None:
    legs: list[Any] = [{"recording": {"id": "1"}}, {"recording": {"id": "2"}}, {}, None, {"recording": {}}]
    record = {"id": "L1", "recording": {"id": "1"}, "legs": legs}
    assert [external_id for external_id, _ in recordings_of(record)] == ["1", "2"]


async def test_a_call_that_has_no_recording_yet_is_found_when_it_has(vendor: Vendor) -> None:
    call = a_call(1, vendor.before(hours=3), has_recording=False)
    (external_id,) = vendor.add(call)
    async with vendor.api() as api:
        assert await vendor.items(api, vendor.recent(1)) == []
        call.has_recording = True
        assert [item.external_id for item in await vendor.items(api, vendor.recent(1))] == [external_id]
    assert vendor.pull.overlap >= timedelta(hours=12)


async def test_without_the_right_to_the_companys_log_ones_own_is_read_to_its_end(vendor: Vendor) -> None:
    vendor.world.notes["ringcentral company"] = False
    wanted = vendor.add(*some_calls(vendor, 210, 20))
    before = len(vendor.world.requests)
    async with vendor.api() as api:
        found = {item.external_id for item in await vendor.items(api, vendor.recent(21))}
        assert await vendor.pull.count(api, vendor.recent(21)) is None  # type: ignore[misc]
    assert found == wanted
    refused = [seen for seen in vendor.world.requests[before:] if seen.status == 403]
    assert len(refused) == 2, "once for the listing and once for the count, not for each page"


async def test_the_words_are_ringsenses_where_it_is_licensed(vendor: Vendor) -> None:
    vendor.add(a_call(1, vendor.before(days=1)))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(2))
        found, call = await vendor.read(api, item)
    assert found.has_transcript
    first = call.segments[0]
    assert (first.speaker, first.start_ms, first.end_ms) == ("Mila Chen", 1_500, 4_000)
    assert call.title == "Call number 1"


async def test_without_its_licence_there_is_the_recording(vendor: Vendor) -> None:
    vendor.world.notes["ringsense"] = False
    vendor.add(a_call(1, vendor.before(minutes=30)))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(2))
        found = await vendor.pull.fetch(api, item)
    assert (found.has_transcript, found.waits_for) == (False, None)
    assert found.recording is not None


async def test_without_its_right_it_is_not_even_asked(vendor: Vendor) -> None:
    vendor.add(a_call(1, vendor.before(minutes=30)))
    before = len(vendor.world.requests)
    async with vendor.api(scope="ReadCallLog ReadCallRecording") as api:
        (item,) = await vendor.items(api, vendor.recent(2))
        await vendor.pull.fetch(api, item)
    assert not [seen for seen in vendor.world.requests[before:] if "ringsense" in seen.path]


async def test_what_ringsense_has_not_heard_yet_is_waited_for_and_not_for_ever(vendor: Vendor) -> None:
    soon = vendor.world.now() + timedelta(days=1)
    vendor.add(
        a_call(1, vendor.before(minutes=30), transcript_at=soon), a_call(2, vendor.before(hours=5), transcript_at=soon)
    )
    async with vendor.api() as api:
        items = await vendor.items(api, vendor.recent(1))
        waits = [(await vendor.pull.fetch(api, item)).waits_for for item in items]
    assert waits == ["RingSense has not heard this call yet.", None]


async def test_a_right_that_is_missing_is_named(vendor: Vendor) -> None:
    async with vendor.api(scope="ReadAccounts ReadCallLog") as api:
        account = await vendor.connector.validate(api)  # type: ignore[misc]
        assert account.missing == ("ReadCallRecording",)
        vendor.world.order("ringcentral", Fault("forbidden", times=2))
        with pytest.raises(ConfigFault, match="the right ReadCallLog"):
            await vendor.items(api, vendor.recent(2))


async def test_a_media_address_that_is_not_ringcentrals_gets_no_token(vendor: Vendor) -> None:
    vendor.add(a_call(1, vendor.before(days=1)))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(2))
        for url in ("https://evil.example/ringcentral.com/", "http://media.ringcentral.com/x"):
            recording = {"id": item.external_id, "contentUri": url}
            odd = Item(item.external_id, {**item.data, "recording": recording, "leg": None}, item.started_at)
            assert (await vendor.pull.fetch(api, odd)).recording is None


async def test_the_refresh_token_rotates(vendor: Vendor) -> None:
    before = vendor.credential["refresh_token"]
    vendor.world.expire("ringcentral")
    async with vendor.api() as api:
        await vendor.items(api, vendor.recent(1))
        assert api.credential["refresh_token"] != before
        assert api.credential["scope"] == vendor.credential["scope"]


# Webhooks


def read(body: bytes) -> list[Received | Notice]:
    assert WEBHOOK is not None
    headers = {"verification-token": SECRET}
    return WEBHOOK.read(Delivery("POST", "https://calls.example.com/hooks/rc", headers, {}, body, SECRET, 1.0, 300))


def test_only_a_call_that_is_over_is_named_and_looked_for_a_little_later(running: Vendors) -> None:
    call = a_call(7, datetime(2025, 11, 3, 9, tzinfo=UTC))
    answered, over = (posting.body for posting in fake.webhook(running.world, call, SECRET, "https://x.example"))
    assert read(answered) == []
    assert read(over) == [Notice(fake.external_id(call), timedelta(minutes=5))]


@pytest.mark.parametrize(
    "body", [b"", b'{"event":"/restapi/v1.0/subscription/~?threshold=60"}', b'{"event":"/telephony/sessions"}']
)
def test_reminders_and_calls_without_a_recording_bring_nothing(body: bytes) -> None:
    assert read(body) == []


@pytest.mark.parametrize("body", [b"not json", b'{"event":"/telephony/sessions","body":{"parties":[1]}}', b"[]"])
def test_what_cannot_be_read_ends_among_the_failed_imports(body: bytes) -> None:
    (found,) = read(body)
    assert found.external_id.startswith("invalid-")


@pytest.mark.parametrize("recording", [None, {}, {"id": ""}, {"id": True}, {"id": "a b"}, {"id": -1}])
def test_a_record_without_a_recording_is_refused(recording: Any) -> None:
    with pytest.raises(InvalidCall, match="recording"):
        CONNECTORS["ringcentral"].to_call({"id": "L1", "recording": recording})
