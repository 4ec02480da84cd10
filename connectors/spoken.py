"""What was said, as every reader of transcripts hands it on."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.calls import Segment
from schemas.faults import InvalidCall

NAME = r"[^\W\d_a-z][^\n:<>\[\]{}!?,;\"]{0,48}"
"""A speaker's name, as far as a pattern can tell: short, not beginning with a small letter, without punctuation."""

SPOKEN = re.compile(rf"({NAME}):[ \t]+(\S.*)", re.DOTALL)
"""`Rosa Lind: Happy to be here.`"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript file says. Segments of a text without times have 0 for both."""

    segments: tuple[Segment, ...]
    text: str
    duration_ms: int | None = None
    language: str | None = None


def plain_text(segments: Iterable[Segment]) -> str:
    """One line a segment, with the speaker's name wherever the speaker changes."""
    lines, last = [], None
    for segment in segments:
        words = " ".join(segment.text.split())
        lines.append(f"{segment.speaker}: {words}" if segment.speaker and segment.speaker != last else words)
        last = segment.speaker
    return "\n".join(lines)


def timed(segments: Sequence[Segment]) -> Transcript:
    """A transcript of timed segments, which lasts until the last of them ends."""
    if not segments:
        raise empty()
    return Transcript(tuple(segments), plain_text(segments), max(segment.end_ms for segment in segments) or None)


def empty() -> InvalidCall:
    """The fault of a transcript in which nobody says a word."""
    sentence = "The transcript holds no words. Check that the export finished, and upload the new file."
    return InvalidCall("transcript_empty", sentence, field="text")
