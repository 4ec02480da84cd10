"""The stream audits itself: every accepted event has an outcome, or is published again under the same event id.

A role of its own, without Faust. It reads the raw topics and the outcome topics (completed, skipped, dead) and keeps
the event ids that are still open. One that stays open past a limit, while no stage has anything left to read, is
published again and counted in `import_calls_recovered_total`; an alert watches that, for it is expected to stay 0.

It also sends due retries of failed imports, and replays (`streams/replay.py`) and the schedule of imports
(`streams/schedule.py`) and outgoing webhooks (`streams/deliveries.py`) run beside it. One audit works at a time;
others stand by (a lock in PostgreSQL).

After a restart it reads on from the oldest open event: that offset is what it commits. Outcomes are read again from
the time of that event, so no list of open events has to be kept anywhere.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiokafka
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from connectors.registry import CONNECTORS
from schemas.dead_letter import OFFSET, PARTITION, TOPIC, Headers
from schemas.faults import Fault, OutageFault
from schemas.metrics import CALLS_RECOVERED, QUEUE_DEPTH
from schemas.settings import Settings, load_settings
from schemas.topics import BACKFILL, COMPLETED, DEAD, NORMALIZED, PULL, RAW, READY, REPLAY, SKIPPED, UNIQUE
from streams import deliveries, erasing, replay, schedule
from streams.health import serve_health
from streams.io import clock, media, outcomes, retries
from streams.io.bus import REPLAY_ID, Bus, header
from streams.io.consumers import let_go
from streams.io.sender import MAX_REQUEST
from streams.io.store import Pool, open_pool_patiently
from streams.logs import set_up_logging

log = structlog.get_logger("audit")
STAGES = {
    "pipeline": (RAW, BACKFILL, REPLAY, UNIQUE, READY, DEAD, SKIPPED),
    "dedup": (NORMALIZED,),
    "transcribe": (UNIQUE,),
}
"""Which topics each role's group reads, on the way of a call that was accepted."""
READS = {**STAGES, "pull": (PULL,)}
"""Which topics each role's group reads."""
INPUTS = (RAW.name, BACKFILL.name, REPLAY.name)
OUTCOMES = (COMPLETED.name, SKIPPED.name, DEAD.name)
OUTCOME_MARGIN_MS = 60_000
PAUSE_SECONDS = 0.1
LOCK = 0x63616C6C
"""The key of the advisory lock that makes one audit the working one: "call" in ASCII."""


@dataclass(slots=True)
class OpenEvent:
    """An accepted event without an outcome yet, and where its record lies."""

    seen_at: float
    place: tuple[str, int, int]
    republished: int = 0


@dataclass
class Ledger:
    """The open events, by identity. Pure book-keeping: no clock, no Kafka."""

    open: dict[str, OpenEvent] = field(default_factory=dict)
    early: dict[str, float] = field(default_factory=dict)
    """Outcomes that were read before their event, because topics are read side by side."""
    positions: dict[tuple[str, int], int] = field(default_factory=dict)

    def accept(self, identity: str, event: OpenEvent) -> None:
        """Note an event of a raw topic. An event that is open already (a retry, our own republish) stays as it is."""
        topic, partition, offset = event.place
        self.positions[topic, partition] = offset + 1
        if self.early.pop(identity, None) is None and identity not in self.open:
            self.open[identity] = event

    def settle(self, identity: str, now: float) -> None:
        """Note an outcome."""
        if self.open.pop(identity, None) is None:
            self.early[identity] = now

    def forget_early(self, before: float) -> None:
        """Drop outcomes whose event must have been read long ago."""
        for identity in [i for i, at in self.early.items() if at < before]:
            del self.early[identity]

    def overdue(self, now: float, limit: float) -> list[tuple[str, OpenEvent]]:
        """Open events older than `limit` seconds, each wait longer than the last."""
        return [(i, e) for i, e in self.open.items() if now - e.seen_at > limit * 2**e.republished]

    def low_watermarks(self) -> dict[tuple[str, int], int]:
        """Per partition, the offset of the oldest open event, or where reading stands."""
        marks = dict(self.positions)
        for event in self.open.values():
            topic, partition, offset = event.place
            marks[topic, partition] = min(marks.get((topic, partition), offset), offset)
        return marks


def identity_of_input(topic: str, partition: int, offset: int, headers: Headers) -> str:
    """The event id, with the replay's if it is one; or the place of an event that has none."""
    return _event_of(headers) or f"{topic}/{partition}/{offset}"


