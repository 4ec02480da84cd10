"""Call with a transcript in, row in PostgreSQL, then `imports.completed.v1`."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from schemas.calls import Call, ImportCompleted
from schemas.outcomes import Next
from schemas.topics import COMPLETED, SKIPPED
from streams.stages.dedup import erased, skipped


class Stored(Protocol):
    """What the store says became of a call; see `streams.io.recordings`."""

    @property
    def result(self) -> Literal["imported", "updated", "already_imported", "older_than_stored", "erased"]: ...
    @property
    def import_id(self) -> UUID | None: ...
    @property
    def recording_id(self) -> UUID | None: ...
    @property
    def imported_at(self) -> datetime | None: ...
    @property
    def owner_event_id(self) -> UUID | None: ...


async def persist(call: Call, store: Callable[[Call], Awaitable[Stored]], now: datetime) -> Next:
    """Store the call; the completed event is sent only after the commit, and again when the event comes again."""
    stored = await store(call)
    if stored.result == "erased":
        return erased(call, now, stage="persist")
    if stored.result in ("already_imported", "older_than_stored"):
        return Next([(SKIPPED, skipped(call, stored.result, stored.owner_event_id, now, stage="persist"))])
    return Next([(COMPLETED, completed(call, stored, now))])


def completed(call: Call, stored: Stored, now: datetime) -> ImportCompleted:
    """The public event for a stored call."""
    return ImportCompleted(
        **call.identity(),
        import_id=stored.import_id,
        recording_id=stored.recording_id,
        outcome=stored.result,
        metadata_quality=call.metadata_quality,
        title=call.title,
        recording_start_time=call.recording_start_time,
        duration_ms=call.duration_ms,
        imported_at=stored.imported_at or now,
    )
