"""Google Meet's names of things, the start and the speakers of a meeting, and its notices. Pure."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Delivery, Notice, Received
from connectors.fields import instant_at, object_at, text_at
from connectors.listing import body_text, instant
from connectors.millis import position
from connectors.payloads import Payload, invalid, invalid_id, parse_json
from connectors.people import objects_at
from connectors.timeparse import rfc3339
from schemas.calls import Participant, Segment
from schemas.faults import InvalidCall

READY = "FILE_GENERATED"
"""The state of a transcript or recording whose file is there."""
EVENTS = ("google.workspace.meet.transcript.v2.fileGenerated", "google.workspace.meet.recording.v2.fileGenerated")
"""What makes a meeting worth reading. That one has ended says nothing: most are never recorded."""
_RECORD = re.compile(r"conferenceRecords/[A-Za-z0-9_-]{1,200}")
_KINDS = ("signedinUser", "anonymousUser", "phoneUser")


def record_of(name: str) -> str | None:
    """`conferenceRecords/x` of that or of anything below it; None for other names."""
    found = _RECORD.match(name)
    return found[0] if found and name[found.end() : found.end() + 1] in ("", "/") else None


def conferences(delivery: Delivery) -> list[Received | Notice]:
    """The meeting of a Pub/Sub push whose transcript or recording is ready."""
    text, value = body_text(delivery)
    try:
        message = object_at(value, "message")
        kind = text_at(object_at(message, "attributes"), "ce-type")
        if kind not in EVENTS:
            return [] if kind else [Received(invalid_id(text), text)]
        data = parse_json(base64.b64decode(text_at(message, "data") or "", validate=True).decode())
        names = [entry.get("name") for entry in data.values() if isinstance(entry, dict)]
        found = [record_of(name) for name in names if isinstance(name, str)]
    except (InvalidCall, AttributeError, ValueError, binascii.Error):
        found = []
    notices: list[Received | Notice] = [Notice(name) for name in dict.fromkeys(found) if name]
    return notices or [Received(invalid_id(text), text)]


def longest(recordings: Iterable[Payload]) -> Payload | None:
    """The recording to keep: of several, which come of pressing stop and start, the longest that is ready."""
    ready = [entry for entry in recordings if entry.get("state") == READY and file_of(entry)]

    def length(entry: Payload) -> float:
        start, end = instant(entry.get("startTime")), instant(entry.get("endTime"))
        return (end - start).total_seconds() if start and end else 0.0

    return max(ready, key=length, default=None)


def file_of(recording: Payload) -> str | None:
    """The id of a recording's file in Drive."""
    place = recording.get("driveDestination")
    name = place.get("file") if isinstance(place, dict) else None
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,200}", name) else None


def people_of(payload: Payload) -> dict[str, Participant]:
    """The participants by their names as resources. A phone user's name is a number with some digits hidden."""
    found = {}
    for where, person in objects_at(payload, "participants"):
        shown = (text_at(object_at(person, kind), "displayName", where=f"{where}.{kind}.") for kind in _KINDS)
        found[text_at(person, "name", where=f"{where}.") or where] = Participant(name=next(filter(None, shown), None))
    return found


def span(payload: Payload, first_words: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Start and end, by what the call begins with."""
    start, end = instant_at(payload, "startTime"), instant_at(payload, "endTime")
    recording = longest(entry for _, entry in objects_at(payload, "recordings"))
    began = instant_at(recording, "startTime") if recording else None
    if recording and began and (first_words is None or began <= first_words):
        return began, instant_at(recording, "endTime") or end
    transcripts = [instant_at(entry, "startTime") for _, entry in objects_at(payload, "transcripts")]
    known = [time for time in (*transcripts, first_words) if time] if first_words else []
    return min(known, default=start), end


def spoken(entries: Sequence[tuple[str, Payload]]) -> list[tuple[datetime, datetime, Payload]]:
    """Entries with their times, in the order of time. Some transcripts begin anew within a meeting."""
    timed = []
    for where, entry in entries:
        start = _time_at(entry, "startTime", where)
        if start is None:
            raise invalid(f"{where}.startTime", "is missing")
        timed.append((start, _time_at(entry, "endTime", where) or start, entry))
    return sorted(timed, key=lambda one: one[0])


def segment(start: datetime, end: datetime, entry: Payload, base: datetime, people: dict[str, Participant]) -> Segment:
    """One entry, relative to the start of the recording."""
    speaker = people.get(text_at(entry, "participant") or "")
    at = position(start, base)
    who, words = speaker.name if speaker else None, text_at(entry, "text") or ""
    return Segment(speaker=who, text=words, start_ms=at, end_ms=max(at, position(end, base)))


def _time_at(entry: Payload, name: str, where: str) -> datetime | None:
    value: Any = text_at(entry, name, where=f"{where}.")
    if value is None:
        return None
    try:
        return rfc3339(value)
    except ValueError as error:
        raise invalid(f"{where}.{name}", str(error)) from None
