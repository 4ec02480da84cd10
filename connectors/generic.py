"""Generic: any system that signs as Standard Webhooks, and each line of a JSON Lines file: the generic raw call."""

from typing import Any

from connectors.contract import Connector, Delivery, Notice, Received, Webhook
from connectors.fields import (
    https_at,
    id_at,
    instant_at,
    list_at,
    ms_at,
    needed_text,
    object_at,
    participants_at,
    quality_of,
    seconds_at,
    text_at,
)  # fmt: skip
from connectors.payloads import Payload, clean, invalid, keepable, kind_of, parse_json, received, written
from connectors.signatures import standard
from connectors.spoken import plain_text
from connectors.timeparse import MAX_MS
from schemas.calls import Media, NormalizedCall, Segment
from schemas.faults import InvalidCall

KNOWN = frozenset({
    "external_id", "title", "recording_start_time", "duration_seconds", "full_transcript", "segments",
    "participants", "media_url", "metadata",
})  # fmt: skip


def read(delivery: Delivery) -> list[Received | Notice]:
    """One call, a list of calls, or `{"calls": [...]}`. A single call's payload is the body, word for word."""
    text = delivery.body.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = parse_json(text)
        batch = value["calls"] if isinstance(value, dict) and isinstance(value.get("calls"), list) else value
        if isinstance(batch, list):
            return [received(written(item), item, external_id_of) for item in batch]
    except InvalidCall:
        value = None
    return [received(text, value, external_id_of)]


def external_id_of(payload: Payload) -> str:
    """The sender's own id of the call."""
    return id_at(payload, "external_id")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a generic raw call."""
    if "source_app" in payload and "payload" in payload:
        raise _unknown_source(payload["source_app"])
    external_id_of(payload)
    transcript = text_at(payload, "full_transcript")
    segments = segments_at(payload)
    url = https_at(payload, "media_url")
    if transcript is None and not segments and url is None:
        sentence = "The call brings nothing to read or hear: give full_transcript, segments or media_url."
        raise InvalidCall("nothing_to_import", sentence, field="full_transcript")
    start = instant_at(payload, "recording_start_time")
    if start is None:
        raise invalid("recording_start_time", "is missing")
    call = NormalizedCall(
        title=needed_text(payload, "title").strip(),
        recording_start_time=start,
        duration_ms=seconds_at(payload, "duration_seconds"),
        full_transcript=transcript if transcript is not None else plain_text(segments) or None,
        segments=segments,
        participants=participants_at(payload, "participants"),
        media=Media(url=url) if url else None,
        source_metadata=_metadata(payload),
    )
    return call.model_copy(update={"metadata_quality": quality_of(call)})


def segments_at(payload: Payload) -> tuple[Segment, ...]:
    """The utterances, as the sender times them; those without a word are left out."""
    found = (_segment(entry, number) for number, entry in enumerate(list_at(payload, "segments")))
    return tuple(segment for segment in found if segment is not None)


def _segment(entry: Any, number: int) -> Segment | None:
    if not isinstance(entry, dict):
        raise invalid(f"segments[{number}]", f"must be an object, and it is {kind_of(entry)}")
    start, end, text, speaker = entry.get("start_ms"), entry.get("end_ms"), entry.get("text"), entry.get("speaker")
    usual = type(start) is int and type(end) is int and 0 <= start <= end <= MAX_MS
    if not usual or not isinstance(text, str) or not isinstance(speaker, str) or not speaker.strip():
        where = f"segments[{number}]."
        start, end = ms_at(entry, "start_ms", where=where), ms_at(entry, "end_ms", where=where)
        if end < start:
            raise invalid(f"{where}end_ms", "lies before start_ms")
        if not isinstance(text, str):
            raise invalid(f"{where}text", "must be a text")
        speaker = text_at(entry, "speaker", where=where)
    return Segment(speaker=speaker, text=text, start_ms=start, end_ms=end) if keepable(text).strip() else None


def _metadata(payload: Payload) -> dict[str, Any]:
    """The sender's metadata, and under `extra` what callstream has no word for. The id is normalize's to add."""
    metadata: dict[str, Any] = clean(object_at(payload, "metadata"), "metadata")
    metadata.pop("external_id", None)
    extra = {name: value for name, value in payload.items() if name not in KNOWN}
    return {**metadata, "extra": clean(extra, "extra")} if extra and "extra" not in metadata else metadata


def _unknown_source(name: object) -> InvalidCall:
    named = f'"{keepable(name)[:60]}"' if isinstance(name, str) else kind_of(name)
    sentence = f"source_app names {named}, which is no source that calls can be imported from. Correct it."
    return InvalidCall("unknown_source", sentence, field="source_app")


GENERIC = Connector(
    source_app="generic",
    display_name="Any system (webhook)",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(standard, read, key_from="us"),
)
