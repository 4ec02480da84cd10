"""Import jobs as everybody is shown them: a row with its calls counted by state becomes a state and its numbers.

The one truth about when a job is over, for the API and for outgoing webhooks.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel

JobStatus = Literal["pending", "counting", "in_progress", "waiting", "completed", "partial", "failed", "cancelled"]
CallStatus = Literal["pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused"]
COUNTED = ("pending", "imported", "updated", "skipped", "failed", "waiting", "discarded", "refused")
OVER = frozenset({"completed", "partial", "failed", "cancelled"})


class Job(BaseModel):
    """A job and how far it is. `processed_calls` counts the calls that have come to an end, whichever.

    `total_calls` is what the source says there are, as long as the job is not through with its list. `resume_at`: it
    waits until then, for a limit or a fault of the source, or for what its workspace allows; `last_error` says which.
    """

    id: UUID
    job_type: str
    source_app: str
    source_id: UUID | None = None
    status: JobStatus
    total_calls: int
    processed_calls: int
    imported_calls: int
    updated_calls: int
    skipped_calls: int
    failed_calls: int
    waiting_calls: int
    resume_at: datetime | None = None
    estimated_completion_at: datetime | None
    last_error: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pulling:
    """Where a job stands that pulls. `waiting_until`: when the last of its waiting calls is looked at again."""

    phase: Literal["counting", "pulling", "done"]
    resume_at: datetime | None = None
    estimated_calls: int | None = None
    failed_at: datetime | None = None
    waiting_until: datetime | None = None


def status_of(
    counts: dict[str, int],
    *,
    total: int,
    open_ended: bool,
    cancelled: bool,
    broken: bool = False,
    pulling: Pulling | None = None,
    now: datetime | None = None,
) -> JobStatus:
    """A job's state out of its calls'. Discarded calls are neither good nor bad. `broken`: a replay that gave up.

    One that pulls says as well whether it counts, and whether the source lets it wait; one that gave up has failed,
    whatever it brought before.
    """
    ended = sum(counts.values()) - counts["pending"] - counts["waiting"]
    if cancelled or broken or (pulling and pulling.failed_at):
        return "cancelled" if cancelled else "failed"
    if pulling and now and pulling.phase != "done" and pulling.resume_at and pulling.resume_at > now:
        return "waiting"
    if pulling and pulling.phase == "counting":
        return "counting"
    if counts["pending"] or open_ended:
        return "in_progress" if ended or counts["waiting"] else "pending"
    if counts["waiting"]:
        return "waiting"
    bad = counts["failed"] + counts["refused"]
    if not bad:
        return "completed"
    return "failed" if bad == total else "partial"


def pulling_of(row: Any) -> Pulling | None:
    """Where the job of a row stands, if it pulls."""
    return Pulling(**{each.name: row[each.name] for each in fields(Pulling)}) if row["phase"] else None


def shown(row: Any, now: datetime) -> dict[str, Any]:
    """The fields of `Job` from a row of `list_jobs`, but for the estimate of when it will be done."""
    counts = {name: row[name] for name in COUNTED}
    known, pulling = sum(counts.values()), pulling_of(row)
    listing = pulling is not None and pulling.phase != "done" and row["cancelled_at"] is None
    total = max(row["total_calls"], known, (row["estimated_calls"] or 0) if listing else 0)
    status = status_of(
        counts, total=total, open_ended=row["open_ended"], cancelled=row["cancelled_at"] is not None,
        broken=row["replay_state"] == "failed", pulling=pulling, now=now,
    )  # fmt: skip
    return {
        "id": row["job_id"],
        "job_type": row["job_type"],
        "source_app": row["source_app"],
        "source_id": row["source_id"],
        "status": status,
        "total_calls": total,
        "processed_calls": known - counts["pending"] - counts["waiting"],
        "imported_calls": counts["imported"],
        "updated_calls": counts["updated"],
        "skipped_calls": counts["skipped"],
        "failed_calls": counts["failed"] + counts["refused"],
        "waiting_calls": counts["waiting"],
        "resume_at": row["resume_at"] if status == "waiting" else None,
        "estimated_completion_at": None,
        "last_error": row["last_error"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "completed_at": _completed_at(row) if status in OVER else None,
    }


def _completed_at(row: Any) -> datetime:
    if row["cancelled_at"]:
        return cast(datetime, row["cancelled_at"])
    ends = [row["failed_at"] or row["done_at"], row["last_change"]]
    return cast(datetime, max((end for end in ends if end), default=row["created_at"]))
