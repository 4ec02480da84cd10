"""What the samples do not show: refusals with their field and sentence, ids, batches and lines."""

import hashlib
import json
from typing import Any

import pytest

from connectors import fathom, generic, upload
from connectors.contract import Delivery
from connectors.registry import CONNECTORS, raw_line, to_call
from schemas.faults import InvalidCall

RAW: dict[str, Any] = {
    "external_id": "a1",
    "title": "T",
    "recording_start_time": "2025-11-03T16:01:12Z",
    "full_transcript": "hello",
}
SEGMENT = {"text": "x", "start_ms": 0, "end_ms": 1}
MEETING: dict[str, Any] = {"recording_id": 7, "transcript": [{"text": "x", "timestamp": "0:01"}]}
FILE: dict[str, Any] = {
    "kind": "transcript",
    "format": "txt",
    "filename": "a.txt",
    "text": "hello",
    "size_bytes": 5,
    "sha256": "0" * 64,
}
RECORDING: dict[str, Any] = {
    "kind": "media",
    "filename": "a.mp3",
    "media": {"ref": "r", "content_type": "audio/mpeg", "size_bytes": 5, "sha256": "0" * 64},
}


def delivered(body: bytes) -> Delivery:
    return Delivery("POST", "https://calls.example.com/webhooks/x", {}, {}, body, "secret", 0.0, 300)


def refusal(source_app: str, payload: dict[str, Any]) -> InvalidCall:
    with pytest.raises(InvalidCall) as caught:
        to_call(source_app, json.dumps(payload))
    return caught.value


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"external_id": None}, "external_id", "is missing"),
        ({"external_id": 12}, "external_id", "must be a text"),
        ({"external_id": "x" * 513}, "external_id", "longer than 512"),
        ({"external_id": "x\x00"}, "external_id", "no database can keep"),
        ({"title": ""}, "title", "is missing"),
        ({"recording_start_time": None}, "recording_start_time", "is missing"),
        ({"recording_start_time": " "}, "recording_start_time", "is missing"),
        ({"recording_start_time": 1762185731}, "recording_start_time", "must be a text"),
        ({"recording_start_time": "2025-11-03T16:01:12"}, "recording_start_time", "has no time zone"),
        ({"duration_seconds": "12"}, "duration_seconds", "must be a number of seconds"),
        ({"duration_seconds": True}, "duration_seconds", "true or false"),
        ({"duration_seconds": -1}, "duration_seconds", "between 0 and one month"),
        ({"full_transcript": None}, "full_transcript", "nothing to read or hear"),
        ({"full_transcript": 5}, "full_transcript", "must be a text"),
        ({"segments": "x"}, "segments", "must be a list"),
        ({"segments": [SEGMENT, 3]}, "segments[1]", "must be an object"),
        ({"segments": [SEGMENT | {"start_ms": 2}]}, "segments[0].end_ms", "before start_ms"),
        ({"segments": [SEGMENT | {"start_ms": 0.5}]}, "segments[0].start_ms", "whole number"),
        ({"segments": [SEGMENT | {"end_ms": 10**12}]}, "segments[0].end_ms", "one month"),
        ({"segments": [SEGMENT | {"text": None}]}, "segments[0].text", "must be a text"),
        ({"segments": [SEGMENT | {"speaker": {}}]}, "segments[0].speaker", "an object"),
        ({"participants": ["Ann"]}, "participants[0]", "must be an object"),
        ({"participants": [{"email": 4}]}, "participants[0].email", "must be a text"),
        ({"media_url": "http://a.example/x.mp3"}, "media_url", "must begin with https://"),
        ({"media_url": "https://u:p@a.example/x"}, "media_url", "user name or a password"),
        ({"media_url": "https://"}, "media_url", "not an address"),
        ({"media_url": "https://a.example/a b"}, "media_url", "not an address"),
        ({"media_url": "https://a.example:99999/"}, "media_url", "not an address"),
        ({"metadata": []}, "metadata", "must be an object"),
        ({"metadata": {"a": 10**30}}, "metadata", "too large"),
        ({"deep": json.loads("[" * 40 + "]" * 40)}, "extra", "nested more than"),
    ],
)
def test_a_generic_call_is_refused_naming_the_field(change: dict[str, Any], field: str, words: str) -> None:
    fault = refusal("generic", RAW | change)
    assert fault.field == field
    assert words in fault.sentence


