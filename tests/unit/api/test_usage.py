"""Which time a usage report is about, and how it is told."""

from datetime import UTC, datetime

import pytest

from api.jobs import Transcription, transcription_sentence
from api.problems import Problem
from api.usage import Used, period
from ops.usage import cost, minutes

NOW = datetime(2026, 3, 17, 9, 30, tzinfo=UTC)


def day(year: int, month: int, of: int = 1) -> datetime:
    return datetime(year, month, of, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "now", "expected"),
    [
        (None, None, NOW, (day(2026, 3), day(2026, 4))),
        (None, None, day(2025, 12, 31), (day(2025, 12), day(2026, 1))),
        (None, None, day(2026, 1, 31), (day(2026, 1), day(2026, 2))),
        (day(2026, 2, 3), None, NOW, (day(2026, 2, 3), day(2026, 4))),
        (None, day(2026, 2, 10), NOW, (day(2026, 2), day(2026, 2, 10))),
        (None, day(2026, 2), NOW, (day(2026, 1), day(2026, 2))),
        (day(2020, 1), day(2021, 1), NOW, (day(2020, 1), day(2021, 1))),
    ],
)
def test_the_period_is_the_calendar_month_unless_told(
    since: datetime | None, until: datetime | None, now: datetime, expected: tuple[datetime, datetime]
) -> None:
    assert period(since, until, now) == expected


@pytest.mark.parametrize(
    ("since", "until"),
    [(day(2026, 3), day(2026, 3)), (day(2026, 5), None), (day(9999, 12, 31), None), (None, day(1, 1))],
)
def test_a_period_that_ends_before_it_begins_is_refused(since: datetime | None, until: datetime | None) -> None:
    with pytest.raises(Problem, match="earlier"):
        period(since, until, NOW)


@pytest.mark.parametrize(
    ("usd", "unpriced", "shown"),
    [(0.0, 0, "$0.00"), (0.0123, 0, "$0.0123"), (12.345, 0, "$12.35"), (None, 90, "not known (no price for 1.5 min)")],
)
def test_a_cost_is_told_as_exactly_as_it_is_known(usd: float | None, unpriced: float, shown: str) -> None:
    assert cost(Used(requests=1, estimated_cost_usd=usd, unpriced_seconds=unpriced)) == shown
    assert minutes(90) == "1.5"


def test_a_transcription_is_told_in_a_sentence_until_it_is_done() -> None:
    told = [
        transcription_sentence(Transcription(state=state, chunks_done=done, chunks_total=total))
        for state, done, total in (
            ("waiting", 0, None), ("running", 0, None), ("running", 0, 1), ("running", 3, 12), ("done", 12, 12)
        )
    ]  # fmt: skip
    assert told == [
        "Waiting to be transcribed.", "Being transcribed.", "Being transcribed.", "Being transcribed: 3 of 12 parts.",
        None,
    ]  # fmt: skip
