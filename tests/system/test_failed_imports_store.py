"""Dead letters as failed imports on a real PostgreSQL, and retries on a real Kafka: nothing is lost, nothing stays."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiokafka
import asyncpg
import pytest
from obstore.store import MemoryStore

from schemas.calls import Call, ClaimReleased
from schemas.dead_letter import Death, Headers, headers_of
from schemas.faults import OutageFault
from schemas.settings import Settings
from schemas.topics import DEAD, NORMALIZED, RAW, READY, Topic
from streams.io import clock, failed_imports
from streams.io.bus import Bus, decode, header
from streams.io.outcomes import record_skips
from streams.io.recordings import store
from streams.stages.dedup import skipped
from tests.conftest import Broker, Database

pytestmark = [pytest.mark.broker, pytest.mark.database]
T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCHEDULE = Settings(_env_file=None).retry_schedule_seconds
MAX_ATTEMPTS = Settings(_env_file=None).max_attempts
Sent = tuple[str, bytes | None, bytes | None, Headers]


class FakeBus(Bus):
    """A bus that remembers what it was given, or has no broker."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__("nowhere", MemoryStore(), source="test")
        self.away = away
        self.sent: list[Sent] = []

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise OutageFault("broker_away", "Kafka cannot be reached.")
        self.sent.append((topic, key, value, headers))


def a_call(workspace_id: UUID, external_id: str = "call-1", fingerprint: str = "a", at: float = 0, **more: Any) -> Call:
    """A call whose content was seen `at` seconds after the first one's."""
    fields: dict[str, Any] = {
        "event_id": clock.new_id(), "workspace_id": workspace_id, "source_app": "generic", "external_id": external_id,
        "observed_at": T0 + timedelta(seconds=at), "received_at": T0, "title": "A call", "full_transcript": "Hello.",
        "fingerprint": fingerprint,
    }  # fmt: skip
    return Call(**fields | more)


def a_death(topic: Topic = READY, *, kind: str = "transient", attempt: int = 1, **more: Any) -> Death:
    """Why an event died."""
    fields: dict[str, Any] = {
        "stage": "persist", "kind": kind, "reason": "busy", "message": "The vendor is busy.", "detail": "503",
        "topic": topic.name, "partition": 2, "offset": 77, "attempt": attempt, "at": T0,
    }  # fmt: skip
    return Death(**fields | more)


def original_of(call: Call, *, attempt: int | None = None) -> Headers:
    """The headers of the event that carries a call."""
    headers = [
        ("ce_id", str(call.event_id).encode()), ("ce_type", b"io.callstream.call.ready.v1"), ("traceparent", b"00-1"),
    ]  # fmt: skip
    return headers + ([("attempt", str(attempt).encode())] if attempt else [])


async def bury(pool: asyncpg.Pool, call: Call, death: Death, **more: Any) -> None:
    """Record the dead letter of a call, as the dead-letter agent does."""
    letter: dict[str, Any] = {
        "key": call.key,
        "value": call.model_dump_json().encode(),
        "headers": headers_of(death, original_of(call, attempt=death.attempt if death.attempt > 1 else None)),
        "at": (DEAD.name, 0, 5),
    }
    await failed_imports.record(pool, **letter | more, schedule=SCHEDULE, max_attempts=MAX_ATTEMPTS)


async def the_row(database: Database) -> asyncpg.Record:
    """The only failed import."""
    rows = await database.pipeline_pool.fetch("SELECT * FROM failed_imports")
    assert len(rows) == 1
    return rows[0]


async def execute(database: Database, sql: str, *values: Any) -> None:
    """Change something behind everybody's back."""
    await database.pipeline_pool.execute(sql, *values)


async def add_job(database: Database, call: Call) -> Call:
    """The call, now of a job."""
    job_id = clock.new_id()
    await execute(
        database,
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app) VALUES ($1, $2, 'upload', 'generic')",
        job_id, database.workspace_id,
    )  # fmt: skip
    await execute(
        database,
        "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, event_id) VALUES ($1, $2, $3, $4, $5)",
        call.workspace_id, job_id, call.source_app, call.external_id, call.event_id,
    )  # fmt: skip
    return call.model_copy(update={"job_id": job_id})


