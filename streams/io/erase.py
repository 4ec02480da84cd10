"""Erasing calls: everything of a call goes, and a tombstone keeps it from coming back.

What it promises:

- `erase` works in one transaction. It holds up whoever stores calls of the workspace for as long as that takes, so a
  call that is being stored at that very moment does not come back. They take the lock's shared side with
  `hold_erasing` and look for tombstones in a statement of its own, which sees what was committed while they waited.
- What lies outside the database is named in the tombstone before the commit, and removed by `finish` after it. As long
  as something is named there, it is tried again: nothing stays silently.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from obstore.store import ObjectStore
from pydantic import ValidationError

from schemas.calls import ClaimReleased, Event
from schemas.topics import NORMALIZED, TOPICS
from streams.io import clock, media, queries
from streams.io.bus import Bus
from streams.io.store import Connection, Pool, in_workspace, outages

SQL = queries.load("erase")
Key = tuple[UUID, str, str]
"""Workspace, source and external id."""
ERASED = "You erased this call, so it is not brought back."
"""What a job says of a call that came once more."""
GONE = "You erased this call."
UPLOAD = "upload"
CLAIMED = tuple(topic.name for topic in TOPICS if topic.models)
"""Topics on which a large event is a reference to the media store."""
SETTLED_SECONDS = 10.0
"""Leftovers younger than this are whoever erased the call's own to remove."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed. `stored`: the library had the call; `left`: something outside the database is to be removed."""

    stored: bool
    failed_imports: int
    transcripts: int
    left: bool


async def hold_erasing(connection: Connection, workspace_ids: Sequence[UUID]) -> None:
    """Until the transaction ends, no call of these workspaces is erased. Call it before anything is locked."""
    await connection.execute(SQL["hold_erasing"], list(workspace_ids))


async def erased(connection: Connection | Pool, calls: Sequence[Key]) -> set[Key]:
    """Which of these calls were erased. Raises `OutageFault`."""
    with outages():
        rows = await connection.fetch(SQL["erased"], *_columns(calls))
    return {(row["workspace_id"], row["source_app"], row["external_id"]) for row in rows}


async def note_left(connection: Connection, calls: Sequence[tuple[Key, str | None, str | None, UUID]]) -> None:
    """Erased calls came once more: (call, its recording's object and hash, event). `finish` removes what came."""
    columns = [list(column) for column in zip(*((*key, *rest) for key, *rest in calls), strict=True)]
    await connection.execute(SQL["note_left"], *columns)


async def erase(connection: Connection, call: Key, *, by: str) -> Erased:
    """Erase one call, in the caller's transaction; `finish` comes after its commit. Erasing twice is no error.

    What may take a while comes before the lock, so that nobody who stores calls waits for it.
    """
    await connection.execute(SQL["blank_deliveries"], *call)
    await connection.execute(SQL["blank_reports"], *call)
    if call[1] == UPLOAD:
        await connection.execute(SQL["forget_answers"], call[0], call[2])
    await connection.execute(SQL["hold_storing"], call[0])
    found_media, audio, events = await _traces(connection, call)
    await connection.execute(SQL["add_tombstone"], *call, by, found_media, audio, events)
    stored = await connection.fetchval(SQL["drop_recording"], *call) is not None
    await connection.execute(SQL["close_imported_call"], *call, GONE)
    await connection.execute(SQL["drop_waiting"], *call)
    await connection.execute(SQL["close_job_calls"], *call, GONE)
    failed = await connection.fetch(SQL["drop_failed"], *call)
    await connection.execute(SQL["drop_transcriptions"], *call)
    transcripts = await _forget_speech(connection, call[0], audio)
    return Erased(stored, len(failed), transcripts, bool(found_media or audio or events))


async def _traces(connection: Connection, call: Key) -> tuple[list[str], list[str], list[UUID]]:
    """Objects, hashes of recordings, and events of a call, as far as the database knows them."""
    row: Any = await connection.fetchrow(SQL["traces"], *call)
    objects, audio = set(row["media"] or ()), set(row["audio"] or ())
    for original in await connection.fetch(SQL["originals"], *call):
        text = original["original_value"].decode("utf-8", "replace")
        for ref, sha256 in re.findall(rf'((?:uploads|pulled)/{call[0]}/([0-9a-f]{{64}})/[^"\\/\s]+)', text):
            objects.add(ref)
            audio.add(sha256)
    return sorted(objects), sorted(audio), list(row["events"] or ())


