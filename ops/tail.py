"""`callstream tail`: follow `imports.completed.v1` as other software would, but without a group, so it leaves no trace.

Each connection reads from known positions, so that an outage of the broker is waited out and nothing is shown twice.
"""

import asyncio
import heapq
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import aiokafka
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from pydantic import ValidationError

from ops.show import say
from schemas.calls import ImportCompleted
from schemas.faults import ConfigFault
from schemas.settings import Settings
from schemas.topics import COMPLETED
from streams.io.bus import header
from streams.io.consumers import let_go

Start = datetime | Literal["beginning", "now"]

ASK_MS: Final = 5_000
"""So long may nothing come before the broker is asked whether it is still there: silence alone does not say so."""
REQUEST_MS: Final = 10_000
PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An event, and when it was published."""

    at: datetime
    event: ImportCompleted


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to show; None means all."""

    source: str | None = None
    workspace_id: UUID | None = None

    def takes(self, event: ImportCompleted) -> bool:
        """Whether the event is one of them."""
        return self.source in (None, event.source_app) and self.workspace_id in (None, event.workspace_id)


def read_start(text: str) -> Start:
    """`beginning`, `now`, or a time as in RFC 3339 (UTC unless it says otherwise). Raises `ValueError`."""
    if text == "beginning":
        return "beginning"
    if text == "now":
        return "now"
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_event(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> ImportCompleted | None:
    """The event in a record, or None for a record this version does not know: a topic may gain types."""
    if COMPLETED.model_of(header(headers, "ce_type")) is not ImportCompleted or not value:
        return None
    try:
        return ImportCompleted.model_validate_json(value)
    except (ValidationError, RecursionError, ValueError):
        return None


def line_of(seen: Seen) -> str:
    """One line for a person: when, what, which call, how much is known of it, its title. It cannot order a terminal."""
    event = seen.event
    when = f"{seen.at.astimezone():%Y-%m-%d %H:%M:%S}"
    parts = (when, event.outcome, event.source_app, event.external_id, event.metadata_quality, event.title)
    return "  ".join(" ".join("".join(c if c.isprintable() else " " for c in part).split()) or "–" for part in parts)


def json_of(seen: Seen) -> str:
    """One line for a program: the event as JSON, with whatever a terminal could obey escaped."""
    text = json.dumps(seen.event.model_dump(mode="json"), ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


async def show_events(
    settings: Settings, start: Start, wanted: Wanted, count: int | None, show: Callable[[Seen], None]
) -> None:
    """Show what is wanted, from `start` on: `count` events, or without end."""
    if settings.kafka is None:
        raise ConfigFault(
            "kafka_unset", "No Kafka is known here. Start `callstream up` first, or set CALLSTREAM_KAFKA."
        )
    shown = 0
    async with aclosing(follow(settings.kafka, start, say)) as events:
        async for seen in events:
            if wanted.takes(seen.event):
                show(seen)
                shown += 1
                if shown == count:
                    return


async def follow(kafka: str, start: Start, tell: Callable[[str], None]) -> AsyncGenerator[Seen, None]:
    """Every event from `start` on, without end; the events of one call in their order.

    A broker that is away is waited for; `tell` gets a sentence when it goes and one when it is back.
    Raises `ConfigFault` where the topic does not exist.
    """
    positions: dict[aiokafka.TopicPartition, int] = {}
    away = False
    while True:
        consumer = aiokafka.AIOKafkaConsumer(
            COMPLETED.name,
            bootstrap_servers=kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await consumer.start()
            await _take_positions(consumer, start, positions)
            if away:
                tell(f"Kafka at {kafka} is back.")
                away = False
            async with aclosing(_records(consumer)) as records:
                async for partition, record in records:
                    positions[partition] = record.offset + 1
                    event = read_event(record.value, record.headers)
                    if event is not None:
                        yield Seen(datetime.fromtimestamp(record.timestamp / 1000, UTC), event)
        except (KafkaError, OSError) as error:
            if isinstance(error, UnknownTopicOrPartitionError) and not positions:
                raise ConfigFault(
                    "topic_missing",
                    f"Kafka at {kafka} has no topic {COMPLETED.name}. Run `callstream up` or `callstream topics`.",
                ) from error
            if not away:
                tell(f"Kafka at {kafka} cannot be reached. Waiting for it; no event is lost. Ctrl-C stops.")
                away = True
        finally:
            await let_go(consumer)
        await asyncio.sleep(PAUSE_SECONDS)


async def _take_positions(
    consumer: aiokafka.AIOKafkaConsumer, start: Start, positions: dict[aiokafka.TopicPartition, int]
) -> None:
    """Put the consumer where it was on every partition, or at `start` the first time."""
    partitions = sorted(consumer.assignment())
    if not positions:
        positions.update(await _offsets_at(consumer, partitions, start))
    for partition in partitions:
        consumer.seek(partition, positions.get(partition, 0))


async def _offsets_at(
    consumer: aiokafka.AIOKafkaConsumer, partitions: Sequence[aiokafka.TopicPartition], start: Start
) -> Mapping[aiokafka.TopicPartition, int]:
    if start == "beginning":
        return dict(await consumer.beginning_offsets(partitions))
    ends = dict(await consumer.end_offsets(partitions))
    if start == "now":
        return ends
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, max(0, int(start.timestamp() * 1000))))
    return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}


async def _records(consumer: aiokafka.AIOKafkaConsumer) -> AsyncGenerator[tuple[aiokafka.TopicPartition, Any], None]:
    """Records as they come, without end; those of one batch by time, as far as the order of a partition allows.
    Raises Kafka's errors when the broker goes away."""
    while True:
        batch = await consumer.getmany(timeout_ms=ASK_MS)
        if not batch:
            await consumer.end_offsets(list(consumer.assignment()))
        lists = [[(partition, record) for record in records] for partition, records in batch.items()]
        for pair in heapq.merge(*lists, key=lambda pair: pair[1].timestamp):
            yield pair