async def job_state(database: Database) -> tuple[str, str | None]:
    """Status and reason of the only call of a job."""
    row = await database.pipeline_pool.fetchrow("SELECT status, reason FROM job_calls")
    return row["status"], row["reason"]


# What is kept --------------------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_kept_whole(database: Database) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    await bury(database.pipeline_pool, call, a_death())
    row = await the_row(database)
    assert {name: row[name] for name in ("stage", "kind", "reason", "message", "detail", "attempts", "status")} == {
        "stage": "persist", "kind": "transient", "reason": "busy", "message": "The vendor is busy.", "detail": "503",
        "attempts": 1, "status": "open",
    }  # fmt: skip
    assert (row["workspace_id"], row["source_app"], row["external_id"]) == (call.workspace_id, "generic", "call-1")
    assert (row["event_id"], row["identity"], row["job_id"]) == (call.event_id, str(call.event_id), call.job_id)
    assert (row["origin_topic"], row["origin_partition"], row["origin_offset"]) == (READY.name, 2, 77)
    assert (row["original_key"], row["original_value"]) == (call.key, call.model_dump_json().encode())
    assert [(name, base64.b64decode(data)) for name, data in row["original_headers"]] == original_of(call)
    assert (row["observed_at"], row["first_seen_at"], row["retryable"]) == (T0, T0, True)
    assert await job_state(database) == ("failed", "The vendor is busy.")
    status = await database.pipeline_pool.fetchrow("SELECT status, last_error, retry_count FROM imported_calls")
    assert tuple(status) == ("failed", "The vendor is busy.", 0)


async def test_an_unknown_workspace_is_shown_to_the_installations_own(database: Database) -> None:
    await bury(database.pipeline_pool, a_call(uuid4()), a_death())
    assert (await the_row(database))["workspace_id"] == database.workspace_id
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM imported_calls") == 0


HOSTILE: dict[str, dict[str, Any]] = {
    "nothing": {"key": None, "value": None, "headers": []},
    "no header value": {"headers": [("ce_id", None), ("dead_at", None)]},
    "names with U+0000": {"headers": [("a\x00b", b"\x00"), ("dead_stage", b"a\x00b"), ("dead_reason\x00", b"x")]},
    "a time before the calendar": {"headers": [("dead_at", b"0001-01-01T00:00:00+23:59")]},
    "a time after the calendar": {"headers": [("dead_at", b"9999-12-31T23:59:59-23:59")]},
    "a topic without end": {"headers": [("dead_topic", "".join(map(chr, range(0x4E00, 0x7000))).encode())]},
    "numbers without end": {"headers": [("dead_attempt", b"9" * 5000), ("dead_offset", b"9" * 5000)]},
    "large numbers": {"headers": [("dead_attempt", b"999999999"), ("dead_offset", b"9" * 18)]},
    "odd digits": {"headers": [("dead_attempt", "²".encode()), ("attempt", "٣".encode())]},
    "half a letter": {"key": b"\xff\xfe:\x80:\x00", "value": b"\xff\xfe\x00"},
    "a deep body": {"value": b"[" * 100_000},
    "odd ids in the body": {"value": b'{"job_id": 5, "event_id": [], "observed_at": {"a": 1}}'},
    "an observed time without a zone": {"value": b'{"observed_at": "2026-03-02T10:00:00"}'},
    "an observed time before the calendar": {"value": b'{"observed_at": "0001-01-01T00:00:00+23:59"}'},
    "a number without end": {"value": b"1" * 10_000},
}


