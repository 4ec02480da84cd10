"""Upload: recordings and transcript files people bring themselves. Our own upload door writes the payload."""

import re
from typing import Any

from connectors.contract import Connector
from connectors.fields import instant_at, needed_text, object_at, quality_of, seconds_at, text_at
from connectors.generic import to_call as generic_call
from connectors.payloads import Payload, clean, invalid, parse_json
from connectors.transcripts import parse, parse_json_transcript
from schemas.calls import Media, NormalizedCall
from schemas.faults import InvalidCall

_SHA256 = re.compile(r"[0-9a-f]{64}")


def external_id_of(payload: Payload) -> str:
    """The SHA-256 of the file: the same bytes are the same call, under whatever name they come."""
    is_media = payload.get("kind") == "media"
    value = (object_at(payload, "media") if is_media else payload).get("sha256")
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise invalid("media.sha256" if is_media else "sha256", "is missing or not a SHA-256 in hexadecimal")
    return value


def to_call(payload: Payload) -> NormalizedCall:
    """The call in an uploaded file."""
    external_id_of(payload)
    kind = payload.get("kind")
    if kind == "media":
        call = _recording(payload)
    elif kind == "transcript":
        call = _transcript(payload)
    else:
        raise invalid("kind", 'must be "media" or "transcript"')
    return call.model_copy(update={"metadata_quality": quality_of(call)})


def _recording(payload: Payload) -> NormalizedCall:
    filename = _filename(payload)
    trouble = text_at(payload, "probe_error")
    if trouble is not None:
        sentence = (
            f"{filename} could not be read as audio or video: {trouble.strip().rstrip('.')}. "
            "Export or record it again and upload the new file."
        )
        raise InvalidCall("media_unreadable", sentence, field="media", detail=trouble)
    media = object_at(payload, "media")
    size = media.get("size_bytes")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 < size < 2**53:
        raise invalid("media.size_bytes", "must be a whole number above 0")
    return NormalizedCall(
        title=_title(payload, filename),
        recording_start_time=instant_at(payload, "recorded_at"),
        duration_ms=seconds_at(payload, "duration_seconds"),
        media=Media(
            ref=clean(needed_text(media, "ref", where="media."), "media.ref"),
            filename=filename,
            content_type=clean(text_at(media, "content_type", where="media."), "media.content_type"),
            size_bytes=size,
            sha256=media["sha256"],
        ),
        source_metadata=_metadata(payload, filename, size),
    )


def _transcript(payload: Payload) -> NormalizedCall:
    filename, kind = _filename(payload), needed_text(payload, "format")
    text = text_at(payload, "text") or ""
    value = parse_json(text) if kind == "json" and text else None
    if isinstance(value, dict) and "external_id" in value:
        return _raw_call(payload, filename, value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "external_id" in value[0]:
        sentence = "This file holds several calls. Bring them in with `callstream import`, one call on each line."
        raise InvalidCall("several_calls", sentence, field="text")
    transcript = parse_json_transcript(value) if value is not None else parse(kind, text)
    given = seconds_at(payload, "duration_seconds")
    return NormalizedCall(
        title=_title(payload, filename),
        recording_start_time=instant_at(payload, "recorded_at"),
        duration_ms=given if given is not None else transcript.duration_ms,
        full_transcript=transcript.text,
        segments=transcript.segments,
        original_transcript=text if text.strip() != transcript.text else None,
        source_metadata=_metadata(payload, filename, payload.get("size_bytes")),
        language=transcript.language,
    )


def _raw_call(payload: Payload, filename: str, value: Payload) -> NormalizedCall:
    """A JSON file that is a generic raw call brings its own fields; what the form was filled with wins."""
    call = generic_call(value)
    given = {"title": text_at(payload, "title"), "recording_start_time": instant_at(payload, "recorded_at")}
    about_file = _metadata(payload, filename, payload.get("size_bytes"))
    metadata = {**call.source_metadata, **about_file, "original_id": value["external_id"]}
    filled = {name: found for name, found in given.items() if found is not None}
    return call.model_copy(update={"source_metadata": metadata, **filled})


def _filename(payload: Payload) -> str:
    """The last part of the file's name, as the browser or the command line gave it."""
    name = re.split(r"[/\\]", text_at(payload, "filename") or "")[-1].strip()
    cleaned: str = clean(name, "filename")
    return cleaned[:255] or "Untitled upload"


def _title(payload: Payload, filename: str) -> str:
    title = text_at(payload, "title")
    return title.strip() if title else filename.rsplit(".", 1)[0].strip() or filename


def _metadata(payload: Payload, filename: str, size: Any) -> dict[str, Any]:
    known = {"filename": filename, "format": payload.get("format"), "size_bytes": size}
    return {name: clean(value, name) for name, value in known.items() if value is not None}


UPLOAD = Connector(
    source_app="upload",
    display_name="Upload",
    to_call=to_call,
    external_id_of=external_id_of,
    volatile=frozenset({"title", "source_metadata"}),
)
