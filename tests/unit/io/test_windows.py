"""When a processing window is open and when it opens next, summer time and all."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from streams.io.windows import ProcessingWindow, window_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = ProcessingWindow(time(20), time(6), BERLIN)
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None))
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def at(text: str) -> datetime:
    """A time on the wall in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_window_past_midnight_is_open_at_night() -> None:
    assert NIGHT.is_open(at("2026-03-02T23:00"))
    assert NIGHT.is_open(at("2026-03-03T05:59"))
    assert not NIGHT.is_open(at("2026-03-03T06:00"))
    assert NIGHT.opens_at(at("2026-03-03T23:00")) is None
    opens = NIGHT.opens_at(at("2026-03-03T12:34:56"))
    assert opens == at("2026-03-03T20:00")
    assert NIGHT.sentence(opens) == "Waits for your processing window, opens at 20:00."


def test_it_opens_by_the_clock_on_the_wall_when_that_is_put_forward() -> None:
    before = ProcessingWindow(time(2, 30), time(5), BERLIN)
    assert before.opens_at(at("2026-03-29T01:00")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00 there
    skipped = ProcessingWindow(time(2, 10), time(2, 50), BERLIN)
    assert skipped.opens_at(at("2026-03-29T01:00")) == at("2026-03-30T02:10")


def test_it_opens_by_the_clock_on_the_wall_when_that_is_put_back() -> None:
    twice = ProcessingWindow(time(2, 30), time(2, 45), BERLIN)
    first = twice.opens_at(at("2026-10-25T01:00"))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert twice.opens_at(datetime(2026, 10, 25, 0, 50, tzinfo=UTC)) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@given(TIMES, TIMES, ZONES, MOMENTS)
def test_it_is_open_when_it_opens_and_was_closed_all_the_minutes_before(
    begins: time, ends: time, zone: str, now: datetime
) -> None:
    if begins == ends:
        return
    window = ProcessingWindow(begins, ends, ZoneInfo(zone))
    opens = window.opens_at(now)
    if opens is None:
        assert window.is_open(now)
        return
    assert now < opens <= now + timedelta(days=2)
    assert window.is_open(opens)
    assert not window.is_open(opens - timedelta(minutes=1)) or opens - timedelta(minutes=1) < now


def test_a_zone_that_is_none_is_no_zone() -> None:
    assert zone_of("Europe/Berlin") == BERLIN
    assert zone_of("../../etc/passwd") is None
    assert zone_of("Mars/Olympus") is None
    assert window_of({"window_zone": None}) is None
    assert window_of({"window_zone": "Mars/Olympus", "window_from": time(1), "window_to": time(2)}) is None
