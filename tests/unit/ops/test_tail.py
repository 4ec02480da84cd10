"""What `callstream tail` shows, and from when on."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from ops import tail
from ops.tail import Seen, Wanted
from schemas.calls import ImportCompleted
from streams.io import clock
from tests.consumers import completed

AT = datetime(2026, 3, 2, 10, 0, 5, tzinfo=UTC)
OURS = [("ce_type", b"io.callstream.import.completed.v1")]
ORDERS = "\x1b[2J\x1b]0;title\x07 \x9b31m \x7f \u202eexe.fdp \u2066 \x00\r\nnext"


def event(**fields: Any) -> ImportCompleted:
    return completed(clock.new_id(), **{"external_id": "call-1", **fields})


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", "beginning"),
        ("now", "now"),
        ("2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31T09:00:00+02:00", datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-01-31T09:00:00.250Z", datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-31T09:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_start_is_a_word_or_a_time(text: str, start: tail.Start) -> None:
    assert tail.read_start(text) == start


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12", "end"])
def test_any_other_start_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        tail.read_start(text)


def test_a_line_holds_time_outcome_source_call_quality_and_title() -> None:
    line = tail.line_of(Seen(AT, event(outcome="updated", title="Weekly  planning")))
    when, *rest = line.split("  ")
    assert when == f"{AT.astimezone():%Y-%m-%d %H:%M:%S}"
    assert rest == ["updated", "generic", "call-1", "full", "Weekly planning"]


def test_a_call_without_a_title_has_a_dash() -> None:
    assert tail.line_of(Seen(AT, event(title=" "))).endswith("  full  –")


def test_nothing_in_an_event_gives_orders_to_a_terminal() -> None:
    seen = Seen(AT, event(title=ORDERS, external_id=ORDERS.replace("\x00", "")))
    assert tail.line_of(seen).isprintable()
    text = tail.json_of(seen)
    assert text.isprintable()
    assert json.loads(text)["title"] == ORDERS


def test_json_is_the_event_in_one_readable_line() -> None:
    made = event(title="Besprechung über Größen 🎧")
    text = tail.json_of(Seen(AT, made))
    assert ImportCompleted.model_validate_json(text) == made
    assert "Größen 🎧" in text
    assert "\n" not in text


def test_a_record_is_read_and_what_it_has_beyond_our_knowledge_is_passed_over() -> None:
    made = event()
    value = json.dumps({**made.model_dump(mode="json"), "new": 1}).encode()
    assert tail.read_event(value, OURS) == made


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (None, OURS),
        (b"", OURS),
        (b"no json", OURS),
        (b"\xff", OURS),
        (b"[" * 100_000, OURS),
        (b"{}", OURS),
        (b'{"version": 2}', OURS),
        (event().model_dump_json().encode(), [("ce_type", b"io.callstream.call.erased.v1")]),
        (event().model_dump_json().encode(), [("ce_type", b"\xff")]),
    ],
)
def test_a_record_it_does_not_know_is_skipped(value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    assert tail.read_event(value, headers) is None


def test_only_what_is_wanted_is_taken() -> None:
    made = event()
    other = UUID(int=1)
    assert Wanted().takes(made)
    assert Wanted("generic", made.workspace_id).takes(made)
    assert not Wanted("zoom").takes(made)
    assert not Wanted(workspace_id=other).takes(made)
