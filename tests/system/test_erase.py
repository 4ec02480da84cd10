"""Erasing a call on a real PostgreSQL: everything of it goes, and nothing that is under way brings it back."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from schemas.calls import Call, Media
from streams.io import clock, erase, failed_imports
from streams.io.outcomes import record_skips
from streams.io.recordings import Stored, key_of, store
from streams.stages.dedup import skipped
from tests.conftest import Database
from tests.stack import until
from tests.system.test_persist import T0, a_call, add_job

pytestmark = pytest.mark.database
SHA = "ab" * 32


async def erase_it(database: Database, call: Call) -> erase.Erased:
    """Erase a call in a transaction of its own."""
    async with database.pipeline_pool.acquire() as connection, connection.transaction():
        return await erase.erase(connection, key_of(call), by="tests")


async def count(database: Database, table: str, call: Call) -> int:
    """How many rows of a table are this call's."""
    value: int = await database.pipeline_pool.fetchval(
        f"SELECT count(*) FROM {table} WHERE external_id = $1",
        call.external_id,
    )
    return value


async def test_an_erased_call_is_stored_by_no_later_event(database: Database) -> None:
    call = a_call(database.workspace_id)
    await store(database.pipeline_pool, [call])
    done = await erase_it(database, call)
    assert done.stored
    newer = a_call(database.workspace_id, fingerprint="b", at=60)
    other = a_call(database.workspace_id, external_id="call-2")
    for again in (call, newer):
        first, second = await store(database.pipeline_pool, [again, other])
        assert first == Stored("erased", None, None, None, None)
        assert second.result == "imported"
    assert await count(database, "recordings", call) == 0
    assert await database.pipeline_pool.fetchval("SELECT status FROM imported_calls WHERE external_id = 'call-1'") == (
        "discarded"
    )


async def test_a_call_that_was_never_stored_can_be_erased(database: Database) -> None:
    call = a_call(database.workspace_id)
    assert not (await erase_it(database, call)).stored
    assert (await store(database.pipeline_pool, [call]))[0].result == "erased"


async def test_the_same_call_of_another_source_or_workspace_stays(database: Database) -> None:
    call, other = a_call(database.workspace_id), a_call(database.workspace_id, source_app="gong")
    await store(database.pipeline_pool, [call, other])
    await erase_it(database, call)
    assert await count(database, "recordings", call) == 1


@pytest.mark.parametrize("is_stored", [False, True], ids=["new", "stored"])
async def test_a_call_that_is_being_stored_meanwhile_does_not_come_back(database: Database, is_stored: bool) -> None:
    """Erasing waits for whoever is storing, and who stores afterwards sees that it was erased."""
    call = a_call(database.workspace_id)
    if is_stored:
        await store(database.pipeline_pool, [call])
    newer = a_call(database.workspace_id, fingerprint="b", at=60)
    async with database.pipeline_pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await erase.hold_erasing(connection, [call.workspace_id])
        erasing = asyncio.create_task(erase_it(database, call))
        await waits(database, "ExclusiveLock")
        storing = asyncio.create_task(store(database.pipeline_pool, [newer]))
        await waits(database, "ShareLock")
        await transaction.commit()
    assert (await erasing).stored is is_stored
    assert [each.result for each in await storing] == ["erased"]
    assert await count(database, "recordings", call) == 0


async def waits(database: Database, mode: str) -> None:
    """Until somebody waits for that lock."""
    sql = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND mode = $1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    await until(lambda: database.pipeline_pool.fetchval(sql, mode), 30, f"a lock of mode {mode}", pause=0.01)


