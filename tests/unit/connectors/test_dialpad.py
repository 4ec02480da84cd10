"""Dialpad: what its texts for numbers, its absolute times, its sandbox and its tokens ask of the connector."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from connectors import dialpad
from connectors import dialpad_parts as parts
from connectors.contract import Item, Notice, Received
from connectors.millis import epoch_ms, epoch_of, position
from schemas.faults import ConfigFault, CursorFault, InvalidCall, MissingFault
from tests.contract.vendors import some_calls
from tests.fakes.vendors.dialpad import WEBHOOK_SECRET, told
from tests.unit.connectors.at_vendors import a_call, at, delivery, everything, hostile, said


async def test_hostile_calls_come_whole() -> None:
    async with at("dialpad") as (vendor, api):
        calls = hostile(vendor)
        found = await everything(vendor, api, vendor.recent(25))
    assert set(found) == {vendor.fake.external_id(call) for call in calls}
    for call in calls:
        _, _, read = found[vendor.fake.external_id(call)]
        assert said([one.text for one in read.segments]) == said([line.text for line in call.lines])
        assert read.recording_start_time == call.started_at
        assert all(one.start_ms <= one.end_ms for one in read.segments)


async def test_reading_calls_never_asks_for_single_ones() -> None:
    async with at("dialpad") as (vendor, api):
        vendor.add(*some_calls(vendor, 12, 5))
        await everything(vendor, api, vendor.recent(6))
        assert not vendor.world.asked("dialpad", "/call/"), "ten such requests a minute are allowed"
        assert len(vendor.world.asked("dialpad", "/transcripts/")) == 12


async def test_a_cursor_that_dialpad_does_not_know_begins_the_list_again() -> None:
    async with at("dialpad") as (vendor, api):
        with pytest.raises(CursorFault):
            await vendor.pull.list_page(api, vendor.recent(6), "of last week")


async def test_a_sandbox_is_asked_at_its_own_address() -> None:
    async with at("dialpad", server="sandbox.dialpad.com") as (vendor, api):
        vendor.add(a_call(1, vendor.before(days=1)))
        assert await everything(vendor, api, vendor.recent(6))
        assert {seen.path.split("/")[1] for seen in vendor.world.asked("dialpad")} == {"sandbox.dialpad.com"}


@pytest.mark.parametrize(
    "server", ["evil.example", "dialpad.com.evil.example", "dialpad.com/x", "dialpad.com@evil.example"]
)
async def test_a_key_goes_to_no_other_server(server: str) -> None:
    async with at("dialpad", server=server) as (vendor, api):
        with pytest.raises(ConfigFault, match=r"sandbox\.dialpad\.com"):
            await dialpad.validate(api)
        assert not vendor.world.requests


@pytest.mark.parametrize("given", [{}, {"server": ""}, {"server": " Dialpad.com "}])
def test_without_a_server_it_is_the_usual_one(given: dict[str, str]) -> None:
    assert dialpad.server(given) == "https://dialpad.com/api/v2"


async def test_a_call_without_a_transcript_brings_its_recording_with_the_accounts_own_token() -> None:
    async with at("dialpad") as (vendor, api):
        vendor.add(a_call(1, vendor.before(days=1), has_transcript=False))
        (item,) = await vendor.items(api, vendor.recent(6))
        found = await vendor.pull.fetch(api, item)
        assert found.recording is not None
        assert found.recording.authorised
        assert (await api.send("GET", found.recording.url)).headers["content-type"] == "audio/mpeg"
    assert "url" not in found.payload["recording_details"][0]
    assert "admin_call_recording_share_links" not in found.payload


def test_a_token_of_ours_goes_to_dialpad_alone() -> None:
    for url, authorised in (
        ("https://dialpad.com/blob/x.mp3", True),
        ("https://storage.example.com/x.mp3", False),
        ("http://dialpad.com/blob/x.mp3", False),
        ("https://dialpad.com.evil.example/x.mp3", False),
        ("https://[", False),
    ):
        details = [{"url": url, "duration": "5", "recording_type": "callrecording"}]
        found = parts.recording_of({"call_id": "1", "recording_details": details}, dialpad.SERVERS)
        assert found is not None
        assert found.authorised == authorised


def test_of_several_recordings_the_longest_conversation_is_kept() -> None:
    details = [
        {"url": "v", "duration": "9000", "recording_type": "voicemail"},
        {"url": "a", "duration": "100.5", "recording_type": "callrecording"},
        {"url": "b", "duration": "200", "recording_type": "admincallrecording"},
        {"duration": "999", "recording_type": "admincallrecording"},
        "odd",
    ]
    found = parts.recording_of({"call_id": 5, "recording_details": details}, ())
    assert found is not None
    assert (found.url, found.filename) == ("b", "5.mp3")


async def test_a_young_call_without_a_transcript_is_looked_at_again_and_an_old_one_is_not() -> None:
    async with at("dialpad") as (vendor, api):
        bare = {"has_transcript": False, "has_recording": False}
        vendor.add(a_call(1, vendor.before(minutes=20), **bare), a_call(2, vendor.before(days=1), **bare))
        young, old = await vendor.items(api, vendor.recent(6))
        assert (await vendor.pull.fetch(api, young)).waits_for
        with pytest.raises(MissingFault, match="neither a transcript nor a recording"):
            await vendor.pull.fetch(api, old)


async def test_nobody_talked_in_a_call_that_was_never_connected() -> None:
    async with at("dialpad") as (vendor, _):
        call = told(a_call(1, vendor.before(days=1)))
    missed = {name: value for name, value in call.items() if name not in ("date_connected", "recording_details")}
    voicemail = {name: value for name, value in call.items() if name != "date_connected"}
    assert [dialpad._is_talk(one) for one in (call, missed, voicemail)] == [True, False, True]


async def test_a_right_that_the_key_lacks_is_named() -> None:
    async with at("dialpad") as (vendor, api):
        vendor.world.granted["dialpad"] = frozenset({"recordings_export"})
        assert (await dialpad.validate(api)).missing == ("calls:list",)


STATES = [
    ("call_transcription", {}, timedelta(0)),
    ("recording", {}, timedelta(0)),
    ("hangup", {"was_recorded": True}, timedelta(minutes=15)),
    ("hangup", {"date_connected": "1762335020110"}, timedelta(minutes=15)),
    ("hangup", {"was_recorded": False}, None),
    ("ringing", {}, None),
    ("recap_summary", {}, None),
]


@pytest.mark.parametrize(("state", "more", "after"), STATES)
async def test_only_states_after_which_there_is_something_name_a_call(
    state: str, more: dict[str, Any], after: timedelta | None
) -> None:
    token = jwt.encode({"call_id": 6001, "state": state, **more}, WEBHOOK_SECRET, algorithm="HS256").encode()
    async with at("dialpad") as (vendor, _):
        found = dialpad.read_webhook(delivery(vendor, token, secret=WEBHOOK_SECRET))
    assert found == ([] if after is None else [Notice("6001", after)])


async def test_an_event_without_a_call_is_kept_as_it_came() -> None:
    token = jwt.encode({"state": "hangup"}, WEBHOOK_SECRET, algorithm="HS256").encode()
    async with at("dialpad") as (vendor, _):
        (kept,) = dialpad.read_webhook(delivery(vendor, token, secret=WEBHOOK_SECRET))
    assert isinstance(kept, Received)


def line(time: str, content: str = "Hello.", kind: str = "transcript") -> dict[str, Any]:
    return {"type": kind, "content": content, "name": "Mila", "time": time}


def test_lines_are_in_utc_whether_they_say_so_or_not() -> None:
    wanted = datetime(2025, 11, 5, 9, 30, 21, 300_000, tzinfo=UTC)
    for time in (
        "2025-11-05T09:30:21.300000", "2025-11-05T09:30:21.300000Z", "2025-11-05T11:30:21.3+02:00",
        " 2025-11-05 09:30:21.3000001 ",
    ):  # fmt: skip
        assert parts.lines({"lines": [line(time)]}) == [(wanted, "Mila", "Hello.")]


def test_moments_questions_and_silence_are_not_spoken() -> None:
    time = "2025-11-05T09:30:21"
    odd = [line(time, kind=kind) for kind in ("moment", "custom_moment", "ai_question", "real_time_moment")]
    assert parts.lines({"lines": [*odd, line(time, "  "), line(time, "\x00"), {"type": "transcript"}]}) == []


def test_a_line_without_a_time_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidCall, match=r"transcript\.lines\[1\]\.time is missing"):
        parts.lines({"lines": [line("2025-11-05T09:30:21"), {"type": "transcript", "content": "x"}]})


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [("1762335012345", 1762335012345), (1762335012345, 1762335012345), (1762335012345.4, 1762335012345), ("0", 0)],
)
def test_a_time_is_a_number_or_a_text_in_milliseconds(value: object, milliseconds: int) -> None:
    found = epoch_of(value)
    assert found is not None
    assert epoch_ms(found) == milliseconds


@pytest.mark.parametrize(
    "value", [None, "", "x", True, -1, "-1", 10**400, float("nan"), float("inf"), "9" * 16, [], {}]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert epoch_of(value) is None


def test_nothing_lies_before_the_start_of_a_recording() -> None:
    start = datetime(2025, 11, 5, tzinfo=UTC)
    assert position(start - timedelta(seconds=1), start) == 0
    assert position(start + timedelta(microseconds=1_999), start) == 1


async def test_the_largest_id_is_kept_to_the_last_digit() -> None:
    assert parts.external_id_of({"call_id": "9223372036854775807"}) == "9223372036854775807"
    async with at("dialpad") as (vendor, api):
        with pytest.raises(MissingFault):
            await vendor.pull.find(api, "../company")
        assert not vendor.world.requests
        with pytest.raises(MissingFault):
            await vendor.pull.fetch(api, Item("9223372036854775807", {"call_id": 9223372036854775807}))