def test_odd_but_right_generic_fields_are_taken() -> None:
    call = generic.to_call(
        RAW | {"segments": [SEGMENT | {"start_ms": 0.0, "speaker": ""}], "duration_seconds": 0, "metadata": None}
    )
    assert call.segments[0].speaker is None
    assert call.duration_ms == 0
    assert generic.to_call(RAW | {"metadata": {"extra": 1}, "unknown": 2}).source_metadata == {"extra": 1}


def test_a_media_url_does_not_count_as_a_change() -> None:
    urls = [RAW | {"media_url": f"https://a.example/x?signature={n}"} for n in (1, 2)]
    assert to_call("generic", json.dumps(urls[0]))[1] == to_call("generic", json.dumps(urls[1]))[1]
    assert to_call("generic", json.dumps(RAW))[1] != to_call("generic", json.dumps(RAW | {"title": "U"}))[1]


def test_a_single_body_is_kept_word_for_word() -> None:
    body = '{ "external_id": "ü1",  "title": 1.0 }'
    (found,) = generic.read(delivered(body.encode()))
    assert (found.external_id, found.payload, found.observed_at) == ("ü1", body, None)


@pytest.mark.parametrize("wrap", [lambda calls: calls, lambda calls: {"calls": calls}])
def test_a_batch_is_taken_apart(wrap: Any) -> None:
    body = json.dumps(wrap([RAW, RAW | {"external_id": "a2"}, 7, {"title": "no id"}])).encode()
    found = generic.read(delivered(body))
    assert [received.external_id for received in found[:2]] == ["a1", "a2"]
    assert all(received.external_id.startswith("invalid-") for received in found[2:])
    assert json.loads(found[1].payload) == RAW | {"external_id": "a2"}
    assert found[2].payload == "7"


def test_an_empty_batch_brings_nothing() -> None:
    assert generic.read(delivered(b"[]")) == generic.read(delivered(b'{"calls": []}')) == []


@pytest.mark.parametrize("read", [generic.read, fathom.read_webhook])
@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"<html>", b"3", b'{"a": NaN}', b"[" * 100_000, b'{"external_id": ""}']
)
def test_an_unreadable_body_becomes_one_call_that_fails(read: Any, body: bytes) -> None:
    (found,) = read(delivered(body))
    text = body.decode("utf-8", "replace")
    assert found.external_id == "invalid-" + hashlib.sha256(text.encode()).hexdigest()[:32]
    assert found.payload == text


def test_lone_surrogates_travel_as_escapes() -> None:
    (found,) = generic.read(delivered(b'[{"external_id": "a1", "title": "\\ud800 x"}]'))
    found.payload.encode()
    assert json.loads(found.payload)["title"] == "\ud800 x"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"recording_id": None}, "recording_id"),
        ({"recording_id": True}, "recording_id"),
        ({"recording_id": "abc"}, "recording_id"),
        ({"recording_id": 10**30}, "recording_id"),
        ({"recording_start_time": "yesterday"}, "recording_start_time"),
        ({"transcript": {}}, "transcript"),
        ({"transcript": [{"text": "x"}]}, "transcript[0].timestamp"),
        ({"transcript": [{"text": "x", "timestamp": "soon"}]}, "transcript[0].timestamp"),
        ({"transcript": [{"text": "x", "timestamp": "0:01", "speaker": "Ann"}]}, "transcript[0].speaker"),
        ({"calendar_invitees": [3]}, "calendar_invitees[0]"),
        ({"recorded_by": []}, "recorded_by"),
    ],
)
def test_a_fathom_meeting_is_refused_naming_the_field(change: dict[str, Any], field: str) -> None:
    assert refusal("fathom", MEETING | change).field == field


@pytest.mark.parametrize("transcript", [None, [], [{"text": " ", "timestamp": "0:01"}]])
def test_a_fathom_meeting_without_words_says_where_to_switch_them_on(transcript: Any) -> None:
    fault = refusal("fathom", MEETING | {"transcript": transcript})
    assert fault.reason == "nothing_to_read"
    assert "settings of the webhook at Fathom" in fault.sentence


def test_a_fathom_meeting_that_ends_before_it_starts_has_no_length() -> None:
    times = {"recording_start_time": "2025-11-03T16:01:12Z", "recording_end_time": "2025-11-03T16:00:00Z"}
    assert fathom.to_call(MEETING | times).duration_ms is None


