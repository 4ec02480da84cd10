"""Letting go of a consumer never costs us our own cancellation, and never invents one."""

import asyncio
from contextlib import suppress

import pytest

from streams.io.consumers import let_go


class Stopping:
    """As much of aiokafka's consumer as is let go of. It ends its own fetch while it stops, as that one does."""

    def __init__(self, *, raises: bool = False) -> None:
        self.waits, self.raises = asyncio.Event(), raises

    async def stop(self) -> None:
        """Wait for a fetch that is cancelled; whose cancellation it was, nobody asks."""
        self.waits.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0 if self.raises else 3600)
        if self.raises:
            raise asyncio.CancelledError


async def test_a_cancellation_that_the_consumer_takes_for_its_own_is_made_good() -> None:
    consumer = Stopping()
    task = asyncio.create_task(let_go(consumer))
    await consumer.waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_is_the_consumers_own_does_not_come_through() -> None:
    await asyncio.create_task(let_go(Stopping(raises=True)))
