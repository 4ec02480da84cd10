"""Webhook endpoints: the addresses that vendors post to, each with its secret and, for most, its connected account."""

import base64
import binascii
import re
import secrets as random
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel

from api import auth
from api.auth import Caller
from api.ports import Ports
from api.problems import not_found
from connectors.contract import Webhook
from connectors.registry import CONNECTORS
from connectors.signatures import standard, url_token
from schemas.faults import InvalidCall
from streams.io import clock, queries, sources
from streams.io.secrets import Secrets
from streams.io.store import Connection, Pool, in_workspace

SQL = queries.load("webhooks")

WHSEC = "whsec_"
WORDS = re.compile(r"[!-~]{8,4000}")


class Endpoint(BaseModel):
    """An address a vendor posts to. `source_id`: the connected account whose calls it brings."""

    id: UUID
    platform: str
    url: str
    created_at: datetime
    source_id: UUID | None = None


class NewEndpoint(Endpoint):
    """The endpoint just made, with its secret, which is shown this once. Null: closed until the vendor's is set.

    Where a vendor signs nothing, the secret is part of the address. `setup` says what to do at the vendor.
    """

    secret: str | None = None
    setup: str = ""


def bound_to(workspace_id: UUID, endpoint_id: UUID) -> dict[str, Any]:
    """What the sealed secret of an endpoint is bound to."""
    return {"workspace_id": workspace_id, "row": f"webhook_endpoints/{endpoint_id}", "field": "encrypted_secret"}


def new_secret() -> str:
    """A secret in the form Standard Webhooks asks for."""
    return WHSEC + base64.b64encode(random.token_bytes(32)).decode()


def webhook_of(platform: str) -> Webhook:
    """How a platform's webhooks are read. Raises `InvalidCall` for one that sends none."""
    connector = CONNECTORS.get(platform)
    if connector is None or connector.webhook is None:
        able = ", ".join(sorted(name for name, each in CONNECTORS.items() if each.webhook))
        sentence = f"No webhooks can be received from this platform. Those that can send some: {able}."
        raise InvalidCall("unknown_platform", sentence, field="platform")
    return connector.webhook


async def create_endpoint(
    pool: Pool,
    secrets: Secrets,
    base_url: str,
    *,
    workspace_id: UUID,
    user_id: UUID,
    platform: str,
    secret: str | None = None,
    source_id: UUID | None = None,
    caller: Caller | None = None,
) -> NewEndpoint:
    """A new address for a platform's webhooks. Raises `InvalidCall` for a platform that has none or a bad secret.

    The secret is made here where the platform takes ours, unless one is given. Others make it once they know the
    address, so without one the endpoint is closed to everybody until it is set. Without `source_id` the endpoint
    belongs to the workspace's only account of that platform, if there is just one.
    """
    webhook = webhook_of(platform)
    shown = checked_secret(webhook, secret) if secret is not None else _our_secret(webhook)
    endpoint_id = clock.new_id()
    sealed = secrets.seal(shown or new_secret(), **bound_to(workspace_id, endpoint_id))
    async with in_workspace(pool, workspace_id) as connection:
        belongs_to = await _source_of(connection, workspace_id, platform, source_id)
        row = await connection.fetchrow(
            SQL["add_endpoint"], endpoint_id, workspace_id, platform, sealed, user_id, belongs_to
        )
        await auth.audit(
            connection, caller, workspace_id, "webhook_endpoint.created", str(endpoint_id), platform=platform
        )
    made = NewEndpoint(**_shown(row, base_url), secret=shown, setup=webhook.setup)
    if webhook.verify is url_token:
        made.url += f"?token={quote(shown or '', safe='')}"
    return made


def _our_secret(webhook: Webhook) -> str | None:
    if webhook.key_from != "us":
        return None
    return new_secret() if webhook.verify is standard else random.token_urlsafe(24)


