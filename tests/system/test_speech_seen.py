"""What people see of speech to text, on the whole stack: a call waits, is transcribed, is done, and is counted."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ops.supervise import Supervisor
from tests.stack import Stack, until
from tests.system.test_speech import unlike_any_other, upload

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]


async def callstream(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the settings of the stack."""
    command = [sys.executable, "-m", "ops.cli", *arguments]
    env: Mapping[str, str] = {**os.environ, **stack.env}
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120
    )


async def seen(stack: Stack, name: str) -> dict[str, Any]:
    """A call in its import, as a person sees it."""
    job_id = await stack.value("SELECT job_id FROM job_calls WHERE external_id = $1", name)
    async with stack.client() as client:
        answer = await client.get(f"/api/imports/{job_id}/calls")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = next(call for call in answer.json()["items"] if call["external_id"] == name)
    return found


async def until_seen(stack: Stack, name: str, state: str) -> dict[str, Any]:
    """The call as soon as it is seen in this state."""

    async def look() -> dict[str, Any] | None:
        call = await seen(stack, name)
        return call if call["transcription"] and call["transcription"]["state"] == state else None

    return await until(look, 90, f"{name} {state}")


async def usage(stack: Stack) -> dict[str, Any]:
    """This month's report."""
    async with stack.client() as client:
        answer = await client.get("/api/usage")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_a_call_is_seen_waiting_running_and_done_and_its_minutes_are_counted(stack: Stack) -> None:
    before = await usage(stack)
    await asyncio.to_thread(stack.pause, "transcribe")
    priced: Supervisor | None = None
    try:
        calls = await upload(stack, long__wav=unlike_any_other(12.0))
        name = calls["long__wav"]["external_id"]
        waiting = await until_seen(stack, name, "waiting")
        assert (waiting["status"], waiting["detail"]) == ("pending", "Waiting to be transcribed.")

        stack.openai.control({"delay_seconds": 5})
        prices = {"CALLSTREAM_SPEECH_PRICES": '{"whisper-1": 0.006}'}
        priced = await asyncio.to_thread(lambda: stack.add("transcribe", f"priced-{uuid4().hex[:6]}", **prices))
        running = await until_seen(stack, name, "running")
        assert running["status"] == "pending"
        assert running["detail"].startswith("Being transcribed")
        await stack.wait_recording(name)
        done = await until_seen(stack, name, "done")
        assert done["detail"] is None
        assert done["transcription"]["chunks_done"] == done["transcription"]["chunks_total"]
    finally:
        if priced is not None:
            await asyncio.to_thread(stack.stop_worker, priced)
        await asyncio.to_thread(stack.resume, "transcribe")

    after = await usage(stack)
    assert after["requests"] == before["requests"] + 1
    assert after["transcribed_seconds"] == pytest.approx(before["transcribed_seconds"] + 12, abs=0.5)
    assert after["estimated_cost_usd"] == pytest.approx(before["estimated_cost_usd"] + 0.0012, abs=0.0001)
    assert after["imports"] >= before["imports"] + 1

    shown = await callstream(stack, "usage", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["requests"] == after["requests"]
    table = await callstream(stack, "usage")
    assert f"{after['transcribed_seconds'] / 60:.1f} minutes were transcribed, estimated cost $" in table.stdout
    assert "whisper-1" in table.stdout
    refused = await callstream(stack, "usage", "--from", "soon")
    assert (refused.returncode, "soon" in refused.stderr) == (2, True)
    backwards = await callstream(stack, "usage", "--from", "2026-02-02", "--to", "2026-02-01")
    assert backwards.returncode == 1
    assert "`from` must be earlier than `to`." in backwards.stderr


async def test_doctor_has_a_second_transcribed_unless_told_not_to(stack: Stack) -> None:
    def speech(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        checks: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
        return next(check for check in checks if check["check"] == "Speech to text")

    before = await usage(stack)
    asked = speech(await callstream(stack, "doctor", "--json"))
    assert asked["ok"], asked
    assert "transcribed a second of audio in" in asked["sentence"]
    quiet = speech(await callstream(stack, "doctor", "--json", "--no-speech"))
    assert quiet["ok"]
    assert quiet["sentence"].endswith("; not asked")
    assert (await usage(stack))["requests"] == before["requests"]
