"""Telling other software what has happened: outgoing webhooks and Slack.

Runs beside the audit, in the same process. Its parts know of each other only by rows, and each goes on when another
stands still:

- The *reader* follows the outcome topics and writes a delivery for every subscription that wants to be told. It keeps
  its place after the rows are there, so a kill loses nothing, and what it reads twice it finds written.
- The *announcer* does the same for jobs that are over.
- The *senders* take what is due under a lease, several for each subscription and one for a subscription that does not
  answer, so a dead receiver holds up nobody else.

As long as nobody is subscribed, no topic is read.
"""

import asyncio
import hashlib
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from connectors.standard_webhooks import sign_standard_webhook
from schemas.dead_letter import ATTEMPT, FINGERPRINT, OFFSET, PARTITION, TOPIC
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from schemas.topics import COMPLETED, DEAD
from streams.io import clock, deliveries
from streams.io.bus import REPLAY_ID, header
from streams.io.deliveries import Due, Ended, New, Subscription
from streams.io.facts import fact_of, workspace_of
from streams.io.places import Places, open_places
from streams.io.post import SECONDS
from streams.io.secrets import Secrets, open_secrets
from streams.io.store import Pool
from streams.io.tail import Positions, Seen, follow
from streams.slack import failed_text, job_text

log = structlog.get_logger("deliveries")
TOPICS = (COMPLETED.name, DEAD.name)
EVENT_OF = {COMPLETED.name: deliveries.COMPLETED, DEAD.name: deliveries.FAILED}
ROUND_SECONDS = 1.0
AFTER_OUTAGE_SECONDS = 2.0
READ_PAUSE = 0.1
"""Between two fetches, so that many events cost few of them."""
KEEP_SECONDS = 1.0
QUIET_SECONDS = 60.0
"""How often the place is moved to the end while nobody is subscribed."""
EARLY_MS = 5_000
"""So much is read of what came before a first subscription was seen: clocks differ."""
SKEW_MS = 60_000
"""A subscription is not told of what happened longer than this before it was made."""
CLEAN_SECONDS = 600.0
PLACES = 8
"""Deliveries under way for one subscription."""
MAX_FLYING = 200
NOTE_PAUSES = (0.0, 1.0, 5.0, 15.0)
"""Before the tries to write down what came of a delivery while the database is away, all within its lease."""
_PLAIN = re.compile(r"[A-Za-z0-9@/_-]{1,200}")

Subscribed = Mapping[UUID, Sequence[Subscription]]
"""Who wants to be told, by workspace."""


