"""Find roles that stand still, from outside, and end them so that their supervisor starts them again.

A Faust worker can stop consuming after an outage or a rebalance without a word. What cannot lie are the offsets its
group has committed: where there is lag, and they do not move although Kafka and PostgreSQL answer, nobody works.

A *look* is what the broker says about one group at one moment. `look_again` folds looks into what is known, and
`judge` decides; both are pure.
"""

import asyncio
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiokafka
import psycopg
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from ops.supervise import Supervisor, child_env
from ops.topics import partition_counts
from schemas.settings import Settings
from schemas.topics import BY_NAME

WATCHED: Final = ("pipeline", "dedup", "transcribe", "pull")
LOOK_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 10.0
MAX_GAP_SECONDS: Final = 30.0
"""After a longer pause between two looks we were stopped ourselves, and know nothing about what happened meanwhile."""
GRACE_SECONDS: Final = 60.0
MAX_GRACE_SECONDS: Final = 3600.0
RECOVERING: Final = "recovering"
"""The file that a dedup worker touches every two seconds while it rebuilds its table; see `streams/recovery.py`."""
SIGN_LASTS: Final = 15.0
PARTITION_PATIENCE: Final = 5
"""One partition may stand still this many times longer than all of them: it may just be waiting for its turn."""

Partition = tuple[str, int]
log = structlog.get_logger("watchdog")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a group: per partition that is its business, the next offset to read and where the topic ends."""

    at: float
    offsets: Mapping[Partition, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier looks showed: per lagging partition, its offset and since when it has stood there."""

    at: float | None = None
    standing: Mapping[Partition, tuple[int, float]] = field(default_factory=dict)
    moved_at: float | None = None
    """When any lagging partition last moved, or when there last was no lag at all."""


def look_again(known: Known, look: Look | None) -> Known:
    """What is known after one more look. No look (nobody answered) or a long gap: every clock starts anew."""
    if look is None:
        return Known()
    if known.at is None or known.moved_at is None or not 0 <= look.at - known.at <= MAX_GAP_SECONDS:
        known = Known(look.at, {}, look.at)
    standing: dict[Partition, tuple[int, float]] = {}
    moved = False
    for partition, (offset, end) in look.offsets.items():
        before = known.standing.get(partition)
        if before is not None and before[0] != offset:
            moved = True
        if offset < end:
            stood = before is not None and before[0] == offset
            standing[partition] = before if stood and before is not None else (offset, look.at)
    moved_at = look.at if moved or not standing else known.moved_at
    return Known(look.at, standing, moved_at)


def judge(known: Known, limit: float, started_at: float) -> str | None:
    """Why this role must be restarted, or None. `started_at`: whatever stood still before then does not count."""
    if known.at is None or known.moved_at is None or not known.standing:
        return None
    first_seen = min(since for _, since in known.standing.values())
    still = known.at - max(known.moved_at, first_seen, started_at)
    if still >= limit:
        return f"no partition has moved for {still:.0f} s, and {len(known.standing)} of them have events waiting"
    (topic, number), (_, since) = min(known.standing.items(), key=lambda item: item[1][1])
    still = known.at - max(since, started_at)
    if still >= limit * PARTITION_PATIENCE:
        return f"partition {number} of {topic} has not moved for {still:.0f} s, and has events waiting"
    return None


def limit_of(role: str, settings: Settings) -> float:
    """How long a role may stand still. One transcription may take its whole time limit without anything moving, and one
    slice of a page its time and a little more."""
    if role == "transcribe":
        return settings.transcribe_timeout_seconds + settings.stall_seconds
    if role == "pull":
        return 2 * settings.pull_slice_seconds + settings.stall_seconds
    return settings.stall_seconds


def grace_after(strikes: int) -> float:
    """How long a role is left alone after its `strikes`-th restart in a row without a step forward. It doubles: a role
    that rebuilds a large table needs time, not another restart."""
    return min(GRACE_SECONDS * 2.0 ** min(max(0, strikes - 1), 10), MAX_GRACE_SECONDS)


@dataclass(frozen=True, slots=True)
class Watched:
    """A role under watch. `strikes` counts restarts without a step forward; until `quiet_until` it is left alone."""

    known: Known = field(default_factory=Known)
    strikes: int = 0
    quiet_until: float = 0.0


def decide(watched: Watched, look: Look | None, limit: float, started_at: float) -> tuple[Watched, str | None]:
    """One more look at a role: what is known now, and why it must be restarted, if it must."""
    known = look_again(watched.known, look)
    went_on = known.at is not None and known.moved_at == known.at and watched.known.at is not None
    watched = replace(watched, known=known, strikes=0 if went_on else watched.strikes)
    if known.at is None or known.at < watched.quiet_until:
        return watched, None
    why = judge(known, limit, max(started_at, watched.quiet_until))
    if why is None:
        return watched, None
    strikes = watched.strikes + 1
    return Watched(Known(), strikes, known.at + grace_after(strikes)), why


