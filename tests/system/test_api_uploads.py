"""The upload door, on real Kafka and PostgreSQL."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api import intake
from api.ports import Ports
from schemas.faults import OutageFault
from streams.io import media
from streams.io.probe import ProbeError
from tests.conftest import Broker, Database
from tests.fakes.audio import make_broken_mp4, make_wav
from tests.system.api_harness import VTT, Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]
BOUNDARY = "XyZ"


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


def sha(data: bytes) -> str:
    """What a file is called."""
    return hashlib.sha256(data).hexdigest()


async def test_a_slow_machine_does_not_condemn_a_recording(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(path: object) -> ProbeError:
        return ProbeError("timeout", "reading it took too long")

    monkeypatch.setattr("api.intake.probe_media", slow)
    wav = make_wav(1.0, 331)
    assert (await api.upload(("slow.wav", wav))).status_code == 202
    payload = next(json.loads(e["payload"]) for e in await api.published() if e["external_id"] == sha(wav))
    assert "probe_error" not in payload


async def test_good_files_go_and_bad_ones_are_listed(api: Api) -> None:
    wav, broken = make_wav(), make_broken_mp4()
    answer = await api.upload(
        ("a.vtt", VTT), ("talk.wav", wav), ("broken.mp4", broken), ("empty.txt", b""), ("b.vtt", VTT),
        title="Planning", recorded_at="2026-03-02T10:00:00Z",
    )  # fmt: skip
    assert answer.status_code == 202
    calls = {call["filename"]: call for call in answer.json()["calls"]}
    assert [calls[name]["status"] for name in ("a.vtt", "talk.wav", "broken.mp4", "empty.txt", "b.vtt")] == [
        "accepted", "accepted", "accepted", "refused", "duplicate",
    ]  # fmt: skip
    assert calls["empty.txt"]["reason"] == "empty_file"
    events = {event["external_id"]: event for event in await api.published()}
    assert set(events) == {sha(VTT), sha(wav), sha(broken)}
    transcript, recording, bad = (json.loads(events[sha(data)]["payload"]) for data in (VTT, wav, broken))
    assert transcript | {"text": ""} == {
        "kind": "transcript", "format": "vtt", "filename": "a.vtt", "title": "Planning", "text": "",
        "recorded_at": "2026-03-02T10:00:00+00:00", "sha256": sha(VTT), "size_bytes": len(VTT),
    }  # fmt: skip
    assert recording["media"]["ref"] == f"uploads/{api.workspace_id}/{sha(wav)}/talk.wav"
    assert recording["duration_seconds"] == pytest.approx(1.0)
    assert "probe_error" not in recording
    assert bad["probe_error"]
    assert await media.get_bytes(api.ports.store, recording["media"]["ref"]) == wav
    event = events[sha(wav)]
    assert event["source_app"] == "upload"
    assert event["received_via"] == "upload"
    assert event["placement"]["owner_user_id"] == str(api.user_id)
    assert event["job_id"] == answer.json()["job_id"]


async def test_the_job_knows_the_accepted_files(api: Api) -> None:
    answer = await api.upload(("a.vtt", VTT), ("empty.txt", b""))
    job_id = answer.json()["job_id"]
    job = (await api.client.get(f"/api/imports/{job_id}")).json()
    assert (job["status"], job["total_calls"], job["processed_calls"]) == ("pending", 1, 0)
    calls = (await api.client.get(f"/api/imports/{job_id}/calls")).json()["items"]
    assert [(call["filename"], call["status"]) for call in calls] == [("a.vtt", "pending")]
    [event] = await api.published()
    assert await api.value("SELECT event_id::text FROM job_calls") == event["event_id"]


async def test_a_file_that_is_in_the_library_is_said_to_be_a_duplicate_and_published_all_the_same(api: Api) -> None:
    await api.execute(
        "INSERT INTO imported_calls (import_id, workspace_id, source_app, external_id, status, event_id)"
        " VALUES (gen_random_uuid(), $1, 'upload', $2, 'imported', gen_random_uuid())",
        api.workspace_id, sha(VTT),
    )  # fmt: skip
    answer = await api.upload(("a.vtt", VTT))
    assert answer.status_code == 202
    assert answer.json()["calls"][0]["status"] == "duplicate"
    assert answer.json()["calls"][0]["reason"] == "already_imported"
    assert len(await api.published()) == 1


async def test_bank_and_vault_are_carried_along(api: Api) -> None:
    bank_id = str(await api.value("SELECT bank_id FROM banks"))
    vault_id = str(
        await api.value(
            "INSERT INTO vaults (vault_id, workspace_id, bank_id, name)"
            " VALUES (gen_random_uuid(), $1, $2::text::uuid, 'v') RETURNING vault_id",
            api.workspace_id, bank_id,
        )
    )  # fmt: skip
    assert (await api.upload(("a.vtt", VTT), bank_id=bank_id, vault_id=vault_id)).status_code == 202
    [event] = await api.published()
    assert (event["placement"]["bank_id"], event["placement"]["vault_id"]) == (bank_id, vault_id)


async def test_fields_may_come_after_the_files(api: Api) -> None:
    body = _part("file", VTT, "a.vtt") + _part("title", "Späte Überschrift".encode()) + f"--{BOUNDARY}--\r\n".encode()
    answer = await api.client.post("/api/uploads", content=body, headers=_multipart())
    assert answer.status_code == 202
    [event] = await api.published()
    assert json.loads(event["payload"])["title"] == "Späte Überschrift"


async def test_an_idempotency_key_gets_the_same_answer_and_publishes_once(api: Api) -> None:
    first = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})
    again = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(await api.published()) == 1
    other = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"}, title="Other")
    assert (other.status_code, other.json()["reason"]) == (409, "idempotency_key_reused")


async def test_a_key_whose_request_is_running_is_409_and_one_that_died_is_free(api: Api) -> None:
    entered, go = asyncio.Event(), asyncio.Event()
    original = intake._publish_files

    async def slow(*arguments: Any) -> Any:
        entered.set()
        await go.wait()
        return await original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "_publish_files", slow)
        first = asyncio.create_task(api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"}))
        await entered.wait()
        second = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})
        assert (second.status_code, second.json()["reason"]) == (409, "still_running")
        await api.execute("UPDATE idempotency_keys SET created_at = now() - interval '2 minutes'")
        go.set()
        third = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})
        assert third.status_code == 202
        await first


async def test_a_failed_request_frees_its_key(api: Api) -> None:
    refused = await api.upload(("a.txt", b""), headers={"Idempotency-Key": "k"})
    assert refused.status_code == 422
    assert (await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})).status_code == 202


async def test_nothing_is_left_behind(api: Api) -> None:
    await api.upload(("a.vtt", VTT), ("b.wav", make_wav()))
    await api.upload(("empty.txt", b""))
    assert _scratch(api.ports) == []


async def test_a_client_that_hangs_up_leaves_nothing(api: Api) -> None:
    async def half() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": _part("file", VTT * 50000, "a.vtt")[:-2], "more_body": True}
        yield {"type": "http.disconnect"}

    messages = half()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {api.key}".encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in _multipart().items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/api/uploads",
        "raw_path": b"/api/uploads", "query_string": b"", "headers": headers, "scheme": "http",
        "server": ("calls.test", 80), "client": ("1.2.3.4", 5), "root_path": "",
    }  # fmt: skip
    await api.app(scope, lambda: anext(messages), send)
    assert _scratch(api.ports) == []
    assert await api.value("SELECT count(*) FROM import_jobs") == 0
    assert await api.published() == []


async def test_an_upload_that_cannot_be_published_is_refused_in_its_job(api: Api) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise OutageFault("broker_away", "Kafka cannot be reached.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.ports.bus, "publish", away)
        answer = await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"
    assert await api.value("SELECT status FROM job_calls") == "refused"
    job = (await api.client.get("/api/imports")).json()["items"][0]
    assert (job["status"], job["failed_calls"]) == ("failed", 1)
    assert "Kafka" in job["last_error"]
    assert (await api.upload(("a.vtt", VTT), headers={"Idempotency-Key": "k"})).status_code == 202


async def test_other_workspaces_see_nothing(api: Api, database: Database) -> None:
    job_id = (await api.upload(("a.vtt", VTT))).json()["job_id"]
    other = await _other_workspace(api, database)
    for path in (f"/api/imports/{job_id}", f"/api/imports/{job_id}/calls"):
        assert (await api.anonymous.get(path, headers=other)).status_code == 404
    assert (await api.anonymous.get("/api/imports", headers=other)).json()["items"] == []
    bank_id = str(await api.value("SELECT bank_id FROM banks"))
    parts = [("file", ("a.vtt", VTT))]
    answer = await api.anonymous.post("/api/uploads", files=parts, data={"bank_id": bank_id}, headers=other)
    assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_bank")


async def _other_workspace(api: Api, database: Database) -> dict[str, str]:
    from api import auth
    from streams.io import clock

    workspace_id = clock.new_id()
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", workspace_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", workspace_id, api.user_id)
    key = await auth.create_api_key(api.ports.pool, workspace_id, api.user_id, "other")
    return {"Authorization": f"Bearer {key}"}


def _scratch(ports: Ports) -> list[str]:
    return [path.name for path in ports.scratch.iterdir() if not path.name.startswith(".")]


def _part(name: str, data: bytes, filename: str | None = None) -> bytes:
    shown = f'; filename="{filename}"' if filename else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode() + data + b"\r\n"


def _multipart() -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
