"""Incoming webhooks: signature first, 202 only after the broker's word; and the endpoints they come to.

The hot path costs two batched round trips to the database: endpoints are remembered for a few seconds, and deliveries
of the same workspace that arrive together are looked up, and later written down, together.
"""

import asyncio
import base64
import binascii
import re
import secrets as random
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog
from pydantic import BaseModel

from api import auth, events
from api.auth import Caller
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from connectors.contract import BadSignature, Connector, Received, Webhook
from connectors.registry import CONNECTORS
from schemas.calls import Placement
from schemas.faults import InvalidCall, OutageFault
from schemas.metrics import DOOR_REQUESTS
from streams.io import clock, queries
from streams.io.batcher import Batcher
from streams.io.secrets import Secrets
from streams.io.store import Pool, in_workspace, outages

SQL = queries.load("webhooks")

CACHE_SECONDS = 3.0
"""A closed endpoint answers 404 at the latest after this long; in the process that closed it, at once."""
CACHE_SIZE = 2000
RECENT = 10_000
"""Accepted deliveries that this process remembers by itself."""
REMEMBER_DAYS = 30
FORGET_EVERY_SECONDS = 3600.0
MAX_CALLS = 1000
"""Calls in one delivery."""
SMALL_BODY = 128 * 1024
"""A larger body is read in a thread, so that it does not hold up the others."""
WHSEC = "whsec_"
OWN_SECRET = frozenset({"generic"})
"""Platforms whose secret we make. With the others the vendor makes it, after it was told the address."""

Delivery = tuple[UUID, str]
log = structlog.get_logger()


class WebhookAnswer(BaseModel):
    """`accepted`: the broker has the calls. `repeated`: this delivery was accepted before; nothing was done."""

    status: Literal["accepted", "repeated"]
    calls: int = 0


class Endpoint(BaseModel):
    """An address a vendor posts to."""

    id: UUID
    platform: str
    url: str
    created_at: datetime


class NewEndpoint(Endpoint):
    """The endpoint just made, with its secret, which is shown this once. Null: closed until the vendor's is set."""

    secret: str | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """An endpoint with its secret decrypted. Never printed, logged or serialised."""

    endpoint_id: UUID
    workspace_id: UUID
    platform: str
    secret: str
    owner_user_id: UUID | None

    def __repr__(self) -> str:
        return f"endpoint {self.endpoint_id}"


class Door:
    """What the webhook door remembers between requests."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._endpoints: OrderedDict[UUID, tuple[float, _Open | None]] = OrderedDict()
        self._seen: dict[UUID, Batcher[Delivery, bool]] = {}
        self._record: dict[UUID, Batcher[Delivery, None]] = {}
        self._recent: OrderedDict[Delivery, None] = OrderedDict()
        self._forgot: dict[UUID, float] = {}

    async def endpoint(self, platform: str, endpoint_id: str) -> _Open:
        """The open endpoint of that address. Raises a 404 problem, without saying what is wrong with the address."""
        wanted = _uuid(endpoint_id)
        found = await self._find(wanted) if wanted else None
        if found is None or found.platform != platform:
            raise not_found("webhook endpoint")
        return found

    def forget(self, endpoint_id: UUID) -> None:
        """The endpoint was changed: look it up again."""
        self._endpoints.pop(endpoint_id, None)

    async def seen(self, endpoint: _Open, delivery_id: str) -> bool:
        """Whether this delivery was accepted before."""
        if (endpoint.endpoint_id, delivery_id) in self._recent:
            return True
        batcher = self._seen.get(endpoint.workspace_id)
        if batcher is None:
            batcher = self._seen[endpoint.workspace_id] = Batcher(self._ask(endpoint.workspace_id), _no_key)
        return await batcher((endpoint.endpoint_id, delivery_id))

    def remember(self, endpoint: _Open, delivery_id: str) -> None:
        """Remember an accepted delivery: here at once, in the database behind the answer. The broker has its calls, so
        trouble with that is not the sender's: should the delivery be repeated to somebody else, dedup skips it."""
        self._recent[endpoint.endpoint_id, delivery_id] = None
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        self._ports.in_background(self._write_down(endpoint, delivery_id))

    async def _write_down(self, endpoint: _Open, delivery_id: str) -> None:
        batcher = self._record.get(endpoint.workspace_id)
        if batcher is None:
            batcher = self._record[endpoint.workspace_id] = Batcher(
                self._write(endpoint.workspace_id), _no_key, pause=0.05
            )
        try:
            await batcher((endpoint.endpoint_id, delivery_id))
            self._forget_old(endpoint)
        except OutageFault as fault:
            log.warning(
                "an accepted delivery could not be written down", platform=endpoint.platform, detail=fault.detail
            )

    def _forget_old(self, endpoint: _Open) -> None:
        """Now and then, behind the requests: deliveries nobody will repeat any more."""
        now = asyncio.get_running_loop().time()
        if now - self._forgot.setdefault(endpoint.endpoint_id, now) > FORGET_EVERY_SECONDS:
            self._forgot[endpoint.endpoint_id] = now
            self._ports.in_background(self._forget(endpoint, clock.now() - timedelta(days=REMEMBER_DAYS)))

    async def _forget(self, endpoint: _Open, before: datetime) -> None:
        async with in_workspace(self._ports.pool, endpoint.workspace_id) as connection:
            await connection.execute(SQL["forget_deliveries"], endpoint.endpoint_id, before)

    async def _find(self, endpoint_id: UUID) -> _Open | None:
        now = asyncio.get_running_loop().time()
        known = self._endpoints.get(endpoint_id)
        if known and known[0] > now:
            return known[1]
        with outages():
            row = await self._ports.pool.fetchrow(SQL["find_endpoint"], endpoint_id)
        found = _opened(self._ports.secrets, row) if row else None
        self._endpoints[endpoint_id] = (now + CACHE_SECONDS, found)
        self._endpoints.move_to_end(endpoint_id)
        while len(self._endpoints) > CACHE_SIZE:
            self._endpoints.popitem(last=False)
        return found

    def _ask(self, workspace_id: UUID) -> Any:
        async def ask(deliveries: Sequence[Delivery]) -> list[bool]:
            endpoints, ids = zip(*deliveries, strict=True)
            async with in_workspace(self._ports.pool, workspace_id) as connection:
                rows = await connection.fetch(SQL["seen_deliveries"], endpoints, ids)
            known = {(row["endpoint_id"], row["delivery_id"]) for row in rows}
            return [delivery in known for delivery in deliveries]

        return ask

    def _write(self, workspace_id: UUID) -> Any:
        async def write(deliveries: Sequence[Delivery]) -> list[None]:
            endpoints, ids = zip(*sorted(deliveries), strict=True)
            async with in_workspace(self._ports.pool, workspace_id) as connection:
                await connection.execute(SQL["record_deliveries"], workspace_id, endpoints, ids)
            return [None] * len(deliveries)

        return write


