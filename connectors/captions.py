"""Transcripts people can read: VTT and SRT captions, and plain text with names and times. Pure."""

import html
import io
import re

import webvtt

from connectors.spoken import NAME, SPOKEN, Transcript, empty, timed
from connectors.timeparse import MAX_MS, clock_ms
from schemas.calls import Segment
from schemas.faults import InvalidCall

_VOICE = re.compile(r"<v(?:\.[^<>\s]*)*\s+([^<>]*)>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|</>")
_LABEL = re.compile(rf"({NAME}):[ \t]*")
_STAMP = r"[\[(]?((?:[0-9]{1,2}:)?[0-9]{1,2}:[0-9]{2}(?:[.,][0-9]{1,3})?)[\])]?"
_STAMP_FIRST = re.compile(rf"{_STAMP}(?:[ \t]*[-–—][ \t]*|[ \t]+|$)(.*)")
_STAMP_LAST = re.compile(rf"({NAME}?)[ \t]*(?:[-–—|,][ \t]*|[ \t]){_STAMP}:?")

_PARTICLES = frozenset({"al", "bin", "da", "de", "del", "den", "der", "di", "du", "el", "la", "le", "van", "von"})


def parse_captions(kind: str, text: str) -> Transcript:
    """VTT or SRT. The speaker is a VTT voice tag, or a name and a colon before the words."""
    text = text.removeprefix("\ufeff").replace("\x00", "").strip() + "\n"
    if kind == "vtt" and not text.startswith("WEBVTT"):
        text = "WEBVTT\n\n" + text
    try:
        captions = webvtt.from_buffer(io.StringIO(text), format=kind).captions
    except (
        Exception
    ) as error:  # the library meets files that nobody vouches for: whatever it raises, the file is at fault
        sentence = f"This {kind.upper()} file cannot be read. Export it again, or upload the transcript as a TXT file."
        raise InvalidCall("transcript_unreadable", sentence, detail=repr(error)[:500]) from None
    segments: list[Segment] = []
    for caption in captions:
        start = min(caption.start_time.in_milliseconds(), MAX_MS)
        end = min(max(start, caption.end_time.in_milliseconds()), MAX_MS)
        for speaker, words in _voices("\n".join(caption.lines), is_vtt=kind == "vtt"):
            segments.append(Segment(speaker=speaker, text=words, start_ms=start, end_ms=end))
    return timed(segments)


def parse_txt(text: str) -> Transcript:
    """Plain text. Names before a colon and times like `00:01:02 Name` are understood; anything else stays text."""
    text = text.removeprefix("\ufeff").replace("\x00", "").strip()
    if not text:
        raise empty()
    turns: list[tuple[int | None, str | None, list[str]]] = []
    for line in (line.strip() for line in text.split("\n")):
        head = _head(line)
        if head is not None:
            start, speaker, words = head
            turns.append((start, speaker, [words] if words else []))
        elif line and turns:
            turns[-1][2].append(line)
        elif line:
            turns.append((None, None, [line]))
    if not any(start is not None or speaker is not None for start, speaker, _ in turns):
        return Transcript((), text)
    return Transcript(_turns(turns), text)


def _voices(cue: str, *, is_vtt: bool) -> list[tuple[str | None, str]]:
    """Who says what in one cue; nothing for a cue without words."""
    parts = _VOICE.split(cue)  # words before the first voice tag, then name and words in turns
    found: list[tuple[str | None, str]] = []
    for name, words in zip([None, *parts[1::2]], parts[0::2], strict=True):
        bare = _TAG.sub("", words)
        said = (html.unescape(bare) if is_vtt else bare).replace("\x00", "").strip()
        speaker = html.unescape(name).strip() if name else None
        if not speaker and (labelled := SPOKEN.fullmatch(said)):
            speaker, said = labelled[1].strip(), labelled[2]
        if said:
            found.append((speaker or None, said))
    return found


def _head(line: str) -> tuple[int | None, str | None, str] | None:
    """Time, speaker and first words, where a line of a text begins somebody's turn."""
    if len(line) > 10_000:
        return None
    if stamped := _STAMP_FIRST.fullmatch(line):
        start, rest = _clock(stamped[1]), stamped[2].strip()
        if start is None:
            return None
        if labelled := SPOKEN.fullmatch(rest):
            return start, labelled[1].strip(), labelled[2]
        if labelled := _LABEL.fullmatch(rest):
            return start, labelled[1].strip(), ""
        return (start, rest, "") if _is_name(rest) else (start, None, rest)
    if (stamped := _STAMP_LAST.fullmatch(line)) and _is_name(stamped[1].strip()):
        start = _clock(stamped[2])
        return (start, stamped[1].strip() or None, "") if start is not None else None
    if labelled := SPOKEN.fullmatch(line):
        return None, labelled[1].strip(), labelled[2]
    return None


def _turns(turns: list[tuple[int | None, str | None, list[str]]]) -> tuple[Segment, ...]:
    """Each turn lasts until the next one that has a time; a turn without a time begins where the one before began."""
    segments, start = [], 0
    for number, (stamp, speaker, lines) in enumerate(turns):
        start = stamp if stamp is not None else start
        after = next((turn[0] for turn in turns[number + 1 : number + 2] if turn[0] is not None), start)
        words = "\n".join(lines)
        if not words and speaker and stamp is not None:
            words, speaker = speaker, None  # it looked like a name, but nothing was said under it
        if words:
            segments.append(Segment(speaker=speaker, text=words, start_ms=start, end_ms=max(start, after)))
    return tuple(segments)


def _is_name(text: str) -> bool:
    """True for what stands alone like a name: one to four words, each with a capital letter, a number or a particle."""
    words = text.split()
    fits = 1 <= len(words) <= 4 and re.fullmatch(NAME, text) is not None and not text.endswith(".")
    return fits and all(not word[0].islower() or word in _PARTICLES for word in words)


def _clock(text: str) -> int | None:
    try:
        return clock_ms(text)
    except ValueError:
        return None
