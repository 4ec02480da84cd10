"""Storing calls on a real PostgreSQL: once each, newer over older, and no bad neighbour takes a good one along."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from schemas.calls import Call, ImportSkipped, Media, Participant, Placement, Segment
from schemas.faults import InvalidCall, OutageFault
from streams.io import clock, recordings
from streams.io.batcher import Batcher
from streams.io.outcomes import record_skips
from streams.io.recordings import Stored, key_of, store
from streams.io.store import open_pool
from streams.stages.dedup import skipped
from tests.conftest import Database

pytestmark = pytest.mark.database
T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def a_call(workspace_id: UUID, external_id: str = "call-1", fingerprint: str = "a", at: float = 0, **more: Any) -> Call:
    """A call whose content was seen `at` seconds after the first one's."""
    fields: dict[str, Any] = {
        "event_id": clock.new_id(),
        "workspace_id": workspace_id,
        "source_app": "generic",
        "external_id": external_id,
        "observed_at": T0 + timedelta(seconds=at),
        "received_at": T0,
        "title": f"Title {fingerprint}",
        "full_transcript": f"Transcript {fingerprint}",
        "fingerprint": fingerprint,
    }
    return Call(**fields | more)


def a_skip(call: Call, reason: str = "already_imported", owner: UUID | None = None) -> ImportSkipped:
    """What dedup publishes for a call that brings nothing new."""
    return skipped(call, reason, owner, T0)


async def store_one(pool: asyncpg.Pool, call: Call) -> Stored:
    """Store one call."""
    return (await store(pool, [call]))[0]


async def the_row(database: Database, external_id: str = "call-1") -> asyncpg.Record:
    """The one stored call of that id."""
    rows = await database.pipeline_pool.fetch("SELECT * FROM recordings WHERE external_id = $1", external_id)
    assert len(rows) == 1
    return rows[0]


async def add_workspace(database: Database) -> tuple[UUID, UUID, UUID]:
    """Another workspace with an owner, a bank and a vault: workspace, bank, vault."""
    workspace_id, user_id, bank_id, vault_id = (clock.new_id() for _ in range(4))
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", workspace_id)
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Somebody')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", workspace_id, user_id)
    await add_bank(database, workspace_id, bank_id, vault_id)
    return workspace_id, bank_id, vault_id


async def add_bank(database: Database, workspace_id: UUID, bank_id: UUID, vault_id: UUID) -> None:
    """A bank with a vault."""
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO banks (bank_id, workspace_id, name) VALUES ($1, $2, 'B')", bank_id, workspace_id)
    await pool.execute(
        "INSERT INTO vaults (vault_id, workspace_id, bank_id, name) VALUES ($1, $2, $3, 'V')",
        vault_id, workspace_id, bank_id,
    )  # fmt: skip


async def add_job(database: Database, *calls: Call) -> UUID:
    """A job that waits for these calls."""
    job_id = clock.new_id()
    await database.pipeline_pool.execute(
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app) VALUES ($1, $2, 'upload', 'generic')",
        job_id, database.workspace_id,
    )  # fmt: skip
    for call in calls:
        await add_job_call(database, job_id, call)
    return job_id


async def add_job_call(database: Database, job_id: UUID, call: Call) -> None:
    """One call of a job."""
    await database.pipeline_pool.execute(
        "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, event_id) VALUES ($1, $2, $3, $4, $5)",
        call.workspace_id, job_id, call.source_app, call.external_id, call.event_id,
    )  # fmt: skip


async def job_states(database: Database, job_id: UUID) -> dict[str, str]:
    """The states of a job's calls, by external id."""
    rows = await database.pipeline_pool.fetch("SELECT external_id, status FROM job_calls WHERE job_id = $1", job_id)
    return {row["external_id"]: row["status"] for row in rows}


async def add_failed(database: Database, call: Call, **more: Any) -> UUID:
    """An open failed import of a call."""
    fields: dict[str, Any] = {
        "failed_import_id": clock.new_id(), "workspace_id": call.workspace_id, "identity": str(call.event_id),
        "event_id": call.event_id, "source_app": call.source_app, "external_id": call.external_id,
        "observed_at": call.observed_at, "job_id": call.job_id, "stage": "transcribe", "kind": "transient",
        "reason": "busy", "message": "Busy.", "attempts": 1, "retryable": True, "status": "open",
        "next_retry_at": T0, "fingerprint": "f", "origin_topic": "t", "origin_partition": 0, "origin_offset": 0,
        "first_seen_at": T0, "last_seen_at": T0,
    } | more  # fmt: skip
    marks = ", ".join(f"${number}" for number in range(1, len(fields) + 1))
    await database.pipeline_pool.execute(
        f"INSERT INTO failed_imports ({', '.join(fields)}) VALUES ({marks})", *fields.values()
    )
    return UUID(str(fields["failed_import_id"]))


