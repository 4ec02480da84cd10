"""Migrations, topics, secrets and the watchdog, on real PostgreSQL and real Kafka."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiokafka
import psycopg
import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from api.endpoints import create_endpoint
from ops import migrate as migrations
from ops.migrate import ensure_home, find_home, migrate, missing_migrations, rotate_secrets
from ops.supervise import Supervisor
from ops.topics import admin_client, changelog_of, create_topics, partition_counts, topic_configs
from ops.watchdog import Partition, Watchdog, broker_eyes, database_answers
from schemas.calls import Call, ImportSkipped
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from schemas.topics import RAW
from streams.io import clock, outcomes, recordings
from streams.io.secrets import generate_key, open_secrets
from streams.io.store import open_pool
from tests.conftest import Broker, Database
from tests.servers import shared_servers
from tests.stack import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def empty_database() -> Iterator[tuple[str, str]]:
    """The owner's and the application's address of a database that nobody has migrated."""
    servers = shared_servers()
    name = "empty_" + uuid4().hex[:8]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner')
    yield tuple(servers[which].rsplit("/", 1)[0] + f"/{name}" for which in ("owner_url", "app_url"))  # type: ignore[misc]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# Migrations ----------------------------------------------------------------------------------------------------------


def test_migrating_twice_applies_everything_once(empty_database: tuple[str, str]) -> None:
    owner, app = empty_database
    with pytest.raises(ConfigFault, match="callstream migrate"):
        find_home(app)
    applied = migrate(owner)
    assert applied == sorted(path.stem for path in migrations.FOLDER.glob("*.sql"))
    assert migrate(owner) == []
    assert missing_migrations(app) == []
    home = ensure_home(owner)
    assert ensure_home(owner) == find_home(owner) == find_home(app) == home
    with psycopg.connect(owner) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM workspaces), (SELECT count(*) FROM users),"
            " (SELECT count(*) FROM memberships), (SELECT count(*) FROM banks), (SELECT count(*) FROM bank_memberships)"
        ).fetchone()
    assert counts == (1, 1, 1, 1, 1)


def test_two_migrations_at_once_take_turns(empty_database: tuple[str, str]) -> None:
    owner, _ = empty_database
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [owner] * 4))
        homes = set(pool.map(ensure_home, [owner] * 4))
    assert sorted(map(len, applied)) == [0, 0, 0, len(list(migrations.FOLDER.glob("*.sql")))]
    assert len(homes) == 1


def test_what_is_not_applied_yet_is_named(empty_database: tuple[str, str]) -> None:
    assert missing_migrations(empty_database[0]) == sorted(path.stem for path in migrations.FOLDER.glob("*.sql"))


def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _ = empty_database
    migrate(owner)
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    broken = tmp_path / "0900_pre_broken.sql"
    broken.write_text("CREATE TABLE half (n int);\nSELECT 1 / 0;\n")
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate(owner)
    broken.write_text("CREATE TABLE half (n int);\n")
    assert migrate(owner) == ["0900_pre_broken"]
    (tmp_path / "0901_post_index.sql").write_text(
        "-- transactional: false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS half_n ON half (n);\n"
    )
    assert migrate(owner) == ["0901_post_index"]
    with psycopg.connect(owner) as connection:
        found = connection.execute("SELECT schemaname FROM pg_indexes WHERE indexname = 'half_n'").fetchone()
    assert found == ("public",)


def test_a_lock_left_by_a_killed_migration_does_not_matter(empty_database: tuple[str, str]) -> None:
    owner, _ = empty_database
    migrate(owner)
    with psycopg.connect(owner) as connection:
        connection.execute("INSERT INTO callstream_migrations.yoyo_lock (locked, pid) VALUES (1, 1)")
    assert migrate(owner) == []


def test_the_application_may_read_what_is_applied_and_nothing_else(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM callstream_migrations._yoyo_migration").fetchone()
        for forbidden in (
            "DELETE FROM callstream_migrations._yoyo_migration",
            "INSERT INTO callstream_migrations._yoyo_migration (migration_hash) VALUES ('x')",
            "SELECT 1 FROM callstream_migrations._yoyo_log",
            "DELETE FROM callstream_migrations.yoyo_lock",
            "CREATE TABLE callstream_migrations.mine (n int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)
        left = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ 'yoyo'")
        assert left.fetchall() == []


def test_a_database_that_is_away_is_an_outage() -> None:
    with pytest.raises(OutageFault, match="PostgreSQL cannot be reached"):
        migrate("postgresql://nobody:x@127.0.0.1:9/none")


async def test_secrets_are_encrypted_again_under_the_newest_key(database: Database) -> None:
    old, new = generate_key(), generate_key()
    pool = await open_pool(database.app_url, size=1)
    try:
        made = await create_endpoint(
            pool, open_secrets(Settings(secret_keys=old)), "http://h", workspace_id=database.workspace_id,
            user_id=database.user_id, platform="generic",
        )  # fmt: skip
    finally:
        await pool.close()
    with pytest.raises(ConfigFault, match="no longer holds"):
        rotate_secrets(database.app_url, open_secrets(Settings(secret_keys=new)))
    both = open_secrets(Settings(secret_keys=f"{new},{old}"))
    assert await asyncio.to_thread(rotate_secrets, database.app_url, both) == 1
    assert await asyncio.to_thread(rotate_secrets, database.app_url, both) == 0
    sealed = await database.pipeline_pool.fetchval("SELECT encrypted_secret FROM webhook_endpoints")
    row = f"webhook_endpoints/{made.id}"
    opened = open_secrets(Settings(secret_keys=new)).open(
        sealed, workspace_id=database.workspace_id, row=row, field="encrypted_secret"
    )
    assert opened == made.secret


async def test_a_call_that_a_job_imported_counts_as_imported_whichever_of_its_two_events_is_heard_first(
    database: Database,
) -> None:
    job, first, second, now = clock.new_id(), clock.new_id(), clock.new_id(), clock.now()
    pool, workspace_id = database.pipeline_pool, database.workspace_id
    await pool.execute(
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app) VALUES ($1, $2, 'upload', 'generic')",
        job, workspace_id,
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, event_id)"
        " VALUES ($1, $2, 'generic', 'one', $3)",
        workspace_id, job, first,
    )  # fmt: skip
    common: dict[str, Any] = {
        "workspace_id": workspace_id, "source_app": "generic", "external_id": "one", "job_id": job,
        "observed_at": now, "received_at": now, "fingerprint": "f",
    }  # fmt: skip
    skip = ImportSkipped(
        **common, event_id=second, reason="already_imported", owner_event_id=first, stage="dedup", skipped_at=now
    )
    await outcomes.record_skips(pool, [skip])
    await recordings.store(pool, [Call(**common, event_id=first, title="One", full_transcript="hello")])
    assert await pool.fetchval("SELECT count(*) FROM recordings") == 1
    assert await pool.fetchval("SELECT status FROM job_calls") == "imported"


# Topics --------------------------------------------------------------------------------------------------------------


async def test_making_the_topics_twice_changes_nothing(broker: Broker) -> None:
    settings = Settings(kafka=broker.bootstrap, partitions=4, group_prefix="t" + uuid4().hex[:8])
    changelog = changelog_of(settings.group_prefix)
    assert (await create_topics(settings))[changelog] == "created"
    assert set((await create_topics(settings)).values()) == {"unchanged"}


async def test_settings_that_differ_are_mended_and_an_operators_own_stay(broker: Broker) -> None:
    settings = Settings(kafka=broker.bootstrap, partitions=4, group_prefix="t" + uuid4().hex[:8])
    changelog = changelog_of(settings.group_prefix)
    await create_topics(settings)
    async with admin_client(settings) as admin:
        theirs = {"cleanup.policy": "delete", "segment.ms": "123456"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, changelog, theirs)])

        async def seen() -> bool:
            return (await topic_configs(admin, [changelog]))[changelog][0]["segment.ms"] == "123456"

        await until(seen, 20, "the operator's settings")
        assert (await create_topics(settings))[changelog] == "updated"

        async def mended() -> bool:
            found = (await topic_configs(admin, [changelog]))[changelog][1]
            return found["cleanup.policy"] == "compact" and found["segment.ms"] == "123456"

        await until(mended, 20, "our setting beside the operator's")


async def test_another_partition_count_is_refused_before_anything_is_made(broker: Broker) -> None:
    settings = Settings(kafka=broker.bootstrap, partitions=6, group_prefix="t" + uuid4().hex[:8])
    with pytest.raises(ConfigFault, match="CALLSTREAM_PARTITIONS=4 to keep them"):
        await create_topics(settings)
    async with admin_client(settings) as admin:
        assert changelog_of(settings.group_prefix) not in await partition_counts(admin)


async def test_more_replicas_than_brokers_is_said_in_a_sentence(broker: Broker) -> None:
    settings = Settings(kafka=broker.bootstrap, partitions=4, replication_factor=3, group_prefix="t" + uuid4().hex[:8])
    with pytest.raises(ConfigFault, match="Kafka refuses to create the topic"):
        await create_topics(settings)


# Watchdog ------------------------------------------------------------------------------------------------------------

HANGS_ONCE = """
import asyncio, os, sys
import aiokafka
bootstrap, group, topic, flag = sys.argv[1:]
async def main():
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
        session_timeout_ms=6000,
    )
    await consumer.start()
    while True:
        await consumer.getone()
        await consumer.commit()
        if not os.path.exists(flag):
            await asyncio.sleep(600)
