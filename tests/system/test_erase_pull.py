"""Erased calls and pulling: they are not fetched again, wherever they were known from."""

from datetime import timedelta
from typing import Any

import pytest

from streams.io import clock, erase, pulls
from streams.io.erase import ERASED, GONE
from tests.conftest import Database
from tests.pulling import TINY, Rig, rig, told

pytestmark = pytest.mark.database


async def erase_it(it: Rig, external_id: str) -> None:
    """Erase a call."""
    async with it.pool.acquire() as connection, connection.transaction():
        await erase.erase(connection, (it.workspace_id, TINY, external_id), by="tests")


async def make(database: Database, *arguments: Any, **more: Any) -> Rig:
    """A tiny source, and the engine."""
    return await rig(database.pipeline_pool, database.workspace_id, database.user_id, *arguments, **more)


@pytest.mark.parametrize("job_type", ["historical", "sync"])
async def test_a_listed_call_that_was_erased_is_not_fetched(database: Database, job_type: Any) -> None:
    it = await make(database, told(3))
    await it.store_call("c00001", clock.now())
    await erase_it(it, "c00001")
    it.source.calls[1].changed_at = clock.now() + timedelta(days=1)
    job = await it.job(job_type)
    await it.drain()
    assert await it.calls(job, "skipped") == {"c00001": ERASED}
    assert "fetch c00001" not in it.source.requests
    assert sorted(it.bus.ids()) == ["c00000", "c00002"]
    assert await pulls.covered(it.pool, it.source_id), "an erased call is no gap"


async def test_a_waiting_call_that_is_erased_waits_no_more_and_its_job_ends(database: Database) -> None:
    it = await make(database, told(3))
    it.source.calls[1].ready_after = 3
    job = await it.job("sync")
    await it.drain()
    await erase_it(it, "c00001")
    await it.settle()
    assert await it.calls(job, "discarded") == {"c00001": GONE}
    assert sorted(it.bus.ids()) == ["c00000", "c00002"]


async def test_a_webhook_that_names_an_erased_call_has_it_not_read(database: Database) -> None:
    it = await make(database, told(1))
    await erase_it(it, "c00000")
    ref = pulls.Ref(it.source_id, it.workspace_id, TINY)
    bus: Any = it.bus
    await pulls.note_call(
        it.pool, source=ref, external_id="c00000", job_id=None, due_at=clock.now(), from_webhook=True
    )  # fmt: skip
    await pulls.wake(bus, ref)
    await it.drain()
    assert it.source.requests == []
    assert it.bus.ids() == []
    assert await it.pool.fetchval("SELECT count(*) FROM waiting_calls") == 0


async def test_a_call_that_waits_again_after_it_was_erased_is_skipped_in_its_job(database: Database) -> None:
    """A worker had it in hand when it was erased, and noted that it is not ready."""
    it = await make(database, told(1))
    job = await it.job("sync")
    await erase_it(it, "c00000")
    await pulls.note_call(
        it.pool, source=pulls.Ref(it.source_id, it.workspace_id, TINY), external_id="c00000", job_id=job,
        due_at=clock.now(), from_webhook=False,
    )  # fmt: skip
    await it.settle()
    assert await it.calls(job, "skipped") == {"c00000": ERASED}
    assert "fetch c00000" not in it.source.requests


async def test_the_retry_of_an_erased_call_reads_nothing(database: Database) -> None:
    it = await make(database, told(1))
    await erase_it(it, "c00000")
    ref = pulls.Ref(it.source_id, it.workspace_id, TINY)
    await it.puller().run(pulls.command(ref, external_id="c00000"))
    assert it.source.requests == []
    assert it.bus.ids() == []
