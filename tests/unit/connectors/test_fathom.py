"""Fathom: what only Fathom does. What every source must do is in tests/contract."""

from datetime import timedelta

import httpx2
import pytest

from connectors.contract import Window
from connectors.fathom_downloads import LOOKS, prepared, recording_of
from connectors.http import rewrite
from schemas.faults import ConfigFault, MissingFault, TransientFault
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors.core import Vendors
from tests.fakes.vendors.core import recording_of as sound_of


@pytest.fixture
async def keyed(fake_vendors: Vendors) -> Vendor:
    """Connected by an API key."""
    return await vendor_of("fathom", "api_key", fake_vendors)


@pytest.fixture
async def app(fake_vendors: Vendors) -> Vendor:
    """Connected as an OAuth app."""
    return await vendor_of("fathom", "oauth", fake_vendors)


def paths(vendor: Vendor, before: int) -> list[str]:
    """What was asked for since then, without the host."""
    return [seen.path.partition("/external/v1")[2] for seen in vendor.world.requests[before:]]


async def test_with_a_key_a_page_brings_its_transcripts(keyed: Vendor) -> None:
    keyed.add(*some_calls(keyed, 3, 5))
    before = len(keyed.world.requests)
    async with keyed.api() as api:
        for item in await keyed.items(api, keyed.recent(10)):
            assert (await keyed.pull.fetch(api, item)).has_transcript
    assert paths(keyed, before) == ["/meetings"]
    assert keyed.world.requests[-1].query["include_transcript"] == "true"


async def test_an_oauth_app_asks_for_each_transcript_and_includes_none(app: Vendor) -> None:
    wanted = app.add(*some_calls(app, 2, 5))
    before = len(app.world.requests)
    async with app.api() as api:
        for item in await app.items(api, app.recent(10)):
            assert (await app.pull.fetch(api, item)).has_transcript
    listing, *others = paths(app, before)
    assert listing == "/meetings"
    assert set(others) == {f"/recordings/{name}/transcript" for name in wanted}
    assert not {"include_transcript", "include_summary"} & set(app.world.requests[before].query)


async def test_a_meeting_that_was_created_after_the_window_is_found_in_it(keyed: Vendor) -> None:
    until = keyed.before(days=3)
    wanted = keyed.add(a_call(1, until - timedelta(minutes=2)))
    keyed.add(a_call(2, until + timedelta(minutes=2)))
    async with keyed.api() as api:
        items = await keyed.items(api, Window(until - timedelta(days=1), until))
    assert {item.external_id for item in items} == wanted


async def test_a_meeting_that_was_created_days_late_is_found_by_the_next_sync(keyed: Vendor) -> None:
    wanted = keyed.add(a_call(1, keyed.before(days=9), appears_at=keyed.before(minutes=5)))
    async with keyed.api() as api:
        items = await keyed.items(api, Window(keyed.before(days=1), keyed.world.now()))
    assert {item.external_id for item in items} == wanted


async def test_filters_narrow_the_listing(keyed: Vendor) -> None:
    keyed.add(*some_calls(keyed, 2, 5))
    window = keyed.recent(10)
    async with keyed.api() as api:
        by = {email: Window(window.since, window.until, {"recorded_by": email})
              for email in ("mila@acme.example,sam@acme.example", "nobody@acme.example")}  # fmt: skip
        found = [len(await keyed.items(api, filtered)) for filtered in by.values()]
    assert found == [2, 0]


async def test_the_person_or_the_team_names_the_account(keyed: Vendor) -> None:
    assert keyed.connector.validate is not None
    async with keyed.api(account=" sam@acme.example ") as api:
        assert (await keyed.connector.validate(api)).label == "sam@acme.example"
    async with keyed.api(account="") as api:
        assert (await keyed.connector.validate(api)).label == "Sales"


