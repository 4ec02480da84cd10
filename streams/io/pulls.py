"""Imports that pull, as rows: jobs that go page by page, calls that wait for their source, and what is proven imported.

Here is what the ways in and the schedule do with them; what a worker does is in `pull_steps.py`. Functions that take a
connection work on one of the workspace and on the pipeline's pool alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from schemas.faults import OutageFault
from schemas.pulls import PullCommand
from schemas.topics import PULL
from streams.io import clock, queries
from streams.io.bus import Bus
from streams.io.store import Connection, Pool, in_workspace, outages
from streams.io.windows import ProcessingWindow, window_of

SQL = queries.load("pulls")
JobType = Literal["historical", "sync", "backfill"]
Ranges = list[tuple[datetime, datetime]]
NOTICED = "The source has announced this call. It is read as soon as it is ready."
DISCONNECTED = "The account of this import was disconnected. Connect it again and start a new import."


class SourceRef(Protocol):
    """What names a source."""

    @property
    def source_id(self) -> UUID: ...
    @property
    def workspace_id(self) -> UUID: ...
    @property
    def source_app(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ref:
    """A source by its names alone."""

    source_id: UUID
    workspace_id: UUID
    source_app: str


async def create_job(
    connection: Connection,
    *,
    workspace_id: UUID,
    source_id: UUID,
    source_app: str,
    user_id: UUID | None,
    job_type: JobType,
    since: datetime,
    until: datetime,
    filters: Mapping[str, str] | None = None,
    count_first: bool = False,
    on_schedule: bool = False,
) -> UUID:
    """A new import of the calls from `since` until before `until`. Publish its first command with `start`, after the
    commit. `count_first`: the source is asked how many calls there are before they are pulled. `on_schedule`: nobody
    asked for this sync, so it keeps to the processing window."""
    job_id = clock.new_id()
    phase = "counting" if count_first else "pulling"
    await connection.execute(
        SQL["add_pull_job"], job_id, workspace_id, job_type, source_app, user_id, source_id, since, until,
        dict(filters or {}), phase, on_schedule,
    )  # fmt: skip
    return job_id


async def create_sync(
    connection: Connection,
    source: SourceRef,
    *,
    user_id: UUID | None,
    synced_until: datetime | None,
    overlap: timedelta,
    reaches_back: timedelta | None,
    first_sync_days: int,
    count_first: bool = False,
    on_schedule: bool = False,
) -> UUID:
    """A new sync, from a little before the end of the last one, because calls appear late. Begin it with `start`."""
    until = clock.now()
    since = until - timedelta(days=first_sync_days) if synced_until is None else min(synced_until, until) - overlap
    if reaches_back is not None:
        since = max(since, until - reaches_back)
    return await create_job(
        connection, workspace_id=source.workspace_id, source_id=source.source_id, source_app=source.source_app,
        user_id=user_id, job_type="sync", since=since, until=until, count_first=count_first, on_schedule=on_schedule,
    )  # fmt: skip


async def start(pool: Pool, bus: Bus, workspace_id: UUID, job_id: UUID) -> None:
    """Publish the command that the job waits for. If Kafka is away, the schedule does it later."""
    async with in_workspace(pool, workspace_id) as connection:
        row = await connection.fetchrow(SQL["find_step"], job_id, workspace_id)
    if row is None:
        return
    try:
        await bus.publish(PULL, command(ref_of(row), job_id=job_id, step=row["step"]))
    except OutageFault:
        async with in_workspace(pool, workspace_id) as connection:
            await connection.execute(SQL["not_kicked"], job_id, row["step"])


async def note_call(
    connection: Connection | Pool,
    *,
    source: SourceRef,
    external_id: str,
    job_id: UUID | None,
    why: str = NOTICED,
    due_at: datetime,
    from_webhook: bool,
    started_at: datetime | None = None,
) -> None:
    """Keep a call that is known at its source and cannot be read yet. After a webhook's notice, call `wake`."""
    with outages():
        await connection.execute(
            SQL["note_call"], source.workspace_id, source.source_id, source.source_app, external_id, job_id, why,
            -1 if from_webhook else 0, from_webhook, due_at, clock.new_id(), started_at,
        )  # fmt: skip


async def wake(bus: Bus, source: SourceRef) -> None:
    """Have the waiting calls of a source looked at that are due. Raises `OutageFault`; then the schedule does it."""
    await bus.publish(PULL, command(source))