async def test_whatever_is_in_a_dead_letter_it_is_kept(database: Database) -> None:
    for what, fields in HOSTILE.items():
        letter = {"key": b"k", "value": b"v", "headers": [("h", b"\xff")], "at": (DEAD.name, 3, 9)} | fields
        for _ in range(2):
            await failed_imports.record(database.pipeline_pool, **letter, schedule=SCHEDULE, max_attempts=MAX_ATTEMPTS)
        row = await the_row(database)
        assert (row["original_key"], row["original_value"]) == (letter["key"], letter["value"]), what
        kept = [(name, base64.b64decode(data)) for name, data in row["original_headers"]]
        assert kept == [(name, data or b"") for name, data in letter["headers"] if not name.startswith("dead_")], what
        await execute(database, "DELETE FROM failed_imports")


async def test_an_event_without_a_header_is_known_by_its_body(database: Database) -> None:
    call = a_call(database.workspace_id)
    await bury(database.pipeline_pool, call, a_death(), headers=headers_of(a_death(), [("x", b"y")]))
    assert (await the_row(database))["event_id"] == call.event_id


# Once each, and never backwards --------------------------------------------------------------------------------------


async def test_a_later_try_replaces_an_earlier_one_and_never_the_other_way(database: Database) -> None:
    call = a_call(database.workspace_id)
    await bury(database.pipeline_pool, call, a_death(attempt=1))
    await bury(database.pipeline_pool, call, a_death(attempt=3, message="Third."))
    await bury(database.pipeline_pool, call, a_death(attempt=2, message="Second."))
    row = await the_row(database)
    assert (row["attempts"], row["message"], row["status"]) == (3, "Third.", "open")
    assert await database.pipeline_pool.fetchval("SELECT retry_count FROM imported_calls") == 2


async def test_a_redelivered_letter_does_not_reopen(database: Database) -> None:
    for status in ("retrying", "resolved", "discarded", "parked"):
        call = await add_job(database, a_call(database.workspace_id))
        await bury(database.pipeline_pool, call, a_death(attempt=2))
        await execute(database, "UPDATE failed_imports SET status = $1", status)
        await execute(database, "UPDATE job_calls SET status = 'pending', reason = NULL")
        for attempt in (1, 2):
            await bury(database.pipeline_pool, call, a_death(attempt=attempt))
        assert (await the_row(database))["status"] == status
        assert await job_state(database) == ("pending", None)
        await bury(database.pipeline_pool, call, a_death(attempt=3))
        assert (await the_row(database))["status"] == ("discarded" if status == "discarded" else "open")
        await execute(database, "DELETE FROM failed_imports")
        await execute(database, "DELETE FROM import_jobs")


async def test_a_letter_of_what_is_stored_by_now_is_resolved_at_once(database: Database) -> None:
    """Two workers may hold an event for a while: one of them stores it, and the other one fails."""
    call = await add_job(database, a_call(database.workspace_id))
    older = a_call(database.workspace_id, fingerprint="b", at=-1)
    await store(database.pipeline_pool, [call])
    for buried in (call, older):
        await bury(database.pipeline_pool, buried, a_death())
    rows = await database.pipeline_pool.fetch("SELECT status, next_retry_at FROM failed_imports")
    assert [tuple(row) for row in rows] == [("resolved", None)] * 2
    assert await job_state(database) == ("imported", None)
    assert await database.pipeline_pool.fetchval("SELECT status FROM imported_calls") == "imported"


async def test_the_failure_of_an_older_version_does_not_leave_its_job_failed(database: Database) -> None:
    await store(database.pipeline_pool, [a_call(database.workspace_id, at=1)])
    older = await add_job(database, a_call(database.workspace_id, fingerprint="b"))
    await bury(database.pipeline_pool, older, a_death())
    assert await job_state(database) == ("skipped", "This call is already in your library.")


async def test_a_letter_of_newer_content_stays_open(database: Database) -> None:
    await store(database.pipeline_pool, [a_call(database.workspace_id)])
    await bury(database.pipeline_pool, a_call(database.workspace_id, fingerprint="b", at=1), a_death())
    assert (await the_row(database))["status"] == "open"


