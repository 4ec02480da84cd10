"""The parts of a replay that need no broker: what is meant, how fast, and what a dry run foresees."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from schemas.calls import Call, Segment
from schemas.topics import BACKFILL, READY
from streams.dry_run import CHANGES, IMPORTS, OLDER, UNCHANGED, Held, differences, judge
from streams.io.archive import Record, chooser, owner_of, remaining, replayed_headers
from streams.io.replays import Selection, following
from streams.replay import Pace

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WORKSPACE = UUID("01990b00-0000-7000-8000-000000000001")
REPLAY = UUID("01990c00-0000-7000-8000-000000000001")


@dataclass
class Raw:
    """A record as the consumer gives it."""

    key: bytes | None = f"{WORKSPACE}:generic:call-1".encode()
    timestamp: int = int(NOON.timestamp() * 1000)
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def meant(record: Raw, **selection: object) -> bool:
    """Whether a selection of the workspace means the record."""
    return chooser(WORKSPACE, Selection.model_validate(selection))(record)


def test_a_selection_means_what_it_says() -> None:
    assert meant(Raw())
    assert meant(Raw(), from_=NOON, to=NOON + timedelta(seconds=1))
    assert not meant(Raw(), from_=NOON + timedelta(seconds=1))
    assert not meant(Raw(), to=NOON)
    assert meant(Raw(), source_app="generic", external_id="call-1")
    assert not meant(Raw(), source_app="fathom")
    assert not meant(Raw(), external_id="call-2")
    assert meant(Raw(key=f"{WORKSPACE}:generic:a:b".encode()), external_id="a:b")


@pytest.mark.parametrize(
    "key", [None, b"", b"\xff", b"no key of ours", f"{uuid4()}:generic:call-1".encode(), f"{WORKSPACE}::x".encode()]
)
def test_what_belongs_to_nobody_or_somebody_else_is_never_meant(key: bytes | None) -> None:
    assert not meant(Raw(key=key))


def test_every_workspace_is_meant_when_none_is_named_but_nobody_is_not() -> None:
    every = chooser(None, Selection())
    assert every(Raw())
    assert every(Raw(key=f"{uuid4()}:generic:x".encode()))
    assert not every(Raw(key=b"\xff"))
    assert not every(Raw(key=None))


def test_retries_are_copies_of_what_the_archive_holds() -> None:
    assert meant(Raw(headers=[("attempt", b"1")]))
    assert not meant(Raw(headers=[("attempt", b"2")]))
    assert not meant(Raw(headers=[("retry_of", b"x/0/1")]))


def test_only_the_archive_can_be_read_again() -> None:
    assert Selection(topic=BACKFILL.name).topic == BACKFILL.name
    with pytest.raises(ValidationError):
        Selection(topic=READY.name)
    with pytest.raises(ValidationError):
        Selection.model_validate({"from": "2026-01-01T00:00:00"})


def test_a_selection_keeps_the_names_people_use() -> None:
    given = Selection(from_=NOON, source_app="generic").as_json()
    assert given == {"from": "2026-03-02T12:00:00Z", "source_app": "generic"}
    assert Selection.model_validate(given) == Selection(from_=NOON, source_app="generic")


def test_the_owner_of_a_record_is_in_its_key() -> None:
    assert owner_of(f"{WORKSPACE}:generic:a:b".encode()) == (WORKSPACE, "generic", "a:b")
    assert owner_of(b"generic:a") is None


def test_a_replayed_record_leaves_its_first_way_behind() -> None:
    before = [("ce_id", b"1"), ("attempt", b"1"), ("traceparent", b"00-1"), ("ce_dataref", b"claims/x")]
    record = Record("t", 0, 0, 0, b"k", b"v", before)
    after = [("ce_id", b"1"), ("ce_dataref", b"claims/x"), ("ce_replayid", str(REPLAY).encode())]
    assert replayed_headers(record, REPLAY) == after


def test_what_remains_is_counted_from_the_cursor() -> None:
    assert remaining({("a", 0): (3, 10), ("a", 1): (5, 5)}) == 7


def test_a_later_replay_has_the_greater_id_whatever_the_clock_says() -> None:
    old, new = UUID(int=REPLAY.int - 10_000), UUID(int=REPLAY.int + 10_000)
    assert following(None, old) == old
    assert following(REPLAY, new) == new
    assert following(REPLAY, old) > REPLAY
    assert following(REPLAY, REPLAY) > REPLAY


def test_the_pace_is_kept_by_the_schedule() -> None:
    pace = Pace(10.0, free_at=100.0)
    assert pace.claim(10, 100.0) == 0.0
    assert pace.claim(10, 100.3) == pytest.approx(0.7)
    assert pace.claim(10, 101.2) == pytest.approx(0.8)
    assert pace.claim(10, 103.5) == 0.0, "what was slept too long is caught up"
    assert pace.claim(10, 103.5) == pytest.approx(0.5)
    assert pace.claim(10, 500.0) == 0.0
    assert pace.claim(10, 500.0) == 0.0, "but after a long wait only one second of it"
    assert pace.claim(10, 500.0) == pytest.approx(1.0)
    assert Pace(None, 0.0).claim(1_000_000, 0.0) == 0.0


def call(**fields: object) -> Call:
    """A mapped call as a replay brings it."""
    given = {
        "event_id": UUID(int=1),
        "workspace_id": WORKSPACE,
        "source_app": "generic",
        "external_id": "call-1",
        "observed_at": NOON,
        "received_at": NOON,
        "replay_id": REPLAY,
        "title": "Planning",
        "full_transcript": "Good morning.",
        "fingerprint": "b" * 64,
        "source_metadata": {"external_id": "call-1"},
    }
    return Call.model_validate({**given, **fields})


def test_a_dry_run_judges_as_the_database_does() -> None:
    verdict, held = judge(None, call())
    assert verdict == IMPORTS
    assert held is not None
    assert judge(held, call()) == (UNCHANGED, held)
    assert judge(held, call(event_id=UUID(int=2), observed_at=NOON + timedelta(hours=1))) == (UNCHANGED, held)
    stored = Held(held.observed_at, UUID(int=0), held.fingerprint, held.event_id, held.metadata)
    assert judge(stored, call())[0] == UNCHANGED
    assert judge(stored, call(fingerprint="a" * 64))[0] == CHANGES, "the same event, mapped otherwise"
    assert judge(stored, call(source_metadata={"external_id": "call-1", "views": 3}))[0] == CHANGES
    older = {"event_id": UUID(int=2), "observed_at": NOON - timedelta(hours=1), "fingerprint": "c" * 64}
    assert judge(stored, call(**older)) == (OLDER, stored)
    newer = call(event_id=UUID(int=2), observed_at=NOON + timedelta(hours=1), fingerprint="c" * 64)
    verdict, after = judge(stored, newer)
    assert verdict == CHANGES
    assert after is not None
    assert (after.event_id, after.observed_at) == (newer.event_id, newer.observed_at)


def test_a_sample_shows_only_what_would_differ() -> None:
    text = "We spoke. " * 200
    row: dict[str, object] = {
        "title": "Old", "recording_start_time": None, "duration_ms": None, "language": None, "participants": [],
        "metadata_quality": "minimal", "full_transcript": text + "Bye.", "segments": [], "original_transcript": None,
        "source_metadata": {"external_id": "call-1"},
    }  # fmt: skip
    before, after = differences(row, call(title="New", full_transcript=text + "Good bye.", recording_start_time=NOON))
    assert before.keys() == after.keys() == {"title", "recording_start_time", "full_transcript"}
    assert (before["title"], after["title"]) == ("Old", "New")
    assert (before["recording_start_time"], after["recording_start_time"]) == (None, NOON.isoformat())
    assert before["full_transcript"].endswith("Bye.")
    assert after["full_transcript"].endswith("Good bye.")
    assert len(after["full_transcript"]) < 302


def test_what_speech_to_text_adds_is_no_difference() -> None:
    spoken = [Segment(text="Hi.", start_ms=0, end_ms=9).model_dump()]
    row: dict[str, object] = {
        "title": "Planning", "recording_start_time": None, "duration_ms": 9, "language": "en", "participants": [],
        "metadata_quality": "partial", "full_transcript": "Hi.", "segments": spoken, "original_transcript": None,
        "source_metadata": {"external_id": "call-1"},
    }  # fmt: skip
    assert differences(row, call(full_transcript=None)) == ({}, {})
