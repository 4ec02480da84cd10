"""The demo's calls are believable, invented, and the same for the same seed."""

from datetime import UTC, datetime, timedelta
from random import Random

from tests.fakes.vendors.stories import history

NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)


def test_the_same_seed_tells_the_same_stories() -> None:
    assert history(40, NOW, 28, Random(7)) == history(40, NOW, 28, Random(7))
    assert history(40, NOW, 28, Random(7)) != history(40, NOW, 28, Random(8))


def test_calls_lie_in_working_hours_of_the_last_weeks() -> None:
    calls = history(300, NOW, 28, Random(7))
    assert len({call.id for call in calls}) == 300
    for call in calls:
        assert NOW - timedelta(days=28) < call.started_at < NOW
        assert call.started_at.weekday() < 5
        assert 8 <= call.started_at.hour < 18
        assert 10 < call.duration_s < 3600


def test_nobody_in_them_is_real_and_what_is_said_fits_into_the_call() -> None:
    for call in history(100, NOW, 28, Random(7), spoken=0.5):
        assert all((person.email or "").endswith(".example") for person in call.people)
        assert all((person.phone or "").startswith("+14155550") for person in call.people)
        assert {line.speaker for line in call.lines} <= {person.name for person in call.people}
        assert all(one.end_s <= other.start_s for one, other in zip(call.lines, call.lines[1:], strict=False))
        assert call.lines[-1].end_s <= call.duration_s