async def test_a_letter_and_the_store_of_the_same_call_at_once_end_resolved(database: Database) -> None:
    """Whoever comes second must see what the first one did, however close they are."""
    for round_ in range(60):
        call = a_call(database.workspace_id, f"call-{round_}")
        await asyncio.gather(
            store(database.pipeline_pool, [call]), bury(database.pipeline_pool, call, a_death()),
            bury(database.pipeline_pool, call, a_death(attempt=2)),
        )  # fmt: skip
    rows = await database.pipeline_pool.fetch("SELECT status, count(*) FROM failed_imports GROUP BY status")
    assert [tuple(row) for row in rows] == [("resolved", 60)]


# When to try again ---------------------------------------------------------------------------------------------------


async def test_the_schedule() -> None:
    minutes = [5, 30, 60, 180, 360, 360, 360]
    found = [failed_imports.next_retry("transient", attempt, SCHEDULE, MAX_ATTEMPTS, T0) for attempt in range(1, 10)]
    assert found == [T0 + timedelta(minutes=one) for one in minutes] + [None, None]
    for kind in ("config", "rejected", "bug", "whatever"):
        assert failed_imports.next_retry(kind, 1, SCHEDULE, MAX_ATTEMPTS, T0) is None
    assert failed_imports.next_retry("transient", 1, (), MAX_ATTEMPTS, T0) is None


async def test_what_is_retried_by_itself(database: Database) -> None:
    for kind, attempt, *wanted in (
        ("transient", 1, "open", True, True), ("transient", 7, "open", True, True),
        ("transient", 8, "parked", False, True), ("transient", 9, "parked", False, True),
        ("config", 1, "open", False, True), ("bug", 1, "open", False, True), ("rejected", 1, "open", False, False),
    ):  # fmt: skip
        await bury(database.pipeline_pool, a_call(database.workspace_id), a_death(kind=kind, attempt=attempt))
        row = await the_row(database)
        assert [row["status"], row["next_retry_at"] is not None, row["retryable"]] == wanted, (kind, attempt)
        await execute(database, "DELETE FROM failed_imports")


async def test_what_is_due(database: Database) -> None:
    names = ("due", "later", "stuck", "sent", "parked", "config", "resolved")
    calls = {name: a_call(database.workspace_id, name) for name in names}
    for name, call in calls.items():
        await bury(database.pipeline_pool, call, a_death(kind="config" if name == "config" else "transient"))

    async def put(name: str, assignments: str) -> None:
        await execute(database, f"UPDATE failed_imports SET {assignments} WHERE external_id = $1", name)

    await put("due", "next_retry_at = now() - interval '1 second'")
    await put("stuck", "status = 'retrying', next_retry_at = NULL, retried_at = now() - interval '2 hours'")
    await put("sent", "status = 'retrying', next_retry_at = NULL, retried_at = now() - interval '10 minutes'")
    await put("parked", "status = 'parked', next_retry_at = NULL")
    await put("resolved", "status = 'resolved', next_retry_at = NULL")
    rows = await database.pipeline_pool.fetch("SELECT failed_import_id, external_id FROM failed_imports")
    names_of = {row["failed_import_id"]: row["external_id"] for row in rows}
    due = await failed_imports.due_retries(database.pipeline_pool, stuck_seconds=3600)
    assert [names_of[failed_import_id] for failed_import_id, _ in due] == ["stuck", "due"]
    assert {workspace_id for _, workspace_id in due} == {database.workspace_id}
    assert len(await failed_imports.due_retries(database.pipeline_pool, stuck_seconds=3600, limit=1)) == 1


# Retry ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def bus(broker: Broker) -> AsyncIterator[Bus]:
    """A bus on the real broker."""
    running = Bus(broker.bootstrap, MemoryStore(), source="test")
    yield running
    await running.stop()


