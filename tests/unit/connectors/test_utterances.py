"""What connectors share to read people, utterances and listings nobody vouches for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Delivery, Window
from connectors.listing import body_text, instant, is_fresh, is_in, listed_id, object_in, objects, place_in_list, stamp
from connectors.people import everybody, object_of, objects_at, participant
from connectors.utterances import assembled, clock_at, has_words, length_between, number_at, until_next, utterance
from schemas.calls import Participant
from schemas.faults import CursorFault, InvalidCall, MissingFault, TransientFault

NOON = datetime(2025, 11, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "milliseconds"),
    [(27.46, 60_000, 1_647_600), ("0.72", 1000, 720), (0, 1000, 0), (1.0, 1, 1), (None, 1, None), (" ", 1, None)],
)
def test_a_length_is_read_in_its_unit(value: Any, unit: float, milliseconds: int | None) -> None:
    assert number_at({"a": value}, "a", unit) == milliseconds


@pytest.mark.parametrize("value", [-1, 10**30, float("nan"), float("inf"), True, "soon", "9" * 100, "nan", [], {}])
def test_what_is_no_length_is_refused_naming_the_field(value: Any) -> None:
    with pytest.raises(InvalidCall) as caught:
        number_at({"a": value}, "a", 1000, where="b[3].")
    assert caught.value.field == "b[3].a"


def test_a_clock_must_be_there_and_right() -> None:
    assert clock_at({"timestamp": "01:00:02"}, "timestamp") == 3_602_000
    for value in (None, "", "soon", 3):
        with pytest.raises(InvalidCall):
            clock_at({"timestamp": value}, "timestamp")


def test_a_length_lies_between_a_start_and_a_later_end() -> None:
    assert length_between(NOON, NOON + timedelta(seconds=1.5)) == 1500
    odd = [(NOON, NOON - timedelta(seconds=1)), (None, NOON), (NOON, None), (NOON, NOON + timedelta(days=32))]
    assert [length_between(*pair) for pair in odd] == [None] * 4


def test_an_utterance_without_words_is_none_and_one_never_ends_before_it_starts() -> None:
    names = ("start", "end")
    assert utterance({"text": " ", "start": "x"}, "a[0]", None, 1, names) is None
    found = utterance({"text": "x", "start": 9, "end": 3}, "a[0]", "Ann", 1, names)
    assert found is not None
    assert (found.speaker, found.start_ms, found.end_ms) == ("Ann", 9, 9)


def test_utterances_without_ends_last_until_the_next() -> None:
    found = until_next([("Ann", "a", 0), (None, " ", 5), ("Ben", "b", 9)], 20)
    assert [(one.start_ms, one.end_ms) for one in found] == [(0, 5), (9, 20)]
    assert until_next([("Ann", "a", 3)], None)[0].end_ms == 3


@pytest.mark.parametrize("entries", [None, "x", [], [None], [{}], [{"text": None}], [{"text": " "}]])
def test_a_transcript_without_words_is_seen(entries: Any) -> None:
    assert not has_words(entries)
    assert has_words([{"text": None}, {"text": "x"}])


def test_a_call_without_words_keeps_no_empty_transcript() -> None:
    call = assembled(
        title="T", start=NOON, duration=None, segments=(), spoken=[], people=(), metadata={"a": None, "b": 0},
        language=None,
    )  # fmt: skip
    assert (call.full_transcript, call.original_transcript, call.metadata_quality) == (None, None, "minimal")
    assert call.source_metadata == {"b": 0}


def test_everybody_is_there_once() -> None:
    ann, ben = Participant(name="Ann", email="ann@acme.example"), Participant(name="Ben")
    found = everybody([
        ann, Participant(email="ANN@acme.example"), Participant(name="ann "), ben, ben, Participant(),
        Participant(name="Ann", email="other@acme.example"), Participant(phone="+14155550100"),
    ])  # fmt: skip
    assert [(one.name, one.email, one.phone) for one in found] == [
        ("Ann", "ann@acme.example", None), ("Ben", None, None), ("Ann", "other@acme.example", None),
        (None, None, "+14155550100"),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [{}, "x", 3, [3], ["x"]])
def test_a_list_of_other_things_than_objects_is_refused(value: Any) -> None:
    with pytest.raises(InvalidCall):
        objects_at({"a": value}, "a")


def test_null_among_objects_is_an_empty_one() -> None:
    assert objects_at({"a": [None, {"b": 1}]}, "a") == [("a[0]", {}), ("a[1]", {"b": 1})]
    assert object_of(None, "a") == {}
    with pytest.raises(InvalidCall, match=r"a\[0\]\.name must be a text"):
        participant({"name": 3}, "a[0]")


@pytest.mark.parametrize("value", [None, {}, "x", [3], [None]])
def test_an_odd_list_of_a_source_is_a_passing_fault(value: Any) -> None:
    with pytest.raises(TransientFault):
        objects(value, "Tiny")
    with pytest.raises(TransientFault):
        object_in([value], "Tiny")


def test_a_listed_call_without_an_id_is_a_passing_fault() -> None:
    def never(payload: dict[str, Any]) -> str:
        raise InvalidCall("invalid_field", "id is missing.")

    with pytest.raises(TransientFault):
        listed_id({}, never, "Tiny")


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    window = Window(NOON, NOON + timedelta(hours=1))
    assert is_in(window, NOON)
    assert is_in(window, None)
    assert not is_in(window, NOON + timedelta(hours=1))
    assert not is_in(window, NOON - timedelta(seconds=1))


def test_a_call_is_fresh_for_a_day() -> None:
    assert is_fresh(NOON, NOON - timedelta(hours=23))
    assert not is_fresh(NOON, NOON - timedelta(hours=25))
    assert not is_fresh(NOON, None)


@pytest.mark.parametrize("value", [None, 3, "", "soon", "2025-11-04", ["2025-11-04T12:00:00Z"]])
def test_a_time_that_is_none_does_not_stop_a_listing(value: Any) -> None:
    assert instant(value) is None
    assert instant("2025-11-04T13:00:00+01:00") == NOON
    assert stamp(NOON) == "2025-11-04T12:00:00.000Z"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_still_a_text(body: bytes) -> None:
    text, value = body_text(Delivery("POST", "https://calls.example.com/x", {}, {}, body, "s", 0.0, 300))
    assert (text, value) == (body.decode("utf-8", "replace"), None)


def test_only_a_refused_cursor_begins_the_listing_again() -> None:
    refused, gone = InvalidCall("request_refused", "No."), MissingFault("not_at_source", "Gone.")
    large = InvalidCall("answer_too_large", "Much.")
    for cursor, fault, raised in (
        ("c", refused, CursorFault), ("c", gone, CursorFault), ("c", large, InvalidCall), (None, refused, InvalidCall),
        (None, gone, MissingFault),
    ):  # fmt: skip
        with pytest.raises(raised), place_in_list("Tiny", cursor):
            raise fault
