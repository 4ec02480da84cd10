"""Recordings without a transcript: uploaded, transcribed over real HTTP, stored; and what happens when that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from streams.io.failed_imports import retry
from streams.runner import MAX_TRIES
from tests.fakes.audio import make_mov, make_mp4, make_wav
from tests.fakes.openai_server import spoken_name
from tests.stack import Stack, until

pytestmark = pytest.mark.system


async def upload(stack: Stack, **files: bytes) -> dict[str, dict[str, str]]:
    """Upload files by the API; its answers by file name (with `__` for the dot)."""
    parts = [("files", (name.replace("__", "."), data)) for name, data in files.items()]
    async with stack.client() as client:
        answer = await client.post("/api/uploads", files=parts)
    assert answer.status_code == 202, answer.text
    return {call["filename"].replace(".", "__"): call for call in answer.json()["calls"]}


def unlike_any_other(seconds: float = 1.0) -> bytes:
    """A recording nobody has sent before."""
    return make_wav(seconds, 200 + uuid4().int % 3000)


async def test_recordings_are_transcribed_and_stored(stack: Stack) -> None:
    wav, mp4, mov = unlike_any_other(2.0), make_mp4(1.0, 523), make_mov(1.0, 587)
    calls = await upload(stack, talk__wav=wav, film__mp4=mp4, phone__mov=mov)
    for name in calls:
        row = await stack.wait_recording(calls[name]["external_id"])
        assert row["full_transcript"]
        assert row["segments"]
        assert row["media"]["ref"]
    talk = await stack.wait_recording(calls["talk__wav"]["external_id"])
    assert spoken_name(wav) in talk["full_transcript"]
    assert talk["title"] == "talk"
    assert talk["duration_ms"] == 2000


async def test_the_same_recording_twice_is_a_duplicate_and_paid_once(stack: Stack) -> None:
    wav = unlike_any_other()
    first = await upload(stack, first__wav=wav)
    name = first["first__wav"]["external_id"]
    await stack.wait_recording(name)
    second = await upload(stack, second__wav=wav)
    assert second["second__wav"]["status"] == "duplicate"
    assert second["second__wav"]["external_id"] == name

    async def skipped() -> bool:
        sql = "SELECT count(*) FROM job_calls WHERE external_id = $1 AND status = 'skipped'"
        return await stack.value(sql, name) == 1

    await until(skipped, 30, "the duplicate in its job")
    assert [count for sha, count in stack.openai.paid().items() if sha == name] == [1]


async def test_a_silent_recording_is_stored_without_words_and_never_sent(stack: Stack) -> None:
    silent = make_wav(2 + uuid4().int % 10_000 / 10_000, 0)
    calls = await upload(stack, silent__wav=silent)
    name = calls["silent__wav"]["external_id"]
    row = await stack.wait_recording(name)
    assert (row["full_transcript"], row["segments"]) == ("", [])
    assert row["duration_ms"] >= 2000
    assert name not in stack.openai.counts()
    assert await stack.value("SELECT count(*) FROM transcript_chunks WHERE audio_sha256 = $1", name) == 0


async def test_an_answer_is_counted_with_its_seconds_and_its_cost(stack: Stack) -> None:
    calls = await upload(stack, priced__wav=unlike_any_other(6.0))
    name = calls["priced__wav"]["external_id"]
    await stack.wait_recording(name)
    (row,) = await stack.fetch("SELECT * FROM transcript_chunks WHERE audio_sha256 = $1", name)
    assert (row["start_ms"], row["end_ms"], row["model"]) == (0, 0, "whisper-1")
    assert (float(row["seconds"]), row["cost_micros"]) == (6.0, 0)  # the fake is a server of one's own


async def test_a_vendor_in_trouble_is_asked_again(stack: Stack) -> None:
    stack.openai.control({"status": 429, "retry_after": 1}, {"status": 500}, {"cut": True}, {"garbage": True})
    calls = await upload(stack, trouble__wav=unlike_any_other())
    row = await stack.wait_recording(calls["trouble__wav"]["external_id"], timeout=90)
    assert row["full_transcript"]


async def test_without_a_key_it_fails_with_a_sentence_and_retry_works_once_the_key_is_there(fire: Stack) -> None:
    wav = unlike_any_other()
    calls = await upload(fire, keyless__wav=wav)
    name = calls["keyless__wav"]["external_id"]
    failed = await fire.wait_failed(name)
    assert failed["reason"] == "speech_to_text_not_set_up"
    assert "OPENAI_API_KEY" in failed["message"]
    assert "Retry" in failed["message"]

    async with with_key(fire):
        bus = fire.bus()
        await retry(await fire.pool(), bus, fire.workspace_id, failed["failed_import_id"])
        await bus.stop()
        row = await fire.wait_recording(name, timeout=90)
        assert spoken_name(wav) in row["full_transcript"]
        assert row["event_id"] == failed["event_id"]
        await fire.wait_failed(name, status="resolved")


async def test_what_can_mend_itself_is_retried_by_itself(fire: Stack) -> None:
    async with with_key(fire):
        fire.openai.control(*[{"status": 500}] * MAX_TRIES)
        calls = await upload(fire, patient__wav=unlike_any_other())
        name = calls["patient__wav"]["external_id"]
        row = await fire.wait_recording(name, timeout=120)
        failed = await fire.wait_failed(name, status="resolved")
        assert (failed["kind"], failed["reason"]) == ("transient", "speech_to_text_failing")
        assert row["event_id"] == failed["event_id"]


@asynccontextmanager
async def with_key(fire: Stack) -> AsyncIterator[None]:
    """For a while, the transcribe role is done by a worker that has a key."""
    await asyncio.to_thread(fire.pause, "transcribe")
    key = {"OPENAI_API_KEY": fire.openai.api_key, "OPENAI_BASE_URL": fire.openai.base_url}
    worker = await asyncio.to_thread(lambda: fire.add("transcribe", f"with-key-{uuid4().hex[:6]}", **key))
    try:
        yield
    finally:
        await asyncio.to_thread(fire.stop_worker, worker)
        await asyncio.to_thread(fire.resume, "transcribe")
