"""The audit's ledger: which events are open, where reading may begin again, and what is overdue."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import OFFSET, PARTITION, TOPIC
from schemas.topics import RAW
from streams.audit import Ledger, OpenEvent, identity_of_input, identity_of_outcome
from streams.io.bus import REPLAY_ID

LIMIT = 120.0


def event(offset: int, partition: int = 0, at: float = 0.0) -> OpenEvent:
    return OpenEvent(seen_at=at, place=(RAW.name, partition, offset))


def test_an_event_is_open_until_it_has_an_outcome() -> None:
    ledger = Ledger()
    ledger.accept("a", event(0))
    ledger.accept("b", event(1))
    assert set(ledger.open) == {"a", "b"}
    ledger.settle("a", 1.0)
    assert set(ledger.open) == {"b"}
    assert ledger.early == {}


def test_an_outcome_may_be_read_before_its_event() -> None:
    ledger = Ledger()
    ledger.settle("a", 1.0)
    ledger.accept("a", event(0))
    assert (ledger.open, ledger.early) == ({}, {})
    assert ledger.low_watermarks() == {(RAW.name, 0): 1}


def test_outcomes_whose_event_was_read_long_ago_are_forgotten() -> None:
    ledger = Ledger()
    ledger.settle("old", 10.0)
    ledger.settle("new", 20.0)
    ledger.forget_early(before=20.0)
    assert set(ledger.early) == {"new"}


def test_an_event_that_is_open_already_keeps_its_first_place_and_time() -> None:
    ledger = Ledger()
    ledger.accept("a", event(0, at=5.0))
    ledger.open["a"].republished = 1
    ledger.accept("a", event(7, at=50.0))
    assert (ledger.open["a"].place, ledger.open["a"].seen_at) == ((RAW.name, 0, 0), 5.0)
    assert ledger.open["a"].republished == 1
    assert ledger.low_watermarks() == {(RAW.name, 0): 0}
    ledger.settle("a", 60.0)
    assert ledger.low_watermarks() == {(RAW.name, 0): 8}


def test_a_retry_after_an_outcome_is_open_again() -> None:
    ledger = Ledger()
    ledger.accept("a", event(0))
    ledger.settle("a", 1.0)
    ledger.accept("a", event(5, at=9.0))
    assert ledger.open["a"].place == (RAW.name, 0, 5)


def test_reading_begins_again_at_the_oldest_open_event_of_each_partition() -> None:
    ledger = Ledger()
    for offset in range(5):
        ledger.accept(f"p{offset}", event(offset))
        ledger.accept(f"q{offset}", event(offset, partition=1))
    for identity in ("p0", "p1", "p3", "q0", "q1", "q2", "q3", "q4"):
        ledger.settle(identity, 1.0)
    assert ledger.low_watermarks() == {(RAW.name, 0): 2, (RAW.name, 1): 5}


def test_where_nothing_was_read_yet_the_watermark_is_where_reading_stands() -> None:
    ledger = Ledger()
    ledger.positions[RAW.name, 3] = 17
    assert ledger.low_watermarks() == {(RAW.name, 3): 17}


def test_an_event_is_overdue_after_the_limit_and_each_wait_is_longer_than_the_last() -> None:
    ledger = Ledger()
    ledger.accept("a", event(0, at=1000.0))
    assert ledger.overdue(1000.0 + LIMIT, LIMIT) == []
    for republished, wait in enumerate((LIMIT, 2 * LIMIT, 4 * LIMIT, 8 * LIMIT)):
        ledger.open["a"].republished = republished
        assert ledger.overdue(1000.0 + wait, LIMIT) == []
        assert [identity for identity, _ in ledger.overdue(1001.0 + wait, LIMIT)] == ["a"]


def test_only_what_is_open_is_overdue() -> None:
    ledger = Ledger()
    ledger.accept("a", event(0))
    ledger.accept("b", event(1, at=500.0))
    ledger.accept("c", event(2))
    ledger.settle("c", 1.0)
    assert [identity for identity, _ in ledger.overdue(501.0, LIMIT)] == ["a"]


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ([("ce_id", b"7")], "7"),
        ([("ce_id", b"7"), (TOPIC, b"t"), (PARTITION, b"1"), (OFFSET, b"2")], "7"),
        ([(TOPIC, b"t"), (PARTITION, b"1"), (OFFSET, b"2")], "t/1/2"),
        ([("ce_id", b""), (TOPIC, b"t"), (PARTITION, b"1"), (OFFSET, b"2")], "t/1/2"),
        ([], "//"),
    ],
)
def test_an_outcome_names_the_event_or_the_place_of_one_without_an_id(
    headers: list[tuple[str, bytes]], identity: str
) -> None:
    assert identity_of_outcome(headers) == identity


def test_an_event_without_an_id_meets_its_dead_letter_by_its_place() -> None:
    place = identity_of_input("t", 1, 2, [])
    assert place == identity_of_outcome([(TOPIC, b"t"), (PARTITION, b"1"), (OFFSET, b"2")])
    assert identity_of_input("t", 1, 2, [("ce_id", b"\xff7")]) == identity_of_outcome([("ce_id", b"\xff7")])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[str, int, int]], set[str], list[tuple[str, str]]]:
    """Events in their places, those that have an outcome, and both in an order in which they may be read: the order
    of a partition is kept, everything else is mixed."""
    places = draw(st.lists(st.integers(0, 2), max_size=12))
    offsets: dict[int, int] = {}
    events = []
    for number, partition in enumerate(places):
        offsets[partition] = offsets.get(partition, -1) + 1
        events.append((f"e{number}", partition, offsets[partition]))
    settled = {identity for identity, _, _ in events if draw(st.booleans())}
    order = draw(st.permutations([("accept", i) for i, _, _ in events] + [("settle", i) for i in sorted(settled)]))
    queues = {p: [i for i, partition, _ in events if partition == p] for p in range(3)}
    partition_of = {i: p for i, p, _ in events}
    mixed = [(what, queues[partition_of[i]].pop(0) if what == "accept" else i) for what, i in order]
    return events, settled, mixed


@given(histories())
def test_in_any_order_of_reading_exactly_the_events_without_an_outcome_are_open(
    history: tuple[list[tuple[str, int, int]], set[str], Sequence[tuple[str, str]]],
) -> None:
    events, settled, order = history
    places = {identity: (partition, offset) for identity, partition, offset in events}
    ledger = Ledger()
    accepted: set[str] = set()
    for what, identity in order:
        if what == "accept":
            partition, offset = places[identity]
            accepted.add(identity)
            ledger.accept(identity, event(offset, partition))
        else:
            ledger.settle(identity, 1.0)
        for still in ledger.open:
            partition, offset = places[still]
            assert ledger.low_watermarks()[RAW.name, partition] <= offset, "a restart would miss an open event"
    assert set(ledger.open) == set(places) - settled
    assert ledger.early == {}
    for partition in {partition for partition, _ in places.values()}:
        mine = {offset: i for i, (p, offset) in places.items() if p == partition}
        lowest = min((offset for offset, i in mine.items() if i not in settled), default=len(mine))
        assert ledger.low_watermarks()[RAW.name, partition] == lowest


def test_an_event_and_its_replay_are_accounted_for_apart() -> None:
    headers = [("ce_id", b"e")]
    again = [*headers, (REPLAY_ID, b"r")]
    assert identity_of_input("t", 0, 0, headers) == identity_of_outcome(headers) == "e"
    assert identity_of_input("t", 0, 0, again) == identity_of_outcome(again) != "e"
