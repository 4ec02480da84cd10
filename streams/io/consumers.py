"""Letting go of a consumer of aiokafka's."""

import asyncio
from typing import Any


async def let_go(consumer: Any) -> None:
    """Stop a consumer. After an outage `stop()` may raise its own fetch's cancellation, as if we were cancelled."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