async def failed_states(database: Database) -> dict[UUID, str]:
    """The states of the failed imports, by event id."""
    rows = await database.pipeline_pool.fetch("SELECT event_id, status FROM failed_imports")
    return {row["event_id"]: row["status"] for row in rows}


@pytest.fixture
async def second_pool(database: Database) -> AsyncIterator[asyncpg.Pool]:
    """The pool of another worker."""
    pool = await open_pool(database.app_url, pipeline=True)
    yield pool
    pool.terminate()


# Once each -----------------------------------------------------------------------------------------------------------


async def test_a_call_is_stored_with_everything_it_brings(database: Database) -> None:
    call = a_call(
        database.workspace_id,
        title="Grüße 🎧",
        segments=(Segment(speaker="Mila", text="Hallo", start_ms=0, end_ms=900),),
        participants=(Participant(name="Mila", email="mila@calls.example"),),
        original_transcript="WEBVTT",
        recording_start_time=T0,
        duration_ms=60_000,
        language="de",
        media=Media(ref="uploads/x", url="https://signed.example/?token=1", sha256="0" * 64),
        source_metadata={"external_id": "call-1", "zebra": 1, "apple": {"b": 1, "a": 2}},
        metadata_quality="full",
    )
    stored = await store_one(database.pipeline_pool, call)
    row = await the_row(database)
    assert stored == Stored(
        "imported", stored.import_id, row["recording_id"], row["imported_at"], stored.owner_event_id
    )
    assert (row["title"], row["full_transcript"], row["original_transcript"]) == ("Grüße 🎧", "Transcript a", "WEBVTT")
    assert row["segments"] == [{"speaker": "Mila", "text": "Hallo", "start_ms": 0, "end_ms": 900}]
    assert row["participants"] == [{"name": "Mila", "email": "mila@calls.example"}]
    assert row["media"] == {"ref": "uploads/x", "sha256": "0" * 64}, "a signed address is not kept"
    assert (row["recording_start_time"], row["duration_ms"], row["language"]) == (T0, 60_000, "de")
    assert (row["owner_user_id"], row["metadata_quality"], row["event_id"]) == (database.user_id, "full", call.event_id)
    as_text = await database.pipeline_pool.fetchval("SELECT source_metadata::text FROM recordings")
    assert as_text == json.dumps(call.source_metadata), "external_id stays first, the others keep their order"
    status = await database.pipeline_pool.fetchrow("SELECT * FROM imported_calls")
    assert (status["import_id"], status["recording_id"], status["status"], status["event_id"]) == (
        stored.import_id, row["recording_id"], "imported", call.event_id,
    )  # fmt: skip


async def test_redelivery_gives_the_same_answer(database: Database) -> None:
    old, new = a_call(database.workspace_id), a_call(database.workspace_id, fingerprint="b", at=1)
    first = await store_one(database.pipeline_pool, old)
    again = await store_one(database.pipeline_pool, old)
    assert (again.result, again.import_id, again.recording_id, again.imported_at) == (
        "imported", first.import_id, first.recording_id, first.imported_at,
    )  # fmt: skip
    updated = await store_one(database.pipeline_pool, new)
    assert (updated.result, updated.import_id, updated.recording_id) == (
        "updated", first.import_id, first.recording_id,
    )  # fmt: skip
    again = await store_one(database.pipeline_pool, new)
    assert (again.result, again.import_id, again.recording_id) == ("updated", first.import_id, first.recording_id)
    late = await store_one(database.pipeline_pool, old)
    assert (late.result, late.owner_event_id) == ("older_than_stored", new.event_id)


async def test_an_update_is_one_although_its_transaction_began_before_the_insert(database: Database) -> None:
    old, new = a_call(database.workspace_id), a_call(database.workspace_id, fingerprint="b", at=1)
    async with database.pipeline_pool.acquire() as connection, connection.transaction():
        await connection.fetchval("SELECT now()")
        await store_one(database.pipeline_pool, old)
        await recordings._store(connection, [new], [recordings._row(new)])
    assert (await store_one(database.pipeline_pool, new)).result == "updated"


