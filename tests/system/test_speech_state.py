"""Where transcriptions stand and what they cost, on real PostgreSQL and over the API: seen by their workspace alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.calls import Call
from schemas.settings import Settings
from schemas.topics import UNIQUE
from streams.agents.waiting import waiting_stage
from streams.io import clock, media, speech_state
from streams.io.bus import headers_of
from streams.ports import Ports
from streams.runner import Taken
from tests.conftest import Broker, Database
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]
MARCH = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


def spoken(workspace_id: UUID, external_id: str = "talk", **fields: Any) -> Call:
    """A call that needs speech to text."""
    now = clock.now()
    given = {"event_id": clock.new_id(), "title": "Talk", "fingerprint": "f", "media": {"ref": "media/talk.wav"}}
    return Call.model_validate(
        {
            "workspace_id": workspace_id, "source_app": "upload", "external_id": external_id, "observed_at": now,
            "received_at": now, **given, **fields,
        }
    )  # fmt: skip


async def noted(database: Database, external_id: str = "talk") -> tuple[Any, ...] | None:
    """What is noted about a call."""
    row = await database.pipeline_pool.fetchrow(
        "SELECT event_id, state, chunks_done, chunks_total FROM transcriptions WHERE external_id = $1", external_id
    )
    return tuple(row) if row else None


# What is noted -----------------------------------------------------------------------------------------------------


async def test_a_call_waits_runs_and_is_done(database: Database) -> None:
    call, pool = spoken(database.workspace_id), database.pipeline_pool
    assert await speech_state.waiting(pool, [call]) == [None]
    assert await noted(database) == (call.event_id, "waiting", 0, None)
    await speech_state.running(pool, call, 0, None)
    assert await noted(database) == (call.event_id, "running", 0, None)
    await speech_state.running(pool, call, 3, 12)
    assert await noted(database) == (call.event_id, "running", 3, 12)
    await speech_state.done(pool, call)
    assert await noted(database) == (call.event_id, "done", 12, 12)


async def test_an_event_that_comes_again_does_not_wait_again(database: Database) -> None:
    call, pool = spoken(database.workspace_id), database.pipeline_pool
    await speech_state.running(pool, call, 1, 2)
    await speech_state.waiting(pool, [call])
    assert await noted(database) == (call.event_id, "running", 1, 2)
    await speech_state.done(pool, call)
    await speech_state.waiting(pool, [call])
    assert await noted(database) == (call.event_id, "done", 2, 2)


async def test_a_newer_event_of_a_call_waits_and_an_older_one_that_is_noted_late_changes_nothing(
    database: Database,
) -> None:
    old, new, pool = spoken(database.workspace_id), spoken(database.workspace_id), database.pipeline_pool
    await speech_state.done(pool, old)
    await speech_state.waiting(pool, [new, old])
    assert await noted(database) == (new.event_id, "waiting", 0, None)
    await speech_state.done(pool, new)
    await speech_state.waiting(pool, [old])
    assert await noted(database) == (new.event_id, "done", 0, None)


async def test_calls_of_a_workspace_that_is_gone_do_no_harm_to_the_rest(database: Database) -> None:
    lost, here = spoken(uuid4(), "lost"), spoken(database.workspace_id, "here")
    await speech_state.waiting(database.pipeline_pool, [lost, here])
    await speech_state.running(database.pipeline_pool, lost, 0, 1)
    await speech_state.done(database.pipeline_pool, lost)
    assert await noted(database, "lost") is None
    assert await noted(database, "here") == (here.event_id, "waiting", 0, None)


async def test_the_stage_notes_what_it_can_read_and_leaves_the_rest_to_transcribe(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=database.app_url)
    ports = Ports(settings, media.open_media(settings))
    stage = waiting_stage(UNIQUE, ports, settings)
    assert stage.raw is not None
    read, unread = spoken(database.workspace_id, "read"), spoken(database.workspace_id, "unread")
    told = spoken(database.workspace_id, "told", full_transcript="Good morning.")
    try:
        for call in (read, unread, told):
            value = call.model_dump_json().encode() if call is not unread else b"{"
            headers = headers_of(UNIQUE, call, "test", [])
            await stage.raw(Taken(UNIQUE, 0, 0, call.key, value, headers))
    finally:
        await ports.close()
    assert await noted(database, "read") == (read.event_id, "waiting", 0, None)
    assert await noted(database, "unread") is None
    assert await noted(database, "told") is None


# What is shown -----------------------------------------------------------------------------------------------------


async def add_job(api: Api, call: Call, status: str = "pending") -> UUID:
    """A job with one call."""
    job_id = clock.new_id()
    await api.execute(
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app, total_calls)"
        " VALUES ($1, $2, 'upload', 'upload', 1)",
        job_id, api.workspace_id,
    )  # fmt: skip
    await api.execute(
        "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, status, event_id)"
        " VALUES ($1, $2, 'upload', $3, $4, $5)",
        api.workspace_id, job_id, call.external_id, status, call.event_id,
    )  # fmt: skip
    return job_id


async def shown(api: Api, job_id: UUID) -> tuple[str | None, str | None, tuple[int, int | None] | None]:
    """The sentence, the state and the parts that the API tells of a job's only call."""
    answer = await api.client.get(f"/api/imports/{job_id}/calls")
    assert answer.status_code == 200, answer.text
    [call] = answer.json()["items"]
    told = call["transcription"]
    if told is None:
        return call["detail"], None, None
    return call["detail"], told["state"], (told["chunks_done"], told["chunks_total"])


