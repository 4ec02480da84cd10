"""YouTube: what its uploads, units, tracks of captions and addresses ask of the connector."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from connectors import videos, youtube
from connectors.answers import DAILY_LIMIT, RATE_LIMITED
from connectors.contract import Answer, Item, Notice, Received
from connectors.google import complaint, not_granted
from connectors.registry import to_call
from schemas.faults import ConfigFault, CursorFault, InvalidCall, MissingFault, TransientFault
from tests.contract.vendors import signed_in, some_calls
from tests.fakes.vendors.core import Rate
from tests.fakes.vendors.youtube import FOREIGN, error
from tests.unit.connectors.at_vendors import a_call, at, delivery, everything, hostile, said, whole


@dataclass
class Counted:
    """A budget that writes down what is spent and how long it was refused."""

    spent: list[int] = field(default_factory=list)
    blocks: list[float | None] = field(default_factory=list)

    async def spend(self, bucket: str, cost: int) -> float:
        self.spent.append(cost)
        return 0.0

    async def observe(self, bucket: str, remaining: float, seconds: float) -> None:
        raise AssertionError("YouTube has no such headers")

    async def block(self, bucket: str, seconds: float | None) -> float:
        self.blocks.append(seconds)
        return 3600.0 if seconds is None else seconds


async def test_hostile_videos_come_whole() -> None:
    async with at("youtube") as (vendor, api):
        calls = hostile(vendor)
        found = await everything(vendor, api, vendor.recent(25))
    assert set(found) == {vendor.fake.external_id(call) for call in calls}
    for call in calls:
        _, _, read = found[vendor.fake.external_id(call)]
        if "<b>" in call.lines[0].text or len(call.lines) > 100:  # markup is none of the words, and colons end a name
            assert len(read.segments) == len(said([line.text for line in call.lines]))
        else:
            assert said([one.text for one in read.segments]) == said([line.text for line in call.lines])
        assert read.recording_start_time == call.started_at


async def test_a_listing_stops_at_the_first_page_that_is_older_than_the_window() -> None:
    async with at("youtube") as (vendor, api):
        vendor.add(*some_calls(vendor, 400, 400))
        found = await vendor.items(api, vendor.recent(20))
        assert len(found) == 20
        assert len(vendor.world.asked("youtube", "/playlistItems")) == 2
        assert len(vendor.world.asked("youtube", "/videos")) == 1


async def test_every_request_spends_the_units_that_youtube_counts() -> None:
    async with at("youtube") as (vendor, api):
        vendor.add(*some_calls(vendor, 60, 20))
        api.budget = counted = Counted()
        items = await vendor.items(api, vendor.recent(25))
        assert counted.spent == [1] * 5  # the channel once, then the list and the details of two pages
        counted.spent.clear()
        await vendor.pull.fetch(api, items[0])
        assert counted.spent == [50, 200]


async def test_a_quota_that_is_used_up_ends_with_the_day_and_a_short_limit_does_not() -> None:
    async with at("youtube") as (vendor, api):
        vendor.add(*some_calls(vendor, 2, 5))
        items = await vendor.items(api, vendor.recent(10))
        vendor.world.limits["youtube"] = [Rate(260, 86_400, retry_after="")]
        vendor.world.limited = True
        api.budget = counted = Counted()
        assert (await vendor.pull.fetch(api, items[0])).has_transcript
        with pytest.raises(TransientFault) as caught:
            await vendor.pull.fetch(api, items[1])
        assert caught.value.reason == DAILY_LIMIT
        assert counted.blocks == [None]


@pytest.mark.parametrize(
    ("status", "reason", "kind", "word"),
    [
        (403, "quotaExceeded", TransientFault, DAILY_LIMIT),
        (403, "rateLimitExceeded", TransientFault, RATE_LIMITED),
        (429, "rateLimitExceeded", TransientFault, RATE_LIMITED),
        (403, "insufficientPermissions", ConfigFault, "permission_missing"),
        (403, "accessNotConfigured", ConfigFault, "api_not_enabled"),
        (401, "youtubeSignupRequired", ConfigFault, "no_channel"),
        (400, "invalidPageToken", CursorFault, "cursor_expired"),
    ],
)
def test_a_refusal_is_told_by_its_reason(status: int, reason: str, kind: type[Exception], word: str) -> None:
    fault = complaint(Answer(status, {}, json.dumps(error(status, reason)[1]).encode(), "https://x/y"))
    assert isinstance(fault, kind)
    assert fault is not None
    assert fault.reason == word


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"errors": 5}}', b"[" * 9999])
def test_an_odd_refusal_is_left_to_its_status(body: bytes) -> None:
    assert complaint(Answer(403, {}, body, "https://x/y")) is None


def test_a_plain_forbidden_is_no_limit() -> None:
    assert complaint(Answer(403, {}, json.dumps(error(403, "forbidden")[1]).encode(), "https://x/y")) is None


async def test_captions_of_a_video_that_may_not_be_edited_fail_that_video_alone() -> None:
    async with at("youtube") as (vendor, api):
        foreign = a_call(77, vendor.before(days=900))
        vendor.world.notes[FOREIGN] = [foreign]
        item = await vendor.pull.find(api, f"https://youtu.be/{vendor.fake.external_id(foreign)}?t=5")
        with pytest.raises(MissingFault) as caught:
            await vendor.pull.fetch(api, item)
    assert "may edit" in caught.value.sentence


async def test_single_videos_are_imported_by_their_addresses_however_old_they_are() -> None:
    async with at("youtube") as (vendor, api):
        calls = some_calls(vendor, 60, 3000)
        names = [vendor.fake.external_id(call) for call in calls]
        vendor.add(*calls)
        addresses = ", ".join(f"https://www.youtube.com/watch?app=desktop&v={name}" for name in names)
        window = replace(vendor.recent(1), filters={"videos": addresses})
        assert [item.external_id for item in await vendor.items(api, window)] == names
        assert not vendor.world.asked("youtube", "/playlistItems")
        assert len(vendor.world.asked("youtube", "/videos")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "dEmOvId0001",
        " https://www.youtube.com/watch?v=dEmOvId0001 ",
        "https://youtube.com/watch?list=PL1&v=dEmOvId0001&t=7s",
        "http://m.youtube.com/watch?v=dEmOvId0001#t=5",
        "https://music.youtube.com/watch?v=dEmOvId0001",
        "youtu.be/dEmOvId0001?si=abc",
        "https://www.youtube.com/shorts/dEmOvId0001",
        "https://www.youtube.com/live/dEmOvId0001?feature=share",
        "https://www.youtube-nocookie.com/embed/dEmOvId0001/",
        "https://www.youtube.com/v/dEmOvId0001",
    ],
)
def test_every_usual_address_names_its_video(text: str) -> None:
    assert videos.video_id(text) == "dEmOvId0001"


@pytest.mark.parametrize(
    "text",
    [
        "", "dEmOvId000", "https://www.youtube.com/@acme", "https://youtu.be/short", "https://evil.example/dEmOvId0001",
        "https://youtube.com.evil.example/watch?v=dEmOvId0001", "https://www.youtube.com/watch?v=dEmOvId00011",
        "https://www.youtube.com/playlist?list=PLdEmOvId0001",
    ],
)  # fmt: skip
def test_what_is_no_video_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(MissingFault) as caught:
        videos.video_id(text)
    assert "youtube.com/watch" in caught.value.sentence


def track(name: str, kind: str, language: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "snippet": {"trackKind": kind, "language": language, "status": "serving", **more}}


@pytest.mark.parametrize(
    ("spoken", "tracks", "best"),
    [
        ("en-US", [track("a", "ASR", "en"), track("s", "standard", "en-GB")], "s"),
        ("en", [track("s", "standard", "fr"), track("a", "ASR", "en")], "a"),
        (None, [track("s", "standard", "fr"), track("a", "ASR", "en")], "a"),
        (None, [track("a", "ASR", "de"), track("s", "standard", "de")], "s"),
        ("en", [track("s", "standard", "fr")], "s"),
        (None, [track("s", "standard", "fr"), track("t", "standard", "it")], "s"),
        ("en", [track("f", "forced", "en"), track("a", "ASR", "en")], "a"),
        ("en", [track("d", "standard", "en", isDraft=True), track("a", "ASR", "en")], "a"),
        ("en", [track("x", "standard", "en", status="failed"), track("a", "ASR", "en", status="syncing")], None),
        ("en", [], None),
    ],
)
def test_the_spoken_language_comes_before_a_better_kind(
    spoken: str | None, tracks: list[dict[str, Any]], best: str | None
) -> None:
    found = videos.best_track(tracks, spoken)
    assert (found or {}).get("id") == best


@pytest.mark.parametrize(
    ("tracks", "coming"),
    [
        ([track("a", "ASR", "en", status="syncing")], True),
        ([track("a", "ASR", "en", status="syncing"), track("s", "standard", "fr")], True),
        ([track("a", "ASR", "en", status="syncing"), track("s", "standard", "en-GB")], False),
        ([track("a", "ASR", "en", status="failed"), track("s", "standard", "fr")], False),
        ([track("f", "forced", "en", status="syncing"), track("s", "standard", "fr")], False),
    ],
)
def test_a_translation_is_not_taken_while_what_was_spoken_is_written(
    tracks: list[dict[str, Any]], coming: bool
) -> None:
    assert videos.is_better_coming(tracks, videos.best_track(tracks, None)) == coming


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT1H2M3S", 3_723_000), ("PT42M7S", 2_527_000), ("P1DT2H", 93_600_000), ("PT59S", 59_000), ("P0D", None),
        ("PT0S", None), (None, None),
    ],
)  # fmt: skip
def test_a_length_is_read_in_all_its_forms(text: str | None, length: int | None) -> None:
    assert videos.length_ms(text) == length


async def test_a_stream_that_runs_is_waited_for_without_spending_units() -> None:
    async with at("youtube") as (vendor, api):
        about = {"liveBroadcastContent": "live"}
        found = await youtube.fetch(api, Item("dEmOvId0001", {"id": "dEmOvId0001", "snippet": about}))
        assert found.waits_for == "The stream has not ended yet."
        assert not vendor.world.asked("youtube", "/captions")


async def test_a_young_video_without_captions_waits_and_an_old_one_says_what_to_do() -> None:
    async with at("youtube") as (vendor, api):
        vendor.add(
            a_call(1, vendor.before(hours=5), has_transcript=False),
            a_call(2, vendor.before(days=5), has_transcript=False),
        )
        young, old = [await vendor.pull.fetch(api, item) for item in await vendor.items(api, vendor.recent(10))]
    assert young.waits_for
    assert old.waits_for is None
    with pytest.raises(InvalidCall) as caught:
        to_call("youtube", json.dumps(old.payload))
    assert "YouTube Studio" in caught.value.sentence


async def test_an_account_without_a_channel_is_told_so() -> None:
    async with at("youtube") as (vendor, api):
        vendor.world.login = "none"
        with pytest.raises(ConfigFault, match="no YouTube channel"):
            await youtube.validate(api)


async def test_a_right_that_was_not_ticked_is_named() -> None:
    assert not_granted({"scope": "openid"}, youtube.SCOPE) == (youtube.SCOPE,)
    assert not_granted({}, youtube.SCOPE) == ()
    async with at("youtube") as (vendor, _):
        vendor.world.granted["youtube"] = frozenset({"openid"})
        vendor.credential = await signed_in(vendor)
        async with vendor.api() as api:
            with pytest.raises(ConfigFault, match="lacks a right"):
                await youtube.validate(api)


FEED = (
    '<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:at="http://purl.org/atompub/tombstones/1.0">{}</feed>'
)


async def test_a_feed_names_videos_and_what_was_deleted_is_left_alone() -> None:
    entry = "<entry><yt:videoId>{}</yt:videoId></entry>"
    gone = '<at:deleted-entry ref="yt:video:dEmOvId0009" when="2025-11-02T18:30:00Z"/>'
    async with at("youtube") as (vendor, _):
        for inner, names in (
            (entry.format("dEmOvId0001") + entry.format("dEmOvId0002") * 2, ["dEmOvId0001", "dEmOvId0002"]),
            (gone, []),
            ("", []),
        ):
            found = youtube.read_webhook(delivery(vendor, FEED.format(inner).encode()))
            assert [one.external_id for one in found] == names
            assert all(isinstance(one, Notice) and one.after == timedelta(minutes=30) for one in found)
        for odd in (entry.format("x"), "<entry/>", "<entry>"):
            (kept,) = youtube.read_webhook(delivery(vendor, FEED.format(odd).encode()))
            assert isinstance(kept, Received)
            assert odd in kept.payload


async def test_a_video_that_was_renamed_is_the_same_call_with_a_new_title() -> None:
    async with at("youtube") as (vendor, api):
        call = a_call(1, vendor.before(days=2))
        vendor.add(call)
        name = vendor.fake.external_id(call)
        _, before = await whole(vendor, api, await vendor.pull.find(api, name))
        call.title = "Renamed"
        _, after = await whole(vendor, api, await vendor.pull.find(api, name))
    assert after == before.model_copy(update={"title": "Renamed"})
