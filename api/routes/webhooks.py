"""The webhook door, and the endpoints it has."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api import webhooks
from api.deps import TheCaller, ThePorts, ports_of
from api.paging import Cursor, Items, Limit, cursor_id, cursor_time, decode_cursor, page
from api.webhooks import Door, Endpoint, NewEndpoint, WebhookAnswer

router = APIRouter(tags=["webhooks"])


class EndpointCreate(BaseModel):
    """A platform whose webhooks shall be received. `secret`: the vendor's; `generic` gets one of ours by default."""

    platform: str = Field(max_length=40, examples=["generic", "fathom"])
    secret: str | None = Field(None, max_length=400)


class EndpointSecret(BaseModel):
    """The vendor's secret."""

    secret: str = Field(max_length=400)


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


@router.post("/webhooks/{platform}/{endpoint_id}", status_code=202)
async def receive_webhook(request: Request, platform: str, endpoint_id: str) -> WebhookAnswer:
    """Where vendors post to. `generic` accepts any system that signs as Standard Webhooks (standardwebhooks.com).

    The signature is checked first, over the raw body. 202 `accepted` once the broker has every call of the delivery;
    202 `repeated` for a delivery id that was accepted before, and nothing is done. 401 for a bad signature or an old
    timestamp, 404 for an endpoint that is not there or closed, 413 for a body over the limit. 503 with `Retry-After`
    when the broker or the database is away: send it again. A body that is no call we can read is accepted, and stands
    among the failed imports with its reason.
    """
    headers = dict(request.headers.items())
    door, ports = _door(request), ports_of(request)
    return await webhooks.accept(ports, door, platform, endpoint_id, headers, request.stream())


@router.post("/api/webhook-endpoints", status_code=201)
async def create_endpoint(body: EndpointCreate, caller: TheCaller, ports: ThePorts) -> NewEndpoint:
    """A new address for webhooks. Its secret is shown this once.

    For `fathom` and other vendors that make the secret themselves: create the endpoint, give its `url` to the vendor,
    then set the secret it shows with PATCH. Until then every delivery is refused.
    """
    return await webhooks.create_endpoint(
        ports.pool, ports.secrets, ports.base_url, workspace_id=caller.workspace_id, user_id=caller.user_id,
        platform=body.platform, secret=body.secret, caller=caller,
    )  # fmt: skip


@router.get("/api/webhook-endpoints")
async def list_endpoints(
    caller: TheCaller, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[Endpoint]:
    """Open endpoints, newest first, without their secrets."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    found = await webhooks.list_endpoints(ports.pool, ports.base_url, caller.workspace_id, after, limit + 1)
    return page(found, limit, lambda each: each, lambda each: (each.created_at, each.id))


@router.patch("/api/webhook-endpoints/{endpoint_id}")
async def set_endpoint_secret(
    endpoint_id: UUID, body: EndpointSecret, request: Request, caller: TheCaller, ports: ThePorts
) -> Endpoint:
    """Set the secret the vendor shows, or another one after the old one leaked."""
    return await webhooks.set_secret(ports, _door(request), caller, endpoint_id, body.secret)


@router.delete("/api/webhook-endpoints/{endpoint_id}", status_code=204)
async def close_endpoint(endpoint_id: UUID, request: Request, caller: TheCaller, ports: ThePorts) -> Response:
    """Close an endpoint: its address answers 404 within five seconds. The calls it brought stay."""
    await webhooks.close_endpoint(ports, _door(request), caller, endpoint_id)
    return Response(status_code=204)
