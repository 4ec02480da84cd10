"""PostgreSQL and Kafka go away and come back: nothing that happened is left untold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from ops.local import Local
from schemas.topics import COMPLETED
from streams.deliveries import TOPICS
from streams.io.places import open_places
from tests.fakes.receiver import Came, Receiver, receiving
from tests.servers import addresses_of
from tests.stack import Stack, start_stack, until
from tests.system.deliveries_harness import completed_event

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Who is told."""
    async with receiving() as running:
        yield running


@pytest.fixture
async def told_stack(receiver: Receiver, servers: Local, tmp_path: Path) -> AsyncIterator[Stack]:
    """An audit on servers that may be stopped."""
    stack = await asyncio.to_thread(
        start_stack, tmp_path, servers.kafka.bootstrap, roles={"api": 1, "audit": 1}, servers=addresses_of(servers),
        env={"CALLSTREAM_WEBHOOK_ALLOW_HOSTS": receiver.host},
    )  # fmt: skip
    try:
        yield stack
    finally:
        await stack.close_pools()
        await asyncio.to_thread(stack.stop)


async def test_what_happens_around_an_outage_is_told(told_stack: Stack, servers: Local, receiver: Receiver) -> None:
    stack, prefix, hanging, go = told_stack, uuid4().hex[:8], asyncio.Event(), asyncio.Event()

    async def hang(came: Came) -> int:
        hanging.set()
        await go.wait()
        return 200

    async def publish(*names: str) -> None:
        bus = stack.bus()
        for name in names:
            await bus.publish(COMPLETED, completed_event(stack.workspace_id, prefix + name))
        await bus.stop()

    async def told(*names: str) -> bool | None:
        found = {came.json["data"]["external_id"] for came in receiver.came}
        return {prefix + name for name in names} <= found or None

    async def placed() -> bool | None:
        group = f"{stack.settings.group_prefix}-deliveries"
        async with open_places(stack.settings.kafka or "", group, TOPICS) as places:
            return bool(await places.kept()) or None

    await until(placed, 60, "a place of the reader", pause=0.5)
    receiver.answers["/"] = hang
    async with stack.client() as client:
        assert (await client.post("/api/webhook-subscriptions", json={"url": receiver.url()})).status_code == 201
    await publish("warm")
    async with asyncio.timeout(60):
        await hanging.wait()
    await stack.close_pools()
    await asyncio.to_thread(servers.postgres.stop)
    go.set()  # the receiver has it, and that cannot be noted
    await publish("a", "b")
    await asyncio.to_thread(servers.postgres.start)
    await until(lambda: told("warm", "a", "b"), 120, "the calls of the database's outage")
    await asyncio.to_thread(servers.kafka.stop)
    await asyncio.to_thread(servers.kafka.start)
    await publish("c")
    await until(lambda: told("c"), 120, "the call after the broker's outage")

    async def noted() -> bool | None:
        rows = await stack.fetch("SELECT status FROM outgoing_deliveries")
        return (len(rows) == 4 and {row["status"] for row in rows} == {"delivered"}) or None

    await until(noted, 120, "every delivery noted")
