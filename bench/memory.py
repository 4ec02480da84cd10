"""Memory of each worker over a long steady load."""

import asyncio
import time

from bench.chains import Chain, callstream
from bench.ground import memory_mb, open_ground
from bench.rounds import Loss, Numbers, feeder, order_for, until_stored
from bench.values import Show, slope

RATE = 200
EVERY_SECONDS = 5.0
START_SECONDS = 60.0


async def run(minutes: float, show: Show) -> Numbers:
    """Sample the resident memory while calls come at a steady rate; all must be stored in the end."""
    async with open_ground() as ground:
        chain = await callstream(ground, api=True)
        await chain.start()
        try:
            order = order_for(chain, "m", int(RATE * 60 * minutes), RATE)
            samples: list[tuple[float, dict[str, float]]] = []
            async with feeder(order) as feed:
                await feed.go()
                began = time.monotonic()
                while (now := time.monotonic() - began) < 60 * minutes:
                    samples.append((now, _sample(chain)))
                    if len(samples) % 60 == 1:
                        show(f"{now / 60:5.1f} min: {samples[-1][1]}")
                    await asyncio.sleep(EVERY_SECONDS)
                told = await feed.told()
            await until_stored(chain, "m", order.events // 2)
            if any(count > 1 for count in chain.supervisor.starts().values()):
                raise Loss(f"A worker was started again: {dict(chain.supervisor.starts())}")
            return {
                "minutes": minutes,
                "rate": RATE,
                "fed_in_seconds": round(told["acked"] - told["first"], 1),
                "behind_seconds": round(time.monotonic() - told["acked"], 1),
                "stored": order.events // 2,
                "workers": summary(samples, min(START_SECONDS, 60 * minutes / 3)),
            }
        finally:
            await chain.stop()


def _sample(chain: Chain) -> dict[str, float]:
    return {role: round(memory_mb(pids), 1) for role, pids in chain.pids().items()}


def summary(samples: list[tuple[float, dict[str, float]]], start: float) -> Numbers:
    """Per worker, MB after `start` seconds and at the end, the most, and the slope in MB an hour over the second half,
    when every cache has filled."""
    late = [each for each in samples if each[0] >= start] or samples
    half = samples[len(samples) // 2 :]
    found = {}
    for role in samples[0][1]:
        rise = slope([at for at, _ in half], [sizes[role] for _, sizes in half])
        found[role] = {
            "start_mb": late[0][1][role],
            "end_mb": late[-1][1][role],
            "most_mb": max(sizes[role] for _, sizes in samples),
            "slope_mb_per_hour": round(rise * 3600, 1),
        }
    return found
