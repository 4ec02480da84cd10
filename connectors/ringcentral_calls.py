"""What a record of RingCentral's call log says, with what RingSense heard. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.fields import instant_at, object_at, text_at
from connectors.listing import instant
from connectors.payloads import Payload, invalid
from connectors.people import everybody, objects_at, participant
from connectors.utterances import assembled, number_at, utterance
from schemas.calls import NormalizedCall, Segment
from schemas.faults import InvalidCall

METADATA = (
    "id", "sessionId", "telephonySessionId", "type", "direction", "action", "result", "reason", "extension",
    "lastModifiedTime",
)  # fmt: skip
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def external_id_of(payload: Payload) -> str:
    """`recording.id`, of the leg if there is one: a call may have several recordings."""
    where = "leg.recording.id" if payload.get("leg") is not None else "recording.id"
    recording = object_at(object_at(payload, "leg") or payload, "recording")
    value = recording.get("id")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
        return str(value)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise invalid(where, "is missing or no id")
    return value


def recordings_of(record: Payload) -> Iterator[tuple[str, Payload]]:
    """The id and the payload of each recording of a record: its own, and those of legs that it does not name."""
    legs, seen = record.get("legs"), set[str]()
    for part in (record, *(legs if isinstance(legs, list) else ())):
        if isinstance(part, dict) and isinstance(part.get("recording"), dict):
            payload = record if part is record else {**record, "leg": part}
            try:
                external_id = external_id_of(payload)
            except InvalidCall:
                continue
            if external_id not in seen:
                seen.add(external_id)
                yield external_id, payload


def ended(record: Mapping[str, Any]) -> datetime | None:
    """When a call was over, as far as it can be told."""
    start, seconds = instant(record.get("startTime")), record.get("duration")
    length = min(seconds, 86_400) if type(seconds) is int and seconds > 0 else 0
    return start + timedelta(seconds=length) if start else None


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a record of the call log. Lengths are in seconds; RingSense knows the recording's own."""
    external_id_of(payload)
    insights, part = object_at(payload, "insights"), object_at(payload, "leg") or payload
    starts = ((insights, "recordingStartTime"), (part, "startTime"), (payload, "startTime"))
    lengths = ((insights, "recordingDurationMs", 1), (part, "durationMs", 1), (part, "duration", 1000))
    heard = _speakers(insights)
    sides = [(name, object_at(one, name)) for one in (payload, object_at(payload, "leg")) for name in ("from", "to")]
    people = [participant(person, name, phone="phoneNumber") for name, person in sides]
    other = people[0] if payload.get("direction") == "Inbound" else people[1]
    spoken = object_at(insights, "insights")
    return assembled(
        title=text_at(insights, "title") or f"Call with {other.name or other.phone or 'an unknown number'}",
        start=next(filter(None, (instant_at(*place) for place in starts)), None),
        duration=next(filter(None, (number_at(*place) for place in lengths)), None),
        segments=tuple(_segments(spoken, heard)),
        spoken=spoken.get("Transcript"),
        people=everybody((*people, *(participant({"name": name}, "speakerInfo") for name in heard.values()))),
        metadata={name: payload.get(name) for name in METADATA}
        | {"recording_id": external_id_of(payload), "recording_type": object_at(part, "recording").get("type")},
        language=None,
    )


def _speakers(insights: Payload) -> dict[str | None, str | None]:
    """Names by RingSense's ids of speakers; some have none."""
    found = {}
    for inner, speaker in objects_at(insights, "speakerInfo"):
        where = f"insights.{inner}."
        found[text_at(speaker, "speakerId", where=where)] = text_at(speaker, "name", where=where)
    return found


def _segments(spoken: Payload, names: dict[str | None, str | None]) -> Iterator[Segment]:
    for where, entry in objects_at(spoken, "Transcript"):
        speaker = text_at(entry, "speakerId", where=f"{where}.")
        said = utterance(entry, where, names.get(speaker) or speaker, 1000, ("start", "end"))
        if said is not None:
            yield said
