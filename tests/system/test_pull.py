"""The pull engine on a real PostgreSQL: no call is missed and no chain of pages doubled, whatever happens between two
steps; what cannot be read says why; limits and faults are times, not losses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.contract import Recording
from schemas.faults import ConfigFault, CursorFault, InvalidCall, MissingFault, TransientFault
from schemas.settings import Settings
from schemas.topics import BY_NAME, DEAD
from streams.io import clock, failed_imports, pulls, sources
from streams.io.bus import decode
from streams.io.media import get_bytes
from tests.conftest import Database
from tests.fakes.audio import make_wav
from tests.pulling import START, TINY, Deaths, Killed, Rig, Told, lane_of, payload_of, rig, told

pytestmark = pytest.mark.system


async def make(database: Database, calls: list[Told], **more: Any) -> Rig:
    """A source in the test's database."""
    return await rig(database.pipeline_pool, database.workspace_id, database.user_id, calls, **more)


def limited(seconds: float = 0.0) -> TransientFault:
    """What a source's limit looks like."""
    return TransientFault("rate_limited", "Tiny allows no more requests at the moment.", retry_after=seconds)


def trouble() -> TransientFault:
    """What a source in trouble looks like."""
    return TransientFault("vendor_failing", "Tiny cannot answer at the moment.")


async def test_every_call_of_the_window_is_published_once_and_its_job_knows(database: Database) -> None:
    it = await make(database, [*told(23), Told("outside", START - timedelta(seconds=1))], counts=True)
    job = await it.job(count=True)
    assert (await it.row(job))["phase"] == "counting"
    await it.drain()
    row = await it.row(job)
    assert sorted(it.bus.ids()) == sorted(f"c{n:05}" for n in range(23))
    assert set((await it.calls(job)).values()) == {"pending"}
    assert (row["phase"], row["open_ended"], row["total_calls"], row["estimated_calls"]) == ("done", False, 23, 24)
    assert row["done_at"]
    assert row["leased_until"] is None
    topic, call = it.bus.calls[0]
    assert lane_of(topic) == "backfill"
    assert (call.received_via, call.source_id, call.job_id) == ("pull", it.source_id, job)
    assert call.placement.owner_user_id == it.user_id
    assert payload_of(call)["id"] == call.external_id
    assert await pulls.covered(it.pool, it.source_id) == [(START, START + timedelta(days=365))]


async def test_a_process_that_dies_between_any_two_steps_loses_no_call_and_doubles_no_chain(database: Database) -> None:
    steps = 0
    for after in (False, True):
        at = 0
        while True:
            at += 1
            it = await make(database, told(7, ready_after=0), page_size=3)
            it.pace = type(it.pace)(**{**_fields(it.pace), "calls_at_once": 1})
            it.source.calls[4].ready_after = 1
            job = await it.job()
            deaths = Deaths(at, after)
            try:
                await it.drain(it.puller(deaths))
            except Killed:
                steps += 1
            else:
                break
            await it.let_leases_end()
            await it.settle()
            row = await it.row(job)
            where = f"died {'after' if after else 'before'} step {at}"
            assert set(it.bus.ids()) == it.source.ids(), where
            assert row["phase"] == "done", where
            assert set((await it.calls(job)).values()) == {"pending"}, where
            assert len(it.bus.ids()) <= len(it.source.ids()) + 1, f"{where}: more than one call came twice"
            assert sum(r.startswith("list") for r in it.source.requests) <= 5, f"{where}: the chain was doubled"
    assert steps > 50


def _fields(pace: Any) -> dict[str, Any]:
    return {name: getattr(pace, name) for name in pace.__slots__}


async def test_a_command_that_comes_late_or_twice_does_nothing(database: Database) -> None:
    it = await make(database, told(8))
    job = await it.job()
    first = it.bus.commands[0]
    await it.drain()
    before = (list(it.source.requests), dict(await it.row(job)))
    await it.puller().run(first)
    await it.puller().run(first.model_copy(update={"step": 1}))
    assert (it.source.requests, dict(await it.row(job))) == before
    assert not it.bus.commands


