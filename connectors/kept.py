"""What a connector keeps open as long as its `Api` lives, beside HTTP: an SFTP session, a table it has read."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from schemas.faults import ConfigFault

T = TypeVar("T")
Reach = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> the checked addresses it may be connected to. Raises `ConfigFault` or `TransientFault`."""


class Kept:
    """Each thing by its name, opened once and closed at the end of the block, the last one first."""

    def __init__(self) -> None:
        self._things: dict[str, Any] = {}
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def get(self, name: str, opened: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """The thing of this name."""
        async with self._lock:
            if name not in self._things:
                self._things[name] = await self._stack.enter_async_context(opened())
            thing: T = self._things[name]
            return thing

    async def __aenter__(self) -> "Kept":
        """Nothing is open yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        self._things.clear()
        await self._stack.aclose()


async def nowhere(host: str, port: int) -> Sequence[str]:
    """The way to hosts that people name, where nobody has said how their addresses are checked."""
    raise ConfigFault("host_not_reachable", f"callstream may not connect to {host[:253]} from here. Ask its operator.")