@pytest.mark.parametrize("kind", ["api_key", "oauth"])
async def test_an_old_meeting_without_a_transcript_comes_with_its_recording(fake_vendors: Vendors, kind: str) -> None:
    vendor = await vendor_of("fathom", kind, fake_vendors)
    call = a_call(1, vendor.before(days=3), has_transcript=False)
    vendor.add(call)
    vendor.world.notes["fathom looks"] = 0
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(10))
        found = await vendor.pull.fetch(api, item)
        assert found.recording is not None
        assert (found.has_transcript, found.waits_for) == (False, None)
        assert vendor.pull.prepare is not None
        recording = await vendor.pull.prepare(api, found.recording)
    assert (recording.filename, recording.content_type) == (f"{item.external_id}.mp4", "video/mp4")
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(rewrite(recording.url, fake_vendors.origin))
    assert answer.content == sound_of(call, "mp4")


async def test_no_recording_is_prepared_until_somebody_wants_it(keyed: Vendor) -> None:
    keyed.add(a_call(1, keyed.before(days=3)))
    before = len(keyed.world.requests)
    async with keyed.api() as api:
        (item,) = await keyed.items(api, keyed.recent(10))
        found = await keyed.pull.fetch(api, item)
    assert found.recording is not None
    assert paths(keyed, before) == ["/meetings"]


@pytest.mark.parametrize("looks", range(len(LOOKS) + 1))
async def test_a_recording_under_way_is_looked_at_a_few_times(keyed: Vendor, looks: int) -> None:
    (recording_id,) = keyed.add(a_call(1, keyed.before(days=3)))
    keyed.world.notes["fathom looks"] = looks
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    async with keyed.api() as api:
        if looks < len(LOOKS):
            assert "https://media.fake/" in (await prepared(api, recording_of(recording_id), pause)).url
        else:
            with pytest.raises(TransientFault, match="preparing the recording"):
                await prepared(api, recording_of(recording_id), pause)
    assert paused == list(LOOKS[: looks + 1])


async def test_sound_alone_is_there_at_once(keyed: Vendor) -> None:
    (recording_id,) = keyed.add(a_call(1, keyed.before(days=3)))
    keyed.world.notes["fathom has sound only"] = True
    try:
        async with keyed.api() as api:
            recording = await prepared(api, recording_of(recording_id), no_pause)
    finally:
        del keyed.world.notes["fathom has sound only"]
    assert (recording.filename, recording.content_type) == (f"{recording_id}.mp3", "audio/mpeg")


async def test_a_call_that_was_shared_with_limits_costs_no_other_call(app: Vendor) -> None:
    app.add(a_call(1, app.before(days=3)))
    async with app.api() as api:
        (item,) = await app.items(api, app.recent(10))
        app.order("forbidden", where="/transcript")
        with pytest.raises(MissingFault, match="shared with this account with limits"):
            await app.pull.fetch(api, item)
        app.order("forbidden", where="/download")
        with pytest.raises(MissingFault, match="only others download"):
            await prepared(api, recording_of(item.external_id), no_pause)
        app.order("bad_token", where="/download", times=9)
        with pytest.raises(ConfigFault):
            await prepared(api, recording_of(item.external_id), no_pause)
    app.calm()


async def test_a_recording_that_cannot_be_made_is_missing(keyed: Vendor) -> None:
    (recording_id,) = keyed.add(a_call(1, keyed.before(days=3), has_recording=False))
    async with keyed.api() as api:
        with pytest.raises(MissingFault, match="could not prepare"):
            await prepared(api, recording_of(recording_id), no_pause)


async def no_pause(seconds: float) -> None:
    """For a job that is looked at once."""


async def test_a_meeting_beyond_the_newest_is_missing_with_that_reason(keyed: Vendor) -> None:
    keyed.add(a_call(1, keyed.before(days=3)))
    async with keyed.api() as api:
        with pytest.raises(MissingFault, match="newest 600"):
            await keyed.pull.find(api, "1")


async def test_the_address_of_the_meeting_room_is_left_out(keyed: Vendor) -> None:
    keyed.add(a_call(1, keyed.before(days=3)))
    async with keyed.api() as api:
        (item,) = await keyed.items(api, keyed.recent(10))
        found = await keyed.pull.fetch(api, item)
    assert "meeting_url" in item.data
    assert "meeting_url" not in found.payload
