"""What a record of the outcome topics says to people and programs: the one wording for live events and webhooks."""

import json
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import ValidationError

from schemas.calls import Event, ImportCompleted, ImportSkipped
from schemas.dead_letter import death_of
from schemas.pulls import PullCommand
from schemas.topics import BY_NAME, DEAD
from streams.io import clock
from streams.io.archive import owner_of
from streams.io.bus import REPLAY_ID, header
from streams.io.tail import Seen

Kind = Literal["job", "completed", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Fact:
    """An outcome of a call, and the job it belongs to. Without `kind`: only the job may have moved."""

    workspace_id: UUID
    kind: Kind | None
    job_id: UUID | None
    data: dict[str, Any]


def workspace_of(record: Seen) -> UUID | None:
    """Whose record it is, without decoding it; None where its key does not say."""
    owner = owner_of(record.key)
    return owner[0] if owner else None


def fact_of(record: Seen) -> Fact | None:
    """What a record says. None for one this version does not know, or that belongs to nobody."""
    if record.topic == DEAD.name:
        return _failed(record)
    model = BY_NAME[record.topic].model_of(header(record.headers, "ce_type"))
    if model is None:
        return None
    try:
        event = model.model_validate_json(record.value or b"")
    except (ValidationError, RecursionError, ValueError):
        return None
    return _told(event)


def _told(event: Event) -> Fact | None:
    job_id = event.replay_id or event.job_id
    call = {
        "event_id": str(event.event_id),
        "source_app": event.source_app,
        "external_id": event.external_id,
        "job_id": str(job_id) if job_id else None,
    }
    if isinstance(event, ImportCompleted):
        wanted = {"outcome", "title", "recording_start_time", "imported_at"}
        data = {**call, "call_id": str(event.recording_id), **event.model_dump(mode="json", include=wanted)}
        return Fact(event.workspace_id, "completed", job_id, data)
    if isinstance(event, ImportSkipped):
        return Fact(event.workspace_id, "skipped", job_id, {**call, "reason": event.reason})
    return Fact(event.workspace_id, None, job_id, {}) if isinstance(event, PullCommand) else None


def _failed(record: Seen) -> Fact | None:
    owner = owner_of(record.key)
    if owner is None:
        return None
    workspace_id, source_app, external_id = owner
    death = death_of(
        record.headers, topic=record.topic, partition=record.partition, offset=record.offset, now=clock.now()
    )
    body = _body(record.value)
    job_id = _uuid(header(record.headers, REPLAY_ID)) or _uuid(body.get("replay_id")) or _uuid(body.get("job_id"))
    event_id = _uuid(header(record.headers, "ce_id")) or _uuid(body.get("event_id"))
    data = {
        "event_id": str(event_id) if event_id else None,
        "source_app": source_app,
        "external_id": external_id,
        "job_id": str(job_id) if job_id else None,
        "stage": death.stage,
        "reason": death.reason,
        "message": death.message,
    }
    return Fact(workspace_id, "failed", job_id, data)


def _body(value: bytes | None) -> dict[str, Any]:
    try:
        body = json.loads(value or b"{}")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
