"""Utterances as sources time them, and lengths in their units. Raises `InvalidCall` or nothing at all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.fields import quality_of, text_at
from connectors.payloads import Payload, clean, invalid, written
from connectors.spoken import plain_text
from connectors.timeparse import MAX_MS, clock_ms
from schemas.calls import NormalizedCall, Participant, Segment

Started = tuple[str | None, str, int]
"""Speaker, words and start: all that some sources say of an utterance."""


def number_at(payload: Payload, name: str, unit: float, *, where: str = "") -> int | None:
    """A length or position as whole milliseconds; `unit` is what 1 stands for. A number that is written as a text is
    taken, because some sources do that at times. None where it is absent or blank."""
    value: Any = payload.get(name)
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = float(value) if len(value) < 40 else None
        except ValueError:
            value = None
    elif value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(where + name, "must be a number")
    if not 0 <= value <= MAX_MS / unit:  # also False for NaN
        raise invalid(where + name, "must lie between 0 and one month")
    return round(value * unit)


def clock_at(payload: Payload, name: str, *, where: str = "") -> int:
    """A position like `00:01:02` that must be there."""
    value = text_at(payload, name, where=where)
    if value is None:
        raise invalid(where + name, "is missing")
    try:
        return min(clock_ms(value), MAX_MS)
    except ValueError as error:
        raise invalid(where + name, str(error)) from None


def length_between(start: datetime | None, end: datetime | None) -> int | None:
    """Milliseconds from start to end; None where one of them is missing or they are no length of a recording."""
    if start is None or end is None or end < start:
        return None
    milliseconds = round((end - start).total_seconds() * 1000)
    return milliseconds if milliseconds <= MAX_MS else None


def utterance(entry: Payload, where: str, speaker: str | None, unit: float, names: tuple[str, str]) -> Segment | None:
    """What was said, from the text and the two times of an object; None where it has no words."""
    text = text_at(entry, "text", where=f"{where}.")
    if text is None:
        return None
    start = number_at(entry, names[0], unit, where=f"{where}.") or 0
    end = number_at(entry, names[1], unit, where=f"{where}.") or start
    return Segment(speaker=speaker, text=text, start_ms=start, end_ms=max(start, end))


def until_next(items: Sequence[Started], duration: int | None) -> tuple[Segment, ...]:
    """Each utterance lasts until the next one begins, and the last one until the end; silent ones are left out."""
    segments = []
    for number, (speaker, text, start) in enumerate(items):
        following = items[number + 1][2] if number + 1 < len(items) else duration
        if text.strip():
            end = max(start, following if following is not None else start)
            segments.append(Segment(speaker=speaker, text=text, start_ms=start, end_ms=end))
    return tuple(segments)


def has_words(entries: Any, name: str = "text") -> bool:
    """Whether anything was said in a transcript as a source sends it. Never raises."""
    if not isinstance(entries, list):
        return False
    return any(isinstance(entry, dict) and str(entry.get(name) or "").strip() for entry in entries)


def assembled(
    *, title: str, start: datetime | None, duration: int | None, segments: tuple[Segment, ...], spoken: Any,
    people: tuple[Participant, ...], metadata: Payload, language: str | None,
) -> NormalizedCall:  # fmt: skip
    """The call of these parts. `spoken` is the transcript as the source sent it, kept word for word if it says
    anything; of the metadata, what is null is left out."""
    call = NormalizedCall(
        title=title,
        recording_start_time=start,
        duration_ms=duration,
        full_transcript=plain_text(segments) if segments else None,
        segments=segments,
        participants=people,
        original_transcript=written(spoken) if segments else None,
        source_metadata={name: clean(value, name) for name, value in metadata.items() if value is not None},
        language=language,
    )
    return call.model_copy(update={"metadata_quality": quality_of(call)})