async def test_the_same_content_in_another_event_is_a_duplicate(database: Database) -> None:
    first, second = a_call(database.workspace_id), a_call(database.workspace_id, at=5)
    await store_one(database.pipeline_pool, first)
    stored = await store_one(database.pipeline_pool, second)
    assert (stored.result, stored.owner_event_id) == ("already_imported", first.event_id)
    row = await the_row(database)
    assert (row["event_id"], row["observed_at"]) == (first.event_id, second.observed_at)
    between = a_call(database.workspace_id, fingerprint="b", at=3)
    assert (await store_one(database.pipeline_pool, between)).result == "older_than_stored"


@pytest.mark.parametrize("first_is_newer", [True, False])
async def test_newer_content_wins_in_any_order(database: Database, first_is_newer: bool) -> None:
    calls = [a_call(database.workspace_id, fingerprint="a", at=0), a_call(database.workspace_id, fingerprint="b", at=1)]
    results = [
        (await store_one(database.pipeline_pool, call)).result
        for call in (reversed(calls) if first_is_newer else calls)
    ]
    assert results == (["imported", "older_than_stored"] if first_is_newer else ["imported", "updated"])
    row = await the_row(database)
    assert (row["title"], row["full_transcript"], row["observed_at"]) == (
        "Title b",
        "Transcript b",
        T0 + timedelta(0, 1),
    )


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_a_tie_is_decided_by_fingerprint(database: Database, order: str) -> None:
    for name in order:
        await store_one(database.pipeline_pool, a_call(database.workspace_id, fingerprint=name))
    assert (await the_row(database))["fingerprint"] == "b"


async def test_an_update_keeps_owner_bank_and_first_import(database: Database) -> None:
    bank_id, vault_id = clock.new_id(), clock.new_id()
    await add_bank(database, database.workspace_id, bank_id, vault_id)
    await store_one(database.pipeline_pool, a_call(database.workspace_id, placement=Placement(bank_id=bank_id)))
    before = await the_row(database)
    await store_one(
        database.pipeline_pool,
        a_call(database.workspace_id, fingerprint="b", at=1, received_at=T0 + timedelta(hours=1)),
    )
    after = await the_row(database)
    same = ("recording_id", "bank_id", "owner_user_id", "imported_at")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["bank_id"] == bank_id
    assert (before["updated_at"], after["updated_at"]) == (T0, T0 + timedelta(hours=1)), "when each was accepted"


async def test_a_mixed_batch_answers_each_call(database: Database) -> None:
    ws = database.workspace_id
    known = [a_call(ws, f"call-{number}", at=10) for number in range(4)]
    await store(database.pipeline_pool, known)
    batch = [
        a_call(ws, "call-9"), known[0], a_call(ws, "call-1"), a_call(ws, "call-2", "b", 20),
        a_call(ws, "call-3", "b", 5),
    ]  # fmt: skip
    stored = await store(database.pipeline_pool, batch)
    assert [one.result for one in stored] == [
        "imported", "imported", "already_imported", "updated", "older_than_stored",
    ]  # fmt: skip
    assert len({one.recording_id for one in stored}) == 5
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM imported_calls") == 5
    assert [one.import_id is not None for one in stored] == [True, True, False, True, False]


async def test_the_same_id_of_another_source_or_workspace_is_another_call(database: Database) -> None:
    other, _, _ = await add_workspace(database)
    calls = [a_call(database.workspace_id), a_call(database.workspace_id, source_app="fathom"), a_call(other)]
    assert [one.result for one in await store(database.pipeline_pool, calls)] == ["imported"] * 3


# At the same time ----------------------------------------------------------------------------------------------------


async def test_two_workers_with_the_same_calls_store_each_once(database: Database, second_pool: asyncpg.Pool) -> None:
    chance = random.Random(1)
    for round_ in range(40):
        calls = [a_call(database.workspace_id, f"{round_}-{number}") for number in range(12)]
        mine, theirs = chance.sample(calls, 12), chance.sample(calls, 12)
        results = await asyncio.gather(store(database.pipeline_pool, mine), store(second_pool, theirs))
        by_id = [
            {call.external_id: one.recording_id for call, one in zip(batch, stored, strict=True)}
            for batch, stored in zip((mine, theirs), results, strict=True)
        ]
        assert by_id[0] == by_id[1]
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM recordings") == 40 * 12
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM imported_calls") == 40 * 12


