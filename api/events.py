"""From what a door received to events the broker has. All doors end here."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from connectors.contract import Received
from schemas.calls import Placement, RawCall
from schemas.faults import OutageFault
from schemas.topics import RAW
from streams.io import clock
from streams.io.bus import Bus

IN_FLIGHT = 200
MAX_ID = 512


def raw_call(
    received: Received,
    *,
    workspace_id: UUID,
    source_app: str,
    via: Literal["upload", "webhook", "import"],
    placement: Placement,
    now: datetime,
    job_id: UUID | None = None,
    source_id: UUID | None = None,
) -> RawCall:
    """A new event, under an event id of its own. What no event can hold is replaced, so this never raises."""
    payload = received.payload.encode("utf-8", "replace").decode()
    return RawCall(
        event_id=clock.new_id(),
        workspace_id=workspace_id,
        source_app=source_app,
        external_id=usable_id(received.external_id),
        job_id=job_id,
        observed_at=received.observed_at or now,
        received_at=now,
        payload=payload,
        source_id=source_id,
        received_via=via,
        placement=placement,
    )


def usable_id(external_id: str) -> str:
    """Ids that PostgreSQL, Kafka keys or our own models could not hold are replaced by their hash."""
    clean = external_id.encode("utf-8", "replace").decode().replace("\x00", "")
    if clean == external_id and 0 < len(clean) <= MAX_ID:
        return external_id
    return "invalid-" + hashlib.sha256(json.dumps(external_id).encode()).hexdigest()[:32]


async def publish_all(bus: Bus, calls: Sequence[RawCall], *, seconds: float) -> list[RawCall]:
    """Publish to `calls.raw.v1` and wait for the broker. Gives back what could not be published; empty: all is well.

    Raises whatever is not an outage. A call that is given back may still get through: the broker was only late.
    """
    gate = asyncio.Semaphore(IN_FLIGHT)
    failed: list[RawCall] = []

    async def one(call: RawCall) -> None:
        async with gate:
            try:
                async with asyncio.timeout_at(deadline):
                    await bus.publish(RAW, call)
            except (OutageFault, TimeoutError):
                failed.append(call)

    deadline = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(one(call) for call in calls))
    return failed


def broker_away() -> OutageFault:
    """What is said when the broker did not take everything."""
    return OutageFault("broker_away", "Kafka cannot be reached, so nothing was accepted. Try again in a moment.")
