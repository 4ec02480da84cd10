"""Cursors, times, job states, ranges, names, leftovers, problems: the pure parts of the HTTP side."""

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api import calls, events, intake, jobs, problems
from api.paging import (
    Instant,
    cursor_count,
    cursor_id,
    cursor_text,
    cursor_time,
    decode_cursor,
    encode_cursor,
    page,
)  # fmt: skip
from api.problems import Problem
from api.scratch import LOCK, scratch_folder
from connectors.contract import Received
from schemas.calls import Placement
from schemas.faults import ConfigFault, Fault, InvalidCall, OutageFault, TransientFault

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
UUIDS = st.uuids()


@given(st.datetimes(timezones=st.just(UTC)), UUIDS)
def test_a_cursor_gives_back_what_went_in(at: datetime, row_id: UUID) -> None:
    assert decode_cursor(encode_cursor((at, row_id)), cursor_time, cursor_id) == (at, row_id)


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor(None, cursor_time, cursor_id) == (None, None)


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_cursor_or_a_problem(text: str) -> None:
    for kinds in ((cursor_time, cursor_id), (cursor_text, cursor_text), (cursor_count, cursor_text)):
        with suppress(Problem):
            decode_cursor(text, *kinds)


@given(st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(), max_size=3))
def test_any_values_in_a_cursor_are_refused_or_read(values: list[object]) -> None:
    for kinds in ((cursor_time, cursor_id), (cursor_text, cursor_text), (cursor_count, cursor_text)):
        with suppress(Problem):
            decode_cursor(encode_cursor(values), *kinds)


def test_a_page_knows_whether_there_is_more() -> None:
    assert page([1, 2, 3], 2, str, lambda row: [row]).model_dump() == {
        "items": ["1", "2"], "next_cursor": encode_cursor([2]),
    }  # fmt: skip
    assert page([1, 2], 2, str, lambda row: [row]).next_cursor is None
    assert page([], 2, str, lambda row: [row]).items == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-02T10:00:00Z", NOW),
        ("2026-03-02T12:00:00+02:00", NOW),
        ("2026-03-02T12:00:00 02:00", NOW),
        ("2026-03-02T10:00:00", NOW),
        ("2026-03-02", NOW.replace(hour=0)),
    ],
)
def test_times_are_read_as_people_send_them(text: str, wanted: datetime) -> None:
    assert TypeAdapter(Instant).validate_python(text) == wanted


@given(st.text(max_size=40) | st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30"]))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        found = TypeAdapter(Instant).validate_python(text)
    except ValidationError:
        return
    assert found.tzinfo is not None


def test_an_estimate_goes_on_at_the_speed_so_far() -> None:
    assert jobs.estimate(NOW, NOW + timedelta(seconds=10), 5, 20) == NOW + timedelta(seconds=40)
    assert jobs.estimate(NOW, NOW + timedelta(seconds=10), 0, 20) is None
    assert jobs.estimate(NOW, NOW + timedelta(seconds=10), 20, 20) is None
    assert jobs.estimate(NOW, NOW + timedelta(days=9999), 1, 2_000_000) is None


def test_a_job_that_still_grows_is_not_complete() -> None:
    counts = dict.fromkeys(jobs.COUNTED, 0) | {"imported": 3}
    assert jobs.status_of(counts, total=3, open_ended=True, cancelled=False) == "in_progress"
    assert jobs.status_of(counts, total=3, open_ended=False, cancelled=False) == "completed"
    assert jobs.status_of(counts, total=3, open_ended=False, cancelled=True) == "cancelled"


@given(st.text(max_size=40), st.integers(0, 10**9))
def test_any_range_header_is_honoured_ignored_or_refused(text: str, size: int) -> None:
    for header in (text, f"bytes={text}", None):
        try:
            start, end, partial = calls._range(header, size)
        except Problem:
            continue
        assert 0 <= start <= end <= size
        assert partial or (start, end) == (0, size)


@given(st.text(max_size=300))
def test_names_in_the_media_store_are_plain(name: str) -> None:
    safe = intake.safe_name(name)
    assert 0 < len(safe) <= 100
    assert not set(safe) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert safe not in {".", ".."}
    assert not safe.startswith(".")


def test_the_extension_stays() -> None:
    assert intake.safe_name("../../etc/Gespräch mit Mila.wav") == "Gespr_ch_mit_Mila.wav"
    assert intake.safe_name("x" * 200 + ".mp4").endswith(".mp4")
    assert intake.safe_name("") == intake.safe_name("...") == "file"


@given(st.text(max_size=600), st.text(max_size=50))
def test_whatever_was_received_becomes_an_event(external_id: str, payload: str) -> None:
    event = events.raw_call(
        Received(external_id, payload), workspace_id=uuid4(), source_app="generic", via="webhook",
        placement=Placement(), now=NOW,
    )  # fmt: skip
    assert event.key
    assert event.model_dump_json()
    assert event.observed_at == NOW


def test_what_a_killed_process_left_is_removed_and_what_runs_stays(tmp_path: Path) -> None:
    dead = tmp_path / "tmp" / "api-dead"
    dead.mkdir(parents=True)
    (dead / LOCK).touch()
    (dead / "upload-1").mkdir()
    (dead / "upload-1" / "0").write_bytes(b"half")
    with scratch_folder(tmp_path) as running:
        assert not dead.exists()
        with scratch_folder(tmp_path) as second:
            assert running.exists()
            assert second != running
        assert not second.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_folder_somebody_holds_is_left_alone(tmp_path: Path) -> None:
    held = tmp_path / "tmp" / "api-held"
    held.mkdir(parents=True)
    lock = os.open(held / LOCK, os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with scratch_folder(tmp_path):
            assert held.exists()
    finally:
        os.close(lock)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ConfigFault("x", "s"), 409),
        (OutageFault("x", "s"), 503),
        (TransientFault("x", "s"), 503),
        (InvalidCall("x", "s"), 422),
        (InvalidCall("file_too_large", "s"), 413),
        (InvalidCall("media_missing", "s"), 404),
        (Fault("x", "s"), 500),
    ],
)
def test_every_fault_has_its_status(fault: Fault, status: int) -> None:
    assert problems.status_of(fault) == status
