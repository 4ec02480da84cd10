"""Where a long recording is cut, and how the answers to its parts become one. Pure; times are in milliseconds.

Cuts lie in pauses and the parts do not overlap, so no word comes twice. Where nobody pauses, the cut is at the quietest
place: a word may be cut in two there, and both halves are sent. The same levels and limit always give the same cuts.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count, groupby
from string import ascii_uppercase
from typing import NamedTuple

from schemas.calls import Segment
from streams.stages.speech import Transcript

WINDOW_MS = 100
"""One level stands for so long: decibels below full scale, from 0 (as loud as can be) to 120 (nothing)."""
SILENT = 60
"""Nobody can be heard at this level or below it; a pause in a recording of a person is far above."""
CALM_WINDOWS = 2
"""A cut keeps so many windows away, on both sides, from what is louder than the pause it is made in."""
LONG_PAUSE = 10
"""A pause of so many windows is as good as any longer one."""
STEP = 6
"""Levels that differ by less than so many decibels count as equally quiet."""
TAIL_MS = 1_000
"""No part is shorter: vendors refuse what is very short."""
MIN_LIMIT_MS = 4 * TAIL_MS
MIN_VOICE_MS, MAX_VOICE_MS = 2_000, 8_000
"""How long a sample of a voice may be: the vendor takes 2 to 10 seconds."""
MAX_VOICES = 4


class Piece(NamedTuple):
    """A part of a recording."""

    start_ms: int
    end_ms: int


class Voice(NamedTuple):
    """Where a speaker can be heard alone."""

    speaker: str
    start_ms: int
    end_ms: int


def plan(levels: bytes, length_ms: int, limit_ms: int) -> tuple[Piece, ...]:
    """The parts that a recording is sent in: all of it, in order, none longer than the limit."""
    if limit_ms < MIN_LIMIT_MS:
        raise ValueError(f"a recording cannot be cut into parts of {limit_ms} ms")
    pieces, start = [], 0
    while length_ms - start > limit_ms:
        last = min(start + limit_ms, length_ms - TAIL_MS)
        cut = _quietest(levels, start + limit_ms * 3 // 4, last)
        pieces.append(Piece(start, cut))
        start = cut
    return (*pieces, Piece(start, length_ms))


def is_silent(levels: bytes, piece: Piece) -> bool:
    """Whether there is nothing to hear in a part from its first window to its last."""
    return min(levels[piece.start_ms // WINDOW_MS : -(-piece.end_ms // WINDOW_MS)], default=0) >= SILENT


def _quietest(levels: bytes, first_ms: int, last_ms: int) -> int:
    """The middle of the longest pause between two times; of equally good ones the last, so that parts are long."""
    first = -(-first_ms // WINDOW_MS)
    windows = range(first, min(last_ms // WINDOW_MS, len(levels)))
    calm = [_calm(levels, window) for window in windows]
    quietest = max(calm, default=0)
    best, at = range(0), first
    for level, run in groupby(calm):
        length = len(list(run))
        if level == quietest and length >= min(len(best), LONG_PAUSE):
            best = range(at, at + length)
        at += length
    return (best.start + best.stop) * WINDOW_MS // 2 if best else last_ms


def _calm(levels: bytes, window: int) -> int:
    """How quiet it is around a window, in steps; all that is silent is equally quiet."""
    around = levels[max(0, window - CALM_WINDOWS) : window + CALM_WINDOWS + 1]
    return min(min(around), SILENT) // STEP


def join(parts: Sequence[tuple[Piece, Transcript]], seconds: float) -> Transcript:
    """One transcript of all parts in their order. Times count from the start of the recording and never go back."""
    spoken = [(piece, part) for piece, part in parts if part.text.strip()]
    timed = any(part.segments for _, part in spoken)
    return Transcript(
        text=" ".join(part.text.strip() for _, part in spoken),
        segments=tuple(segment for piece, part in spoken for segment in shifted(piece, part)) if timed else (),
        language=next((part.language for _, part in spoken if part.language), None),
        seconds=seconds,
    )


def shifted(piece: Piece, part: Transcript) -> list[Segment]:
    """The segments of a part within the whole. An answer without times is one segment as long as its part."""
    if not part.segments:
        return [Segment(text=part.text.strip(), start_ms=piece.start_ms, end_ms=piece.end_ms)]
    return [
        segment.model_copy(
            update={
                "start_ms": min(piece.start_ms + segment.start_ms, piece.end_ms),
                "end_ms": min(piece.start_ms + max(segment.start_ms, segment.end_ms), piece.end_ms),
            }
        )
        for segment in sorted(part.segments, key=lambda segment: segment.start_ms)
    ]


def rename(part: Transcript, known: Mapping[str, str], taken: Collection[str]) -> Transcript:
    """The part with speakers as the whole recording names them. `known` are the names that the vendor was given.

    Labels start again with every part, so one that is not a given name is somebody new, even when an earlier part has
    used it: one person may get two labels, two persons never get one.
    """
    labels = dict(known)
    for segment in part.segments:
        if segment.speaker and segment.speaker not in labels:
            used = {*taken, *labels.values()}
            free = (label for label in _labels(segment.speaker) if label not in used)
            labels[segment.speaker] = next(free)
    segments = (
        segment.model_copy(update={"speaker": labels[segment.speaker]}) if segment.speaker else segment
        for segment in part.segments
    )
    return part.model_copy(update={"segments": tuple(segments)})


def _labels(wanted: str) -> Iterator[str]:
    """The vendor's own label if it is free, else the next letter, else a number."""
    yield wanted
    yield from ascii_uppercase
    yield from (f"Speaker {number}" for number in count(len(ascii_uppercase) + 1))


def speakers(parts: Sequence[tuple[Piece, Transcript]]) -> set[str]:
    """Everybody who was named so far."""
    return {segment.speaker for _, part in parts for segment in part.segments if segment.speaker}


def voices(parts: Sequence[tuple[Piece, Transcript]]) -> list[Voice]:
    """Those who spoke most so far, each with the place where they speak longest with nobody else beside them."""
    segments = [segment for piece, part in parts if part.segments for segment in shifted(piece, part)]
    talked: dict[str, int] = {}
    found: dict[str, Segment] = {}
    for number, segment in enumerate(segments):
        if not segment.speaker:
            continue
        talked[segment.speaker] = talked.get(segment.speaker, 0) + _length(segment)
        neighbours = segments[max(0, number - 3) : number] + segments[number + 1 : number + 4]
        alone = not any(_overlap(segment, other) for other in neighbours)
        best = found.get(segment.speaker)
        if alone and _length(segment) >= MIN_VOICE_MS and (best is None or _length(segment) > _length(best)):
            found[segment.speaker] = segment
    most = sorted(found, key=lambda speaker: -talked[speaker])[:MAX_VOICES]
    return [_voice(speaker, found[speaker]) for speaker in most]


def _voice(speaker: str, segment: Segment) -> Voice:
    spare = max(0, _length(segment) - MAX_VOICE_MS)
    return Voice(speaker, segment.start_ms + spare // 2, segment.end_ms - (spare - spare // 2))


def _length(segment: Segment) -> int:
    return segment.end_ms - segment.start_ms


def _overlap(one: Segment, other: Segment) -> bool:
    return one.speaker != other.speaker and one.start_ms < other.end_ms and other.start_ms < one.end_ms
