"""Whatever bytes lie on the dead letters, they end as one failed import each, and a retry sends them on unchanged."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from schemas.dead_letter import KINDS, Death, Headers, headers_of
from schemas.topics import DEAD, RAW
from streams.io import failed_imports
from streams.io.bus import ATTEMPT, Bus
from tests.property.conftest import World

pytestmark = pytest.mark.database
T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCHEDULE, MAX_ATTEMPTS = (300, 1800, 3600, 10800, 21600), 8
ID = "0198c0de-0000-7000-8000-00000000abcd"
HOME = "{home}"
"""Stands for the id of the workspace that is there."""

WORDS = st.sampled_from([
    b"", b"\x00", b"\xff\xfe", b"0", b"-1", b"7", b"9" * 30, "²".encode(), ID.encode(), b"{" + ID.encode() + b"}",
    b"2026-03-02T10:00:00+00:00", b"2026-03-02", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59",
    b"transient", b"rejected", b"calls.raw.v1", b"x/1/1", "\U0001f3a7".encode() * 700, b"x" * 9000,
])  # fmt: skip
NAMES = st.sampled_from([
    "ce_id", "ce_type", "attempt", "retry_of", "dead_stage", "dead_kind", "dead_reason", "dead_message", "dead_detail",
    "dead_topic", "dead_partition", "dead_offset", "dead_attempt", "dead_at", "dead_fingerprint", "dead_", "\x00",
]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)  # fmt: skip
HEADERS = st.lists(st.tuples(NAMES, WORDS | st.binary(max_size=30)), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([ID, "2026-03-02T10:00:00Z", 2**70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
BODIES = (
    st.none()
    | st.binary(max_size=50)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({}, optional=dict.fromkeys(["event_id", "job_id", "observed_at", "version"], JSON)).map(
        lambda value: json.dumps(value).encode()
    )
)
PARTS = st.sampled_from([HOME, ID, "", "generic", "Not one", "a:b", "\x00", "\U0001f3a7" * 600]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=5
)
KEYS = st.none() | st.binary(max_size=40) | st.lists(PARTS, max_size=4).map(lambda parts: ":".join(parts).encode())


class Kept(Bus):
    """A bus that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("nowhere", MemoryStore(), source="test")
        self.sent: list[tuple[str, bytes | None, bytes | None, Headers]] = []

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self.sent.append((topic, key, value, headers))


async def record(world: World, key: bytes | None, value: bytes | None, headers: Headers, offset: int = 5) -> None:
    """As the dead-letter agent does, twice: letters may come again."""
    for _ in range(2):
        await failed_imports.record(
            world.pool, key=key, value=value, headers=headers, at=(DEAD.name, 0, offset), schedule=SCHEDULE,
            max_attempts=MAX_ATTEMPTS,
        )  # fmt: skip


async def the_row(world: World) -> Any:
    """The only failed import."""
    rows = await world.pool.fetch("SELECT * FROM failed_imports")
    assert len(rows) == 1
    return rows[0]


def homely(world: World, key: bytes | None) -> bytes | None:
    """The key, with the id of the workspace that is there."""
    return key and key.replace(HOME.encode(), str(world.workspace_id).encode())


@settings(max_examples=100, deadline=None)
@given(key=KEYS, value=BODIES, headers=HEADERS)
@example(key=None, value=None, headers=[])
@example(key=f"{HOME}:generic:x".encode(), value=b"1" * 10_000, headers=[("a\x00", b""), ("ce_id", ID.encode())])
@example(key=b"k", value=b"[" * 50_000, headers=[("dead_topic", "\u4e00".encode() * 9000)])
def test_any_dead_letter_becomes_one_failed_import(
    world: World, key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    async def whole() -> None:
        await world.pool.execute("DELETE FROM failed_imports")
        await record(world, homely(world, key), value, headers)
        row = await the_row(world)
        assert (row["original_key"], row["original_value"]) == (homely(world, key), value)
        kept = [(name, base64.b64decode(data)) for name, data in row["original_headers"]]
        assert kept == [(name, data) for name, data in headers if not name.startswith("dead_")]
        assert row["workspace_id"] == world.workspace_id
        assert row["status"] in ("open", "parked")

    world.run(whole())


@settings(max_examples=70, deadline=None)
@given(
    key=KEYS,
    value=BODIES,
    headers=HEADERS,
    kind=st.sampled_from(KINDS),
    attempts=st.lists(st.integers(1, 3), max_size=3),
)
def test_a_retry_sends_the_original_and_fails_again_as_the_same_one(
    world: World, key: bytes | None, value: bytes | None, headers: Headers, kind: str, attempts: list[int]
) -> None:
    """`attempts` are how far the count goes up each time: it never has to be by one."""
    original = [(name, data) for name, data in headers if name not in (ATTEMPT, failed_imports.RETRY_OF)]
    original = [(name, data) for name, data in original if not name.startswith("dead_")]

    async def whole() -> None:
        await world.pool.execute("DELETE FROM failed_imports")
        bus, attempt, carried = Kept(), 1, original
        for offset, more in enumerate([*attempts, 1]):
            death = Death("normalize", kind, "why", "Because.", "", RAW.name, 1, offset, attempt, T0)
            await record(world, homely(world, key), value, headers_of(death, carried), offset)
            row = await the_row(world)
            assert (row["attempts"], row["status"]) == (attempt, "open" if attempt < MAX_ATTEMPTS else "parked")
            await failed_imports.retry(world.pool, bus, world.workspace_id, row["failed_import_id"])
            topic, sent_key, sent_value, carried = bus.sent[-1]
            assert (topic, sent_key, sent_value) == (RAW.name, homely(world, key), value)
            assert carried[: len(original)] == original
            ours = dict(carried[len(original) :])
            assert ours.pop(ATTEMPT) == str(attempt + 1).encode()
            assert set(ours) == (set() if row["event_id"] else {failed_imports.RETRY_OF})
            attempt += more

    world.run(whole())


@given(st.sampled_from([*KINDS, "whatever"]), st.integers(1, 50), st.lists(st.integers(0, 10**6), max_size=6))
def test_what_is_tried_again_by_itself_is_tried_later_and_only_so_often(
    kind: str, attempt: int, schedule: list[int]
) -> None:
    found = failed_imports.next_retry(kind, attempt, schedule, MAX_ATTEMPTS, T0)
    if kind != "transient" or attempt >= MAX_ATTEMPTS or not schedule:
        assert found is None
    else:
        assert found == T0 + timedelta(seconds=schedule[min(attempt, len(schedule)) - 1])


@given(KEYS)
def test_any_key_can_be_read(key: bytes | None) -> None:
    workspace_id, source_app, external_id = failed_imports.parties_of(key)
    assert workspace_id is None or isinstance(workspace_id, UUID)
    assert len(source_app or "") <= 40
    assert len(external_id or "") <= 512
    assert "\x00" not in (source_app or "") + (external_id or "")