async def test_a_command_that_comes_twice_at_once_is_worked_on_by_one(database: Database) -> None:
    it = await make(database, told(5))
    await it.job()
    going, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        going.set()
        await go.wait()

    it.source.on_fetch = lambda external_id: hold()
    command = it.bus.commands.popleft()
    one = asyncio.create_task(it.puller().run(command))
    await going.wait()
    await it.puller().run(command)
    assert [r for r in it.source.requests if r.startswith("list")] == ["list "]
    await it.schedule().kicks()
    assert not it.bus.commands, "a job under a lease is left alone"
    go.set()
    await one
    assert sorted(it.bus.ids()) == sorted(it.source.ids())


async def test_a_slice_ends_in_time_and_the_next_goes_on_in_the_same_page(database: Database) -> None:
    it = await make(database, told(9), page_size=9)
    it.pace = type(it.pace)(**{**_fields(it.pace), "slice_seconds": 1e-9, "calls_at_once": 2})
    job = await it.job()
    await it.puller().run(it.bus.commands.popleft())
    assert 1 <= len(it.bus.ids()) <= 2
    assert len(it.bus.commands) == 1
    await it.drain()
    assert sorted(it.bus.ids()) == sorted(it.source.ids())
    assert (await it.row(job))["phase"] == "done"


async def test_a_cancelled_import_stops_between_two_calls(database: Database) -> None:
    it = await make(database, told(20), page_size=20)
    it.pace = type(it.pace)(**{**_fields(it.pace), "calls_at_once": 1})
    job = await it.job()
    cancel = "UPDATE import_jobs SET cancelled_at = now() WHERE job_id = $1"
    it.source.on_fetch = lambda external_id: it.pool.execute(cancel, job) if external_id == "c00003" else None
    await it.drain()
    assert it.bus.ids() == ["c00000", "c00001", "c00002"]
    assert not it.bus.commands
    await it.schedule().books()
    row = await it.row(job)
    assert (row["phase"], row["open_ended"], row["total_calls"]) == ("done", False, 3)
    assert await pulls.covered(it.pool, it.source_id) == []


async def test_a_limit_is_a_time_at_which_the_job_goes_on(database: Database) -> None:
    it = await make(database, told(6))
    job = await it.job()
    it.source.faults.extend([None, None, limited(3600)])
    await it.drain()
    row = await it.row(job)
    assert row["last_error"].startswith("Tiny allows no more requests at the moment. This import goes on at ")
    assert 3500 < (row["resume_at"] - clock.now()).total_seconds() <= 3600
    await it.schedule().kicks()
    assert not it.bus.commands, "not before its time"
    await it.pool.execute("UPDATE import_jobs SET resume_at = now() WHERE job_id = $1", job)
    await it.settle()
    assert set(it.bus.ids()) == it.source.ids()
    assert (await it.row(job))["last_error"] is None


async def test_limits_never_make_a_job_fail(database: Database) -> None:
    it = await make(database, told(3))
    job = await it.job()
    it.source.faults.extend([limited()] * 30)
    await it.settle()
    assert (await it.row(job))["failed_at"] is None
    assert set(it.bus.ids()) == it.source.ids()


async def test_a_source_in_trouble_is_tried_again_and_given_up_with_a_sentence(database: Database) -> None:
    it = await make(database, told(3))
    job = await it.job()
    it.source.faults.extend([trouble()] * 7)
    await it.settle()
    assert set(it.bus.ids()) == it.source.ids()
    again = await it.job(days=1)
    it.source.calls.append(Told("late", START + timedelta(hours=5)))
    it.source.faults.extend([trouble()] * 8)
    await it.settle()
    row = await it.row(again)
    assert row["failed_at"]
    assert row["last_error"].startswith("Tiny cannot answer at the moment. It was tried 8 times.")
    assert (row["phase"], row["open_ended"]) == ("done", False)
    assert (await it.row(job))["failed_at"] is None


async def test_a_bug_is_treated_as_trouble_and_says_nothing_of_itself(database: Database) -> None:
    it = await make(database, told(3))
    job = await it.job()
    it.source.faults.append(KeyError("token=secret"))
    await it.drain()
    row = await it.row(job)
    assert row["tries"] == 1
    assert "secret" not in row["last_error"]
    await it.settle()
    assert set(it.bus.ids()) == it.source.ids()