async def test_stores_and_skips_of_the_same_calls_never_deadlock(database: Database, second_pool: asyncpg.Pool) -> None:
    """`store` raises `OutageFault` at a deadlock, so that this test would fail."""
    chance = random.Random(2)
    names = [f"call-{number}" for number in range(30)]
    job_id = await add_job(database, *(a_call(database.workspace_id, name) for name in names))

    def batch(version: int, at: float) -> list[Call]:
        """All calls in that version, in any order."""
        shuffled = chance.sample(names, len(names))
        return [a_call(database.workspace_id, name, f"v{version:02}", at, job_id=job_id) for name in shuffled]

    await store(database.pipeline_pool, batch(0, 0))
    for version in range(1, 25):
        await database.pipeline_pool.execute("UPDATE job_calls SET status = 'pending'")
        # The version that is stored is seen again by two workers while the next one is being stored by two others.
        await asyncio.gather(
            record_skips(database.pipeline_pool, [a_skip(call) for call in batch(version - 1, version - 0.5)]),
            record_skips(second_pool, [a_skip(call) for call in batch(version - 1, version - 0.4)]),
            record_skips(second_pool, [a_skip(call, "older_than_stored") for call in batch(0, 0)]),
            record_skips(database.pipeline_pool, [a_skip(call, "older_than_stored") for call in batch(0, 0)]),
            store(database.pipeline_pool, batch(version, version)),
            store(second_pool, batch(version, version)),
        )
    rows = await database.pipeline_pool.fetch("SELECT fingerprint, count(*) FROM recordings GROUP BY fingerprint")
    assert [tuple(row) for row in rows] == [("v24", 30)]


async def test_two_workers_with_the_same_vault_file_each_call_once(
    database: Database, second_pool: asyncpg.Pool
) -> None:
    chance = random.Random(5)
    bank_id, vault_id = clock.new_id(), clock.new_id()
    await add_bank(database, database.workspace_id, bank_id, vault_id)
    for round_ in range(20):
        calls = [
            a_call(database.workspace_id, f"{round_}-{number}", placement=Placement(vault_id=vault_id))
            for number in range(30)
        ]
        await asyncio.gather(*(store(pool, chance.sample(calls, 30)) for pool in (database.pipeline_pool, second_pool)))
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM vault_entries") == 20 * 30


async def test_concurrent_versions_end_in_the_newest(database: Database, second_pool: asyncpg.Pool) -> None:
    chance = random.Random(3)
    pools = (database.pipeline_pool, second_pool)
    for round_ in range(30):
        calls = [a_call(database.workspace_id, f"{round_}", name, chance.randrange(3)) for name in "abcdef"]
        await asyncio.gather(*(store_one(chance.choice(pools), call) for call in chance.sample(calls, 6)))
        newest = max(calls, key=lambda call: call.order)
        row = await the_row(database, str(round_))
        assert (row["observed_at"], row["fingerprint"]) == newest.order
        assert (row["title"], row["event_id"]) == (newest.title, newest.event_id)


# Bad neighbours ------------------------------------------------------------------------------------------------------


def a_batcher(pool: asyncpg.Pool) -> Batcher[Call, Stored]:
    """As the pipeline has it."""

    async def handle(calls: Sequence[Call]) -> Sequence[Stored]:
        return await store(pool, calls)

    return Batcher(handle, key_of)


def unstorable(workspace_id: UUID) -> dict[str, Call]:
    """Calls that no transaction can take, by what is wrong with them."""
    edge_of_time = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23)))
    return {
        "unknown_workspace": a_call(clock.new_id(), "bad"),
        "unstorable_value": a_call(workspace_id, "bad", fingerprint="\x00"),
        "unstorable_value: time": a_call(workspace_id, "bad", recording_start_time=edge_of_time),
        "call_too_large": a_call(workspace_id, "bad", full_transcript="x" * (recordings.MAX_CALL + 1)),
    }


