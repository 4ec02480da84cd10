"""The pipeline as a whole, every role a process: what goes in comes out once, and what cannot is said."""

import json
from typing import Any
from uuid import uuid4

import aiokafka
import pytest

from schemas.dead_letter import death_of
from schemas.topics import COMPLETED, DEAD, NORMALIZED, RAW, READY, REPLAY, SKIPPED, UNIQUE
from streams.io import clock
from streams.io.bus import header, headers_of
from streams.io.failed_imports import discard, retry
from tests.stack import Stack, until

pytestmark = pytest.mark.system


def generic(external_id: str, **fields: Any) -> str:
    """A generic raw call as text."""
    return json.dumps(
        {
            "external_id": external_id,
            "title": "Weekly planning",
            "recording_start_time": "2026-03-02T10:00:00Z",
            "duration_seconds": 61.5,
            "segments": [{"speaker": "Mila", "text": "Good morning.", "start_ms": 0, "end_ms": 1200}],
            "participants": [{"name": "Mila", "email": "mila@example.com"}],
            **fields,
        }
    )


async def records_of(stack: Stack, topic: str, event_id: str | None) -> list[Any]:
    """Every record of a topic that carries an event id; None: every record there is."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=stack.settings.kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=4_000_000
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record for record in records if event_id in (None, header(record.headers, "ce_id"))]
        return found
    finally:
        await consumer.stop()


async def test_a_call_is_stored_and_announced(stack: Stack) -> None:
    call = stack.raw(f"a-{uuid4()}", generic("a"))
    await stack.publish(call)
    row = await stack.wait_recording(call.external_id)
    assert row["title"] == "Weekly planning"
    assert row["duration_ms"] == 61500
    assert row["owner_user_id"] == stack.user_id
    assert row["bank_id"] is not None
    assert next(iter(row["source_metadata"])) == "external_id"
    assert row["segments"][0]["speaker"] == "Mila"

    async def completed() -> list[Any]:
        return await records_of(stack, COMPLETED.name, str(call.event_id))

    record = (await until(completed, 30, "the completed event"))[0]
    body = json.loads(record.value)
    assert body["outcome"] == "imported"
    assert body["recording_id"] == str(row["recording_id"])
    assert record.key == call.key
    names = {name for name, _ in record.headers}
    assert {"ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion", "content-type"} <= names


async def test_the_same_content_again_is_skipped_and_changed_content_updates(stack: Stack) -> None:
    name = f"b-{uuid4()}"
    first = stack.raw(name, generic("b"))
    await stack.publish(first)
    stored = await stack.wait_recording(name)
    again = stack.raw(name, generic("b"))
    await stack.publish(again)

    async def skipped() -> list[Any]:
        return await records_of(stack, SKIPPED.name, str(again.event_id))

    body = json.loads((await until(skipped, 30, "the skipped event"))[0].value)
    assert body["reason"] == "already_imported"
    assert body["owner_event_id"] == str(first.event_id)

    await stack.publish(stack.raw(name, generic("b", title="Weekly planning, renamed")))

    async def renamed() -> Any:
        return await stack.value(
            "SELECT recording_id FROM recordings WHERE external_id = $1 AND title LIKE '%renamed'", name
        )

    assert await until(renamed, 30, "the update") == stored["recording_id"]
    older = stack.raw(name, generic("b", title="From last week"), observed_at="2020-01-01T00:00:00Z")
    await stack.publish(older)

    async def refused() -> list[Any]:
        return await records_of(stack, SKIPPED.name, str(older.event_id))

    assert json.loads((await until(refused, 30, "the older one"))[0].value)["reason"] == "older_than_stored"
    assert await stack.value("SELECT title FROM recordings WHERE external_id = $1", name) == "Weekly planning, renamed"


async def test_a_large_transcript_travels_as_a_claim_check(stack: Stack) -> None:
    text = "It was a long meeting about many things. " * 40_000
    call = stack.raw(f"large-{uuid4()}", generic("large", segments=None, full_transcript=text))
    await stack.publish(call)
    row = await stack.wait_recording(call.external_id)
    assert row["full_transcript"] == text.strip() or row["full_transcript"] == text
    for topic in (RAW, NORMALIZED, READY):
        record = (await records_of(stack, topic.name, str(call.event_id)))[0]
        assert len(record.value) < 10_000
        assert header(record.headers, "ce_dataref")


async def test_poison_of_every_kind_ends_in_the_view_and_stops_nothing(stack: Stack) -> None:
    good = stack.raw(f"good-{uuid4()}", generic("good"))
    bad_shape = stack.raw(f"shape-{uuid4()}", generic("shape", segments=None, full_transcript=5))
    bus = stack.bus()
    ids = {name: clock.new_id() for name in ("bytes", "version", "shape", "empty", "type")}
    key = {name: f"{stack.workspace_id}:generic:poison-{event_id}".encode() for name, event_id in ids.items()}

    def envelope(name: str) -> list[tuple[str, bytes]]:
        found = headers_of(RAW, good, "test")
        return [(n, str(ids[name]).encode() if n == "ce_id" else v) for n, v in found]

    await bus.send(RAW.name, key["bytes"], b"\xff\x00\xfe not json", envelope("bytes"))
    future = good.model_dump_json().replace('"version":1', '"version":99').encode()
    await bus.send(RAW.name, key["version"], future, envelope("version"))
    await bus.send(RAW.name, key["shape"], b'{"version": 1}', envelope("shape"))
    await bus.send(RAW.name, key["empty"], None, envelope("empty"))
    other = [(n, b"com.example.other" if n == "ce_type" else v) for n, v in envelope("type")]
    await bus.send(RAW.name, key["type"], b"{}", other)
    await bus.send(RAW.name, None, b"\x00" * 10, [])
    for topic in (REPLAY, NORMALIZED, UNIQUE, READY, COMPLETED, SKIPPED, DEAD):
        await bus.send(topic.name, None, b"\xc3(", [("ce_id", b"\xff\xfe"), ("dead_attempt", b"many")])
    await bus.stop()
    await stack.publish(bad_shape, good)

    await stack.wait_recording(good.external_id)
    reasons = {"bytes": "undecodable", "version": "unknown_version", "shape": "wrong_shape", "empty": "empty_event"}
    for name, reason in {**reasons, "type": "unknown_type"}.items():
        row = await stack.wait_failed(f"poison-{ids[name]}")
        assert row["reason"] == reason
        assert row["stage"] == "normalize"
        assert row["message"]
        assert row["workspace_id"] == stack.workspace_id
    assert (await stack.wait_failed(bad_shape.external_id))["reason"] == "invalid_field"

    async def nameless() -> Any:
        rows = await stack.fetch("SELECT DISTINCT origin_topic FROM failed_imports WHERE event_id IS NULL")
        wanted = {
            t.name for t in (RAW, REPLAY, NORMALIZED, UNIQUE, READY, SKIPPED, DEAD)
        }  # nobody here reads COMPLETED
        return wanted <= {row["origin_topic"] for row in rows}

    assert await until(nameless, 60, "the nameless poison of every topic")


async def test_a_dead_letter_is_the_untouched_original(stack: Stack) -> None:
    call = stack.raw(f"dead-{uuid4()}", '{"external_id": "x", "title": ')
    await stack.publish(call)
    await stack.wait_failed(call.external_id)
    original = (await records_of(stack, RAW.name, str(call.event_id)))[0]
    letter = (await records_of(stack, DEAD.name, str(call.event_id)))[0]
    assert (letter.key, letter.value) == (original.key, original.value)
    assert [h for h in letter.headers if not h[0].startswith("dead_")] == list(original.headers)
    death = death_of(list(letter.headers), topic="", partition=-1, offset=-1, now=clock.now())
    assert (death.topic, death.partition, death.offset) == (RAW.name, original.partition, original.offset)
    assert (death.stage, death.kind, death.attempt) == ("normalize", "rejected", 1)


async def test_retry_counts_and_discard_releases_the_claim(stack: Stack) -> None:
    name = f"retry-{uuid4()}"
    call = stack.raw(name, generic("retry", segments=None, media_url="https://127.0.0.1/private.wav"))
    await stack.publish(call)
    row = await stack.wait_failed(name)
    assert (row["stage"], row["reason"]) == ("transcribe", "media_url_refused")
    pool, bus = await stack.pool(), stack.bus()
    await retry(pool, bus, stack.workspace_id, row["failed_import_id"])

    async def second() -> Any:
        return await stack.value(
            "SELECT event_id FROM failed_imports WHERE external_id = $1 AND attempts = 2 AND status = 'open'", name
        )

    assert await until(second, 60, "the second failure") == call.event_id
    await discard(pool, bus, stack.workspace_id, row["failed_import_id"])
    await bus.stop()
    await stack.publish(stack.raw(name, generic("retry", segments=None, media_url="https://127.0.0.1/private.wav")))

    async def another() -> Any:
        return await stack.value(
            "SELECT count(*) FROM failed_imports WHERE external_id = $1 AND event_id <> $2", name, call.event_id
        )

    assert await until(another, 60, "the same call after it was discarded") == 1
