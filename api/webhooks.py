"""Incoming webhooks: signature first, 202 only after the broker's word. The endpoints are made in `endpoints.py`.

The hot path costs two batched round trips to the database: endpoints are remembered for a few seconds, and deliveries
of the same workspace that arrive together are looked up, and later written down, together. A delivery that only names
calls costs one more, which notes them down, before the pull workers are woken.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog
from pydantic import BaseModel

from api import events
from api.endpoints import bound_to
from api.ports import BROKER_SECONDS, Ports
from api.problems import Problem, not_found
from api.public_keys import PublicKeys
from connectors.contract import BadSignature, Connector, Delivery, Notice, Received, Reply, Webhook
from connectors.registry import CONNECTORS
from schemas.calls import Placement
from schemas.faults import OutageFault
from schemas.metrics import DOOR_REQUESTS
from streams.io import clock, pulls, queries
from streams.io.batcher import Batcher
from streams.io.secrets import Secrets
from streams.io.store import in_workspace, outages

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

Known = tuple[UUID, str]
log = structlog.get_logger()


class WebhookAnswer(BaseModel):
    """`accepted`: the broker has the calls. `repeated`: this delivery was accepted before; nothing was done."""

    status: Literal["accepted", "repeated"]
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request at the door, with its body still to be read."""

    method: str
    platform: str
    endpoint_id: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    query_text: str
    stream: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class _Open:
    """An endpoint with its secret decrypted. Never printed, logged or serialised."""

    endpoint_id: UUID
    workspace_id: UUID
    platform: str
    secret: str
    owner_user_id: UUID | None
    source_id: UUID | None

    def __repr__(self) -> str:
        return f"endpoint {self.endpoint_id}"


class Door:
    """What the webhook door remembers between requests."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._endpoints: OrderedDict[UUID, tuple[float, _Open | None]] = OrderedDict()
        self._seen: dict[UUID, Batcher[Known, bool]] = {}
        self._record: dict[UUID, Batcher[Known, None]] = {}
        self._recent: OrderedDict[Known, None] = OrderedDict()
        self._forgot: dict[UUID, float] = {}
        self.keys = PublicKeys(ports.settings.vendor_origin)

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
        async def ask(deliveries: Sequence[Known]) -> list[bool]:
            endpoints, ids = zip(*deliveries, strict=True)
            async with in_workspace(self._ports.pool, workspace_id) as connection:
                rows = await connection.fetch(SQL["seen_deliveries"], endpoints, ids)
            known = {(row["endpoint_id"], row["delivery_id"]) for row in rows}
            return [delivery in known for delivery in deliveries]

        return ask

    def _write(self, workspace_id: UUID) -> Any:
        async def write(deliveries: Sequence[Known]) -> list[None]:
            endpoints, ids = zip(*sorted(deliveries), strict=True)
            async with in_workspace(self._ports.pool, workspace_id) as connection:
                await connection.execute(SQL["record_deliveries"], workspace_id, endpoints, ids)
            return [None] * len(deliveries)

        return write


def _no_key(delivery: Known) -> Known:
    return delivery


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _opened(secrets: Secrets, row: Any) -> _Open:
    secret = secrets.open(row["encrypted_secret"], **bound_to(row["workspace_id"], row["endpoint_id"]))
    return _Open(
        row["endpoint_id"], row["workspace_id"], row["platform"], secret, row["owner_user_id"], row["source_id"]
    )


async def accept(ports: Ports, door: Door, request: Request) -> WebhookAnswer | Reply:
    """One delivery, from raw bytes to the broker's word, counted. See the route for what each answer means."""
    result = "refused"
    try:
        answer = await _accept(ports, door, request)
        result = answer.status if isinstance(answer, WebhookAnswer) else "handshake"
    except OutageFault:
        result = "unavailable"
        raise
    finally:
        DOOR_REQUESTS.labels("webhook", result).inc()
    return answer


