"""The webhook door, and the endpoints it has."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api import endpoints, webhooks
from api.deps import TheCaller, ThePorts, ports_of
from api.endpoints import Endpoint, NewEndpoint
from api.paging import Cursor, Items, Limit, cursor_id, cursor_time, decode_cursor, page
from api.webhooks import Door, WebhookAnswer
from connectors.contract import Reply

router = APIRouter(tags=["webhooks"])


class EndpointCreate(BaseModel):
    """A platform whose webhooks shall be received. `secret`: the vendor's; where the platform takes ours, one is made.

    `source_id`: the connected account whose calls it brings. Most vendors only name calls, which are then read through
    it. Not needed where only one account of the platform is connected.
    """

    platform: str = Field(max_length=40, examples=["generic", "fathom"])
    secret: str | None = Field(None, max_length=4000)
    source_id: UUID | None = None


class EndpointSecret(BaseModel):
    """The vendor's secret."""

    secret: str = Field(max_length=4000)


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


@router.post("/webhooks/{platform}/{endpoint_id}", status_code=202, response_model=WebhookAnswer)
async def receive_webhook(request: Request, platform: str, endpoint_id: str) -> WebhookAnswer | Response:
    """Where vendors post to. `generic` accepts any system that signs as Standard Webhooks (standardwebhooks.com).

    The signature is checked first, over the raw body. 202 `accepted` once the broker has every call of the delivery,
    or the order to read those it names; 202 `repeated` for a delivery that was accepted before, and nothing is done.
    200 for a vendor's challenge. 401 for a bad signature or an old timestamp, 404 for an endpoint that is not there or
    closed, 413 for a body over the limit. 503 with `Retry-After` when the broker or the database is away: send it
    again. A body that is no call we can read is accepted, and stands among the failed imports with its reason.
    """
    answer = await _accept(request, platform, endpoint_id)
    return _reply(answer) if isinstance(answer, Reply) else answer


@router.get("/webhooks/{platform}/{endpoint_id}")
async def answer_challenge(request: Request, platform: str, endpoint_id: str) -> Response:
    """Where a vendor asks whether an endpoint is ours, before it posts to it. 405 for whatever is no such question."""
    answer = await _accept(request, platform, endpoint_id)
    assert isinstance(answer, Reply)  # noqa: S101 - deliveries come by POST
    return _reply(answer)


async def _accept(request: Request, platform: str, endpoint_id: str) -> WebhookAnswer | Reply:
    came = webhooks.Request(
        request.method, platform, endpoint_id, dict(request.headers.items()), dict(request.query_params),
        request.scope["query_string"].decode("latin-1"), request.stream(),
    )  # fmt: skip
    return await webhooks.accept(ports_of(request), _door(request), came)


def _reply(reply: Reply) -> Response:
    headers = {**reply.headers, "X-Content-Type-Options": "nosniff"}
    return Response(reply.body, reply.status, headers, media_type=reply.content_type)


@router.post("/api/webhook-endpoints", status_code=201)
async def create_endpoint(body: EndpointCreate, caller: TheCaller, ports: ThePorts) -> NewEndpoint:
    """A new address for webhooks. Its secret is shown this once, and `setup` says what to do at the vendor.

    For `fathom` and other vendors that make the secret themselves: create the endpoint, give its `url` to the vendor,
    then set the secret it shows with PATCH. Until then every delivery is refused.
    """
    return await endpoints.create_endpoint(
        ports.pool, ports.secrets, ports.base_url, workspace_id=caller.workspace_id, user_id=caller.user_id,
        platform=body.platform, secret=body.secret, source_id=body.source_id, caller=caller,
    )  # fmt: skip


@router.get("/api/webhook-endpoints")
async def list_endpoints(
    caller: TheCaller, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[Endpoint]:
    """Open endpoints, newest first, without their secrets."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    found = await endpoints.list_endpoints(ports.pool, ports.base_url, caller.workspace_id, after, limit + 1)
    return page(found, limit, lambda each: each, lambda each: (each.created_at, each.id))


@router.patch("/api/webhook-endpoints/{endpoint_id}")
async def set_endpoint_secret(
    endpoint_id: UUID, body: EndpointSecret, request: Request, caller: TheCaller, ports: ThePorts
) -> Endpoint:
    """Set the secret the vendor shows, or another one after the old one leaked."""
    return await endpoints.set_secret(ports, caller, endpoint_id, body.secret, forget=_door(request).forget)


@router.delete("/api/webhook-endpoints/{endpoint_id}", status_code=204)
async def close_endpoint(endpoint_id: UUID, request: Request, caller: TheCaller, ports: ThePorts) -> Response:
    """Close an endpoint: its address answers 404 within five seconds. The calls it brought stay."""
    await endpoints.close_endpoint(ports, caller, endpoint_id, forget=_door(request).forget)
    return Response(status_code=204)