async def test_erasing_and_storing_side_by_side_ends_with_nothing_stored(database: Database) -> None:
    """Two workers store and store again while the calls are erased one after the other."""
    calls = [a_call(database.workspace_id, external_id=f"call-{n}") for n in range(40)]
    stop = asyncio.Event()

    async def worker(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            batch = [
                a_call(database.workspace_id, external_id=c.external_id, fingerprint=f"{number}-{turn}", at=turn)
                for c in calls
            ]
            await store(database.pipeline_pool, batch)

    workers = [asyncio.create_task(worker(number)) for number in range(2)]
    for call in calls:
        await erase_it(database, call)
    stop.set()
    await asyncio.gather(*workers)
    left = await database.pipeline_pool.fetch("SELECT external_id FROM recordings")
    assert [row["external_id"] for row in left] == []
    results = await store(database.pipeline_pool, calls)
    assert {each.result for each in results} == {"erased"}


async def test_a_dead_letter_of_an_erased_call_is_not_kept(database: Database) -> None:
    call = a_call(database.workspace_id)
    job_id = await add_job(database, call)
    call = call.model_copy(update={"job_id": job_id})
    await erase_it(database, call)
    await bury(database, call)
    assert await count(database, "failed_imports", call) == 0
    row = await job_call(database, job_id)
    assert (row["status"], row["reason"]) == ("skipped", erase.ERASED)


async def bury(database: Database, call: Call) -> None:
    """What the dead-letter agent does with an event that failed."""
    await failed_imports.record(
        database.pipeline_pool, key=call.key, value=call.model_dump_json().encode(),
        headers=[("ce_id", str(call.event_id).encode())], at=("imports.dead.v1", 0, 1), schedule=[5], max_attempts=9,
    )  # fmt: skip


async def job_call(database: Database, job_id: UUID) -> asyncpg.Record:
    """The one call of a job."""
    row: asyncpg.Record = await database.pipeline_pool.fetchrow("SELECT * FROM job_calls WHERE job_id = $1", job_id)
    return row


async def test_failed_imports_and_waiting_of_the_call_are_gone_and_its_jobs_say_so(database: Database) -> None:
    call = a_call(database.workspace_id)
    job_id = await add_job(database, call)
    call = call.model_copy(update={"job_id": job_id})
    await bury(database, call)
    assert await count(database, "failed_imports", call) == 1
    done = await erase_it(database, call)
    assert done.failed_imports == 1
    assert await count(database, "failed_imports", call) == 0
    row = await job_call(database, job_id)
    assert (row["status"], row["reason"], row["filename"]) == ("discarded", erase.GONE, None)


@pytest.mark.parametrize("reason", ["erased", "already_imported"])
async def test_a_job_that_brings_it_again_says_that_it_was_erased(database: Database, reason: str) -> None:
    """Also where dedup still takes it for a duplicate of what was in the library."""
    call = a_call(database.workspace_id)
    await store(database.pipeline_pool, [call])
    await erase_it(database, call)
    again = a_call(database.workspace_id)
    job_id = await add_job(database, again)
    again = again.model_copy(update={"job_id": job_id})
    await record_skips(database.pipeline_pool, [skipped(again, reason, call.event_id, T0)])
    row = await job_call(database, job_id)
    assert (row["status"], row["reason"]) == ("skipped", erase.ERASED)


async def add_transcript(database: Database) -> None:
    """What speech to text has left of the recording."""
    pool, key = database.pipeline_pool, (database.workspace_id, SHA, "m", "")
    await pool.execute(
        "INSERT INTO transcripts (workspace_id, audio_sha256, model, language, result) VALUES ($1, $2, $3, $4, $5)",
        *key, {"text": "secret"},
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO transcript_chunks (workspace_id, audio_sha256, model, language, start_ms, end_ms, result, seconds)"
        " VALUES ($1, $2, $3, $4, 0, 0, $5, 60)",
        *key, {"text": "secret"},
    )  # fmt: skip


async def test_what_was_heard_goes_and_what_was_paid_stays_counted(database: Database) -> None:
    call = a_call(database.workspace_id, media=Media(ref=f"pulled/{database.workspace_id}/{SHA}/a.mp3", sha256=SHA))
    await store(database.pipeline_pool, [call])
    await add_transcript(database)
    assert (await erase_it(database, call)).transcripts == 1
    row: Any = await database.pipeline_pool.fetchrow("SELECT * FROM transcript_chunks")
    assert row["seconds"] == 60
    assert row["result"] == {}
    assert row["audio_sha256"] != SHA


async def test_what_was_heard_stays_as_long_as_another_call_has_the_same_recording(database: Database) -> None:
    media = Media(ref=f"pulled/{database.workspace_id}/{SHA}/a.mp3", sha256=SHA)
    calls = [a_call(database.workspace_id, external_id=name, media=media) for name in ("call-1", "call-2")]
    await store(database.pipeline_pool, calls)
    await add_transcript(database)
    assert (await erase_it(database, calls[0])).transcripts == 0
    assert await database.pipeline_pool.fetchval("SELECT result ->> 'text' FROM transcript_chunks") == "secret"
    assert (await erase_it(database, calls[1])).transcripts == 1


async def test_what_others_were_told_keeps_its_ids_and_loses_the_title(database: Database) -> None:
    call = a_call(database.workspace_id)
    await store(database.pipeline_pool, [call])
    pool, subscription = database.pipeline_pool, clock.new_id()
    await pool.execute(
        "INSERT INTO webhook_subscriptions (subscription_id, workspace_id, kind, url, events)"
        " VALUES ($1, $2, 'standard', 'https://x.test', '{}')",
        subscription, database.workspace_id,
    )  # fmt: skip
    for external_id in ("call-1", "call-2"):
        body = {"type": "import.completed", "data": {
            "source_app": "generic", "external_id": external_id, "title": "Secret",
        }}  # fmt: skip
        await pool.execute(
            "INSERT INTO outgoing_deliveries (delivery_id, workspace_id, subscription_id, event_id, event_type, body)"
            " VALUES ($1, $2, $3, $4, 'import.completed', $5)",
            clock.new_id(), database.workspace_id, subscription, external_id, body,
        )  # fmt: skip
    await erase_it(database, call)
    rows = await pool.fetch("SELECT event_id, body #>> '{data,title}' AS title FROM outgoing_deliveries ORDER BY 1")
    assert [tuple(row) for row in rows] == [("call-1", ""), ("call-2", "Secret")]


async def test_dry_runs_show_it_no_more(database: Database) -> None:
    call, pool, replay_id = a_call(database.workspace_id), database.pipeline_pool, clock.new_id()
    await store(pool, [call])
    await pool.execute(
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app) VALUES ($1, $2, 'replay', 'all')",
        replay_id, database.workspace_id,
    )  # fmt: skip
    sample = [
        {"source_app": "generic", "external_id": name, "before": {"title": name}, "after": {}}
        for name in ("call-1", "call-2")
    ]
    await pool.execute(
        "INSERT INTO replays (replay_id, workspace_id, selection, dry_run, report) VALUES ($1, $2, '{}', true, $3)",
        replay_id, database.workspace_id, {"unchanged": 2, "sample": sample},
    )  # fmt: skip
    await erase_it(database, call)
    assert await pool.fetchval("SELECT report FROM replays") == {"unchanged": 2, "sample": sample[1:]}
