"""Three hours of sound through the whole of callstream, with a worker that is killed twice on the way."""

import asyncio
from uuid import uuid4

import psutil
import pytest

from ops.supervise import Supervisor
from tests.fakes.audio import long_slot_seconds, make_long_recording
from tests.stack import Stack, until
from tests.system.test_speech import upload

pytestmark = pytest.mark.system
PITCHES = range(300, 1800, 100)
HOURS = 3
GROWTH = 150 * 1024**2
SETTINGS = {
    "CALLSTREAM_SPEECH_BY_SOURCE": '{"upload": {"model": "tones-1", "language": "de"}}',
    "CALLSTREAM_SPEECH_PRICES": '{"tones-1": 0.006}',
}
AT_ONCE = 3


async def test_three_hours_are_paid_once_whoever_dies_on_the_way(fire: Stack) -> None:
    count = round(HOURS * 3600 / 8.192)
    pitches = [PITCHES[(number * 4 + number // 15) % len(PITCHES)] for number in range(count)]
    recording = await asyncio.to_thread(make_long_recording, pitches, 2.0, 6.192)
    slot = long_slot_seconds(recording, count)
    assert slot * count >= HOURS * 3600 - 10
    fire.openai.reset()
    await asyncio.to_thread(fire.pause, "transcribe")
    key = {"OPENAI_API_KEY": fire.openai.api_key, "OPENAI_BASE_URL": fire.openai.base_url}
    worker = await asyncio.to_thread(lambda: fire.add("transcribe", f"long-{uuid4().hex[:6]}", **key, **SETTINGS))
    growth = asyncio.create_task(watch_memory(worker))
    try:
        fire.openai.control(*[{}] * 2, *[{"hold": True}] * 50)
        name = (await upload(fire, long__aac=recording))["long__aac"]["external_id"]
        for answered in (2, 5):
            await stopped_at(fire, name, answered)
            assert await asyncio.to_thread(worker.kill, "transcribe")
            await all_hung_up(fire)
            # What is held was never answered, so it is not paid; what was answered is stored. Let the lease run out.
            await fire.fetch("UPDATE transcription_leases SET expires_at = now() - interval '1 second'")
            fire.openai.control(*([{}] * 3 + [{"hold": True}] * 50 if answered == 2 else []))
        row = await fire.wait_recording(name, timeout=240)
        assert await growth_of(growth) < GROWTH
    finally:
        growth.cancel()
        await asyncio.to_thread(fire.stop_worker, worker)
        await asyncio.to_thread(fire.resume, "transcribe")

    chunks = await fire.fetch("SELECT * FROM transcript_chunks WHERE audio_sha256 = $1 ORDER BY start_ms", name)
    assert len(chunks) >= 9
    assert {chunk["language"] for chunk in chunks} == {"de"}
    assert [chunk["start_ms"] for chunk in chunks[1:]] == [chunk["end_ms"] for chunk in chunks[:-1]]
    assert float(sum(chunk["seconds"] for chunk in chunks)) == pytest.approx(slot * count, abs=1)
    assert sum(chunk["cost_micros"] for chunk in chunks) == pytest.approx(slot * count * 100, rel=0.001)
    assert sorted(fire.openai.paid().values()) == [1] * len(chunks)

    heard = row["segments"]
    assert [segment["text"] for segment in heard] == [f"{pitch} Hz." for pitch in pitches]
    assert row["full_transcript"] == " ".join(segment["text"] for segment in heard)
    assert all(abs(segment["start_ms"] / 1000 - number * slot) < 0.5 for number, segment in enumerate(heard))
    seconds = await fire.value("SELECT seconds FROM transcripts WHERE audio_sha256 = $1", name)
    assert float(seconds) == pytest.approx(slot * count, abs=1)


async def stopped_at(fire: Stack, name: str, answered: int) -> None:
    """Wait until so many answers are stored and all other requests are held."""

    async def reached() -> bool:
        stored = await fire.value("SELECT count(*) FROM transcript_chunks WHERE audio_sha256 = $1", name)
        held = [request for request in await asyncio.to_thread(fire.openai.requests) if request["held"]]
        return bool(stored >= answered and len(held) == AT_ONCE)

    await until(reached, 240, f"{answered} stored answers and {AT_ONCE} held requests")


async def all_hung_up(fire: Stack) -> None:
    """Wait until the service has noticed that nobody waits for what it holds."""

    async def reached() -> bool:
        return not any(request["held"] for request in await asyncio.to_thread(fire.openai.requests))

    await until(reached, 30, "the end of the held requests")


async def watch_memory(worker: Supervisor) -> dict[int, list[int]]:
    """The memory of the worker's processes over time, by process id."""
    seen: dict[int, list[int]] = {}
    while True:
        for pid in worker.pids("transcribe"):
            try:
                seen.setdefault(pid, []).append(psutil.Process(pid).memory_info().rss)
            except psutil.Error:
                continue  # it was killed
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            return seen


async def growth_of(watching: "asyncio.Task[dict[int, list[int]]]") -> int:
    """The most that one process grew by, once it had loaded its code, in bytes."""
    watching.cancel()
    seen = await watching
    assert seen
    return max(max(sizes) - sizes[min(len(sizes) - 1, 25)] for sizes in seen.values())