async def test_a_bad_call_is_refused_alone(database: Database) -> None:
    batcher = a_batcher(database.pipeline_pool)
    for what, bad in unstorable(database.workspace_id).items():
        calls = [a_call(database.workspace_id, f"{what} {number}") for number in range(5)]
        calls.insert(2, bad)
        results = await asyncio.gather(*map(batcher, calls), return_exceptions=True)
        refused = results.pop(2)
        assert isinstance(refused, InvalidCall), what
        assert refused.reason == what.partition(":")[0]
        assert [one.result for one in results if isinstance(one, Stored)] == ["imported"] * 5
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM recordings WHERE external_id = 'bad'") == 0


async def test_versions_of_one_call_handed_in_at_once_are_stored_one_after_the_other(database: Database) -> None:
    batcher = a_batcher(database.pipeline_pool)
    calls = [a_call(database.workspace_id, fingerprint=str(number), at=number) for number in range(5)]
    results = await asyncio.gather(*map(batcher, calls))
    assert [one.result for one in results] == ["imported", *["updated"] * 4]


async def test_an_outage_is_for_every_call_of_the_batch() -> None:
    pool = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    await pool
    tries = 0

    async def handle(calls: Sequence[Call]) -> Sequence[Stored]:
        nonlocal tries
        tries += 1
        if len(calls) > 1:
            raise InvalidCall("first", "The batch is bad, and then the database goes away.")
        return await store(pool, calls)

    batcher = Batcher(handle, key_of)
    calls = [a_call(clock.new_id(), f"call-{number}") for number in range(20)]
    results = await asyncio.gather(*map(batcher, calls), return_exceptions=True)
    assert all(isinstance(one, OutageFault) for one in results)
    assert tries == 2, "nobody waits for a database that is away once for each call"
    await pool.close()


# Size and search -----------------------------------------------------------------------------------------------------


async def test_five_megabytes_of_transcript(database: Database) -> None:
    text = " ".join(f"word{number}" for number in range(520_000))[: 5 * 1024**2]
    call = a_call(database.workspace_id, full_transcript=text, original_transcript=text)
    assert (await store_one(database.pipeline_pool, call)).result == "imported"
    assert (await the_row(database))["full_transcript"] == text
    found = await database.pipeline_pool.fetchval(
        "SELECT count(*) FROM recordings WHERE search @@ websearch_to_tsquery('simple', 'word777')"
    )
    assert found == 1


def rare(count: int, length: int) -> list[str]:
    """Words of letters that take four bytes each, all different."""
    chance = random.Random(4)
    return ["".join(chr(0x20000 + chance.randrange(40_000)) for _ in range(length)) for _ in range(count)]


HARD_TEXTS = {
    "distinct": lambda: " ".join(f"w{number}" for number in range(200_000)),
    "four bytes": lambda: " ".join(rare(60_000, 4)),
    "hyphens": lambda: " ".join("-".join(pair) for pair in pairwise(rare(15_000, 9))),
    "short hyphens": lambda: " ".join("-".join(pair) for pair in pairwise(rare(60_000, 1))),
    "long hyphens": lambda: " ".join("-".join(pair) for pair in pairwise(rare(2_000, 90))),
    "addresses": lambda: " ".join(".example/".join(pair) for pair in pairwise(rare(9_000, 5))),
    "unclosed": lambda: "<!-- " * 50_000,
    "underlined": lambda: "a_" * 100_000,
    "homes": lambda: "~/" * 100_000,
    "one word": lambda: "x" * 300_000,
    "no words": lambda: "\x01\x7f\u200b" * 50_000,
    "upper": lambda: "İ" * 199 + " " + "Ⱥ" * 150_000,
}


async def test_no_text_is_refused_because_of_search(database: Database) -> None:
    """A tsvector holds 1 MB, and PostgreSQL's parser needs a time that grows by the square for some texts."""
    for name, make in HARD_TEXTS.items():
        text = make()
        call = a_call(database.workspace_id, name, title=text[:1000], full_transcript=text)
        async with asyncio.timeout(20):
            assert (await store_one(database.pipeline_pool, call)).result == "imported", name


async def test_a_call_is_found_by_its_words(database: Database) -> None:
    text = "We spoke with jo.doe@calls.example about state-of-the-art <b>headsets</b>, see calls.example/manual there"
    await store_one(database.pipeline_pool, a_call(database.workspace_id, title="Übergabe", full_transcript=text))
    for wanted in (
        "übergabe", "jo.doe@calls.example", "state-of-the-art", "headsets", "calls.example/manual", '"we spoke"',
    ):  # fmt: skip
        sql = "SELECT count(*) FROM recordings WHERE search @@ websearch_to_tsquery('simple', $1)"
        assert await database.pipeline_pool.fetchval(sql, wanted) == 1, wanted


