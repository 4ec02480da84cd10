"""Replays: read the archive of raw calls again, for a workspace or a part of it. The engine is in `streams/replay.py`.

A replay is an import job, too, with the same id: its calls are under `/api/imports/{id}/calls`.
"""

import hashlib
import math
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import auth, idempotency
from api.auth import Caller
from api.jobs import estimate
from api.paging import Instant, Items, Storable, cursor_id, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from connectors.registry import CONNECTORS
from schemas.topics import ARCHIVE
from streams.io import clock, replays
from streams.io.replays import OVER, Selection
from streams.io.store import in_workspace

ReplayStatus = Literal["pending", "in_progress", "completed", "partial", "failed", "cancelled"]


class ReplayCreate(BaseModel):
    """What to read again; nothing given means everything. `rate` is events a second, `dry_run` only counts."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Instant | None = Field(default=None, alias="from", description="Accepted at this time or later.")
    to: Instant | None = Field(default=None, description="Accepted before this time.")
    source_app: Storable | None = None
    external_id: Storable | None = Field(default=None, min_length=1, max_length=512)
    topic: Storable | None = Field(default=None, description="One of the two topics of the archive; default: both.")
    rate: float | None = None
    dry_run: bool = False


class Change(BaseModel):
    """A call that a replay would change: the fields that differ, shortened, before and after."""

    source_app: str
    external_id: str
    before: dict[str, Any]
    after: dict[str, Any]


class Refusal(BaseModel):
    """A call that could not be imported again, and why."""

    source_app: str
    external_id: str
    reason: str
    message: str


class Report(BaseModel):
    """What a dry run found. `older`: a newer version is in the library, and would stay."""

    would_import: int = 0
    would_change: int = 0
    unchanged: int = 0
    older: int = 0
    would_fail: int = 0
    sample: list[Change] = []
    failures: list[Refusal] = []


class Replay(BaseModel):
    """A replay and how far it is. `changed_calls`: imported, because they were missing, or updated.

    `report` is that of a dry run, once it is through.
    """

    id: UUID
    status: ReplayStatus
    dry_run: bool
    selection: dict[str, Any]
    rate: float | None
    total_events: int | None
    read_events: int
    matched_events: int
    published_events: int
    progress: float
    estimated_completion_at: datetime | None
    total_calls: int
    processed_calls: int
    imported_calls: int
    updated_calls: int
    skipped_calls: int
    failed_calls: int
    waiting_calls: int
    changed_calls: int
    report: Report | None
    last_error: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None


def selection_of(wanted: ReplayCreate) -> Selection:
    """What is meant. Raises a 422 problem that says which part of it cannot be."""
    sources, topics = sorted(CONNECTORS), [topic.name for topic in ARCHIVE]
    if wanted.from_ and wanted.to and wanted.from_ >= wanted.to:
        raise _refused("from", "The time `from` must be before the time `to`.")
    if wanted.source_app is not None and wanted.source_app not in CONNECTORS:
        raise _refused("source_app", f"There is no source {wanted.source_app!r:.60}. There are: {', '.join(sources)}.")
    if wanted.topic is not None and wanted.topic not in topics:
        raise _refused("topic", f"Only the topics {' and '.join(topics)} can be read again.")
    if wanted.rate is not None and not 0 < wanted.rate < math.inf:
        raise _refused("rate", "The rate must be more than 0 events a second. Leave it out for no limit.")
    return Selection(
        from_=wanted.from_, to=wanted.to, source_app=wanted.source_app, external_id=wanted.external_id,
        topic=wanted.topic,
    )  # fmt: skip


def _refused(field: str, sentence: str) -> Problem:
    return Problem(422, "invalid_field", sentence, field=field)


def status_of(replay: replays.Replay) -> ReplayStatus:
    """How a replay stands, in the words of jobs."""
    if replay.state in ("failed", "cancelled"):
        return replay.state
    if replay.state != "done":
        return "pending" if replay.state == "queued" else "in_progress"
    bad = replay.counts["failed"] + replay.counts["refused"]
    if not bad:
        return "completed"
    return "failed" if bad == sum(replay.counts.values()) else "partial"


def shown(replay: replays.Replay, now: datetime) -> Replay:
    """A replay as people see it. Reading an event and settling a call count alike, so progress never goes back."""
    counts = replay.counts
    total = sum(counts.values())
    ended = total - counts["pending"] - counts["waiting"]
    over = replay.state in OVER
    done, all_of_it = replay.read_events + ended, (replay.total_events or 0) + total
    progress = min(1.0, done / all_of_it) if all_of_it else 0.0
    status = status_of(replay)
    return Replay(
        id=replay.replay_id,
        status=status,
        dry_run=replay.dry_run,
        selection=replay.selection.as_json(),
        rate=replay.rate,
        total_events=replay.total_events,
        read_events=replay.read_events,
        matched_events=replay.matched_events,
        published_events=replay.published_events,
        progress=1.0 if replay.state == "done" else round(progress, 4),
        estimated_completion_at=None if over else estimate(replay.started_at, now, done, all_of_it),
        total_calls=total,
        processed_calls=ended,
        imported_calls=counts["imported"],
        updated_calls=counts["updated"],
        skipped_calls=counts["skipped"],
        failed_calls=counts["failed"] + counts["refused"],
        waiting_calls=counts["waiting"],
        changed_calls=counts["imported"] + counts["updated"],
        report=Report(**replay.report) if replay.report else None,
        last_error=replay.last_error,
        created_at=replay.created_at,
        started_at=replay.started_at,
        completed_at=replay.finished_at if over else None,
    )


async def create(ports: Ports, caller: Caller, wanted: ReplayCreate, key: str | None = None) -> Replay:
    """Queue a replay, once per idempotency key."""
    selection = selection_of(wanted)
    content = hashlib.sha256(b"replay:" + wanted.model_dump_json().encode()).hexdigest()

    async def work() -> dict[str, Any]:
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            replay_id = await replays.create(
                connection, caller.workspace_id, caller.user_id, selection, dry_run=wanted.dry_run, rate=wanted.rate
            )
            detail = {**selection.as_json(), "dry_run": wanted.dry_run}
            await auth.audit(connection, caller, caller.workspace_id, "replay.started", str(replay_id), **detail)
        return (await get(ports, caller, replay_id)).model_dump(mode="json")

    answer = await idempotency.once(ports.pool, caller.workspace_id, idempotency.checked_key(key), content, work)
    return Replay.model_validate(answer)


async def get(ports: Ports, caller: Caller, replay_id: UUID) -> Replay:
    """One replay. Raises a 404 problem."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        found = await replays.get(connection, caller.workspace_id, replay_id)
    if found is None:
        raise not_found("replay")
    return shown(found, clock.now())


async def list_replays(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[Replay]:
    """Replays, newest first."""
    (before,) = decode_cursor(cursor, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        found = await replays.list_newest(connection, caller.workspace_id, before=before, limit=limit + 1)
    now = clock.now()
    return page(found, limit, lambda replay: shown(replay, now), lambda replay: (replay.replay_id,))


async def cancel(ports: Ports, caller: Caller, replay_id: UUID) -> Replay:
    """Stop a replay. What it has published already still arrives. Raises a 409 problem when it is over."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if stopped := await replays.cancel(connection, caller.workspace_id, replay_id):
            await auth.audit(connection, caller, caller.workspace_id, "replay.cancelled", str(replay_id))
    found = await get(ports, caller, replay_id)
    if not stopped and found.status != "cancelled":
        raise Problem(409, "already_over", f"This replay is {found.status}: there is nothing left to cancel.")
    return found