asyncio.run(main())
"""


def hanging_role(settings: Settings, folder: Path) -> tuple[Supervisor, Path]:
    flag = folder / "mended"

    def command(role: str) -> Sequence[str]:
        group = f"{settings.group_prefix}-{role}"
        return [sys.executable, "-c", HANGS_ONCE, settings.kafka or "", group, RAW.name, str(flag)]

    return Supervisor({"pipeline": 1}, {}, folder / "logs", command=command, show=lambda line: None), flag


async def own_raw_topic(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of the test's own that the watchdog takes for one of ours, with ten records in each partition."""
    name = "calls.raw.t" + uuid4().hex[:8]
    monkeypatch.setattr("ops.watchdog.BY_NAME", {name: RAW})
    monkeypatch.setitem(globals(), "RAW", type("Named", (), {"name": name}))
    async with admin_client(Settings(kafka=broker.bootstrap)) as admin:
        await admin.create_topics([NewTopic(name, 2, 1)])
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for number in range(20):
            await producer.send_and_wait(name, b"x", partition=number % 2)
    return name


async def test_a_role_that_stands_still_is_killed_and_goes_on(
    broker: Broker, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await own_raw_topic(broker, monkeypatch)
    settings = Settings(
        kafka=broker.bootstrap, database_url=database.app_url, group_prefix="w" + uuid4().hex[:8], stall_seconds=3
    )
    supervisor, flag = hanging_role(settings, tmp_path)
    restarted: list[str] = []

    def on_restart(role: str) -> None:
        restarted.append(role)
        flag.touch()

    watchdog = asyncio.create_task(Watchdog(settings, supervisor, on_restart=on_restart, look_seconds=0.3).run())
    await supervisor.start()
    try:

        async def caught_up() -> bool:
            with suppress(KafkaError):  # until the group's coordinator is there
                async with broker_eyes(settings) as look:
                    offsets: dict[Partition, tuple[int, int]] = (await look("pipeline")).offsets
                return offsets == {(topic, 0): (10, 10), (topic, 1): (10, 10)}
            return False

        await until(caught_up, 60, "the restarted role to read everything")
        assert restarted == ["pipeline"]
        assert supervisor.starts()["pipeline"] == 2
    finally:
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
        await supervisor.stop()


async def test_a_role_that_waits_for_the_database_is_left_alone(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await own_raw_topic(broker, monkeypatch)
    away = "postgresql://nobody:x@127.0.0.1:9/none"
    settings = Settings(kafka=broker.bootstrap, database_url=away, group_prefix="w" + uuid4().hex[:8], stall_seconds=1)
    asked = asyncio.Event()

    async def answers(settings: Settings) -> bool:
        found = await database_answers(settings)
        asked.set()
        return found

    monkeypatch.setattr("ops.watchdog.database_answers", answers)
    supervisor, _ = hanging_role(settings, tmp_path)
    watchdog = asyncio.create_task(Watchdog(settings, supervisor, look_seconds=0.2).run())
    await supervisor.start()
    try:
        await asyncio.wait_for(asked.wait(), 60)  # it was found standing still
        await asyncio.sleep(0.5)
        assert supervisor.starts()["pipeline"] == 1
        async with broker_eyes(settings) as look:
            assert any(offset < end for offset, end in (await look("pipeline")).offsets.values()), topic
    finally:
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
        await supervisor.stop()


async def test_a_broker_that_is_away_ends_neither_the_watchdog_nor_the_role(tmp_path: Path) -> None:
    settings = Settings(kafka="127.0.0.1:9", stall_seconds=0.1, group_prefix="w")
    supervisor = Supervisor(
        {"pipeline": 1}, {}, tmp_path, command=lambda role: ["sleep", "600"], show=lambda line: None
    )
    await supervisor.start()
    watchdog = asyncio.create_task(Watchdog(settings, supervisor, look_seconds=0.1).run())
    try:
        await asyncio.sleep(2)
        assert not watchdog.done()
        assert supervisor.starts()["pipeline"] == 1
    finally:
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
        await supervisor.stop()
