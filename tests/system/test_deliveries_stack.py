"""The whole chain with two audits, one of them killed again and again: every stored call is told, signed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.fakes.receiver import Receiver, receiving
from tests.servers import Servers
from tests.stack import Stack, start_stack, until
from tests.system.api_harness import GENERIC

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
CALLS = 60


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Who is told."""
    async with receiving() as running:
        yield running


@pytest.fixture
async def told_stack(receiver: Receiver, quiet: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """A stack that may post to the receiver."""
    env = {"CALLSTREAM_WEBHOOK_ALLOW_HOSTS": receiver.host}
    stack = await asyncio.to_thread(start_stack, tmp_path, quiet["kafka"], servers=quiet, env=env)
    try:
        yield stack
    finally:
        await stack.close_pools()
        await asyncio.to_thread(stack.stop)


async def test_every_stored_call_is_told_although_the_audit_is_killed(told_stack: Stack, receiver: Receiver) -> None:
    stack = told_stack
    other = await asyncio.to_thread(stack.add, "audit", "audit-2")
    async with stack.client() as client:
        made = (await client.post("/api/webhook-subscriptions", json={"url": receiver.url()})).json()
    calls = [
        stack.raw(f"told-{n}", json.dumps({**GENERIC, "external_id": f"told-{n}"})) for n in range(CALLS)
    ]  # fmt: skip
    bad = stack.raw("told-bad", "{}")
    for begin in range(0, CALLS, 20):
        await stack.publish(*calls[begin : begin + 20])
        await stack.wait_recording(f"told-{begin + 10}")
        stack.kill("audit")
        other.kill("audit")
    await stack.publish(bad)
    wanted = {str(call.event_id) for call in (*calls, bad)}

    async def all_told() -> bool | None:
        return wanted <= {came.json["data"]["event_id"] for came in receiver.came} or None

    await until(all_told, 120, "all calls")
    for came in receiver.came:
        Webhook(made["secret"]).verify(came.body, dict(came.headers))

    async def all_noted() -> bool | None:
        rows = await stack.fetch("SELECT status, count(*) AS n FROM outgoing_deliveries GROUP BY 1")
        return {row["status"]: row["n"] for row in rows} == {"delivered": CALLS + 1} or None

    await until(all_noted, 90, "every delivery noted")
    assert len({came.id for came in receiver.came}) == CALLS + 1, "what comes twice has the same id"
    assert {came.json["type"] for came in receiver.came} == {"import.completed", "import.failed"}
