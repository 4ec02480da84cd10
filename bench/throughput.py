"""The whole chain: callstream, the naive Faust chain and the bare aiokafka chain in turns on the same servers."""

from collections.abc import Awaitable, Callable

from bench.chains import Chain, callstream, other
from bench.ground import Ground, open_ground
from bench.rounds import Numbers, one_round, warm_up
from bench.values import Show, spread

NAIVE, BARE = "naive", "bare"


async def run(events: int, rounds: int, show: Show) -> Numbers:
    """`rounds` rounds of each chain, the order turned each time."""
    async with open_ground() as ground:
        ours = await callstream(ground)
        found: dict[str, list[Numbers]] = {"callstream": [], NAIVE: [], BARE: []}
        make: dict[str, Callable[[Ground, int], Awaitable[Chain]]] = {
            "callstream": lambda _ground, _number: _same(ours),
            NAIVE: lambda ground, number: other(ground, NAIVE, "naive_faust", number),
            BARE: lambda ground, number: other(ground, BARE, "bare_aiokafka", number),
        }
        names = list(make)
        for number in range(rounds):
            for name in names[number % 3 :] + names[: number % 3]:
                chain = await make[name](ground, number)
                numbers = await measure(chain, f"t{number}", events)
                found[name].append(numbers)
                show(f"{name:<10} round {number + 1}: {numbers['stored_per_second']} stored/s, "
                     f"{numbers['raw_per_second']} raw/s, load before {numbers['load_before'][0]}")  # fmt: skip
    return {name: {**summary(every), "rounds": every} for name, every in found.items()}


async def _same(chain: Chain) -> Chain:
    return chain


async def measure(chain: Chain, prefix: str, events: int) -> Numbers:
    """Start a chain, warm it up, measure it, stop it."""
    await chain.start()
    try:
        await warm_up(chain, prefix)
        return await one_round(chain, prefix, events)
    finally:
        await chain.stop()


def summary(rounds: list[Numbers]) -> Numbers:
    """Medians and spreads of the rounds, and the sums of what must be right in all of them."""
    return {
        "stored_per_second": spread([numbers["stored_per_second"] for numbers in rounds]),
        "raw_per_second": spread([numbers["raw_per_second"] for numbers in rounds]),
        **{key: sum(numbers[key] for numbers in rounds) for key in ("calls", "stored", "completed", "completed_again")},
    }