async def test_a_refused_credential_turns_the_source_to_error_and_fails_the_job(database: Database) -> None:
    it = await make(database, told(3))
    job = await it.job()
    it.credential_fault = ConfigFault("credential_refused", "Tiny no longer accepts this credential. Connect it again.")
    await it.drain()
    source = await it.pool.fetchrow("SELECT * FROM import_sources WHERE source_id = $1", it.source_id)
    assert (source["error_reason"], source["error_message"]) == (
        "credential_refused", "Tiny no longer accepts this credential. Connect it again.",
    )  # fmt: skip
    row = await it.row(job)
    assert row["failed_at"]
    assert row["last_error"] == "Tiny no longer accepts this credential. Connect it again."


async def test_one_call_that_cannot_be_read_never_costs_the_others(database: Database) -> None:
    it = await make(database, told(12))
    it.source.broken = {
        "c00001": MissingFault("not_at_source", "Tiny does not have it, or not any more."),
        "c00004": InvalidCall("odd", "Tiny's answer for this call makes no sense."),
        "c00006": KeyError("speakers"),
        "c00008": trouble(),
    }
    job = await it.job()
    await it.drain()
    assert set(it.bus.ids()) == it.source.ids() - set(it.source.broken)
    assert await it.calls(job, "skipped") == {"c00001": "Tiny does not have it, or not any more."}
    assert await it.calls(job, "failed") == {"c00004": "Tiny's answer for this call makes no sense."}
    waiting = await it.calls(job, "waiting")
    assert waiting["c00008"] == "Tiny cannot answer at the moment."
    assert "callstream" in waiting["c00006"]
    assert (await it.row(job))["phase"] == "done"
    assert await pulls.covered(it.pool, it.source_id) == [], "one of its calls was never accepted"
    await it.settle()
    assert set(await it.calls(job, "failed")) == {"c00004", "c00006", "c00008"}, "they were given up after some tries"
    it.source.broken.clear()
    async with it.pool.acquire() as connection:
        assert await pulls.read_again(connection, it.workspace_id, job) == 3
    await it.settle()
    assert set(it.bus.ids()) == it.source.ids() - {"c00001"}
    assert not await it.calls(job, "failed")


async def test_an_expired_cursor_begins_the_list_again_without_reading_a_call_twice(database: Database) -> None:
    it = await make(database, told(14))
    it.source.lose_cursor = {"5", "10"}
    job = await it.job()
    await it.drain()
    assert sorted(it.bus.ids()) == sorted(it.source.ids())
    assert (await it.row(job))["phase"] == "done"


async def test_a_list_that_always_loses_its_place_is_given_up(database: Database) -> None:
    it = await make(database, told(14))
    list_page = it.source.list_page

    async def forgetful(api: Any, window: Any, cursor: str | None) -> Any:
        if cursor == "10":
            raise CursorFault("cursor_expired", "Tiny has forgotten where we were.")
        return await list_page(api, window, cursor)

    it.source.list_page = forgetful  # type: ignore[method-assign]
    it.connector = it.source.connector()
    job = await it.job()
    await it.settle()
    row = await it.row(job)
    assert row["failed_at"]
    assert "forgotten" in row["last_error"]


async def test_a_stored_call_is_read_again_only_when_it_has_changed(database: Database) -> None:
    it = await make(database, told(4))
    seen = START + timedelta(days=10)
    for n in range(3):
        await it.store_call(f"c{n:05}", seen)
    it.source.calls[1].changed_at = seen + timedelta(seconds=1)
    it.source.calls[2].changed_at = seen
    job = await it.job()
    await it.drain()
    assert sorted(it.bus.ids()) == ["c00001", "c00003"]
    assert set(await it.calls(job, "skipped")) == {"c00000", "c00002"}