def identity_of_outcome(headers: Headers) -> str:
    """The event id an outcome speaks of, or the place a dead letter names."""
    place = "/".join(header(headers, name) or "" for name in (TOPIC, PARTITION, OFFSET))
    return _event_of(headers) or place


def _event_of(headers: Headers) -> str | None:
    event_id, replay_id = header(headers, "ce_id"), header(headers, REPLAY_ID)
    return f"{event_id}@{replay_id}" if event_id and replay_id else event_id


class Audit:
    """Reads, remembers, publishes again."""

    def __init__(self, settings: Settings, bus: Bus, pool: Pool) -> None:
        self.settings = settings
        self.bus = bus
        self.pool = pool
        self.ledger = Ledger()
        self._committed: dict[tuple[str, int], int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop. Raises `KafkaError` when the broker stays away; the parent starts us again."""
        async with _consumer(self.settings, f"{self.settings.group_prefix}-audit") as consumer:
            await self._assign(consumer)
            checked = beaten = 0.0
            while not stop.is_set():
                batches = await consumer.getmany(timeout_ms=500, max_records=2000)
                await asyncio.sleep(PAUSE_SECONDS)  # nothing here is in a hurry, and large fetches are cheap ones
                now = time.monotonic()
                for tp, records in batches.items():
                    for record in records:
                        self._note(tp, record, now)
                if now - checked >= 2.0:
                    checked = now
                    await self._check(consumer, now)
                if now - beaten >= 5.0:
                    beaten = now
                    await self._beat()

    async def _assign(self, consumer: Any) -> None:
        """Start at the oldest open event of each raw partition, and at that time in the outcomes."""
        inputs = [tp for name in INPUTS for tp in _partitions(consumer, name)]
        results = [tp for name in OUTCOMES for tp in _partitions(consumer, name)]
        consumer.assign(inputs + results)
        starts = await consumer.beginning_offsets(inputs)
        ends = await consumer.end_offsets(inputs)
        oldest: int | None = None
        for tp in inputs:
            committed = await consumer.committed(tp)
            start = max(committed if committed is not None else 0, starts[tp])
            consumer.seek(tp, start)
            self.ledger.positions[tp.topic, tp.partition] = start
            if start < ends[tp]:
                record = await _first(self.settings, tp, start)
                if record is not None:
                    oldest = min(oldest if oldest is not None else record.timestamp, record.timestamp)
        since = int((oldest if oldest is not None else clock.unix_now() * 1000) - OUTCOME_MARGIN_MS)
        found = await consumer.offsets_for_times({tp: max(0, since) for tp in results})
        result_ends = await consumer.end_offsets(results)
        for tp in results:
            consumer.seek(tp, found[tp].offset if found.get(tp) is not None else result_ends[tp])

    def _note(self, tp: TopicPartition, record: Any, now: float) -> None:
        headers: Headers = [(name, value or b"") for name, value in record.headers or ()]
        if tp.topic in INPUTS:
            identity = identity_of_input(tp.topic, tp.partition, record.offset, headers)
            place = (tp.topic, tp.partition, record.offset)
            self.ledger.accept(identity, OpenEvent(now, place))
        else:
            self.ledger.settle(identity_of_outcome(headers), now)

    async def _check(self, consumer: Any, now: float) -> None:
        QUEUE_DEPTH.set(len(self.ledger.open))
        self.ledger.forget_early(now - 120)
        await self._commit(consumer)
        overdue = self.ledger.overdue(now, self.settings.audit_after_seconds)
        if overdue and await self._caught_up(consumer) and not await self._lag():
            for identity, event in overdue:
                await self._publish_again(identity, event)
        for failed_import, workspace in await retries.due_retries(self.pool, stuck_seconds=3600):
            with suppress(LookupError):
                await retries.retry(self.pool, self.bus, workspace, failed_import)

    async def _caught_up(self, consumer: Any) -> bool:
        """Whether the outcome topics are read to their ends: an outcome may be waiting there."""
        parts = [tp for tp in consumer.assignment() if tp.topic in OUTCOMES]
        ends = await consumer.end_offsets(parts)
        return all([await consumer.position(tp) >= ends[tp] for tp in parts])

    async def _publish_again(self, identity: str, event: OpenEvent) -> None:
        record = await _first(self.settings, TopicPartition(*event.place[:2]), event.place[2])
        if record is None or record.offset != event.place[2]:
            log.error("accepted_event_gone", event=identity, place=event.place)
            self.ledger.open.pop(identity, None)
            return
        await self.bus.send(event.place[0], record.key, record.value, [(k, v or b"") for k, v in record.headers or ()])
        event.republished += 1
        CALLS_RECOVERED.inc()
        log.error("published_again", event_id=identity, place="/".join(map(str, event.place)))

    async def _commit(self, consumer: Any) -> None:
        marks = self.ledger.low_watermarks()
        changed = {TopicPartition(*tp): offset for tp, offset in marks.items() if self._committed.get(tp) != offset}
        if changed:
            await consumer.commit(changed)
            self._committed.update({(tp.topic, tp.partition): offset for tp, offset in changed.items()})

    async def _lag(self) -> int:
        """Records that the roles have not acknowledged yet."""
        total = 0
        for role, topics in STAGES.items():
            async with _consumer(self.settings, f"{self.settings.group_prefix}-{role}") as reader:
                parts = [tp for topic in topics for tp in _partitions(reader, topic.name)]
                ends = await reader.end_offsets(parts)
                for tp in parts:
                    total += max(0, ends[tp] - (await _committed(reader, tp) or 0))
        return total

    async def _beat(self) -> None:
        name = self.settings.worker_name or "audit"
        with suppress(OutageFault):
            await outcomes.beat(self.pool, name, "audit", ready=True, detail=f"{len(self.ledger.open)} open")


async def _committed(consumer: Any, tp: TopicPartition) -> int | None:
    consumer.assign([tp])
    offset: int | None = await consumer.committed(tp)
    return offset


async def _first(settings: Settings, tp: TopicPartition, offset: int) -> Any:
    """The first record at or after `offset`, or None at the end of the partition."""
    async with _consumer(settings, None) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, offset)
        ends = await consumer.end_offsets([tp])
        while await consumer.position(tp) < ends[tp]:
            for records in (await consumer.getmany(tp, timeout_ms=2000, max_records=1)).values():
                return records[0]
    return None


def _partitions(consumer: Any, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


@asynccontextmanager
async def _consumer(settings: Settings, group: str | None) -> AsyncIterator[Any]:
    """A consumer that joins no group: it assigns itself, and may commit for `group`."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * MAX_REQUEST,
    )
    try:
        await consumer.start()
        await consumer._client.force_metadata_update()
        for topic in (*INPUTS, *OUTCOMES, NORMALIZED.name, UNIQUE.name, READY.name):
            await consumer._client.add_topic(topic)
        yield consumer
    finally:
        await let_go(consumer)


