"""The progress of jobs, live: right with many workers and many instances, whatever order rows and events come in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.problems import Problem
from schemas.topics import PULL
from streams.io import clock, pulls
from streams.io.store import in_workspace
from tests.conftest import Broker, Database
from tests.stack import until
from tests.system.live_harness import Home, Instance, Publisher, Reader, instance, new_home, publisher

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(180)]


@pytest.fixture
async def pair(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[tuple[Instance, Instance]]:
    """Two instances on the same servers."""
    async with (
        instance(tmp_path / "one", broker.bootstrap, database.app_url) as one,
        instance(tmp_path / "two", broker.bootstrap, database.app_url) as two,
    ):
        yield one, two


@pytest.fixture
async def one(pair: tuple[Instance, Instance]) -> Instance:
    """One of them."""
    return pair[0]


@pytest.fixture
async def home(database: Database) -> Home:
    """A workspace of the test's own."""
    return await new_home(database.app_url)


@pytest.fixture
async def out(one: Instance) -> AsyncIterator[Publisher]:
    """Outcomes, published as the pipeline does."""
    async with publisher(one) as made:
        yield made


async def execute(one: Instance, home: Home, sql: str, *values: Any) -> None:
    """Change rows of the workspace."""
    async with in_workspace(one.ports.pool, home.workspace_id) as connection:
        await connection.execute(sql, *values)


async def add_job(one: Instance, home: Home, calls: int, *, age: timedelta = timedelta(), **fields: Any) -> UUID:
    """A job with pending calls `c-0`, `c-1`, …"""
    row = {
        "job_id": clock.new_id(),
        "workspace_id": home.workspace_id,
        "job_type": "upload",
        "source_app": "generic",
        "total_calls": calls,
        "created_at": clock.now() - age,
        **fields,
    }
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await execute(one, home, f"INSERT INTO import_jobs ({', '.join(row)}) VALUES ({marks})", *row.values())
    for number in range(calls):
        await execute(
            one, home,
            "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, event_id)"
            " VALUES ($1, $2, 'generic', $3, gen_random_uuid())",
            home.workspace_id, row["job_id"], f"c-{number}",
        )  # fmt: skip
    return UUID(str(row["job_id"]))


async def settle(one: Instance, home: Home, job_id: UUID, external_id: str, status: str) -> None:
    """Write the outcome of a call as its worker does."""
    await execute(
        one, home, "UPDATE job_calls SET status = $3, updated_at = now() WHERE job_id = $1 AND external_id = $2",
        job_id, external_id, status,
    )  # fmt: skip


async def progress(stream: Reader, job_id: UUID, **fields: Any) -> dict[str, Any]:
    """The next state of the job with these fields."""
    return (await stream.until("job.progress", id=str(job_id), **fields)).data


async def test_progress_is_the_job_as_its_address_gives_it(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key, types="job") as stream:
        job_id = await add_job(one, home, 3)
        await settle(one, home, job_id, "c-0", "imported")
        await execute(
            one, home, "UPDATE job_calls SET status = 'failed', reason = 'It is odd.' WHERE external_id = 'c-1'"
        )
        await out.completed(home, "c-0", job_id=job_id)
        told = await progress(stream, job_id, imported_calls=1, failed_calls=1)
        async with one.client(home.key) as client:
            asked = (await client.get(f"/api/imports/{job_id}")).json()
    assert asked.pop("errors")
    assert asked.pop("estimated_completion_at")
    assert told.pop("estimated_completion_at")
    assert told == asked
    assert told["last_error"] == "It is odd."


@pytest.mark.parametrize("kind", ["skipped", "failed"])
async def test_a_job_is_told_to_its_end_although_its_rows_come_after_the_events(
    one: Instance, home: Home, out: Publisher, kind: str
) -> None:
    async with one.reading(home.key) as stream:
        job_id = await add_job(one, home, 2)
        await settle(one, home, job_id, "c-0", "imported")
        await out.completed(home, "c-0", job_id=job_id)
        await progress(stream, job_id, processed_calls=1)
        if kind == "skipped":
            await out.skipped(home, "c-1", job_id=job_id)
        else:
            await out.failed(home, "c-1", f'{{"job_id": "{job_id}"}}'.encode())
        event = await stream.until(f"import.{kind}")
        assert event.data["job_id"] == str(job_id)
        tracked = one.ports.live._followers[home.workspace_id][0]._tracked
        last = tracked[job_id].read_at

        async def read_again() -> bool | None:
            return tracked[job_id].read_at > last or None

        await until(read_again, 60, "a look after the event, when the row is not there yet")
        await settle(one, home, job_id, "c-1", kind)
        told = await progress(stream, job_id, processed_calls=2)
        assert told["status"] == ("completed" if kind == "skipped" else "partial")


async def test_a_job_that_was_over_is_told_again_when_a_row_comes_late(
    one: Instance, home: Home, out: Publisher
) -> None:
    async with one.reading(home.key, types="job") as stream:
        job_id = await add_job(one, home, 1)
        await settle(one, home, job_id, "c-0", "imported")
        await out.completed(home, "c-0", job_id=job_id)
        await progress(stream, job_id, status="completed")
        await execute(one, home, "UPDATE job_calls SET status = 'updated' WHERE job_id = $1", job_id)
        await progress(stream, job_id, status="completed", updated_calls=1)