async def test_a_call_that_is_not_ready_waits_and_arrives(database: Database) -> None:
    it = await make(database, told(3))
    it.source.calls[1].ready_after = 3
    job = await it.job("sync")
    await it.drain()
    assert await it.calls(job, "waiting") == {"c00001": "Tiny is still writing the transcript."}
    assert await pulls.covered(it.pool, it.source_id), "a waiting call is accounted for"
    await it.settle()
    assert sorted(it.bus.ids()) == sorted(it.source.ids())
    assert not await it.calls(job, "waiting")
    assert {lane_of(topic) for topic, _ in it.bus.calls} == {"live"}
    assert it.bus.calls[-1][1].job_id == job
    assert await it.pool.fetchval("SELECT count(*) FROM waiting_calls WHERE source_id = $1", it.source_id) == 0


async def test_after_the_last_try_a_call_is_taken_as_it_is(database: Database) -> None:
    it = await make(database, told(1, ready_after=99, has_transcript=False))
    job = await it.job()
    await it.settle()
    assert it.bus.ids() == ["c00000"]
    assert it.source.calls[0].looks == 1 + 3, "the listing's look, and one a try"
    assert await it.calls(job) == {"c00000": "pending"}


async def test_a_waiting_call_that_vanishes_ends_with_a_sentence(database: Database) -> None:
    it = await make(database, told(1, ready_after=99))
    job = await it.job()
    await it.drain()
    it.source.calls.clear()
    await it.settle()
    assert await it.calls(job, "failed") == {"c00000": it.connector.pull.gives_up}  # type: ignore[union-attr]


async def test_a_listed_call_that_cannot_be_found_by_its_id_is_found_in_its_list(database: Database) -> None:
    async def find(api: Any, external_id: str) -> Any:
        raise MissingFault("no_call", "Tiny looks among its newest calls only.")

    it = await make(database, told(12, ready_after=1), page_size=2, pull={"find": find})
    job = await it.job("sync")
    await it.settle()
    assert sorted(it.bus.ids()) == sorted(it.source.ids())
    assert not await it.calls(job, "waiting")


async def test_a_call_that_a_webhook_names_is_read_as_soon_as_it_is_there(database: Database) -> None:
    it = await make(database, [], pull={"tries": (timedelta(hours=1),) * 3})
    ref = pulls.Ref(it.source_id, it.workspace_id, TINY)
    bus: Any = it.bus
    note: dict[str, Any] = {"source": ref, "job_id": None, "due_at": clock.now(), "from_webhook": True}
    await pulls.note_call(it.pool, external_id="c00000", **note)
    await pulls.wake(bus, ref)
    await it.drain()
    assert await it.pool.fetchval("SELECT tries FROM waiting_calls") == 0, "not there yet"
    it.source.calls = told(1)
    await it.settle()
    assert not it.bus.calls, "its turn comes later"
    await pulls.note_call(it.pool, external_id="c00000", **note)
    await it.settle()
    [(topic, call)] = it.bus.calls
    assert (lane_of(topic), call.external_id, call.job_id) == ("live", "c00000", None)


async def test_a_call_that_a_webhook_named_and_that_never_came_is_a_failed_import_whose_retry_reads_it(
    database: Database,
) -> None:
    it = await make(database, [])
    ref = pulls.Ref(it.source_id, it.workspace_id, TINY)
    await pulls.note_call(it.pool, source=ref, external_id="c00000", job_id=None, due_at=clock.now(), from_webhook=True)
    await it.settle()
    [(key, value, headers)] = it.bus.letters
    assert await it.pool.fetchval("SELECT count(*) FROM waiting_calls") == 0
    await failed_imports.record(
        it.pool, key=key, value=value, headers=headers, at=(DEAD.name, 0, 0), schedule=(300,), max_attempts=8
    )
    failed = await it.pool.fetchrow("SELECT * FROM failed_imports")
    assert (failed["source_app"], failed["external_id"], failed["stage"]) == (TINY, "c00000", "pull")
    assert (failed["message"], failed["retryable"]) == (it.connector.pull.gives_up, True)  # type: ignore[union-attr]

    sent: list[Any] = []
    bus: Any = SimpleNamespace(send=lambda *record: _done(sent.append(record)))
    await failed_imports.retry(it.pool, bus, it.workspace_id, failed["failed_import_id"])
    [(topic, key, value, headers)] = sent
    command: Any = await decode(BY_NAME[topic], value, headers, it.store)
    with pytest.raises(TransientFault) as still:
        await it.puller().run(command)
    assert (still.value.retry_after or 0) > 60, "the failed import waits for its next try, not the stage"
    it.source.calls = told(1)
    await it.puller().run(command)
    assert it.bus.ids() == ["c00000"]
    assert await it.pool.fetchval("SELECT status FROM failed_imports") == "resolved"


