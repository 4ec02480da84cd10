"""Row-level security on a real PostgreSQL, under the application's own login: a workspace sees only itself."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest

from schemas.faults import ConfigFault
from streams.io import clock
from streams.io.store import in_workspace, open_pool
from tests.conftest import Database
from tests.servers import shared_servers

pytestmark = pytest.mark.database
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
OF_NO_WORKSPACE = {"worker_heartbeats"}
"""Tables without anybody's data. A new table is either named here or protected."""
OWN_POLICY = {"users", "platform_capabilities", "rate_budgets"}
"""A person may be in many workspaces: seen by those who share one. What callstream can do is everybody's to see, and
how much of an account's limits is spent is the pipeline's alone, because two workspaces may share an account."""

FOR_ALL = {"platform_capabilities"}
"""What a platform can do is nobody's secret."""


def rows_of(workspace_id: UUID) -> dict[str, dict[str, Any]]:
    """One row of every table for a workspace, in an order in which they can be inserted. New ids each time."""
    user, bank, vault, recording, job, endpoint, source = (clock.new_id() for _ in range(7))
    ws, call = {"workspace_id": workspace_id}, {"source_app": "generic", "external_id": str(clock.new_id())}
    secret, event = hashlib.sha256(user.bytes).digest(), {"event_id": clock.new_id()}
    audio = {"audio_sha256": secret.hex(), "model": "m"}
    return {
        "workspaces": ws | {"name": "W"},
        "users": {"user_id": user, "name": "U"},
        "memberships": ws | {"user_id": user, "role": "owner"},
        "api_keys": ws | {"api_key_id": user, "user_id": user, "name": "n", "prefix": "p", "key_hash": secret},
        "sign_in_links": ws | {"token_hash": secret, "user_id": user, "expires_at": FUTURE},
        "sessions": ws | {"token_hash": secret, "user_id": user, "csrf_token": "c", "expires_at": FUTURE},
        "audit_log": ws | {"actor": "a", "action": "b", "target": "c"},
        "banks": ws | {"bank_id": bank, "name": "B"},
        "bank_memberships": ws | {"bank_id": bank, "user_id": user, "role": "owner"},
        "vaults": ws | {"vault_id": vault, "bank_id": bank, "name": "V"},
        "recordings": ws | call | event | {
            "recording_id": recording, "title": "T", "metadata_quality": "full", "fingerprint": "f",
            "observed_at": FUTURE, "received_at": FUTURE,
        },
        "vault_entries": ws | {"vault_id": vault, "recording_id": recording},
        "import_jobs": ws | {"job_id": job, "job_type": "upload", "source_app": "generic"},
        "imported_calls": ws | call | event | {"import_id": job, "status": "imported"},
        "job_calls": ws | call | event | {"job_id": job},
        "failed_imports": ws | call | {
            "failed_import_id": job, "identity": str(job), "stage": "s", "kind": "bug", "reason": "r", "message": "m",
            "attempts": 1, "retryable": True, "status": "open", "fingerprint": "f", "origin_topic": "t",
            "origin_partition": 0, "origin_offset": 0, "first_seen_at": FUTURE, "last_seen_at": FUTURE,
        },
        "webhook_endpoints": ws | {"endpoint_id": endpoint, "platform": "generic", "encrypted_secret": b"x"},
        "webhook_deliveries": ws | {"endpoint_id": endpoint, "delivery_id": "d"},
        "idempotency_keys": ws | {"key": str(job), "request_hash": "h"},
        "replays": ws | {"replay_id": job, "selection": "{}", "dry_run": True},
        "transcript_chunks": ws | audio | {"start_ms": 0, "end_ms": 0, "result": "{}", "seconds": 1},
        "transcriptions": ws | call | event | {"state": "waiting"},
        "transcripts": ws | audio | {"result": "{}"},
        "transcription_leases": ws | audio | {"holder": user, "expires_at": FUTURE},
        "import_sources": ws | {"source_id": source, "user_id": user, "source_app": "gong", "account_email": "a"},
        "import_credentials": ws | {
            "credential_id": job, "source_id": source, "credential_type": "basic", "encrypted_credential": b"x",
        },
        "import_sync_configs": ws | {"source_id": source, "sync_frequency_minutes": 60},
        "oauth_states": ws | {
            "state_hash": secret, "user_id": user, "source_app": "gong", "encrypted_state": b"x", "expires_at": FUTURE,
        },
        "waiting_calls": ws | call | {"source_id": source, "why": "w", "next_try_at": FUTURE},
        "coverage": ws | {"source_id": source},
        "removed_people": ws | {"user_id": user, "removed_by": "a"},
        "erased_calls": ws | call | {"erased_by": "a"},
        "bulk_retries": ws | {"bulk_retry_id": bank, "started_by": "a", "rate": 1.0, "total": 1},
        "bulk_retry_calls": ws | {"bulk_retry_id": bank, "failed_import_id": job},
        "webhook_subscriptions": ws | {
            "subscription_id": endpoint, "kind": "standard", "url": "https://u.test", "events": ["import.completed"],
        },
        "outgoing_deliveries": ws | {
            "delivery_id": job, "subscription_id": endpoint, "event_id": "e", "event_type": "t", "body": "{}",
        },
    }  # fmt: skip