def command(
    source: SourceRef, *, job_id: UUID | None = None, step: int = 0, external_id: str | None = None
) -> PullCommand:
    """The command that moves a job on from `step`; without a job, the one that has waiting calls looked at, or reads
    the call of that `external_id`."""
    now = clock.now()
    return PullCommand(
        event_id=clock.new_id(),
        workspace_id=source.workspace_id,
        source_app=source.source_app,
        external_id=external_id or str(source.source_id),
        job_id=job_id,
        observed_at=now,
        received_at=now,
        source_id=source.source_id,
        what="page" if job_id else "call" if external_id else "waiting",
        step=step,
    )


def ref_of(row: Any) -> Ref:
    """The source that a row names."""
    return Ref(row["source_id"], row["workspace_id"], row["source_app"])


async def read_again(connection: Connection, workspace_id: UUID, job_id: UUID) -> int:
    """Have the calls of a job tried again that could not be read at their source; how many those are. Then `wake`."""
    count: int = await connection.fetchval(SQL["read_again"], workspace_id, job_id)
    return count


async def sync_runs(connection: Connection | Pool, source_id: UUID) -> bool:
    """Whether a sync of the source is under way."""
    running: bool = await connection.fetchval(SQL["sync_runs"], source_id)
    return running


async def covered(connection: Connection | Pool, source_id: UUID) -> Ranges:
    """The time ranges of a source that are proven imported, in order."""
    return [(row["since"], row["until"]) for row in await connection.fetch(SQL["covered"], source_id)]


async def gaps(connection: Connection | Pool, source_id: UUID, since: datetime, until: datetime) -> Ranges:
    """What lies between these times and is not covered, in order."""
    return [(row["since"], row["until"]) for row in await connection.fetch(SQL["gaps"], source_id, since, until)]


# For the schedule, which sees all workspaces ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DueSync:
    """A source whose sync was taken, how far the last one came, and when its workspace lets it run."""

    source: Ref
    user_id: UUID
    synced_until: datetime | None
    window: ProcessingWindow | None = None


@dataclass(frozen=True, slots=True)
class Kick:
    """A command to publish."""

    source: Ref
    job_id: UUID
    step: int


async def due_syncs(pool: Pool, limit: int = 200) -> list[UUID]:
    """Sources whose next sync is due."""
    with outages():
        return [row["source_id"] for row in await pool.fetch(SQL["due_syncs"], limit)]


async def take_sync(connection: Connection, source_id: UUID) -> DueSync | None:
    """Take a due sync and set the time of the next. None: somebody else has, or it is no longer due."""
    row = await connection.fetchrow(SQL["take_sync"], source_id)
    return DueSync(ref_of(row), row["user_id"], row["synced_until"], window_of(row)) if row else None


async def put_off_sync(connection: Connection, source_id: UUID, until: datetime) -> None:
    """The sync that was taken comes later."""
    await connection.execute(SQL["put_off_sync"], source_id, until)


async def kicks(pool: Pool, stood_seconds: float, limit: int = 200) -> list[Kick]:
    """Jobs that nobody is at and whose turn it is. Publish their commands, or call `not_kicked`."""
    with outages():
        rows = await pool.fetch(SQL["kick_jobs"], stood_seconds, limit)
    return [Kick(ref_of(row), row["job_id"], row["step"]) for row in rows]


async def not_kicked(pool: Pool, job_id: UUID, step: int) -> None:
    """The command could not be published; the next round does it."""
    with outages():
        await pool.execute(SQL["not_kicked"], job_id, step)


async def due_waiting(pool: Pool, limit: int = 200) -> list[Ref]:
    """Sources with waiting calls that are due."""
    with outages():
        return [ref_of(row) for row in await pool.fetch(SQL["due_waiting"], limit)]


async def close_cancelled(pool: Pool) -> list[str]:
    """Close the books of jobs that were cancelled; their sources' names."""
    with outages():
        return [row["source_app"] for row in await pool.fetch(SQL["close_cancelled_pulls"])]


async def give_up_orphans(pool: Pool) -> list[str]:
    """Fail the jobs whose source was disconnected; their sources' names."""
    with outages():
        return [row["source_app"] for row in await pool.fetch(SQL["give_up_orphans"], DISCONNECTED)]


async def forget_secrets(pool: Pool) -> None:
    """Delete the credentials of one-off imports that are over, and sign-ins that nobody came back from."""
    with outages():
        await pool.execute(SQL["forget_credentials"])
        await pool.execute(SQL["forget_oauth_states"])
