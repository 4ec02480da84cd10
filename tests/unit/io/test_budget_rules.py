"""The rules of rate budgets: exact in every window, and taught by what sources say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import DAY, Limit
from connectors.pacing import until_midnight
from streams.io.budgets import LEAST_SHARE, SLICES, Bucket, block, observe, spend

NOW = datetime(2025, 11, 5, 10, 0, tzinfo=UTC)
FRESH = Bucket({}, 1.0, NOW, None)


def run(limits: list[Limit], arrivals: list[tuple[float, int]], bucket: Bucket = FRESH) -> list[tuple[float, int]]:
    """What is granted of requests that come at these seconds."""
    granted = []
    for at, cost in arrivals:
        bucket, wait = spend(bucket, limits, cost, NOW + timedelta(seconds=at), until_midnight)
        if wait == 0:
            granted.append((at, cost))
    return granted


def fullest(granted: list[tuple[float, int]], seconds: float) -> int:
    """The most that was spent in any window of this length."""
    return max((sum(c for at, c in granted if start <= at < start + seconds) for start, _ in granted), default=0)


@given(
    st.integers(1, 30), st.sampled_from([1.0, 10.0, 60.0, 3600.0]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 3)), max_size=150),
)  # fmt: skip
def test_no_window_of_the_limits_length_ever_holds_more_than_the_limit(
    count: int, seconds: float, gaps: list[tuple[float, int]]
) -> None:
    at, arrivals = 0.0, []
    for gap, cost in gaps:
        at += gap**3 * seconds
        arrivals.append((at, min(cost, count)))
    granted = run([Limit(count, seconds)], arrivals)
    assert fullest(granted, seconds) <= count


@given(st.integers(1, 40), st.sampled_from([1.0, 60.0]))
def test_whoever_comes_back_when_told_gets_nearly_the_whole_limit(count: int, seconds: float) -> None:
    bucket, now, done = FRESH, NOW, 0
    while now < NOW + timedelta(seconds=10 * seconds):
        bucket, wait = spend(bucket, [Limit(count, seconds)], 1, now, until_midnight)
        done += not wait
        now += timedelta(seconds=wait + 1e-6)
    assert done >= 10 * count * SLICES / (SLICES + 1) - count


def test_a_refusal_names_the_first_moment_that_is_worth_trying() -> None:
    bucket = FRESH
    for _ in range(3):
        bucket, wait = spend(bucket, [Limit(3, 60)], 1, NOW, until_midnight)
        assert wait == 0
    same, wait = spend(bucket, [Limit(3, 60)], 1, NOW, until_midnight)
    assert same == bucket
    assert 60 <= wait <= 63
    assert spend(bucket, [Limit(3, 60)], 1, NOW + timedelta(seconds=wait - 0.1), until_midnight)[1] > 0
    assert spend(bucket, [Limit(3, 60)], 1, NOW + timedelta(seconds=wait), until_midnight)[1] == 0


def test_all_limits_of_a_bucket_hold() -> None:
    limits = [Limit(3, 1), Limit(5, DAY, zone="UTC")]
    granted = run(limits, [(n / 10, 1) for n in range(100)])
    assert fullest(granted, 1) <= 3
    assert len(granted) == 5


@pytest.mark.parametrize(
    ("zone", "begins"), [("UTC", 14 * 3600), ("America/Los_Angeles", 22 * 3600), ("Asia/Kolkata", 8.5 * 3600)]
)
def test_a_day_begins_at_midnight_of_its_zone(zone: str, begins: float) -> None:
    limit = Limit(2, DAY, zone=zone)
    bucket = FRESH
    for _ in range(2):
        bucket, _ = spend(bucket, [limit], 1, NOW, until_midnight)
    same, wait = spend(bucket, [limit], 1, NOW, until_midnight)
    assert wait == begins
    bucket, wait = spend(same, [limit], 1, NOW + timedelta(seconds=begins), until_midnight)
    assert wait == 0


def test_a_day_without_a_zone_is_a_window_of_24_hours() -> None:
    granted = run([Limit(50, DAY)], [(n * 600.0, 1) for n in range(600)])
    assert fullest(granted, DAY) == 50


def test_what_costs_more_than_a_limit_is_sent_alone() -> None:
    granted = run([Limit(2, 60)], [(0, 5), (1, 1), (200, 5)])
    assert granted == [(0, 5), (200, 5)]


def test_a_bucket_that_is_nowhere_limited_only_heeds_what_the_source_says() -> None:
    assert spend(FRESH, [], 1, NOW, until_midnight)[1] == 0
    blocked = block(FRESH, 44, NOW)
    assert spend(blocked, [], 1, NOW + timedelta(seconds=4), until_midnight)[1] == 40
    assert spend(blocked, [], 1, NOW + timedelta(seconds=44), until_midnight)[1] == 0


def test_every_429_lowers_the_share_once_and_every_minute_raises_it_again() -> None:
    once = block(FRESH, 5, NOW)
    together = block(once, 3, NOW + timedelta(seconds=1))
    assert (once.share, together.share) == (0.7, 0.7)
    assert together.blocked_until == NOW + timedelta(seconds=5)
    bucket, at = FRESH, NOW
    for _ in range(20):
        bucket, at = block(bucket, 1, at), at + timedelta(seconds=2)
    assert bucket.share == LEAST_SHARE
    assert len(run([Limit(100, 60)], [(40 + n / 100, 1) for n in range(100)], replace(once))) == 70 + 3
    later, _ = spend(bucket, [], 1, at + timedelta(hours=1), until_midnight)
    assert later.share == 1.0


def test_the_share_does_not_lessen_a_days_requests() -> None:
    bucket = replace(FRESH, share=0.2)
    assert len(run([Limit(50, DAY, zone="UTC")], [(n / 1000, 1) for n in range(60)], bucket)) == 50


def test_what_the_source_says_is_left_is_not_overspent() -> None:
    bucket = observe(FRESH, 2, 30, NOW)
    granted = run([Limit(100, 60)], [(n / 10, 1) for n in range(400)], bucket)
    assert [at for at, _ in granted if at < 30] == [0.0, 0.1]
    assert len(granted) == 2 + 98
    assert spend(observe(FRESH, 0, 30, NOW), [], 1, NOW, until_midnight)[1] == 30
