"""Live events of callstream as a whole: every role a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Broker
from tests.stack import Stack, start_stack
from tests.system.live_harness import Reader

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@asynccontextmanager
async def reading(stack: Stack) -> AsyncIterator[Reader]:
    """An open stream of the stack's own API."""
    async with stack.client() as client, client.stream("GET", "/api/events") as answer:
        assert answer.status_code == 200, await answer.aread()
        reader = Reader(answer)
        task = asyncio.create_task(reader.run())
        try:
            await reader.opened()
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_an_upload_is_seen_from_its_beginning_to_its_end(stack: Stack) -> None:
    mark = str(uuid4())
    good = [f"WEBVTT\n\n00:00.000 --> 00:02.000\n<v Mila>{mark} {n % 2}\n".encode() for n in range(3)]
    files = [("file", (f"{n}-{mark}.vtt", data, "text/vtt")) for n, data in enumerate([*good, b"WEBVTT\n\nnothing\n"])]
    async with reading(stack) as stream, stack.client() as client:
        made = (await client.post("/api/uploads", files=files)).json()
        states, outcomes = [], []
        while not states or states[-1]["status"] not in {"completed", "partial", "failed"}:
            event = await stream.next()
            if event.data.get("id") == made["job_id"]:
                states.append(event.data)
            elif event.data.get("job_id") == made["job_id"]:
                outcomes.append(event.name)
        asked = (await client.get(f"/api/imports/{made['job_id']}")).json()
        library = (await client.get("/api/calls")).json()["items"]
    assert {name: asked[name] for name in states[-1]} == states[-1]
    processed = [state["processed_calls"] for state in states]
    assert processed == sorted(processed)
    assert outcomes.count("import.completed") == states[-1]["imported_calls"] > 0
    assert made["job_id"] in {call["import_job_id"] for call in library}


async def test_a_process_stops_cleanly_although_streams_are_open(broker: Broker, tmp_path: Path) -> None:
    stack = await asyncio.to_thread(start_stack, tmp_path, broker.bootstrap, roles={"api": 1})
    try:
        async with reading(stack) as stream:
            await asyncio.to_thread(stack.pause, "api")
            assert await stream.next_or_end() is None
        assert "Cancel" not in stack.logs()
    finally:
        await asyncio.to_thread(stack.stop)