async def _done(nothing: None) -> None:
    """What a bus gives back."""


async def test_a_sync_takes_over_where_the_last_one_ended_and_overlaps_it(database: Database) -> None:
    it = await make(database, [], pull={"reaches_back": timedelta(days=20)})
    await it.pool.execute(
        "INSERT INTO import_sync_configs (source_id, workspace_id, sync_frequency_minutes) VALUES ($1, $2, 60)",
        it.source_id, it.workspace_id,
    )  # fmt: skip
    await it.schedule().syncs()
    await it.schedule().syncs()
    [job] = await it.pool.fetch("SELECT * FROM import_jobs WHERE source_id = $1", it.source_id)
    assert job["job_type"] == "sync"
    assert job["date_to"] - job["date_from"] == timedelta(days=20), "the source forgets what is older"
    due_in = await it.pool.fetchval("SELECT next_sync_at - now() FROM import_sync_configs")
    assert timedelta(minutes=53) < due_in < timedelta(minutes=67)
    await it.pool.execute("UPDATE import_sync_configs SET next_sync_at = now()")
    await it.schedule().syncs()
    assert await it.pool.fetchval("SELECT count(*) FROM import_jobs") == 1, "no second one while it runs"
    await it.drain()
    source = await it.pool.fetchrow("SELECT * FROM import_sources WHERE source_id = $1", it.source_id)
    assert source["synced_until"] == job["date_to"]
    assert source["last_sync_at"]
    await it.schedule().syncs()
    second = await it.pool.fetchrow("SELECT * FROM import_jobs ORDER BY created_at DESC LIMIT 1")
    assert second["date_from"] == job["date_to"] - timedelta(days=1)
    await it.drain()
    assert len(await pulls.covered(it.pool, it.source_id)) == 1


async def test_paused_and_broken_sources_are_not_synced(database: Database) -> None:
    for column in ("is_active = false", "error_message = 'Connect it again.'", "one_off = true"):
        it = await make(database, [])
        await it.pool.execute(
            "INSERT INTO import_sync_configs (source_id, workspace_id, sync_frequency_minutes) VALUES ($1, $2, 60)",
            it.source_id, it.workspace_id,
        )  # fmt: skip
        await it.pool.execute(f"UPDATE import_sources SET {column} WHERE source_id = $1", it.source_id)
        await it.schedule().syncs()
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM import_jobs") == 0


async def test_calls_that_only_the_poll_found_are_counted(database: Database) -> None:
    it = await make(database, told(3))
    await it.pool.execute(
        "INSERT INTO webhook_endpoints (endpoint_id, workspace_id, platform, encrypted_secret, source_id, created_at)"
        " VALUES ($1, $2, 'tiny', '', $3, $4)",
        clock.new_id(), it.workspace_id, it.source_id, START + timedelta(minutes=90),
    )  # fmt: skip
    await it.job("sync")
    await it.drain()
    found = await it.pool.fetchval("SELECT found_by_poll FROM import_sources WHERE source_id = $1", it.source_id)
    assert found == 1, "the others began before the webhook was there"


async def test_the_credential_of_a_one_off_import_goes_when_nothing_of_it_is_left_to_do(database: Database) -> None:
    it = await make(database, told(3))
    it.source.calls[0].ready_after = 2
    await it.pool.execute("UPDATE import_sources SET one_off = true")
    await it.pool.execute(
        "INSERT INTO import_credentials (credential_id, workspace_id, source_id, credential_type, encrypted_credential)"
        " VALUES ($1, $2, $3, 'api_key', '')", clock.new_id(), it.workspace_id, it.source_id,
    )  # fmt: skip

    async def kept() -> int:
        await it.schedule().books()
        return int(await it.pool.fetchval("SELECT count(*) FROM import_credentials"))

    assert await kept() == 1, "no job yet"
    await it.job()
    assert await kept() == 1
    await it.drain()
    assert await kept() == 1, "a call still waits"
    await it.settle()
    assert await kept() == 0