async def read_back(broker: Broker, topic: Topic, key: bytes) -> list[Any]:
    """What lies on a topic under a key and the header of the newest record there: other tests use the same key."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found = []
    try:
        partitions = [aiokafka.TopicPartition(topic.name, number) for number in range(4)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record for record in records if record.key == key]
    finally:
        await consumer.stop()
    newest = max(found, key=lambda record: record.timestamp)
    return [record for record in found if header(record.headers, "ce_id") == header(newest.headers, "ce_id")]


async def test_a_retry_sends_the_untouched_original_again(database: Database, broker: Broker, bus: Bus) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    odd = [("odd \u00e9", b"\x00\xff"), ("twice", b"1"), ("twice", b"2"), ("empty", b"")]
    headers = [*original_of(call, attempt=4), *odd]
    await bury(
        database.pipeline_pool, call, a_death(RAW, attempt=4), headers=headers_of(a_death(RAW, attempt=4), headers)
    )
    row = await the_row(database)
    await failed_imports.retry(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
    [record] = await read_back(broker, RAW, call.key)
    assert record.value == call.model_dump_json().encode()
    assert list(record.headers) == [*original_of(call), *odd, ("attempt", b"5")]
    row = await the_row(database)
    assert (row["status"], row["next_retry_at"], row["retried_at"] is not None) == ("retrying", None, True)
    assert await job_state(database) == ("pending", None)
    await bury(database.pipeline_pool, call, a_death(attempt=5), headers=headers_of(a_death(attempt=5), record.headers))
    row = await the_row(database)
    assert (row["status"], row["attempts"]) == ("open", 5)
    assert await job_state(database) == ("failed", "The vendor is busy.")


async def test_a_retry_brings_null_back_as_null(database: Database, broker: Broker, bus: Bus) -> None:
    key = f"{database.workspace_id}:generic:nothing".encode()
    death = headers_of(a_death(NORMALIZED), [])
    await failed_imports.record(
        database.pipeline_pool, key=key, value=None, headers=death, at=(DEAD.name, 0, 0), schedule=SCHEDULE,
        max_attempts=MAX_ATTEMPTS,
    )  # fmt: skip
    row = await the_row(database)
    await failed_imports.retry(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
    [record] = await read_back(broker, NORMALIZED, key)
    assert record.value is None


async def test_an_event_without_an_id_fails_again_as_the_same_one(database: Database) -> None:
    """Or each retry would make one more failed import, and the old one would be retried for ever."""
    bus = FakeBus()
    headers: Headers = [("x", b"y")]
    for attempt in range(1, 5):
        death = a_death(RAW, kind="rejected", attempt=attempt, offset=attempt * 10)
        await failed_imports.record(
            database.pipeline_pool, key=None, value=b"\xff", headers=headers_of(death, headers),
            at=(DEAD.name, 0, attempt), schedule=SCHEDULE, max_attempts=MAX_ATTEMPTS,
        )  # fmt: skip
        row = await the_row(database)
        assert (row["status"], row["attempts"]) == ("open", attempt)
        await failed_imports.retry(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
        topic, key, value, headers = bus.sent[-1]
        assert (topic, key, value) == (RAW.name, None, b"\xff")
        place = f"{RAW.name}/2/10".encode()
        assert headers == [("x", b"y"), ("attempt", str(attempt + 1).encode()), ("retry_of", place)]


@pytest.mark.parametrize("status", ["open", "parked"])
async def test_without_a_broker_everything_stays_as_it_was(database: Database, status: str) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    await bury(database.pipeline_pool, call, a_death(attempt=1 if status == "open" else 8))
    before = await the_row(database)
    with pytest.raises(OutageFault):
        await failed_imports.retry(
            database.pipeline_pool, FakeBus(away=True), database.workspace_id, before["failed_import_id"]
        )
    assert await the_row(database) == before
    assert before["status"] == status
    assert await job_state(database) == ("failed", "The vendor is busy.")


async def test_a_retry_that_is_cut_off_is_open_again(database: Database) -> None:
    await bury(database.pipeline_pool, a_call(database.workspace_id), a_death())
    row = await the_row(database)

    class SlowBus(FakeBus):
        async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await failed_imports.retry(
                database.pipeline_pool, SlowBus(), database.workspace_id, row["failed_import_id"]
            )
    assert (await the_row(database))["status"] == "open"


@pytest.mark.parametrize("status", ["resolved", "discarded"])
async def test_what_is_settled_cannot_be_retried_or_discarded(database: Database, status: str) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    await bury(database.pipeline_pool, call, a_death())
    await execute(database, "UPDATE failed_imports SET status = $1", status)
    row, bus = await the_row(database), FakeBus()
    for deed in (failed_imports.retry, failed_imports.discard):
        with pytest.raises(LookupError):
            await deed(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
    assert (await the_row(database), bus.sent) == (row, [])
    assert await job_state(database) == ("failed", "The vendor is busy."), "nothing is half done"


async def test_nobody_retries_or_discards_for_another_workspace(database: Database) -> None:
    other = clock.new_id()
    await execute(database, "INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", other)
    await bury(database.pipeline_pool, a_call(other), a_death())
    row, bus = await the_row(database), FakeBus()
    assert row["workspace_id"] == other
    for deed in (failed_imports.retry, failed_imports.discard):
        with pytest.raises(LookupError):
            await deed(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
    assert (await the_row(database), bus.sent) == (row, [])


async def test_a_letter_cannot_choose_any_topic_for_its_retry(database: Database) -> None:
    await bury(database.pipeline_pool, a_call(database.workspace_id), a_death())
    for topic in ("__consumer_offsets", DEAD.name):
        await execute(database, "UPDATE failed_imports SET origin_topic = $1", topic)
        row, bus = await the_row(database), FakeBus()
        with pytest.raises(LookupError):
            await failed_imports.retry(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
        assert (await the_row(database), bus.sent) == (row, [])


# Races ---------------------------------------------------------------------------------------------------------------


async def test_two_retries_at_once_end_like_one(database: Database) -> None:
    for round_ in range(20):
        call, bus = a_call(database.workspace_id, f"call-{round_}"), FakeBus()
        await bury(database.pipeline_pool, call, a_death())
        [failed] = await database.pipeline_pool.fetch("SELECT * FROM failed_imports WHERE status = 'open'")
        retry = (database.pipeline_pool, bus, database.workspace_id, failed["failed_import_id"])
        await asyncio.gather(failed_imports.retry(*retry), failed_imports.retry(*retry))
        assert {sent[3][-1] for sent in bus.sent} == {("attempt", b"2")}, "the second one is a redelivery of the first"
        await bury(database.pipeline_pool, call, a_death(attempt=2))
        await bury(database.pipeline_pool, call, a_death(attempt=2))
        await store(database.pipeline_pool, [call])
    rows = await database.pipeline_pool.fetch("SELECT status, attempts FROM failed_imports")
    assert [tuple(row) for row in rows] == [("resolved", 2)] * 20


async def test_two_retries_without_a_broker_leave_it_open(database: Database) -> None:
    await bury(database.pipeline_pool, a_call(database.workspace_id), a_death())
    row = await the_row(database)
    retry = (database.pipeline_pool, FakeBus(away=True), database.workspace_id, row["failed_import_id"])
    results = await asyncio.gather(failed_imports.retry(*retry), failed_imports.retry(*retry), return_exceptions=True)
    assert [type(one) for one in results] == [OutageFault] * 2
    assert await the_row(database) == row


async def test_retry_discard_and_resolution_at_once(database: Database) -> None:
    """Each ends in a state that makes sense, without a deadlock, which would be an `OutageFault`."""
    for round_ in range(40):
        call = await add_job(database, a_call(database.workspace_id, f"call-{round_}"))
        await bury(database.pipeline_pool, call, a_death())
        [failed] = await database.pipeline_pool.fetch("SELECT * FROM failed_imports WHERE status = 'open'")
        deed = failed_imports.discard if round_ % 2 else failed_imports.retry
        skip = skipped(call, "already_imported", None, T0)
        results = await asyncio.gather(
            deed(database.pipeline_pool, FakeBus(), database.workspace_id, failed["failed_import_id"]),
            store(database.pipeline_pool, [call]),
            record_skips(database.pipeline_pool, [skip]),
            return_exceptions=True,
        )
        assert isinstance(results[0], LookupError | None)
        assert not isinstance(results[1], BaseException)
        assert results[2] == [None]
        row = await database.pipeline_pool.fetchrow(
            "SELECT f.status AS failed, i.status AS call, j.status AS job, i.recording_id FROM failed_imports f"
            " JOIN imported_calls i USING (workspace_id, source_app, external_id) JOIN job_calls j USING (job_id)"
            " WHERE f.failed_import_id = $1",
            failed["failed_import_id"],
        )
        assert row["failed"] in ({"resolved", "discarded"} if round_ % 2 else {"resolved"})
        assert (row["call"], row["recording_id"] is None) == ("imported", False)
        assert row["job"] in ("imported", "skipped")


# Discard -------------------------------------------------------------------------------------------------------------


async def test_a_discard_releases_the_claim(database: Database, broker: Broker, bus: Bus) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    await bury(database.pipeline_pool, call, a_death())
    row = await the_row(database)
    await failed_imports.discard(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
    [record] = await read_back(broker, NORMALIZED, call.key)
    event = await decode(NORMALIZED, record.value, record.headers, MemoryStore())
    assert isinstance(event, ClaimReleased)
    assert (event.key, event.event_id) == (call.key, call.event_id)
    row = await the_row(database)
    assert (row["status"], row["next_retry_at"], row["resolved_at"] is not None) == ("discarded", None, True)
    assert (await job_state(database))[0] == "discarded"
    assert await database.pipeline_pool.fetchval("SELECT status FROM imported_calls") == "discarded"


async def test_without_a_broker_nothing_is_discarded(database: Database) -> None:
    call = await add_job(database, a_call(database.workspace_id))
    await bury(database.pipeline_pool, call, a_death())
    row = await the_row(database)
    with pytest.raises(OutageFault):
        await failed_imports.discard(
            database.pipeline_pool, FakeBus(away=True), database.workspace_id, row["failed_import_id"]
        )
    assert await the_row(database) == row
    assert await job_state(database) == ("failed", "The vendor is busy.")
    assert await database.pipeline_pool.fetchval("SELECT status FROM imported_calls") == "failed"


async def test_a_discard_leaves_a_stored_call_alone(database: Database) -> None:
    stored, failed = a_call(database.workspace_id), a_call(database.workspace_id, fingerprint="b", at=1)
    await store(database.pipeline_pool, [stored])
    await bury(database.pipeline_pool, failed, a_death())
    row = await the_row(database)
    await failed_imports.discard(database.pipeline_pool, FakeBus(), database.workspace_id, row["failed_import_id"])
    assert await database.pipeline_pool.fetchval("SELECT status FROM imported_calls") == "imported"


async def test_what_no_claim_can_belong_to_can_be_discarded(database: Database) -> None:
    for key in ("{workspace}:Not A Source!:x", "{workspace}:generic", "nonsense", ""):
        event_id = json.dumps({"event_id": str(uuid4())}).encode()
        await failed_imports.record(
            database.pipeline_pool, key=key.format(workspace=database.workspace_id).encode(), value=event_id,
            headers=headers_of(a_death(), []), at=(DEAD.name, 0, 0), schedule=SCHEDULE, max_attempts=MAX_ATTEMPTS,
        )  # fmt: skip
        row, bus = await the_row(database), FakeBus()
        await failed_imports.discard(database.pipeline_pool, bus, database.workspace_id, row["failed_import_id"])
        assert ((await the_row(database))["status"], bus.sent) == ("discarded", []), key
        await execute(database, "DELETE FROM failed_imports")
