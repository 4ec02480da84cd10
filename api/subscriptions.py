"""Outgoing webhooks as people and programs manage them: who is told of what, what was sent, and what came of it.

The sending is `streams/deliveries.py`'s. Only a test is sent from here, so that its answer can be shown at once.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api import auth
from api.auth import Caller
from api.endpoints import new_secret
from api.paging import Items, Storable, cursor_id, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from connectors.signatures import sign_standard_webhook
from streams.io import clock, deliveries, queries
from streams.io.deliveries import EVENTS, SLACK_EVENTS, Due, bound_to
from streams.io.post import SECONDS, checked_addresses, checked_url
from streams.io.store import Connection, in_workspace

SQL = queries.load("subscriptions")
MOST = 20
LOOK_UP_SECONDS = 2.0
Kind = Literal["standard", "slack"]
EventName = Literal["import.completed", "import.failed", "job.completed"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class SubscriptionCreate(BaseModel):
    """Whom to tell, and of what. `kind` slack: an address of Slack's incoming webhooks, which gets short texts of
    `job.completed` and `import.failed`."""

    model_config = ConfigDict(extra="forbid")

    url: Storable = Field(min_length=1, max_length=2000, examples=["https://example.com/webhooks/callstream"])
    kind: Kind = "standard"
    events: list[EventName] | None = Field(None, min_length=1, max_length=10)
    description: Storable = Field("", max_length=200)


class SubscriptionChange(BaseModel):
    """What is to be changed; what is left out stays. `active` true also takes up again what was paused by itself."""

    model_config = ConfigDict(extra="forbid")

    url: Storable | None = Field(None, min_length=1, max_length=2000)
    events: list[EventName] | None = Field(None, min_length=1, max_length=10)
    description: Storable | None = Field(None, max_length=200)
    active: bool | None = None


class Subscription(BaseModel):
    """Who is told of what. `url` is only the host for Slack, whose address is a secret. `paused_reason` says why
    callstream has stopped sending by itself."""

    id: UUID
    kind: Kind
    url: str
    events: list[EventName]
    description: str
    active: bool
    paused_reason: str | None
    created_at: datetime
    updated_at: datetime
    delivered_24h: int
    failed_24h: int
    last_delivery_at: datetime | None


class NewSubscription(Subscription):
    """The subscription just made, with the secret that signs what it is sent; shown this once. Null for Slack."""

    secret: str | None


class NewSecret(BaseModel):
    """The secret that signs from now on; shown this once."""

    secret: str


class Delivery(BaseModel):
    """Something that is sent. `event_id` is the `webhook-id` it carries at every try. `next_attempt_at`: when it is
    tried again, while it is pending."""

    id: UUID
    event_id: str
    event_type: str
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    body: dict[str, JsonValue]


async def create(ports: Ports, caller: Caller, wanted: SubscriptionCreate) -> NewSubscription:
    """A new subscription. Raises a 422 problem for an address that nothing is sent to, 409 for one too many."""
    subscription_id = clock.new_id()
    events = events_of(wanted.kind, wanted.events)
    url, url_secret = await _address(ports, caller, subscription_id, wanted.kind, wanted.url)
    secret = None if wanted.kind == "slack" else new_secret()
    sealed = secret and ports.secrets.seal(
        secret, **bound_to(caller.workspace_id, subscription_id, "encrypted_secret")
    )  # fmt: skip
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if await connection.fetchval(SQL["count_subscriptions"], caller.workspace_id) >= MOST:
            sentence = f"There are {MOST} subscriptions already, the most a workspace may have. Delete one first."
            raise Problem(409, "too_many_subscriptions", sentence)
        await connection.execute(
            SQL["add_subscription"], subscription_id, caller.workspace_id, wanted.kind, url, url_secret, sealed,
            events, wanted.description.strip(), caller.user_id,
        )  # fmt: skip
        await _audit(connection, caller, "created", subscription_id, kind=wanted.kind, host=_host(url), events=events)
        made = await _find(connection, caller, subscription_id)
    return NewSubscription(**made.model_dump(), secret=secret)


def events_of(kind: Kind, wanted: Sequence[str] | None) -> list[str]:
    """What a subscription is told of, each once. Raises a 422 problem for what Slack is not told of."""
    able = SLACK_EVENTS if kind == "slack" else EVENTS
    odd = sorted(set(wanted or ()) - set(able))
    if odd:
        sentence = f"Slack is told of {' and '.join(SLACK_EVENTS)} only: a channel is no place for every call."
        raise Problem(422, "unknown_event", sentence, field="events")
    return [name for name in able if wanted is None or name in wanted]


async def _address(
    ports: Ports, caller: Caller, subscription_id: UUID, kind: Kind, url: str
) -> tuple[str, bytes | None]:
    """An address as it is kept: what is shown of it, and the rest sealed where it is a secret."""
    parsed = checked_url(url.strip(), ports.settings)
    with suppress(OSError):  # not found now, or slowly: a delivery, which checks it again, will say so
        async with asyncio.timeout(LOOK_UP_SECONDS):
            await checked_addresses(parsed, ports.settings)
    if kind == "standard":
        return str(parsed), None
    bound = bound_to(caller.workspace_id, subscription_id, "url_secret")
    return parsed.netloc.decode("ascii"), ports.secrets.seal(str(parsed), **bound)


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0] or url


async def list_all(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[Subscription]:
    """Subscriptions, newest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["list_subscriptions"], caller.workspace_id, None, *after, limit + 1)
    return page(rows, limit, lambda row: Subscription(**dict(row)), lambda row: (row["created_at"], row["id"]))


