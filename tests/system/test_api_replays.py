"""Replays over HTTP and from the command line, on real Kafka and PostgreSQL."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.topics import BACKFILL, NORMALIZED, RAW
from streams.io import clock
from tests.conftest import Broker, Database
from tests.stack import Stack
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]
PATH = "/api/replays"


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own. No worker runs: a replay stays as the test makes it."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def start(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.client.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    started: dict[str, Any] = answer.json()
    return started


async def put(api: Api, replay_id: str, *states: str, **fields: Any) -> dict[str, Any]:
    """Bring a replay into a state, with calls in these; what the API says of it then."""
    for name, value in fields.items():
        await api.execute(f"UPDATE replays SET {name} = $2 WHERE replay_id = $1", UUID(replay_id), value)
    if fields.get("state") in ("done", "failed"):
        sql = "UPDATE import_jobs SET open_ended = false, last_error = $2 WHERE job_id = $1"
        await api.execute(sql, UUID(replay_id), "It is odd." if fields["state"] == "failed" else None)
    for number, state in enumerate(states):
        await api.execute(
            "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, status, event_id)"
            " VALUES ($1, $2, 'generic', $3, $4, gen_random_uuid())",
            api.workspace_id, UUID(replay_id), f"call-{number}", state,
        )  # fmt: skip
    found: dict[str, Any] = (await api.client.get(f"{PATH}/{replay_id}")).json()
    return found


async def audited(api: Api) -> list[tuple[str, str]]:
    rows = await api.fetch("SELECT action, target FROM audit_log WHERE action LIKE 'replay.%' ORDER BY at")
    return [tuple(row) for row in rows]


async def test_a_replay_is_queued_and_told_in_full(api: Api) -> None:
    selection = {
        "from": "2026-01-01", "to": "2026-02-01T00:00:00Z", "source_app": "generic", "external_id": "c-1",
        "topic": RAW.name,
    }  # fmt: skip
    made = await start(api, **selection, rate=50)
    assert made == {
        "id": made["id"], "status": "pending", "dry_run": False, "rate": 50.0,
        "selection": selection | {"from": "2026-01-01T00:00:00Z"}, "total_events": None, "read_events": 0,
        "matched_events": 0, "published_events": 0, "progress": 0.0, "estimated_completion_at": None, "total_calls": 0,
        "processed_calls": 0, "imported_calls": 0, "updated_calls": 0, "skipped_calls": 0, "failed_calls": 0,
        "waiting_calls": 0, "changed_calls": 0, "report": None, "last_error": None, "created_at": made["created_at"],
        "started_at": made["started_at"], "completed_at": None,
    }  # fmt: skip
    assert (await api.client.get(f"{PATH}/{made['id']}")).json() == made
    assert await audited(api) == [("replay.started", made["id"])]
    [job] = (await api.client.get("/api/imports")).json()["items"]
    assert (job["id"], job["status"]) == (made["id"], "pending")
    assert (job["job_type"], job["source_app"]) == ("replay", "generic")


async def test_nothing_given_means_everything(api: Api) -> None:
    assert (await start(api))["selection"] == {}
    [job] = (await api.client.get("/api/imports")).json()["items"]
    assert (job["job_type"], job["source_app"]) == ("replay", "all")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2026-01-02", "to": "2026-01-01"}, "from"),
        ({"from": "2026-01-02", "to": "2026-01-02"}, "from"),
        ({"source_app": "nobody"}, "source_app"),
        ({"source_app": "a\x00b"}, "source_app"),
        ({"topic": NORMALIZED.name}, "topic"),
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"from": "yesterday"}, "from"),
        ({"external_id": ""}, "external_id"),
        ({"source": "generic"}, "source"),
    ],
)
async def test_what_cannot_be_meant_is_refused_in_a_sentence(api: Api, body: dict[str, Any], field: str) -> None:
    answer = await api.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert len(answer.json()["detail"].split()) > 2
    assert (await api.client.get(PATH)).json()["items"] == []


async def test_the_same_request_sent_twice_is_one_replay(api: Api) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = await api.client.post(PATH, json={"source_app": "generic"}, headers=headers)
    again = await api.client.post(PATH, json={"source_app": "generic"}, headers=headers)
    other = await api.client.post(PATH, json={"source_app": "fathom"}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    assert first.json() == again.json()
    assert len((await api.client.get(PATH)).json()["items"]) == 1


async def test_members_may_not_replay_and_support_may(api: Api, database: Database) -> None:
    made = await start(api)

    async def become(role: str) -> None:
        await database.pipeline_pool.execute(
            "UPDATE memberships SET role = $2 WHERE user_id = $1", database.user_id, role
        )

    await become("member")
    one = f"{PATH}/{made['id']}"
    for method, path in [("POST", PATH), ("GET", PATH), ("GET", one), ("DELETE", one)]:
        answer = await api.client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["reason"]) == (403, "not_allowed"), method + path
        assert "owner" in answer.json()["detail"]
    assert (await api.client.delete(f"/api/imports/{made['id']}")).status_code == 403
    await become("support")
    assert (await api.client.get(one)).json()["status"] == "pending"
    assert (await api.client.delete(one)).json()["status"] == "cancelled"
    assert (await api.anonymous.get(PATH)).status_code == 401


async def test_replays_are_listed_newest_first_without_gaps_or_repeats(api: Api) -> None:
    made = [(await start(api))["id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while True:
        page = (await api.client.get(f"{PATH}?limit=2{cursor}")).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == made[::-1]
    assert (await api.client.get(f"{PATH}?cursor=nonsense")).status_code == 422


@pytest.mark.parametrize(
    ("state", "calls", "status", "job_status"),
    [
        ("reading", [], "in_progress", "pending"),
        ("finishing", ["imported", "pending"], "in_progress", "in_progress"),
        ("done", [], "completed", "completed"),
        ("done", ["imported", "updated", "skipped"], "completed", "completed"),
        ("done", ["imported", "failed"], "partial", "partial"),
        ("done", ["failed", "failed"], "failed", "failed"),
        ("failed", ["imported"], "failed", "failed"),
    ],
)
async def test_a_replay_and_its_job_say_the_same(
    api: Api, state: str, calls: list[str], status: str, job_status: str
) -> None:
    made = await start(api)
    found = await put(api, made["id"], *calls, state=state, total_events=10, read_events=5, finished_at=clock.now())
    assert found["status"] == status
    assert found["changed_calls"] == len([call for call in calls if call in ("imported", "updated")])
    assert found["failed_calls"] == calls.count("failed")
    assert (found["completed_at"] is not None) == (state in ("done", "failed"))
    assert found["last_error"] == ("It is odd." if state == "failed" else None)
    job = (await api.client.get(f"/api/imports/{made['id']}")).json()
    assert (job["status"], job["last_error"]) == (job_status, found["last_error"])
    listed = (await api.client.get(f"/api/imports/{made['id']}/calls")).json()["items"]
    assert [call["status"] for call in listed] == calls


async def test_progress_counts_what_is_read_and_what_has_arrived(api: Api) -> None:
    made = await start(api)
    at = [(await put(api, made["id"], state="reading", total_events=10))["progress"]]
    at.append((await put(api, made["id"], "imported", "pending", read_events=5))["progress"])
    at.append((await put(api, made["id"], read_events=10, state="finishing"))["progress"])
    half = (await api.client.get(f"{PATH}/{made['id']}")).json()
    assert half["estimated_completion_at"] > half["started_at"]
    await api.execute("UPDATE job_calls SET status = 'skipped' WHERE status = 'pending'")
    at.append((await put(api, made["id"], state="done"))["progress"])
    assert at == sorted(at)
    assert (at[0], at[-1]) == (0.0, 1.0)


async def test_a_dry_run_reports_what_would_change(api: Api) -> None:
    made = await start(api, dry_run=True)
    change = {"source_app": "generic", "external_id": "c", "before": {"title": "a"}, "after": {"title": "b"}}
    report = {
        "would_import": 1, "would_change": 2, "unchanged": 3, "older": 4, "would_fail": 5, "sample": [change],
        "failures": [{"source_app": "generic", "external_id": "d", "reason": "r", "message": "m"}],
    }  # fmt: skip
    found = await put(api, made["id"], state="done", report=report, total_events=15, read_events=15)
    assert (found["status"], found["dry_run"], found["report"]) == ("completed", True, report)


@pytest.mark.parametrize("path", [PATH, "/api/imports"])
async def test_cancelling_stops_a_replay_whichever_way(api: Api, path: str) -> None:
    made = await start(api)
    answer = await api.client.delete(f"{path}/{made['id']}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await api.client.delete(f"{path}/{made['id']}")).status_code == 200
    found = (await api.client.get(f"{PATH}/{made['id']}")).json()
    assert (found["status"], found["completed_at"] is not None) == ("cancelled", True)
    assert (await api.client.get(f"/api/imports/{made['id']}")).json()["status"] == "cancelled"
    assert await audited(api) == [("replay.started", made["id"]), ("replay.cancelled", made["id"])]


@pytest.mark.parametrize("path", [PATH, "/api/imports"])
async def test_what_is_over_cannot_be_cancelled(api: Api, path: str) -> None:
    made = await start(api)
    await put(api, made["id"], "imported", state="done")
    answer = await api.client.delete(f"{path}/{made['id']}")
    assert (answer.status_code, answer.json()["reason"]) == (409, "already_over")
    assert (await api.client.get(f"{PATH}/{made['id']}")).json()["status"] == "completed"
    assert (await api.client.delete(f"{path}/{uuid4()}")).status_code == 404


async def test_the_failed_calls_of_a_replay_are_retried_with_its_job(api: Api) -> None:
    made = await start(api)
    await put(api, made["id"], "failed", state="done")
    await api.add_failed("call-0", job_id=UUID(made["id"]), replay_id=UUID(made["id"]))
    answer = await api.client.post(f"/api/imports/{made['id']}/retry")
    assert (answer.status_code, answer.json()) == (202, {"retried_count": 1})


# On a whole callstream ---------------------------------------------------------------------------------------------


def generic(external_id: str, **fields: Any) -> str:
    call = {"external_id": external_id, "title": "Planning", "recording_start_time": "2026-03-02T10:00:00Z"}
    return json.dumps({**call, "full_transcript": "Good morning", **fields})


async def callstream(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command against the stack."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ops.cli", *arguments],
        env=dict(stack.env), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_the_command_line_says_what_changed_and_what_would(stack: Stack) -> None:
    here, lost = f"replay-{uuid4().hex}", f"replay-{uuid4().hex}"
    await stack.publish(stack.raw(here, generic(here)), stack.raw(lost, generic(lost)))
    for external_id in (here, lost):
        await stack.wait_recording(external_id)
    before = await stack.fetch("SELECT * FROM recordings WHERE external_id = $1", lost)
    await stack.fetch("DELETE FROM recordings WHERE external_id = $1", lost)

    home = ("--workspace", str(stack.workspace_id))
    dry = await callstream(stack, "replay", *home, "--external-id", lost, "--source", "generic", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    [told] = json.loads(dry.stdout)["items"]
    assert (told["report"]["would_import"], told["report"]["unchanged"], told["total_calls"]) == (1, 0, 0)
    assert await stack.fetch("SELECT FROM recordings WHERE external_id = $1", lost) == []
    dry = await callstream(stack, "replay", *home, "--external-id", here, "--from", "1h", "--dry-run")
    assert dry.stdout.startswith("0 would be imported, 0 would change, 1 unchanged"), dry.stdout + dry.stderr

    done = await callstream(stack, "replay", *home, "--external-id", lost, "--topic", RAW.name)
    assert (done.returncode, done.stdout) == (0, "1 imported, 0 updated, 0 unchanged, 0 failed\n"), done.stderr
    after = await stack.fetch("SELECT * FROM recordings WHERE external_id = $1", lost)
    ours = {"replay_id": None, "updated_at": None}
    assert dict(after[0]) | ours == dict(before[0]) | ours
    done = await callstream(stack, "replay", *home, "--external-id", here)
    assert (done.returncode, done.stdout) == (0, "0 imported, 0 updated, 1 unchanged, 0 failed\n"), done.stderr
    none = await callstream(stack, "replay", *home, "--external-id", here, "--topic", BACKFILL.name)
    assert (none.returncode, none.stdout) == (0, "0 imported, 0 updated, 0 unchanged, 0 failed\n"), none.stderr


async def left_to_the_background(stack: Stack) -> None:
    """Ctrl-C while it waits: the replay stays, and the command says how to stop it."""
    watching = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", "replay", "--external-id", uuid4().hex, "--workspace", str(stack.workspace_id),
        env=dict(stack.env), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watching.stderr is not None
    await asyncio.wait_for(watching.stderr.readuntil(b"callstream worker audit"), 60)
    watching.send_signal(signal.SIGINT)
    _, said = await asyncio.wait_for(watching.communicate(), 60)
    assert watching.returncode == 130
    [replay_id] = re.findall(r"`callstream replay cancel (\S+)` stops it", said.decode())
    assert (await callstream(stack, "replay", "cancel", replay_id)).returncode == 0


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_a_replay_that_nobody_works_on_is_said_listed_and_cancelled(stack: Stack) -> None:
    stack.pause("audit")
    await stack.fetch("DELETE FROM worker_heartbeats WHERE role = 'audit'")  # nobody waits until it is old
    try:
        begun = await callstream(stack, "replay", "--external-id", uuid4().hex, "--no-wait", "--json")
        assert begun.returncode == 0, begun.stderr
        assert "No audit worker is running" in " ".join(begun.stderr.split())
        made = json.loads(begun.stdout)["items"][0]
        listed = json.loads((await callstream(stack, "replay", "list", "--json")).stdout)["items"]
        assert made["id"] in [each["id"] for each in listed]
        shown = await callstream(stack, "replay", "show", made["id"])
        assert (shown.returncode, "pending" in shown.stdout) == (0, True), shown.stderr
        cancelled = await callstream(stack, "replay", "cancel", made["id"], "--json")
        assert json.loads(cancelled.stdout)["status"] == "cancelled"
        await left_to_the_background(stack)
        unknown = await callstream(stack, "replay", "cancel", str(uuid4()))
        assert (unknown.returncode, "no replay" in unknown.stderr) == (1, True)
    finally:
        stack.resume("audit")