@asynccontextmanager
async def sole_auditor(url: str, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> AsyncIterator[None]:
    """Hold the lock that makes this audit the working one; waits for it. Lost with the connection, so with us."""
    pool = await open_pool_patiently(url, pipeline=True, size=1)
    try:
        async with pool.acquire() as connection:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                await wait(2.0)
            yield
    finally:
        pool.terminate()


async def run_audit(settings: Settings) -> None:
    """Run the role until SIGTERM or SIGINT. An outage ends the round, not the process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    port = settings.worker_port
    health = asyncio.create_task(serve_health("audit", port, lambda: "")) if port else None
    try:
        await _rounds(settings, url, stop)
    finally:
        if health is not None:
            health.cancel()


async def _rounds(settings: Settings, url: str, stop: asyncio.Event) -> None:
    while not stop.is_set():
        work = asyncio.create_task(_round(settings, url, stop))
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if stop.is_set() and not work.done():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(work), 5)
        work.cancel()
        try:
            await work
        except asyncio.CancelledError:
            return
        except (KafkaError, OutageFault, OSError) as error:
            log.warning("audit_waits", error=repr(error))
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), 2)


async def _round(settings: Settings, url: str, stop: asyncio.Event) -> None:
    async with sole_auditor(url):
        pool = await open_pool_patiently(url, pipeline=True, size=6)
        store = media.open_media(settings)
        bus = Bus(settings.kafka or "", store, source="audit", linger_ms=5)
        beside = {
            asyncio.create_task(replay.run(settings, pool, bus, store)),
            asyncio.create_task(schedule.run(settings, pool, bus, CONNECTORS)),
            asyncio.create_task(deliveries.run(settings, pool)),
            asyncio.create_task(erasing.run(pool, store, bus)),
        }
        try:
            await Audit(settings, bus, pool).run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            if stop.is_set():
                with suppress(OutageFault, TimeoutError):
                    async with asyncio.timeout(2):
                        await outcomes.unbeat(pool, settings.worker_name or "audit")
            await bus.stop()
            pool.terminate()


def main() -> None:
    """`python -m streams.audit`."""
    settings = load_settings()
    set_up_logging(settings, "audit")
    try:
        asyncio.run(run_audit(settings))
    except Fault as fault:
        raise SystemExit(str(fault)) from fault


if __name__ == "__main__":
    main()
