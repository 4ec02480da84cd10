"""Topics, followed from known positions by a plain consumer without a group: it commits nothing and disturbs nobody.

The caller owns the positions and moves them with every record it has dealt with, so that after an outage the next
`follow` goes on exactly there. Partitions are assigned by us: aiokafka forgets its own positions when their number
changes.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiokafka
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.dead_letter import Headers
from schemas.faults import OutageFault
from streams.io.archive import broker_outages, partitions
from streams.io.consumers import let_go

Place = tuple[str, int]
"""Topic and partition."""
Positions = dict[Place, int]
"""Per partition, the next offset to read."""

ASK_SECONDS: Final = 3.0
"""So often the broker is asked whether it is still there, and for new partitions: silence alone does not say so."""
REQUEST_MS: Final = 10_000
FETCH_BYTES: Final = 1024**2
RECORDS: Final = 500
LEADER_TRIES: Final = 5
"""A new leader may not know for a moment what the old one gave out."""


class ExpiredError(LookupError):
    """What lies between the positions is not there any more, or never was."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record, where it lies and when it was published."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order of each partition. `gap`: before them, some were missed for good."""

    records: Sequence[Seen]
    gap: bool = False


async def follow(kafka: str, topics: Sequence[str], positions: Positions) -> AsyncGenerator[Batch, None]:
    """What comes on these topics, without end. The first batch is empty and says that we are connected.

    Empty `positions` are filled with the topics' ends; partitions that appear later are read from their beginning.
    Raises `OutageFault` when the broker goes away: follow again with the same positions.
    """
    loop = asyncio.get_running_loop()
    with broker_outages():
        async with _consumer(kafka, topics) as consumer:
            yield Batch((), await _assign(consumer, topics, positions))
            asked = loop.time()
            while True:
                gap = False
                try:
                    found = await consumer.getmany(timeout_ms=1_000, max_records=RECORDS)
                except OffsetOutOfRangeError:
                    found, gap = {}, await _assign(consumer, topics, positions)
                if loop.time() - asked >= ASK_SECONDS:
                    ends = await consumer.end_offsets(list(consumer.assignment()))
                    if set(ends) != set(_parts(consumer, topics)):
                        gap = await _assign(consumer, topics, positions) or gap
                        found = {}  # they come again: their positions have not moved
                    asked = loop.time()
                records = [each for each in _in_order(found) if each.offset >= positions[each.place]]
                if records or gap:
                    yield Batch(records, gap)


async def read(kafka: str, start: Mapping[Place, int], end: Mapping[Place, int]) -> AsyncGenerator[Seen, None]:
    """The records from `start` up to `end`, those of a partition in their order; a partition that `start` does not name
    from its beginning. Raises `ExpiredError` before the first one when they are not all there, and `OutageFault`."""
    topics = sorted({topic for topic, _ in end})
    with broker_outages():
        async with _consumer(kafka, topics) as consumer:
            parts = _parts(consumer, topics)
            begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
            left: Positions = {}
            for part in parts:
                place = (part.topic, part.partition)
                since, before = start.get(place, 0), end.get(place, 0)
                if since > ends[part] or since < min(begins[part], before):
                    raise ExpiredError(place)
                if since < before:
                    left[place] = since
            if set(start) - {(part.topic, part.partition) for part in parts}:
                raise ExpiredError("partitions")
            if not left:
                return
            consumer.assign([TopicPartition(*place) for place in left])
            for place, offset in left.items():
                consumer.seek(TopicPartition(*place), offset)
            while left:
                try:
                    found = await consumer.getmany(timeout_ms=500, max_records=RECORDS)
                except OffsetOutOfRangeError:
                    raise ExpiredError("gone meanwhile") from None
                for record in _in_order(found):
                    if record.offset < end[record.place]:
                        yield record
                for place in list(left):
                    if await consumer.position(TopicPartition(*place)) >= end[place]:
                        del left[place]


async def first_times(kafka: str, positions: Mapping[Place, int]) -> dict[Place, int]:
    """When the record at each position was published, in milliseconds, for those that can be had quickly. Raises
    `OutageFault`."""
    found: dict[Place, int] = {}
    if not positions:
        return found
    with broker_outages():
        async with _consumer(kafka, sorted({topic for topic, _ in positions}), fetch_bytes=1) as consumer:
            consumer.assign([TopicPartition(*place) for place in positions])
            for place, offset in positions.items():
                consumer.seek(TopicPartition(*place), offset)
            for _ in range(len(positions)):
                left = [TopicPartition(*place) for place in positions if place not in found]
                try:
                    got = await consumer.getmany(*left, timeout_ms=500, max_records=1) if left else {}
                except OffsetOutOfRangeError:
                    break
                if not got:
                    break
                found |= {(part.topic, part.partition): records[0].timestamp for part, records in got.items()}
    return found


async def _assign(consumer: Any, topics: Sequence[str], positions: Positions) -> bool:
    """Put the consumer where `positions` say, on every partition there is now. True: a position was not there."""
    first, gap = not positions, False
    for tries in range(LEADER_TRIES):
        parts = _parts(consumer, topics)
        if not all(any(part.topic == topic for part in parts) for topic in topics):
            raise OutageFault("topics_missing", "Kafka has not got all topics. Run `callstream topics`.")
        if set(positions) - {(part.topic, part.partition) for part in parts}:
            raise OutageFault("broker_away", "Kafka does not know all partitions at the moment.")
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        ahead = [part for part in parts if positions.get((part.topic, part.partition), 0) > ends[part]]
        if not ahead:
            break
        if tries < LEADER_TRIES - 1:
            await asyncio.sleep(0.5)
    for part in parts:
        place = (part.topic, part.partition)
        if place not in positions:
            positions[place] = ends[part] if first else begins[part]
        elif not begins[part] <= positions[place] <= ends[part]:
            positions[place], gap = ends[part], True
    consumer.assign(parts)
    for part in parts:
        consumer.seek(part, positions[part.topic, part.partition])
    return gap


def _parts(consumer: Any, topics: Sequence[str]) -> list[TopicPartition]:
    return [part for topic in topics for part in partitions(consumer, topic)]


def _in_order(found: Mapping[TopicPartition, Sequence[Any]]) -> Iterator[Seen]:
    """The records of one fetch by time, as far as the order of a partition allows."""
    for record in heapq.merge(*found.values(), key=lambda record: record.timestamp):
        headers = [(name, value or b"") for name, value in record.headers or ()]
        yield Seen(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers
        )  # fmt: skip


@asynccontextmanager
async def _consumer(kafka: str, topics: Sequence[str], *, fetch_bytes: int = FETCH_BYTES) -> AsyncIterator[Any]:
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=REQUEST_MS,
        metadata_max_age_ms=int(ASK_SECONDS * 1000),
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_bytes=8 * FETCH_BYTES,
    )
    try:
        await consumer.start()
        for topic in topics:
            await consumer._client.add_topic(topic)
        yield consumer
    finally:
        await let_go(consumer)
