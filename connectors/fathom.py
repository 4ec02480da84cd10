"""Fathom: push by signed webhook. Vendor pages: https://developers.fathom.ai, checked November 2025.

A webhook brings one meeting, without an event name. Transcript items have a start and no end, and a meeting has no
length: both come from what follows.
"""

from datetime import datetime
from typing import Any

from connectors.contract import Connector, Received, Webhook
from connectors.fields import instant_at, list_at, object_at, quality_of, text_at
from connectors.payloads import Payload, clean, invalid, kind_of, parse_json, received, written
from connectors.signatures import standard_webhook
from connectors.spoken import plain_text
from connectors.timeparse import MAX_MS, clock_ms
from schemas.calls import NormalizedCall, Participant, Segment
from schemas.faults import InvalidCall

METADATA = (
    "url", "share_url", "meeting_title", "meeting_type", "created_at", "scheduled_start_time", "scheduled_end_time",
    "calendar_invitees_domains_type", "shared_with", "default_summary", "action_items",
)  # fmt: skip
"""What is kept beside the call. `meeting_url` is not among it: it often carries the meeting's passcode."""


def read_webhook(body: bytes) -> list[Received]:
    """The meeting of one delivery, word for word."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = parse_json(text)
    except InvalidCall:
        value = None
    return [received(text, value, external_id_of)]


def external_id_of(payload: Payload) -> str:
    """`recording_id`, a whole number; as text it is accepted too."""
    value = payload.get("recording_id")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**20:
        raise invalid("recording_id", "is missing or not a whole number")
    return str(value)


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a meeting object."""
    recording_id = external_id_of(payload)
    start, end = instant_at(payload, "recording_start_time"), instant_at(payload, "recording_end_time")
    duration = _length(start, end)
    spoken = list_at(payload, "transcript")
    segments = _segments(spoken, duration)
    if not segments:
        sentence = (
            "Fathom sent this call without its transcript. "
            'Switch on "transcript" in the settings of the webhook at Fathom and have it sent again.'
        )
        raise InvalidCall("transcript_missing", sentence, field="transcript")
    call = NormalizedCall(
        title=text_at(payload, "title") or text_at(payload, "meeting_title") or f"Fathom call {recording_id}",
        recording_start_time=start,
        duration_ms=duration,
        full_transcript=plain_text(segments),
        segments=segments,
        participants=_participants(payload),
        original_transcript=written(spoken),
        source_metadata=_metadata(payload),
        language=text_at(payload, "transcript_language"),
    )
    return call.model_copy(update={"metadata_quality": quality_of(call)})


def _length(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None or end < start:
        return None
    milliseconds = round((end - start).total_seconds() * 1000)
    return milliseconds if milliseconds <= MAX_MS else None


def _segments(spoken: list[Any], duration: int | None) -> tuple[Segment, ...]:
    items = [_item(entry, f"transcript[{number}]") for number, entry in enumerate(spoken)]
    segments = []
    for number, (speaker, text, start) in enumerate(items):
        following = items[number + 1][2] if number + 1 < len(items) else duration
        if text.strip():
            end = max(start, following if following is not None else start)
            segments.append(Segment(speaker=speaker, text=text, start_ms=start, end_ms=end))
    return tuple(segments)


def _item(entry: object, where: str) -> tuple[str | None, str, int]:
    if not isinstance(entry, dict):
        raise invalid(where, f"must be an object, and it is {kind_of(entry)}")
    stamp = text_at(entry, "timestamp", where=f"{where}.")
    if stamp is None:
        raise invalid(f"{where}.timestamp", "is missing")
    try:
        start = clock_ms(stamp)
    except ValueError as error:
        raise invalid(f"{where}.timestamp", str(error)) from None
    speaker = text_at(_person(entry.get("speaker"), f"{where}.speaker"), "display_name", where=f"{where}.speaker.")
    return speaker, text_at(entry, "text", where=f"{where}.") or "", min(start, MAX_MS)


def _person(value: object, where: str) -> Payload:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(where, f"must be an object, and it is {kind_of(value)}")
    return value


def _participants(payload: Payload) -> tuple[Participant, ...]:
    """Who recorded it, then who was invited; nobody twice."""
    people = [("recorded_by", object_at(payload, "recorded_by"))]
    invitees = list_at(payload, "calendar_invitees")
    for number, entry in enumerate(invitees):
        where = f"calendar_invitees[{number}]"
        people.append((where, _person(entry, where)))
    found: dict[str, Participant] = {}
    for where, person in people:
        name, email = text_at(person, "name", where=f"{where}."), text_at(person, "email", where=f"{where}.")
        if name or email:
            found.setdefault((email or name or "").casefold(), Participant(name=name, email=email))
    return tuple(found.values())


def _metadata(payload: Payload) -> dict[str, Any]:
    return {name: clean(payload[name], name) for name in METADATA if payload.get(name) is not None}


FATHOM = Connector(
    source_app="fathom",
    display_name="Fathom",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(standard_webhook, read_webhook),
)
