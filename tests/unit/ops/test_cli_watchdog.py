"""When a role stands still, and when it only looks like it."""

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.watchdog import (
    GRACE_SECONDS,
    MAX_GAP_SECONDS,
    MAX_GRACE_SECONDS,
    PARTITION_PATIENCE,
    RECOVERING,
    SIGN_LASTS,
    Known,
    Look,
    Partition,
    Watched,
    decide,
    grace_after,
    limit_of,
    look_again,
    rebuilds,
)
from schemas.settings import Settings

LIMIT = 60.0
STEP = 3.0
A, B = ("calls.raw.v1", 0), ("calls.raw.v1", 1)
Offsets = Mapping[Partition, tuple[int, int]]


def watch(looks: list[Offsets | None], *, started_at: float = 0.0, limit: float = LIMIT) -> list[float]:
    """Feed one look every STEP seconds; at which times the role would be restarted."""
    watched, restarts = Watched(), []
    for number, offsets in enumerate(looks):
        at = number * STEP
        look = None if offsets is None else Look(at, offsets)
        watched, why = decide(watched, look, limit, started_at)
        if why:
            restarts.append(at)
    return restarts


def for_seconds(seconds: float, offsets: Offsets | None) -> list[Offsets | None]:
    return [offsets] * int(seconds / STEP)


STALLED: Offsets = {A: (5, 9)}
IDLE: Offsets = {A: (9, 9)}


@pytest.mark.parametrize(
    ("looks", "restarts"),
    [
        pytest.param(for_seconds(600, IDLE), [], id="no lag"),
        pytest.param(for_seconds(600, {}), [], id="a group nobody knows"),
        pytest.param(for_seconds(60, STALLED), [], id="not long enough"),
        pytest.param(for_seconds(66, STALLED), [60.0], id="long enough"),
        pytest.param([*for_seconds(60, IDLE), *for_seconds(57, STALLED)], [], id="the time before the lag is free"),
        pytest.param([{A: (n, n + 100)} for n in range(200)], [], id="slow, with a growing backlog"),
        pytest.param([{A: (0, n)} for n in range(1, 24)], [60.0], id="lag that grows and nobody reads"),
        pytest.param([{A: (5, 9), B: (n, 500)} for n in range(40)], [], id="another partition moves"),
        pytest.param(
            [*for_seconds(57, STALLED), None, *for_seconds(57, STALLED)], [], id="the broker was away in between"
        ),
        pytest.param([None] * 100, [], id="the broker is away"),
        pytest.param([*for_seconds(57, STALLED), {A: (6, 9)}, *for_seconds(54, {A: (6, 9)})], [], id="one step"),
        pytest.param([*for_seconds(57, STALLED), IDLE, *for_seconds(57, STALLED)], [], id="caught up in between"),
        pytest.param([*for_seconds(57, STALLED), {A: (3, 9)}, {A: (3, 9)}], [], id="offsets set back count as moved"),
        pytest.param([*for_seconds(57, STALLED), {}, *for_seconds(57, STALLED)], [], id="nobody held it for a moment"),
    ],
)
def test_table(looks: list[Offsets | None], restarts: list[float]) -> None:
    assert watch(looks) == restarts


def test_one_partition_may_wait_longer_but_not_for_ever() -> None:
    looks: list[Offsets | None] = [{A: (5, 9), B: (n, 100_000)} for n in range(200)]
    assert watch(looks)[0] == LIMIT * PARTITION_PATIENCE


def test_a_process_that_has_just_started_gets_its_time() -> None:
    assert watch(for_seconds(99, STALLED), started_at=42.0) == []
    assert watch(for_seconds(120, STALLED), started_at=42.0) == [102.0]


def test_after_a_restart_it_is_left_alone_and_longer_each_time() -> None:
    times = watch(for_seconds(1200, STALLED))
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == LIMIT
    assert gaps == sorted(gaps)
    assert gaps[0] >= GRACE_SECONDS + LIMIT
    assert gaps[1] >= 2 * GRACE_SECONDS + LIMIT