async def test_a_refused_credential_of_a_one_off_import_goes_too_and_nothing_waits_for_it(database: Database) -> None:
    it = await make(database, told(2))
    it.source.calls[0].ready_after = 99
    job = await it.job()
    await it.puller().run(it.bus.commands[0])
    await it.pool.execute("UPDATE import_sources SET one_off = true")
    await it.pool.execute(
        "INSERT INTO import_credentials (credential_id, workspace_id, source_id, credential_type, encrypted_credential)"
        " VALUES ($1, $2, $3, 'api_key', '')", clock.new_id(), it.workspace_id, it.source_id,
    )  # fmt: skip
    it.credential_fault = ConfigFault("credential_refused", "Tiny no longer accepts this credential. Connect it again.")
    it.bus.commands.clear()
    await it.settle()
    await it.schedule().books()
    assert await it.pool.fetchval("SELECT count(*) FROM import_credentials") == 0
    assert await it.calls(job, "failed") == {"c00000": "Tiny no longer accepts this credential. Connect it again."}


async def test_calls_that_wait_for_a_source_that_is_disconnected_have_failed(database: Database) -> None:
    it = await make(database, told(2))
    it.source.calls[0].ready_after = 99
    job = await it.job()
    await it.puller().run(it.bus.commands[0])
    async with it.pool.acquire() as connection:
        assert await sources.delete(connection, it.workspace_id, it.source_id)
    assert set(await it.calls(job, "failed")) == {"c00000"}


async def test_a_job_whose_source_was_disconnected_fails_with_a_sentence(database: Database) -> None:
    it = await make(database, told(3))
    job = await it.job()
    await it.pool.execute("DELETE FROM import_sources WHERE source_id = $1", it.source_id)
    await it.drain()
    await it.schedule().books()
    row = await it.row(job)
    assert row["failed_at"]
    assert "Connect it again" in row["last_error"]
    assert not it.bus.calls


async def test_when_kafka_is_away_the_schedule_sends_the_command_later(database: Database) -> None:
    it = await make(database, told(7))
    it.bus.away = True
    job = await it.job()
    it.bus.away = False
    await it.settle()
    assert set(it.bus.ids()) == it.source.ids()
    assert (await it.row(job))["phase"] == "done"


async def test_gaps_of_the_coverage_are_shown(database: Database) -> None:
    it = await make(database, [])
    for day in (0, 5):
        await it.job("backfill", since=START + timedelta(days=day), days=2)
        await it.drain()
    week = START + timedelta(days=7)
    assert await pulls.gaps(it.pool, it.source_id, START, week) == [
        (START + timedelta(days=2), START + timedelta(days=5))
    ]  # fmt: skip


async def test_an_id_that_nobody_can_keep_is_shown_as_failed(database: Database) -> None:
    it = await make(database, [*told(2), Told("a\x00b", START), Told("\ud800", START), Told("", START)])
    job = await it.job()
    await it.drain()
    assert sorted(it.bus.ids()) == ["c00000", "c00001"]
    assert set(await it.calls(job, "failed")) == {"ab", "?", "(empty)"}


async def test_waiting_calls_survive_a_death_at_any_step(database: Database) -> None:
    for after in (False, True):
        at, died = 0, True
        while died:
            at, died = at + 1, False
            it = await make(database, told(3, ready_after=1))
            job = await it.job("sync")
            command = it.bus.commands[0]
            await it.puller().run(command)
            it.bus.commands.clear()
            await it.schedule().waiting()
            try:
                await it.drain(it.puller(Deaths(at, after)))
            except Killed:
                died = True
            await it.settle()
            assert set(it.bus.ids()) == it.source.ids(), f"died at step {at}"
            assert set((await it.calls(job)).values()) == {"pending"}
        assert at > 5


def wav(seconds: float = 1.0) -> bytes:
    """A short recording."""
    return make_wav(seconds, 440)


