"""Envelopes: what is encoded comes back the same, and no bytes or headers, however odd, do more than be refused."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from schemas import dead_letter
from schemas.calls import (
    Call,
    ClaimReleased,
    Event,
    ImportCompleted,
    ImportSkipped,
    Media,
    NormalizedCall,
    Participant,
    Placement,
    RawCall,
    Segment,
    fingerprint,
)
from schemas.dead_letter import Death, Headers
from schemas.faults import InvalidCall
from schemas.pulls import PullCommand
from schemas.topics import TOPICS, Topic
from streams.io import bus

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 1, 15, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
SOUND = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
"""Text that PostgreSQL and UTF-8 can hold."""
ODD = st.text(st.characters() | st.sampled_from("\x00\ud800\udfff²٣"))
"""Any text at all, lone surrogates and U+0000 among it."""
SURROGATES = st.characters(categories=["Cs"])
MILLISECONDS = st.integers(0, 2**53 - 1)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SOUND,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SOUND, inner, max_size=3),
    max_leaves=8,
)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


IDENTITY: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.uuids(),
    "workspace_id": st.uuids(),
    "source_app": st.from_regex(r"[a-z][a-z0-9_]{1,39}", fullmatch=True),
    "external_id": st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=512
    ),
    "job_id": _maybe(st.uuids()),
    "observed_at": MOMENTS,
    "received_at": MOMENTS,
}
PLACEMENTS = st.builds(
    Placement, owner_user_id=_maybe(st.uuids()), bank_id=_maybe(st.uuids()), vault_id=_maybe(st.uuids())
)
SEGMENTS = st.builds(Segment, speaker=_maybe(SOUND), text=SOUND, start_ms=MILLISECONDS, end_ms=MILLISECONDS)
CONTENT: dict[str, st.SearchStrategy[Any]] = {
    "title": SOUND,
    "recording_start_time": _maybe(MOMENTS),
    "duration_ms": _maybe(MILLISECONDS),
    "full_transcript": _maybe(SOUND),
    "segments": st.lists(SEGMENTS, max_size=3).map(tuple),
    "participants": st.lists(
        st.builds(Participant, name=_maybe(SOUND), email=_maybe(SOUND), phone=_maybe(SOUND)), max_size=3
    ).map(tuple),
    "original_transcript": _maybe(SOUND),
    "media": _maybe(st.builds(Media, ref=_maybe(SOUND), url=_maybe(SOUND), filename=_maybe(SOUND))),
    "source_metadata": st.dictionaries(SOUND, JSON, max_size=3),
    "metadata_quality": st.sampled_from(["full", "partial", "minimal"]),
    "language": _maybe(SOUND),
}
EVENTS: dict[type[Event], st.SearchStrategy[Event]] = {
    RawCall: st.builds(
        RawCall,
        **IDENTITY,
        payload=st.text(st.characters(exclude_categories=["Cs"])),
        source_id=_maybe(st.uuids()),
        received_via=st.sampled_from(["upload", "webhook", "pull", "import", "replay"]),
        placement=PLACEMENTS,
        media=CONTENT["media"],
    ),
    PullCommand: st.builds(
        PullCommand,
        **IDENTITY,
        source_id=st.uuids(),
        what=st.sampled_from(["page", "waiting", "call"]),
        step=st.integers(0, 2**31 - 1),
    ),
    Call: st.builds(Call, **IDENTITY, **CONTENT, fingerprint=SOUND, source_id=_maybe(st.uuids()), placement=PLACEMENTS),
    ClaimReleased: st.builds(ClaimReleased, **IDENTITY),
    ImportCompleted: st.builds(
        ImportCompleted,
        **IDENTITY,
        import_id=st.uuids(),
        recording_id=st.uuids(),
        outcome=st.sampled_from(["imported", "updated"]),
        metadata_quality=CONTENT["metadata_quality"],
        title=SOUND,
        recording_start_time=_maybe(MOMENTS),
        duration_ms=_maybe(MILLISECONDS),
        imported_at=MOMENTS,
    ),
    ImportSkipped: st.builds(
        ImportSkipped,
        **IDENTITY,
        reason=st.sampled_from(["already_imported", "older_than_stored"]),
        fingerprint=SOUND,
        owner_event_id=_maybe(st.uuids()),
        stage=SOUND,
        skipped_at=MOMENTS,
    ),
}
PLACES = [(topic, model) for topic in TOPICS for _, model in topic.models]
PLACED: st.SearchStrategy[tuple[Topic, Event]] = st.sampled_from(PLACES).flatmap(
    lambda place: st.tuples(st.just(place[0]), EVENTS[place[1]])
)
CARRIED = st.lists(
    st.tuples(st.sampled_from(["traceparent", "tracestate", "attempt", "cookie"]), st.binary(max_size=60)), max_size=4
)


def _raw(**changes: Any) -> RawCall:
    identity: dict[str, Any] = {
        "event_id": UUID(int=1),
        "workspace_id": UUID(int=2),
        "source_app": "generic",
        "external_id": "x",
        "observed_at": NOW,
        "received_at": NOW,
        "payload": "{}",
    }
    return RawCall(**(identity | changes))


@cache
def _topic(name: str) -> Topic:
    return next(topic for topic in TOPICS if topic.name == name)


def test_every_event_model_is_tried() -> None:
    assert set(EVENTS) == set(Event.__subclasses__()) == {model for _, model in PLACES}


# There and back ------------------------------------------------------------------------------------------------------


@given(PLACED, CARRIED)
@settings(CALM, max_examples=300)
async def test_what_is_encoded_comes_back_the_same(placed: tuple[Topic, Event], carried: Headers) -> None:
    topic, event = placed
    store = MemoryStore()
    headers = bus.headers_of(topic, event, "pipeline", carried)
    value = await bus.encode(topic, event, store, headers)
    back = await bus.decode(topic, value, headers, store)
    assert back == event
    assert type(back) is type(event)
    assert back.key == event.key
    assert bus.header(headers, "ce_id") == str(event.event_id)
    assert {name for name, _ in carried} - {"cookie"} <= {name for name, _ in headers}
    assert "cookie" not in {name for name, _ in headers}


@given(EVENTS[RawCall], st.integers(bus.MAX_INLINE - 800, bus.MAX_INLINE + 5), st.sampled_from("aä\x00🙂"))
@settings(CALM, max_examples=25)
@example(_raw(), bus.MAX_INLINE, "a")
@example(_raw(), 3 * bus.MAX_INLINE, "\x00")
async def test_a_large_value_comes_back_through_the_media_store(event: RawCall, size: int, letter: str) -> None:
    topic = _topic("calls.raw.v1")
    large = event.model_copy(update={"payload": letter * size})
    store = MemoryStore()
    headers = bus.headers_of(topic, large, "api")
    value = await bus.encode(topic, large, store, headers)
    assert len(value) <= bus.MAX_INLINE
    checked = bus.header(headers, "ce_dataref")
    assert (checked is not None) == (len(large.model_dump_json().encode()) > bus.MAX_INLINE)
    assert await bus.decode(topic, value, headers, store) == large
    if checked:
        assert bus.CLAIM.fullmatch(checked)
        assert large.external_id not in checked or len(large.external_id) < 8
        Event.model_validate_json(value)


async def test_the_public_event_never_needs_a_claim_check() -> None:
    topic = _topic("imports.completed.v1")
    event = ImportCompleted(
        **_raw(external_id="\U0001f600" * 512).model_dump(include=set(Event.model_fields)),
        import_id=UUID(int=3),
        recording_id=UUID(int=4),
        outcome="imported",
        metadata_quality="full",
        title="\x01" * 1_000_000,
        imported_at=NOW,
    )
    headers = bus.headers_of(topic, event, "pipeline")
    assert len(await bus.encode(topic, event, MemoryStore(), headers)) < 20_000
    assert bus.header(headers, "ce_dataref") is None


@given(
    st.dictionaries(ODD, st.recursive(ODD | st.floats(), lambda i: st.lists(i) | st.dictionaries(ODD, i), max_leaves=6))
)
@CALM
async def test_odd_metadata_can_always_be_sent_and_stored(metadata: dict[str, Any]) -> None:
    content = NormalizedCall(title="t", source_metadata=metadata)
    topic = _topic("calls.ready.v1")
    call = Call(
        **_raw().model_dump(include=set(Event.model_fields)),
        **content.model_dump(),
        fingerprint=fingerprint(content),
    )
    store = MemoryStore()
    value = await bus.encode(topic, call, store, [])
    assert await bus.decode(topic, value, [], store) == call
    assert b"\\u0000" not in value
    assert b"NaN" not in value.replace(b'"NaN', b"")


async def test_metadata_nested_without_end_can_be_sent() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = {"in": [deep]}
    content = NormalizedCall(title="t", source_metadata={"deep": deep})
    assert len(content.model_dump_json()) < 2_000


@given(ODD)
@CALM
def test_text_is_kept_but_for_what_nobody_can_store(text: str) -> None:
    kept = NormalizedCall(title=text).title
    assert kept == text.replace("\x00", "").encode("utf-8", "replace").decode()
    payload = _raw(payload=text).payload
    assert payload == text.encode("utf-8", "replace").decode()


# Never more than a refusal -------------------------------------------------------------------------------------------

REFS = (
    st.from_regex(r"claims/[a-z0-9_.]+/[0-9a-f-]{36}-[0-9a-f]{16}\.json", fullmatch=True)
    | ODD.map(lambda text: f"claims/{text}")
    | st.sampled_from(
        ["claims/", "claims//x", "claims/./a", "claims/../../etc/passwd", "uploads/a", "claims/" + "a/" * 3000]
    )
).map(lambda text: text.encode("utf-8", "replace"))
TYPES = st.sampled_from([ce_type.encode() for topic in TOPICS for ce_type, _ in topic.models])
HEADER = (
    st.tuples(st.just("ce_type"), TYPES | st.binary(max_size=30) | st.none())
    | st.tuples(st.just("ce_dataref"), REFS | st.binary(max_size=30) | st.none())
    | st.tuples(st.just("attempt"), ODD.map(lambda text: text.encode("utf-8", "replace")) | st.none())
    | st.tuples(ODD, st.binary(max_size=30) | st.none())
)
VALUES: st.SearchStrategy[bytes | None] = (
    st.none()
    | st.binary(max_size=400)
    | st.sampled_from([b"", b"null", b"[]", b"{}", b"1", b"[" * 5000, b'{"a":' * 5000, b"\xff\xfe", b"9" * 10_000])
)


async def _decode(topic: Topic, value: bytes | None, headers: Any) -> Event | None:
    try:
        return await bus.decode(topic, value, headers, MemoryStore())
    except InvalidCall as fault:
        refusal = fault
    assert refusal.reason.isidentifier()
    assert 0 < len(str(refusal)) < 1_000
    return None


@given(st.sampled_from(TOPICS), VALUES, st.lists(HEADER, max_size=5))
@settings(CALM, max_examples=500)
async def test_any_bytes_and_headers_are_an_event_or_refused(topic: Topic, value: bytes | None, headers: Any) -> None:
    await _decode(topic, value, headers)
    assert bus.attempt_of(headers) >= 1


@given(PLACED, st.data())
@settings(CALM, max_examples=200)
async def test_a_damaged_event_is_an_event_or_refused(placed: tuple[Topic, Event], data: st.DataObject) -> None:
    topic, event = placed
    value = bytearray(await bus.encode(topic, event, MemoryStore(), []))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(value)))
    await _decode(topic, bytes(value[:cut]), [])


@given(PLACED, st.data())
@settings(CALM, max_examples=200)
async def test_an_event_of_the_wrong_shape_is_refused(placed: tuple[Topic, Event], data: st.DataObject) -> None:
    topic, event = placed
    fields = event.model_dump(mode="json")
    name = data.draw(st.sampled_from(sorted(fields)))
    odd = data.draw(JSON)
    assume(odd is not None and odd != fields[name])
    document = json.dumps(fields | {name: odd}, ensure_ascii=data.draw(st.booleans()))
    await _decode(topic, document.encode(), [("ce_type", topic.type_of(event).encode())])


async def test_a_claim_whose_payload_is_gone_is_refused() -> None:
    topic = _topic("calls.raw.v1")
    event = _raw(payload="a" * (bus.MAX_INLINE + 1))
    headers = bus.headers_of(topic, event, "api")
    value = await bus.encode(topic, event, MemoryStore(), headers)
    assert await _decode(topic, value, headers) is None
    assert await _decode(topic, value, []) is None


# Dead letters --------------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 10**9 - 1)
DEATHS = st.builds(
    Death,
    stage=SOUND,
    kind=st.sampled_from(dead_letter.KINDS),
    reason=SOUND,
    message=SOUND,
    detail=SOUND,
    topic=SOUND,
    partition=NUMBERS,
    offset=st.integers(0, 10**18 - 1),
    attempt=st.integers(1, 10**9 - 1),
    at=MOMENTS,
)
NAMES = st.sampled_from(
    [value for name, value in vars(dead_letter).items() if name.isupper() and isinstance(value, str)]
)
DEAD_HEADERS = st.lists(
    st.tuples(
        NAMES | ODD,
        st.none()
        | st.binary(max_size=40)
        | (ODD | st.sampled_from(["²", "٣", "-1", "9" * 30, "4294967296", "0001-01-01T00:00:00+23:59"])).map(
            lambda text: text.encode("utf-8", "replace")
        ),
    ),
    max_size=14,
)


@given(DEATHS, DEAD_HEADERS)
@CALM
def test_a_death_comes_back_from_its_headers(death: Death, original: Any) -> None:
    headers = dead_letter.headers_of(death, original)
    assert dead_letter.death_of(headers, topic="other", partition=9, offset=9, now=NOW) == death
    kept = [pair for pair in original if not pair[0].startswith(dead_letter.PREFIX)]
    assert headers[: len(kept)] == kept
    names = [name for name, _ in headers[len(kept) :]]
    assert len(set(names)) == len(names)
    assert dict(headers[len(kept) :])[dead_letter.FINGERPRINT] == death.fingerprint.encode()


@given(DEATHS, DEATHS)
@CALM
def test_only_the_latest_death_is_kept(first: Death, second: Death) -> None:
    headers = dead_letter.headers_of(second, dead_letter.headers_of(first, [("ce_id", b"1")]))
    assert headers == dead_letter.headers_of(second, [("ce_id", b"1")])


@given(DEAD_HEADERS)
@settings(CALM, max_examples=500)
def test_any_headers_make_a_death_that_can_be_stored(headers: Any) -> None:
    death = dead_letter.death_of(headers, topic="calls.raw.v1", partition=3, offset=7, now=NOW)
    for text in (death.stage, death.kind, death.reason, death.message, death.detail, death.topic):
        assert "\x00" not in text
        text.encode()
    assert 0 <= death.partition < 2**31
    assert 0 <= death.offset < 2**63
    assert 1 <= death.attempt < 2**31
    assert death.at.tzinfo is not None
    assert len(death.fingerprint) == 16


@given(DEATHS, st.text(max_size=20) | SURROGATES, st.integers(0, 20_000))
@CALM
def test_headers_of_any_text_can_be_sent(death: Death, odd: str, length: int) -> None:
    wild = Death(
        stage=odd, kind=odd, reason=odd, message=odd, detail=odd * length, topic=odd,
        partition=death.partition, offset=death.offset, attempt=death.attempt, at=death.at,
    )  # fmt: skip
    headers = dead_letter.headers_of(wild, [])
    assert all(isinstance(value, bytes) for _, value in headers)
    assert sum(len(value) for _, value in headers) < 5 * dead_letter.MAX_DETAIL
