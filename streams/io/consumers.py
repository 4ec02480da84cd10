"""Letting go of a consumer of aiokafka's."""

import asyncio
from typing import Any


async def let_go(consumer: Any) -> None:
    """Stop a consumer. After an outage `stop()` may raise its own fetch's cancellation, as if we were cancelled; and if
    we are cancelled while it waits for that fetch to end, it takes our cancellation for its own, which is made good."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if task is not None and task.cancelling():
            raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