class Watchdog:
    """Looks at every watched role of a supervisor and kills the one that stands still."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        *,
        on_restart: Callable[[str], None] = lambda role: None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._on_restart = on_restart
        self._look_seconds = look_seconds
        self._watched = {role: Watched() for role in WATCHED if role in supervisor.roles}

    async def run(self) -> None:
        """Watch until cancelled. No fault of the broker's or ours ends it."""
        while True:
            try:
                async with broker_eyes(self._settings) as look:
                    while True:
                        await self._round(look)
                        await asyncio.sleep(self._look_seconds)
            except (KafkaError, OSError, TimeoutError):
                self._forget()  # a broker that is away is no reason to restart anybody
            except Exception:
                log.exception("the watchdog failed and goes on")
                self._forget()
            await asyncio.sleep(self._look_seconds)

    def _forget(self) -> None:
        self._watched = {role: replace(watched, known=Known()) for role, watched in self._watched.items()}

    async def _round(self, look: Callable[[str], Awaitable[Look]]) -> None:
        for role in self._watched:
            if not self._supervisor.pids(role):  # stopped on purpose, or between two starts
                self._watched[role] = replace(self._watched[role], known=Known())
                continue
            if rebuilds(self._settings.data_dir / "workers", role, time.time()):
                self._watched[role] = replace(self._watched[role], known=Known())
                continue
            async with asyncio.timeout(ANSWER_SECONDS):
                seen = await look(role)
            started_at = self._supervisor.started_at(role) or seen.at
            before = self._watched[role]
            self._watched[role], why = decide(before, seen, limit_of(role, self._settings), started_at)
            if why is None:
                continue
            if not await database_answers(self._settings):  # then it waits for the database, as it should
                self._watched[role] = replace(before, known=Known())
                continue
            pids = self._supervisor.kill(role)
            log.error("worker stands still and is restarted", worker_role=role, why=why, pids=pids)
            self._on_restart(role)


def rebuilds(workers: Path, role: str, now: float) -> bool:
    """Whether a worker of the role says that its table grows. It reads the changelog then and moves no offset."""
    signs = [folder / RECOVERING for folder in (workers / role, *workers.glob(f"{role}-*"))]
    return any(sign.exists() and now - sign.stat().st_mtime < SIGN_LASTS for sign in signs)


async def database_answers(settings: Settings) -> bool:
    """Whether PostgreSQL lets the application in. True where no database is set."""
    if settings.database_url is None:
        return True
    try:
        url = settings.database_url.get_secret_value()
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
            await connection.execute("SELECT 1")
    except (psycopg.Error, OSError):
        return False
    return True


@asynccontextmanager
async def broker_eyes(settings: Settings) -> Any:
    """A function that takes a look at a role's group. Raises `KafkaError` or `OSError` when the broker is away."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=5000)
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=settings.kafka, request_timeout_ms=5000)
    try:
        await admin.start()
        await consumer.start()

        async def look(role: str) -> Look:
            from streams.audit import READS  # not before PROMETHEUS_MULTIPROC_DIR is set: it counts

            topics = [topic.name for topic in READS[role]]
            offsets = await group_offsets(admin, consumer, f"{settings.group_prefix}-{role}", topics)
            return Look(time.monotonic(), offsets)

        yield look
    finally:
        await consumer.stop()
        await admin.close()


async def group_offsets(
    admin: AIOKafkaAdminClient, consumer: aiokafka.AIOKafkaConsumer, group: str, topics: Sequence[str]
) -> dict[Partition, tuple[int, int]]:
    """Per partition of the group: the next offset it will read, and the topic's end. Where nobody is in the group and
    nobody ever committed, as when its only worker hangs from its start, all of `topics` is its business."""
    committed = {
        partition: found.offset
        for partition, found in (await admin.list_consumer_group_offsets(group)).items()
        if found.offset >= 0
    }
    # What members hold now. A topic of an older version, committed once but held by nobody, is not waited for.
    held = await assigned(admin, group)
    counts = {} if held or committed else await partition_counts(admin)
    never = [aiokafka.TopicPartition(topic, n) for topic in topics for n in range(counts.get(topic, 0))]
    partitions = [partition for partition in (held or committed or never) if partition.topic in BY_NAME]
    if not partitions:
        return {}
    ends = await consumer.end_offsets(partitions)
    starts = await consumer.beginning_offsets(partitions)
    return {
        (partition.topic, partition.partition): (
            max(committed.get(partition, 0), starts[partition]),
            ends[partition],
        )
        for partition in partitions
    }


async def assigned(admin: AIOKafkaAdminClient, group: str) -> set[aiokafka.TopicPartition]:
    """The partitions that the group's members hold. Empty while it rebalances and when nobody is there."""
    found: set[aiokafka.TopicPartition] = set()
    for response in await admin.describe_consumer_groups([group]):
        for _code, _group, _state, _type, _protocol, members, *_ in response.groups:
            found |= _partitions_of(member[4] for member in members)
    return found


def _partitions_of(assignments: Iterable[bytes]) -> set[aiokafka.TopicPartition]:
    return {
        partition
        for assignment in assignments
        if assignment
        for partition in ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    }


async def keep_working(settings: Settings, role: str, instances: int) -> None:
    """Run one role on this machine, supervised and watched, until SIGINT or SIGTERM. For a cluster."""
    with tempfile.TemporaryDirectory(prefix="callstream-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # before anything counts
        from schemas.metrics import STALLED_RESTARTS

        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        supervisor = Supervisor(
            {role: instances},
            child_env(settings, Path(folder)),
            settings.data_dir / "logs",
            metrics=Path(folder),
            host=re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname()),
        )
        await supervisor.start()
        watchdog = Watchdog(settings, supervisor, on_restart=lambda role: STALLED_RESTARTS.labels(role).inc())
        watching = asyncio.create_task(watchdog.run())
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await supervisor.stop()
