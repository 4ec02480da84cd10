"""Every outcome of a run, read from the outcome topics as it comes, and counted by event id."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from schemas.topics import COMPLETED, DEAD, SKIPPED
from streams.io.bus import header

NAMES = (COMPLETED.name, SKIPPED.name, DEAD.name)


@dataclass
class Outcomes:
    """Which kinds of outcome each event has had, and when. Needs servers of the run's own: it counts everything."""

    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Per event id, the outcome topics that speak of it."""
    records: int = 0
    stamps: list[int] = field(default_factory=list)
    """When each record was published, in milliseconds since 1970, as they were read."""
    last: float = field(default_factory=time.monotonic)
    """When the last record was read."""
    _positions: dict[Any, int] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """Outcome records beyond the first of their event."""
        return self.records - len(self.seen)

    def longest_pause(self, since_ms: int, until_ms: int) -> float:
        """The longest time in seconds without an outcome between two moments."""
        inside = sorted(stamp for stamp in self.stamps if since_ms <= stamp <= until_ms)
        return max((b - a for a, b in pairwise([since_ms, *inside, until_ms])), default=0) / 1000

    async def read(self, bootstrap: str) -> None:
        """Read until cancelled, through every outage of the broker, each record once."""
        while True:
            with suppress(KafkaError, OSError):
                await self._read(bootstrap)
            await asyncio.sleep(0.5)

    async def _read(self, bootstrap: str) -> None:
        consumer = aiokafka.AIOKafkaConsumer(*NAMES, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            for tp in consumer.assignment():
                if tp in self._positions:
                    consumer.seek(tp, self._positions[tp])
            async for record in consumer:
                self._positions[aiokafka.TopicPartition(record.topic, record.partition)] = record.offset + 1
                self.seen[header(record.headers, "ce_id") or ""].add(record.topic)
                self.records += 1
                self.stamps.append(record.timestamp)
                self.last = time.monotonic()
        finally:
            await consumer.stop()
