"""History read again: over an emptied table it makes the same rows, over a full one it changes nothing.

A stack and servers of its own, because these tests empty tables and kill processes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiokafka
import psycopg
import pytest

from ops.local import Local
from schemas.calls import RawCall
from schemas.topics import BACKFILL, COMPLETED, RAW, REPLAY, Topic
from streams.io import archive, clock, replays
from streams.io.bus import REPLAY_ID, header, headers_of
from streams.io.replays import OVER, Replay, Selection
from streams.replay import LIVE_LAG
from tests.fakes.audio import make_wav
from tests.fakes.openai_server import spoken_name
from tests.servers import addresses_of, own_servers
from tests.stack import Stack, start_stack, until
from tests.system.test_pipeline import generic

pytestmark = pytest.mark.system

SEEN = """
    SELECT recording_id, workspace_id, source_app, external_id, owner_user_id, bank_id, title, full_transcript,
        segments::text, participants::text, original_transcript, recording_start_time, duration_ms, language,
        media::text, source_metadata::text, metadata_quality, event_id, fingerprint, observed_at, received_at,
        import_job_id, imported_at, search::text
    FROM recordings ORDER BY source_app, external_id
"""
"""Every column of a call that a person sees, or that decides about later events."""
WHOLE = "SELECT r.*, r.xmin::text FROM recordings r ORDER BY source_app, external_id"
IMPORTS = """
    SELECT import_id, external_id, recording_id, status, event_id FROM imported_calls
    WHERE status <> 'failed' ORDER BY external_id
"""
FILED = "SELECT vault_id, recording_id FROM vault_entries ORDER BY vault_id, recording_id"


@pytest.fixture(scope="module")
async def machines() -> AsyncIterator[Local]:
    """Kafka and PostgreSQL under it."""
    with own_servers("history") as local:
        yield local


@pytest.fixture(scope="module")
async def history(machines: Local, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A stack whose archive holds a bit of everything."""
    folder, addresses = tmp_path_factory.mktemp("history"), addresses_of(machines)
    stack = await asyncio.to_thread(lambda: start_stack(folder, addresses["kafka"], servers=addresses))
    try:
        await fill(stack)
        yield stack
    finally:
        await stack.close_pools()
        await asyncio.to_thread(stack.stop)


async def publish(stack: Stack, topic: Topic, calls: Sequence[RawCall]) -> None:
    """Publish one after the other, so that their times are in order."""
    bus = stack.bus()
    for call in calls:
        await bus.publish(topic, call)
    await bus.stop()


async def fill(stack: Stack) -> None:
    """Plain calls, duplicates, versions in and out of order, a large one, a backfilled one, one that is filed in a
    vault, a recording that needs speech to text, and poison."""
    pool = await stack.pool()
    vault = clock.new_id()
    bank = await stack.value("SELECT bank_id FROM banks LIMIT 1")
    await pool.execute("INSERT INTO vaults (vault_id, workspace_id, bank_id, name) VALUES ($1, $2, $3, 'v')",
                       vault, stack.workspace_id, bank)  # fmt: skip
    now = clock.now()

    def version(name: str, number: int) -> RawCall:
        payload = generic(name, title=f"{name}, version {number}")
        return stack.raw(name, payload, observed_at=now + timedelta(seconds=number))

    plain = [stack.raw(f"plain-{n}", generic(f"plain-{n}", title=f"Call {n}")) for n in range(30)]
    twice = [stack.raw(call.external_id, call.payload) for call in plain[:5]]
    large = stack.raw("large", generic("large", segments=None, full_transcript="It was long. " * 60_000))
    filed = stack.raw("filed", generic("filed"), placement={"vault_id": str(vault)})
    await publish(stack, RAW, [*plain, large, filed, *(version("renamed", n) for n in (1, 2, 3))])
    await publish(stack, RAW, [*twice, version("shuffled", 2), version("shuffled", 1), version("both", 1)])
    await settled(stack, "both, version 1")  # the lanes overtake each other, and the first one stored names the import
    await publish(stack, BACKFILL, [stack.raw("old", generic("old")), version("both", 2)])
    await publish(stack, RAW, [version("both", 3), stack.raw("poison", generic("poison", title=7))])
    wav = make_wav(1.0, 444)
    async with stack.client() as client:
        answer = await client.post("/api/uploads", files=[("files", ("talk.wav", wav))])
    spoken = answer.json()["calls"][0]["external_id"]
    assert spoken_name(wav) in (await stack.wait_recording(spoken))["full_transcript"]
    await stack.wait_failed("poison")
    await settled(stack, "renamed, version 3", "shuffled, version 2", "both, version 3", "Call 29")
    await until(lambda: has(stack, "SELECT count(*) = 37 FROM recordings"), 60, "all calls")
    await until(lambda: has(stack, "SELECT count(*) = 1 FROM vault_entries"), 60, "the vault entry")
    await quiet(stack)


