import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.kept import Kept, nowhere
from schemas.faults import ConfigFault


async def test_a_thing_is_opened_once_and_closed_at_the_end_the_last_first() -> None:
    told: list[str] = []

    def opening(name: str) -> object:
        @asynccontextmanager
        async def opened() -> AsyncIterator[object]:
            told.append(f"open {name}")
            await asyncio.sleep(0)
            yield object()
            told.append(f"close {name}")

        return opened

    kept = Kept()
    async with kept:
        things = await asyncio.gather(*(kept.get("a", opening("a")) for _ in range(3)))  # type: ignore[arg-type]
        assert len(set(map(id, things))) == 1
        assert await kept.get("b", opening("b")) is not things[0]  # type: ignore[arg-type]
    assert told == ["open a", "open b", "close b", "close a"]


async def test_what_could_not_be_opened_is_tried_again() -> None:
    tries: list[int] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        tries.append(1)
        if len(tries) == 1:
            raise OSError
        yield "open"

    async with Kept() as kept:
        with pytest.raises(OSError):
            await kept.get("a", opened)
        assert await kept.get("a", opened) == "open"


async def test_without_a_way_to_check_addresses_nothing_is_connected_to() -> None:
    with pytest.raises(ConfigFault):
        await nowhere("sftp.example.com", 22)
