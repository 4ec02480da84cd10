"""What happens, told while it happens: every instance follows the outcome topics and tells those who listen to it.

One consumer a process, started by the first listener, so an API nobody listens to reads nothing, and a broker that is
away keeps nobody from starting. Listeners hear of their own workspace only, through queues of a fixed length: who is
too slow is told `reset`, and reads its lists again.

`listen` and `watch_job` are for everybody; `open` is for streams, which want to say something while nothing happens.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from api.live_events import (
    FOLLOWED,
    KINDS,
    NAMES,
    OUTCOMES,
    Kind,
    Mark,
    fact_of,
    unseal,
    workspace_of,
)
from api.live_jobs import Follower
from api.live_listener import EndedError, Listener, News, Told
from api.pipeline import Sampler
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from schemas.faults import Fault, OutageFault
from schemas.topics import PULL
from streams.io import clock, tail
from streams.io.job_views import OVER, Job
from streams.io.tail import ExpiredError, Positions, Seen

MAX_BEHIND: Final = 5_000
"""Records that are read again for a listener that comes back, at most."""
MAX_STREAMS: Final = 20
CATCH_UPS: Final = 4
"""Listeners that are brought up to date at the same time: after a restart all of them come at once."""
PAUSE_SECONDS: Final = 1.0
PING_SECONDS: Final = 15.0
"""So often a stream says that it lives, and asks whether its listener is still signed in."""
JOBS_BACK = timedelta(seconds=10)
"""A new listener hears of jobs that changed so shortly before: nothing falls between its list and its stream."""

log = structlog.get_logger("live")


class Live:
    """The listeners of this process and what feeds them."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.positions: Positions = {}
        self.ping_seconds = PING_SECONDS
        self._listeners: dict[UUID, set[Listener]] = {}
        self._followers: dict[UUID, tuple[Follower, asyncio.Task[None]]] = {}
        self._streams: Counter[object] = Counter()
        self._connected = asyncio.Event()
        self._catching_up = asyncio.Semaphore(CATCH_UPS)
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def mark(self) -> Mark:
        """Where this process is. What jobs did before is told to whoever was here."""
        at = clock.now() - JOBS_BACK
        return Mark({place: n for place, n in self.positions.items() if place[0] in OUTCOMES}, _ms(at))

    async def listen(
        self, workspace_id: UUID, kinds: Collection[Kind] = KINDS, after: str | None = None
    ) -> AsyncIterator[Told]:
        """What happens in this workspace, as (name, data, id), from now on or after an id, until the process stops.
        Raises `OutageFault` at the beginning when the broker is away; later it is waited for."""
        listener = await self.open(workspace_id, kinds, after)
        try:
            while told := await listener.take():
                yield told
        except EndedError:
            return
        finally:
            listener.close()

    async def watch_job(self, workspace_id: UUID, job_id: UUID) -> AsyncIterator[Job]:
        """How a job is, then every change of it, at most two a second, until it is over. Raises a 404 `Problem` when
        the workspace has no such job."""
        self._start()
        news: asyncio.Queue[Job | None] = asyncio.Queue()

        def hear(job: Job | None) -> None:
            while not news.empty():  # whoever is slow sees the newest
                news.get_nowait()
            news.put_nowait(job)

        follower = self._follower(workspace_id)
        follower.watch(hear, job_id)
        over = asyncio.create_task(self._ended.wait())
        try:
            while not over.done():
                one = asyncio.create_task(news.get())
                await asyncio.wait([one, over], return_when=asyncio.FIRST_COMPLETED)
                if not one.done():
                    one.cancel()
                    return
                job = one.result()
                if job is None:
                    raise not_found("import")
                yield job
                if job.status in OVER:
                    return
        finally:
            over.cancel()
            follower.leave(hear)
            self._let_go(workspace_id)

    async def open(
        self, workspace_id: UUID, kinds: Collection[Kind], after: str | None = None, owner: object = None
    ) -> Listener:
        """A listener, from now on or after an id. Raises `OutageFault` when the broker is away, and a 429 `Problem`
        when `owner` has too many."""
        self._start()
        if self._ended.is_set():
            raise OutageFault("stopping", "This process is about to stop. Connect again.")
        if owner is not None and self._streams[owner] >= MAX_STREAMS:
            sentence = f"You have {MAX_STREAMS} live streams open already. Close some, such as pages you left open."
            raise Problem(429, "too_many_streams", sentence, headers={"Retry-After": "30"})
        listener = Listener(self, workspace_id, kinds, owner)
        self._streams[owner] += 1
        try:
            await self._reach_broker()
            known = unseal(after, self.ports.secrets, workspace_id) if after else None
            here = self.mark()
            self._listeners.setdefault(workspace_id, set()).add(listener)
            if known is not None:
                await self._catch_up(listener, known, here)
            elif after:
                listener.reset(here)
            if "job" in listener.kinds:
                since = datetime.fromtimestamp(known.at_ms / 1000, UTC) if known else clock.now() - JOBS_BACK
                self._follower(workspace_id).join(listener.hear_job, since)
        except BaseException:
            listener.close()
            raise
        return listener

    def forget(self, listener: Listener) -> None:
        """Take a listener off the lists. Once; the listener sees to that."""
        self._streams -= Counter([listener.owner])
        listeners = self._listeners.get(listener.workspace_id, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(listener.workspace_id, None)
        if listener.workspace_id in self._followers:
            self._followers[listener.workspace_id][0].leave(listener.hear_job)
            self._let_go(listener.workspace_id)

    def end_streams(self) -> None:
        """Let every listener go: the process is about to stop, and open streams would hold it up."""
        self._ended.set()
        for listener in [each for listeners in self._listeners.values() for each in listeners]:
            listener.end()

    async def close(self) -> None:
        """Let everybody go and stop following."""
        self.end_streams()
        tasks = [task for _, task in self._followers.values()] + ([self._task] if self._task else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reach_broker(self) -> None:
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await self.ports.bus.ping()
                await self._connected.wait()
        except TimeoutError:
            raise OutageFault(
                "broker_away", "Kafka cannot be reached, so nothing live can be shown. Try again in a moment."
            ) from None

    async def _catch_up(self, listener: Listener, known: Mark, here: Mark) -> None:
        """Tell what happened between two places, or `reset` when that is too much or not there any more."""
        listener.floor = known.positions
        behind = sum(max(0, offset - known.positions.get(place, 0)) for place, offset in here.positions.items())
        if behind > MAX_BEHIND:
            listener.floor = {}
            listener.reset(here)
            return
        if known.positions == here.positions:
            return
        at = dict(known.positions)
        try:
            async with self._catching_up, aclosing(_read(self.ports, known, here)) as records:
                async for record in records:
                    at[record.place] = record.offset + 1
                    if workspace_of(record) == listener.workspace_id and (fact := fact_of(record)):
                        listener.put_past(fact, Mark(dict(at), known.at_ms))
        except ExpiredError:
            listener.floor = {}
            listener.reset(self.mark())

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Follow the topics until cancelled; an outage is waited for."""
        kafka, away = self.ports.settings.kafka or "", False
        while True:
            try:
                async with aclosing(tail.follow(kafka, FOLLOWED, self.positions)) as batches:
                    async for batch in batches:
                        away = False
                        self._connected.set()
                        if batch.gap:
                            self._reset_all()
                        for record in batch.records:
                            self._tell(record)
                        await asyncio.sleep(0)
            except Fault as fault:
                if not away:
                    log.warning("topics cannot be followed", reason=fault.reason, detail=fault.detail)
                away = True
            except Exception as error:
                log.error("topics cannot be followed", exc_info=error)
            self._connected.clear()
            await asyncio.sleep(PAUSE_SECONDS)

    def _tell(self, record: Seen) -> None:
        self.positions[record.place] = record.offset + 1
        if record.topic == PULL.name:
            fact = fact_of(record) if self._followers else None
        else:
            owner = workspace_of(record)
            fact = fact_of(record) if owner in self._listeners or owner in self._followers else None
        if fact is None:
            return
        listeners = [
            each
            for each in self._listeners.get(fact.workspace_id, ())
            if fact.kind in each.kinds and record.offset >= each.floor.get(record.place, 0)
        ]
        if listeners and fact.kind:
            news = News(NAMES[fact.kind], fact.data, self.mark())
            for listener in listeners:
                listener.put(news)
        if fact.job_id and fact.workspace_id in self._followers:
            self._followers[fact.workspace_id][0].touch(fact.job_id)

    def _reset_all(self) -> None:
        for listener in [each for listeners in self._listeners.values() for each in listeners]:
            listener.floor = {}
            listener.reset(self.mark())

    def _follower(self, workspace_id: UUID) -> Follower:
        if workspace_id not in self._followers:
            follower = Follower(self.ports, workspace_id)
            self._followers[workspace_id] = follower, asyncio.create_task(follower.run())
        return self._followers[workspace_id][0]

    def _let_go(self, workspace_id: UUID) -> None:
        follower, task = self._followers.get(workspace_id, (None, None))
        if follower is not None and follower.alone and task is not None:
            task.cancel()
            del self._followers[workspace_id]


async def _read(ports: Ports, known: Mark, here: Mark) -> AsyncGenerator[Seen, None]:
    async with aclosing(tail.read(ports.settings.kafka or "", known.positions, here.positions)) as records:
        async for record in records:
            yield record


@asynccontextmanager
async def open_live(ports: Ports) -> AsyncIterator[None]:
    """`ports.live` and `ports.sampler`, as long as the application runs."""
    ports.live, ports.sampler = Live(ports), Sampler(ports)
    try:
        yield
    finally:
        await ports.live.close()
        await ports.sampler.close()


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
