"""Cutting and joining hold for every recording: all of it is sent, no part is too long, nothing heard is lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.calls import Segment
from streams.stages.chunks import (
    MIN_LIMIT_MS,
    TAIL_MS,
    WINDOW_MS,
    Piece,
    is_silent,
    join,
    plan,
    rename,
    speakers,
    voices,
)
from streams.stages.speech import Transcript

RUNS = st.lists(st.tuples(st.integers(0, 120), st.integers(1, 60)), min_size=1, max_size=60)
LIMITS = st.integers(MIN_LIMIT_MS, 200 * WINDOW_MS)


def levels_of(runs: list[tuple[int, int]]) -> bytes:
    return b"".join(bytes([level]) * count for level, count in runs)


@given(RUNS, LIMITS, st.integers(0, WINDOW_MS))
def test_parts_cover_all_of_a_recording_without_overlap_and_within_the_limit(
    runs: list[tuple[int, int]], limit: int, short: int
) -> None:
    levels = levels_of(runs)
    length = len(levels) * WINDOW_MS - short
    pieces = plan(levels, length, limit)
    assert (pieces[0].start_ms, pieces[-1].end_ms) == (0, length)
    assert [piece.end_ms for piece in pieces[:-1]] == [piece.start_ms for piece in pieces[1:]]
    sizes = [piece.end_ms - piece.start_ms for piece in pieces]
    assert max(sizes) <= limit
    assert len(pieces) == 1 or min(sizes) >= min(TAIL_MS, limit * 3 // 4)
    assert pieces == plan(levels, length, limit)


@given(RUNS, LIMITS)
def test_a_cut_is_made_in_silence_wherever_there_is_enough_of_it(runs: list[tuple[int, int]], limit: int) -> None:
    levels = levels_of(runs)
    length = len(levels) * WINDOW_MS
    for piece in plan(levels, length, limit)[:-1]:
        first = -(-(piece.start_ms + limit * 3 // 4) // WINDOW_MS)
        last = min(piece.start_ms + limit, length - TAIL_MS) // WINDOW_MS
        pauses = [at for at in range(first, last - 5) if min(levels[at : at + 5]) >= 60]
        cut = piece.end_ms // WINDOW_MS
        assert not pauses or levels[cut] >= 60


@given(RUNS)
def test_only_what_is_silent_throughout_is_silent(runs: list[tuple[int, int]]) -> None:
    levels = levels_of(runs)
    whole = Piece(0, len(levels) * WINDOW_MS)
    assert is_silent(levels, whole) == all(level >= 60 for level in levels)


SPEAKERS = st.sampled_from([None, "A", "B", "C", "known-1"])
SEGMENTS = st.lists(
    st.builds(
        lambda start, length, speaker, text: Segment(start_ms=start, end_ms=start + length, speaker=speaker, text=text),
        st.integers(0, 30_000),
        st.integers(0, 10_000),
        SPEAKERS,
        st.text("abc", min_size=1, max_size=5),
    ),
    max_size=8,
)
PARTS = st.lists(st.tuples(st.integers(1, 30_000), SEGMENTS), min_size=1, max_size=6)


def parts_of(drawn: list[tuple[int, list[Segment]]]) -> list[tuple[Piece, Transcript]]:
    parts, start = [], 0
    for length, segments in drawn:
        text = " ".join(segment.text for segment in segments)
        parts.append((Piece(start, start + length), Transcript(text=text, segments=tuple(segments))))
        start += length
    return parts


@given(PARTS)
def test_joined_segments_are_all_there_and_times_never_go_back(drawn: list[tuple[int, list[Segment]]]) -> None:
    parts = parts_of(drawn)
    joined = join(parts, 1.0)
    assert sorted(s.text for s in joined.segments) == sorted(s.text for _, part in parts for s in part.segments)
    starts = [segment.start_ms for segment in joined.segments]
    assert starts == sorted(starts)
    assert all(segment.start_ms <= segment.end_ms <= parts[-1][0].end_ms for segment in joined.segments)
    assert joined.text.split() == [word for _, part in parts for word in part.text.split()]


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_an_answer_without_times_is_kept_beside_those_that_have_them(timed: list[bool]) -> None:
    segment = Segment(text="x", start_ms=0, end_ms=5)
    parts = [
        (Piece(n * 10, n * 10 + 10), Transcript(text="x", segments=(segment,) if one else ()))
        for n, one in enumerate(timed)
    ]
    joined = join(parts, 1.0)
    assert joined.text.split() == ["x"] * len(timed)
    assert len(joined.segments) == (len(timed) if any(timed) else 0)


@given(SEGMENTS, st.sets(st.sampled_from(["A", "B", "C", "D"]), min_size=1))
def test_two_persons_never_get_one_name(segments: list[Segment], taken: set[str]) -> None:
    known = {"known-1": min(taken)}
    part = rename(Transcript(text="x", segments=tuple(segments)), known, taken)
    pairs: dict[Any, set[Any]] = {}
    for before, after in zip(segments, part.segments, strict=True):
        pairs.setdefault(before.speaker, set()).add(after.speaker)
        assert (after.speaker in taken) == (before.speaker in known)
    assert all(len(names) == 1 for names in pairs.values())
    named = [names.pop() for names in pairs.values()]
    assert len(set(named)) == len(named)


@given(PARTS)
def test_samples_of_voices_are_of_one_who_speaks_alone_and_as_long_as_the_vendor_takes(
    drawn: list[tuple[int, list[Segment]]],
) -> None:
    parts = parts_of(drawn)
    found = voices(parts)
    assert len(found) <= 4
    assert {voice.speaker for voice in found} <= speakers(parts)
    assert all(2000 <= voice.end_ms - voice.start_ms <= 8000 for voice in found)
