"""The raw archive, read again: which records a selection means, in the order in which each call's events came.

A plain reader that joins no group: it disturbs nobody and commits nothing. Where it starts and ends is fixed before
the first record is read, so it comes to an end however much is published meanwhile. Records are given as they lie
there, claim checks included; nothing is decoded.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import aiokafka
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.dead_letter import Headers
from schemas.faults import OutageFault
from schemas.settings import Settings
from schemas.topics import ARCHIVE
from streams.io.bus import ATTEMPT, REPLAY_ID, TRACE, attempt_of, header
from streams.io.consumers import let_go
from streams.io.failed_imports import RETRY_OF, parties_of
from streams.io.replays import Selection
from streams.io.sender import MAX_REQUEST

Place = tuple[str, int]
"""Topic and partition."""
Cursor = dict[Place, tuple[int, int]]
"""Per partition, the next offset to read and the end, which is not read any more."""

BATCH = 250
BATCH_BYTES = 4 * 1024**2
SCAN = 5_000
"""A batch is given after this many records even when none of them is meant, so that progress can be seen."""
LEFT_BEHIND = (ATTEMPT, RETRY_OF, REPLAY_ID, *TRACE)
LANES = 4
"""Partition numbers read side by side: what is fetched ahead stays small however many partitions there are."""
DISORDER = timedelta(hours=1)
"""Records of a partition lie in the order of their arrival, their times are their senders': a clock or a patient sender
may be off. So much is read past the end of a selection to find what belongs to it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in the archive."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Batch:
    """The records meant among those read, and where to go on after them."""

    records: list[Record]
    cursor: Cursor


def remaining(cursor: Mapping[Place, tuple[int, int]]) -> int:
    """How many offsets are still to be read."""
    return sum(max(0, end - following) for following, end in cursor.values())


def owner_of(key: bytes | None) -> tuple[UUID, str, str] | None:
    """Whose record it is: workspace, source and external id. None for a record that belongs to nobody."""
    try:
        (key or b"").decode()
    except UnicodeDecodeError:
        return None
    workspace, source, external_id = parties_of(key)
    return (workspace, source, external_id) if workspace and source and external_id else None


def chooser(workspace_id: UUID | None, selection: Selection) -> Callable[[Any], bool]:
    """Says of a record whether it is meant. Retries are not: the archive holds what they are copies of."""
    prefix = f"{workspace_id}:".encode() if workspace_id else b""
    since, before = (_milliseconds(at) for at in (selection.from_, selection.to))

    def meant(record: Any) -> bool:
        if not (record.key or b"").startswith(prefix):
            return False
        if (since is not None and record.timestamp < since) or (before is not None and record.timestamp >= before):
            return False
        owner = owner_of(record.key)
        if owner is None or owner[0] != (workspace_id or owner[0]):
            return False
        if owner[1] != (selection.source_app or owner[1]) or owner[2] != (selection.external_id or owner[2]):
            return False
        headers = record.headers or ()
        return attempt_of(headers) == 1 and header(headers, RETRY_OF) is None

    return meant


async def bounds(settings: Settings, selection: Selection) -> Cursor:
    """Where reading starts and ends, per partition. Raises `OutageFault`."""
    with broker_outages():
        async with reader(settings) as consumer:
            return await _bounds(consumer, selection)


async def _bounds(consumer: Any, selection: Selection) -> Cursor:
    names = [topic.name for topic in ARCHIVE if selection.topic in (None, topic.name)]
    parts = [part for name in names for part in partitions(consumer, name)]
    starts = await consumer.beginning_offsets(parts)
    ends = await consumer.end_offsets(parts)
    if selection.from_ is not None:
        starts = {**ends, **await _offsets_at(consumer, parts, selection.from_)}
    if selection.to is not None and selection.to < datetime.max.replace(tzinfo=selection.to.tzinfo) - DISORDER:
        ends = {**ends, **await _offsets_at(consumer, parts, selection.to + DISORDER)}
    return {(tp.topic, tp.partition): (min(starts[tp], ends[tp]), ends[tp]) for tp in parts}


async def _offsets_at(consumer: Any, parts: Sequence[TopicPartition], at: datetime) -> dict[TopicPartition, int]:
    """The first offset at or after that time, for the partitions that have one."""
    found = await consumer.offsets_for_times(dict.fromkeys(parts, max(0, _milliseconds(at) or 0)))
    return {tp: place.offset for tp, place in found.items() if place is not None}


