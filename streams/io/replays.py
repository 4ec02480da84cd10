"""Replays as rows: what one reads, how far it is, what it would change. A replay is an import job, with the same id.

Ids of replays are ordered by time within a workspace, whatever the clocks do: what a later replay mapped wins over what
an earlier one did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from schemas.topics import ARCHIVE
from streams.io import clock, queries
from streams.io.store import Connection, Pool, outages

SQL = queries.load("replays")
State = Literal["queued", "reading", "finishing", "done", "failed", "cancelled"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")
COUNTED = ("pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused")
EVERY_SOURCE = "all"
"""What the job of a replay says as its source when it reads all of them."""


class Selection(BaseModel):
    """Which records of the archive are read again. Nothing given: all of the workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: AwareDatetime | None = Field(default=None, alias="from")
    """Accepted at this time or later."""
    to: AwareDatetime | None = None
    """Accepted before this time."""
    source_app: str | None = Field(default=None, min_length=1, max_length=40)
    external_id: str | None = Field(default=None, min_length=1, max_length=512)
    topic: str | None = None
    """One of the two topics of the archive; both when nothing is given."""

    @field_validator("topic")
    @classmethod
    def _is_archive(cls, topic: str | None) -> str | None:
        names = [known.name for known in ARCHIVE]
        if topic is not None and topic not in names:
            raise ValueError(f"only {' and '.join(names)} can be read again")
        return topic

    def as_json(self) -> dict[str, Any]:
        """What was given, under the names people use."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay as it stands. `counts`: its calls by the state of their import."""

    replay_id: UUID
    workspace_id: UUID
    selection: Selection
    dry_run: bool
    rate: float | None
    state: State
    cursor: dict[tuple[str, int], tuple[int, int]]
    read_events: int
    total_events: int | None
    """None until the replay has started."""
    matched_events: int
    published_events: int
    report: dict[str, Any]
    created_by: UUID | None
    created_at: datetime
    started_at: datetime
    finished_at: datetime | None
    last_error: str | None
    counts: Mapping[str, int]


async def create(
    db: Pool | Connection,
    workspace_id: UUID,
    created_by: UUID | None,
    selection: Selection,
    *,
    dry_run: bool,
    rate: float | None,
) -> UUID:
    """Queue a replay. Its id is greater than that of every earlier replay of the workspace. Raises `OutageFault`."""
    with outages():
        latest = await db.fetchval(SQL["latest_replay"], workspace_id)
        replay_id = following(latest, clock.new_id())
        source = selection.source_app or EVERY_SOURCE
        await db.execute(
            SQL["add_replay"], replay_id, workspace_id, source, created_by, selection.as_json(), dry_run, rate
        )
    return replay_id


def following(latest: UUID | None, fresh: UUID) -> UUID:
    """`fresh`, unless the clock went back since `latest` was made; then the id right after that."""
    return fresh if latest is None or fresh > latest else UUID(int=latest.int + 1)


async def get(db: Pool | Connection, workspace_id: UUID, replay_id: UUID) -> Replay | None:
    """One replay of the workspace. Raises `OutageFault`."""
    with outages():
        row = await db.fetchrow(SQL["list_replays"], workspace_id, replay_id, None, 1)
    return _replay(row) if row else None


async def list_newest(
    db: Pool | Connection, workspace_id: UUID, *, before: UUID | None = None, limit: int = 50
) -> list[Replay]:
    """Replays of the workspace, newest first, from before that one on. Raises `OutageFault`."""
    with outages():
        rows = await db.fetch(SQL["list_replays"], workspace_id, None, before, limit)
    return [_replay(row) for row in rows]


async def cancel(db: Pool | Connection, workspace_id: UUID, replay_id: UUID) -> bool:
    """Stop a replay within its next batch; what it has published already still arrives. False: it was over already."""
    with outages():
        return await db.fetchval(SQL["cancel_replay"], workspace_id, replay_id) is not None


