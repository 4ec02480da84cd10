"""Zoom Meetings and Zoom Phone against their stand-ins over real HTTP: the traps of Zoom's API."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Answer, Delivery, Notice, Window
from connectors.registry import CONNECTORS
from connectors.spoken import Transcript
from connectors.zoom_speech import cues, with_speakers
from schemas.faults import ConfigFault, CursorFault, InvalidCall, MissingFault, TransientFault
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors import zoom as fake_zoom
from tests.fakes.vendors import zoom_phone as fake_phone
from tests.fakes.vendors.core import FakeCall, Line, Person, Vendors, start_fake_vendors

SECRET = "zoomSecretToken123"


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with start_fake_vendors("zoom", "zoom_phone") as vendors:
        yield vendors


@pytest.fixture
async def zoom(running: Vendors) -> AsyncIterator[Vendor]:
    yield await vendor_of("zoom", "oauth", running)
    running.world.granted.clear()


@pytest.fixture
async def phone(running: Vendors) -> AsyncIterator[Vendor]:
    yield await vendor_of("zoom_phone", "oauth", running)
    running.world.notes.pop("zoom_phone unlicensed", None)


def like(vendor: Vendor, wanted: Any, **fields: Any) -> FakeCall:
    """The first call of which something holds: the stand-in decides by the id what is odd about it."""
    start = vendor.before(days=3)
    return next(call for number in range(200) if wanted(call := a_call(number, start, **fields)))


async def test_a_uuid_with_slashes_is_found_again(zoom: Vendor) -> None:
    calls = [like(zoom, lambda call: fake_zoom.external_id(call).startswith("/")),
             like(zoom, lambda call: "/" not in fake_zoom.external_id(call))]  # fmt: skip
    ids = zoom.add(*calls)
    async with zoom.api() as api:
        assert {(await zoom.pull.find(api, external_id)).external_id for external_id in ids} == ids
    sent = [seen.path for seen in zoom.world.asked("zoom", "/meetings/")]
    assert any("%2F" in path for path in sent), "the server must see one encoding after it has taken off the other"


async def test_history_is_walked_by_months_of_at_most_28_days(zoom: Vendor) -> None:
    wanted = zoom.add(*some_calls(zoom, 60, 170))
    before = len(zoom.world.requests)
    async with zoom.api() as api:
        found = await zoom.items(api, zoom.recent(171))
        assert await zoom.pull.count(api, zoom.recent(171)) == 60  # type: ignore[misc]
    assert {item.external_id for item in found} == wanted
    spans = [seen.query for seen in zoom.world.requests[before:] if "from" in seen.query]
    assert len(spans) > 10
    assert max(datetime.fromisoformat(q["to"]) - datetime.fromisoformat(q["from"]) for q in spans).days <= 28


async def test_the_length_is_that_of_the_files_and_not_the_minutes(zoom: Vendor) -> None:
    zoom.add(like(zoom, lambda call: fake_zoom.meeting(zoom.world, call)["duration"] == 0))
    async with zoom.api() as api:
        (item,) = await zoom.items(api, zoom.recent(5))
        _, call = await zoom.read(api, item)
    assert item.data["duration"] == 0
    assert call.duration_ms == 300_000


async def test_both_parts_of_a_paused_recording_stand_where_they_belong(zoom: Vendor) -> None:
    lines = [Line("Mila Chen", 2.0, 4.0, "One."), Line("Rosa Lind", 250.0, 251.0, "Two.")]
    zoom.add(like(zoom, lambda call: fake_zoom._parts(call) == 2, lines=lines))
    async with zoom.api() as api:
        (item,) = await zoom.items(api, zoom.recent(5))
        _, call = await zoom.read(api, item)
    assert [(said.text, said.start_ms) for said in call.segments] == [("One.", 2_000), ("Two.", 250_000)]


async def test_the_token_goes_to_zoom_and_not_to_where_it_leads(zoom: Vendor) -> None:
    zoom.add(a_call(1, zoom.before(days=1)))
    async with zoom.api() as api:
        (item,) = await zoom.items(api, zoom.recent(5))
        found, _ = await zoom.read(api, item)
    assert found.has_transcript
    behind = zoom.world.asked("zoom", "/ssrweb.zoom.us/")
    assert behind
    assert not any("authorization" in seen.sent for seen in behind)


async def test_a_download_that_is_not_zooms_own_is_not_opened(zoom: Vendor) -> None:
    files = [{"file_type": "TRANSCRIPT", "download_url": "https://zoom.us.evil.example/x", "status": "completed"}]
    zoom.add(a_call(1, zoom.before(days=1)))
    async with zoom.api() as api:
        (item,) = await zoom.items(api, zoom.recent(5))
        odd = type(item)(item.external_id, {**item.data, "recording_files": files}, item.started_at)
        found = await zoom.pull.fetch(api, odd)
    assert (found.has_transcript, found.recording) == (False, None)


async def test_a_transcript_that_is_still_written_is_waited_for_and_one_that_never_comes_is_not(zoom: Vendor) -> None:
    now = zoom.world.now()
    zoom.add(a_call(1, now - timedelta(hours=3), transcript_at=now + timedelta(hours=1)),
             a_call(2, now - timedelta(hours=3), has_transcript=False),
             a_call(3, now - timedelta(minutes=10), has_transcript=False))  # fmt: skip
    async with zoom.api() as api:
        items = sorted(await zoom.items(api, zoom.recent(1)), key=lambda item: item.started_at or now)
        waits = {fake_id(item): (await zoom.pull.fetch(api, item)).waits_for for item in items}
    ids = [fake_zoom.external_id(call) for call in zoom.world.calls["zoom"]]
    assert [bool(waits[external_id]) for external_id in ids] == [True, False, True]


def fake_id(item: Any) -> str:
    return str(item.external_id)


async def test_a_page_token_that_ran_out_begins_the_list_again(zoom: Vendor) -> None:
    async with zoom.api() as api:
        window = Window(zoom.before(days=20), zoom.world.now())
        zoom.add(*some_calls(zoom, 310, 18))
        first = await zoom.pull.list_page(api, window, None)
        assert first.cursor is not None
        with zoom.later(timedelta(minutes=16)), pytest.raises(CursorFault):
            await zoom.pull.list_page(api, window, first.cursor)


async def test_a_scope_that_is_missing_is_named(zoom: Vendor) -> None:
    zoom.world.granted["zoom"] = frozenset({"user:read:user"})
    credential = zoom.running.credential("zoom")
    async with zoom.api(**credential) as api:
        zoom.order("forbidden", times=5, where="/recordings")
        with pytest.raises(ConfigFault, match="cloud_recording:read:list_user_recordings"):
            await zoom.connector.validate(api)  # type: ignore[misc]
        zoom.calm()
        account = await zoom.connector.validate(api)  # type: ignore[misc]
    assert account.missing == ("cloud_recording:read:list_user_recordings", "cloud_recording:read:list_recording_files")


async def test_only_an_admin_lists_the_whole_account(zoom: Vendor) -> None:
    zoom.add(a_call(1, zoom.before(days=1)))
    async with zoom.api() as admin, zoom.api(scope="cloud_recording:read:list_user_recordings") as user:
        await zoom.items(admin, zoom.recent(2))
        assert "/accounts/me/" in zoom.world.requests[-1].path
        await zoom.items(user, zoom.recent(2))
        assert "/users/me/" in zoom.world.requests[-1].path


async def test_a_server_to_server_app_asks_for_a_token_once_while_it_holds(running: Vendors) -> None:
    vendor = await vendor_of("zoom", "password", running)
    vendor.add(*some_calls(vendor, 3, 5))
    before = len(vendor.world.requests)
    async with vendor.api() as api:
        for item in await vendor.items(api, vendor.recent(10)):
            found = await vendor.pull.fetch(api, item)
            assert found.recording is not None
            assert "access_token=" in found.recording.url
            assert found.recording.authorised is False
        with vendor.later(timedelta(hours=2)):
            await vendor.items(api, vendor.recent(10))
    asked = [seen for seen in vendor.world.requests[before:] if seen.path == "/zoom.us/oauth/token"]
    assert len(asked) == 2


async def test_an_app_that_zoom_does_not_know_is_said_so(running: Vendors) -> None:
    vendor = await vendor_of("zoom_phone", "password", running)
    async with vendor.api(client_secret="wrong") as api:
        with pytest.raises(ConfigFault, match="client secret"):
            await vendor.connector.validate(api)  # type: ignore[misc]


async def test_a_daily_limit_ends_when_zoom_says(zoom: Vendor) -> None:
    answer = CONNECTORS["zoom"].complaint
    assert answer is not None
    limited = Answer(
        429, {"x-ratelimit-type": "Daily-limit"}, b'{"code":429}', "https://api.zoom.us/v2/users/_/recordings"
    )
    fault = answer(limited)
    assert isinstance(fault, TransientFault)
    assert fault.reason == "daily_limit_reached"
    assert answer(Answer(429, {"x-ratelimit-type": "QPS"}, b"{}", "https://api.zoom.us")) is None


# Words


def heard(*lines: str) -> list[tuple[str | None, str]]:
    text = "WEBVTT\n\n" + "\n".join(f"00:00:0{n}.000 --> 00:00:0{n}.500\n{line}\n" for n, line in enumerate(lines))
    return [(said.speaker, said.text) for said in with_speakers(cues(text), ["Kim"]).segments]


def test_words_before_a_colon_are_a_speaker_only_if_they_are_a_name() -> None:
    assert heard("Ines Vogel: Hello.", "Remember: we meet at 10:30.", "At 10:30 then.", "Kim: Yes.") == [
        ("Ines Vogel", "Hello."), (None, "Remember: we meet at 10:30."), (None, "At 10:30 then."), ("Kim", "Yes."),
    ]  # fmt: skip


def test_a_name_of_one_word_that_comes_again_is_a_speaker() -> None:
    assert heard("Ines Vogel: Hello.", "Theo: Yes: at ten.", "Theo: No.") == [
        ("Ines Vogel", "Hello."), ("Theo", "Yes: at ten."), ("Theo", "No."),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "WEBVTT\n", "\x00", "not a transcript at all", "WEBVTT\n\n1\n99 --> x\nHi\n"])
def test_a_file_without_words_says_nothing(text: str) -> None:
    assert cues(text) == Transcript((), "")


# Webhooks


def delivered(body: bytes, headers: dict[str, str]) -> Delivery:
    return Delivery("POST", "https://calls.example.com/hooks/zoom", headers, {}, body, SECRET, 1762185731.0, 300)


def test_both_events_name_the_call_and_the_transcript_can_be_read_at_once(running: Vendors) -> None:
    for name, fake, waits in (("zoom", fake_zoom, 120), ("zoom_phone", fake_phone, 120)):
        webhook = CONNECTORS[name].webhook
        assert webhook is not None
        call = a_call(7, datetime(2025, 11, 3, 9, tzinfo=UTC))
        postings = fake.webhook(running.world, call, SECRET, "https://calls.example.com/hooks/zoom")
        found = [webhook.read(delivered(posting.body, dict(posting.headers))) for posting in postings]
        wanted = fake.external_id(call)
        assert found == [[Notice(wanted, timedelta(seconds=waits))], [Notice(wanted, timedelta(0))]]


def test_events_that_bring_no_call_are_left_alone() -> None:
    webhook = CONNECTORS["zoom"].webhook
    assert webhook is not None
    assert webhook.read(delivered(b'{"event":"recording.started","payload":{"object":{"uuid":"x"}}}', {})) == []
    (odd,) = webhook.read(delivered(b'{"event":"recording.completed","payload":{}}', {}))
    assert odd.external_id.startswith("invalid-")


# Phone


async def test_an_account_without_a_licence_is_told_so(phone: Vendor) -> None:
    phone.world.notes["zoom_phone unlicensed"] = True
    async with phone.api() as api:
        with pytest.raises(ConfigFault, match="no Zoom Phone licence") as caught:
            await phone.connector.validate(api)  # type: ignore[misc]
    assert caught.value.reason == "licence_missing"


async def test_a_call_that_zoom_cannot_transcribe_gives_its_recording(phone: Vendor) -> None:
    phone.add(a_call(1, phone.before(days=1), lines=[]))
    async with phone.api() as api:
        (item,) = await phone.items(api, phone.recent(2))
        found = await phone.pull.fetch(api, item)
    assert phone.world.asked("zoom_phone", "recording_transcript", 400)
    assert (found.has_transcript, found.waits_for) == (False, None)
    assert found.recording is not None
    assert found.recording.authorised


async def test_a_transcript_that_may_not_be_read_is_no_reason_to_stop(phone: Vendor) -> None:
    phone.add(a_call(1, phone.before(days=1)))
    async with phone.api() as api:
        (item,) = await phone.items(api, phone.recent(2))
        phone.world.notes["zoom_phone unlicensed"] = True
        found = await phone.pull.fetch(api, item)
    assert not found.has_transcript


async def test_times_are_clamped_and_nobody_is_made_up(phone: Vendor) -> None:
    lines = [Line("Mila Chen", 9.0, 2.0, "Backwards."), Line(None, 10.0, 11.0, "Who?"),
             Line("+14155550143", 12.0, 13.0, "By my number.")]  # fmt: skip
    people = [Person("Mila Chen"), Person("Northwind", None, "+14155550143")]
    phone.add(a_call(1, phone.before(days=1), lines=lines, people=people))
    async with phone.api() as api:
        (item,) = await phone.items(api, phone.recent(2))
        _, call = await phone.read(api, item)
    assert [(said.speaker, said.start_ms, said.end_ms) for said in call.segments] == [
        ("Mila Chen", 9_000, 9_000), (None, 10_000, 11_000), ("Northwind", 12_000, 13_000),
    ]  # fmt: skip
    assert call.title == "Call with Northwind"


async def test_a_recording_that_is_gone_is_missing(phone: Vendor) -> None:
    phone.add(a_call(1, phone.before(days=1)))
    async with phone.api() as api:
        with pytest.raises(MissingFault):
            await phone.pull.find(api, "0000")


def test_a_recording_without_an_id_is_refused() -> None:
    with pytest.raises(InvalidCall, match="id is missing"):
        CONNECTORS["zoom_phone"].to_call({"call_id": "1"})