async def test_a_call_says_that_it_waits_and_how_far_it_is(api: Api, database: Database) -> None:
    call, pool = spoken(api.workspace_id), database.pipeline_pool
    job_id = await add_job(api, call)
    assert await shown(api, job_id) == (None, None, None)
    await speech_state.waiting(pool, [call])
    assert await shown(api, job_id) == ("Waiting to be transcribed.", "waiting", (0, None))
    await speech_state.running(pool, call, 3, 12)
    assert await shown(api, job_id) == ("Being transcribed: 3 of 12 parts.", "running", (3, 12))
    await speech_state.done(pool, call)
    assert await shown(api, job_id) == (None, "done", (12, 12))


async def test_a_call_that_failed_is_not_shown_as_running_and_one_that_is_retried_waits_again(
    api: Api, database: Database
) -> None:
    call = spoken(api.workspace_id)
    job_id = await add_job(api, call)
    await speech_state.running(database.pipeline_pool, call, 3, 12)
    failed = await api.add_failed(
        call.external_id, source_app="upload", event_id=call.event_id, identity=str(call.event_id),
        message="The service has a problem.",
    )  # fmt: skip
    assert await shown(api, job_id) == (None, None, None)
    await api.execute("UPDATE job_calls SET status = 'failed', reason = 'It failed.'")
    assert await shown(api, job_id) == ("The service has a problem.", None, None)

    await api.execute("UPDATE job_calls SET status = 'pending', reason = NULL")
    await api.execute(
        "UPDATE failed_imports SET status = 'retrying', retried_at = now() WHERE failed_import_id = $1", failed
    )
    assert await shown(api, job_id) == ("Waiting to be transcribed.", "waiting", (3, 12))
    await speech_state.running(database.pipeline_pool, call, 4, 12)
    assert await shown(api, job_id) == ("Being transcribed: 4 of 12 parts.", "running", (4, 12))


async def test_a_stored_call_is_through_with_it_whatever_was_noted_last(api: Api, database: Database) -> None:
    call, other = spoken(api.workspace_id), spoken(api.workspace_id, "other")
    job_id, without = await add_job(api, call, "imported"), await add_job(api, other, "imported")
    await speech_state.running(database.pipeline_pool, call, 1, 1)
    assert await shown(api, job_id) == (None, "done", (1, 1))
    assert await shown(api, without) == (None, None, None)


async def test_another_event_of_the_same_call_is_not_mistaken_for_it(api: Api, database: Database) -> None:
    mine, theirs = spoken(api.workspace_id), spoken(api.workspace_id)
    job_id = await add_job(api, mine)
    await speech_state.running(database.pipeline_pool, theirs, 1, 2)
    assert await shown(api, job_id) == (None, None, None)


# What was used -----------------------------------------------------------------------------------------------------


async def pay(
    database: Database, seconds: float, cost_micros: int | None, *, model: str = "whisper-1", at: datetime = MARCH,
    workspace_id: UUID | None = None,
) -> None:  # fmt: skip
    """One answer that was paid for."""
    await database.pipeline_pool.execute(
        "INSERT INTO transcript_chunks (workspace_id, audio_sha256, model, start_ms, end_ms, result, seconds,"
        " cost_micros, created_at) VALUES ($1, $2, $3, 0, 0, '{}', $4, $5, $6)",
        workspace_id or database.workspace_id, uuid4().hex, model, seconds, cost_micros, at,
    )  # fmt: skip


async def usage(api: Api, query: str = "?from=2026-03-01&to=2026-04-01") -> dict[str, Any]:
    """The report, without the quota, which is about the present month whatever is asked for."""
    answer = await api.client.get(f"/api/usage{query}")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    assert report.pop("quota")["plan"] is None
    return report


