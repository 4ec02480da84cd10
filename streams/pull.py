"""The pull engine: one command is one slice of one page, and nothing is lost between two of them.

What it promises:

- A command works for about `pull_slice_seconds` at most, then it publishes the next and gives others their turn.
- A job's step moves by compare-and-set, and a worker holds a lease while it is at it. A command that comes late or
  twice does nothing. A worker that dies lets its lease run out, and the schedule sends the command again.
- Before a page is done, each of its calls is accepted by the broker, waits for its source, or has a sentence why not.
- A limit or a fault of the source is a time at which the job goes on, with a sentence. After some faults in a row
  without progress the job has failed. Nothing of this is a dead letter.
- Outside the workspace's processing window, or where its quota is used up, the job waits and says so.
- A credential that is refused turns the source to error and fails the job; other sources go on.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from connectors.answers import LIMITED
from connectors.contract import Connector, Item, Window
from connectors.payloads import is_encodable, keepable
from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, MissingFault, OutageFault, TransientFault
from schemas.metrics import JOB_SECONDS, JOBS
from schemas.pulls import PullCommand
from schemas.topics import PULL
from streams.io import pull_steps, pulls
from streams.io.erase import ERASED
from streams.io.pull_steps import Ended, Known, Note, PullJob
from streams.io.quotas import Plans
from streams.pull_calls import OURS, CallReader, Errand, OpenApi, Pace, Stopped
from streams.pull_limits import allowed
from streams.pull_waiting import look_at_waiting, read_named

log = structlog.get_logger("pull")
STORED = "This call is already in your library."
WAITS = "An earlier import waits for this call."
FAILED = "An earlier import of this call failed. Retry that one."
DISCARDED = "This call was discarded."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing stands: the source's cursor, how often it began again, and how many pages brought nothing."""

    cursor: str | None = None
    again: int = 0
    idle: int = 0

    def written(self) -> str:
        """As the job keeps it."""
        return json.dumps({"cursor": self.cursor, "again": self.again, "idle": self.idle})


def place_of(kept: str | None) -> Place:
    """The place that a job keeps."""
    return Place(**json.loads(kept)) if kept else Place()


@dataclass
class Slice:
    """The work on one command."""

    job: PullJob
    errand: Errand
    place: Place
    deadline: float
    begun: int = 0
    read: int = 0
    """Calls to which the source had an answer, good or bad."""
    progress: bool = False
    left: bool = False
    stopped: bool = False
    in_a_row: int = 0
    fault: Fault | None = None
    troubled: list[tuple[Item, Fault]] = field(default_factory=list)
    room: int | None = None
    """So many calls may be brought that are not in the library; None: any number."""

    def fits(self, known: Known) -> bool:
        """Whether the quota has room for the call, which then is taken. One in the library needs none."""
        if self.room is None or known.stored_at is not None:
            return True
        self.room -= 1
        return self.room >= 0

    def trouble(self, item: Item, fault: Fault) -> None:
        """The call could not be read, for a reason that may pass."""
        self.troubled.append((item, fault))
        self.in_a_row += 1

    def over(self, pace: Pace, now: float) -> bool:
        """Whether no more calls are begun. At least one is, or a slow source would never get anywhere."""
        trouble = self.fault is not None or self.stopped or self.in_a_row >= pace.max_in_a_row
        return trouble or (self.begun > 0 and now >= self.deadline)


