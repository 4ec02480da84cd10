"""What a pull worker does with rows: steps of jobs under a lease, calls before and after they are published.

A job stands at a *step*; every page moves it on by compare-and-set, so a command that comes late or twice finds nothing
to do. A worker at a step holds a *lease*, which it renews and which runs out when it dies. Both go by the database's
clock. A call of a job is noted before it is published and accepted after: what is not accepted is brought again.

The pool must see all workspaces. Every function raises `OutageFault` when the database is away. Each is one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from streams.io import clock, queries, sources
from streams.io.pulls import JobType
from streams.io.sources import Source
from streams.io.store import Pool, outages
from streams.io.windows import ProcessingWindow, window_of

SQL = queries.load("pulls")


@dataclass(frozen=True, slots=True)
class PullJob:
    """A job as the worker that holds its lease sees it. `lease` is when the lease ends, and proves who holds it."""

    source: Source
    job_id: UUID
    job_type: JobType
    since: datetime
    until: datetime
    filters: Mapping[str, str]
    phase: str
    cursor: str | None
    step: int
    tries: int
    created_at: datetime
    lease: datetime
    on_schedule: bool = False
    plan: str | None = None
    window: ProcessingWindow | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a listed call. `taken`: this job has dealt with it. Times: how new that knowledge is."""

    taken: bool = False
    is_new: bool = True
    waits: bool = False
    waits_in: UUID | None = None
    stored_at: datetime | None = None
    failed_at: datetime | None = None
    discarded_at: datetime | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting call that was claimed. `tries` is -1 for one that a webhook named and nobody has looked at yet."""

    external_id: str
    job_id: UUID | None
    job_type: JobType | None
    cancelled: bool
    why: str
    tries: int
    from_webhook: bool
    started_at: datetime | None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A call of a job that is not sent, and the sentence that says why."""

    external_id: str
    status: Literal["skipped", "failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """When a job began and ended."""

    started_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0.0, (self.ended_at - self.started_at).total_seconds())


async def take(pool: Pool, job_id: UUID, step: int, lease_seconds: float) -> PullJob | None:
    """Begin a step. None: the job has moved on, rests, is over, or another worker is at it."""
    with outages():
        row = await pool.fetchrow(SQL["take_step"], job_id, step, lease_seconds)
        source = await _get(pool, row["source_id"]) if row else None
    if row is None or source is None:
        return None
    return PullJob(
        source=source,
        job_id=row["job_id"],
        job_type=row["job_type"],
        since=row["date_from"],
        until=row["date_to"],
        filters=row["filters"],
        phase=row["phase"],
        cursor=row["cursor"],
        step=row["step"],
        tries=row["tries"],
        created_at=row["created_at"],
        lease=row["leased_until"],
        on_schedule=row["on_schedule"],
        plan=row["plan"],
        window=window_of(row),
    )


async def renew(pool: Pool, job: PullJob, lease: datetime, lease_seconds: float) -> datetime | None:
    """Lengthen the lease; when it ends now. None: it is the holder's no more."""
    with outages():
        until: datetime | None = await pool.fetchval(SQL["renew_lease"], job.job_id, job.step, lease, lease_seconds)
    return until


async def release(pool: Pool, job: PullJob, lease: datetime) -> None:
    """Give the lease back without having moved on."""
    with outages():
        await pool.execute(SQL["release_lease"], job.job_id, job.step, lease)


async def goes_on(pool: Pool, job: PullJob) -> bool:
    """Whether the job still stands at this step and nobody has stopped it."""
    with outages():
        found: bool = await pool.fetchval(SQL["goes_on"], job.job_id, job.step)
    return found


async def advance(pool: Pool, job: PullJob, *, cursor: str | None, estimate: int | None, progress: bool) -> int | None:
    """Move the job on by one step; the new step. None: somebody else has, or it was stopped."""
    with outages():
        step: int | None = await pool.fetchval(
            SQL["advance_step"], job.job_id, job.step, cursor, estimate, progress
        )  # fmt: skip
    return step


async def rest(
    pool: Pool, job: PullJob, *, cursor: str | None, tries: int, sentence: str, resume_at: datetime
) -> None:  # fmt: skip
    """Let the job stand at this step until later."""
    with outages():
        await pool.execute(SQL["rest"], job.job_id, job.step, cursor, tries, sentence, resume_at)


async def hold(pool: Pool, job: PullJob, *, reason: str, sentence: str, until: datetime) -> None:
    """Let the job stand at this step until its workspace allows it to go on."""
    with outages():
        await pool.execute(SQL["hold"], job.job_id, job.step, until, reason, sentence)


async def give_up(pool: Pool, job: PullJob, *, tries: int, sentence: str) -> Ended | None:
    """The job has failed. None: it was over already."""
    with outages():
        row = await pool.fetchrow(SQL["give_up_job"], job.job_id, job.step, sentence, tries)
    return Ended(row["started_at"], row["ended_at"]) if row else None


async def finish(pool: Pool, job: PullJob, since: datetime, gone: str) -> Ended | None:
    """The list of calls from `since` on has ended. `gone` is said of calls that were to be sent and are listed no more.
    None: the job was over already."""
    with outages():
        row = await pool.fetchrow(SQL["finish_job"], job.job_id, job.step, since, job.until, gone)
    return Ended(row["started_at"], row["ended_at"]) if row else None


async def known(pool: Pool, job: PullJob, external_ids: Sequence[str]) -> dict[str, Known]:
    """What is known of these calls."""
    with outages():
        rows = await pool.fetch(
            SQL["known_calls"], job.job_id, job.source.workspace_id, job.source.source_app, job.source.source_id,
            list(external_ids),
        )  # fmt: skip
    return {row["external_id"]: Known(**{name: row[name] for name in Known.__slots__}) for row in rows}


async def note(pool: Pool, job_id: UUID, source_app: str, notes: Sequence[Note]) -> None:
    """Write down calls of a job that are not sent."""
    with outages():
        await pool.execute(
            SQL["note_job_calls"],
            job_id,
            [n.external_id for n in notes],
            [n.status for n in notes],
            [n.reason for n in notes],
            [clock.new_id() for _ in notes],
            source_app,
        )


async def reserve(pool: Pool, job_id: UUID, step: int | None, source_app: str, external_id: str, event: UUID) -> bool:
    """Note a call before it is published. False: the job has moved on or was stopped, or has the call already.
    `step` is None for a call that has waited."""
    with outages():
        found = await pool.fetchval(SQL["reserve_call"], job_id, step, external_id, event, source_app)
    return found is not None


async def accept(
    pool: Pool, job_id: UUID | None, source: Source, external_id: str, new_since: datetime | None
) -> bool:  # fmt: skip
    """The broker has the call. `new_since`: when a call began that only a sync has found. True: a webhook should have
    brought it, and it was counted."""
    with outages():
        counted: int = await pool.fetchval(
            SQL["accept_call"], job_id, source.source_id, source.source_app, external_id, new_since
        )
    return counted > 0


async def find_source(pool: Pool, source_id: UUID) -> Source | None:
    """A source that works. None: a person must act first, or it is gone."""
    with outages():
        source = await _get(pool, source_id)
    return source if source and source.error_message is None else None


async def source_error(pool: Pool, source: Source, reason: str, sentence: str) -> None:
    """A person must act before this source goes on, unless one has connected it again meanwhile."""
    with outages():
        async with pool.acquire() as connection:
            await sources.set_error(connection, source.source_id, reason, sentence, seen=source.last_verified_at)


async def claim_waiting(pool: Pool, source_id: UUID, limit: int, seconds: float) -> list[Waiting]:
    """Waiting calls that are due. For `seconds` nobody else gets them."""
    with outages():
        rows = await pool.fetch(SQL["claim_waiting"], source_id, limit, seconds)
    return [Waiting(**{**{n: row[n] for n in Waiting.__slots__}, "cancelled": bool(row["cancelled"])}) for row in rows]


async def try_later(pool: Pool, source_id: UUID, external_id: str, *, tries: int, why: str, seconds: float) -> None:
    """Let the call wait on."""
    with outages():
        await pool.execute(SQL["try_later"], source_id, external_id, tries, why, seconds)


async def wait_no_more(pool: Pool, source_id: UUID, external_id: str, sentence: str) -> None:
    """Give a waiting call up."""
    with outages():
        await pool.execute(SQL["wait_no_more"], source_id, external_id, sentence)


async def retried(pool: Pool, event_id: UUID) -> None:
    """The retry of a call that had been given up has published it: from here on the call speaks for itself."""
    with outages():
        await pool.execute(SQL["retried_call"], event_id)


async def _get(pool: Pool, source_id: UUID) -> Source | None:
    async with pool.acquire() as connection:
        return await sources.get(connection, None, source_id)