async def select(
    settings: Settings,
    *,
    workspace_id: UUID | None,
    selection: Selection,
    start: Mapping[Place, tuple[int, int]] | None = None,
    limit: int = BATCH,
) -> AsyncGenerator[Batch, None]:
    """The records that are meant, at most `limit` at a time; `workspace_id` None: of all workspaces.

    `start` is what `bounds` said or a `Batch.cursor`: after a crash, reading goes on there. The events of one call come
    in the order of their times, also when they lie in both topics. Close it (`contextlib.aclosing`) when you stop
    early. Raises `OutageFault`.
    """
    cursor: Cursor = dict(start) if start is not None else await bounds(settings, selection)
    meant = chooser(workspace_id, selection)
    numbers = sorted({number for (_, number), (following, end) in cursor.items() if following < end})
    with broker_outages():
        async with reader(settings) as consumer:
            for first in range(0, len(numbers), LANES):
                async for batch in _read(consumer, cursor, numbers[first : first + LANES], meant, limit):
                    yield batch
    if not numbers:
        yield Batch([], cursor)


async def _read(
    consumer: Any, cursor: Cursor, numbers: Sequence[int], meant: Callable[[Any], bool], limit: int
) -> AsyncIterator[Batch]:
    """Read these partition numbers to their ends. Moves `cursor`; each batch has a copy."""
    waiting: dict[TopicPartition, deque[Any]] = {
        TopicPartition(*place): deque()
        for place, (following, end) in cursor.items()
        if place[1] in numbers and following < end
    }
    consumer.assign(list(waiting))
    for tp in waiting:
        consumer.seek(tp, cursor[tp.topic, tp.partition][0])
    over: set[TopicPartition] = set()
    records: list[Record] = []
    size = scanned = 0
    while len(over) < len(waiting) or any(waiting.values()):
        await _fill(consumer, cursor, waiting, over)
        for record in _in_order(waiting, over):
            place = (record.topic, record.partition)
            cursor[place] = (record.offset + 1, cursor[place][1])
            scanned += 1
            if meant(record):
                records.append(_record(record))
                size += len(record.value or b"")
            if len(records) >= limit or size >= BATCH_BYTES or scanned >= SCAN:
                yield Batch(records, dict(cursor))
                records, size, scanned = [], 0, 0
    for tp in waiting:
        _, end = cursor[tp.topic, tp.partition]
        cursor[tp.topic, tp.partition] = (end, end)
    yield Batch(records, dict(cursor))


async def _fill(
    consumer: Any, cursor: Cursor, waiting: Mapping[TopicPartition, deque[Any]], over: set[TopicPartition]
) -> None:
    """Fetch for the partitions that have nothing waiting, and note which are read to their ends."""
    empty = [tp for tp, records in waiting.items() if not records and tp not in over]
    if not empty:
        return
    found = await consumer.getmany(*empty, timeout_ms=500, max_records=1_000)
    for tp in empty:
        _, end = cursor[tp.topic, tp.partition]
        waiting[tp].extend(record for record in found.get(tp, ()) if record.offset < end)
        if await consumer.position(tp) >= end:
            over.add(tp)
            consumer.pause(tp)


def _in_order(waiting: Mapping[TopicPartition, deque[Any]], over: set[TopicPartition]) -> Iterator[Any]:
    """What can be given without knowing more: of partitions with the same number the older record first."""
    for number in {tp.partition for tp in waiting}:
        lane = [tp for tp in waiting if tp.partition == number]
        while heads := [tp for tp in lane if waiting[tp]]:
            if any(not waiting[tp] and tp not in over for tp in lane):
                break
            yield waiting[min(heads, key=lambda tp: waiting[tp][0].timestamp)].popleft()


def _record(record: Any) -> Record:
    headers = [(name, value or b"") for name, value in record.headers or ()]
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return Record(*place, record.key, record.value, headers)


def replayed_headers(record: Record, replay_id: UUID) -> Headers:
    """The headers under which a replay publishes a record again: its own, without what belonged to its first way."""
    kept = [(name, value) for name, value in record.headers if name not in LEFT_BEHIND]
    return [*kept, (REPLAY_ID, str(replay_id).encode())]


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    """The partitions of a topic that `reader` was told of."""
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


@asynccontextmanager
async def reader(settings: Settings, topics: Sequence[str] = tuple(t.name for t in ARCHIVE)) -> AsyncIterator[Any]:
    """A consumer without a group that knows these topics and is told itself what to read."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * MAX_REQUEST,
        fetch_max_bytes=8 * 1024**2,
    )
    try:
        await consumer.start()
        for topic in topics:
            await consumer._client.add_topic(topic)
        yield consumer
    finally:
        await let_go(consumer)


@contextmanager
def broker_outages() -> Iterator[None]:
    """Kafka's own errors become `OutageFault`."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise OutageFault("broker_away", "Kafka cannot be reached.", detail=repr(error)) from error
