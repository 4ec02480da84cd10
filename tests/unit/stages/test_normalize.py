"""Raw call in, call in our own terms out: who it is stays as it was, and what goes on can be stored."""

import json
import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calls import Call, Media, NormalizedCall, Placement, RawCall, Segment
from schemas.faults import InvalidCall
from schemas.topics import NORMALIZED
from streams.stages.normalize import normalize

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
RAW_CALL = RawCall(
    event_id=UUID(int=1), workspace_id=UUID(int=2), source_app="fathom", external_id="x:1", job_id=UUID(int=3),
    observed_at=NOW, received_at=datetime(2026, 5, 5, tzinfo=UTC), payload="the payload", source_id=UUID(int=4),
    placement=Placement(owner_user_id=UUID(int=5), bank_id=UUID(int=6), vault_id=UUID(int=7)),
)  # fmt: skip
CONTENT = NormalizedCall(
    title="A call", recording_start_time=NOW, duration_ms=60_000, full_transcript="Hello.",
    segments=(Segment(text="Hello.", start_ms=0, end_ms=900),), source_metadata={"a": 1, "external_id": "theirs"},
    metadata_quality="partial", language="de",
)  # fmt: skip


def made(content: NormalizedCall = CONTENT, raw: RawCall = RAW_CALL) -> Call:
    ((topic, call),) = normalize(raw, lambda *_: (content, "f" * 64)).events
    assert topic is NORMALIZED
    assert isinstance(call, Call)
    return call


def test_the_connector_gets_source_and_payload_word_for_word() -> None:
    seen: list[tuple[str, str, Media | None]] = []
    media = Media(ref="pulled/a/b", sha256="c" * 64)

    def to_call(source_app: str, payload: str, media: Media | None) -> tuple[NormalizedCall, str]:
        seen.append((source_app, payload, media))
        return CONTENT, "f"

    normalize(RAW_CALL, to_call)
    normalize(RAW_CALL.model_copy(update={"media": media}), to_call)
    assert seen == [("fathom", "the payload", None), ("fathom", "the payload", media)]


def test_what_identifies_the_event_is_carried_over_unchanged() -> None:
    call = made()
    for name in (
        "event_id", "workspace_id", "source_app", "external_id", "job_id", "observed_at", "received_at", "source_id",
        "placement", "key", "version",
    ):  # fmt: skip
        assert getattr(call, name) == getattr(RAW_CALL, name), name


def test_the_content_and_its_fingerprint_are_the_connectors() -> None:
    call = made()
    assert call.fingerprint == "f" * 64
    for name in set(NormalizedCall.model_fields) - {"source_metadata"}:
        assert getattr(call, name) == getattr(CONTENT, name), name


def test_the_external_id_is_ours_and_comes_first_in_the_metadata() -> None:
    assert list(made().source_metadata.items()) == [("external_id", "x:1"), ("a", 1)]


def test_a_call_the_connector_refuses_stays_refused() -> None:
    def to_call(source_app: str, payload: str, media: Media | None) -> tuple[NormalizedCall, str]:
        raise InvalidCall("no_title", "The call has no title.", field="title")

    with pytest.raises(InvalidCall, match="The call has no title"):
        normalize(RAW_CALL, to_call)


def clean(value: Any) -> Any:
    """What becomes of a value in the metadata of a call."""
    return NormalizedCall(title="A call", source_metadata={"value": value}).source_metadata["value"]


def test_metadata_nested_without_end_is_cut_off() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    depth, kept = 0, clean(deep)
    while isinstance(kept, list):
        depth, kept = depth + 1, kept[0]
    assert kept is None
    assert 20 < depth < 100


ODD = st.text(st.characters() | st.sampled_from("\x00\ud800\udfff"), max_size=8)
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD, inner, max_size=4),
    max_leaves=12,
)


@given(ANY_JSON)
def test_clean_metadata_can_be_stored_and_is_left_alone_the_second_time(value: Any) -> None:
    once = clean(value)
    text = json.dumps(once, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\x00" not in text
    assert "\\u0000" not in text
    assert clean(once) == once


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), ANY_JSON))
def test_metadata_that_needs_no_cleaning_is_kept_as_it_is(metadata: dict[str, Any]) -> None:
    sound = json.loads(json.dumps(clean(metadata)))
    assert made(CONTENT.model_copy(update={"source_metadata": sound})).source_metadata == {
        "external_id": "x:1",
        **{name: value for name, value in sound.items() if name != "external_id"},
    }


def test_numbers_no_json_can_hold_become_null() -> None:
    assert clean({"a": [math.nan, math.inf, -math.inf, 1.5]}) == {"a": [None, None, None, 1.5]}
