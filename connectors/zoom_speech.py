"""Zoom's transcripts: WebVTT with `Speaker Name: text`, one file for each part of a paused recording. Pure.

Taken from transcripts that Zoom has written; its pages do not describe them (November 2025).
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from connectors.fields import instant_at, text_at
from connectors.payloads import Payload
from connectors.people import objects_at
from connectors.spoken import Transcript, plain_text
from connectors.timeparse import MAX_MS
from connectors.transcripts import parse
from connectors.utterances import length_between
from schemas.calls import Segment
from schemas.faults import InvalidCall


def segments_of(payload: Payload, start: datetime | None, people: Iterable[str | None]) -> tuple[Segment, ...]:
    """What was said in all transcripts, each moved to where its file begins."""
    names = [*people]
    found: list[Segment] = []
    for where, entry in objects_at(payload, "transcripts"):
        vtt, begin = text_at(entry, "vtt", where=f"{where}."), instant_at(entry, "recording_start")
        offset = length_between(start, begin) or 0
        for segment in with_speakers(cues(vtt), names).segments if vtt else ():
            places = [min(place + offset, MAX_MS) for place in (segment.start_ms, segment.end_ms)]
            found.append(segment.model_copy(update={"start_ms": places[0], "end_ms": places[1]}))
    return tuple(sorted(found, key=lambda segment: segment.start_ms))


def cues(vtt: str) -> Transcript:
    """The cues of a file. One without a word, or that is none, says nothing; then there is the recording."""
    try:
        return parse("vtt", vtt)
    except InvalidCall:
        return Transcript((), "")


def with_speakers(found: Transcript, people: Iterable[str | None]) -> Transcript:
    """The transcript with the names that are names: words before a colon at the beginning of a cue may be ordinary
    text, as in "Remember: we meet at ten". A name is known, comes again, or has several words."""
    known = {name.strip().casefold() for name in people if name}
    times = Counter(segment.speaker for segment in found.segments if segment.speaker)
    first = found.segments[0].speaker if found.segments else None

    def read(segment: Segment) -> Segment:
        name = segment.speaker
        if not name or name == first or times[name] > 1 or name.casefold() in known or _is_name(name):
            return segment
        return segment.model_copy(update={"speaker": None, "text": f"{name}: {segment.text}"})

    segments = tuple(read(segment) for segment in found.segments)
    return Transcript(segments, plain_text(segments), found.duration_ms, found.language)


def _is_name(text: str) -> bool:
    words = text.split()
    return len(words) > 1 and all(not word[0].islower() for word in words)
