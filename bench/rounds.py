"""One round: put N raw calls in, wait until the last one is through, and count what came of them."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.chains import ROOT, Chain, connected
from bench.feeder import Order
from bench.ground import PARTITIONS, cpu_seconds, memory_mb

Numbers = dict[str, Any]
POLL_SECONDS = 0.05
STUCK_SECONDS = 60.0
WARM_UP = 1000


class Loss(Exception):
    """A chain did not do what it is measured for: the numbers would mean nothing."""


class Meter:
    """Reads how far a chain's last topics have grown."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._consumer: Any = None

    async def __aenter__(self) -> "Meter":
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._chain.ground.kafka, max_partition_fetch_bytes=4 * 1024 * 1024
        )
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def ends(self, topic: str) -> dict[Any, int]:
        """The end of each partition."""
        ends: dict[Any, int] = await self._consumer.end_offsets(
            [TopicPartition(topic, number) for number in range(PARTITIONS)]
        )
        return ends

    async def grown(self, topic: str | None, since: dict[Any, int]) -> int:
        """How many records came since."""
        if topic is None:
            return 0
        return sum((await self.ends(topic)).values()) - sum(since.values())

    async def completed_since(self, since: dict[Any, int], prefix: str) -> Counter[str]:
        """How often each call of a round is said to be completed."""
        found: Counter[str] = Counter()
        ends = {tp: end for tp, end in (await self.ends(self._chain.completed)).items() if end > since[tp]}
        if not ends:
            return found
        self._consumer.assign(list(ends))
        for tp in ends:
            self._consumer.seek(tp, since[tp])
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                found.update(json.loads(record.value)["external_id"] for record in records)
        return Counter({name: times for name, times in found.items() if name.startswith(f"{prefix}-")})


class Feeder:
    """A feeder's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def go(self) -> None:
        """Let it publish."""
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        await self.process.stdin.drain()

    async def told(self) -> dict[str, float]:
        """What it says at its end."""
        assert self.process.stdout
        line = await self.process.stdout.readline()
        if not line:
            raise Loss("The feeder ended before it had published everything.")
        said: dict[str, float] = json.loads(line)
        return said


@asynccontextmanager
async def feeder(order: Order) -> AsyncIterator[Feeder]:
    """A feeder that has prepared everything and waits for `go`."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.feeder", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=env
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(order.line())
        await process.stdin.drain()
        if await process.stdout.readline() != b"ready\n":
            raise Loss("The feeder did not get ready.")
        yield Feeder(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def order_for(chain: Chain, prefix: str, events: int, rate: float = 0) -> Order:
    """The order for a chain's feeder."""
    events -= events % 2
    return Order(
        chain.ground.kafka, chain.raw, PARTITIONS, str(chain.ground.workspace_id), prefix, events, rate
    )  # fmt: skip


async def warm_up(chain: Chain, prefix: str, events: int = WARM_UP) -> None:
    """A small round that does not count, so that every connection stands and every module is loaded."""
    await one_round(chain, f"warm{prefix}", events)


async def one_round(chain: Chain, prefix: str, events: int) -> Numbers:
    """Put `events` raw calls on the topic as fast as it goes; return times, rates, CPU and the counts.

    The round is over when each call's completed event is there (which follows the commit of its row), and for
    callstream also the outcome of each duplicate. Raises `Loss` when a call is missing.
    """
    order = order_for(chain, prefix, events)
    calls = order.events // 2
    load = os.getloadavg()
    async with Meter(chain) as meter, feeder(order) as feed:
        since = await meter.ends(chain.completed)
        since_skipped = await meter.ends(chain.skipped) if chain.skipped else {}
        cpu = usage(chain)
        await feed.go()
        stored_at, over_at = await _watch(chain, meter, since, since_skipped, calls)
        cpu = {name: round(used - cpu[name], 2) for name, used in usage(chain).items()}
        told = await feed.told()
        cpu["feeder"] = round(told["cpu_seconds"], 2)
        found = await meter.completed_since(since, prefix)
    rows = await stored(chain, prefix)
    numbers = {
        "events": order.events,
        "calls": calls,
        "stored": rows,
        "completed": len(found),
        "completed_again": sum(found.values()) - len(found),
        "seconds": round(over_at - told["first"], 3),
        "stored_seconds": round(stored_at - told["first"], 3),
        "feed_seconds": round(told["acked"] - told["first"], 3),
        "raw_per_second": round(order.events / (over_at - told["first"])),
        "stored_per_second": round(calls / (stored_at - told["first"])),
        "cpu_seconds": cpu,
        "memory_mb": {role: round(memory_mb(pids)) for role, pids in chain.pids().items()},
        "load_before": [round(each, 2) for each in load],
    }
    check(chain, numbers)
    return numbers


def check(chain: Chain, numbers: Numbers) -> None:
    """Raise `Loss` unless every call is stored, and said to be, exactly as often as it should."""
    if numbers["stored"] != numbers["calls"] or numbers["completed"] != numbers["calls"]:
        said = "\n".join(chain.said[-30:])
        raise Loss(
            f"{chain.name}: of {numbers['calls']} calls {numbers['stored']} are stored and {numbers['completed']} "
            f"are said to be.\n{said}"
        )


async def _watch(
    chain: Chain, meter: Meter, since: dict[Any, int], since_skipped: dict[Any, int], calls: int
) -> tuple[float, float]:
    """When the last call was stored, and when the last duplicate was told of too."""
    stored_at = 0.0
    last, moved_at = (-1, -1), time.monotonic()
    while True:
        done = await meter.grown(chain.completed, since)
        skipped = await meter.grown(chain.skipped, since_skipped) if chain.skipped else calls
        now = time.monotonic()
        if done >= calls and not stored_at:
            stored_at = now
        if done >= calls and skipped >= calls:
            return stored_at, now
        if (done, skipped) != last:
            last, moved_at = (done, skipped), now
        elif now - moved_at > STUCK_SECONDS:
            return stored_at or now, now  # the counts will show it
        await asyncio.sleep(POLL_SECONDS)


async def stored(chain: Chain, prefix: str) -> int:
    """How many calls of a round are in the table."""
    sql = f"SELECT count(*) FROM {chain.table} WHERE external_id >= $1 AND external_id < $2"
    async with connected(chain.database_url) as connection:
        rows: int = await connection.fetchval(sql, f"{prefix}-", f"{prefix}-~")
    return rows


async def until_stored(chain: Chain, prefix: str, calls: int) -> None:
    """Wait until so many calls of a round are in the table. Raises `Loss` when their number stands still before."""
    last, moved_at = -1, time.monotonic()
    while (rows := await stored(chain, prefix)) < calls:
        if rows != last:
            last, moved_at = rows, time.monotonic()
        elif time.monotonic() - moved_at > STUCK_SECONDS:
            raise Loss(f"{chain.name}: of {calls} calls {rows} are stored, and no more come.")
        await asyncio.sleep(0.2)
    if rows > calls:
        raise Loss(f"{chain.name}: {rows} calls are stored, more than the {calls} that there are.")


def usage(chain: Chain) -> dict[str, float]:
    """CPU seconds so far, by role and of the servers."""
    roles = {role: cpu_seconds(list(pids)) for role, pids in chain.pids().items()}
    return roles | chain.ground.server_seconds()