async def get(ports: Ports, caller: Caller, subscription_id: UUID) -> Subscription:
    """One of them."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        return await _find(connection, caller, subscription_id)


async def _find(connection: Connection, caller: Caller, subscription_id: UUID) -> Subscription:
    row = await connection.fetchrow(
        SQL["list_subscriptions"], caller.workspace_id, subscription_id, None, None, 1
    )  # fmt: skip
    if row is None:
        raise not_found("subscription")
    return Subscription(**dict(row))


async def change(ports: Ports, caller: Caller, subscription_id: UUID, wanted: SubscriptionChange) -> Subscription:
    """Change what is named."""
    before = await get(ports, caller, subscription_id)
    events = None if wanted.events is None else events_of(before.kind, wanted.events)
    url, url_secret = None, None
    if wanted.url is not None:
        url, url_secret = await _address(ports, caller, subscription_id, before.kind, wanted.url)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await connection.execute(
            SQL["change_subscription"], caller.workspace_id, subscription_id, url, url_secret, events,
            None if wanted.description is None else wanted.description.strip(), wanted.active,
        )  # fmt: skip
        told = wanted.model_dump(exclude={"url"}, exclude_none=True) | ({"host": _host(url)} if url else {})
        await _audit(connection, caller, "changed", subscription_id, **told)
        return await _find(connection, caller, subscription_id)


async def delete(ports: Ports, caller: Caller, subscription_id: UUID) -> None:
    """Send nothing more, and forget its deliveries."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        kind = await connection.fetchval(SQL["drop_subscription"], caller.workspace_id, subscription_id)
        if kind is None:
            raise not_found("subscription")
        await _audit(connection, caller, "deleted", subscription_id, kind=kind)


async def new_signing_secret(ports: Ports, caller: Caller, subscription_id: UUID) -> NewSecret:
    """Sign with another secret from now on. Raises a 409 problem for Slack, where nothing is signed."""
    secret = new_secret()
    sealed = ports.secrets.seal(secret, **bound_to(caller.workspace_id, subscription_id, "encrypted_secret"))
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await _find(connection, caller, subscription_id)
        found = await connection.fetchval(SQL["set_subscription_secret"], caller.workspace_id, subscription_id, sealed)
        if found is None:
            sentence = "What Slack is sent is not signed. To change its address, change the subscription's url."
            raise Problem(409, "nothing_signed", sentence)
        await _audit(connection, caller, "secret_changed", subscription_id)
    return NewSecret(secret=secret)


async def test(ports: Ports, caller: Caller, subscription_id: UUID) -> Delivery:
    """Send something harmless now, once, also to a paused subscription; what came of it."""
    sentence = "callstream can reach this address. Nothing has happened; this is a test."
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        kind = (await _find(connection, caller, subscription_id)).kind
        at = clock.now().isoformat().replace("+00:00", "Z")
        whole: dict[str, Any] = {"type": deliveries.TEST, "timestamp": at, "data": {"message": sentence}}
        body = {"text": sentence} if kind == "slack" else whole
        row = await connection.fetchrow(
            SQL["add_test"], caller.workspace_id, subscription_id, clock.new_id(), body
        )  # fmt: skip
    assert row is not None  # noqa: S101 - it was found a moment ago, and is held by the transaction
    due = Due(**dict(row))
    posted = await deliveries.send(due, ports.secrets, ports.settings, sign_standard_webhook, SECONDS)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await deliveries.note(connection, due, posted)
        return await _find_delivery(connection, caller, subscription_id, due.delivery_id)


async def list_deliveries(
    ports: Ports, caller: Caller, subscription_id: UUID, status: DeliveryStatus | None, limit: int, cursor: str | None
) -> Items[Delivery]:
    """What was sent or will be, newest first, of the last 30 days."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await _find(connection, caller, subscription_id)
        rows = await connection.fetch(
            SQL["list_deliveries"], caller.workspace_id, subscription_id, None, status, *after, limit + 1
        )
    return page(rows, limit, lambda row: Delivery(**dict(row)), lambda row: (row["created_at"], row["id"]))


async def resend(ports: Ports, caller: Caller, subscription_id: UUID, delivery_id: UUID) -> Delivery:
    """Send it once more, within seconds. Raises a 409 problem while the subscription is paused."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        subscription = await _find(connection, caller, subscription_id)
        before = await _find_delivery(connection, caller, subscription_id, delivery_id)
        if before.event_type == deliveries.TEST:
            raise Problem(409, "is_a_test", "This was a test. Send another one instead.")
        if not subscription.active:
            raise Problem(409, "subscription_paused", "This subscription is paused. Switch it on first.")
        await connection.execute(SQL["resend"], caller.workspace_id, subscription_id, delivery_id)
        await _audit(connection, caller, "resent", subscription_id, delivery=str(delivery_id))
        return await _find_delivery(connection, caller, subscription_id, delivery_id)


async def _find_delivery(
    connection: Connection, caller: Caller, subscription_id: UUID, delivery_id: UUID
) -> Delivery:  # fmt: skip
    row = await connection.fetchrow(
        SQL["list_deliveries"], caller.workspace_id, subscription_id, delivery_id, None, None, None, 1
    )
    if row is None:
        raise not_found("delivery")
    return Delivery(**dict(row))


async def _audit(connection: Connection, caller: Caller, what: str, subscription_id: UUID, **detail: Any) -> None:
    action = f"webhook_subscription.{what}"
    await auth.audit(connection, caller, caller.workspace_id, action, str(subscription_id), **detail)