async def spoken(database: Database, answers: dict[str, tuple[int, bytes]], **more: Any) -> Rig:
    """A source with one recording under each of these paths of a host."""
    at = "https://files.tiny.example"
    calls = [Told(name, START, recording=Recording(f"{at}/{name}", f"{name}.wav"), **more) for name in answers]
    return await make(database, calls)


async def test_a_recording_is_kept_when_there_is_no_transcript_or_the_source_wants_it(database: Database) -> None:
    async with http_server(lambda path, headers: (200, {}, wav())) as (origin, seen):
        it = await spoken(database, {"one": (200, wav())}, has_transcript=False)
        it.settings = Settings(vendor_origin=origin)
        await it.job()
        await it.drain()
        [(_, call)] = it.bus.calls
        assert call.media is not None
        assert call.media.ref is not None
        assert call.media.ref.startswith(f"pulled/{it.workspace_id}/")
        assert call.media.content_type == "audio/wav"
        assert bytes(await get_bytes(it.store, call.media.ref)) == wav()
        again = await spoken(database, {"two": (200, wav())}, has_transcript=True)
        again.settings = it.settings
        await again.job()
        await again.drain()
        assert again.bus.calls[0][1].media is None, "it has a transcript, and nobody wants the recording"
        assert [path for path, _ in seen] == ["/files.tiny.example/one"]
        wanted = await spoken(database, {"three": (200, wav())}, has_transcript=True)
        wanted.settings = it.settings
        await wanted.pool.execute("UPDATE import_sources SET keep_recordings = true")
        await wanted.job()
        await wanted.drain()
        assert wanted.bus.calls[0][1].media is not None


async def test_a_recording_that_cannot_be_fetched_costs_no_call(database: Database) -> None:
    answers = {"/files.tiny.example/gone": (403, b""), "/files.tiny.example/page": (200, b"<html>Sign in</html>")}
    async with http_server(lambda path, headers: (answers[path][0], {}, answers[path][1])) as (origin, _):
        it = await spoken(database, {"gone": (0, b""), "page": (0, b"")}, has_transcript=True)
        it.settings = Settings(vendor_origin=origin)
        await it.pool.execute("UPDATE import_sources SET keep_recordings = true")
        await it.job()
        await it.drain()
        assert sorted(it.bus.ids()) == ["gone", "page"]
        assert [call.media for _, call in it.bus.calls] == [None, None]
        mute = await spoken(database, {"gone": (0, b"")}, has_transcript=False)
        mute.settings = it.settings
        job = await mute.job()
        await mute.drain()
        assert "no longer at https://files.tiny.example/gone" in (await mute.calls(job, "waiting"))["gone"]
        await mute.settle()
        assert mute.bus.ids() == ["gone"], "after the last try it goes on as it is, and fails where people see it"


async def test_a_credential_is_never_sent_on_to_another_host(database: Database) -> None:
    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if path == "/files.tiny.example/one":
            return 302, {"location": "https://elsewhere.example/one"}, b""
        return 200, {}, wav()

    async with http_server(answer) as (origin, seen):
        it = await spoken(database, {"one": (0, b"")}, has_transcript=False)
        call = it.source.calls[0]
        assert call.recording is not None
        call.recording = replace(call.recording, authorised=True)
        it.settings = Settings(vendor_origin=origin)
        await it.pool.execute(
            "INSERT INTO import_credentials (credential_id, workspace_id, source_id, credential_type,"
            " encrypted_credential) VALUES ($1, $2, $3, 'api_key', '')",
            clock.new_id(), it.workspace_id, it.source_id,
        )  # fmt: skip
        await it.job()
        await it.drain()
        assert it.bus.calls[0][1].media is not None
        assert [(path, headers.get("authorization")) for path, headers in seen] == [
            ("/files.tiny.example/one", "secret"), ("/elsewhere.example/one", None),
        ]  # fmt: skip


@asynccontextmanager
async def http_server(
    answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]],
) -> AsyncIterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A server on this machine, and what it was asked."""
    seen: list[tuple[str, dict[str, str]]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
        path = head[0].split(" ")[1]
        seen.append((path, headers))
        status, more, body = answer(path, headers)
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *(f"{n}: {v}" for n, v in more.items())]
        writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        await server.wait_closed()