async def test_what_was_paid_for_is_counted_by_model_and_by_day(api: Api, database: Database) -> None:
    await pay(database, 90.5, 9_050)
    await pay(database, 30, 3_000, at=MARCH.replace(day=31, hour=23))
    await pay(database, 60, 6_000, model="gpt-4o-transcribe")
    await pay(database, 1000, 100_000, at=MARCH.replace(month=4, day=1, hour=0))
    await pay(database, 1000, 100_000, at=MARCH.replace(month=2, day=28))
    assert await usage(api) == {
        "from": "2026-03-01T00:00:00Z",
        "to": "2026-04-01T00:00:00Z",
        "transcribed_seconds": 180.5,
        "requests": 3,
        "estimated_cost_usd": 0.01805,
        "unpriced_seconds": 0.0,
        "by_model": [
            {"model": "gpt-4o-transcribe", "seconds": 60.0, "requests": 1, "estimated_cost_usd": 0.006,
             "unpriced_seconds": 0.0},
            {"model": "whisper-1", "seconds": 120.5, "requests": 2, "estimated_cost_usd": 0.01205,
             "unpriced_seconds": 0.0},
        ],
        "by_day": [
            {"day": "2026-03-05", "seconds": 150.5, "requests": 2, "estimated_cost_usd": 0.01505,
             "unpriced_seconds": 0.0},
            {"day": "2026-03-31", "seconds": 30.0, "requests": 1, "estimated_cost_usd": 0.003,
             "unpriced_seconds": 0.0},
        ],
        "imports": 0,
    }  # fmt: skip


async def test_a_cost_is_not_told_where_a_price_is_not_known(api: Api, database: Database) -> None:
    await pay(database, 60, 6_000)
    await pay(database, 45, None, model="local-model")
    report = await usage(api)
    assert (report["estimated_cost_usd"], report["unpriced_seconds"]) == (None, 45.0)
    assert {each["model"]: each["estimated_cost_usd"] for each in report["by_model"]} == {
        "local-model": None,
        "whisper-1": 0.006,
    }


async def test_the_report_is_about_this_month_and_nothing_costs_nothing(api: Api, database: Database) -> None:
    await pay(database, 60, 6_000, at=clock.now())
    report = await usage(api, "")
    assert (report["transcribed_seconds"], report["estimated_cost_usd"]) == (60.0, 0.006)
    assert report["from"].endswith("-01T00:00:00Z")
    assert report["to"].endswith("-01T00:00:00Z")
    empty = await usage(api, "?to=2020-05-05")
    assert (empty["from"], empty["transcribed_seconds"], empty["requests"]) == ("2020-05-01T00:00:00Z", 0.0, 0)
    assert (empty["estimated_cost_usd"], empty["by_model"], empty["by_day"]) == (0.0, [], [])


async def test_calls_that_came_in_are_counted_with_and_without_a_recording(api: Api) -> None:
    for number, at in enumerate((MARCH, MARCH, MARCH.replace(month=2))):
        await api.execute(
            "INSERT INTO recordings (recording_id, workspace_id, source_app, external_id, title, metadata_quality,"
            " event_id, fingerprint, observed_at, received_at, imported_at)"
            " VALUES ($1, $2, 'generic', $3, 'T', 'full', $4, 'f', $5, $5, $5)",
            clock.new_id(), api.workspace_id, f"call-{number}", clock.new_id(), at,
        )  # fmt: skip
    assert (await usage(api))["imports"] == 2


@pytest.mark.parametrize("query", ["?from=2026-03-02&to=2026-03-02", "?to=0001-01-01", "?from=soon", "?to=9999-99-99"])
async def test_a_time_that_cannot_be_is_refused_with_a_sentence(api: Api, query: str) -> None:
    answer = await api.client.get(f"/api/usage{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] in {"from", "to"}
    assert (await api.anonymous.get("/api/usage")).status_code == 401


async def test_a_workspace_sees_its_own_use_and_its_own_calls_alone(api: Api, database: Database) -> None:
    other = uuid4()
    await database.pipeline_pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", other)
    await pay(database, 60, 6_000)
    await pay(database, 999, 99_900, workspace_id=other)
    report = await usage(api)
    assert (report["transcribed_seconds"], report["requests"]) == (60.0, 1)
    await speech_state.running(database.pipeline_pool, spoken(other, "theirs"), 1, 2)
    assert await noted(database, "theirs") is not None
    assert await api.value("SELECT count(*) FROM transcriptions") == 0
    assert await api.value("SELECT sum(seconds) FROM transcript_chunks") == 60
