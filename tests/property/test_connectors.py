"""Whatever the bytes are: calls or `InvalidCall`, delivery ids or `BadSignature`, and readers that never raise."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import BadSignature, Delivery, Notice, Received
from connectors.payloads import clean
from connectors.registry import CONNECTORS, raw_line, to_call
from connectors.signatures import sign_standard_webhook, standard_webhook
from connectors.transcripts import decode, parse
from schemas.calls import NormalizedCall
from schemas.faults import InvalidCall

ANYTHING = st.characters(exclude_categories=())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(ANYTHING, max_size=20)
    | st.text(st.sampled_from("\x00\ud800\udfff:-><0123456789 \nTZ+.[]{}"), max_size=20)
    | st.sampled_from(["2025-11-03T16:01:12Z", "00:00:04", "https://a.example/b", "media", "transcript", "vtt", "json"])
)
KNOWN = (
    "external_id title recording_start_time duration_seconds full_transcript segments participants media_url metadata "
    "kind format filename text media sha256 ref size_bytes content_type probe_error recorded_at recording_id "
    "recording_end_time transcript speaker timestamp display_name calendar_invitees recorded_by name email start_ms "
    "end_ms start end source_app payload calls url default_summary id start_datetime duration_ms participants "
    "dateString duration sentences speaker_name speaker_id start_time end_time speakers meeting_attendees displayName "
    "metaData started parties speakerId emailAddress type data event meeting_id meetingId eventType callData isTest"
)
NAMES = st.sampled_from(KNOWN.split()) | st.text(max_size=5)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6))
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=12)
RAW_CALLS = st.fixed_dictionaries(
    {
        "external_id": st.text(min_size=1) | VALUES,
        "title": st.text(min_size=1) | VALUES,
        "recording_start_time": st.datetimes().map(lambda time: time.isoformat() + "Z") | VALUES,
        "recording_id": st.integers(min_value=0) | VALUES,
    },
    optional={
        "full_transcript": st.text(),
        "segments": st.lists(
            st.fixed_dictionaries(
                {
                    "text": st.text(),
                    "start_ms": st.integers(0, 1000),
                    "end_ms": st.integers(1000, 2000),
                }
            )
        ),
        "transcript": st.lists(st.fixed_dictionaries({"text": st.text(), "timestamp": st.just("0:01")})),
        "duration_seconds": st.floats() | st.integers(),
        "metadata": VALUES,
        "extra": VALUES,
        "participants": VALUES,
    },
)
UPLOADS = st.fixed_dictionaries(
    {
        "kind": st.just("transcript"),
        "format": st.sampled_from(["vtt", "srt", "txt", "json"]),
        "filename": st.text(),
        "text": st.text() | VALUES.map(json.dumps) | RAW_CALLS.map(json.dumps),
        "sha256": st.just("0" * 64),
    }
)


def check_call(source_app: str, payload: str) -> None:
    try:
        content, fingerprint = to_call(source_app, payload)
    except InvalidCall as refusal:
        str(refusal).encode()
        return
    assert NormalizedCall.model_validate_json(content.model_dump_json()) == content
    assert len(fingerprint) == 64
    assert clean(content.source_metadata, "") == content.source_metadata
    assert "\x00" not in (content.full_transcript or "") + content.title + (content.original_transcript or "")


def check_received(found: Sequence[Received | Notice]) -> None:
    for received in found:
        assert 0 < len(received.external_id) <= 512
        assert "\x00" not in received.external_id
        (received.external_id + (received.payload if isinstance(received, Received) else "")).encode()


@pytest.mark.parametrize("source_app", [*CONNECTORS, "nobody"])
@given(value=OBJECTS | RAW_CALLS | UPLOADS | VALUES)
@settings(max_examples=150, deadline=None)
def test_any_json_becomes_a_call_or_is_invalid(source_app: str, value: Any) -> None:
    check_call(source_app, json.dumps(value))


@pytest.mark.parametrize("source_app", CONNECTORS)
@given(text=st.text(ANYTHING))
@settings(max_examples=50, deadline=None)
def test_any_text_becomes_a_call_or_is_invalid(source_app: str, text: str) -> None:
    check_call(source_app, text)


@pytest.mark.parametrize("source_app", CONNECTORS)
@given(value=OBJECTS | RAW_CALLS | UPLOADS)
@settings(max_examples=100, deadline=None)
def test_mapping_alone_raises_invalid_call_only(source_app: str, value: dict[str, Any]) -> None:
    for function in (CONNECTORS[source_app].to_call, CONNECTORS[source_app].external_id_of):
        try:
            function(value)
        except InvalidCall as refusal:
            str(refusal).encode()


@pytest.mark.parametrize("source_app", [name for name, connector in CONNECTORS.items() if connector.webhook])
@given(body=st.binary() | (VALUES | RAW_CALLS | st.lists(RAW_CALLS, max_size=3)).map(lambda v: json.dumps(v).encode()))
@settings(max_examples=150, deadline=None)
def test_reading_a_webhook_never_raises(source_app: str, body: bytes) -> None:
    webhook = CONNECTORS[source_app].webhook
    assert webhook is not None
    check_received(webhook.read(Delivery("POST", "https://calls.example.com/webhooks/x", {}, {}, body, "s", 0.0, 300)))


@given(line=st.text(ANYTHING) | (OBJECTS | RAW_CALLS | VALUES).map(json.dumps))
@settings(max_examples=200, deadline=None)
def test_reading_a_line_never_raises(line: str) -> None:
    source_app, received = raw_line(line)
    assert source_app in CONNECTORS
    assert source_app != "upload"
    check_received([received])
    check_call(source_app, received.payload)


PARTS = ("id", "timestamp", "signature")
HEADERS = st.dictionaries(
    st.sampled_from(
        [f"{family}-{part}" for family in ("webhook", "svix") for part in ("id", "timestamp", "signature")]
    ),
    st.text(ANYTHING, max_size=40) | st.sampled_from(["msg_1", "1762185731", "v1,AAAA", "v1,", "9" * 400, "1e9"]),
)


@given(
    headers=HEADERS,
    body=st.binary(),
    secret=st.text(ANYTHING, max_size=40) | st.just("whsec_c2VjcmV0"),
    now=st.floats(0, 1e12),
)
@settings(max_examples=300, deadline=None)
def test_any_request_is_refused_without_another_error(
    headers: dict[str, str], body: bytes, secret: str, now: float
) -> None:
    with pytest.raises(BadSignature):
        standard_webhook(headers, body, secret, now, 300)


@given(
    body=st.binary(),
    secret=st.binary(min_size=1, max_size=64),
    now=st.integers(0, 10**12),
    shift=st.integers(-300, 300),
)
@settings(max_examples=100, deadline=None)
def test_what_is_signed_is_accepted(body: bytes, secret: bytes, now: int, shift: int) -> None:
    text = "whsec_" + base64.b64encode(secret).decode()
    headers = sign_standard_webhook(text, "msg_1", max(0, now + shift), body)
    assert standard_webhook(headers, body, text, now, 300) == "msg_1"
    with pytest.raises(BadSignature):
        standard_webhook(headers, body + b" ", text, now, 300)


CAPTIONS = st.lists(
    st.sampled_from(
        [
            "WEBVTT",
            "",
            "1",
            "2",
            "00:00:01.000 --> 00:00:02.000",
            "00:00:01,000 --> 00:00:02,000",
            "-->",
            "00:01 --> x",
            "99999999999:00:00.000 --> 1:1:1.1",
            "<v Sam>hi",
            "<v",
            "Sam: hi",
            "NOTE",
            "STYLE",
            "REGION",
            "&amp;&#0;&#xD800;",
            "<<<<>>>>",
            "²",
            "00:00:01 Sam",
            "[00:01] Sam: x",
            "Sam 0:01",
            "1\u2028",
            "\x00",
        ]
    )
).map("\n".join)


@pytest.mark.parametrize("kind", ["vtt", "srt", "txt", "json", "other"])
@given(text=st.text(ANYTHING) | CAPTIONS | VALUES.map(json.dumps))
@settings(max_examples=150, deadline=None)
def test_any_transcript_is_read_or_invalid(kind: str, text: str) -> None:
    try:
        transcript = parse(kind, text)
    except InvalidCall as refusal:
        str(refusal).encode()
        return
    assert transcript.text.strip()
    assert all(0 <= segment.start_ms <= segment.end_ms for segment in transcript.segments)
    assert all(segment.text.strip() for segment in transcript.segments)


@given(data=st.binary() | st.text().map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_text_or_invalid(data: bytes) -> None:
    try:
        text = decode(data)
    except InvalidCall:
        return
    text.encode()
    assert "\x00" not in text
    assert "\r" not in text