async def test_large_calls_do_not_share_a_transaction(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_BATCH", 1000)
    calls = [a_call(database.workspace_id, f"{number}", full_transcript="x" * 400) for number in range(7)]
    parts = [[call.external_id for call in part] for part, _ in recordings._parts(calls)]
    assert parts == [["0", "1"], ["2", "3"], ["4", "5"], ["6"]]
    assert [one.result for one in await store(database.pipeline_pool, calls)] == ["imported"] * 7


async def test_the_longest_external_id_fits(database: Database) -> None:
    name = "".join(rare(1, 512))
    job_id = await add_job(database, a_call(database.workspace_id, name))
    stored = await store_one(database.pipeline_pool, a_call(database.workspace_id, name, job_id=job_id))
    assert stored.result == "imported"
    assert await job_states(database, job_id) == {name: "imported"}


# Where a call is filed -----------------------------------------------------------------------------------------------


async def test_a_call_goes_to_the_bank_it_names_or_else_to_the_owners(database: Database) -> None:
    own = await database.pipeline_pool.fetchval("SELECT bank_id FROM banks WHERE personal_of = $1", database.user_id)
    given, foreign = clock.new_id(), (await add_workspace(database))[1]
    await add_bank(database, database.workspace_id, given, clock.new_id())
    wanted = {"none": None, "given": given, "unknown": clock.new_id(), "foreign": foreign}
    await store(
        database.pipeline_pool,
        [a_call(database.workspace_id, name, placement=Placement(bank_id=bank)) for name, bank in wanted.items()],
    )
    rows = await database.pipeline_pool.fetch("SELECT external_id, bank_id FROM recordings")
    assert {row["external_id"]: row["bank_id"] for row in rows} == {
        "none": own, "given": given, "unknown": own, "foreign": own,
    }  # fmt: skip


async def test_an_owner_who_is_no_member_is_replaced_by_the_workspaces_own(database: Database) -> None:
    await store_one(
        database.pipeline_pool, a_call(database.workspace_id, placement=Placement(owner_user_id=clock.new_id()))
    )
    assert (await the_row(database))["owner_user_id"] == database.user_id


async def test_vault_entries_are_made_once_and_only_in_vaults_of_the_workspace(database: Database) -> None:
    vault_id, (_, _, foreign) = clock.new_id(), await add_workspace(database)
    await add_bank(database, database.workspace_id, clock.new_id(), vault_id)
    wanted = {"own": vault_id, "unknown": clock.new_id(), "foreign": foreign}
    calls = [a_call(database.workspace_id, name, placement=Placement(vault_id=vault)) for name, vault in wanted.items()]
    for _ in range(2):
        stored = await store(database.pipeline_pool, calls)
        assert [one.result for one in stored] == ["imported"] * 3
    rows = await database.pipeline_pool.fetch("SELECT vault_id, recording_id FROM vault_entries")
    assert [tuple(row) for row in rows] == [(vault_id, stored[0].recording_id)]


async def test_a_vault_that_cannot_be_written_costs_no_recording(database: Database) -> None:
    vault_id = clock.new_id()
    await add_bank(database, database.workspace_id, clock.new_id(), vault_id)
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("REVOKE INSERT ON vault_entries FROM callstream_app")
        call = a_call(database.workspace_id, placement=Placement(vault_id=vault_id))
        assert (await store_one(database.pipeline_pool, call)).result == "imported"
        await owner.execute("GRANT INSERT ON vault_entries TO callstream_app")
    finally:
        await owner.close()
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM vault_entries") == 0
    await store_one(database.pipeline_pool, call)
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM vault_entries") == 1


async def test_a_vault_table_that_is_locked_is_not_waited_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "VAULT_SECONDS", 0.3)
    vault_id = clock.new_id()
    await add_bank(database, database.workspace_id, clock.new_id(), vault_id)
    owner = await asyncpg.connect(database.owner_url)
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE vault_entries")
            call = a_call(database.workspace_id, placement=Placement(vault_id=vault_id))
            async with asyncio.timeout(20):
                assert (await store_one(database.pipeline_pool, call)).result == "imported"
    finally:
        await owner.close()
    await the_row(database)


# The books -----------------------------------------------------------------------------------------------------------


