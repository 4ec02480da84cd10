"""How far a reader of ours has come, kept by Kafka under the name of a consumer group that nobody joins."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiokafka
from aiokafka import TopicPartition

from streams.io.archive import broker_outages, partitions
from streams.io.consumers import let_go
from streams.io.tail import Place, Positions

REQUEST_MS = 10_000
SECONDS = 15.0


class Places:
    """Reads and writes positions. Every method raises `OutageFault` when the broker is away."""

    def __init__(self, consumer: Any, topics: Sequence[str]) -> None:
        self._consumer = consumer
        self._topics = topics

    async def kept(self) -> Positions:
        """Where we were. Empty: nothing was kept yet. Partitions that came later and what is gone begin at what is
        there first."""
        async with _in_time():
            parts = self._parts()
            self._hold(parts)
            found = {part: await self._consumer.committed(part) for part in parts}
            if all(offset is None for offset in found.values()):
                return {}
            begins = await self._consumer.beginning_offsets(parts)
        return {(part.topic, part.partition): max(offset or 0, begins[part]) for part, offset in found.items()}

    async def ends(self) -> Positions:
        """Where the topics end now."""
        async with _in_time():
            return _positions(await self._consumer.end_offsets(self._parts()))

    async def at(self, milliseconds: int) -> Positions:
        """Where what was published at a time or later begins."""
        async with _in_time():
            parts = self._parts()
            ends = await self._consumer.end_offsets(parts)
            found = await self._consumer.offsets_for_times(dict.fromkeys(parts, max(0, milliseconds)))
        return _positions({part: found[part].offset if found.get(part) else ends[part] for part in parts})

    async def keep(self, positions: Mapping[Place, int]) -> None:
        """We are this far."""
        async with _in_time():
            self._hold([TopicPartition(*place) for place in positions])
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in positions.items()})

    def _hold(self, parts: Sequence[TopicPartition]) -> None:
        """Have the group's places of these partitions, and read none of them."""
        if set(parts) != self._consumer.assignment():
            self._consumer.assign(parts)
            self._consumer.pause(*parts)

    def _parts(self) -> list[TopicPartition]:
        return [part for topic in self._topics for part in partitions(self._consumer, topic)]


def _positions(offsets: Mapping[TopicPartition, int]) -> Positions:
    return {(part.topic, part.partition): offset for part, offset in offsets.items()}


@asynccontextmanager
async def open_places(kafka: str, group: str, topics: Sequence[str]) -> AsyncIterator[Places]:
    """The places of a group on these topics. Raises `OutageFault`."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=group, enable_auto_commit=False, request_timeout_ms=REQUEST_MS
    )
    try:
        async with _in_time():
            await consumer.start()
            for topic in topics:
                await consumer._client.add_topic(topic)
            await consumer._client.force_metadata_update()
        yield Places(consumer, topics)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await let_go(consumer)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Whatever takes longer than it may is an outage. aiokafka's commit tries for ever, and its coordinator may hang on
    a connection that is gone: only a new consumer helps then."""
    with broker_outages():
        async with asyncio.timeout(SECONDS):
            yield