async def insert(connection: asyncpg.Connection, table: str, row: dict[str, Any]) -> None:
    """Insert one row."""
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


async def become(connection: asyncpg.Connection, workspace_id: UUID) -> None:
    """From now on the connection is of that workspace."""
    await connection.execute("SELECT set_config('callstream.workspace_id', $1, false)", str(workspace_id))


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tables' owner."""
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


@pytest.fixture
async def app(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection under the application's login, which has said nothing yet."""
    connection = await asyncpg.connect(database.app_url)
    yield connection
    await connection.close()


@pytest.fixture
async def two(owner: asyncpg.Connection) -> tuple[UUID, UUID]:
    """Two workspaces with a row in every table each."""
    ids = clock.new_id(), clock.new_id()
    for workspace_id in ids:
        for table, row in rows_of(workspace_id).items():
            await insert(owner, table, row)
    return ids


PROTECTED = [table for table in rows_of(clock.new_id()) if table not in OWN_POLICY]


# Every table, also those to come -------------------------------------------------------------------------------------


async def test_every_table_is_protected(owner: asyncpg.Connection) -> None:
    """A migration that adds a table and forgets its policy fails here, and so does one this file has no row for."""
    tables = await owner.fetch(
        "SELECT c.relname AS name, c.relrowsecurity AS on, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid"
        " AND a.attname = 'workspace_id') AS of_workspace FROM pg_class c"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    )
    assert {row["name"] for row in tables if not row["on"]} == OF_NO_WORKSPACE
    assert {row["name"] for row in tables if row["of_workspace"]} == set(PROTECTED)
    assert {row["name"] for row in tables} == {*PROTECTED, *OWN_POLICY, *OF_NO_WORKSPACE}


async def test_every_policy_says_the_same(owner: asyncpg.Connection) -> None:
    """One policy a table, for every command, of which the condition is also the check of what is written."""
    rows = await owner.fetch(
        "SELECT tablename, permissive, roles::text[] AS roles, cmd, qual, with_check FROM pg_policies"
        " WHERE schemaname = 'public'"
    )
    policies = {row["tablename"]: row for row in rows}
    assert len(policies) == len(rows)
    assert set(policies) == {*PROTECTED, *OWN_POLICY}
    assert {(row["permissive"], *row["roles"], row["cmd"]) for row in rows} == {("PERMISSIVE", "callstream_app", "ALL")}
    conditions = {(policies[table]["qual"], policies[table]["with_check"]) for table in PROTECTED}
    assert len(conditions) == 1
    condition, check = conditions.pop()
    assert "callstream_workspace()" in condition
    assert check is None, "none of its own: the condition holds for what is written too"


async def test_there_is_no_way_round_by_views(owner: asyncpg.Connection) -> None:
    """A view reads with its owner's rights, for whom there are no policies."""
    views = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')"
        " AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)"
    )
    assert views == []


# What a connection sees and may write --------------------------------------------------------------------------------


async def test_who_says_nothing_sees_nothing(app: asyncpg.Connection, two: tuple[UUID, UUID]) -> None:
    for setting in (None, ""):
        if setting is not None:
            await app.execute("SELECT set_config('callstream.workspace_id', $1, false)", setting)
        for table in {*PROTECTED, *OWN_POLICY} - FOR_ALL:
            assert await app.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_who_talks_nonsense_gets_an_error(app: asyncpg.Connection, two: tuple[UUID, UUID]) -> None:
    await app.execute("SELECT set_config('callstream.workspace_id', 'x'' OR true', false)")
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await app.fetch("SELECT * FROM recordings")


async def test_a_workspace_sees_its_own_rows_only(app: asyncpg.Connection, two: tuple[UUID, UUID]) -> None:
    mine, _ = two
    await become(app, mine)
    for table in PROTECTED:
        rows = await app.fetch(f"SELECT workspace_id FROM {table}")
        assert [row["workspace_id"] for row in rows] == [mine], table
    assert await app.fetchval("SELECT count(*) FROM users") == 1