async def test_a_job_learns_what_became_of_its_calls(database: Database) -> None:
    ws = database.workspace_id
    known = [a_call(ws, "updated"), a_call(ws, "same"), a_call(ws, "older", at=9)]
    await store(database.pipeline_pool, known)
    calls = {"new": ("a", 1), "updated": ("b", 1), "same": ("a", 1), "older": ("b", 1)}
    job_id = await add_job(database)
    batch = [a_call(ws, name, fp, at, job_id=job_id) for name, (fp, at) in calls.items()]
    for call in batch:
        await add_job_call(database, job_id, call)
    stored = await store(database.pipeline_pool, batch)
    settled = {"new": "imported", "updated": "updated"}
    assert await job_states(database, job_id) == {**settled, "same": "pending", "older": "pending"}
    skips = [a_skip(call, one.result) for call, one in zip(batch, stored, strict=True) if one.import_id is None]
    for _ in range(2):
        await record_skips(database.pipeline_pool, skips)
        assert await job_states(database, job_id) == {**settled, "same": "skipped", "older": "skipped"}
    await store(database.pipeline_pool, batch)
    assert await job_states(database, job_id) == {**settled, "same": "skipped", "older": "skipped"}


async def test_a_call_cannot_settle_the_job_of_another_workspace(database: Database) -> None:
    other, _, _ = await add_workspace(database)
    job_id = await add_job(database, a_call(database.workspace_id))
    foreign = a_call(other, job_id=job_id)
    await store_one(database.pipeline_pool, foreign)
    await record_skips(database.pipeline_pool, [a_skip(foreign)])
    assert await job_states(database, job_id) == {"call-1": "pending"}


async def test_failed_imports_are_resolved_when_the_call_gets_through(database: Database) -> None:
    call, older = a_call(database.workspace_id, at=1), a_call(database.workspace_id, fingerprint="b")
    bystander = a_call(database.workspace_id, "call-2")
    for failed in (call, older, bystander):
        await add_failed(database, failed, status="retrying" if failed is call else "parked")
    await store_one(database.pipeline_pool, call)
    assert await failed_states(database) == {
        call.event_id: "resolved", older.event_id: "resolved", bystander.event_id: "parked",
    }  # fmt: skip
    assert (
        await database.pipeline_pool.fetchval("SELECT count(*) FROM failed_imports WHERE next_retry_at = $1", T0) == 1
    )


async def test_older_content_does_not_resolve_the_failure_of_newer_content(database: Database) -> None:
    """Or the newer content would never be tried again, and be lost."""
    slow, newer = a_call(database.workspace_id), a_call(database.workspace_id, fingerprint="b", at=1)
    await add_failed(database, newer)
    for _ in range(2):
        await store_one(database.pipeline_pool, slow)
        assert await failed_states(database) == {newer.event_id: "open"}
    await record_skips(database.pipeline_pool, [a_skip(slow)])
    assert await failed_states(database) == {newer.event_id: "open"}
    await store_one(database.pipeline_pool, newer)
    assert await failed_states(database) == {newer.event_id: "resolved"}


async def test_a_retry_that_turns_out_to_be_a_duplicate_is_resolved(database: Database) -> None:
    stored, failed = a_call(database.workspace_id), a_call(database.workspace_id, at=3)
    await store_one(database.pipeline_pool, stored)
    await add_failed(database, failed)
    await record_skips(database.pipeline_pool, [a_skip(failed, owner=stored.event_id)])
    assert await failed_states(database) == {failed.event_id: "resolved"}


async def test_a_duplicate_of_a_failed_call_follows_its_fate(database: Database) -> None:
    first, second = a_call(database.workspace_id), a_call(database.workspace_id, at=1)
    job_id = await add_job(database, second)
    await add_failed(database, first, message="No key is set.")
    skip = a_skip(second.model_copy(update={"job_id": job_id}), owner=first.event_id)
    await record_skips(database.pipeline_pool, [skip])
    reason = await database.pipeline_pool.fetchval("SELECT reason FROM job_calls")
    assert await job_states(database, job_id) == {"call-1": "failed"}
    assert reason == "An earlier import of the same call failed: No key is set. Retry that one."
    await store_one(database.pipeline_pool, first)
    assert await job_states(database, job_id) == {"call-1": "skipped"}, "the job would never be done otherwise"


