"""Jobs, failed imports, the library and health, on real Kafka and PostgreSQL."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from api import bulk_retries
from schemas.faults import OutageFault
from streams.io import clock, media
from tests.conftest import Broker, Database
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


# Jobs ------------------------------------------------------------------------------------------------------------


async def add_job(api: Api, *states: str, **fields: Any) -> UUID:
    """A job with calls in these states."""
    job_id = clock.new_id()
    await api.execute(
        "INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app, total_calls, open_ended)"
        " VALUES ($1, $2, 'upload', 'upload', $3, $4)",
        job_id, api.workspace_id, len(states), fields.get("open_ended", False),
    )  # fmt: skip
    for number, state in enumerate(states):
        await api.execute(
            "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, filename, status, reason, event_id)"
            " VALUES ($1, $2, 'upload', $3, $4, $5, $6, gen_random_uuid())",
            api.workspace_id, job_id, f"call-{number:03}", f"{number}.vtt", state,
            "It is odd." if state in {"failed", "refused"} else None,
        )  # fmt: skip
    return job_id


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((), "completed"),
        (("pending", "pending"), "pending"),
        (("pending", "imported"), "in_progress"),
        (("waiting", "imported"), "waiting"),
        (("imported", "updated", "skipped"), "completed"),
        (("imported", "failed"), "partial"),
        (("failed", "refused"), "failed"),
        (("imported", "discarded"), "completed"),
    ],
)
async def test_a_jobs_state_is_that_of_its_calls(api: Api, states: tuple[str, ...], status: str) -> None:
    job_id = await add_job(api, *states)
    job = (await api.client.get(f"/api/imports/{job_id}")).json()
    assert job["status"] == status
    assert job["total_calls"] == len(states)
    assert job["processed_calls"] == len([state for state in states if state not in {"pending", "waiting"}])
    assert job["failed_calls"] == len([state for state in states if state in {"failed", "refused"}])
    assert (job["completed_at"] is not None) == (status in {"completed", "partial", "failed"})
    assert [error["reason"] for error in job["errors"]] == ["It is odd."] * job["failed_calls"]
    assert (job["last_error"] is not None) == bool(job["errors"])
    listed = (await api.client.get("/api/imports")).json()["items"][0]
    assert listed["status"] == status


async def test_lists_are_paged_without_gaps_or_repeats(api: Api) -> None:
    ids = [str(await add_job(api, *["pending"] * 7)) for _ in range(7)]
    assert await _all(api, "/api/imports?limit=3", "id") == ids[::-1]
    calls = await _all(api, f"/api/imports/{ids[0]}/calls?limit=3", "external_id")
    assert calls == [f"call-{number:03}" for number in range(7)]
    assert (await api.client.get(f"/api/imports/{ids[0]}/calls?status=failed")).json()["items"] == []


async def _all(api: Api, path: str, field: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = (await api.client.get(f"{path}{cursor}")).json()
        found += [item[field] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_a_failed_call_says_when_the_next_try_is(api: Api) -> None:
    job_id = await add_job(api, "failed")
    at = clock.now().replace(hour=14, minute=5) + timedelta(days=1)
    await api.add_failed("call-000", source_app="upload", message="The service is busy.", next_retry_at=at)
    [call] = (await api.client.get(f"/api/imports/{job_id}/calls")).json()["items"]
    assert call["detail"] == "The service is busy. Next try 14:05 UTC."
    assert call["failed_import_id"] is not None


async def test_cancel_marks_a_running_job_and_refuses_one_that_is_over(api: Api) -> None:
    running, over = await add_job(api, "pending"), await add_job(api, "imported")
    answer = await api.client.delete(f"/api/imports/{running}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await api.client.delete(f"/api/imports/{running}")).status_code == 200
    assert (await api.client.delete(f"/api/imports/{over}")).status_code == 409
    assert (await api.client.delete(f"/api/imports/{uuid4()}")).status_code == 404


async def test_retrying_a_job_retries_what_failed(api: Api) -> None:
    job_id = await add_job(api, "failed", "failed", "imported")
    for name in ("call-000", "call-001"):
        await api.add_failed(name, job_id=job_id)
    await api.add_failed("call-002", job_id=job_id, status="resolved")
    answer = await api.client.post(f"/api/imports/{job_id}/retry")
    assert (answer.status_code, answer.json()) == (202, {"retried_count": 2})
    await _until(api, "SELECT count(*) FROM failed_imports WHERE status = 'retrying'", 2)
    assert (await api.client.post(f"/api/imports/{uuid4()}/retry")).status_code == 404


async def _until(api: Api, sql: str, wanted: int) -> None:
    for _ in range(300):
        if await api.value(sql) == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{sql} is {await api.value(sql)}, not {wanted}")


# Failed imports --------------------------------------------------------------------------------------------------


async def test_failed_imports_are_listed_filtered_and_grouped(api: Api) -> None:
    await api.add_failed("a", fingerprint="f1")
    await api.add_failed("b", fingerprint="f1")
    await api.add_failed("c", fingerprint="f2", stage="transcribe", reason="speech_to_text_refused", kind="config")
    await api.add_failed("d", fingerprint="f1", status="resolved")
    assert len(await _all(api, "/api/failed-imports?limit=2", "id")) == 3
    for query, names in {
        "stage=transcribe": {"c"}, "reason=invalid_field": {"a", "b"}, "fingerprint=f1": {"a", "b"},
        "status=resolved": {"d"}, "status=open&status=resolved": {"a", "b", "c", "d"}, "external_id=b": {"b"},
        "source_app=zoom": set(),
    }.items():  # fmt: skip
        items = (await api.client.get(f"/api/failed-imports?{query}")).json()["items"]
        assert {item["external_id"] for item in items} == names, query
    groups = (await api.client.get("/api/failed-imports?group=true&limit=1")).json()
    assert [(group["fingerprint"], group["count"]) for group in groups["items"]] == [("f1", 2)]
    assert await _all(api, "/api/failed-imports?group=true&limit=1", "fingerprint") == ["f1", "f2"]
    fields = set((await api.client.get("/api/failed-imports")).json()["items"][0])
    assert {
        "id", "source_app", "external_id", "stage", "reason", "message", "attempts", "retryable", "next_retry_at",
        "status", "fingerprint", "first_seen_at", "last_seen_at", "job_id",
    } <= fields  # fmt: skip


async def test_the_original_is_shown_without_its_secrets(api: Api) -> None:
    payload = json.dumps({"title": "x", "download_token": "geheim-1", "media_url": "https://v.test/a.mp4?sig=geheim-2"})
    value = json.dumps({"payload": payload, "note": "Bearer geheim-345678"}).encode()
    headers = [["authorization", base64.b64encode(b"geheim-4").decode()], ["ce_id", base64.b64encode(b"77").decode()]]
    one = await api.add_failed(
        original_value=value, original_headers=headers, message="failed at https://v.test/a?token=geheim-5"
    )
    answer = await api.client.get(f"/api/failed-imports/{one}")
    assert answer.status_code == 200
    assert "geheim" not in answer.text
    original = answer.json()["original"]
    assert original["format"] == "json"
    assert original["value"]["payload"]["title"] == "x"
    assert original["headers"]["ce_id"] == "77"


@pytest.mark.parametrize("value", [None, b"", b"\xff\x00\xfe" * 9000, b"[" * 300000, b'"' + b"x" * 900000, b"\x00a"])
async def test_any_original_can_be_shown(api: Api, value: bytes | None) -> None:
    one = await api.add_failed(original_value=value, original_key=b"\xff\x00")
    answer = await api.client.get(f"/api/failed-imports/{one}")
    assert answer.status_code == 200
    assert len(answer.content) < 200_000


async def test_a_large_original_is_fetched_from_the_media_store(api: Api) -> None:
    await media.put_bytes(api.ports.store, "claims/calls.raw.v1/x.json", b'{"title": "large"}')
    headers = [["ce_dataref", base64.b64encode(b"claims/calls.raw.v1/x.json").decode()]]
    one = await api.add_failed(original_value=b'{"claim_check": {}}', original_headers=headers)
    shown = (await api.client.get(f"/api/failed-imports/{one}")).json()["original"]
    assert shown["value"] == {"title": "large"}


async def test_retry_sends_the_original_and_is_refused_while_it_is_under_way(api: Api) -> None:
    one = await api.add_failed(original_value=b'{"event_id": "e"}')
    path = f"/api/failed-imports/{one}"
    answer = await api.client.post(f"{path}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "retrying")
    assert [event for event in await api.published() if event == {"event_id": "e"}]
    assert (await api.client.post(f"{path}/retry")).status_code == 409
    assert (await api.client.post(f"/api/failed-imports/{uuid4()}/retry")).status_code == 404
    logged = await api.fetch("SELECT actor FROM audit_log WHERE action = 'failed_import.retried'")
    assert [row["actor"] for row in logged] == ["key:tests"]


@pytest.mark.parametrize("status", ["resolved", "discarded"])
async def test_what_is_over_cannot_be_retried_or_discarded(api: Api, status: str) -> None:
    one = await api.add_failed(status=status)
    for verb in ("retry", "discard"):
        answer = await api.client.post(f"/api/failed-imports/{one}/{verb}")
        assert (answer.status_code, answer.json()["reason"]) == (409, f"cannot_{verb}")


async def test_a_retry_while_the_broker_is_away_says_so_and_can_be_done_again(api: Api) -> None:
    one = await api.add_failed()

    async def away(*_: Any, **__: Any) -> None:
        raise OutageFault("broker_away", "Kafka cannot be reached.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.ports.bus, "send", away)
        assert (await api.client.post(f"/api/failed-imports/{one}/retry")).status_code == 503
    assert (await api.client.post(f"/api/failed-imports/{one}/retry")).status_code == 202


async def test_discard_lets_go(api: Api) -> None:
    one = await api.add_failed()
    answer = await api.client.post(f"/api/failed-imports/{one}/discard")
    assert (answer.status_code, answer.json()["status"]) == (200, "discarded")
    assert (await api.client.get("/api/failed-imports")).json()["items"] == []


async def test_retry_of_many_counts_first_and_then_goes_at_its_rate(api: Api) -> None:
    for number in range(6):
        await api.add_failed(f"a-{number}", fingerprint="f1")
    await api.add_failed("b", fingerprint="f2")
    body = {"filter": {"fingerprint": "f1"}, "dry_run": True}
    dry = (await api.client.post("/api/failed-imports/retry", json=body)).json()
    assert (dry["retry_count"], [group["count"] for group in dry["groups"]]) == (6, [6])
    assert await api.value("SELECT count(*) FROM failed_imports WHERE status = 'retrying'") == 0
    started = clock.unix_now()
    answer = await api.client.post("/api/failed-imports/retry", json={**body, "dry_run": False, "rate": 20})
    assert (answer.status_code, answer.json()["retry_count"]) == (202, 6)
    await _until(api, "SELECT count(*) FROM failed_imports WHERE status = 'retrying'", 6)
    assert clock.unix_now() - started > 5 / 20
    assert await api.value("SELECT status FROM failed_imports WHERE external_id = 'b'") == "open"


async def test_retry_of_many_waits_for_a_broker_that_goes_away(api: Api) -> None:
    for number in range(3):
        await api.add_failed(f"a-{number}")
    send, tries = api.ports.bus.send, 0

    async def stutter(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise OutageFault("broker_away", "Kafka cannot be reached.")
        await send(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.ports.bus, "send", stutter)
        patch.setattr(bulk_retries, "OUTAGE_PAUSE_SECONDS", 0.05)
        assert (await api.client.post("/api/failed-imports/retry", json={"rate": 500})).json()["retry_count"] == 3
        await _until(api, "SELECT count(*) FROM failed_imports WHERE status = 'retrying'", 3)
    assert tries == 4


# The library -----------------------------------------------------------------------------------------------------


async def add_call(api: Api, external_id: str, **fields: Any) -> UUID:
    """A call in the library."""
    row = {
        "recording_id": clock.new_id(), "workspace_id": api.workspace_id, "source_app": "generic",
        "external_id": external_id, "title": f"Call {external_id}", "full_transcript": "Good morning",
        "participants": [{"name": "Mila Berg", "email": "mila@example.com"}], "duration_ms": 61500,
        "source_metadata": {"external_id": external_id, "room": 7}, "metadata_quality": "full",
        "recording_start_time": clock.now(), "event_id": clock.new_id(), "fingerprint": "x",
        "observed_at": clock.now(), "received_at": clock.now(),
        "segments": [{"speaker": "Mila", "text": "Good morning", "start_ms": 0, "end_ms": 900}], **fields,
    }  # fmt: skip
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await api.execute(f"INSERT INTO recordings ({', '.join(row)}) VALUES ({marks})", *row.values())
    return UUID(str(row["recording_id"]))


async def test_the_library_is_searched_and_filtered(api: Api) -> None:
    old = clock.now() - timedelta(days=400)
    await add_call(api, "a", title="Budget planning")
    await add_call(api, "b", full_transcript="We talked about the budget", source_app="fathom")
    await add_call(api, "c", recording_start_time=old, participants=[{"phone": "+49 30 1"}])
    since = (clock.now() - timedelta(days=1)).isoformat()
    for params, names in (
        ({"q": "budget"}, {"a", "b"}), ({"q": "budget -talked"}, {"a"}), ({"q": '"about the budget"'}, {"b"}),
        ({"source_app": "fathom"}, {"b"}), ({"participant": "MILA"}, {"a", "b"}), ({"participant": "+49"}, {"c"}),
        ({"from": since}, {"a", "b"}), ({"to": since[:10]}, {"c"}), ({"q": "nothing"}, set()),
    ):  # fmt: skip
        items = (await api.client.get("/api/calls", params=params)).json()["items"]
        assert {item["external_id"] for item in items} == names, params
    assert await _all(api, "/api/calls?limit=2", "external_id") == ["c", "b", "a"]


async def test_a_call_has_the_shape_that_was_promised(api: Api) -> None:
    call_id = await add_call(api, "a")
    listed = (await api.client.get("/api/calls")).json()["items"][0]
    assert {
        "id", "source_app", "external_id", "title", "recording_start_time", "duration_seconds", "participants",
        "metadata_quality", "source_metadata", "imported_at", "import_job_id",
    } <= set(listed)  # fmt: skip
    assert "full_transcript" not in listed
    call = (await api.client.get(f"/api/calls/{call_id}")).json()
    assert call["duration_seconds"] == 61.5
    assert next(iter(call["source_metadata"])) == "external_id"
    assert call["segments"][0]["speaker"] == "Mila"
    assert call["participants"] == [{"name": "Mila Berg", "email": "mila@example.com", "phone": None}]
    assert call["media"] is None
    assert (await api.client.get(f"/api/calls/{call_id}/media")).status_code == 404


async def test_a_recording_is_played_whole_and_in_parts(api: Api) -> None:
    data = bytes(range(256)) * 10_000
    ref = f"uploads/{api.workspace_id}/x/talk.wav"
    await media.put_bytes(api.ports.store, ref, data)
    found = {"ref": ref, "filename": 'Gespräch "1".wav', "content_type": "audio/wav", "size_bytes": len(data)}
    path = f"/api/calls/{await add_call(api, 'a', media=found)}/media"
    whole = await api.client.get(path)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, data, "audio/wav")
    assert whole.headers["accept-ranges"] == "bytes"
    assert "sandbox" in whole.headers["content-security-policy"]
    for header, start, end in (
        ("bytes=0-0", 0, 1), ("bytes=100-", 100, len(data)), ("bytes=-5", len(data) - 5, len(data)),
        ("bytes=1000-1048999", 1000, 1_049_000), ("bytes=5-99999999999", 5, len(data)),
    ):  # fmt: skip
        part = await api.client.get(path, headers={"Range": header})
        assert (part.status_code, part.content) == (206, data[start:end]), header
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(data)}"
    for header in ("bytes=9-3", "lines=1-2", "bytes=0-1,3-4", "bytes=-", "x"):
        assert (await api.client.get(path, headers={"Range": header})).status_code == 200, header
    refused = await api.client.get(path, headers={"Range": f"bytes={len(data)}-"})
    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{len(data)}")
    head = await api.client.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")


async def test_a_recording_that_could_run_in_the_browser_is_only_a_download(api: Api) -> None:
    await media.put_bytes(api.ports.store, "uploads/x/y", b"<script>")
    found = {"ref": "uploads/x/y", "filename": "a.html\r\nx: y", "content_type": "text/html"}
    answer = await api.client.get(f"/api/calls/{await add_call(api, 'a', media=found)}/media")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "x" not in answer.headers


async def test_a_recording_that_was_removed_is_404(api: Api) -> None:
    call_id = await add_call(api, "a", media={"ref": "uploads/gone"})
    answer = await api.client.get(f"/api/calls/{call_id}/media")
    assert (answer.status_code, answer.json()["reason"]) == (404, "media_missing")


# Operations ------------------------------------------------------------------------------------------------------


async def test_ready_names_what_is_red(api: Api, database: Database) -> None:
    ready = (await api.anonymous.get("/health/ready")).json()
    assert (ready["ready"], ready["red"]) == (True, [])
    insert = (
        "INSERT INTO worker_heartbeats (worker, role, ready, detail, at) VALUES ($1, $2, $3, $4, now() - $5::interval)"
    )
    for worker, role, well, detail, age in (
        ("p-1", "pipeline", True, "", timedelta()), ("p-2", "pipeline", False, "broken", timedelta()),
        ("d-1", "dedup", True, "", timedelta(seconds=45)), ("t-1", "transcribe", False, "no dead letter", timedelta()),
        ("old", "pull", False, "", timedelta(hours=3)),
    ):  # fmt: skip
        await database.pipeline_pool.execute(insert, worker, role, well, detail, age)
    answer = await api.anonymous.get("/health/ready")
    assert (answer.status_code, answer.json()["red"]) == (200, ["worker:dedup", "worker:transcribe"])
    details = {check["name"]: check["detail"] for check in answer.json()["checks"]}
    assert details["worker:transcribe"] == "no dead letter"


async def test_a_dead_broker_makes_the_api_red_and_not_dead(tmp_path: Path, database: Database) -> None:
    async with running_api(tmp_path, "127.0.0.1:1", database) as api:
        answer = await api.anonymous.get("/health/ready")
        assert (answer.status_code, answer.json()["red"]) == (503, ["broker"])
        assert (await api.anonymous.get("/health/live")).status_code == 200
        assert (await api.client.get("/api/calls")).status_code == 200
        upload = await api.upload(("a.txt", b"hello"))
        assert (upload.status_code, "retry-after" in upload.headers) == (503, True)
        hook = await api.deliver(await api.endpoint(), b"{}")
        assert (hook.status_code, "retry-after" in hook.headers) == (503, True)


async def test_metrics_count_the_doors(api: Api) -> None:
    await api.upload(("a.txt", b""))
    text = (await api.anonymous.get("/metrics")).text
    assert 'import_door_requests_total{door="upload",result="refused"}' in text
