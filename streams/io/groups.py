"""How far the roles' consumer groups are: what they have acknowledged, and what lies before them.

One client for all groups and one request a group: it is asked many times a second.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.settings import Settings
from schemas.topics import TOPICS, Topic
from streams.io.archive import broker_outages, partitions, reader

REQUEST_MS = 15_000


class Groups:
    """Reads positions. Every method raises `OutageFault` when the broker is away."""

    def __init__(self, settings: Settings, consumer: Any, admin: Any) -> None:
        self._prefix = settings.group_prefix
        self._consumer = consumer
        self._admin = admin
        self._coordinators: dict[str, int] = {}

    async def ends(self, topics: Sequence[Topic]) -> dict[TopicPartition, int]:
        """Where these topics end now."""
        with broker_outages():
            parts = [part for topic in topics for part in partitions(self._consumer, topic.name)]
            found: dict[TopicPartition, int] = await self._consumer.end_offsets(parts)
            return found

    async def left(self, role: str, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Per partition, how many records before `ends` the role's group has not acknowledged."""
        parts = list(ends)
        with broker_outages():
            done = await self._committed(f"{self._prefix}-{role}", parts)
            fresh = [part for part in parts if part not in done and ends[part]]
            if fresh:  # nothing acknowledged yet: the group begins at the beginning
                done |= await self._consumer.beginning_offsets(fresh)
        return {part: max(0, end - done.get(part, 0)) for part, end in ends.items()}

    async def behind(self, role: str, ends: Mapping[TopicPartition, int]) -> int:
        """How many records before `ends` the role's group has not acknowledged."""
        return sum((await self.left(role, ends)).values())

    async def lag(self, role: str, topics: Sequence[Topic]) -> int:
        """Records on these topics that the role has not acknowledged yet."""
        return await self.behind(role, await self.ends(topics))

    async def _committed(self, group: str, parts: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if group not in self._coordinators:
            self._coordinators[group] = await self._admin.find_coordinator(group)
        try:
            found = await self._admin.list_consumer_group_offsets(group, self._coordinators[group], list(parts))
        except BaseException:
            del self._coordinators[group]
            raise
        if len(found) < len(parts):  # the coordinator has moved: it answers without offsets
            del self._coordinators[group]
        return {part: place.offset for part, place in found.items() if place.offset >= 0}


@asynccontextmanager
async def open_groups(settings: Settings) -> AsyncIterator[Groups]:
    """A `Groups` that is connected. Raises `OutageFault`."""
    with broker_outages():
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=REQUEST_MS)
        try:
            async with reader(settings, [topic.name for topic in TOPICS]) as consumer:
                await admin.start()
                yield Groups(settings, consumer, admin)
        finally:
            await admin.close()