async def settled(stack: Stack, *titles: str) -> None:
    """Wait until calls with these titles are stored."""
    for title in titles:
        await until(lambda: stack.fetch("SELECT 1 FROM recordings WHERE title = $1", title), 60, title)  # noqa: B023


async def has(stack: Stack, sql: str, *values: Any) -> bool | None:
    """What the question answers."""
    return await stack.value(sql, *values) or None


async def quiet(stack: Stack) -> None:
    """Wait until everything on the way has come to its end: a replay of nothing ends only then."""
    await finished(stack, await ask(stack, source_app="nobody"))


async def ask(stack: Stack, *, dry_run: bool = False, rate: float | None = None, **selection: Any) -> UUID:
    """Queue a replay."""
    wanted = Selection.model_validate(selection)
    pool = await stack.pool()
    return await replays.create(pool, stack.workspace_id, stack.user_id, wanted, dry_run=dry_run, rate=rate)


async def look(stack: Stack, replay_id: UUID) -> Replay:
    """The replay as it stands."""
    found = await replays.get(await stack.pool(), stack.workspace_id, replay_id)
    assert found is not None
    return found


async def finished(stack: Stack, replay_id: UUID, timeout: float = 120) -> Replay:
    """The replay when it is over."""

    async def over() -> Replay | None:
        found = await look(stack, replay_id)
        return found if found.state in OVER else None

    try:
        return await until(over, timeout, f"replay {replay_id}")
    except AssertionError:
        raise AssertionError(f"{await look(stack, replay_id)}\n{stack.logs()}") from None


async def ran(stack: Stack, **wanted: Any) -> Replay:
    """A replay, from asking to its good end."""
    replay = await finished(stack, await ask(stack, **wanted))
    assert replay.state == "done", replay.last_error
    assert replay.read_events == replay.total_events
    return replay


async def begun(stack: Stack, replay_id: UUID) -> Replay:
    """The replay when it has published something."""

    async def published() -> Replay | None:
        found = await look(stack, replay_id)
        return found if found.published_events else None

    return await until(published, 60, f"the first batch of {replay_id}")


