"""Outgoing webhooks."""

from uuid import UUID

from fastapi import APIRouter, Response

from api import subscriptions
from api.deps import TheOperator, ThePorts
from api.paging import Cursor, Items, Limit
from api.subscriptions import (
    Delivery,
    DeliveryStatus,
    NewSecret,
    NewSubscription,
    Subscription,
    SubscriptionChange,
    SubscriptionCreate,
)  # fmt: skip

router = APIRouter(prefix="/api/webhook-subscriptions", tags=["webhook subscriptions"])


@router.post("", status_code=201)
async def create_subscription(body: SubscriptionCreate, caller: TheOperator, ports: ThePorts) -> NewSubscription:
    """Have an address told of what happens, signed as Standard Webhooks. The secret is shown this once. For owners and
    support."""
    return await subscriptions.create(ports, caller, body)


@router.get("")
async def list_subscriptions(
    caller: TheOperator, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None
) -> Items[Subscription]:
    """Who is told of what, newest first, with the deliveries of the last 24 hours counted."""
    return await subscriptions.list_all(ports, caller, limit, cursor)


@router.get("/{subscription_id}")
async def get_subscription(subscription_id: UUID, caller: TheOperator, ports: ThePorts) -> Subscription:
    """One subscription."""
    return await subscriptions.get(ports, caller, subscription_id)


@router.patch("/{subscription_id}")
async def change_subscription(
    subscription_id: UUID, body: SubscriptionChange, caller: TheOperator, ports: ThePorts
) -> Subscription:
    """Change its address, events or description, pause it or take it up again. What happens while it is paused is not
    told later; what was waiting to be sent is."""
    return await subscriptions.change(ports, caller, subscription_id, body)


@router.delete("/{subscription_id}", status_code=204)
async def delete_subscription(subscription_id: UUID, caller: TheOperator, ports: ThePorts) -> Response:
    """Send nothing more, and forget its deliveries."""
    await subscriptions.delete(ports, caller, subscription_id)
    return Response(status_code=204)


@router.post("/{subscription_id}/secret")
async def change_secret(subscription_id: UUID, caller: TheOperator, ports: ThePorts) -> NewSecret:
    """A new secret, which signs everything from now on. It is shown this once."""
    return await subscriptions.new_signing_secret(ports, caller, subscription_id)


@router.post("/{subscription_id}/test")
async def test_subscription(subscription_id: UUID, caller: TheOperator, ports: ThePorts) -> Delivery:
    """Send an event of type `test` now, and say what came of it. It is tried once."""
    return await subscriptions.test(ports, caller, subscription_id)


@router.get("/{subscription_id}/deliveries")
async def list_deliveries(
    subscription_id: UUID,
    caller: TheOperator,
    ports: ThePorts,
    status: DeliveryStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Items[Delivery]:
    """What was sent and what waits to be, newest first, with what the receiver answered. Kept for 30 days."""
    return await subscriptions.list_deliveries(ports, caller, subscription_id, status, limit, cursor)


@router.post("/{subscription_id}/deliveries/{delivery_id}/resend", status_code=202)
async def resend_delivery(subscription_id: UUID, delivery_id: UUID, caller: TheOperator, ports: ThePorts) -> Delivery:
    """Send a delivery once more, under the same `webhook-id`, with all its tries."""
    return await subscriptions.resend(ports, caller, subscription_id, delivery_id)
