"""One suite over the registry: what is pulled is exactly what the source has, whatever goes wrong on the way."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from connectors.contract import Connector, Window
from connectors.registry import CONNECTORS
from schemas.calls import NormalizedCall
from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, MissingFault, TransientFault
from tests.contract.test_connectors import check_refusal, texts
from tests.contract.vendors import FAKED, PULLING, TWELVE, Vendor, a_call, ids, some_calls


def test_every_source_of_ours_is_pulled_and_has_a_stand_in() -> None:
    assert set(PULLING) >= TWELVE
    assert set(FAKED) >= TWELVE


@pytest.mark.parametrize("name", PULLING)
def test_a_connector_has_a_stand_in(name: str) -> None:
    if name not in FAKED:
        pytest.skip(f"what {name} pulls is not tested: write tests/fakes/vendors/{name}.py")


# Connecting


async def test_a_credential_is_proved_and_its_account_named(vendor: Vendor) -> None:
    async with vendor.api() as api:
        assert vendor.connector.validate is not None
        account = await vendor.connector.validate(api)
    assert account.label.strip()
    assert account.missing == ()


async def test_a_refused_credential_is_said_in_a_sentence(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 1, 5))
    for ask in (vendor.connector.validate, lambda api: vendor.pull.list_page(api, vendor.recent(10), None)):
        vendor.order("bad_token", times=50)
        async with vendor.api() as api:
            assert ask is not None
            with pytest.raises(ConfigFault) as caught:
                await ask(api)
        check_sentence(caught.value, vendor.connector)
        vendor.calm()


async def test_a_missing_right_is_named(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 1, 5))
    vendor.order("forbidden", times=50)
    async with vendor.api() as api:
        with pytest.raises(ConfigFault) as caught:
            await vendor.pull.list_page(api, vendor.recent(10), None)
    check_sentence(caught.value, vendor.connector)


# Listing


async def test_a_listing_ends_and_finds_exactly_what_there_is(vendor: Vendor) -> None:
    days = vendor.far_back(70)
    wanted = vendor.add(*some_calls(vendor, 130, days - 1))
    async with vendor.api() as api:
        pages = await vendor.pages(api, vendor.recent(days))
    found = Counter(item.external_id for page in pages for item in page.items)
    assert set(found) == wanted
    assert len(pages) > 1, "130 calls should not fit on a page: the paging was not tested"


async def test_an_empty_account_is_an_empty_listing(vendor: Vendor) -> None:
    async with vendor.api() as api:
        assert await vendor.items(api, vendor.recent(20)) == []


async def test_a_window_is_kept_to(vendor: Vendor) -> None:
    calls = some_calls(vendor, 25, 25)
    vendor.add(*calls)
    window = Window(vendor.before(days=16), vendor.before(days=8))
    spare = timedelta(days=2)  # some list by other dates than the start, or by whole days: the overlap is for that
    start = {vendor.fake.external_id(call): call.started_at for call in calls}
    inside = {name for name, at in start.items() if window.since + spare < at < window.until - spare}
    near = {name for name, at in start.items() if window.since - spare < at < window.until + spare}
    async with vendor.api() as api:
        found = set(ids(await vendor.items(api, window)))
    assert inside
    assert inside <= found <= near


async def test_windows_side_by_side_find_everything(vendor: Vendor) -> None:
    wanted = vendor.add(*some_calls(vendor, 40, 24))
    edges = [vendor.before(days=days) for days in range(25, -1, -5)]
    found: set[str] = set()
    async with vendor.api() as api:
        for since, until in pairwise(edges):
            window = Window(since - vendor.pull.overlap, until + timedelta(minutes=1))
            found.update(ids(await vendor.items(api, window)))
    assert found == wanted


async def test_the_same_page_may_be_asked_for_again(vendor: Vendor) -> None:
    days = vendor.far_back(70)
    vendor.add(*some_calls(vendor, 130, days - 1))
    window = vendor.recent(days)
    async with vendor.api() as api:
        first = await vendor.pull.list_page(api, window, None)
        assert ids((await vendor.pull.list_page(api, window, None)).items) == ids(first.items)
        second = await vendor.pull.list_page(api, window, first.cursor)
        assert ids((await vendor.pull.list_page(api, window, first.cursor)).items) == ids(second.items)


async def test_a_call_that_appears_late_is_found_by_the_next_window(vendor: Vendor) -> None:
    overlap = vendor.pull.overlap
    start = vendor.world.now() - timedelta(minutes=20)
    early = vendor.add(a_call(1, start - timedelta(minutes=30)))
    late = vendor.add(a_call(2, start, appears_at=vendor.world.now() + overlap / 2))
    async with vendor.api() as api:
        first_until = vendor.world.now()
        first = set(ids(await vendor.items(api, Window(vendor.before(days=5), first_until))))
        with vendor.later(overlap / 2 + timedelta(minutes=1)):
            window = Window(first_until - overlap, vendor.world.now())
            second = set(ids(await vendor.items(api, window)))
    assert not first & late
    assert early <= first
    assert late <= second


async def test_the_count_agrees_with_the_listing(vendor: Vendor) -> None:
    days = vendor.far_back(70)
    wanted = vendor.add(*some_calls(vendor, 55, days - 1))
    async with vendor.api() as api:
        total = await vendor.pull.count(api, vendor.recent(days)) if vendor.pull.count else len(wanted)
    assert total is None or total == len(wanted)


async def test_a_forgotten_page_token_is_said_or_does_no_harm(vendor: Vendor) -> None:
    days = vendor.far_back(70)
    wanted = vendor.add(*some_calls(vendor, 130, days - 1))
    window = vendor.recent(days)
    async with vendor.api() as api:
        first = await vendor.pull.list_page(api, window, None)
        assert first.cursor
        with vendor.later(timedelta(hours=30)):
            try:
                second = await vendor.pull.list_page(api, window, first.cursor)
            except CursorFault:
                return
    assert set(ids(second.items)) <= wanted
    assert not set(ids(second.items)) & set(ids(first.items))


async def test_a_cursor_of_nowhere_is_a_fault_and_no_accident(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 3, 5))
    async with vendor.api() as api:
        with pytest.raises(Fault):
            await vendor.pull.list_page(api, vendor.recent(10), '{"of": "another version"}')


# Reading


async def test_a_call_is_read_as_it_was_held(vendor: Vendor) -> None:
    call = a_call(7, vendor.before(days=3))
    wanted = vendor.add(call)
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(10))
        found, read = await vendor.read(api, item)
    assert {item.external_id} == wanted == {vendor.connector.external_id_of(dict(found.payload))}
    assert item.started_at is None or abs(item.started_at - call.started_at) < timedelta(days=1)
    assert read.recording_start_time == call.started_at
    assert read.duration_ms is None or abs(read.duration_ms - 300_000) <= 60_000
    assert read.title.strip()
    assert found.waits_for is None
    assert found.has_transcript or found.recording
    if found.has_transcript:
        assert [segment.text for segment in read.segments] == [line.text for line in call.lines]
        for segment, line in zip(read.segments, call.lines, strict=True):
            assert abs(segment.start_ms - line.start_s * 1000) <= 1000, "positions count from the recording's start"
            assert segment.start_ms <= segment.end_ms
        assert {segment.speaker for segment in read.segments} <= {"Mila Chen", "Rosa Lind", None}
        assert read.original_transcript
        assert read.metadata_quality == "full"
    assert "external_id" not in read.source_metadata


async def test_what_find_gives_is_read_like_what_is_listed(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 3, 1))
    async with vendor.api() as api:
        items = await vendor.items(api, vendor.recent(10))
        assert len(items) == 3
        for item in items:
            again = await vendor.pull.find(api, item.external_id)
            assert again.external_id == item.external_id
            assert (await vendor.read(api, again))[1] == (await vendor.read(api, item))[1]


async def test_a_call_that_the_source_does_not_have_is_missing(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 2, 5))
    unknown = vendor.fake.external_id(a_call(999, vendor.before(days=1)))
    async with vendor.api() as api:
        with pytest.raises(MissingFault):
            await vendor.pull.find(api, unknown)


async def test_a_late_transcript_is_waited_for_and_then_read(vendor: Vendor) -> None:
    now = vendor.world.now()
    start = now - timedelta(minutes=25)
    vendor.add(a_call(1, start, transcript_at=now + timedelta(hours=1)), a_call(2, start - timedelta(days=2)))
    late = vendor.fake.external_id(a_call(1, start))
    async with vendor.api() as api:
        items = {item.external_id: item for item in await vendor.items(api, vendor.recent(10))}
        whole = next(item for name, item in items.items() if name != late)
        if not (await vendor.pull.fetch(api, whole)).has_transcript:
            pytest.skip(f"{vendor.name} has no transcripts of its own")
        item = items.get(late) or await vendor.pull.find(api, late)
        found = await vendor.pull.fetch(api, item)
        assert not found.has_transcript
        assert found.waits_for
        assert found.waits_for.endswith(".")
        with vendor.later(timedelta(hours=1, minutes=1)):
            found, read = await vendor.read(api, await vendor.pull.find(api, late))
    assert found.has_transcript
    assert found.waits_for is None
    assert len(read.segments) == 3


async def test_whatever_the_source_holds_is_mapped_or_refused_with_a_reason(vendor: Vendor) -> None:
    if vendor.kind != vendor.fake.KIND:
        pytest.skip("the same words, however one is connected")
    since = vendor.before(days=vendor.far_back(20))
    made = vendor.world.seed(vendor.name, 9, since, vendor.before(hours=3), Random(7), hostile=True)
    wanted = {vendor.fake.external_id(call) for call in made}
    mapped = 0
    async with vendor.api() as api:
        items = await vendor.items(api, vendor.recent(30))
        for item in items:
            try:
                _, call = await vendor.read(api, item)
            except InvalidCall as refusal:
                check_refusal(refusal)
                continue
            mapped += 1
            assert NormalizedCall.model_validate_json(call.model_dump_json()) == call
            assert not any("\x00" in text for text in texts(call.model_dump(mode="json")))
    assert {item.external_id for item in items} == wanted
    assert mapped


async def test_every_request_is_counted_where_a_limit_is_declared(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 40, 20))
    async with vendor.api() as api:
        assert vendor.connector.validate is not None
        await vendor.connector.validate(api)
        items = await vendor.items(api, vendor.recent(25))
        await vendor.pull.find(api, items[-1].external_id)
        vendor.spent.clear()
        for item in await vendor.items(api, vendor.recent(25)):
            await vendor.pull.fetch(api, item)
    assert set(vendor.spent) <= {limit.bucket for limit in vendor.connector.limits}
    told = {bucket: cost * 40 for bucket, cost in vendor.pull.spends.items()}
    for bucket, spent in told.items():  # what is not told is spent by the listing, whatever it finds
        assert vendor.spent[bucket] <= 2 * spent + 25, f"more than twice of what an estimate tells: {told}"


# What goes wrong at the source


async def test_a_limit_is_honoured_to_the_second(vendor: Vendor) -> None:
    if vendor.pull.download is not None:
        pytest.skip(f"{vendor.name} is listed by other means than HTTP, which know no such answer")
    vendor.add(*some_calls(vendor, 3, 5))
    vendor.order("429", times=50, retry_after=37)
    async with vendor.api() as api:
        with pytest.raises(TransientFault) as caught:
            await vendor.pull.list_page(api, vendor.recent(10), None)
        if vendor.pull.download is not None:
            pytest.skip("no HTTP: there is no time to honour")
        assert caught.value.retry_after is not None
        assert abs(caught.value.retry_after - 37) <= 1
        assert vendor.slept == []
        vendor.calm()
        assert len(await vendor.items(api, vendor.recent(10))) == 3
    check_sentence(caught.value, vendor.connector)


@pytest.mark.parametrize("kind", ["500", "503", "cut_json"])
async def test_trouble_at_the_source_passes(vendor: Vendor, kind: str) -> None:
    wanted = vendor.add(*some_calls(vendor, 3, 5))
    vendor.order(kind, times=50)
    async with vendor.api() as api:
        with pytest.raises(TransientFault) as caught:
            await vendor.pull.list_page(api, vendor.recent(10), None)
        check_sentence(caught.value, vendor.connector)
        vendor.calm()
        vendor.order(kind)
        assert set(ids(await vendor.items(api, vendor.recent(10)))) == wanted


@pytest.mark.parametrize("kind", ["empty_page", "repeat_page", "reorder_page"])
async def test_odd_pages_neither_end_nor_double_a_listing(vendor: Vendor, kind: str) -> None:
    days = vendor.far_back(70)
    wanted = vendor.add(*some_calls(vendor, 130, days - 1))
    vendor.order(kind, times=2)
    async with vendor.api() as api:
        assert set(ids(await vendor.items(api, vendor.recent(days)))) == wanted


@pytest.mark.parametrize("kind", ["500", "cut_json"])
async def test_trouble_while_a_call_is_read_passes(vendor: Vendor, kind: str) -> None:
    vendor.add(*some_calls(vendor, 1, 5))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(10))
        before = len(vendor.world.requests)
        whole = await vendor.read(api, item)
        if len(vendor.world.requests) == before:
            pytest.skip("the listing brings everything")
        vendor.order(kind, times=50)
        with pytest.raises(TransientFault):
            await vendor.pull.fetch(api, item)
        vendor.calm()
        assert (await vendor.read(api, item))[1] == whole[1]


def check_sentence(fault: Fault, connector: Connector) -> None:
    """A person can do something with it, and it says whose fault it is."""
    assert fault.sentence.endswith(".")
    assert len(fault.sentence.split()) >= 5
    whose = (connector.display_name.split()[0], "Google", "SFTP server", "This account")
    assert any(name in fault.sentence for name in whose)
    assert fault.reason.replace("_", "").isalnum()


def test_texts_are_searched_in_every_corner() -> None:
    assert texts({"a": ["b", {"c": "d"}]}) == ["a", "b", "c", "d"]


def test_the_registry_is_the_only_list() -> None:
    assert set(FAKED) <= set(CONNECTORS)