async def test_jobs_begun_cancelled_and_waiting_are_told_by_every_instance_without_any_event(
    pair: tuple[Instance, Instance], home: Home
) -> None:
    one, two = pair
    async with one.reading(home.key, types="job") as here, two.reading(home.key, types="job") as there:
        job_id = await add_job(one, home, 0, job_type="historical", phase="counting")
        later = clock.now() + timedelta(hours=1)
        for status, change, values in (
            ("counting", None, ()),
            ("in_progress", "phase = 'pulling', open_ended = true", ()),
            ("waiting", "resume_at = $2, last_error = 'Too many requests.'", (later,)),
            ("cancelled", "cancelled_at = now()", ()),
        ):
            if change:
                await execute(one, home, f"UPDATE import_jobs SET {change} WHERE job_id = $1", job_id, *values)
            wanted = "pending" if status == "in_progress" else status
            for stream in (here, there):
                await progress(stream, job_id, status=wanted)
        later_job = await add_job(one, home, 0, job_type="historical", phase="counting")
        for stream in (here, there):
            await progress(stream, later_job, status="counting")


async def test_a_page_that_was_pulled_is_seen_at_once(one: Instance, home: Home, out: Publisher) -> None:
    """A command for the next page says that the job has moved, before the next look at all jobs."""
    source = pulls.Ref(clock.new_id(), home.workspace_id, "fathom")
    async with one.reading(home.key, types="job") as stream:
        job_id = await add_job(one, home, 0, job_type="historical", phase="pulling", estimated_calls=4)
        await progress(stream, job_id, total_calls=4)
        await execute(one, home, "UPDATE import_jobs SET estimated_calls = 9 WHERE job_id = $1", job_id)
        await out.bus.publish(PULL, pulls.command(source, job_id=job_id, step=1))
        await progress(stream, job_id, total_calls=9)


async def test_whoever_comes_hears_how_unfinished_jobs_stand_and_others_do_not_hear_it_again(
    one: Instance, home: Home
) -> None:
    old = await add_job(one, home, 2, age=timedelta(days=3))
    over = await add_job(one, home, 0, age=timedelta(days=2))
    async with one.reading(home.key, types="job") as first:
        assert (await progress(first, old))["status"] == "pending"
        async with one.reading(home.key, types="job") as second:
            assert (await progress(second, old))["status"] == "pending"
        new = await add_job(one, home, 1)
        event = await first.next()
        assert event.data["id"] == str(new)
        assert event.data["id"] != str(over)


async def test_a_job_that_ended_while_the_stream_was_cut_is_told_when_it_goes_on(
    pair: tuple[Instance, Instance], home: Home
) -> None:
    job_id = await add_job(pair[0], home, 0, job_type="historical", phase="pulling", open_ended=True)
    async with pair[0].reading(home.key, types="job") as stream:
        after = stream.last_id
        await progress(stream, job_id, status="pending")
    await execute(
        pair[0], home, "UPDATE import_jobs SET failed_at = now(), last_error = 'It broke.' WHERE job_id = $1", job_id
    )
    async with pair[1].reading(home.key, types="job", after=after) as stream:
        assert (await progress(stream, job_id, status="failed"))["last_error"] == "It broke."


async def test_progress_comes_at_most_twice_a_second_and_the_last_state_always(
    one: Instance, home: Home, out: Publisher
) -> None:
    calls = 40
    async with one.reading(home.key, types="job") as stream:
        job_id = await add_job(one, home, calls)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(calls):
            await settle(one, home, job_id, f"c-{number}", "imported")
            await out.completed(home, f"c-{number}", job_id=job_id)
        told = [await progress(stream, job_id)]
        while told[-1]["status"] != "completed":
            told.append(await progress(stream, job_id))
        assert len(told) <= 2 + (loop.time() - began) / 0.5
        assert told[-1]["processed_calls"] == calls


async def test_a_watched_job_is_told_from_now_to_its_end(one: Instance, home: Home, out: Publisher) -> None:
    job_id = await add_job(one, home, 2)
    seen = []
    async for job in one.ports.live.watch_job(home.workspace_id, job_id):
        seen.append((job.status, job.processed_calls))
        if job.processed_calls < 2:
            name = f"c-{job.processed_calls}"
            await settle(one, home, job_id, name, "imported")
            await out.completed(home, name, job_id=job_id)
    assert seen == [("pending", 0), ("in_progress", 1), ("completed", 2)]
    assert one.ports.live._followers == {}


async def test_a_job_of_another_workspace_cannot_be_watched(one: Instance, home: Home, database: Database) -> None:
    other = await new_home(database.app_url)
    job_id = await add_job(one, other, 1)
    with pytest.raises(Problem) as problem:
        await anext(aiter(one.ports.live.watch_job(home.workspace_id, job_id)))
    assert problem.value.status == 404


async def test_a_watched_job_lets_go_when_the_process_stops(one: Instance, home: Home) -> None:
    job_id = await add_job(one, home, 1)
    watching = one.ports.live.watch_job(home.workspace_id, job_id)
    assert (await anext(aiter(watching))).status == "pending"
    one.ports.live.end_streams()
    assert await anext(aiter(watching), None) is None
