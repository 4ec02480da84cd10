"""Imports from sources end to end: real connectors, fake vendors over HTTP, every role a process, some of them killed.

`CALLSTREAM_TEST_PULLED_CALLS=10000` makes the large import as large as the promise; the usual one is smaller.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psutil
import pytest

from ops.local import Local
from streams.io import clock, pulls, sources
from streams.io.pulls import JobType
from streams.io.secrets import open_secrets
from streams.io.sources import Source
from streams.io.store import in_workspace
from tests.fakes.vendors.core import Vendors, start_fake_vendors
from tests.servers import addresses_of, own_servers
from tests.stack import Stack, counted, start_stack, until

pytestmark = pytest.mark.system
MANY = int(os.environ.get("CALLSTREAM_TEST_PULLED_CALLS", "1500"))
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def vendors() -> Any:
    """The fake vendors."""
    with start_fake_vendors("gong", "grain", "hubspot") as running:
        yield running


@pytest.fixture(scope="module")
async def machines() -> AsyncIterator[Local]:
    """Kafka and PostgreSQL under it."""
    with own_servers("pulls") as local:
        yield local


@pytest.fixture(scope="module")
async def stack(
    machines: Local, vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:  # fmt: skip
    """callstream, with its sources turned to the fakes."""
    addresses = addresses_of(machines)
    running = await asyncio.to_thread(
        lambda: start_stack(
            tmp_path_factory.mktemp("pulls"), addresses["kafka"], servers=addresses, vendor_origin=vendors.origin,
            env={"CALLSTREAM_PULL_SLICE_SECONDS": "5", "CALLSTREAM_FIRST_SYNC_DAYS": "3650"},
        )
    )  # fmt: skip
    try:
        yield running
    finally:
        await running.close_pools()
        await asyncio.to_thread(running.stop)


async def connect(
    stack: Stack, vendors: Vendors, source_app: str, kind: str, *, workspace_id: UUID | None = None, sync: bool = False
) -> Source:
    """Connect an account as the API does."""
    workspace_id = workspace_id or stack.workspace_id
    async with in_workspace(await stack.pool(), workspace_id) as connection:
        source, _ = await sources.create_or_reconnect(
            connection, open_secrets(stack.settings), workspace_id=workspace_id, user_id=stack.user_id,
            source_app=source_app, account_email=f"{clock.new_id()}@example.com", kind=kind,
            credential=vendors.credential(source_app), sync_enabled=sync,
        )  # fmt: skip
    return source


async def begin(stack: Stack, source: Source, since: datetime, end: datetime, job_type: JobType = "historical") -> UUID:
    """Start an import as the API does."""
    async with in_workspace(await stack.pool(), source.workspace_id) as connection:
        job_id = await pulls.create_job(
            connection, workspace_id=source.workspace_id, source_id=source.source_id, source_app=source.source_app,
            user_id=stack.user_id, job_type=job_type, since=since, until=end,
        )  # fmt: skip
    bus = stack.bus()
    await pulls.start(await stack.pool(), bus, source.workspace_id, job_id)
    await bus.stop()
    return job_id


async def new_workspace(stack: Stack) -> UUID:
    """One more customer."""
    workspace_id = clock.new_id()
    await (await stack.pool()).execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'w')", workspace_id)
    await (await stack.pool()).execute(
        "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, 'owner')", workspace_id, stack.user_id
    )
    return workspace_id


async def pulled(stack: Stack, job_id: UUID, timeout: float = 180) -> Any:
    """The job, when its list has ended."""

    async def ended() -> Any:
        rows = await stack.fetch("SELECT * FROM import_jobs WHERE job_id = $1 AND phase = 'done'", job_id)
        return rows[0] if rows else None

    try:
        return await until(ended, timeout, f"the end of {job_id}")
    except AssertionError:
        rows = await stack.fetch("SELECT * FROM import_jobs WHERE job_id = $1", job_id)
        raise AssertionError(f"{rows}\n{stack.logs()}") from None


async def settled(stack: Stack, job_id: UUID, timeout: float = 120) -> dict[str, int]:
    """The calls of a job by state, when none is on its way any more."""

    async def over() -> Any:
        rows = await stack.fetch("SELECT status, count(*) AS n FROM job_calls WHERE job_id = $1 GROUP BY 1", job_id)
        found = {row["status"]: row["n"] for row in rows}
        return found if not found.keys() & {"pending", "waiting"} else None

    return await until(over, timeout, f"every call of {job_id}")


async def stored(stack: Stack, workspace_id: UUID, source_app: str) -> set[str]:
    """The external ids in the library."""
    sql = "SELECT external_id FROM recordings WHERE workspace_id = $1 AND source_app = $2"
    return {row["external_id"] for row in await stack.fetch(sql, workspace_id, source_app)}


def memory_of(stack: Stack, role: str) -> int:
    """Bytes that the role's processes hold."""
    return sum(psutil.Process(pid).memory_info().rss for pid in stack.supervisor.pids(role))


