"""The limit to compare with: aiokafka alone, in batches, with the claims in memory.

`python -m bench.bare_aiokafka pipeline|dedup|transcribe`. Four hops in three processes, split as callstream's roles
are: get many, work on all, send all, wait for the broker, commit. No Faust, no restart that loses no claim.
BENCH_TOPICS is the prefix of its topics.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench import plain

TOPICS = plain.topics_of(os.environ.get("BENCH_TOPICS", "bench.bare"))
Out = tuple[bytes, bytes]
Handle = Callable[[Sequence[Any]], Awaitable[list[Out]]]


async def hop(reads: str, writes: str, handle: Handle) -> None:
    """Read `reads` in batches and write what `handle` makes of them to the same partitions of `writes`."""
    bootstrap = os.environ["CALLSTREAM_KAFKA"]
    consumer = AIOKafkaConsumer(
        reads, bootstrap_servers=bootstrap, group_id=f"{reads}-hop", enable_auto_commit=False,
        auto_offset_reset="earliest", max_partition_fetch_bytes=4 * 1024 * 1024,
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", compression_type="zstd", max_batch_size=256 * 1024,
        max_request_size=2 * 1024 * 1024,
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    while True:
        found = await consumer.getmany(timeout_ms=200, max_records=2000)
        parts = {tp.partition: await handle(records) for tp, records in found.items()}
        await asyncio.gather(*(_send(producer, writes, number, part) for number, part in parts.items()))
        if found:
            await consumer.commit()


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, events: Sequence[Out]) -> None:
    waiting, batch = [], producer.create_batch()
    for key, value in events:
        if batch.append(key=key, value=value, timestamp=None) is None:
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        waiting.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*waiting)


async def normalize(records: Sequence[Any]) -> list[Out]:
    """The first hop."""
    return [(record.key, plain.normalize(record.value)) for record in records]


async def transcribe(records: Sequence[Any]) -> list[Out]:
    """The third hop: all calls here bring their transcript."""
    return [(record.key, record.value) for record in records]


def dedup() -> Handle:
    """The second hop, with the claims in a dict."""
    claims: dict[bytes, dict[str, str]] = {}

    async def handle(records: Sequence[Any]) -> list[Out]:
        passed = []
        for record in records:
            if record.key not in claims:
                claims[record.key] = plain.claim_of(record.value)
                passed.append((record.key, record.value))
        return passed

    return handle


def persist(pool: asyncpg.Pool) -> Handle:
    """The last hop: one statement a batch."""
    types = ("text", "text", "text", "text", "text", "timestamptz", "bigint", "text", "text")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
    select = plain.COLUMNS.replace("source_metadata", "source_metadata::json")
    insert = (
        f"INSERT INTO calls ({plain.COLUMNS}) SELECT {select} FROM unnest({arrays}) AS c ({plain.COLUMNS}) "
        "ON CONFLICT (workspace_id, source_app, external_id) DO UPDATE SET event_id = excluded.event_id"
    )

    async def handle(records: Sequence[Any]) -> list[Out]:
        rows = [plain.row_of(record.value) for record in records]
        await pool.execute(insert, *(list(column) for column in zip(*rows, strict=True)))
        return [(record.key, plain.completed(row)) for record, row in zip(records, rows, strict=True)]

    return handle


async def run(role: str) -> None:
    """One process of the chain, until it is told to end."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    if role == "pipeline":
        pool = await asyncpg.create_pool(os.environ["CALLSTREAM_DATABASE_URL"], min_size=1, max_size=4)
        await asyncio.gather(
            hop(TOPICS["raw"], TOPICS["normalized"], normalize),
            hop(TOPICS["ready"], TOPICS["completed"], persist(pool)),
        )
    elif role == "dedup":
        await hop(TOPICS["normalized"], TOPICS["unique"], dedup())
    else:
        await hop(TOPICS["unique"], TOPICS["ready"], transcribe)


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1]))