async def _source_of(connection: Connection, workspace_id: UUID, platform: str, source_id: UUID | None) -> UUID | None:
    """The account an endpoint belongs to. Raises `InvalidCall` for one that is not there or of another platform."""
    if source_id is not None:
        source = await sources.get(connection, workspace_id, source_id)
        if source is None or source.source_app != platform:
            sentence = "There is no connected account of this platform with that id. GET /api/sources lists them."
            raise InvalidCall("unknown_source", sentence, field="source_id")
        return source_id
    found = await connection.fetch(SQL["sources_of_platform"], workspace_id, platform)
    return found[0]["source_id"] if len(found) == 1 else None


def checked_secret(webhook: Webhook, secret: str) -> str:
    """A secret as it is kept. Raises `InvalidCall` for one that cannot be right; the sentence never repeats it."""
    check: Callable[[str], str]
    check = webhook.check_secret or (_standard_secret if webhook.verify is standard else _plain_secret)
    return check(secret)


def _standard_secret(secret: str) -> str:
    try:
        key = base64.b64decode(secret.strip().removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 16 <= len(key) <= 128:
        sentence = "The secret must be the one the sender shows: whsec_ and then base64 of 16 to 128 bytes."
        raise InvalidCall("invalid_secret", sentence, field="secret")
    return secret.strip()


def _plain_secret(secret: str) -> str:
    if not WORDS.fullmatch(secret.strip()):
        sentence = "The secret must be the one the sender shows: at least 8 characters, without spaces."
        raise InvalidCall("invalid_secret", sentence, field="secret")
    return secret.strip()


async def list_endpoints(
    pool: Pool, base_url: str, workspace_id: UUID, after: tuple[Any, ...] = (None, None), limit: int = 1000
) -> list[Endpoint]:
    """Open endpoints, newest first, without their secrets."""
    async with in_workspace(pool, workspace_id) as connection:
        rows = await connection.fetch(SQL["list_endpoints"], workspace_id, *after, limit)
    return [Endpoint(**_shown(row, base_url)) for row in rows]


async def set_secret(
    ports: Ports, caller: Caller, endpoint_id: UUID, secret: str, *, forget: Callable[[UUID], None]
) -> Endpoint:
    """Another secret for an endpoint: the vendor's, or a new one after the old one leaked. `forget`: whoever remembers
    the endpoint looks it up again."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        platform = await connection.fetchval(SQL["platform_of"], caller.workspace_id, endpoint_id)
        if platform is None:
            raise not_found("webhook endpoint")
        checked = checked_secret(webhook_of(platform), secret)
        sealed = ports.secrets.seal(checked, **bound_to(caller.workspace_id, endpoint_id))
        row = await connection.fetchrow(SQL["set_endpoint_secret"], caller.workspace_id, endpoint_id, sealed)
        if row is None:
            raise not_found("webhook endpoint")
        await auth.audit(
            connection, caller, caller.workspace_id, "webhook_endpoint.secret_changed", str(endpoint_id),
            platform=row["platform"],
        )  # fmt: skip
    forget(endpoint_id)
    return Endpoint(**_shown(row, ports.base_url))


async def close_endpoint(ports: Ports, caller: Caller, endpoint_id: UUID, *, forget: Callable[[UUID], None]) -> None:
    """From now on the address answers 404. The calls it brought stay."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        platform = await connection.fetchval(SQL["close_endpoint"], caller.workspace_id, endpoint_id)
        if platform is None:
            raise not_found("webhook endpoint")
        await auth.audit(
            connection, caller, caller.workspace_id, "webhook_endpoint.closed", str(endpoint_id), platform=platform
        )
    forget(endpoint_id)


def _shown(row: Any, base_url: str) -> dict[str, Any]:
    return {
        "id": row["endpoint_id"],
        "platform": row["platform"],
        "url": f"{base_url}/webhooks/{row['platform']}/{row['endpoint_id']}",
        "created_at": row["created_at"],
        "source_id": row["source_id"],
    }