def test_a_fathom_webhook_takes_its_id_from_the_recording() -> None:
    (found,) = fathom.read_webhook(delivered(b'{"recording_id": 48213377}'))
    assert found.external_id == "48213377"


def test_a_probe_error_tells_what_to_do() -> None:
    fault = refusal("upload", RECORDING | {"probe_error": "it has no sound track."})
    assert fault.reason == "media_unreadable"
    assert str(fault) == (
        "a.mp3 could not be read as audio or video: it has no sound track. "
        "Export or record it again and upload the new file."
    )


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (FILE | {"kind": "other"}, "kind"),
        (FILE | {"sha256": "0"}, "sha256"),
        (FILE | {"format": None}, "format"),
        (FILE | {"format": "docx"}, "format"),
        (FILE | {"text": ""}, "text"),
        (FILE | {"recorded_at": "x"}, "recorded_at"),
        (FILE | {"duration_seconds": "x"}, "duration_seconds"),
        (RECORDING | {"media": None}, "media.sha256"),
        (RECORDING | {"media": RECORDING["media"] | {"ref": ""}}, "media.ref"),
        (RECORDING | {"media": RECORDING["media"] | {"size_bytes": 0}}, "media.size_bytes"),
        (FILE | {"format": "json", "text": json.dumps(RAW | {"title": 3})}, "title"),
    ],
)
def test_an_upload_is_refused_naming_the_field(payload: dict[str, Any], field: str) -> None:
    assert refusal("upload", payload).field == field


def test_a_file_of_several_calls_is_sent_to_the_right_door() -> None:
    fault = refusal("upload", FILE | {"format": "json", "text": json.dumps([RAW, RAW])})
    assert fault.reason == "several_calls"
    assert "callstream import" in fault.sentence


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("a.b.txt", "a.b"),
        (".txt", ".txt"),
        ("../../etc/passwd", "passwd"),
        ("", "Untitled upload"),
        (None, "Untitled upload"),
        ("C:\\x\\Anruf.m4a", "Anruf"),
        ("\x00\ud800.txt", "?"),
    ],
)
def test_the_title_is_the_name_of_the_file(filename: str | None, title: str) -> None:
    assert upload.to_call(FILE | {"filename": filename}).title == title


def test_the_same_bytes_under_another_name_are_the_same_call() -> None:
    for first in (FILE, RECORDING):
        second = first | {"filename": "other.txt", "title": "Other"}
        assert to_call("upload", json.dumps(first))[1] == to_call("upload", json.dumps(second))[1]
        assert upload.external_id_of(first) == upload.external_id_of(second) == "0" * 64
    changed = RECORDING | {"media": RECORDING["media"] | {"sha256": "1" * 64}}
    assert to_call("upload", json.dumps(RECORDING))[1] != to_call("upload", json.dumps(changed))[1]


def test_a_line_is_a_raw_call_or_a_vendors_payload() -> None:
    source_app, found = raw_line(f"  {json.dumps(RAW)}\n")
    assert (source_app, found.external_id, found.payload) == ("generic", "a1", json.dumps(RAW))
    source_app, found = raw_line(json.dumps({"source_app": "fathom", "payload": MEETING}))
    assert (source_app, found.external_id, json.loads(found.payload)) == ("fathom", "7", MEETING)
    source_app, found = raw_line('{"source_app": "fathom", "payload": 3}')
    assert (source_app, found.payload) == ("fathom", "3")


@pytest.mark.parametrize("name", ["nobody", "upload", 7, None, "\ud800", ["generic"]])
def test_a_line_of_an_unknown_source_fails_with_that_reason(name: Any) -> None:
    source_app, found = raw_line(json.dumps({"source_app": name, "payload": FILE}))
    assert source_app == "generic"
    with pytest.raises(InvalidCall) as caught:
        to_call(source_app, found.payload)
    assert caught.value.reason == "unknown_source"
    assert "source_app" in caught.value.sentence


def test_a_payload_of_an_unknown_source_is_refused() -> None:
    assert refusal("nobody", {}).reason == "unknown_source"


def test_the_registry_starts_with_these() -> None:
    assert {"upload", "generic", "fathom"} <= set(CONNECTORS)
    assert CONNECTORS["upload"].webhook is None
