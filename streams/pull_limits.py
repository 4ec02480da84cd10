"""What a workspace allows an import that pulls: its processing window, and how many calls its plan has room for.

Looked at before each slice of a job, so that a change holds for imports under way. What a person asks for now (a sync
by hand, an upload) and webhooks do not wait for the window.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from streams.io.pull_steps import PullJob
from streams.io.quotas import Plans, quota
from streams.io.store import Pool

ON_THE_WAY = timedelta(seconds=30)
"""How long an import rests whose last places are taken by calls that are not stored yet: they may turn out to need
none."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a job must not run now, and until when."""

    reason: Literal["window", "quota"]
    sentence: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a job may do now. `room`: so many calls that are not in the library yet; None: any number."""

    hold: Hold | None = None
    room: int | None = None


async def allowed(pool: Pool, job: PullJob, plans: Plans, now: datetime) -> Allowed:
    """What a job may do now. Raises `OutageFault`."""
    if job.window is not None and keeps_to_window(job) and (opens_at := job.window.opens_at(now)) is not None:
        return Allowed(Hold("window", job.window.sentence(opens_at), opens_at))
    if job.plan is None or plans.get(job.plan) is None:
        return Allowed()
    found = await quota(pool, job.source.workspace_id, plans, now)
    if found.room:
        return Allowed(room=found.room)
    if found.remaining:
        sentence = f"Waits until the last of this month's {found.limit} imports are stored."
        return Allowed(Hold("quota", sentence, now + ON_THE_WAY))
    return Allowed(Hold("quota", found.sentence, found.resets_at))


def keeps_to_window(job: PullJob) -> bool:
    """Whether it is one of those that wait for the window."""
    return job.job_type in ("historical", "backfill") or job.on_schedule