async def test_a_job_whose_failed_call_came_in_by_another_way_is_not_left_failed(database: Database) -> None:
    failed, newer = a_call(database.workspace_id), a_call(database.workspace_id, fingerprint="b", at=1)
    job_id = await add_job(database, failed)
    await database.pipeline_pool.execute("UPDATE job_calls SET status = 'failed'")
    await add_failed(database, failed, job_id=job_id)
    await store_one(database.pipeline_pool, newer)
    assert await failed_states(database) == {failed.event_id: "resolved"}
    assert await job_states(database, job_id) == {"call-1": "skipped"}


async def test_what_was_seen_again_is_remembered_whatever_the_order_of_the_news(database: Database) -> None:
    call = a_call(database.workspace_id)
    await store_one(database.pipeline_pool, call)
    seen = [a_skip(a_call(database.workspace_id, at=at)) for at in (5, 2, 7, 3)]
    for skip in seen:
        await record_skips(database.pipeline_pool, [skip])
    assert (await the_row(database))["observed_at"] == T0 + timedelta(seconds=7)
    await record_skips(database.pipeline_pool, [a_skip(a_call(database.workspace_id, fingerprint="b", at=9))])
    assert (await the_row(database))["observed_at"] == T0 + timedelta(seconds=7), "other content says nothing of this"
    older = await store_one(database.pipeline_pool, a_call(database.workspace_id, fingerprint="b", at=6))
    assert older.result == "older_than_stored", "content seen in between cannot overwrite it"


# Replays -------------------------------------------------------------------------------------------------------------


def replayed(of: Call, **fields: Any) -> Call:
    return of.model_copy(update={"replay_id": clock.new_id(), **fields})


async def test_a_row_made_again_by_a_replay_is_the_same_row(database: Database) -> None:
    first = a_call(database.workspace_id, "r1", "a", 1, job_id=clock.new_id())
    second = a_call(database.workspace_id, "r1", "b", 2)
    stored = [await store_one(database.pipeline_pool, call) for call in (first, second)]
    before = dict(await the_row(database, "r1"))
    async with database.pipeline_pool.acquire() as connection:
        await connection.execute("DELETE FROM imported_calls")
        await connection.execute("DELETE FROM recordings")
    again = [await store_one(database.pipeline_pool, replayed(call)) for call in (first, second)]
    after = dict(await the_row(database, "r1"))
    ours = {"replay_id", "updated_at"}
    assert {k: v for k, v in after.items() if k not in ours} == {k: v for k, v in before.items() if k not in ours}
    assert [(one.import_id, one.recording_id, one.result) for one in again] == [
        (one.import_id, one.recording_id, one.result) for one in stored
    ]


async def test_a_replay_applies_a_mended_mapping_and_says_it_again_when_redelivered(database: Database) -> None:
    call = a_call(database.workspace_id, "r2", "a", 1)
    await store_one(database.pipeline_pool, call)
    unchanged = await store_one(database.pipeline_pool, replayed(call))
    assert unchanged.result == "already_imported"
    mended = replayed(call, title="Mended", fingerprint="0")
    for _ in range(2):
        assert (await store_one(database.pipeline_pool, mended)).result == "updated", "completed may be sent again"
    assert (await the_row(database, "r2"))["title"] == "Mended"
    late = await store_one(database.pipeline_pool, call)
    assert late.result == "updated", "an old redelivery is told what its event's row became"
    assert (await the_row(database, "r2"))["title"] == "Mended", "and changes nothing"


async def test_a_mended_mapping_of_metadata_alone_is_applied(database: Database) -> None:
    call = a_call(database.workspace_id, "r3", "a", 1)
    await store_one(database.pipeline_pool, call)
    mended = replayed(call, source_metadata={"external_id": "r3", "more": 1})
    assert (await store_one(database.pipeline_pool, mended)).result == "updated"
    assert (await the_row(database, "r3"))["source_metadata"] == {"external_id": "r3", "more": 1}


async def test_a_duplicates_metadata_stays_out_when_history_is_replayed(database: Database) -> None:
    call = a_call(database.workspace_id, "r4", "a", 1)
    await store_one(database.pipeline_pool, call)
    other = a_call(database.workspace_id, "r4", "a", 2, source_metadata={"external_id": "r4", "views": 7})
    assert (await store_one(database.pipeline_pool, replayed(other))).result == "already_imported"
    assert (await the_row(database, "r4"))["source_metadata"] == call.source_metadata