# For the engine, which sees all workspaces.


async def due(pool: Pool, limit: int) -> list[UUID]:
    """Replays to work on: those that only wait for what they published, and the `limit` oldest of the others."""
    with outages():
        return [row["replay_id"] for row in await pool.fetch(SQL["due_replays"], limit)]


async def find(pool: Pool, replay_id: UUID) -> Replay | None:
    """A replay by its id alone, unless it is over or its job was cancelled; then it is closed, and None."""
    with outages():
        await pool.execute(SQL["close_cancelled"], replay_id)
        row = await pool.fetchrow(SQL["find_replay"], replay_id)
    return _replay({**dict(row), **dict.fromkeys(COUNTED, 0)}) if row else None


async def start(pool: Pool, replay_id: UUID, cursor: Mapping[tuple[str, int], tuple[int, int]], total: int) -> None:
    """Begin to read, at `cursor`: from now on its ends are fixed. Nothing counted before counts any more."""
    with outages():
        await pool.execute(SQL["start_replay"], replay_id, _json(cursor), total)


async def expect(pool: Pool, replay: Replay, calls: Sequence[tuple[str, str]], event_ids: Sequence[UUID]) -> None:
    """Add calls (source, external id) to the replay's job, before their events are published. Idempotent."""
    with outages():
        await pool.execute(
            SQL["expect_calls"],
            replay.workspace_id,
            replay.replay_id,
            [source for source, _ in calls],
            [external_id for _, external_id in calls],
            list(event_ids),
        )


async def advance(
    pool: Pool,
    replay_id: UUID,
    cursor: Mapping[tuple[str, int], tuple[int, int]],
    *,
    read: int,
    matched: int,
    published: int,
) -> bool:
    """Note that everything before `cursor` is done; the counts are those of this batch. False: it was cancelled."""
    with outages():
        moved = await pool.fetchval(SQL["advance_replay"], replay_id, _json(cursor), read, matched, published)
    return moved is not None


async def finishing(pool: Pool, replay_id: UUID) -> None:
    """Everything is published."""
    with outages():
        await pool.execute(SQL["finish_replay"], replay_id)


async def close(
    pool: Pool,
    replay_id: UUID,
    state: Literal["done", "failed"],
    *,
    report: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """The end of a replay that nobody cancelled: its job adds no more calls."""
    with outages():
        await pool.execute(SQL["close_replay"], replay_id, state, dict(report or {}), error)


async def stored(pool: Pool, workspace_id: UUID, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """What decides about replacing these calls (source, external id), of those that are stored."""
    with outages():
        rows = await pool.fetch(SQL["stored_calls"], workspace_id, [k[0] for k in keys], [k[1] for k in keys])
    return {(row["source_app"], row["external_id"]): row for row in rows}


async def stored_content(pool: Pool, workspace_id: UUID, key: tuple[str, str]) -> dict[str, Any] | None:
    """What a person sees of a stored call."""
    with outages():
        row = await pool.fetchrow(SQL["stored_content"], workspace_id, *key)
    return dict(row) if row else None


def _json(cursor: Mapping[tuple[str, int], tuple[int, int]]) -> dict[str, list[int]]:
    return {f"{topic}/{number}": list(span) for (topic, number), span in cursor.items()}


def _cursor(found: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], tuple[int, int]]:
    places = ((place.rpartition("/"), span) for place, span in found.items())
    return {(topic, int(number)): (span[0], span[1]) for (topic, _, number), span in places}


def _replay(row: Any) -> Replay:
    fields = {name: row[name] for name in Replay.__slots__ if name != "counts"}
    return Replay(
        **{
            **fields,
            "selection": Selection.model_validate(fields["selection"]),
            "rate": float(fields["rate"]) if fields["rate"] is not None else None,
            "cursor": _cursor(fields["cursor"]),
            "counts": {name: row[name] for name in COUNTED},
        }
    )
