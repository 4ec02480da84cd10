"""Sources in PostgreSQL: connected, connected again, paused, scheduled, in error, disconnected."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from schemas.faults import ConfigFault
from schemas.settings import Settings
from streams.io import clock, credentials, sources
from streams.io.secrets import generate_key, open_secrets
from streams.io.sources import Source
from streams.io.store import in_workspace, open_pool
from tests.conftest import Database

SECRETS = open_secrets(Settings(_env_file=None, secret_keys=SecretStr(generate_key())))


async def connect(database: Database, workspace_id: UUID | None = None, **more: Any) -> tuple[Source, bool]:
    options: dict[str, Any] = {
        "source_app": "gong", "account_email": "sam@acme.example", "kind": "basic", "credential": {"key": "k1"},
    } | more  # fmt: skip
    workspace_id = workspace_id or database.workspace_id
    async with in_workspace(database.pipeline_pool, workspace_id) as connection:
        return await sources.create_or_reconnect(
            connection, SECRETS, workspace_id=workspace_id, user_id=database.user_id, **options
        )


async def read(database: Database, source: Source) -> Source:
    found = await sources.get(database.pipeline_pool, source.workspace_id, source.source_id)
    assert found is not None
    return found


async def test_a_new_source_is_due_at_once_and_has_a_verified_credential(database: Database) -> None:
    source, is_new = await connect(database, scopes=("a", "b"), account_id="77", sync_minutes=15)
    assert is_new
    assert (source.is_active, source.error_message, source.enabled, source.sync_frequency_minutes) == (
        True, None, True, 15,
    )  # fmt: skip
    assert source.next_sync_at is not None
    assert source.next_sync_at <= clock.now()
    assert (source.credential_type, source.scopes, source.expires_at) == ("basic", ("a", "b"), None)
    assert source.last_verified_at is not None
    assert source.account == "gong:77"
    assert await read(database, source) == source


async def test_accounts_may_share_limits_and_be_told_apart(database: Database) -> None:
    source, _ = await connect(database, account_id="our-registration::UC1")
    assert (source.account_id, source.account) == ("our-registration::UC1", "gong:our-registration")


async def test_without_an_account_id_a_source_has_limits_of_its_own(database: Database) -> None:
    source, _ = await connect(database)
    assert source.account == f"gong:{source.source_id}"


async def test_the_same_account_again_is_the_same_source_mended(database: Database) -> None:
    first, _ = await connect(database, sync_minutes=15)
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await sources.set_error(connection, first.source_id, "access_revoked", "Connect it again.")
        await sources.set_schedule(connection, database.workspace_id, first.source_id, enabled=False)
        await sources.pause(connection, database.workspace_id, first.source_id)
    failed = await read(database, first)
    assert (failed.is_active, failed.error_reason, failed.error_message) == (
        False, "access_revoked", "Connect it again.",
    )  # fmt: skip
    again, is_new = await connect(database, credential={"key": "k2"}, kind="api_key", account_id="9", sync_minutes=60)
    assert (again.source_id, again.credential_id, is_new) == (first.source_id, first.credential_id, False)
    assert (again.is_active, again.error_reason, again.error_message, again.account_id) == (True, None, None, "9")
    assert (again.enabled, again.sync_frequency_minutes, again.credential_type) == (False, 15, "api_key")
    pool = database.pipeline_pool
    assert await credentials.read(pool, SECRETS, database.workspace_id, again.source_id) == {"key": "k2"}
    assert await pool.fetchval("SELECT count(*) FROM import_credentials") == 1


async def test_an_import_by_support_is_a_source_of_its_own_without_a_schedule(database: Database) -> None:
    regular, _ = await connect(database)
    one, _ = await connect(database, one_off=True)
    two, _ = await connect(database, one_off=True)
    assert len({regular.source_id, one.source_id, two.source_id}) == 3
    assert (one.enabled, one.next_sync_at) == (None, None)
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        assert [s.source_id for s in await sources.list_sources(connection, database.workspace_id)] == [
            regular.source_id
        ]
        assert not await sources.set_schedule(connection, database.workspace_id, one.source_id, minutes=30)
        await connection.execute("DELETE FROM import_credentials WHERE source_id = $1", one.source_id)
    assert (await read(database, one)).credential_type is None


async def test_one_person_cannot_connect_one_account_in_two_workspaces(database: Database) -> None:
    other = uuid4()
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("INSERT INTO workspaces (workspace_id, name) VALUES (%s, 'Other')", (other,))
    mine, _ = await connect(database)
    with pytest.raises(ConfigFault, match="connected in another workspace of yours"):
        await connect(database, other)
    pool = await open_pool(database.app_url)
    try:
        with pytest.raises(ConfigFault, match="connected in another workspace of yours"):
            async with in_workspace(pool, other) as scoped:
                await sources.create_or_reconnect(
                    scoped, SECRETS, workspace_id=other, user_id=database.user_id, source_app="gong",
                    account_email="sam@acme.example", kind="basic", credential={},
                )  # fmt: skip
        async with in_workspace(pool, other) as scoped:
            assert await sources.get(scoped, None, mine.source_id) is None
            assert await sources.get(scoped, mine.workspace_id, mine.source_id) is None
            assert await sources.list_sources(scoped, mine.workspace_id) == []
            assert not await sources.pause(scoped, mine.workspace_id, mine.source_id)
            assert await sources.delete(scoped, mine.workspace_id, mine.source_id) is None
    finally:
        pool.terminate()
    assert await read(database, mine) == mine


async def test_sources_are_listed_newest_first_page_by_page(database: Database) -> None:
    made = [(await connect(database, account_email=f"{n}@acme.example"))[0] for n in range(5)]
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        found: list[Source] = []
        while page := await sources.list_sources(
            connection, database.workspace_id, limit=2,
            before=(found[-1].created_at, found[-1].source_id) if found else None,
        ):  # fmt: skip
            found += page
    assert found == made[::-1]


async def test_pause_and_resume(database: Database) -> None:
    source, _ = await connect(database)
    pool = database.pipeline_pool
    async with in_workspace(pool, database.workspace_id) as connection:
        await connection.execute("UPDATE import_sync_configs SET next_sync_at = now() + interval '1 hour'")
        assert await sources.pause(connection, database.workspace_id, source.source_id)
        await sources.set_error(connection, source.source_id, "x", "Do something.")
    assert not (await read(database, source)).is_active
    async with in_workspace(pool, database.workspace_id) as connection:
        assert await sources.resume(connection, database.workspace_id, source.source_id)
        assert not await sources.resume(connection, database.workspace_id, uuid4())
    resumed = await read(database, source)
    assert (resumed.is_active, resumed.error_message) == (True, None)
    assert resumed.next_sync_at is not None
    assert resumed.next_sync_at <= clock.now()


async def test_a_shorter_schedule_counts_from_now(database: Database) -> None:
    source, _ = await connect(database, sync_minutes=600)
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await connection.execute("UPDATE import_sync_configs SET next_sync_at = now() + interval '10 hours'")
        assert await sources.set_schedule(connection, database.workspace_id, source.source_id, minutes=30)
        assert await sources.change(connection, database.workspace_id, source.source_id, keep_recordings=True)
    changed = await read(database, source)
    assert (changed.sync_frequency_minutes, changed.enabled, changed.keep_recordings) == (30, True, True)
    assert changed.is_active
    assert changed.next_sync_at is not None
    assert changed.next_sync_at - clock.now() <= timedelta(minutes=30)


async def test_a_verified_credential_clears_the_error(database: Database) -> None:
    source, _ = await connect(database)
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await sources.set_error(connection, source.source_id, "x", "Do something.")
        await sources.mark_verified(connection, source.source_id)
    after = await read(database, source)
    assert after.error_message is None
    assert after.last_verified_at is not None
    assert source.last_verified_at is not None
    assert after.last_verified_at > source.last_verified_at


async def test_what_failed_with_an_older_credential_is_no_error_of_the_new_one(database: Database) -> None:
    before, _ = await connect(database)
    after, _ = await connect(database, credential={"key": "k2"})
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await sources.set_error(connection, before.source_id, "x", "Do.", seen=before.last_verified_at)
    assert (await read(database, after)).error_message is None
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await sources.set_error(connection, before.source_id, "x", "Do.", seen=after.last_verified_at)
    assert (await read(database, after)).error_message == "Do."


async def test_disconnecting_ends_jobs_and_credential_and_keeps_the_calls(database: Database) -> None:
    source, _ = await connect(database)
    pool, job, done = database.pipeline_pool, uuid4(), uuid4()
    for job_id, phase in ((job, "pulling"), (done, "done")):
        await pool.execute(
            "INSERT INTO import_jobs (job_id, workspace_id, source_app, job_type, source_id, phase)"
            " VALUES ($1, $2, 'gong', 'historical', $3, $4)",
            job_id, database.workspace_id, source.source_id, phase,
        )  # fmt: skip
    async with in_workspace(pool, database.workspace_id) as connection:
        assert await sources.delete(connection, database.workspace_id, source.source_id) == (
            "gong", "sam@acme.example",
        )  # fmt: skip
        assert await sources.delete(connection, database.workspace_id, source.source_id) is None
    assert await sources.get(pool, None, source.source_id) is None
    for table in ("import_credentials", "import_sync_configs"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    rows = {row["job_id"]: row for row in await pool.fetch("SELECT * FROM import_jobs")}
    assert rows[job]["cancelled_at"] is not None
    assert rows[done]["cancelled_at"] is None
    assert rows[job]["source_id"] is None
