"""Puts raw calls on a topic, in a process of its own: all at once, or so many a second.

`python -m bench.feeder` with its order (`Order`) as JSON on the first line of its input. It prepares, says "ready",
waits for a line, publishes, and says as JSON when the first event was handed over and when the broker had the last one.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from schemas.calls import RawCall
from schemas.topics import RAW
from streams.io import clock
from streams.io.bus import headers_of

BLOCK = 50
"""Calls after which their duplicates come."""
WORDS = tuple(
    word
    for line in (
        "we you they would could about pricing rollout quarter contract renewal meeting please support team question",
        "answer tomorrow maybe budget onboarding security review next week thanks great agree plan export integration",
        "customer feedback product roadmap deadline yes no okay right sure really think know mean want need look see",
    )
    for word in line.split()
)
Record = tuple[bytes, bytes, list[tuple[str, bytes]]]


def producer_settings(bootstrap: str) -> dict[str, Any]:
    """A producer's settings: acknowledged by all replicas, compressed as callstream compresses."""
    return {
        "bootstrap_servers": bootstrap,
        "acks": "all",
        "linger_ms": 5,
        "compression_type": "zstd",
        "max_batch_size": 256 * 1024,
        "max_request_size": 2 * 1024 * 1024,
    }


@dataclass(frozen=True)
class Order:
    """What to publish: `events` raw calls, half of them duplicates, with external ids that begin with `prefix`."""

    bootstrap: str
    topic: str
    partitions: int
    workspace_id: str
    prefix: str
    events: int
    rate: float = 0
    """Events a second. 0: as fast as it goes."""

    def line(self) -> bytes:
        """As the feeder's first line of input."""
        return json.dumps(asdict(self)).encode() + b"\n"


def transcript(chance: random.Random, size: int = 2048) -> str:
    """Words, about so many characters of them."""
    words: list[str] = []
    length = 0
    while length < size:
        word = chance.choice(WORDS)
        words.append(word)
        length += len(word) + 1
    return " ".join(words)


def payload(external_id: str, chance: random.Random) -> str:
    """A generic call of 2 KB."""
    call = {
        "external_id": external_id,
        "title": f"Call {external_id}",
        "recording_start_time": "2026-03-02T10:00:00Z",
        "duration_seconds": 1800,
        "full_transcript": transcript(chance),
        "metadata": {"team": "sales", "region": "north"},
    }
    return json.dumps(call)


def external_ids(prefix: str, events: int) -> Iterator[str]:
    """The external ids in their order: a block of new calls, then the same calls again, and so on."""
    for begin in range(0, events // 2, BLOCK):
        block = [f"{prefix}-{number:07d}" for number in range(begin, min(begin + BLOCK, events // 2))]
        yield from block
        yield from block


def records(order: Order) -> Iterator[Record]:
    """The records to publish, one by one."""
    chance = random.Random(order.prefix)
    payloads: dict[str, str] = {}
    for external_id in external_ids(order.prefix, order.events):
        text = payloads.pop(external_id, None)
        if text is None:
            text = payloads[external_id] = payload(external_id, chance)
        now = clock.now()
        call = RawCall(
            event_id=clock.new_id(), workspace_id=UUID(order.workspace_id), source_app="generic",
            external_id=external_id, observed_at=now, received_at=now, payload=text,
        )  # fmt: skip
        yield call.key, call.model_dump_json().encode(), headers_of(RAW, call, "bench")


async def all_at_once(order: Order, producer: AIOKafkaProducer) -> dict[str, float]:
    """Publish as fast as it goes, in batches made beforehand."""
    batches: dict[int, list[Any]] = {number: [] for number in range(order.partitions)}
    for key, value, headers in records(order):
        mine = batches[(murmur2(key) & 0x7FFFFFFF) % order.partitions]
        if not mine or mine[-1].append(key=key, value=value, timestamp=None, headers=headers) is None:
            mine.append(producer.create_batch())
            mine[-1].append(key=key, value=value, timestamp=None, headers=headers)
    await _go()
    first, used = time.monotonic(), time.process_time()

    async def send(partition: int, mine: Sequence[Any]) -> None:
        waiting = [await producer.send_batch(batch, order.topic, partition=partition) for batch in mine]
        await asyncio.gather(*waiting)

    await asyncio.gather(*(send(number, mine) for number, mine in batches.items()))
    return {"first": first, "acked": time.monotonic(), "cpu_seconds": time.process_time() - used}


async def at_a_rate(order: Order, producer: AIOKafkaProducer) -> dict[str, float]:
    """Publish so many a second, by the clock."""
    await _go()
    first, used = time.monotonic(), time.process_time()
    waiting = []
    for number, (key, value, headers) in enumerate(records(order)):
        wait = first + number / order.rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        waiting.append(await producer.send(order.topic, key=key, value=value, headers=headers))
        if len(waiting) > 5000:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    return {"first": first, "acked": time.monotonic(), "cpu_seconds": time.process_time() - used}


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    """Do what the first line of input orders."""
    order = Order(**json.loads(sys.stdin.readline()))
    producer = AIOKafkaProducer(**producer_settings(order.bootstrap))
    await producer.start()
    try:
        said = await (at_a_rate if order.rate else all_at_once)(order, producer)
    finally:
        await producer.stop()
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