async def of_replay(stack: Stack, topic: str, replay_id: UUID) -> list[Any]:
    """The records on a topic that a replay brought."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=stack.settings.kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=4_000_000
    )
    await consumer.start()
    found: list[Any] = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [r for r in records if header(r.headers, REPLAY_ID) == str(replay_id)]
    finally:
        await consumer.stop()
    return found


def as_owner(stack: Stack, sql: str) -> None:
    """Do what callstream itself never does."""
    with psycopg.connect(stack.owner_url, autocommit=True) as connection:
        connection.execute(sql)


async def rows(stack: Stack, sql: str) -> list[dict[str, Any]]:
    """Rows as they can be compared."""
    return [dict(row) for row in await stack.fetch(sql)]


async def started_at(stack: Stack) -> datetime:
    """The present, after everything else has been accepted."""
    await asyncio.sleep(0.002)  # record times are in milliseconds
    return clock.now()


async def many(stack: Stack, count: int) -> datetime:
    """Bring in `count` plain calls. Gives the time before the first."""
    before, run = await started_at(stack), uuid4().hex[:8]
    await stack.publish(*(stack.raw(f"{run}-{n}", generic(f"{run}-{n}", title=f"{run}")) for n in range(count)))
    await until(lambda: has(stack, "SELECT count(*) = $2 FROM recordings WHERE title = $1", run, count), 120, "calls")
    return before


async def test_replaying_over_an_emptied_table_gives_the_same_rows_again(history: Stack) -> None:
    await quiet(history)
    before = [await rows(history, sql) for sql in (SEEN, IMPORTS, FILED)]
    paid = history.openai.paid()
    as_owner(history, "TRUNCATE recordings CASCADE")
    assert not await rows(history, IMPORTS)
    replay = await ran(history)
    after = [await rows(history, sql) for sql in (SEEN, IMPORTS, FILED)]
    assert after == before
    assert replay.counts["imported"] == len(before[0])
    assert replay.counts["pending"] == 0
    assert history.openai.paid() == paid, "the transcript was kept and is not paid again"


async def test_replaying_over_a_full_table_changes_nothing(history: Stack) -> None:
    await quiet(history)
    before = [await rows(history, sql) for sql in (WHOLE, IMPORTS, FILED)]
    replay = await ran(history)
    assert [await rows(history, sql) for sql in (WHOLE, IMPORTS, FILED)] == before
    assert replay.counts["skipped"] == len(before[0])
    assert (replay.counts["imported"], replay.counts["updated"], replay.counts["pending"]) == (0, 0, 0)
    assert replay.published_events == replay.matched_events > len(before[0])
    assert not await of_replay(history, COMPLETED.name, replay.replay_id)


async def test_a_record_is_published_again_byte_for_byte(history: Stack) -> None:
    replay = await ran(history, external_id="large")
    copy = (await of_replay(history, REPLAY.name, replay.replay_id))[0]
    wanted = Selection(external_id="large")
    async with aclosing(
        archive.select(history.settings, workspace_id=history.workspace_id, selection=wanted)
    ) as batches:
        [original] = [record async for batch in batches for record in batch.records]
    assert (copy.key, copy.value) == (original.key, original.value)
    assert [h for h in copy.headers if h[0] != REPLAY_ID] == original.headers
    assert header(copy.headers, "ce_dataref")


async def test_a_mended_mapping_is_applied_to_history_and_foreseen(history: Stack) -> None:
    """An older mapping is simulated by what it would have written."""
    await quiet(history)
    before = await rows(history, SEEN)
    as_owner(
        history, "UPDATE recordings SET title = 'Wrong', fingerprint = repeat('0', 64) WHERE external_id = 'plain-1'"
    )
    as_owner(history, "UPDATE recordings SET source_metadata = '{\"old\": 1}' WHERE external_id = 'plain-2'")
    as_owner(
        history, "UPDATE recordings SET title = 'Old', fingerprint = repeat('f', 64) WHERE external_id = 'renamed'"
    )
    as_owner(history, "DELETE FROM recordings WHERE external_id IN ('plain-3', 'both')")
    altered = await rows(history, WHOLE)

    foreseen = await ran(history, dry_run=True)
    assert await rows(history, WHOLE) == altered, "a dry run writes nothing"
    assert not await of_replay(history, REPLAY.name, foreseen.replay_id)
    assert (foreseen.matched_events, foreseen.published_events) == (foreseen.matched_events, 0)
    report = foreseen.report
    assert (report["would_import"], report["would_change"], report["would_fail"]) == (2, 3, 1)
    sample = {call["external_id"]: call for call in report["sample"]}
    assert sample.keys() == {"plain-1", "plain-2", "renamed"}
    assert sample["plain-1"]["before"] == {"title": "Wrong"}
    assert sample["plain-1"]["after"] == {"title": "Call 1"}
    assert sample["plain-2"]["before"] == {"source_metadata": {"old": 1}}
    assert sample["renamed"]["after"] == {"title": "renamed, version 3"}
    assert [failure["external_id"] for failure in report["failures"]] == ["poison"]

    replay = await ran(history)
    assert await rows(history, SEEN) == before
    assert replay.counts["imported"] == report["would_import"]
    assert replay.counts["updated"] == report["would_change"]
    assert replay.counts["skipped"] == report["unchanged"] + report["older"]
    assert replay.counts["failed"] == report["would_fail"]
    assert replay.matched_events == foreseen.matched_events
    completed = await of_replay(history, COMPLETED.name, replay.replay_id)
    assert {json.loads(record.value)["external_id"] for record in completed} == {
        "plain-1", "plain-2", "plain-3", "renamed", "both",
    }  # fmt: skip
    assert (await ran(history)).counts["updated"] == 0, "once is enough"


async def test_poison_fails_in_the_job_and_in_the_failed_imports(history: Stack) -> None:
    replay = await ran(history, external_id="poison")
    [call] = await history.fetch("SELECT status, reason FROM job_calls WHERE job_id = $1", replay.replay_id)
    assert call["status"] == "failed"
    assert call["reason"]
    [failed] = await history.fetch("SELECT status, replay_id FROM failed_imports WHERE external_id = 'poison'")
    assert (failed["status"], failed["replay_id"]) == ("open", replay.replay_id)


async def test_a_selection_replays_what_it_names_and_nothing_else(history: Stack) -> None:
    async def calls_of(**selection: Any) -> set[str]:
        replay = await ran(history, **selection)
        sql = "SELECT external_id FROM job_calls WHERE job_id = $1"
        return {row["external_id"] for row in await history.fetch(sql, replay.replay_id)}

    middle = await started_at(history)
    await publish(history, RAW, [history.raw("late-1", generic("late-1"))])
    end = await started_at(history)
    await publish(history, RAW, [history.raw("late-2", generic("late-2"))])
    await history.wait_recording("late-2")
    assert await calls_of(from_=middle) == {"late-1", "late-2"}
    assert await calls_of(from_=middle, to=end) == {"late-1"}
    assert "late-1" not in await calls_of(to=middle)
    assert await calls_of(topic=BACKFILL.name) == {"old", "both"}
    assert await calls_of(external_id="plain-7") == {"plain-7"}
    assert len(await calls_of(source_app="upload")) == 1
    assert await calls_of(source_app="fathom") == set()


async def test_another_workspace_is_never_touched(history: Stack) -> None:
    stranger = history.raw("stranger", generic("stranger"), workspace_id=uuid4())
    await publish(history, RAW, [stranger])
    await history.wait_failed("stranger")
    replay = await ran(history, external_id="stranger")
    assert replay.matched_events == 0


async def test_the_events_of_a_call_come_in_their_order_out_of_both_topics(history: Stack) -> None:
    name = f"order-{uuid4()}"
    versions = [history.raw(name, generic(name, title=str(n))) for n in range(40)]
    for number, version in enumerate(versions):
        await publish(history, (RAW, BACKFILL)[number % 3 == 0], [version])
        await started_at(history)
    wanted = Selection(external_id=name)
    span = await archive.bounds(history.settings, wanted)
    found: list[str] = []
    cursor = span
    while archive.remaining(cursor):  # a new reader after every batch, as after a crash
        async with aclosing(
            archive.select(history.settings, workspace_id=history.workspace_id, selection=wanted, start=cursor, limit=7)
        ) as batches:
            batch = await anext(batches)
        found += [header(record.headers, "ce_id") or "" for record in batch.records]
        cursor = batch.cursor
    assert found == [str(version.event_id) for version in versions]


async def test_retries_and_records_of_nobody_are_not_read_again(history: Stack) -> None:
    name = f"again-{uuid4()}"
    call = history.raw(name, generic(name))
    bus = history.bus()
    headers = headers_of(RAW, call, "test")
    value = call.model_dump_json().encode()
    await bus.send(RAW.name, call.key, value, headers)
    await bus.send(RAW.name, call.key, value, [*headers, ("attempt", b"2")])
    await bus.send(RAW.name, None, value, [])
    await bus.send(RAW.name, b"\xff\xfe", value, [])
    await bus.stop()
    await history.wait_recording(name)
    assert (await ran(history, external_id=name)).matched_events == 1


async def test_killed_at_any_moment_it_still_completes(history: Stack) -> None:
    before = await many(history, 800)
    await quiet(history)
    rows_before = await rows(history, SEEN)
    as_owner(history, "TRUNCATE recordings CASCADE")
    replay_id = await ask(history, rate=200)
    await begun(history, replay_id)
    assert history.kill("audit")
    await asyncio.sleep(1)
    assert history.kill("pipeline")
    await asyncio.sleep(1)
    assert history.kill("audit")
    replay = await finished(history, replay_id, 240)
    assert replay.state == "done", replay.last_error
    assert replay.published_events == replay.matched_events >= 800
    assert replay.counts["pending"] == 0
    assert await rows(history, SEEN) == rows_before
    assert (await ran(history, from_=before)).counts["skipped"] >= 800


async def test_an_outage_of_broker_and_database_is_waited_for(history: Stack, machines: Local) -> None:
    before = await many(history, 300)
    await quiet(history)
    replay_id = await ask(history, rate=40, from_=before)
    await begun(history, replay_id)
    await asyncio.to_thread(machines.kafka.stop)
    await asyncio.sleep(2)
    await asyncio.to_thread(machines.kafka.start)
    await history.close_pools()
    await asyncio.to_thread(machines.postgres.stop)
    await asyncio.sleep(2)
    await asyncio.to_thread(machines.postgres.start)
    replay = await finished(history, replay_id, 240)
    assert replay.state == "done", replay.last_error
    assert (replay.published_events, replay.counts["skipped"]) == (300, 300)


async def test_a_dry_run_that_is_killed_begins_again(history: Stack) -> None:
    replay_id = await ask(history, dry_run=True)

    async def reading() -> bool | None:
        return (await look(history, replay_id)).state != "queued" or None

    await until(reading, 60, "the dry run to begin")
    history.kill("audit")
    replay = await finished(history, replay_id)
    report = replay.report
    judged = sum(report[name] for name in ("would_import", "would_change", "unchanged", "older", "would_fail"))
    sql = "SELECT count(DISTINCT (source_app, external_id)) FROM job_calls WHERE job_id = $1"
    whole = await ran(history)
    assert judged == await history.value(sql, whole.replay_id)


async def test_a_cancelled_replay_stops_within_a_batch(history: Stack) -> None:
    before = await many(history, 300)
    for by_job in (False, True):
        replay_id = await ask(history, rate=20, from_=before)
        await begun(history, replay_id)
        if by_job:
            async with history.client() as client:
                assert (await client.delete(f"/api/imports/{replay_id}")).status_code == 200
        else:
            pool = await history.pool()
            assert await replays.cancel(pool, history.workspace_id, replay_id)
            assert not await replays.cancel(pool, history.workspace_id, replay_id)
        replay = await finished(history, replay_id)
        assert replay.state == "cancelled"
        await quiet(history)
        assert len(await of_replay(history, REPLAY.name, replay_id)) <= replay.published_events + 20 < 300
        open_ended = await history.value("SELECT open_ended FROM import_jobs WHERE job_id = $1", replay_id)
        assert open_ended is False


async def test_a_rate_is_kept(history: Stack) -> None:
    before = await many(history, 100)
    replay = await ran(history, rate=50, from_=before)
    assert replay.published_events == 100
    assert replay.finished_at is not None
    assert replay.finished_at - replay.started_at >= timedelta(seconds=1)


async def test_live_calls_do_not_wait_for_a_replay(history: Stack) -> None:
    before = await many(history, 600)
    replay_id = await ask(history, rate=60, from_=before)
    await begun(history, replay_id)
    name = f"live-{uuid4()}"
    await publish(history, RAW, [history.raw(name, generic(name))])
    await history.wait_recording(name)
    assert (await look(history, replay_id)).state == "reading"
    await replays.cancel(await history.pool(), history.workspace_id, replay_id)


async def test_a_replay_waits_while_the_pipeline_is_behind(history: Stack) -> None:
    before = await many(history, 1300)
    await quiet(history)
    await asyncio.to_thread(history.pause, "dedup")
    try:
        replay_id = await ask(history, from_=before)

        async def held_back() -> bool | None:
            return (await look(history, replay_id)).published_events >= LIVE_LAG or None

        await until(held_back, 60, "the replay to fill the way")
        await asyncio.sleep(3)
        assert len(await of_replay(history, REPLAY.name, replay_id)) < LIVE_LAG + 2 * archive.BATCH
    finally:
        await asyncio.to_thread(history.resume, "dedup")
    assert (await finished(history, replay_id)).published_events == 1300


async def test_a_fault_of_one_replay_is_said_and_leaves_the_others(history: Stack) -> None:
    pool = await history.pool()
    broken = await ask(history)
    await pool.execute('UPDATE replays SET selection = \'{"from": "once"}\' WHERE replay_id = $1', broken)
    good = await ran(history, external_id="plain-1")
    assert good.state == "done"
    sql = "SELECT last_error FROM import_jobs WHERE job_id = $1"
    error = await until(lambda: history.value(sql, broken), 60, "the error")
    assert "Start it again" in error
    assert await history.value("SELECT state FROM replays WHERE replay_id = $1", broken) == "failed"
