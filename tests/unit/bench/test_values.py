"""Percentiles and slopes of the measurements, and the order in which calls are fed."""

import pytest

from bench.feeder import external_ids
from bench.memory import summary
from bench.values import latencies, percentile, slope, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert percentile([7.0], 0.99) == 7
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2


def test_latencies_are_milliseconds() -> None:
    assert latencies([0.001, 0.002]) == {"p50_ms": 1, "p90_ms": 2, "p99_ms": 2, "max_ms": 2, "count": 2}


def test_a_spread_names_the_best_and_the_worst_round_too() -> None:
    assert spread([3, 1, 2]) == {"median": 2, "least": 1, "most": 3}


def test_a_slope_is_zero_without_enough_samples() -> None:
    assert slope([1.0], [5.0]) == 0
    assert slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]) == pytest.approx(2)


def test_memory_is_said_from_after_the_start_and_its_slope_from_the_second_half() -> None:
    samples = [(float(at), {"dedup": 100.0 + min(at, 100)}) for at in range(0, 400, 5)]
    [(role, found)] = summary(samples, 60).items()
    assert (role, found["start_mb"], found["end_mb"], found["most_mb"]) == ("dedup", 160, 200, 200)
    assert found["slope_mb_per_hour"] == 0


def test_every_call_is_fed_twice_and_new_before_again() -> None:
    ids = list(external_ids("x", 240))
    assert len(ids) == 240
    assert len(set(ids)) == 120
    assert all(ids.count(each) == 2 for each in ids)
    assert ids[:50] == ids[50:100]