async def _accept(ports: Ports, door: Door, request: Request) -> WebhookAnswer | Reply:
    endpoint = await _in_time(door.endpoint(request.platform, request.endpoint_id))
    connector, webhook = _connector(endpoint.platform)
    length = request.headers.get("content-length")
    body = await read_capped(request.stream, length, ports.settings.webhook_max_bytes)
    delivery = _delivery(ports, request, endpoint, body)
    if (reply := _shaken(webhook, delivery)) is not None:
        return reply
    if request.method != "POST":
        raise Problem(405, "method_not_allowed", "Deliveries come by POST.", headers={"Allow": "POST"})
    delivery_id = await _verified(door, connector, webhook, delivery)
    if await _in_time(door.seen(endpoint, delivery_id)):
        return WebhookAnswer(status="repeated")
    found = await _read(webhook, delivery)
    await _note(ports, endpoint, [each for each in found if isinstance(each, Notice)])
    now = clock.now()
    calls = [
        events.raw_call(
            each, workspace_id=endpoint.workspace_id, source_app=connector.source_app, via="webhook",
            placement=Placement(owner_user_id=endpoint.owner_user_id), now=now, source_id=endpoint.source_id,
        )
        for each in found if isinstance(each, Received)
    ]  # fmt: skip
    if await events.publish_all(ports.bus, calls, seconds=BROKER_SECONDS):
        raise events.broker_away()
    door.remember(endpoint, delivery_id)
    return WebhookAnswer(status="accepted", calls=len(found))


async def _note(ports: Ports, endpoint: _Open, notices: Sequence[Notice]) -> None:
    """Keep the calls that a delivery names, and wake the pull workers for those that may be read at once."""
    if not notices:
        return
    if endpoint.source_id is None:
        sentence = (
            "This delivery only names a call, and the endpoint belongs to no connected account through which it could "
            "be read. Connect the account, make an endpoint for it, and close this one."
        )
        raise Problem(409, "source_missing", sentence)
    source = pulls.Ref(endpoint.source_id, endpoint.workspace_id, endpoint.platform)
    await _in_time(_write_notices(ports, source, notices))
    if any(not notice.after for notice in notices):
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                await pulls.wake(ports.bus, source)
        except TimeoutError:
            raise events.broker_away() from None


async def _write_notices(ports: Ports, source: pulls.Ref, notices: Sequence[Notice]) -> None:
    now = clock.now()
    async with in_workspace(ports.pool, source.workspace_id) as connection:
        for notice in sorted(notices, key=lambda notice: notice.external_id):
            await pulls.note_call(
                connection, source=source, external_id=events.usable_id(notice.external_id), job_id=None,
                due_at=now + notice.after, from_webhook=True,
            )  # fmt: skip


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


def _delivery(ports: Ports, request: Request, endpoint: _Open, body: bytes) -> Delivery:
    """The request as a connector sees it: at its public address, whatever stands before this process."""
    query = f"?{request.query_text}" if request.query_text else ""
    return Delivery(
        method=request.method,
        url=f"{ports.base_url}/webhooks/{endpoint.platform}/{request.endpoint_id}{query}",
        headers=request.headers,
        query=request.query,
        body=body,
        secret=endpoint.secret,
        now=clock.unix_now(),
        tolerance=ports.settings.webhook_tolerance_seconds,
    )


def _shaken(webhook: Webhook, delivery: Delivery) -> Reply | None:
    try:
        return webhook.handshake(delivery) if webhook.handshake else None
    except BadSignature as error:
        raise Problem(401, "bad_signature", str(error)) from None


async def _verified(door: Door, connector: Connector, webhook: Webhook, delivery: Delivery) -> str:
    """The delivery's id. One that is signed with a key we do not have yet is looked at again with fresh keys."""
    refused: BadSignature | None = None
    for fresh in (False, True):
        keys: Mapping[str, Any] | None = {}
        if webhook.keys_url:
            keys = await door.keys.get(connector, webhook.keys_url, fresh=fresh)
        if keys is None:  # they are as fresh as they may be
            break
        try:
            return webhook.verify(replace(delivery, keys=keys) if keys else delivery)
        except BadSignature as error:
            refused = error
        if not webhook.keys_url:
            break
    raise Problem(401, "bad_signature", str(refused)) from None


async def _read(webhook: Webhook, delivery: Delivery) -> list[Received | Notice]:
    small = len(delivery.body) <= SMALL_BODY
    found = webhook.read(delivery) if small else await asyncio.to_thread(webhook.read, delivery)
    if len(found) > MAX_CALLS:
        raise Problem(413, "too_many_calls", f"A delivery may bring at most {MAX_CALLS} calls. Send them in several.")
    return found


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