async def test_a_workspace_cannot_write_into_another(app: asyncpg.Connection, two: tuple[UUID, UUID]) -> None:
    mine, theirs = two
    await become(app, mine)
    for table, row in rows_of(theirs).items():
        if table in PROTECTED:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await insert(app, table, row)


async def test_a_workspace_cannot_change_another(
    app: asyncpg.Connection, owner: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    mine, theirs = two
    await become(app, mine)
    for table in PROTECTED:
        if table == "audit_log":
            continue
        before = await owner.fetch(f"SELECT * FROM {table} WHERE workspace_id = $1", theirs)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await app.execute(f"UPDATE {table} SET workspace_id = $1", theirs)
        assert (
            await app.execute(f"UPDATE {table} SET workspace_id = $1 WHERE workspace_id = $2", mine, theirs)
            == "UPDATE 0"
        )
        if table != "workspaces":
            assert await app.execute(f"DELETE FROM {table} WHERE workspace_id = $1", theirs) == "DELETE 0"
        assert await owner.fetch(f"SELECT * FROM {table} WHERE workspace_id = $1", theirs) == before, table


async def test_people_are_seen_by_those_who_share_a_workspace(
    app: asyncpg.Connection, owner: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    mine, theirs = two
    [them] = await owner.fetch("SELECT user_id FROM memberships WHERE workspace_id = $1", theirs)
    await become(app, mine)
    assert await app.execute("UPDATE users SET name = 'x' WHERE user_id = $1", them["user_id"]) == "UPDATE 0"
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'support')", mine, them["user_id"])
    assert await app.fetchval("SELECT count(*) FROM users") == 2


async def test_a_workspace_is_forgotten_with_its_transaction(database: Database, two: tuple[UUID, UUID]) -> None:
    pool = await open_pool(database.app_url, size=1)
    try:
        for workspace_id in two:
            async with in_workspace(pool, workspace_id) as connection:
                assert await connection.fetchval("SELECT array_agg(workspace_id) FROM recordings") == [workspace_id]
            assert await pool.fetchval("SELECT count(*) FROM recordings") == 0
        with pytest.raises(LookupError):
            async with in_workspace(pool, two[0]):
                raise LookupError
        assert await pool.fetchval("SELECT count(*) FROM recordings") == 0
    finally:
        pool.terminate()


async def test_the_pipeline_sees_every_workspace(database: Database, two: tuple[UUID, UUID]) -> None:
    for table in PROTECTED:
        found = await database.pipeline_pool.fetch(f"SELECT workspace_id FROM {table}")
        assert set(two) <= {row["workspace_id"] for row in found}, table


async def test_the_known_limit_whoever_can_run_any_sql_can_call_itself_the_pipeline(
    app: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    """Row-level security guards against a forgotten condition, not against SQL of an attacker: the scope is a setting,
    and any login may set it. What the login was not granted it cannot do in that scope either."""
    await app.execute("SET callstream.scope = 'pipeline'")
    found = await app.fetch("SELECT workspace_id FROM recordings")
    assert {row["workspace_id"] for row in found} == set(two)
    for sql in ("DELETE FROM audit_log", "DELETE FROM workspaces", "TRUNCATE recordings", "DROP TABLE recordings"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(sql)
    for odd in ("Pipeline", "pipeline ", "on", "*"):
        await app.execute("SELECT set_config('callstream.scope', $1, false)", odd)
        assert await app.fetchval("SELECT count(*) FROM recordings") == 0, odd


# What the login may not do -------------------------------------------------------------------------------------------


async def test_the_login_owns_nothing_and_can_change_no_rule(app: asyncpg.Connection, two: tuple[UUID, UUID]) -> None:
    await become(app, two[0])
    for sql in (
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE recordings DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE recordings NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY all_of_it ON recordings USING (true)",
        "DROP POLICY by_workspace ON recordings",
        "CREATE OR REPLACE FUNCTION callstream_is_pipeline() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "ALTER ROLE callstream_app BYPASSRLS",
        "SET ROLE callstream_owner",
        "SET SESSION AUTHORIZATION callstream_owner",
        "TRUNCATE recordings",
        "DROP TABLE recordings",
        "DELETE FROM workspaces",
        "DELETE FROM users",
        "CREATE VIEW public.all_of_it AS SELECT * FROM recordings",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(sql)
    await app.execute("SET row_security = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.fetch("SELECT * FROM recordings")
    owned = await app.fetchval("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole")
    assert owned == 0


async def test_the_audit_log_only_grows(
    app: asyncpg.Connection, owner: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    await become(app, two[0])
    await insert(app, "audit_log", rows_of(two[0])["audit_log"])
    for sql in (
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (audit_id, workspace_id, actor, action, target)"
        " SELECT audit_id, workspace_id, 'nobody', action, target FROM audit_log"
        " ON CONFLICT (audit_id) DO UPDATE SET actor = 'nobody'",
        "DELETE FROM workspaces",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.GeneratedAlwaysError)):
            await app.execute(sql)
    assert await owner.fetchval("SELECT count(*) FROM audit_log WHERE actor = 'a'") == 3


async def test_a_pool_is_refused_to_logins_without_row_level_security(database: Database) -> None:
    admin_url = shared_servers()["admin_url"].rsplit("/", 1)[0] + "/" + database.app_url.rsplit("/", 1)[1]
    for url in (database.owner_url, admin_url):
        with pytest.raises(ConfigFault) as caught:
            await open_pool(url)
        assert caught.value.reason == "database_login_unsafe"
    (await open_pool(database.app_url)).terminate()


async def test_a_pool_is_refused_to_a_login_that_bypasses_policies(database: Database) -> None:
    name = "bypass_" + clock.new_id().hex
    with psycopg.connect(shared_servers()["admin_url"], autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN BYPASSRLS PASSWORD 'x'")
        try:
            address, base = database.app_url.split("@")[1], database.app_url.split("://")[0]
            with pytest.raises(ConfigFault):
                await open_pool(f"{base}://{name}:x@{address}")
        finally:
            admin.execute(f"DROP ROLE {name}")


# Doors ---------------------------------------------------------------------------------------------------------------


async def test_functions_that_run_as_the_owner_are_closed_and_look_nowhere_else(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT p.proname, p.proconfig, p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a"
        " WHERE a.grantee = 0) AS open FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
    )
    assert {row["proname"] for row in rows} >= {"find_api_key_v1", "find_session_v1", "use_sign_in_link_v1"}
    for row in rows:
        assert row["proconfig"] == ["search_path=pg_catalog, public, pg_temp"], row["proname"]
        assert not row["open"], f"{row['proname']} may be called by everybody"


async def test_a_door_gives_back_the_one_row_whose_secret_is_known(
    app: asyncpg.Connection, owner: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    [key] = await owner.fetch("SELECT key_hash, user_id FROM api_keys WHERE workspace_id = $1", two[0])
    [session] = await owner.fetch("SELECT token_hash FROM sessions WHERE workspace_id = $1", two[1])
    [row] = await app.fetch("SELECT * FROM find_api_key_v1($1)", key["key_hash"])
    assert (row["workspace_id"], row["user_id"], row["role"]) == (two[0], key["user_id"], "owner")
    [row] = await app.fetch("SELECT * FROM find_session_v1($1)", session["token_hash"])
    assert row["workspace_id"] == two[1]
    assert await app.fetch("SELECT * FROM find_api_key_v1($1)", session["token_hash"][::-1]) == []
    [row] = await app.fetch("SELECT * FROM use_sign_in_link_v1($1)", session["token_hash"])
    assert row["workspace_id"] == two[1]
    assert await app.fetch("SELECT * FROM use_sign_in_link_v1($1)", session["token_hash"]) == [], "once"


async def test_a_temporary_table_cannot_pose_as_one_of_ours(
    app: asyncpg.Connection, owner: asyncpg.Connection, two: tuple[UUID, UUID]
) -> None:
    """PostgreSQL looks into pg_temp first, unless it is named last."""
    forged = b"\x01" * 32
    await app.execute(
        "CREATE TEMP TABLE api_keys (api_key_id uuid, workspace_id uuid, user_id uuid, name text, key_hash bytea,"
        " revoked_at timestamptz)"
    )
    [member] = await owner.fetch("SELECT user_id FROM memberships WHERE workspace_id = $1", two[1])
    await app.execute(
        "INSERT INTO pg_temp.api_keys VALUES ($1, $2, $3, 'forged', $4)",
        clock.new_id(), two[1], member["user_id"], forged,
    )  # fmt: skip
    assert await app.fetch("SELECT * FROM find_api_key_v1($1)", forged) == []


async def test_the_bookkeeping_of_migrations_can_be_read_and_not_written(app: asyncpg.Connection) -> None:
    assert await app.fetchval("SELECT count(*) FROM callstream_migrations._yoyo_migration") >= 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("DELETE FROM callstream_migrations._yoyo_migration")
