"""The embedded servers as a whole: real Kafka, real PostgreSQL, killed in every way their owner can die."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.local import DataDirBusy, Local, lock_data_dir, running
from ops.processes import is_listening

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

GONE_SECONDS = 20
TOPIC = "kept"


class Owner(NamedTuple):
    """A running `python -m ops.local` and what it printed."""

    process: subprocess.Popen[str]
    kafka: str
    database_url: str
    database_owner_url: str


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder, not pytest's: every new pytest shuts the folders above its own, and PostgreSQL's user out."""
    with tempfile.TemporaryDirectory(prefix="callstream-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data dir é"


def start_owner(data_dir: Path) -> Owner:
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.local", str(data_dir), "--throwaway"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return Owner(process, **json.loads(process.stdout.readline()))


def end_owner(owner: Owner) -> int:
    with owner.process:  # closes its standard input and waits
        pass
    return owner.process.returncode


def below(owner: Owner) -> list[psutil.Process]:
    return psutil.Process(owner.process.pid).children(recursive=True)


async def write(kafka: str, database_url: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        await producer.send_and_wait(TOPIC, b"still here")
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'still here' AS words")


async def read(kafka: str, database_url: str) -> tuple[bytes, str]:
    async with AIOKafkaConsumer(TOPIC, bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        record = await consumer.getone()
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT words FROM kept").fetchone()
    assert row
    return record.value, row[0]


async def test_the_servers_die_with_a_killed_owner_and_the_next_finds_all_data(data_dir: Path) -> None:
    first = start_owner(data_dir)
    await write(first.kafka, first.database_owner_url)
    servers = below(first)
    assert {"java", "postgres"} <= {process.name() for process in servers if process.is_running()}

    first.process.kill()
    end_owner(first)
    _, alive = psutil.wait_procs(servers, timeout=GONE_SECONDS)
    assert not alive

    second = start_owner(data_dir)
    try:
        assert second[1:] == first[1:]
        assert await read(second.kafka, second.database_owner_url) == (b"still here", "still here")
    finally:
        assert end_owner(second) == 0
    assert not is_listening(int(second.kafka.rpartition(":")[2]))


async def test_everything_killed_at_once_starts_again_with_all_data(data_dir: Path) -> None:
    first = start_owner(data_dir)
    await write(first.kafka, first.database_owner_url)
    for process in [psutil.Process(first.process.pid), *below(first)]:
        with suppress(psutil.NoSuchProcess):  # some end by themselves as soon as the others are gone
            process.kill()
    end_owner(first)

    second = start_owner(data_dir)
    try:
        assert await read(second.kafka, second.database_owner_url) == (b"still here", "still here")
    finally:
        assert end_owner(second) == 0


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with (
        tempfile.TemporaryDirectory(prefix="callstream-tests-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), throwaway=True, port=8499) as servers,
    ):
        yield servers


def test_a_second_owner_is_refused_and_told_whom_to_ask(local: Local) -> None:
    data_dir = Path(local.lock.name).parent
    with pytest.raises(DataDirBusy, match=f"process {os.getpid()}, which listens on port 8499"):
        lock_data_dir(data_dir)
    second = subprocess.run(
        [sys.executable, "-m", "ops.local", str(data_dir)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert second.returncode == 1
    assert "in use by process" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_products_login_owns_nothing_and_obeys_row_level_security(local: Local) -> None:
    with psycopg.connect(local.postgres.app_url) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        owned = connection.execute(
            "SELECT count(*) FROM pg_shdepend JOIN pg_roles r ON refobjid = r.oid "
            "WHERE deptype = 'o' AND rolname = current_user"
        ).fetchone()
        assert rights == (False, False, False, False)
        assert owned == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (a int)")


def test_the_owner_of_the_tables_is_no_superuser_either(local: Local) -> None:
    with psycopg.connect(local.postgres.owner_url) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert rights == (False, False)
        connection.execute("CREATE TABLE ours (a int)")
        connection.execute("GRANT SELECT ON ours TO callstream_app")
    with psycopg.connect(local.postgres.app_url) as connection:
        assert connection.execute("SELECT count(*) FROM ours").fetchone() == (0,)


def test_passwords_are_asked_for_and_kept_to_ourselves(local: Local) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(local.postgres.app_url.replace("callstream_login:", "callstream_login:x"))
    kept = Path(local.lock.name).parent / "secrets" / "postgres.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("end", ["stop", "kill the server", "kill its guard"])
async def test_each_server_comes_back_on_its_port_with_what_it_holds(local: Local, end: str) -> None:
    if end == "stop":
        await write(local.kafka.bootstrap, local.postgres.owner_url)
    for one in (local.kafka, local.postgres):
        before = one.server.pid
        if end == "stop":
            one.stop()
            assert not is_listening(one.port)
        else:
            victim = before if end == "kill the server" else one.process and one.process.pid
            assert victim
            os.kill(victim, signal.SIGKILL)
            assert one.process
            one.process.wait(GONE_SECONDS)
        assert not one.server.alive
        one.start()
        assert one.server.pid not in (before, None)
    assert await read(local.kafka.bootstrap, local.postgres.owner_url) == (b"still here", "still here")
