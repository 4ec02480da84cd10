"""Google Meet: what its absolute times, several transcripts, Drive files and notices ask of the connector."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import google_meet, meetings
from connectors.contract import Item, Notice, Received
from connectors.registry import to_call
from schemas.faults import ConfigFault, CursorFault, MissingFault
from tests.contract.vendors import signed_in, some_calls
from tests.fakes.vendors.google_meet import record
from tests.unit.connectors.at_vendors import a_call, at, delivery, everything, hostile, said, whole


async def test_hostile_meetings_come_whole() -> None:
    async with at("google_meet") as (vendor, api):
        calls = hostile(vendor)
        found = await everything(vendor, api, vendor.recent(25))
    assert set(found) == {vendor.fake.external_id(call) for call in calls}
    for call in calls:
        _, _, read = found[vendor.fake.external_id(call)]
        assert said([one.text for one in read.segments]) == said([line.text for line in call.lines])
        assert read.recording_start_time == call.started_at
        spoken = [one for one in read.segments if one.speaker]
        assert {said([str(one.speaker)])[0] for one in spoken} <= set(said([str(line.speaker) for line in call.lines]))


async def test_several_transcripts_are_one_call_in_the_order_of_time() -> None:
    async with at("google_meet") as (vendor, api):
        call = a_call(1, vendor.before(days=2))
        vendor.add(call)
        found, read = await whole(vendor, api, await vendor.pull.find(api, vendor.fake.external_id(call)))
    assert len(found.payload["transcripts"]) == 2
    assert [one.start_ms for one in read.segments] == [1_500, 5_000, 61_000]


async def test_a_recording_comes_from_drive_with_the_accounts_own_token() -> None:
    async with at("google_meet") as (vendor, api):
        call = a_call(1, vendor.before(days=2), has_transcript=False)
        vendor.add(call)
        found = await vendor.pull.fetch(api, await vendor.pull.find(api, vendor.fake.external_id(call)))
        assert found.recording is not None
        assert found.recording.authorised
        answer = await api.send("GET", found.recording.url)
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.body[4:8] == b"ftyp"
        async with vendor.api(access_token="nobody's", refresh_token="nobody's") as stranger:
            with pytest.raises(ConfigFault):
                await stranger.send("GET", found.recording.url)


async def test_a_meeting_that_nobody_recorded_is_none_to_import() -> None:
    async with at("google_meet") as (vendor, api):
        vendor.add(
            a_call(1, vendor.before(minutes=20), has_transcript=False, has_recording=False),
            a_call(2, vendor.before(days=1), has_transcript=False, has_recording=False),
        )
        young, old = await vendor.items(api, vendor.recent(5))
        assert (await vendor.pull.fetch(api, young)).waits_for
        with pytest.raises(MissingFault, match="Nobody recorded"):
            await vendor.pull.fetch(api, old)


async def test_a_meeting_that_goes_on_is_waited_for() -> None:
    async with at("google_meet") as (vendor, api):
        running = record(a_call(1, vendor.before(minutes=20)))
        del running["endTime"]
        found = await vendor.pull.fetch(api, Item(running["name"], running))
    assert found.waits_for == "The meeting has not ended yet."


async def test_a_transcript_that_is_never_finished_holds_the_recording_back_two_days_at_most() -> None:
    async with at("google_meet") as (vendor, api):
        call = a_call(1, vendor.before(hours=3), transcript_at=vendor.world.now() + timedelta(days=9))
        vendor.add(call)
        item = await vendor.pull.find(api, vendor.fake.external_id(call))
        found = await vendor.pull.fetch(api, item)
        assert found.waits_for == "Google is still writing the transcript."
        with vendor.later(timedelta(days=2)):
            found = await vendor.pull.fetch(api, item)
        assert found.waits_for is None
        assert found.recording is not None


async def test_what_is_older_than_thirty_days_is_gone() -> None:
    async with at("google_meet") as (vendor, api):
        calls = some_calls(vendor, 40, 39)
        vendor.add(*calls)
        found = await vendor.items(api, vendor.recent(60))
        assert 28 <= len(found) <= 31
        with pytest.raises(MissingFault):
            await vendor.pull.find(api, vendor.fake.external_id(calls[0]))


async def test_a_window_is_exact_although_the_filter_knows_only_at_most() -> None:
    async with at("google_meet") as (vendor, api):
        start = vendor.before(days=3)
        inside, at_end = a_call(1, start), a_call(2, start + timedelta(hours=1))
        vendor.add(inside, at_end)
        window = replace(vendor.recent(5), since=start, until=at_end.started_at)
        assert [item.external_id for item in await vendor.items(api, window)] == [vendor.fake.external_id(inside)]


async def test_a_right_that_was_not_ticked_on_googles_page_is_named() -> None:
    async with at("google_meet") as (vendor, _):
        vendor.world.granted["google_meet"] = frozenset({"openid", "email", google_meet.MEETINGS})
        vendor.credential = await signed_in(vendor)
        async with vendor.api() as api:
            account = await google_meet.validate(api)
    assert account.missing == (google_meet.FILES,)
    assert account.label == "mila@acme.example"


async def test_a_page_token_that_has_expired_begins_the_list_again() -> None:
    async with at("google_meet") as (vendor, api):
        with pytest.raises(CursorFault):
            await vendor.pull.list_page(api, vendor.recent(5), "of another filter")


@pytest.mark.parametrize(
    "name", ["", "spaces/x", "conferenceRecords/", "conferenceRecords/a/../b", "conferenceRecords/a?b"]
)
async def test_a_name_that_is_none_of_a_record_is_never_asked_for(name: str) -> None:
    async with at("google_meet") as (vendor, api):
        with pytest.raises(MissingFault):
            await vendor.pull.find(api, name)
        assert not vendor.world.asked("google_meet", "/conferenceRecords")


async def test_a_room_that_is_gone_leaves_the_date_as_title() -> None:
    async with at("google_meet") as (vendor, api):
        vendor.add(*some_calls(vendor, 60, 20))
        titles = [read.title for _, _, read in (await everything(vendor, api, vendor.recent(25))).values()]
    assert any(title.endswith("-xyz") for title in titles)
    assert any(title.endswith(" UTC") for title in titles)


START = datetime(2025, 11, 6, 13, 0, tzinfo=UTC)


def meeting(recordings: list[tuple[int, int]], transcripts: list[int], words: list[int]) -> dict[str, Any]:
    """A meeting of an hour; minutes at which things begin (and end)."""

    def at(minute: int) -> str:
        return (START + timedelta(minutes=minute)).isoformat().replace("+00:00", ".000000999Z")

    name = "conferenceRecords/a"
    return {
        "name": name, "startTime": at(0), "endTime": at(60),
        "transcripts": [{"name": f"{name}/transcripts/{minute}", "startTime": at(minute)} for minute in transcripts],
        "transcript_entries": [{"text": "Hello.", "startTime": at(minute)} for minute in words],
        "recordings": [
            {"state": "FILE_GENERATED", "startTime": at(begin), "endTime": at(end), "driveDestination": {"file": "f"}}
            for begin, end in recordings
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recordings", "transcripts", "words", "start", "minutes", "first"),
    [
        ([(2, 50)], [3], [4], 2, 48, 2),
        ([(2, 5), (7, 50)], [3], [8], 7, 43, 1),
        ([(10, 50)], [3], [4], 3, 57, 1),
        ([], [3, 30], [4, 31], 3, 57, 1),
        ([], [], [4], 4, 56, 0),
        ([(2, 50)], [], [], 2, 48, None),
    ],
)
def test_a_call_begins_with_its_recording_unless_words_were_written_before_it(
    recordings: list[tuple[int, int]], transcripts: list[int], words: list[int], start: int, minutes: int,
    first: int | None,
) -> None:  # fmt: skip
    call = google_meet.to_call(meeting(recordings, transcripts, words))
    assert call.recording_start_time == START + timedelta(minutes=start)
    assert call.duration_ms == minutes * 60_000
    assert [one.start_ms for one in call.segments[:1]] == ([first * 60_000] if first is not None else [])


def push(kind: str, told: object, **message: Any) -> bytes:
    encoded = base64.b64encode(json.dumps(told).encode()).decode()
    return json.dumps({"message": {"attributes": {"ce-type": kind}, "data": encoded, **message}}).encode()


async def test_a_notice_comes_only_of_files_that_are_ready() -> None:
    names = {"transcript": {"name": "conferenceRecords/x/transcripts/y"}}
    async with at("google_meet") as (vendor, _):
        (found,) = meetings.conferences(delivery(vendor, push(meetings.EVENTS[0], names)))
        assert found == Notice("conferenceRecords/x")
        for kind in ("google.workspace.meet.conference.v2.ended", "google.workspace.meet.participant.v2.joined"):
            assert meetings.conferences(delivery(vendor, push(kind, names))) == []
        for odd in (
            push(meetings.EVENTS[0], {"transcript": {"name": "spaces/x"}}),
            push(meetings.EVENTS[0], [1]),
            push(meetings.EVENTS[0], names, data="not base64"),
            push(meetings.EVENTS[0], names, data=7),
            push("", names),
        ):
            (kept,) = meetings.conferences(delivery(vendor, odd))
            assert isinstance(kept, Received)


def test_entries_below_another_meeting_are_not_asked_for() -> None:
    assert meetings.record_of("conferenceRecords/a/transcripts/t") == "conferenceRecords/a"
    assert meetings.record_of("conferenceRecords/ab") != "conferenceRecords/a"
    assert meetings.record_of("https://evil.example/conferenceRecords/a") is None


def test_a_phone_users_hidden_number_is_a_name() -> None:
    payload = meeting([], [1], [2]) | {"participants": [{"name": "p", "phoneUser": {"displayName": "(***) ***-0143"}}]}
    assert to_call("google_meet", json.dumps(payload))[0].participants[0].name == "(***) ***-0143"
