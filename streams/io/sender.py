"""A Kafka producer that sends in rounds: what comes in meanwhile goes together, to all partitions in one request.

aiokafka's own linger counts for each partition from its first record, so eight partitions at some hundreds of records a
second make a request of one or two records each, and broker and client pay for the request more than for the record.
Here the first record goes at once, and the next round starts when the pause is over; a round is one batch a partition.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from schemas.dead_letter import Headers

MAX_REQUEST = 2 * 1024 * 1024
MAX_RECORD = MAX_REQUEST - 4096
Away = Callable[[Exception], Exception]
Letter = tuple[str, bytes | None, bytes | None, Headers, "asyncio.Future[None]"]


def producer_settings(bootstrap: str) -> dict[str, Any]:
    """How every producer of ours is set up: nothing is sent until all replicas have it; zstd; murmur2."""
    return {
        "bootstrap_servers": bootstrap,
        "acks": "all",
        "linger_ms": 0,
        "compression_type": "zstd",
        "max_request_size": MAX_REQUEST,
        "max_batch_size": 256 * 1024,
        "request_timeout_ms": 30_000,
    }


class Sender:
    """`await send(...)` returns when the broker has the record. Errors are the driver's own, but at the start."""

    def __init__(self, bootstrap: str, pause_seconds: float, away: Away) -> None:
        self._settings = producer_settings(bootstrap)
        self._pause = pause_seconds
        self._away = away
        self._producer: aiokafka.AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._waiting: list[Letter] = []
        self._rounds: asyncio.Task[None] | None = None
        self._next_at = 0.0

    async def start(self) -> None:
        """Connect. Raises what `away` makes of the driver's errors when the broker is not there."""
        producer = aiokafka.AIOKafkaProducer(**self._settings)
        try:
            await producer.start()
        except BaseException as error:
            await producer.stop()
            if isinstance(error, KafkaError | OSError):
                raise self._away(error) from error
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Send what is still waiting and disconnect."""
        if self._producer is not None:
            self._pause, self._next_at = 0.0, 0.0
            if self._rounds is not None:
                await asyncio.gather(self._rounds, return_exceptions=True)
            await self._producer.stop()
            self._producer = None

    async def connected(self) -> aiokafka.AIOKafkaProducer:
        """The producer, started when first asked for."""
        if self._producer is None:
            async with self._starting:
                if self._producer is None:
                    await self.start()
        producer = self._producer
        assert producer is not None  # noqa: S101
        return producer

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Send with the next round and wait for the broker."""
        producer = await self.connected()
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((topic, key, value, headers, told))
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._work(producer))
        await told

    async def _work(self, producer: aiokafka.AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(max(0.0, self._next_at - loop.time()))  # also 0: whoever is ready now joins
                self._next_at = loop.time() + self._pause
                letters, self._waiting = self._waiting, []
                for (topic, partition), group in (await _sorted(producer, letters)).items():
                    await _post(producer, topic, partition, group)
        except BaseException as error:
            for *_, told in self._waiting:
                _tell(told, error if isinstance(error, Exception) else KafkaError("the sender was stopped"))
            self._waiting = []
            raise


async def _sorted(
    producer: aiokafka.AIOKafkaProducer, letters: Sequence[Letter]
) -> Mapping[tuple[str, int], list[Letter]]:
    """The letters by topic and partition, each in the order they came. Whoever waits no more is left out."""
    groups: dict[tuple[str, int], list[Letter]] = defaultdict(list)
    for letter in letters:
        topic, key, value, headers, told = letter
        if told.done():
            continue
        if len(key or b"") + len(value or b"") + sum(len(k) + len(v) + 8 for k, v in headers) > MAX_RECORD:
            _tell(told, MessageSizeTooLargeError(f"more than {MAX_RECORD} bytes"))
            continue
        try:
            numbers = await producer.partitions_for(topic)
        except Exception as error:
            _tell(told, error)
        else:
            groups[topic, partition_of(key, len(numbers))].append(letter)
    return groups


@lru_cache(maxsize=20_000)
def partition_of(key: bytes | None, count: int) -> int:
    """Where Kafka's own clients put a key: murmur2, so that one key always meets one partition."""
    numbers = range(count)
    return int(DefaultPartitioner()(key, numbers, numbers))


async def _post(producer: aiokafka.AIOKafkaProducer, topic: str, partition: int, letters: Sequence[Letter]) -> None:
    batch, inside = producer.create_batch(), list[asyncio.Future[None]]()
    for _, key, value, headers, told in letters:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            await _submit(producer, batch, topic, partition, inside)
            batch, inside = producer.create_batch(), []
            batch.append(timestamp=None, key=key, value=value, headers=headers)
        inside.append(told)
    await _submit(producer, batch, topic, partition, inside)


async def _submit(
    producer: aiokafka.AIOKafkaProducer, batch: Any, topic: str, partition: int, inside: "list[asyncio.Future[None]]"
) -> None:
    try:
        delivery = await producer.send_batch(batch, topic, partition=partition)
    except Exception as error:
        for told in inside:
            _tell(told, error)
    else:
        delivery.add_done_callback(partial(_pass_on, inside))


def _pass_on(inside: "list[asyncio.Future[None]]", delivery: "asyncio.Future[Any]") -> None:
    error = KafkaError("the delivery was given up") if delivery.cancelled() else delivery.exception()
    for told in inside:
        _tell(told, error)


def _tell(told: "asyncio.Future[None]", error: BaseException | None) -> None:
    if told.done():
        return
    if error is None:
        told.set_result(None)
    else:
        told.set_exception(error)
