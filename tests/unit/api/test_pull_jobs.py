"""What a job that pulls is said to be doing, when it will be done, and what may be asked of a source."""

from datetime import UTC, datetime, timedelta

import pytest

from api import connecting, imports, jobs
from api.jobs import Pulling
from api.problems import Problem
from api.sources import Span
from connectors.pacing import seconds_for
from connectors.registry import CONNECTORS

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOBODY = dict.fromkeys(jobs.COUNTED, 0)
LATER = NOW + timedelta(hours=3)


def status(pulling: Pulling, **counts: int) -> str:
    return jobs.status_of(
        NOBODY | counts, total=10, open_ended=pulling.phase != "done", cancelled=False, pulling=pulling, now=NOW
    )


def test_a_job_says_what_it_does() -> None:
    assert status(Pulling("counting")) == "counting"
    assert status(Pulling("pulling")) == "pending"
    assert status(Pulling("pulling"), imported=1) == "in_progress"
    assert status(Pulling("pulling", resume_at=LATER), imported=1) == "waiting"
    assert status(Pulling("counting", resume_at=LATER)) == "waiting"
    assert status(Pulling("pulling", resume_at=NOW), imported=1) == "in_progress"
    assert status(Pulling("done"), imported=1, waiting=1) == "waiting"
    assert status(Pulling("done"), imported=1, pending=1) == "in_progress"
    assert status(Pulling("done"), imported=9, failed=1) == "partial"
    assert status(Pulling("done"), failed=10) == "failed"
    assert status(Pulling("done"), imported=10) == "completed"
    assert status(Pulling("done", failed_at=NOW), imported=5) == "failed"


def ends(pulling: Pulling, *, known: int = 0, ended: int = 0, total: int = 100) -> datetime | None:
    started = NOW - timedelta(seconds=10)
    return jobs.pull_estimate("fathom", pulling, started_at=started, now=NOW, known=known, ended=ended, total=total)


def test_a_job_is_never_done_before_its_source_lets_it_go_on() -> None:
    found = ends(Pulling("pulling", resume_at=LATER, estimated_calls=100))
    assert found is not None
    assert found >= LATER
    found = ends(Pulling("pulling", resume_at=LATER, estimated_calls=100), known=50, ended=50)
    assert found is not None
    assert found >= LATER + timedelta(seconds=10)


def test_a_job_is_never_done_faster_than_the_limits_allow() -> None:
    found = ends(Pulling("pulling", estimated_calls=20_000), known=10_000, ended=10_000, total=20_000)
    pull, limits = CONNECTORS["fathom"].pull, CONNECTORS["fathom"].limits
    assert pull is not None
    assert found == NOW + timedelta(seconds=seconds_for(10_000, pull.spends, limits, NOW))
    assert found > NOW + timedelta(seconds=10), "as fast as so far"


def test_nobody_guesses_when_the_number_of_calls_is_not_known() -> None:
    assert ends(Pulling("pulling")) is None
    assert ends(Pulling("counting")) is None
    assert ends(Pulling("done")) is None
    assert ends(Pulling("done", waiting_until=LATER)) == LATER


def refusal(fields: dict[str, str]) -> Problem:
    way = connecting.way_in(CONNECTORS["fathom"], None)
    with pytest.raises(Problem) as caught:
        connecting.credential_of(way, fields)
    return caught.value


def test_each_wrong_field_of_a_form_is_named_and_no_secret_is_repeated() -> None:
    found = refusal({"api_key": "very secret", "odd": "very secret"})
    assert {each["field"] for each in found.extra["errors"]} == {"fields.api_key", "fields.odd"}
    assert "very secret" not in found.sentence
    assert refusal({"api_key": " "}).extra["field"] == "fields.api_key"
    assert refusal({"api_key": "x" * 30_000}).status == 422


def test_a_filled_form_is_trimmed_and_what_is_left_out_is_left_out() -> None:
    way = connecting.way_in(CONNECTORS["fathom"], None)
    assert connecting.credential_of(way, {"api_key": " k \n", "account": ""}) == {"api_key": "k"}


def test_what_is_asked_of_a_source_ends_now_and_begins_where_it_remembers() -> None:
    span = Span(since=NOW - timedelta(days=3), until=NOW + timedelta(days=3))
    window = imports.window_of(CONNECTORS["fathom"], span, {"teams": "A", "recorded_by": " "}, NOW)
    assert (window.since, window.until, dict(window.filters)) == (span.since, NOW, {"teams": "A"})
    forgetful = [each for each in CONNECTORS.values() if each.pull and each.pull.reaches_back]
    for connector in forgetful:
        assert connector.pull is not None
        assert connector.pull.reaches_back is not None
        back = connector.pull.reaches_back
        window = imports.window_of(connector, Span(since=NOW - 3 * back, until=NOW), {}, NOW)
        assert window.since == NOW - back
        with pytest.raises(Problem, match="before that"):
            imports.window_of(connector, Span(since=NOW - 3 * back, until=NOW - 2 * back), {}, NOW)
