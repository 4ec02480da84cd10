"""Replays and archives from the command line, without servers: what is understood, what is said."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.replays import Replay
from ops import cli
from ops.archiving import line_of, moved, names_a_recording, read_call
from ops.importing import Line
from ops.replay import described, plain, print_replay
from ops.selecting import read_time, wanted
from ops.workspaces import Workspace, pick
from schemas.calls import Placement, RawCall
from schemas.faults import ConfigFault, InvalidCall
from schemas.topics import BACKFILL, RAW

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
runner = CliRunner()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31T09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("2026-01-31 09:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d ago", NOW - timedelta(days=7)),
        ("30M", NOW - timedelta(minutes=30)),
        ("now", NOW),
        (None, None),
    ],
)
def test_times_are_understood_as_people_write_them(text: str | None, expected: datetime | None) -> None:
    assert read_time(text, NOW, "--from") == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2", "-2h", "999999999w", "2h30m", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time_is_said_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="2026-01-31T09:00:00Z"):
        read_time(text, NOW, "--from")


@pytest.mark.parametrize(
    "command",
    [
        ["replay"], ["replay", "--dry-run"], ["replay", "--all", "--source", "upload"],
        ["replay", "--source", "nobody"],
        ["replay", "--from", "1h", "--to", "2h"], ["replay", "--from", "nonsense"], ["replay", "--all", "--rate", "0"],
        ["replay", "--topic", "nothing"], ["replay", "--from", "1h", "list"], ["replay", "show", "7"],
        ["archive", "import"], ["archive", "import", "not-there.jsonl"], ["archive", "export", "--from", "nonsense"],
        ["archive", "export", "--output", "/nowhere/at/all.jsonl"], ["archive"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(command: list[str]) -> None:
    assert runner.invoke(cli.app, command).exit_code == 2


def test_either_one_workspace_or_those_of_the_file(tmp_path: Any) -> None:
    (tmp_path / "a.jsonl").write_text("{}")
    command = ["archive", "import", str(tmp_path / "a.jsonl"), "--workspace", "A", "--keep-workspaces"]
    assert runner.invoke(cli.app, command).exit_code == 2


def test_a_selection_is_what_was_said() -> None:
    asked, selection = wanted("2h", None, "generic", "a", NOW, topic=RAW.name, rate=5.0, dry_run=True)
    assert (asked.rate, asked.dry_run) == (5.0, True)
    assert selection.as_json() == {
        "from": "2026-03-10T10:00:00Z", "source_app": "generic", "external_id": "a", "topic": RAW.name,
    }  # fmt: skip


def test_a_workspace_is_found_by_name_or_id_and_an_unknown_one_is_said() -> None:
    own, other, same = (Workspace(uuid4(), name, name == "Home", uuid4()) for name in ("Home", "Other", "Other"))
    assert pick([own, other], "Other") == pick([own, other], str(other.workspace_id).upper()) == other
    with pytest.raises(ConfigFault, match=r"no workspace Third\. There are: Home"):
        pick([own, other], "Third")
    with pytest.raises(ConfigFault, match="Give the id"):
        pick([own, other, same], "Other")


# What is said ------------------------------------------------------------------------------------------------------


def replay(**fields: Any) -> Replay:
    known: dict[str, Any] = {
        "id": UUID(int=7), "status": "completed", "dry_run": False, "selection": {}, "rate": None, "total_events": 9,
        "read_events": 9, "matched_events": 5, "published_events": 5, "progress": 1.0, "estimated_completion_at": None,
        "total_calls": 5, "processed_calls": 5, "imported_calls": 1, "updated_calls": 2, "skipped_calls": 1,
        "failed_calls": 1, "waiting_calls": 0, "changed_calls": 3, "report": None, "last_error": None,
        "created_at": NOW, "started_at": NOW, "completed_at": NOW,
    }  # fmt: skip
    return Replay(**known | fields)


def test_what_a_replay_changed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_replay(replay(status="partial"))
    assert capsys.readouterr().out.splitlines() == [
        "1 imported, 2 updated, 1 unchanged, 1 failed",
        f"  Why calls failed: `callstream failed list --job {UUID(int=7)}`",
    ]
    print_replay(replay(status="in_progress", processed_calls=3, failed_calls=0, progress=0.5), "Home")
    assert capsys.readouterr().out.splitlines() == [
        "Home: 1 imported, 2 updated, 1 unchanged, 0 failed, 2 on their way",
        f"  in progress, 50% done, replay {UUID(int=7)}",
    ]


def test_a_dry_run_shows_each_field_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    report = {
        "would_import": 1, "would_change": 4, "unchanged": 3, "older": 1, "would_fail": 1,
        "sample": [
            {
                "source_app": "generic", "external_id": "c\x1b[31m", "before": {"title": "a", "participants": []},
                "after": {"title": "b", "language": "de", "participants": [{"name": "Ä"}]},
            }
        ],
        "failures": [{"source_app": "generic", "external_id": "d", "reason": "r", "message": "title is missing."}],
    }  # fmt: skip
    print_replay(replay(dry_run=True, report=report))
    assert capsys.readouterr().out.splitlines() == [
        "1 would be imported, 4 would change, 3 unchanged, 1 older than what is stored, 1 would fail",
        "",
        "  generic c [31m",
        "    title",
        "      - a",
        "      + b",
        "    participants",
        "      - []",
        '      + [{"name": "Ä"}]',
        "    language",
        "      - –",
        "      + de",
        "",
        "  … and 3 more that would change",
        "",
        "  generic d would fail: title is missing.",
    ]


def test_how_far_replays_are_is_one_line() -> None:
    where = Workspace(uuid4(), "Home", True, uuid4())
    both = [(where, replay()), (where, replay(total_events=None, read_events=0))]
    assert described(both) == "Replaying · 9 of 9 events read, 10 of 10 calls, 6 changed, 2 failed"
    assert described([(where, replay(dry_run=True))]) == "Counting · 9 of 9 events read"


@given(st.text())
def test_no_value_gives_orders_to_the_terminal(text: str) -> None:
    assert plain(text).isprintable()
    assert plain({"a": text}).isprintable()


# Lines of an archive -----------------------------------------------------------------------------------------------

calls = st.builds(
    RawCall,
    event_id=st.uuids(), workspace_id=st.uuids(), source_app=st.just("generic"),
    external_id=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=50),
    job_id=st.none() | st.uuids(), observed_at=st.datetimes(timezones=st.just(UTC)),
    received_at=st.datetimes(timezones=st.just(UTC)), payload=st.text(), source_id=st.none() | st.uuids(),
    received_via=st.sampled_from(["upload", "webhook", "pull", "import"]),
    placement=st.builds(Placement, owner_user_id=st.none() | st.uuids(), bank_id=st.none() | st.uuids()),
)  # fmt: skip


@given(calls)
def test_a_line_is_the_event_word_for_word(call: RawCall) -> None:
    line = line_of(call, BACKFILL.name, 1_767_225_600_123)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert read_call(Line(1, line.decode(), len(line))) == call
    assert json.loads(line)["archive"] == {"topic": BACKFILL.name, "timestamp": "2026-01-01T00:00:00.123+00:00"}


@given(calls, st.integers(0, 400))
def test_a_line_that_is_cut_off_is_never_taken(call: RawCall, length: int) -> None:
    text = line_of(call, RAW.name, 0).decode().rstrip("\n")
    with pytest.raises(InvalidCall) as found:
        read_call(Line(1, text[: min(length, len(text) - 1)], 0))
    assert found.value.sentence.endswith(".")


@given(calls, st.uuids(), st.uuids())
def test_moving_a_call_changes_only_where_it_is(call: RawCall, workspace_id: UUID, job_id: UUID) -> None:
    came = moved(call, workspace_id, job_id, frozenset())
    where = {"workspace_id", "job_id", "placement", "source_id"}
    assert came.model_dump(exclude=where) == call.model_dump(exclude=where)
    assert (came.workspace_id, came.job_id, came.placement, came.source_id) == (
        workspace_id, job_id, Placement(), None,
    )  # fmt: skip
    at_home = moved(call, call.workspace_id, job_id, frozenset(filter(None, call.placement.model_dump().values())))
    assert (at_home.placement, at_home.source_id) == (call.placement, call.source_id)


@pytest.mark.parametrize(
    ("source", "payload", "names"),
    [
        ("upload", '{"kind": "media"}', True), ("upload", '{"kind": "transcript"}', False), ("upload", "[", False),
        ("upload", "[]", False), ("generic", '{"kind": "media"}', False),
    ],
)  # fmt: skip
def test_recordings_that_stay_behind_are_counted(source: str, payload: str, names: bool) -> None:
    call = RawCall(
        event_id=uuid4(), workspace_id=uuid4(), source_app=source, external_id="x", observed_at=NOW, received_at=NOW,
        payload=payload,
    )  # fmt: skip
    assert names_a_recording(call) is names