async def _forget_speech(connection: Connection, workspace_id: UUID, audio: Sequence[str]) -> int:
    if not audio:
        return 0
    await connection.execute(SQL["forget_chunks"], workspace_id, list(audio))
    return len(await connection.fetch(SQL["forget_transcripts"], workspace_id, list(audio)))


# After the commit -------------------------------------------------------------------------------------------------


async def finish(pool: Pool, store: ObjectStore, bus: Bus, call: Key) -> int:
    """Remove what an erased call has left outside the database; how many objects that were. May be called any number of
    times. Raises `OutageFault`; then it is all still to be done.

    The claim that dedup holds is released as well, so that the call, should it come again, is skipped as erased.
    """
    async with in_workspace(pool, call[0]) as connection:
        row = await connection.fetchrow(SQL["left_of"], *call)
        if row is None:
            return 0
        await connection.execute(SQL["blank_deliveries"], *call)
        await _forget_speech(connection, call[0], row["left_audio"])
    removed = await _remove_objects(pool, store, call[0], row)
    for event_id in row["left_events"]:
        release = _release(call, event_id)
        if release is not None:
            await bus.publish(NORMALIZED, release)
    async with in_workspace(pool, call[0]) as connection:
        await connection.execute(SQL["nothing_left"], *call, row["left_at"])
    return removed


async def _remove_objects(pool: Pool, store: ObjectStore, workspace_id: UUID, row: Any) -> int:
    shared = set(row["left_media"])
    for sha256 in row["left_audio"]:
        for way in ("uploads", "pulled"):
            shared |= {key async for key in media.keys_in(store, f"{way}/{workspace_id}/{sha256}")}
    async with in_workspace(pool, workspace_id) as connection:
        used = {each["ref"] for each in await connection.fetch(SQL["still_used"], workspace_id, list(shared))}
    own = {key async for key in _of_events(store, workspace_id, row["left_events"])}
    gone = sorted((shared - used) | own)
    for key in gone:
        await media.delete(store, key)
    return len(gone)


async def _of_events(store: ObjectStore, workspace_id: UUID, events: Sequence[UUID]) -> AsyncIterator[str]:
    """Objects that belong to events alone: what was fetched for them, and payloads that were too large for Kafka."""
    for event_id in events:
        async for key in media.keys_in(store, f"fetched/{workspace_id}/{event_id}"):
            yield key
    if not events:
        return
    names = tuple(sorted(str(event_id) for event_id in events))
    for topic in CLAIMED:
        folder = f"claims/{topic}"
        async for key in media.keys_in(store, folder, after=f"{folder}/{names[0]}", until=f"{folder}/{names[-1]}~"):
            if key.removeprefix(f"{folder}/").startswith(names):
                yield key


def _release(call: Key, event_id: UUID) -> Event | None:
    """The end of an event's claim; None for what cannot have one, because no valid event has such names."""
    now = clock.now()
    try:
        return ClaimReleased(
            event_id=event_id, workspace_id=call[0], source_app=call[1], external_id=call[2], observed_at=now,
            received_at=now,
        )  # fmt: skip
    except ValidationError:
        return None


async def unfinished(pool: Pool, *, after_seconds: float = SETTLED_SECONDS, limit: int = 50) -> list[Key]:
    """Erased calls that have left something behind. The pool must see all workspaces. Raises `OutageFault`."""
    with outages():
        rows = await pool.fetch(SQL["calls_with_left"], after_seconds, limit)
    return [(row["workspace_id"], row["source_app"], row["external_id"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Named:
    """A call that somebody names by its external id. `is_here`: something of it is here, erased or not."""

    source_app: str
    title: str | None
    is_erased: bool
    is_here: bool


async def named(connection: Connection, workspace_id: UUID, external_id: str, source_app: str | None) -> list[Named]:
    """The calls of that external id, one a source: stored, failed, waiting or erased."""
    rows: list[asyncpg.Record] = await connection.fetch(SQL["named_calls"], workspace_id, external_id, source_app)
    return [Named(row["source_app"], row["title"], row["is_erased"], row["is_here"]) for row in rows]


def _columns(calls: Sequence[Key]) -> tuple[list[UUID], list[str], list[str]]:
    return [call[0] for call in calls], [call[1] for call in calls], [call[2] for call in calls]
