"""A tiny source in memory, its connector, and a pull engine driven by hand, for tests of the engine.

Commands and calls go to a bus in memory, rows to a real PostgreSQL. Whatever the engine asks of bus or pool can be the
moment at which its process dies.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
from obstore.store import MemoryStore

from connectors.contract import Api, Auth, Connector, Found, Item, Page, Pull, Recording, Window
from schemas.calls import Event, RawCall
from schemas.faults import CursorFault, MissingFault, OutageFault
from schemas.pulls import PullCommand
from schemas.settings import Settings
from schemas.topics import BACKFILL, DEAD, Topic
from streams.io import clock, pulls
from streams.io.pulls import JobType
from streams.io.stored_media import RecordingStore
from streams.pull import Puller
from streams.pull_calls import CallReader, Pace
from streams.schedule import Schedule

START = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Pace(slice_seconds=30, first_rest=0.0, longest_rest=0.0, lease_seconds=30, waiting_lease_seconds=0.0)
"""Nobody waits for anything; the schedule sends what is due at once."""
TINY = "tiny"


class Killed(BaseException):
    """kill -9, as seen from inside."""


@dataclass
class Told:
    """A call as the tiny source knows it. `ready_after`: so many looks until it can be read."""

    external_id: str
    started_at: datetime
    changed_at: datetime | None = None
    ready_after: int = 0
    delay: timedelta = timedelta(0)
    """How long after its start it begins to be listed."""
    has_transcript: bool = True
    recording: Recording | None = None
    waits_for: str = "Tiny is still writing the transcript."
    looks: int = 0


@dataclass
class TinySource:
    """A source of calls that are listed by their start, a page at a time. `faults` are raised by the next requests."""

    calls: list[Told] = field(default_factory=list)
    page_size: int = 5
    faults: deque[BaseException | None] = field(default_factory=deque)
    broken: dict[str, BaseException] = field(default_factory=dict)
    """Calls whose `fetch` raises this, always."""
    lose_cursor: set[str] = field(default_factory=set)
    """Cursors that are forgotten once."""
    requests: list[str] = field(default_factory=list)
    counts: bool = False
    time: datetime | None = None
    """What has not appeared by then is not listed yet."""
    on_fetch: Callable[[str], Any] | None = None

    def ids(self) -> set[str]:
        """All that there is."""
        return {call.external_id for call in self.calls}

    def _asked(self, what: str) -> None:
        self.requests.append(what)
        if self.faults and (fault := self.faults.popleft()) is not None:
            raise fault

    async def list_page(self, api: Api, window: Window, cursor: str | None) -> Page:
        """A page; the cursor is the place in the order of starts."""
        self._asked(f"list {cursor or ''}")
        if cursor in self.lose_cursor:
            self.lose_cursor.discard(cursor)
            raise CursorFault("cursor_expired", "Tiny has forgotten where we were.")
        listed = sorted(
            (
                c
                for c in self.calls
                if window.since <= c.started_at < window.until
                and (self.time is None or c.started_at + c.delay <= self.time)
            ),
            key=lambda c: (c.started_at, c.external_id),
        )
        at = int(cursor or 0)
        items = [Item(c.external_id, {}, c.started_at, c.changed_at) for c in listed[at : at + self.page_size]]
        ahead = at + self.page_size
        return Page(items, str(ahead) if ahead < len(listed) else None)

    async def fetch(self, api: Api, item: Item) -> Found:
        """The call."""
        if self.on_fetch is not None and asyncio.iscoroutine(pause := self.on_fetch(item.external_id)):
            await pause
        self._asked(f"fetch {item.external_id}")
        if item.external_id in self.broken:
            raise self.broken[item.external_id]
        call = next(c for c in self.calls if c.external_id == item.external_id)
        call.looks += 1
        waits = call.waits_for if call.looks <= call.ready_after else None
        return Found({"id": call.external_id, "looks": call.looks}, call.has_transcript, call.recording, waits)

    async def find(self, api: Api, external_id: str) -> Item:
        """The call by its id."""
        self._asked(f"find {external_id}")
        for call in self.calls:
            if call.external_id == external_id:
                return Item(call.external_id, {}, call.started_at, call.changed_at)
        raise MissingFault("not_at_source", "Tiny does not have it.")

    async def count(self, api: Api, window: Window) -> int | None:
        """How many there are."""
        self._asked("count")
        return len(self.calls)

    def connector(self, **pull: Any) -> Connector:
        """Its connector."""
        given: dict[str, Any] = {"overlap": timedelta(days=1), "tries": (timedelta(0),) * 3, **pull}
        if self.counts:
            given["count"] = self.count
        return Connector(
            source_app=TINY,
            display_name="Tiny",
            to_call=lambda payload: None,  # type: ignore[arg-type, return-value]
            external_id_of=lambda payload: str(payload["id"]),
            auths=(Auth("api_key", lambda credential: {"authorization": credential.get("api_key", "")}),),
            pull=Pull(**{"list_page": self.list_page, "fetch": self.fetch, "find": self.find, **given}),
        )


@dataclass
class TinyApi:
    """As much of an `Api` as the tiny source needs."""

    credential: Mapping[str, str] = field(default_factory=lambda: {"api_key": "secret"})

    @property
    def now(self) -> datetime:
        """The present."""
        return clock.now()


@dataclass
class Deaths:
    """Counts what is asked of bus and pool, and dies at one of these moments: before it, or right after."""

    at: int | None = None
    after: bool = False
    asked: int = 0
    dead: bool = False

    async def through(self, work: Any) -> Any:
        """Do it, unless this is the moment."""
        self.asked += 1
        last = self.asked == self.at
        if self.dead or (last and not self.after):
            self.dead = True
            work.close()
            raise Killed
        result = await work
        if last:
            self.dead = True
            raise Killed
        return result


@dataclass
class MemoryBus:
    """Kafka as far as the engine sees it."""

    calls: list[tuple[str, RawCall]] = field(default_factory=list)
    commands: deque[PullCommand] = field(default_factory=deque)
    letters: list[tuple[bytes | None, bytes | None, Any]] = field(default_factory=list)
    away: bool = False
    deaths: Deaths | None = None

    async def publish(self, topic: Topic, event: Event, *, carried: Any = ()) -> None:
        """Keep it."""
        if self.away:
            raise OutageFault("broker_away", "Kafka cannot be reached.")
        if self.deaths is not None:
            await self.deaths.through(self._keep(topic, event))
        else:
            await self._keep(topic, event)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> None:
        """Keep a dead letter."""
        assert topic == DEAD.name
        self.letters.append((key, value, headers))

    async def _keep(self, topic: Topic, event: Event) -> None:
        if isinstance(event, PullCommand):
            self.commands.append(event)
        else:
            assert isinstance(event, RawCall)
            self.calls.append((topic.name, event))

    def ids(self, job_id: UUID | None = None) -> list[str]:
        """What was published, in order."""
        return [call.external_id for _, call in self.calls if job_id in (None, call.job_id)]


class MortalPool:
    """A pool whose every statement may be the last."""

    def __init__(self, pool: asyncpg.Pool, deaths: Deaths) -> None:
        self._pool = pool
        self._deaths = deaths

    def acquire(self) -> Any:
        """A connection, for what needs more than a statement."""
        return self._pool.acquire()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pool, name)

        async def mortal(*arguments: Any) -> Any:
            return await self._deaths.through(method(*arguments))

        return mortal


@dataclass
class Rig:
    """A source, its rows, and an engine for it."""

    pool: asyncpg.Pool
    workspace_id: UUID
    user_id: UUID
    source_id: UUID
    source: TinySource
    connector: Connector
    bus: MemoryBus = field(default_factory=MemoryBus)
    pace: Pace = QUICK
    settings: Settings = field(default_factory=Settings)
    store: Any = field(default_factory=MemoryStore)
    credential_fault: BaseException | None = None

    def puller(self, deaths: Deaths | None = None) -> Puller:
        """An engine as a worker has it; with `deaths`, one that will die."""
        pool: Any = MortalPool(self.pool, deaths) if deaths else self.pool
        bus: Any = replace(self.bus, deaths=deaths) if deaths else self.bus
        reader = CallReader(pool, bus, RecordingStore(self.store, self.settings))
        return Puller(reader, {TINY: self.connector}, self._opened, self.pace)

    @asynccontextmanager
    async def _opened(self, source: Any) -> AsyncIterator[Api]:
        if self.credential_fault is not None:
            raise self.credential_fault
        yield TinyApi()  # type: ignore[misc]

    def schedule(self) -> Schedule:
        """A schedule that finds everything due at once."""
        bus: Any = self.bus
        return Schedule(self.settings, self.pool, bus, {TINY: self.connector}, stood_seconds=0.0, wake_seconds=0.0)

    async def job(
        self, job_type: JobType = "historical", *, days: float = 365, since: datetime = START, count: bool = False
    ) -> UUID:
        """A new job whose first command is published."""
        async with self.pool.acquire() as connection:
            job_id = await pulls.create_job(
                connection, workspace_id=self.workspace_id, source_id=self.source_id, source_app=TINY,
                user_id=self.user_id, job_type=job_type, since=since, until=since + timedelta(days=days),
                count_first=count,
            )  # fmt: skip
        bus: Any = self.bus
        await pulls.start(self.pool, bus, self.workspace_id, job_id)
        return job_id

    async def drain(self, puller: Puller | None = None) -> None:
        """Work on all commands that lie there, and those that follow."""
        engine = puller or self.puller()
        while self.bus.commands:
            command = self.bus.commands[0]
            await engine.run(command)  # only then is it acknowledged
            self.bus.commands.remove(command)

    async def settle(self, rounds: int = 200) -> None:
        """Work and keep the schedule, until nothing is to be done any more."""
        schedule = self.schedule()
        for _ in range(rounds):
            await self.drain()
            await schedule.kicks()
            await schedule.waiting()
            if not self.bus.commands:
                return
        raise AssertionError("the jobs do not come to an end")

    async def let_leases_end(self) -> None:
        """The time until the leases of dead workers have run out."""
        await self.pool.execute("UPDATE import_jobs SET leased_until = now() WHERE leased_until IS NOT NULL")

    async def row(self, job_id: UUID) -> asyncpg.Record:
        """The job as it stands."""
        return await self.pool.fetchrow("SELECT * FROM import_jobs WHERE job_id = $1", job_id)

    async def calls(self, job_id: UUID, status: str | None = None) -> dict[str, str]:
        """The calls of a job by state; with a state, their sentences."""
        rows = await self.pool.fetch("SELECT external_id, status, reason FROM job_calls WHERE job_id = $1", job_id)
        if status is None:
            return {row["external_id"]: row["status"] for row in rows}
        return {row["external_id"]: row["reason"] for row in rows if row["status"] == status}

    async def store_call(self, external_id: str, observed_at: datetime) -> None:
        """A call that is in the library already."""
        await self.pool.execute(
            "INSERT INTO recordings (recording_id, workspace_id, source_app, external_id, title, full_transcript,"
            " metadata_quality, event_id, fingerprint, observed_at, received_at)"
            " VALUES ($1, $2, $3, $4, 't', 'x', 'full', $1, 'f', $5, $5)",
            clock.new_id(), self.workspace_id, TINY, external_id, observed_at,
        )  # fmt: skip


def told(count: int, *, first: int = 0, every: timedelta = timedelta(hours=1), **more: Any) -> list[Told]:
    """That many calls, one after the other."""
    return [Told(f"c{n:05}", START + every * n, **more) for n in range(first, first + count)]


async def rig(pool: asyncpg.Pool, workspace_id: UUID, user_id: UUID, calls: list[Told], **more: Any) -> Rig:
    """A connected source with these calls."""
    pull = more.pop("pull", {})
    source = TinySource(calls, **{n: more.pop(n) for n in ("page_size", "counts") if n in more})
    source_id = clock.new_id()
    await pool.execute(
        "INSERT INTO import_sources (source_id, workspace_id, user_id, source_app, account_email)"
        " VALUES ($1, $2, $3, $4, $5)", source_id, workspace_id, user_id, TINY, f"{source_id}@tiny.example",
    )  # fmt: skip
    return Rig(pool, workspace_id, user_id, source_id, source, source.connector(**pull), **more)


Lane = Literal["live", "backfill"]


def lane_of(topic: str) -> Lane:
    """Which way a call went."""
    return "backfill" if topic == BACKFILL.name else "live"


def payload_of(call: RawCall) -> dict[str, Any]:
    """What was published."""
    value: dict[str, Any] = json.loads(call.payload)
    return value