def _no_key(delivery: Delivery) -> Delivery:
    return delivery


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _opened(secrets: Secrets, row: Any) -> _Open:
    secret = secrets.open(row["encrypted_secret"], **_bound_to(row["workspace_id"], row["endpoint_id"]))
    return _Open(row["endpoint_id"], row["workspace_id"], row["platform"], secret, row["owner_user_id"])


def _bound_to(workspace_id: UUID, endpoint_id: UUID) -> dict[str, Any]:
    return {"workspace_id": workspace_id, "row": f"webhook_endpoints/{endpoint_id}", "field": "encrypted_secret"}


async def accept(
    ports: Ports, door: Door, platform: str, endpoint_id: str, headers: Mapping[str, str], stream: AsyncIterator[bytes]
) -> WebhookAnswer:
    """One delivery, from raw bytes to the broker's word, counted. See the route for what each answer means."""
    result = "refused"
    try:
        answer = await _accept(ports, door, platform, endpoint_id, headers, stream)
        result = answer.status
    except OutageFault:
        result = "unavailable"
        raise
    finally:
        DOOR_REQUESTS.labels("webhook", result).inc()
    return answer


async def _accept(
    ports: Ports, door: Door, platform: str, endpoint_id: str, headers: Mapping[str, str], stream: AsyncIterator[bytes]
) -> WebhookAnswer:
    endpoint = await _in_time(door.endpoint(platform, endpoint_id))
    connector, webhook = _connector(endpoint.platform)
    body = await read_capped(stream, headers.get("content-length"), ports.settings.webhook_max_bytes)
    delivery_id = _verified(webhook, headers, body, endpoint, ports.settings.webhook_tolerance_seconds)
    if await _in_time(door.seen(endpoint, delivery_id)):
        return WebhookAnswer(status="repeated")
    received = await _read(webhook, body)
    now = clock.now()
    calls = [
        events.raw_call(
            each, workspace_id=endpoint.workspace_id, source_app=connector.source_app, via="webhook",
            placement=Placement(owner_user_id=endpoint.owner_user_id), now=now,
        )
        for each in received
    ]  # fmt: skip
    if await events.publish_all(ports.bus, calls, seconds=BROKER_SECONDS):
        raise events.broker_away()
    door.remember(endpoint, delivery_id)
    return WebhookAnswer(status="accepted", calls=len(calls))


async def _in_time(work: Any) -> Any:
    """A database that hangs is a database that is away: the sender is told before it gives up by itself."""
    try:
        async with asyncio.timeout(BROKER_SECONDS):
            return await work
    except TimeoutError:
        raise OutageFault("database_away", "PostgreSQL cannot be reached. Try again in a moment.") from None


def _connector(platform: str) -> tuple[Connector, Webhook]:
    connector = CONNECTORS.get(platform)
    if connector is None or connector.webhook is None:
        raise not_found("webhook endpoint")
    return connector, connector.webhook


