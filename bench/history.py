"""Whether a call costs more as history grows: the whole chain with few and with many known keys, in turns."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bench.chains import Chain, callstream
from bench.feeder import payload
from bench.ground import memory_mb, open_ground
from bench.rounds import Loss, Meter, Numbers
from bench.stored import fill_claims, fill_recordings, known
from bench.throughput import measure
from bench.values import Show, spread
from schemas.calls import RawCall
from schemas.topics import RAW
from streams.io import clock, media
from streams.io.bus import Bus

FEW = 10_000
PROBES = 100
PATIENCE_SECONDS = 1800.0


async def run(events: int, rounds: int, many: int, show: Show) -> Numbers:
    """Fill two libraries, time the first start of dedup over each, then feed both in turns."""
    async with AsyncExitStack() as stack:
        sizes = (min(FEW, many // 10), many)
        chains = {size: await stack.enter_async_context(filled(size, show)) for size in sizes}
        found: dict[str, Numbers] = {
            str(size): {"known": size, "recovery": await recovery(chain, size, show), "rounds": []}
            for size, chain in chains.items()
        }
        for number in range(rounds):
            for size in sizes if number % 2 else reversed(sizes):
                numbers = await measure(chains[size], f"h{number}", events)
                found[str(size)]["rounds"].append(numbers)
                show(f"{size:>9} known, round {number + 1}: {numbers['stored_per_second']} stored/s, dedup "
                     f"{numbers['cpu_seconds']['dedup']} CPU s, {numbers['memory_mb']['dedup']} MB")  # fmt: skip
    for numbers in found.values():
        numbers["stored_per_second"] = spread([each["stored_per_second"] for each in numbers["rounds"]])
        numbers["cpu_us_per_event"] = spread([
            round(1e6 * sum(each["cpu_seconds"].values()) / each["events"]) for each in numbers["rounds"]
        ])  # fmt: skip
        numbers["dedup_mb"] = max(each["memory_mb"]["dedup"] for each in numbers["rounds"])
    return {"few": found[str(sizes[0])], "many": found[str(sizes[1])]}


@asynccontextmanager
async def filled(size: int, show: Show) -> AsyncIterator[Chain]:
    """A stopped callstream that knows so many calls."""
    async with open_ground() as ground:
        chain = await callstream(ground)
        began = time.monotonic()
        await fill_recordings(chain, size)
        await fill_claims(chain, size)
        show(f"{size:>9} known calls filled in within {time.monotonic() - began:.0f} s")
        yield chain


async def recovery(chain: Chain, size: int, show: Show) -> Numbers:
    """Seconds from the start of all workers, dedup without its folder, until it has skipped calls that it must know."""
    probes = [known(number * (size // PROBES)) for number in range(PROBES)]
    bus = Bus(chain.ground.kafka, media.open_media(chain.settings), source="bench")
    async with Meter(chain) as meter:
        completed, skipped = await meter.ends(chain.completed), await meter.ends(chain.skipped or "")
        for name in probes:
            await bus.publish(RAW, _raw(chain, name))
        await bus.stop()
        began = time.monotonic()
        await chain.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (
                    await meter.grown(chain.skipped, skipped) + await meter.grown(chain.completed, completed) < PROBES
                ):
                    await asyncio.sleep(0.05)
            took = round(time.monotonic() - began, 1)
            passed = await meter.grown(chain.completed, completed)
            if passed:
                raise Loss(f"dedup let {passed} of {PROBES} known calls through.")
            memory = round(memory_mb(chain.supervisor.pids("dedup")))
        finally:
            await chain.stop()
    show(f"{size:>9} known: first event {took} s after the start, dedup {memory} MB")
    return {"start_to_first_event_seconds": took, "dedup_mb": memory}


def _raw(chain: Chain, external_id: str) -> RawCall:
    now = clock.now()
    return RawCall(
        event_id=clock.new_id(), workspace_id=chain.ground.workspace_id, source_app="generic",
        external_id=external_id, observed_at=now, received_at=now,
        payload=payload(external_id, random.Random(external_id)),
    )  # fmt: skip
