"""Gather calls made at the same time into one. Stages stay per event; the database sees batches."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from schemas.faults import OutageFault

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """`await batcher(item)` waits until a batch holding the item was handled, and gives back its own result.

    While one batch is being handled the next one gathers. Items with the same key never share a batch, because one
    statement cannot touch a row twice. When a batch fails for any reason but an outage, each item is tried alone, so
    that a bad one does not take its neighbours along; an outage meanwhile ends that for all that are left.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        key: Callable[[T], Hashable],
        size: int = 500,
        pause: float = 0.0,
    ) -> None:
        """`pause`: seconds between the starts of two batches, so that under load each is worth its transaction."""
        self._handle = handle
        self._key = key
        self._size = size
        self._pause = pause
        self._next_at = 0.0
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Hand in one item; raises what handling it raised."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(max(0.0, self._next_at - loop.time()))
            self._next_at = loop.time() + self._pause
            batch = self._take()
            try:
                results = await self._handle([item for item, _ in batch])
                ends = list(zip(batch, results, strict=True))
            except Exception as error:
                await self._one_by_one(batch, error)
            else:
                for (_, future), result in ends:
                    if not future.done():
                        future.set_result(result)

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        seen: set[Hashable] = set()
        batch: list[tuple[T, asyncio.Future[R]]] = []
        later: list[tuple[T, asyncio.Future[R]]] = []
        for item, future in self._waiting:
            if future.done():
                continue
            key = self._key(item)
            if key in seen or len(batch) >= self._size:
                later.append((item, future))
            else:
                seen.add(key)
                batch.append((item, future))
        self._waiting = later
        return batch

    async def _one_by_one(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
        alone = len(batch) == 1 or isinstance(error, OutageFault)
        for item, future in batch:
            if future.done():
                continue
            try:
                if alone:
                    raise error
                future.set_result((await self._handle([item]))[0])
            except Exception as own:
                if isinstance(own, OutageFault):
                    alone, error = True, own
                if not future.done():
                    future.set_exception(own)
