"""Outgoing deliveries as rows: written when something has happened, taken under a lease, sent, tried again.

A delivery is sent at least once: a process that dies between the receiver's answer and our note of it sends it again,
under the same `webhook-id`. All times are the database's, so that a clock that jumps moves nothing.

The pipeline's pool sees all workspaces. `note` works on a connection of one workspace as well.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from schemas.faults import ConfigFault
from schemas.metrics import DELIVERIES
from schemas.settings import Settings
from streams.io import clock, queries
from streams.io.job_views import OVER, Job, shown
from streams.io.post import Posted, post
from streams.io.secrets import Secrets
from streams.io.store import Connection, Pool, outages

SQL = queries.load("deliveries")
COMPLETED, FAILED, JOB, TEST = "import.completed", "import.failed", "job.completed", "test"
EVENTS = (COMPLETED, FAILED, JOB)
SLACK_EVENTS = (JOB, FAILED)
RETRY_SECONDS = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""The pauses before the next tries, as Standard Webhooks proposes; after the last of them the delivery has failed."""
LEASE_SECONDS = 60.0
"""Several times as long as a receiver may take."""
GONE = "The receiver answered 410 Gone: it wants no more. Switch it on again once it does."
Sign = Callable[[str, str, int, bytes], Mapping[str, str]]
"""Headers that sign a body: (secret, id, timestamp, body) -> headers."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants to be told of what."""

    subscription_id: UUID
    workspace_id: UUID
    kind: str
    events: frozenset[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class New:
    """Something one subscription is to be told of."""

    subscription_id: UUID
    event_id: str
    event_type: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery in hand."""

    delivery_id: UUID
    workspace_id: UUID
    subscription_id: UUID
    event_id: str
    event_type: str
    body: Mapping[str, Any]
    attempts: int
    kind: str
    url: str
    url_secret: bytes | None
    encrypted_secret: bytes | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over. `dry_run`: it changed nothing, and nobody is told."""

    workspace_id: UUID
    job: Job
    dry_run: bool


def bound_to(workspace_id: UUID, subscription_id: UUID, field: str) -> dict[str, Any]:
    """What a sealed secret of a subscription is bound to."""
    return {"workspace_id": workspace_id, "row": f"webhook_subscriptions/{subscription_id}", "field": field}


async def subscriptions(pool: Pool) -> list[Subscription]:
    """All that are active."""
    with outages():
        rows = await pool.fetch(SQL["active_subscriptions"])
    return [Subscription(**{**dict(row), "events": frozenset(row["events"])}) for row in rows]


async def home(pool: Pool) -> UUID | None:
    """The workspace of events that name none."""
    with outages():
        found: UUID | None = await pool.fetchval(SQL["home_workspace"])
    return found


async def add(connection: Connection | Pool, news: Sequence[New]) -> None:
    """Write down what is to be sent. What was written before stays as it is. One that cannot be kept is left out."""
    with outages():
        try:
            await _add(connection, news)
        except asyncpg.DataError:
            for each in news:
                try:
                    await _add(connection, [each])
                except asyncpg.DataError:
                    DELIVERIES.labels("unkeepable").inc()


async def _add(connection: Connection | Pool, news: Sequence[New]) -> None:
    await connection.execute(
        SQL["add_deliveries"],
        [clock.new_id() for _ in news],
        [each.subscription_id for each in news],
        [each.event_id for each in news],
        [each.event_type for each in news],
        [json.dumps(each.body) for each in news],
    )


async def ended_jobs(pool: Pool, limit: int = 200) -> list[Ended]:
    """Jobs that are over and of which nobody was told. Call `announce` with what is to be told of them."""
    with outages():
        rows = await pool.fetch(SQL["ended_jobs"], limit)
    now = clock.now()
    found = [Ended(row["workspace_id"], Job(**shown(row, now)), row["dry_run"]) for row in rows]
    return [each for each in found if each.job.status in OVER]


async def announce(pool: Pool, jobs: Sequence[Ended], news: Sequence[New]) -> None:
    """Write down what is told of jobs, and that it is, both or neither."""
    with outages():
        async with pool.acquire() as connection, connection.transaction():
            if news:
                await _add(connection, news)
            await connection.execute(SQL["announce_jobs"], [each.job.id for each in jobs])


async def take(pool: Pool, flying: Mapping[UUID, int], *, places: int, limit: int) -> list[Due]:
    """Deliveries that are due, at most `places` under way for each subscription; nobody else gets them meanwhile."""
    with outages():
        rows = await pool.fetch(
            SQL["take_due"], places, list(flying.keys()), list(flying.values()), LEASE_SECONDS, limit
        )
    return [Due(**dict(row)) for row in rows]


async def send(due: Due, secrets: Secrets, settings: Settings, sign: Sign, seconds: float) -> Posted:
    """Send a delivery, once. Whatever comes of it is in the answer."""
    body = json.dumps(due.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    try:
        if due.kind == "slack":
            sealed, headers = bytes(due.url_secret or b""), dict[str, str]()
            url = secrets.open(sealed, **bound_to(due.workspace_id, due.subscription_id, "url_secret"))
        else:
            sealed, url = bytes(due.encrypted_secret or b""), due.url
            secret = secrets.open(sealed, **bound_to(due.workspace_id, due.subscription_id, "encrypted_secret"))
            headers = dict(sign(secret, due.event_id, int(clock.unix_now()), body))
    except ConfigFault as fault:
        return Posted(None, fault.sentence)
    return await post(url, body, headers, settings, seconds=seconds)


async def note(pool: Connection | Pool, due: Due, posted: Posted) -> None:
    """Write down what came of it, and when it is tried again. A receiver that fails for days is paused."""
    with outages():
        if posted.error is None:
            await pool.execute(SQL["delivered"], due.delivery_id, posted.status)
            await pool.execute(SQL["receives_again"], due.subscription_id)
            DELIVERIES.labels("delivered").inc()
            return
        wait = None if posted.status == 410 or due.event_type == TEST else next_try(due.attempts + 1, posted.wait)
        ours = await pool.fetchval(SQL["not_delivered"], due.delivery_id, posted.status, posted.error, wait)
        if ours is None or due.event_type == TEST:
            return
        DELIVERIES.labels("failed" if wait is None else "retried").inc()
        since = await pool.fetchrow(SQL["fails"], due.subscription_id)
        if posted.status == 410:
            await pool.execute(SQL["pause"], due.subscription_id, GONE)
        elif since is not None and since["too_long"]:
            day = f"{since['failing_since'].day} {since['failing_since']:%B}"
            why = f"Nothing could be delivered since {day}. {posted.error} Mend it and switch it on again."
            await pool.execute(SQL["pause"], due.subscription_id, why)


def next_try(attempts: int, asked: float | None = None) -> float | None:
    """Seconds until the next try after so many, a little more so that not all come at once. None: there is none."""
    if attempts > len(RETRY_SECONDS):
        return None
    pause = RETRY_SECONDS[attempts - 1] * (1 + random.random() / 10)  # noqa: S311 - only so that not all come at once
    return max(pause, asked or 0.0)


async def forget(pool: Pool, limit: int = 5000) -> None:
    """Delete what is older than 30 days, some at a time."""
    with outages():
        await pool.execute(SQL["forget_deliveries"], limit)