def event_id_of(record: Seen) -> str:
    """What makes an outcome the same when it is read or published again. A call that fails again is another."""
    event, replay = header(record.headers, "ce_id"), header(record.headers, REPLAY_ID)
    place = "/".join(header(record.headers, name) or "" for name in (TOPIC, PARTITION, OFFSET))
    name = f"{event}@{replay}" if event and replay else event or place
    if record.topic == DEAD.name:
        name = f"{name}/{header(record.headers, ATTEMPT) or '1'}"
    name = name.replace(".", "-")  # a full stop would end the id in what is signed
    return name if _PLAIN.fullmatch(name) else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def body_of(event_type: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted, in the shape that Standard Webhooks proposes."""
    return {"type": event_type, "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data}


def news_of(record: Seen, subscribed: Subscribed) -> list[New]:
    """What is to be told of a record, and to whom. One that concerns nobody is not decoded."""
    event_type = EVENT_OF[record.topic]
    workspace_id = workspace_of(record) if subscribed else None
    wanting = [
        each for each in (subscribed.get(workspace_id, ()) if workspace_id else ())
        if event_type in each.events and record.timestamp_ms >= each.created_at.timestamp() * 1000 - SKEW_MS
    ]  # fmt: skip
    fact = fact_of(record) if wanting else None
    if fact is None:
        return []
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    event_id, news = event_id_of(record), []
    for each in wanting:
        if each.kind == "slack":
            cause = header(record.headers, FINGERPRINT) or fact.data["reason"]
            once_an_hour = hashlib.sha256(f"{cause}/{record.timestamp_ms // 3_600_000}".encode()).hexdigest()
            news.append(New(each.subscription_id, once_an_hour, event_type, {"text": failed_text(fact.data)}))
        else:
            news.append(New(each.subscription_id, event_id, event_type, body_of(event_type, at, fact.data)))
    return news


def news_of_job(ended: Ended, subscribed: Subscribed) -> list[New]:
    """What is to be told of a job that is over, and to whom."""
    at = ended.job.completed_at or ended.job.created_at
    data = ended.job.model_dump(mode="json")
    told: dict[str, dict[str, Any]] = {
        "slack": {"text": job_text(data)}, "standard": body_of(deliveries.JOB, at, data),
    }  # fmt: skip
    return [
        New(each.subscription_id, str(ended.job.id), deliveries.JOB, told[each.kind])
        for each in ([] if ended.dry_run else subscribed.get(ended.workspace_id, ()))
        if deliveries.JOB in each.events and (each.created_at - at).total_seconds() * 1000 <= SKEW_MS
    ]


async def subscribed(pool: Pool) -> Subscribed:
    """Who wants to be told at this moment. Raises `OutageFault`."""
    found: dict[UUID, list[Subscription]] = defaultdict(list)
    for each in await deliveries.subscriptions(pool):
        found[each.workspace_id].append(each)
    return found


@dataclass
class Deliveries:
    """All parts. `woken` is set when something may be due."""

    settings: Settings
    pool: Pool
    secrets: Secrets
    seconds: float = SECONDS
    """How long a receiver may take."""
    keep_seconds: float = KEEP_SECONDS
    now: Callable[[], datetime] = clock.now
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    _flying: dict[UUID, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self.read, self.announce, self.send, self.clean):
                group.create_task(self._forever(part))

    async def _forever(self, part: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        while task is not None and not task.cancelling():  # a library may have swallowed that we are told to stop
            try:
                await part()
            except OutageFault as fault:
                log.warning("deliveries_wait", part=part.__name__, detail=fault.detail)
                await asyncio.sleep(AFTER_OUTAGE_SECONDS)
            except Exception as bug:  # the other parts go on
                log.error("deliveries_failed", part=part.__name__, exc_info=bug)
                await asyncio.sleep(AFTER_OUTAGE_SECONDS)

    # The reader ------------------------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Write down what is to be told of outcomes, without end. Raises `OutageFault`."""
        kafka = self.settings.kafka or ""
        async with open_places(kafka, f"{self.settings.group_prefix}-deliveries", TOPICS) as places:
            positions = await places.kept()
            if not positions:
                positions = await places.ends()
                await places.keep(positions)
            while True:
                positions = await self._quiet(places, positions)
                await self._follow(kafka, places, positions)

    async def _quiet(self, places: Places, positions: Positions) -> Positions:
        """Wait for somebody to subscribe; where to begin then."""
        loop, kept, nobody_at = asyncio.get_running_loop(), 0.0, 0
        while True:
            asked_at = int(self.now().timestamp() * 1000)
            if await subscribed(self.pool):
                return await places.at(nobody_at - EARLY_MS) if nobody_at else positions
            nobody_at = asked_at
            if loop.time() - kept >= QUIET_SECONDS or not kept:
                kept = loop.time()
                await places.keep(await places.at(asked_at - EARLY_MS))
            await asyncio.sleep(ROUND_SECONDS)

    async def _follow(self, kafka: str, places: Places, positions: Positions) -> None:
        """Read as long as somebody is subscribed."""
        loop = asyncio.get_running_loop()
        kept = loop.time()
        async with aclosing(follow(kafka, TOPICS, positions)) as batches:
            async for batch in batches:
                wanted = await subscribed(self.pool)
                if not wanted:
                    return
                await self.write_down(batch.records, wanted)
                for record in batch.records:
                    positions[record.place] = record.offset + 1
                if loop.time() - kept >= self.keep_seconds:
                    kept = loop.time()
                    await places.keep(positions)
                await asyncio.sleep(READ_PAUSE)

    async def write_down(self, records: Sequence[Seen], wanted: Subscribed) -> None:
        """Rows for what is to be told of these records. Raises `OutageFault`."""
        news: list[New] = []
        for record in records:
            try:
                news += news_of(record, wanted)
            except Exception as bug:  # one odd record is no reason to tell nobody of the others
                log.error("outcome_not_told", place=(record.topic, record.partition, record.offset), exc_info=bug)
        if news:
            await deliveries.add(self.pool, news)
            self.woken.set()

    # The announcer ---------------------------------------------------------------------------------------------------

    async def announce(self) -> None:
        """Write down what is to be told of jobs, without end. Raises `OutageFault`."""
        while True:
            while await self.announce_once():
                pass
            await asyncio.sleep(ROUND_SECONDS)

    async def announce_once(self) -> bool:
        """Tell of the jobs that are over now. True: there may be more. Raises `OutageFault`."""
        ended = await deliveries.ended_jobs(self.pool)
        if not ended:
            return False
        wanted = await subscribed(self.pool)
        news = [new for each in ended for new in news_of_job(each, wanted)]
        await deliveries.announce(self.pool, ended, news)
        if news:
            self.woken.set()
        return True

    # The senders -----------------------------------------------------------------------------------------------------

    async def send(self) -> None:
        """Send what is due, without end. Raises `OutageFault`."""
        try:
            while True:
                self.woken.clear()
                for due in await deliveries.take(
                    self.pool, self._flying, places=PLACES, limit=MAX_FLYING - len(self._tasks)
                ):
                    self._start(due)
                with suppress(TimeoutError):  # not `wait_for`, which may swallow that we are told to stop
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self.woken.wait()
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise

    def _start(self, due: Due) -> None:
        self._flying[due.subscription_id] = self._flying.get(due.subscription_id, 0) + 1
        task = asyncio.create_task(self._one(due))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._landed(done, due.subscription_id))

    def _landed(self, task: asyncio.Task[None], subscription_id: UUID) -> None:
        self._tasks.discard(task)
        self._flying[subscription_id] -= 1
        if not self._flying[subscription_id]:
            del self._flying[subscription_id]
        self.woken.set()
        if not task.cancelled() and (bug := task.exception()):
            log.error("delivery_failed", exc_info=bug)

    async def _one(self, due: Due) -> None:
        posted = await deliveries.send(due, self.secrets, self.settings, sign_standard_webhook, self.seconds)
        for pause in NOTE_PAUSES:
            await asyncio.sleep(pause)
            try:
                return await deliveries.note(self.pool, due, posted)
            except OutageFault as fault:
                log.warning("delivery_not_noted", detail=fault.detail)
        return None  # its lease runs out, and it is sent again

    async def clean(self) -> None:
        """Forget old deliveries, without end. Raises `OutageFault`."""
        while True:
            await deliveries.forget(self.pool)
            await asyncio.sleep(CLEAN_SECONDS)


async def run(settings: Settings, pool: Pool) -> None:
    """Tell until cancelled. Without keys for secrets nothing can be sent, and nothing is."""
    try:
        secrets = open_secrets(settings)
    except ConfigFault as fault:
        log.error("deliveries_off", reason=fault.reason, detail=fault.sentence)
        return
    await Deliveries(settings, pool, secrets).run()