def _verified(webhook: Webhook, headers: Mapping[str, str], body: bytes, endpoint: _Open, tolerance: int) -> str:
    try:
        return webhook.verify(headers, body, endpoint.secret, clock.unix_now(), tolerance)
    except BadSignature as error:
        raise Problem(401, "bad_signature", str(error)) from None


async def _read(webhook: Webhook, body: bytes) -> list[Received]:
    received = webhook.read(body) if len(body) <= SMALL_BODY else await asyncio.to_thread(webhook.read, body)
    if len(received) > MAX_CALLS:
        raise Problem(413, "too_many_calls", f"A delivery may bring at most {MAX_CALLS} calls. Send them in several.")
    return received


async def read_capped(stream: AsyncIterator[bytes], content_length: str | None, limit: int) -> bytes:
    """The whole body. 413 before a byte of it is read when its length says so, else as soon as it is too much."""
    problem = Problem(413, "body_too_large", f"The body may have at most {limit} bytes.")
    if re.fullmatch("[0-9]{1,19}", content_length or "0") and int(content_length or "0") > limit:
        raise problem
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > limit:
            raise problem
    return bytes(body)


def new_secret() -> str:
    """A secret in the form Standard Webhooks asks for."""
    return WHSEC + base64.b64encode(random.token_bytes(32)).decode()


async def create_endpoint(
    pool: Pool,
    secrets: Secrets,
    base_url: str,
    *,
    workspace_id: UUID,
    user_id: UUID,
    platform: str,
    secret: str | None = None,
    caller: Caller | None = None,
) -> NewEndpoint:
    """A new address for a platform's webhooks. Raises `InvalidCall` for a platform that has none or a bad secret.

    `generic`: the secret is made here unless one is given. Other platforms: the vendor makes it once it knows the
    address, so without one the endpoint is closed to everybody until it is set.
    """
    if platform not in CONNECTORS or CONNECTORS[platform].webhook is None:
        able = ", ".join(sorted(name for name, each in CONNECTORS.items() if each.webhook))
        sentence = f"No webhooks can be received from this platform. Those that can send some: {able}."
        raise InvalidCall("unknown_platform", sentence, field="platform")
    shown = checked_secret(secret) if secret is not None else new_secret() if platform in OWN_SECRET else None
    endpoint_id = clock.new_id()
    sealed = secrets.seal(shown or new_secret(), **_bound_to(workspace_id, endpoint_id))
    async with in_workspace(pool, workspace_id) as connection:
        row = await connection.fetchrow(SQL["add_endpoint"], endpoint_id, workspace_id, platform, sealed, user_id)
        await auth.audit(
            connection, caller, workspace_id, "webhook_endpoint.created", str(endpoint_id), platform=platform
        )
    return NewEndpoint(**_shown(row, base_url), secret=shown)


def checked_secret(secret: str) -> str:
    """A secret that can be used for signing. Raises `InvalidCall`; the sentence never repeats it."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 16 <= len(key) <= 128:
        sentence = "The secret must be the one the sender shows: whsec_ and then base64 of 16 to 128 bytes."
        raise InvalidCall("invalid_secret", sentence, field="secret")
    return secret.strip()


async def list_endpoints(
    pool: Pool, base_url: str, workspace_id: UUID, after: tuple[Any, ...] = (None, None), limit: int = 1000
) -> list[Endpoint]:
    """Open endpoints, newest first, without their secrets."""
    async with in_workspace(pool, workspace_id) as connection:
        rows = await connection.fetch(SQL["list_endpoints"], workspace_id, *after, limit)
    return [Endpoint(**_shown(row, base_url)) for row in rows]


async def set_secret(ports: Ports, door: Door, caller: Caller, endpoint_id: UUID, secret: str) -> Endpoint:
    """Another secret for an endpoint: the vendor's, or a new one after the old one leaked."""
    sealed = ports.secrets.seal(checked_secret(secret), **_bound_to(caller.workspace_id, endpoint_id))
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["set_endpoint_secret"], caller.workspace_id, endpoint_id, sealed)
        if row is None:
            raise not_found("webhook endpoint")
        await auth.audit(
            connection, caller, caller.workspace_id, "webhook_endpoint.secret_changed", str(endpoint_id),
            platform=row["platform"],
        )  # fmt: skip
    door.forget(endpoint_id)
    return Endpoint(**_shown(row, ports.base_url))


async def close_endpoint(ports: Ports, door: Door, caller: Caller, endpoint_id: UUID) -> None:
    """From now on the address answers 404. The calls it brought stay."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        platform = await connection.fetchval(SQL["close_endpoint"], caller.workspace_id, endpoint_id)
        if platform is None:
            raise not_found("webhook endpoint")
        await auth.audit(
            connection, caller, caller.workspace_id, "webhook_endpoint.closed", str(endpoint_id), platform=platform
        )
    door.forget(endpoint_id)


def _shown(row: Any, base_url: str) -> dict[str, Any]:
    return {
        "id": row["endpoint_id"],
        "platform": row["platform"],
        "url": f"{base_url}/webhooks/{row['platform']}/{row['endpoint_id']}",
        "created_at": row["created_at"],
    }
