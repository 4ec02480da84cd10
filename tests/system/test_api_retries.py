"""Retries of many failed imports: they go on whatever dies, say how far they are, and are found by words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api import bulk_retries
from streams.io import clock
from tests.conftest import Broker, Database
from tests.stack import Stack, start_stack, until
from tests.system.api_harness import Api, running_api
from tests.system.test_api_hub import add_job

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def begin(api: Api, **body: Any) -> dict[str, Any]:
    """Begin a retry of many; how far it is at once."""
    answer = await api.client.post("/api/failed-imports/retry", json=body)
    assert answer.status_code == 202, answer.text
    return await look(api, answer.json()["bulk_retry_id"])


async def look(api: Api, bulk_retry_id: str) -> dict[str, Any]:
    """How far a retry of many is."""
    answer = await api.client.get(f"/api/failed-imports/retries/{bulk_retry_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until_sent(api: Api, bulk_retry_id: str, count: int) -> dict[str, Any]:
    """How far it is, once so many were sent."""

    async def probe() -> dict[str, Any] | None:
        found = await look(api, bulk_retry_id)
        return found if found["sent"] >= count else None

    return await until(probe, 30, f"{count} sent")


async def turn(api: Api, external_id: str, status: str, **fields: Any) -> None:
    """What became of a failed import that was retried."""
    await api.execute(
        "UPDATE failed_imports SET status = $2, last_seen_at = $3, resolved_at = $4 WHERE external_id = $1",
        external_id, status, fields.get("seen", clock.now() - timedelta(hours=1)),
        clock.now() if status == "resolved" else None,
    )  # fmt: skip


async def test_how_far_it_is_tells_what_came_through_and_what_failed_again(api: Api) -> None:
    for number in range(5):
        await api.add_failed(f"a-{number}", last_seen_at=clock.now() - timedelta(hours=1))
    begun = await begin(api, rate=500)
    assert begun["total"] == 5
    bulk = begun["id"]
    found = await until_sent(api, bulk, 5)
    assert (found["in_progress"], found["resolved"], found["finished_at"]) == (5, 0, None)
    await turn(api, "a-0", "resolved")
    await turn(api, "a-1", "open", seen=clock.now())
    await turn(api, "a-2", "discarded")
    found = await look(api, bulk)
    assert [found[name] for name in ("sent", "resolved", "failed_again", "discarded", "in_progress")] == [5, 1, 1, 1, 2]
    assert found["finished_at"] is None
    await turn(api, "a-1", "retrying", seen=clock.now())
    await turn(api, "a-3", "resolved")
    await turn(api, "a-4", "resolved")
    found = await until(lambda: _finished(api, bulk), 30, "the end")
    assert (found["failed_again"], found["resolved"], found["in_progress"]) == (1, 3, 0), "one that is tried once more"


async def _finished(api: Api, bulk: str) -> dict[str, Any] | None:
    found = await look(api, bulk)
    return found if found["finished_at"] else None


async def test_a_retry_of_nothing_is_over_at_once(api: Api) -> None:
    found = await begin(api, filter={"stage": "persist"})
    assert (found["total"], found["sent"], found["finished_at"] is not None) == (0, 0, True)
    nobody = "00000000-0000-0000-0000-000000000000"
    assert (await api.client.get(f"/api/failed-imports/retries/{nobody}")).status_code == 404


async def test_what_somebody_settled_meanwhile_is_not_sent(api: Api) -> None:
    for number in range(3):
        await api.add_failed(f"a-{number}")
    begun = await begin(api, rate=2)
    await turn(api, "a-2", "discarded")
    found = await until_sent(api, begun["id"], 3)
    assert (found["discarded"], found["in_progress"]) == (1, 2)
    assert await api.value("SELECT retried_at FROM failed_imports WHERE external_id = 'a-2'") is None


async def test_another_process_goes_on_with_what_nobody_holds(
    api: Api, tmp_path: Path, broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_retries, "LOOK_SECONDS", 0.05)
    for number in range(4):
        await api.add_failed(f"a-{number}")
    begun = await begin(api, rate=0.01)
    await api.execute("UPDATE bulk_retries SET leased_until = now() - interval '1 second', rate = 200")
    async with running_api(tmp_path / "other", broker.bootstrap, database):
        found = await until_sent(api, begun["id"], 4)
    assert found["in_progress"] == 4
    holders = await api.value("SELECT leased_by <> bulk_retry_id FROM bulk_retries")
    assert holders is True


async def test_a_process_that_stops_leaves_the_rest_to_others_at_once(
    tmp_path: Path, broker: Broker, database: Database, api: Api
) -> None:
    async with running_api(tmp_path / "other", broker.bootstrap, database) as other:
        for number in range(3):
            await other.add_failed(f"a-{number}")
        await begin(other, rate=0.01)
        await until(lambda: _is_held(api), 10, "the lease")
    assert await api.value("SELECT leased_until IS NULL AND finished_at IS NULL FROM bulk_retries") is True


async def _is_held(api: Api) -> bool:
    return bool(await api.value("SELECT leased_until IS NOT NULL FROM bulk_retries"))


async def test_a_broker_that_is_away_is_said_and_nothing_begun(tmp_path: Path, database: Database) -> None:
    async with running_api(tmp_path, "127.0.0.1:1", database) as api:
        await api.add_failed("a")
        answer = await api.client.post("/api/failed-imports/retry", json={})
        assert (answer.status_code, answer.json()["reason"]) == (503, "broker_away")
        assert await api.value("SELECT count(*) FROM bulk_retries") == 0
        assert await api.value("SELECT status FROM failed_imports") == "open"


async def test_a_retry_of_many_is_seen_in_its_own_workspace_only(api: Api, database: Database) -> None:
    await api.add_failed("a")
    begun = await begin(api)
    workspace_id, pool = clock.new_id(), database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'w')", workspace_id)
    await pool.execute("UPDATE bulk_retry_calls SET workspace_id = $1", workspace_id)
    await pool.execute("UPDATE bulk_retries SET workspace_id = $1", workspace_id)
    assert (await api.client.get(f"/api/failed-imports/retries/{begun['id']}")).status_code == 404


async def test_failed_imports_are_found_by_words(api: Api) -> None:
    await api.add_failed("zoom-77", message="The title is missing.")
    await api.add_failed("b", message="The recording has 100% silence.")
    await api.add_failed("c", message="A title_page is odd\\strange.")
    for words, names in (
        ("title", {"zoom-77", "c"}), ("TITLE missing", {"zoom-77"}), ("missing zoom", {"zoom-77"}), ("77", {"zoom-77"}),
        ("100%", {"b"}), ("%", {"b"}), ("title_", {"c"}), ("odd\\s", {"c"}), ("title silence", set()),
        (" ", {"zoom-77", "b", "c"}),
    ):  # fmt: skip
        items = (await api.client.get("/api/failed-imports", params={"q": words})).json()["items"]
        assert {item["external_id"] for item in items} == names, words
        dry = await api.client.post("/api/failed-imports/retry", json={"filter": {"q": words}, "dry_run": True})
        assert dry.json()["retry_count"] == len(names), words
        assert dry.json()["bulk_retry_id"] is None
    groups = (await api.client.get("/api/failed-imports", params={"q": "silence", "group": "true"})).json()["items"]
    assert [group["count"] for group in groups] == [1]
    assert (await begin(api, filter={"q": "100%"}))["total"] == 1


async def test_imports_are_found_by_state_account_kind_and_platform(api: Api) -> None:
    done, running, partial = (
        await add_job(api, "imported"), await add_job(api, "pending"), await add_job(api, "imported", "failed")
    )  # fmt: skip
    account = clock.new_id()
    await api.execute(
        "INSERT INTO import_sources (source_id, workspace_id, user_id, source_app, account_email)"
        " VALUES ($1, $2, $3, 'gong', 'a')",
        account, api.workspace_id, api.user_id,
    )  # fmt: skip
    await api.execute(
        "UPDATE import_jobs SET source_id = $2, source_app = 'gong', job_type = 'sync' WHERE job_id = $1", done, account
    )
    for query, wanted in (
        ("status=completed", [done]), ("status=partial&status=completed", [partial, done]), ("status=failed", []),
        (f"source_id={account}", [done]), ("job_type=sync", [done]), ("platform=gong", [done]),
        ("job_type=upload", [partial, running]), ("job_type=upload&status=pending", [running]),
        ("platform=zoom", []), ("job_type=sync&job_type=upload", [partial, running, done]),
    ):  # fmt: skip
        answer = (await api.client.get(f"/api/imports?{query}")).json()
        assert [item["id"] for item in answer["items"]] == [str(each) for each in wanted], query
    assert (await api.client.get("/api/imports?status=odd")).status_code == 422


async def test_a_long_list_by_state_is_paged_without_gaps(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.jobs.MAX_LIMIT", 4)
    monkeypatch.setattr("api.jobs.MAX_LOOKED_AT", 8)
    wanted: list[str] = []
    for number in range(30):
        job_id = await add_job(api, "pending" if number % 7 else "imported")
        if not number % 7:
            wanted.insert(0, str(job_id))
    found: list[str] = []
    cursor = ""
    while True:
        page = (await api.client.get(f"/api/imports?status=completed&limit=2{cursor}")).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == wanted


# kill -9 ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def lone_api(broker: Broker, tmp_path: Path) -> AsyncIterator[Stack]:
    """The API as a process of its own, and no workers."""
    running = await asyncio.to_thread(lambda: start_stack(tmp_path, broker.bootstrap, roles={"api": 1}))
    try:
        yield running
    finally:
        await running.close_pools()
        await asyncio.to_thread(running.stop)


@pytest.mark.system
async def test_a_retry_of_many_goes_on_after_the_api_was_killed(lone_api: Stack) -> None:
    stack, pool = lone_api, await lone_api.pool()
    for number in range(60):
        await pool.execute(
            "INSERT INTO failed_imports (failed_import_id, workspace_id, identity, event_id, source_app, external_id,"
            " stage, kind, reason, message, attempts, retryable, status, fingerprint, origin_topic, origin_partition,"
            " origin_offset, original_key, original_value, first_seen_at, last_seen_at)"
            " VALUES ($1, $2, $1::uuid::text, gen_random_uuid(), 'generic', $3, 'normalize', 'rejected', 'r', 'm', 1,"
            " false, 'open', 'f', 'calls.raw.v1', 0, 0, 'k', '{}', now(), now())",
            clock.new_id(), stack.workspace_id, f"killed-{number}",
        )  # fmt: skip
    async with stack.client() as client:
        answer = await client.post("/api/failed-imports/retry", json={"rate": 10})
        assert answer.status_code == 202, answer.text
        bulk = UUID(answer.json()["bulk_retry_id"])
        await until(lambda: _sent(stack), 30, "the first few")
        stack.kill("api")
        at_the_end = await _sent(stack)
        assert at_the_end < 60
        await pool.execute("UPDATE bulk_retries SET leased_until = now(), rate = 200")  # the lease has run out
        await until(lambda: _is_over(stack, bulk), 60, "the rest")
        found = (await until(lambda: _shown(client, bulk), 30, "an API that answers")).json()
    assert (found["total"], found["sent"], found["in_progress"]) == (60, 60, 60)
    assert await stack.value("SELECT count(*) FROM failed_imports WHERE status = 'retrying'") == 60


async def _sent(stack: Stack) -> int:
    return int(await stack.value("SELECT count(*) FROM failed_imports WHERE status = 'retrying'"))


async def _is_over(stack: Stack, bulk: UUID) -> bool:
    return bool(await stack.value("SELECT finished_at IS NOT NULL FROM bulk_retries WHERE bulk_retry_id = $1", bulk))


async def _shown(client: Any, bulk: UUID) -> Any:
    try:
        return await client.get(f"/api/failed-imports/retries/{bulk}")
    except Exception:
        return None
