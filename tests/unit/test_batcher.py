"""The batcher: one result each, no key twice in a batch, a bad one alone, nothing lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.faults import InvalidCall, OutageFault
from streams.io.batcher import Batcher


@dataclass
class Store:
    """What is behind a batcher: `key:number` items; doubles as the record of what it was asked."""

    batches: list[list[str]] = field(default_factory=list)
    bad: frozenset[str] = frozenset()
    away: int = 0
    """That many batches meet an outage first."""
    pause: int = 1
    gate: asyncio.Event | None = None

    async def __call__(self, items: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(items))
        for _ in range(self.pause):
            await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            self.away -= 1
            raise OutageFault("database_away", "PostgreSQL cannot be reached.")
        for item in items:
            if item in self.bad:
                raise InvalidCall("bad", item)
        return [f"stored {item}" for item in items]


def batcher(store: Store, size: int = 500) -> Batcher[str, str]:
    return Batcher(store, lambda item: item.split(":")[0], size)


async def outcomes(batch: Batcher[str, str], items: Sequence[str]) -> list[str | BaseException]:
    return await asyncio.gather(*(batch(item) for item in items), return_exceptions=True)


async def test_calls_made_at_the_same_time_become_one_batch_and_each_gets_its_own_result() -> None:
    store = Store()
    assert await outcomes(batcher(store), ["a:1", "b:1", "c:1"]) == ["stored a:1", "stored b:1", "stored c:1"]
    assert store.batches == [["a:1", "b:1", "c:1"]]


async def test_while_one_batch_is_handled_the_next_one_gathers() -> None:
    store = Store(gate=asyncio.Event())
    batch = batcher(store)
    first = asyncio.create_task(batch("a:1"))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(batch(item)) for item in ("b:1", "c:1")]
    await asyncio.sleep(0.01)
    assert store.batches == [["a:1"]]
    assert store.gate is not None
    store.gate.set()
    assert await asyncio.gather(first, *rest) == ["stored a:1", "stored b:1", "stored c:1"]
    assert store.batches == [["a:1"], ["b:1", "c:1"]]


async def test_items_of_the_same_key_go_one_after_the_other_in_their_order() -> None:
    store = Store()
    await outcomes(batcher(store), ["a:1", "a:2", "b:1", "a:3"])
    assert store.batches == [["a:1", "b:1"], ["a:2"], ["a:3"]]


async def test_a_batch_has_a_greatest_size() -> None:
    store = Store()
    await outcomes(batcher(store, size=4), [f"k{n}:1" for n in range(10)])
    assert [len(items) for items in store.batches] == [4, 4, 2]


async def test_a_bad_item_does_not_take_its_neighbours_along() -> None:
    store = Store(bad=frozenset({"b:1"}))
    results = await outcomes(batcher(store), ["a:1", "b:1", "c:1"])
    assert [str(result) for result in results] == ["stored a:1", "b:1", "stored c:1"]
    assert isinstance(results[1], InvalidCall)
    assert store.batches == [["a:1", "b:1", "c:1"], ["a:1"], ["b:1"], ["c:1"]]


async def test_an_outage_fails_all_at_once_and_the_next_try_works() -> None:
    store = Store(away=1)
    batch = batcher(store)
    results = await outcomes(batch, ["a:1", "b:1", "c:1"])
    assert [type(result) for result in results] == [OutageFault] * 3
    assert len(store.batches) == 1, "nobody is tried alone against a database that is away"
    assert await outcomes(batch, ["a:1", "b:1"]) == ["stored a:1", "stored b:1"]


async def test_an_outage_while_items_are_tried_alone_ends_that_for_all_that_are_left() -> None:
    store = Store(bad=frozenset({"a:1"}))
    handle = store.__call__

    async def falls_over(items: Sequence[str]) -> Sequence[str]:
        store.away = int(items == ["b:1"])
        return await handle(items)

    results = await outcomes(Batcher(falls_over, lambda item: item), ["a:1", "b:1", "c:1", "d:1"])
    assert [type(result) for result in results] == [InvalidCall, OutageFault, OutageFault, OutageFault]
    assert store.batches[1:] == [["a:1"], ["b:1"]]


async def test_whoever_gives_up_is_left_out_and_nobody_else_notices() -> None:
    store = Store(gate=asyncio.Event())
    batch = batcher(store)
    first = asyncio.create_task(batch("a:1"))
    await asyncio.sleep(0.01)
    gone, stays = asyncio.create_task(batch("b:1")), asyncio.create_task(batch("c:1"))
    await asyncio.sleep(0.01)
    gone.cancel()
    first.cancel()
    assert store.gate is not None
    store.gate.set()
    assert await stays == "stored c:1"
    assert store.batches == [["a:1"], ["c:1"]]
    assert await batch("d:1") == "stored d:1"


async def test_the_wrong_number_of_results_is_an_error_and_not_an_endless_wait() -> None:
    async def forgetful(items: Sequence[str]) -> Sequence[str]:
        return [f"stored {item}" for item in items][: 1 if len(items) == 1 and items != ["b:1"] else 0]

    async with asyncio.timeout(20):
        results = await outcomes(Batcher(forgetful, lambda item: item), ["a:1", "b:1"])
    assert results[0] == "stored a:1"
    assert isinstance(results[1], Exception)


async def test_bugs_come_out_where_they_were_called() -> None:
    async def broken(items: Sequence[str]) -> Sequence[str]:
        raise ZeroDivisionError

    batch = Batcher(broken, lambda item: item)
    with pytest.raises(ZeroDivisionError):
        await batch("a:1")
    with pytest.raises(ZeroDivisionError):
        await batch("a:1")


ITEMS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)).map(lambda pair: f"{pair[0]}:{pair[1]}"))


@given(
    ITEMS,
    st.frozensets(st.sampled_from(["a:1", "b:2", "c:3"])),
    st.lists(st.integers(0, 3), max_size=40),
    st.sets(st.integers(0, 40)),
    st.integers(1, 6),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_whatever_comes_everyone_gets_their_own_end(
    items: list[str], bad: frozenset[str], waits: list[int], gone: set[int], size: int, away: int
) -> None:
    async def play() -> None:
        store = Store(bad=bad, away=away)
        batch = batcher(store, size)
        tasks: list[asyncio.Task[str]] = []
        for number, item in enumerate(items):
            tasks.append(asyncio.create_task(batch(item)))
            for _ in range(waits[number] if number < len(waits) else 0):
                await asyncio.sleep(0)
            if number in gone:
                tasks[number // 2].cancel()
        async with asyncio.timeout(20):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for batched in store.batches:
            keys = [item.split(":")[0] for item in batched]
            assert len(keys) == len(set(keys)) <= size
        outages = 0
        for item, result in zip(items, results, strict=True):
            match result:
                case str():
                    assert result == f"stored {item}"
                    assert item not in bad
                case InvalidCall():
                    assert str(result) == item
                    assert item in bad
                case OutageFault():
                    outages += 1
                case asyncio.CancelledError():
                    assert gone
                case _:
                    raise AssertionError(result)
        assert outages == 0 or away

    with asyncio.Runner() as loop:
        loop.run(play())