def test_a_step_forward_makes_the_grace_short_again() -> None:
    looks: list[Offsets | None] = [*for_seconds(300, STALLED), {A: (6, 9)}, {A: (7, 9)}, *for_seconds(600, {A: (7, 9)})]
    times = watch(looks)
    after = [time for time in times if time > 300]
    assert after[1] - after[0] < 2 * GRACE_SECONDS + LIMIT


def test_we_know_nothing_after_a_long_sleep_of_our_own() -> None:
    watched, why = decide(Watched(), Look(0.0, STALLED), LIMIT, 0.0)
    watched, why = decide(watched, Look(0.0 + MAX_GAP_SECONDS + 100, STALLED), LIMIT, 0.0)
    assert why is None
    assert watched.known.moved_at == MAX_GAP_SECONDS + 100


def test_transcribing_may_take_its_whole_time_limit() -> None:
    settings = Settings(stall_seconds=60, transcribe_timeout_seconds=900)
    assert limit_of("pipeline", settings) == limit_of("dedup", settings) == 60
    assert limit_of("transcribe", settings) == 960


def test_a_slice_of_a_page_may_take_its_time_and_half_as_much_again() -> None:
    settings = Settings(stall_seconds=60, pull_slice_seconds=20)
    assert limit_of("pull", settings) >= 60 + 1.5 * 20


@given(st.integers(0, 10_000))
def test_the_grace_is_bounded(strikes: int) -> None:
    assert GRACE_SECONDS <= grace_after(strikes) <= MAX_GRACE_SECONDS
    assert grace_after(strikes) <= grace_after(strikes + 1)


offsets = st.dictionaries(st.sampled_from([A, B]), st.tuples(st.integers(0, 5), st.integers(0, 9)))


@given(st.lists(st.one_of(st.none(), offsets), max_size=60))
def test_never_sooner_than_the_limit_and_never_without_lag(looks: list[Offsets | None]) -> None:
    times = watch(looks)
    last = -1.0
    for time in times:
        assert time >= LIMIT
        assert last < 0 or time - last >= LIMIT + GRACE_SECONDS
        last = time
        look = looks[int(time / STEP)]
        assert look is not None
        assert any(offset < end for offset, end in look.values())
        still = looks[int((time - LIMIT) / STEP) : int(time / STEP) + 1]
        assert None not in still


@given(st.lists(offsets, min_size=30, max_size=60))
def test_while_all_lagging_partitions_move_nobody_is_restarted(looks: list[Offsets]) -> None:
    moving: list[Offsets | None] = [
        {partition: (number, number + end + 1) for partition, (_, end) in look.items()}
        for number, look in enumerate(looks)
    ]
    assert watch(moving) == []


@given(st.lists(st.one_of(st.none(), offsets), max_size=30))
def test_what_is_known_never_lies_about_time(looks: list[Offsets | None]) -> None:
    known = Known()
    for number, each in enumerate(looks):
        at = number * STEP
        known = look_again(known, None if each is None else Look(at, each))
        if each is None:
            assert known == Known()
            continue
        assert known.at == at
        assert known.moved_at is not None
        assert known.moved_at <= at
        for partition, (offset, since) in known.standing.items():
            assert since <= at
            assert each[partition][0] == offset < each[partition][1]


def test_a_worker_that_rebuilds_its_table_does_not_stand_still(tmp_path: Path) -> None:
    folder = tmp_path / "dedup-1"
    folder.mkdir()
    assert not rebuilds(tmp_path, "dedup", 1000.0)
    sign = folder / RECOVERING
    sign.touch()
    os.utime(sign, (990.0, 990.0))
    assert rebuilds(tmp_path, "dedup", 1000.0)
    assert not rebuilds(tmp_path, "pipeline", 1000.0)
    assert not rebuilds(tmp_path, "dedup", 990.0 + SIGN_LASTS), "it has hung since"