@dataclass
class Puller:
    """Works on commands, any number side by side."""

    reader: CallReader
    connectors: Mapping[str, Connector]
    open_api: OpenApi
    pace: Pace = field(default_factory=Pace)
    plans: Plans = field(default_factory=dict)

    async def run(self, command: PullCommand) -> None:
        """Work on a command. Raises `OutageFault`; then the same command may come again. A command for one call is the
        retry of a failed import, and raises why it has failed again."""
        if command.what == "waiting":
            return await look_at_waiting(self.reader, self.connectors, self.open_api, self.pace, command.source_id)
        if command.what == "call":
            return await read_named(self.reader, self.connectors, self.open_api, command)
        if command.job_id is not None:
            job = await pull_steps.take(self.reader.pool, command.job_id, command.step, self.pace.lease_seconds)
            if job is not None:
                async with self._leased(job):
                    await self._step(job)
        return None

    @asynccontextmanager
    async def _leased(self, job: PullJob) -> AsyncIterator[None]:
        """Renew the lease for as long as the block runs; let go of it if the block fails."""
        pool, lease = self.reader.pool, job.lease

        async def renew() -> None:
            nonlocal lease
            while True:
                await asyncio.sleep(self.pace.lease_seconds / 4)
                with suppress(OutageFault):
                    until = await pull_steps.renew(pool, job, lease, self.pace.lease_seconds)
                    if until is None:
                        return
                    lease = until

        heartbeat = asyncio.create_task(renew())
        try:
            yield
        except BaseException:
            with suppress(OutageFault):  # then it runs out by itself
                await asyncio.shield(pull_steps.release(pool, job, lease))
            raise
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)

    async def _step(self, job: PullJob) -> None:
        connector = self.connectors.get(job.source.source_app)
        if connector is None or connector.pull is None:
            return await self._give_up(job, job.tries, "This version of callstream cannot pull from this source.")
        limits = await allowed(self.reader.pool, job, self.plans, self.reader.now())
        if (hold := limits.hold) is not None:
            return await pull_steps.hold(
                self.reader.pool, job, reason=hold.reason, sentence=hold.sentence, until=hold.until
            )
        place, deadline, work = place_of(job.cursor), time.monotonic() + self.pace.slice_seconds, None
        try:
            async with self.open_api(job.source) as api:
                errand = Errand(job.source, connector, api, job.job_id, job.job_type, job.step)
                work = Slice(job, errand, place, deadline, room=limits.room)
                await (self._count(work) if job.phase == "counting" else self._page(work))
        except OutageFault:
            raise
        except ConfigFault as fault:
            await pull_steps.source_error(self.reader.pool, job.source, fault.reason, fault.sentence)
            await self._give_up(job, job.tries, fault.sentence)
        except Exception as error:
            if not isinstance(error, Fault):
                log.error("pull_failed", source=job.source.source_app, job=str(job.job_id), exc_info=error)
            await self._rest(job, work.place if work else place, error, progress=bool(work and work.progress))
        return None

    async def _count(self, work: Slice) -> None:
        """Ask how many calls there are. Whatever keeps the source from saying so is no reason not to pull them."""
        estimate = None
        if (count := work.errand.pull.count) is not None:
            with suppress(MissingFault, InvalidCall, CursorFault):
                estimate = await count(work.errand.api, self._window(work))
        await self._move(work.job, Place(), estimate=estimate, progress=True)

    async def _page(self, work: Slice) -> None:
        window, place = self._window(work), work.place
        if window.since >= window.until:
            return await self._finish(work, window.since)
        try:
            page = await work.errand.pull.list_page(work.errand.api, window, place.cursor)
        except CursorFault:
            work.place = Place(None, place.again + 1)
            if place.cursor is None or place.again >= self.pace.max_restarts:
                raise
            return await self._move(work.job, work.place, progress=False)
        await self._read(work, await self._sorted(work, page.items))
        if work.stopped and not await pull_steps.goes_on(self.reader.pool, work.job):
            return None  # cancelled, or somebody else is further: nothing is left to do here
        if work.fault is not None:
            raise work.fault
        if work.left or work.stopped:
            return await self._move(work.job, place, estimate=page.total, progress=work.progress)
        if page.cursor is None:
            return await self._finish(work, window.since)
        idle = 0 if work.progress else place.idle + 1
        if page.cursor == place.cursor or idle > self.pace.max_idle_pages:
            sentence = f"{work.errand.connector.display_name} gave the same part of its list again and again."
            raise TransientFault("listing_stands_still", sentence)
        forward = Place(page.cursor, 0 if work.progress else place.again, idle)
        return await self._move(
            work.job, forward, estimate=page.total, progress=work.progress or not place.again
        )  # fmt: skip

    @staticmethod
    def _window(work: Slice) -> Window:
        """What is listed. Counted from the job's beginning, so that it is the same for every page."""
        back = work.errand.pull.reaches_back
        since = work.job.since if back is None else max(work.job.since, work.job.created_at - back)
        return Window(since, work.job.until, work.job.filters)

    async def _sorted(self, work: Slice, listed: Sequence[Item]) -> list[tuple[Item, Known]]:
        """The calls of a page that are to be read; what is known of the others is noted."""
        job, notes, todo = work.job, [], []
        items = {item.external_id: item for item in reversed(listed) if _is_id(item.external_id)}
        found = await pull_steps.known(self.reader.pool, job, list(items))
        for item in reversed(items.values()):
            known = found.get(item.external_id, Known())
            if known.taken:
                continue
            if (why := skip_reason(item, known, job.job_type == "sync")) is None:
                todo.append((item, known))
            elif known.waits and known.waits_in is None and not known.erased:
                await self.wait(work.errand, item, why)
                work.progress = True
            else:
                notes.append(Note(item.external_id, "skipped", why))
        sentence = f"{work.errand.connector.display_name} listed this call under an id that cannot be kept."
        odd = {_kept_id(item.external_id) for item in listed if not _is_id(item.external_id)}
        notes += [Note(external_id, "failed", sentence) for external_id in odd]
        if notes:
            await pull_steps.note(self.reader.pool, job.job_id, job.source.source_app, notes)
            work.progress = work.progress or len(notes) > len(odd)
        return todo

    async def _read(self, work: Slice, todo: Sequence[tuple[Item, Known]]) -> None:
        """Read the calls, some at a time, until the slice is over. Those that gave trouble wait, if others did not."""
        queue = iter(todo)

        async def reader() -> None:
            for item, known in queue:
                if work.over(self.pace, time.monotonic()):
                    work.left = True
                    return
                if not work.fits(known):
                    work.left = True
                    continue
                try:
                    await self._one(work, item, known)
                except BaseException:
                    work.stopped = True
                    raise

        count = min(self.pace.calls_at_once, len(todo))
        for result in await asyncio.gather(*(reader() for _ in range(count)), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        if work.troubled and (work.read or work.job.tries >= 2):
            for item, fault in work.troubled:
                await self.wait(work.errand, item, fault.sentence)
            work.progress = work.progress or bool(work.read)
        elif work.troubled:
            work.fault = work.fault or work.troubled[-1][1]
        if work.in_a_row >= self.pace.max_in_a_row:
            work.fault = work.fault or work.troubled[-1][1]

    async def _one(self, work: Slice, item: Item, known: Known) -> None:
        """Bring one call to where its page can forget it."""
        work.begun += 1
        try:
            why = await self.reader.bring(work.errand, item, is_new=known.is_new)
        except Stopped:
            work.stopped = True
            return
        except (OutageFault, ConfigFault):
            raise
        except (TransientFault, CursorFault) as fault:
            if fault.reason in LIMITED:
                work.fault, work.left = fault, True
            else:
                work.trouble(item, fault)
            return
        except MissingFault as fault:
            await self._note(work, Note(item.external_id, "skipped", fault.sentence))
        except InvalidCall as fault:
            await self._note(work, Note(item.external_id, "failed", fault.sentence))
        except Exception as bug:
            log.error("call_not_read", source=work.job.source.source_app, call=item.external_id, exc_info=bug)
            work.trouble(item, TransientFault("internal_error", OURS))
            return
        else:
            if why is not None:
                await self.wait(work.errand, item, why)
        work.read, work.in_a_row, work.progress = work.read + 1, 0, True

    async def _note(self, work: Slice, note: Note) -> None:
        kept = Note(note.external_id, note.status, keepable(note.reason))
        await pull_steps.note(self.reader.pool, work.job.job_id, work.job.source.source_app, [kept])

    async def wait(self, errand: Errand, item: Item, why: str) -> None:
        """Have a call looked at again later."""
        due_at = self.reader.now() + (errand.pull.tries[0] if errand.pull.tries else timedelta(0))
        await pulls.note_call(
            self.reader.pool, source=errand.source, external_id=item.external_id, job_id=errand.job_id,
            why=keepable(why), due_at=due_at, from_webhook=False, started_at=item.started_at,
        )  # fmt: skip

    async def _move(self, job: PullJob, place: Place, *, progress: bool, estimate: int | None = None) -> None:
        """Move the job on by one step and publish the next command."""
        pool = self.reader.pool
        step = await pull_steps.advance(pool, job, cursor=place.written(), estimate=estimate, progress=progress)
        if step is None:
            return
        try:
            await self.reader.bus.publish(PULL, pulls.command(job.source, job_id=job.job_id, step=step))
        except OutageFault:
            await pulls.not_kicked(pool, job.job_id, step)

    async def _rest(self, job: PullJob, place: Place, error: Exception, *, progress: bool) -> None:
        """Let the job rest after a fault, or give it up."""
        sentence = error.sentence if isinstance(error, Fault) else OURS
        asked = error.retry_after if isinstance(error, TransientFault) else None
        limited = isinstance(error, TransientFault) and error.reason in LIMITED
        tries = (0 if progress else job.tries) + (0 if limited else 1)
        if tries >= self.pace.max_tries:
            again = f"It was tried {tries} times. Start the import again later: what it has brought is kept."
            return await self._give_up(job, tries, f"{sentence} {again}")
        now = self.reader.now()
        resume_at = now + timedelta(seconds=asked if asked is not None else self.pace.rest(tries))
        await pull_steps.rest(
            self.reader.pool, job, cursor=place.written(), tries=tries,
            sentence=f"{sentence} This import goes on at {clock_time(resume_at, now)}.", resume_at=resume_at,
        )  # fmt: skip

    async def _give_up(self, job: PullJob, tries: int, sentence: str) -> None:
        ended = await pull_steps.give_up(self.reader.pool, job, tries=tries, sentence=sentence)
        self._count_job(job, "failed", ended)

    async def _finish(self, work: Slice, since: datetime) -> None:
        gone = f"{work.errand.connector.display_name} lists this call no more."
        ended = await pull_steps.finish(self.reader.pool, work.job, since, gone)
        self._count_job(work.job, "completed", ended)

    @staticmethod
    def _count_job(job: PullJob, status: str, ended: Ended | None) -> None:
        if ended is not None:
            JOBS.labels(job.source.source_app, status).inc()
            JOB_SECONDS.labels(job.source.source_app).observe(ended.seconds)


def skip_reason(item: Item, known: Known, sync: bool) -> str | None:
    """Why a listed call is not read, or None. A sync leaves alone what failed or was discarded, until it changes; an
    import that somebody started reads it again."""

    def as_new(seen_at: datetime | None) -> bool:
        return seen_at is not None and (item.changed_at is None or item.changed_at <= seen_at)

    if known.erased:
        return ERASED
    if as_new(known.stored_at):
        return STORED
    if known.waits:
        return WAITS
    if sync and as_new(known.failed_at):
        return FAILED
    if sync and as_new(known.discarded_at):
        return DISCARDED
    return None


def clock_time(at: datetime, now: datetime) -> str:
    """A time for a sentence; with its day, if that is not today."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%H:%M} UTC on {at.day} {at:%B}"


def _is_id(external_id: str) -> bool:
    return 0 < len(external_id) <= 512 and "\x00" not in external_id and is_encodable(external_id)


def _kept_id(external_id: str) -> str:
    return keepable(external_id)[:512] or "(empty)"
