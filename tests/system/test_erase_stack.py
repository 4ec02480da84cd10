"""Erased calls on a running stack with two workers: no sync, webhook, upload, retry or replay brings them back."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from connectors.signatures import sign_standard_webhook
from schemas.topics import READY, SKIPPED
from streams.io import clock, sources
from streams.io.erase import ERASED
from streams.io.secrets import open_secrets
from streams.io.store import in_workspace
from tests.fakes.audio import make_wav
from tests.fakes.vendors.core import Vendors, start_fake_vendors
from tests.servers import Servers
from tests.stack import ROLES, Stack, start_stack, until
from tests.system.test_pipeline import generic, records_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def vendors() -> Any:
    """A source to sync with."""
    with start_fake_vendors("gong") as running:
        yield running


@pytest.fixture(scope="module")
async def stack(
    quiet: Servers, vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:  # fmt: skip
    """callstream with two workers that store."""
    folder = tmp_path_factory.mktemp("erase")
    running = await asyncio.to_thread(
        lambda: start_stack(
            folder, quiet["kafka"], servers=quiet, vendor_origin=vendors.origin, roles=ROLES | {"pipeline": 2},
            env={"CALLSTREAM_FIRST_SYNC_DAYS": "3650"},
        )
    )  # fmt: skip
    try:
        yield running
    finally:
        await running.close_pools()
        await asyncio.to_thread(running.stop)


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """The owner, over HTTP."""
    async with stack.client() as running:
        yield running


async def erase(stack: Stack, client: httpx2.AsyncClient, external_id: str) -> None:
    """Erase a stored call, as the page does."""
    row = await stack.wait_recording(external_id)
    answer = await client.delete(f"/api/calls/{row['recording_id']}")
    assert answer.status_code == 204, answer.text
    assert await count(stack, external_id) == 0


async def count(stack: Stack, external_id: str) -> int:
    """How many calls of that id the library has."""
    found: int = await stack.value("SELECT count(*) FROM recordings WHERE external_id = $1", external_id)
    return found


async def call_of(client: httpx2.AsyncClient, job_id: str, external_id: str) -> dict[str, Any]:
    """A call of a job, when it has come to its end."""

    async def ended() -> dict[str, Any] | None:
        answer = await client.get(f"/api/imports/{job_id}/calls", params={"limit": "200"})
        found: list[dict[str, Any]] = [
            each
            for each in answer.json()["items"]
            if each["external_id"] == external_id and each["status"] not in ("pending", "waiting")
        ]
        return found[0] if found else None

    return await until(ended, 90, f"the end of {external_id} in {job_id}")


async def skipped(stack: Stack, event_id: UUID) -> dict[str, Any]:
    """What is said on the topic of skipped calls of an event."""

    async def told() -> list[Any]:
        return await records_of(stack, SKIPPED.name, str(event_id))

    records = await until(told, 90, f"the outcome of {event_id}")
    body: dict[str, Any] = json.loads(records[-1].value)
    return body


async def test_a_sync_does_not_bring_it_back(stack: Stack, vendors: Vendors, client: httpx2.AsyncClient) -> None:
    now = datetime.now(UTC)
    vendors.world.seed("gong", 5, now - timedelta(days=5), now - timedelta(days=1), Random(5))
    async with in_workspace(await stack.pool(), stack.workspace_id) as connection:
        source, _ = await sources.create_or_reconnect(
            connection, open_secrets(stack.settings), workspace_id=stack.workspace_id, user_id=stack.user_id,
            source_app="gong", account_email=f"{clock.new_id()}@example.com", kind="basic",
            credential=vendors.credential("gong"), sync_enabled=False,
        )  # fmt: skip
    path = f"/api/sources/{source.source_id}"
    first = (await client.post(f"{path}/sync")).json()["job_id"]

    async def all_there() -> bool:
        return (await client.get(path)).json()["calls_imported"] == 5

    await until(all_there, 120, "the first sync")
    external_id = await stack.value("SELECT min(external_id) FROM recordings WHERE source_id = $1", source.source_id)
    await erase(stack, client, external_id)
    assert (await call_of(client, first, external_id))["detail"] == "You erased this call."
    assert (await client.get(path)).json()["calls_imported"] == 4
    started = {"source_id": str(source.source_id), "job_type": "historical", "date_range": {
        "from": (now - timedelta(days=6)).isoformat(), "to": now.isoformat(),
    }}  # fmt: skip
    answer = await client.post("/api/imports", json=started)
    assert answer.status_code == 202, answer.text
    call = await call_of(client, answer.json()["job_id"], external_id)
    assert (call["status"], call["detail"], call["call_id"]) == ("skipped", ERASED, None)
    assert await count(stack, external_id) == 0


async def test_a_webhook_does_not_bring_it_back(stack: Stack, client: httpx2.AsyncClient) -> None:
    """It is accepted, as was promised, and ends as skipped: also with newer content, and also the second time."""
    endpoint = (await client.post("/api/webhook-endpoints", json={"platform": "generic"})).json()
    external_id = f"hook-{uuid4()}"

    async def deliver(**fields: Any) -> None:
        body, delivery = generic(external_id, **fields).encode(), str(uuid4())
        headers = sign_standard_webhook(endpoint["secret"], delivery, int(clock.unix_now()), body)
        answer = await client.post(f"/webhooks/generic/{endpoint['id']}", content=body, headers=headers)
        assert answer.status_code == 202, answer.text

    async def reasons(count: int) -> list[str] | None:
        found = [json.loads(record.value) for record in await records_of(stack, SKIPPED.name, None)]
        told = [each["reason"] for each in found if each["external_id"] == external_id]
        return told if len(told) == count else None

    await deliver()
    await erase(stack, client, external_id)
    for number, fields in enumerate(({}, {}, {"title": "Another"}, {"title": "Another"}), 1):
        await deliver(**fields)
        told = await until(lambda: reasons(number), 90, f"the end of delivery {number}")  # noqa: B023
        assert set(told) == {"erased"}
    last = stack.raw(f"after-{uuid4()}", generic("after"))
    await stack.publish(last)
    await stack.wait_recording(last.external_id)
    assert await count(stack, external_id) == 0


async def test_an_upload_is_refused_and_a_replay_skipped_and_nobody_pays(
    stack: Stack, client: httpx2.AsyncClient
) -> None:
    """The replay brings the recording to speech to text once more, which must not be asked."""
    sound = make_wav(seconds=3, freq=300 + uuid4().int % 500)
    files = [("file", ("talk.wav", sound, "audio/wav"))]
    sent = (await client.post("/api/uploads", files=files)).json()
    external_id = sent["calls"][0]["external_id"]
    row = await stack.wait_recording(external_id, 120)
    await erase(stack, client, external_id)
    assert (await client.get(f"/api/calls/{row['recording_id']}/media")).status_code == 404
    assert await stack.value("SELECT count(*) FROM transcripts WHERE audio_sha256 = $1", external_id) == 0
    paid = len(stack.openai.requests())

    again = await client.post("/api/uploads", files=files)
    assert (again.status_code, again.json()["detail"]) == (422, ERASED)

    replay = (await client.post("/api/replays", json={"external_id": external_id})).json()
    call = await call_of(client, replay["id"], external_id)
    assert (call["status"], call["detail"]) == ("skipped", ERASED)
    dry = (await client.post("/api/replays", json={"external_id": external_id, "dry_run": True})).json()

    async def foreseen() -> Any:
        return (await client.get(f"/api/replays/{dry['id']}")).json()["report"]

    report = await until(foreseen, 60, "the end of the dry run")
    assert (report["unchanged"], report["would_import"]) == (1, 0)
    told = await skipped(stack, row["event_id"])
    assert (told["reason"], told["stage"], told["replay_id"]) == ("erased", "transcribe", replay["id"])
    assert len(stack.openai.requests()) == paid
    assert await count(stack, external_id) == 0


async def test_a_retry_under_way_does_not_bring_it_back(stack: Stack, client: httpx2.AsyncClient) -> None:
    """Erased by its name, before it ever was in the library, while its retry lies in Kafka."""
    call = stack.raw(f"retry-{uuid4()}", "{}")
    await stack.publish(call)
    failed = await stack.wait_failed(call.external_id)
    stack.pause("pipeline")
    try:
        answer = await client.post(f"/api/failed-imports/{failed['failed_import_id']}/retry")
        assert answer.status_code == 202, answer.text
        code, said = await command(stack, "erase", call.external_id, "--yes", "--json")
        assert code == 0, said
        assert json.loads(said)["failed_imports"] == 1
    finally:
        stack.resume("pipeline")
    last = stack.raw(f"after-{uuid4()}", generic("after"))
    await stack.publish(last)
    await stack.wait_recording(last.external_id, 120)

    async def noted() -> bool:  # its dead letter has come, and was let go
        sql = "SELECT $2 = ANY(left_events) OR left_at IS NULL FROM erased_calls WHERE external_id = $1"
        return bool(await stack.value(sql, call.external_id, call.event_id))

    await until(noted, 60, "the end of the retry")
    assert await stack.fetch("SELECT FROM failed_imports WHERE external_id = $1", call.external_id) == []
    assert await count(stack, call.external_id) == 0


async def test_a_call_that_waits_in_kafka_is_not_stored_after_it_was_erased(
    stack: Stack, client: httpx2.AsyncClient
) -> None:
    """Newer content is on its way to be stored, past every check but the last."""
    first = stack.raw(f"late-{uuid4()}", generic("late"))
    await stack.publish(first)
    row = await stack.wait_recording(first.external_id)
    ready = json.loads((await records_of(stack, READY.name, str(first.event_id)))[-1].value)
    stack.pause("pipeline")
    try:
        newer = ready | {
            "event_id": str(clock.new_id()),
            "fingerprint": "0" * 64,
            "observed_at": clock.now().isoformat(),
        }
        bus = stack.bus()
        model = READY.models[0][1]
        await bus.publish(READY, model.model_validate(newer))
        await bus.stop()
        assert (await client.delete(f"/api/calls/{row['recording_id']}")).status_code == 204
    finally:
        stack.resume("pipeline")
    told = await skipped(stack, UUID(newer["event_id"]))
    assert (told["reason"], told["stage"]) == ("erased", "persist")
    assert await count(stack, first.external_id) == 0


async def command(stack: Stack, *arguments: str) -> tuple[int, str]:
    """Run a command beside the stack; exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ops.cli",
        *arguments,
        env=dict(stack.env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode() or err.decode()
