"""Windows and cursors of listings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Window
from connectors.paging import cursor, next_page, parts, window_at, windows
from schemas.faults import CursorFault

START = datetime(2025, 1, 31, 22, 0, tzinfo=UTC)


@given(st.floats(0, 500), st.floats(0.5, 40))
def test_windows_cover_a_span_without_gap_or_overlap(days: float, size: float) -> None:
    end = START + timedelta(days=days)
    found = windows(START, end, size)
    assert [a for a, _ in found] == [START, *(b for _, b in found[:-1])][: len(found)]
    assert not found or found[-1][1] == end
    assert all(timedelta(0) < b - a <= timedelta(days=size) for a, b in found)


@given(st.floats(0.01, 500), st.floats(0.5, 40))
def test_a_window_can_be_had_by_its_number(days: float, size: float) -> None:
    window = Window(START, START + timedelta(days=days))
    found = windows(window.since, window.until, size)
    assert window_at(window, 0, size) == found[0]
    a, b = window_at(window, len(found) - 1, size) or (None, None)
    assert b == window.until
    assert a is not None
    assert abs(a - found[-1][0]) < timedelta(milliseconds=1)
    assert window_at(window, len(found), size) is None


def test_an_empty_window_is_asked_for_once() -> None:
    assert window_at(Window(START, START), 0, 30) == (START, START)
    assert window_at(Window(START, START), 1, 30) is None


def test_a_cursor_reads_back() -> None:
    assert parts(cursor(window=3, token="é/=="), window=0, token=None) == {"window": 3, "token": "é/=="}
    assert parts(None, window=0, token=None) == {"window": 0, "token": None}


@pytest.mark.parametrize("text", ["", "CAUQAA", "[1]", "null", '{"other": 1}'])
def test_a_cursor_of_something_else_begins_the_list_again(text: str) -> None:
    with pytest.raises(CursorFault):
        parts(text, window=0, token=None)


def test_the_next_page_is_in_the_same_window_or_the_first_of_the_next() -> None:
    first = dict(window=0, token=None)
    assert parts(next_page(2, "t", True), **first) == {"window": 2, "token": "t"}
    assert parts(next_page(2, "", True), **first) == {"window": 3, "token": None}
    assert next_page(2, None, False) is None