@pytest.mark.timeout(900)
async def test_a_large_import_is_killed_twice_and_complete(stack: Stack, vendors: Vendors) -> None:
    vendors.world.calls["gong"].clear()
    vendors.world.seed("gong", MANY, BEGIN, BEGIN + timedelta(days=30), Random(1))
    source = await connect(stack, vendors, "gong", "basic")
    job = await begin(stack, source, BEGIN, BEGIN + timedelta(days=30))

    async def at_least(count: int) -> bool | None:
        return await stack.value("SELECT count(*) >= $2 FROM job_calls WHERE job_id = $1", job, count) or None

    for part in (MANY // 5, 2 * MANY // 5):
        await until(lambda: at_least(part), 120, f"{part} calls")  # noqa: B023
        assert stack.kill("pull")
    await until(lambda: at_least(3 * MANY // 5), 180, "more calls after two kills")
    before = memory_of(stack, "pull")
    row = await pulled(stack, job, timeout=300)
    assert memory_of(stack, "pull") < before + 40 * 1024**2
    assert row["failed_at"] is None
    assert row["total_calls"] == MANY
    assert await settled(stack, job, timeout=400) == {"imported": MANY}
    assert await stored(stack, source.workspace_id, "gong") == vendors.external_ids("gong")
    assert await stack.value("SELECT count(*) FROM recordings WHERE workspace_id = $1", source.workspace_id) == MANY
    async with in_workspace(await stack.pool(), source.workspace_id) as connection:
        assert await pulls.covered(connection, source.source_id) == [(BEGIN, BEGIN + timedelta(days=30))]
    assert counted(stack, "import_calls_recovered_total") == 0
    assert not await stack.fetch("SELECT message, detail FROM failed_imports")


@pytest.mark.timeout(600)
async def test_one_workspace_with_thousands_of_calls_holds_no_other_up(stack: Stack, vendors: Vendors) -> None:
    vendors.world.calls["gong"].clear()
    vendors.world.calls["hubspot"].clear()
    vendors.world.calls["grain"].clear()
    vendors.world.seed("gong", 4000, BEGIN, BEGIN + timedelta(days=30), Random(2))
    now = clock.now()
    vendors.world.seed("grain", 6, now - timedelta(days=5), now, Random(3))
    greedy = await connect(stack, vendors, "gong", "basic", workspace_id=await new_workspace(stack))
    large = await begin(stack, greedy, BEGIN, BEGIN + timedelta(days=30))
    others = []
    for _ in range(9):
        workspace = await new_workspace(stack)
        others.append(await connect(stack, vendors, "grain", "api_key", workspace_id=workspace, sync=True))

    async def synced() -> bool | None:
        sql = "SELECT count(*) = 9 FROM import_sources WHERE source_app = 'grain' AND last_sync_at IS NOT NULL"
        return await stack.value(sql) or None

    await until(synced, 120, "the syncs of the other nine")
    assert await stack.value("SELECT phase FROM import_jobs WHERE job_id = $1", large) == "pulling", (
        "the syncs were done while the large import was still going on"
    )
    for source in others:
        wanted = vendors.external_ids("grain")
        await until(lambda: _is(stack, source, wanted), 90, f"the calls of {source.workspace_id}")  # noqa: B023
    pool = await stack.pool()
    await pool.execute("UPDATE import_jobs SET cancelled_at = now() WHERE job_id = $1", large)
    row = await pulled(stack, large)
    assert not row["open_ended"]


async def _is(stack: Stack, source: Source, wanted: set[str]) -> bool | None:
    return await stored(stack, source.workspace_id, source.source_app) == wanted or None


@pytest.mark.timeout(300)
async def test_a_transcript_that_comes_late_and_a_revoked_key(stack: Stack, vendors: Vendors) -> None:
    world = vendors.world
    world.calls["hubspot"].clear()
    made = world.seed("hubspot", 4, clock.now() - timedelta(hours=1), clock.now(), Random(4))
    made[1].has_recording = False
    made[1].transcript_at = clock.now() + timedelta(seconds=10)
    source = await connect(stack, vendors, "hubspot", "api_key", workspace_id=await new_workspace(stack), sync=True)

    async def waits() -> Any:
        return await stack.fetch("SELECT * FROM waiting_calls WHERE source_id = $1", source.source_id) or None

    [waiting] = await until(waits, 90, "the waiting call")
    assert waiting["external_id"] == vendors.external_id("hubspot", made[1])
    pool = await stack.pool()

    async def arrived() -> bool | None:
        await pool.execute("UPDATE waiting_calls SET next_try_at = now() WHERE next_try_at > now() + interval '20 min'")
        await pool.execute(
            "UPDATE waiting_calls SET next_try_at = now() WHERE source_id = $1 AND first_seen_at < now()"
            " - interval '12 seconds' AND tries < 3", source.source_id,
        )  # fmt: skip
        return await _is(stack, source, vendors.external_ids("hubspot"))

    await until(arrived, 120, "the late call", pause=3.0)
    [job] = await stack.fetch("SELECT job_id FROM import_jobs WHERE source_id = $1", source.source_id)
    assert await settled(stack, job["job_id"]) == {"imported": 4}

    accepted, world.credentials["hubspot"] = world.credentials["hubspot"], []
    await pool.execute("UPDATE import_sync_configs SET next_sync_at = now() WHERE source_id = $1", source.source_id)

    async def broken() -> Any:
        sql = "SELECT error_message FROM import_sources WHERE source_id = $1 AND error_message IS NOT NULL"
        return await stack.fetch(sql, source.source_id) or None

    [error] = await until(broken, 60, "the error")
    world.credentials["hubspot"] = accepted
    assert "Connect it again" in error["error_message"]
