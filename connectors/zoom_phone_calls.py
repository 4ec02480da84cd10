"""What a recording of Zoom Phone says, with its transcript as Zoom writes it. Pure.

The transcript's form is taken from such that Zoom has written; its pages do not describe it (November 2025).
"""

import re

from connectors.fields import id_at, instant_at, object_at, text_at
from connectors.payloads import Payload, keepable
from connectors.people import everybody, objects_at
from connectors.utterances import assembled, clock_at, length_between, number_at
from schemas.calls import NormalizedCall, Participant, Segment

METADATA = (
    "call_id", "call_log_id", "call_history_id", "call_element_id", "direction", "recording_type", "owner", "site",
    "caller_number", "caller_number_type", "callee_number", "callee_number_type", "outgoing_by", "accepted_by",
    "end_time", "meeting_uuid", "auto_delete_policy", "disclaimer_status",
)  # fmt: skip
NOBODY = "unknown speaker"
_PHONE = re.compile(r"\+?[0-9]{7,15}")
"""Shorter numbers are extensions."""


def external_id_of(payload: Payload) -> str:
    """`id` of the recording. A call may have several, so `call_id` will not do."""
    return id_at(payload, "id")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a recording with its transcript. `duration` is in seconds."""
    external_id_of(payload)
    start = instant_at(payload, "date_time")
    duration = number_at(payload, "duration", 1000)
    if duration is None:
        duration = length_between(start, instant_at(payload, "end_time"))
    caller, callee = (_party(payload, side) for side in ("caller", "callee"))
    other = caller if payload.get("direction") == "inbound" else callee
    colleagues = (_colleague(payload, name) for name in ("owner", "outgoing_by", "accepted_by"))
    spoken = object_at(payload, "transcript")
    return assembled(
        title=f"Call with {other.name or other.phone or _number(payload, other is caller) or 'an unknown number'}",
        start=start,
        duration=duration,
        segments=_segments(spoken, {_digits(p.phone): p.name for p in (caller, callee) if p.phone and p.name}),
        spoken=payload.get("transcript"),
        people=everybody((caller, callee, *colleagues)),
        metadata={name: payload.get(name) for name in METADATA},
        language=None,
    )


def _party(payload: Payload, side: str) -> Participant:
    number = _number(payload, side == "caller")
    return Participant(name=text_at(payload, f"{side}_name"), phone=number if _PHONE.fullmatch(number or "") else None)


def _number(payload: Payload, calls: bool) -> str | None:
    value = payload.get("caller_number" if calls else "callee_number")
    return keepable(str(value))[:40] if isinstance(value, str | int) and str(value).strip() else None


def _colleague(payload: Payload, name: str) -> Participant:
    """The one whose line it was; a queue is nobody."""
    person = object_at(payload, name)
    is_person = person.get("type", "user") == "user"
    return Participant(name=text_at(person, "name", where=f"{name}.") if is_person else None)


def _segments(transcript: Payload, names: dict[str, str]) -> tuple[Segment, ...]:
    """The timeline. A time of the end may lie before the one of the start."""
    segments = []
    for inner, entry in objects_at(transcript, "timeline"):
        where = f"transcript.{inner}."
        start = clock_at(entry, "ts", where=where)
        end = clock_at(entry, "end_ts", where=where) if entry.get("end_ts") is not None else start
        if text := text_at(entry, "text", where=where):
            speaker = _speaker(entry, names)
            segments.append(Segment(speaker=speaker, text=text, start_ms=start, end_ms=max(start, end)))
    return tuple(segments)


def _speaker(entry: Payload, names: dict[str, str]) -> str | None:
    """Nobody, one or several people. A name may be a number, as a text or not."""
    found: dict[str, None] = {}
    for _, user in objects_at(entry, "users"):
        value = user.get("username")
        name = keepable(str(value)).strip()[:200] if isinstance(value, str | int) else ""
        if name and name.casefold() != NOBODY:
            found.setdefault(names.get(_digits(name)) or name)
    return " & ".join(found) or None


def _digits(number: str) -> str:
    """A number as it is compared: some are written with a plus, some without."""
    return number.removeprefix("+")
