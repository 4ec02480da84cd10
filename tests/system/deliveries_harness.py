"""The application, a receiver, and the parts that tell it, driven by hand on real Kafka and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from schemas.calls import ImportCompleted
from schemas.dead_letter import Death, headers_of
from schemas.topics import COMPLETED, DEAD, RAW
from streams.deliveries import TOPICS, Deliveries, subscribed
from streams.io import clock
from streams.io.places import open_places
from streams.io.tail import Seen
from tests.conftest import Broker, Database
from tests.fakes.receiver import Receiver, receiving
from tests.stack import until
from tests.system.api_harness import Api, running_api


@dataclass
class Post:
    """Who is told, and who tells."""

    api: Api
    receiver: Receiver
    database: Database

    def teller(self, **more: Any) -> Deliveries:
        """The parts as the audit runs them."""
        return Deliveries(self.api.settings, self.database.pipeline_pool, self.api.ports.secrets, **more)

    async def subscribe(self, path: str = "/", **fields: Any) -> dict[str, Any]:
        """A new subscription."""
        body = {"url": self.receiver.url(path), **fields}
        answer = await self.api.client.post("/api/webhook-subscriptions", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str) -> Any:
        """What an address answers."""
        answer = await self.api.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def deliveries(self, subscription: dict[str, Any]) -> list[dict[str, Any]]:
        """What was written down for a subscription, newest first."""
        found = await self.get(f"/api/webhook-subscriptions/{subscription['id']}/deliveries?limit=200")
        items: list[dict[str, Any]] = found["items"]
        return items

    async def tell(self, *records: Seen, teller: Deliveries | None = None) -> None:
        """Have records written down, as the reader does with what it has read."""
        await (teller or self.teller()).write_down(records, await subscribed(self.database.pipeline_pool))

    async def settle(self) -> None:
        """Until the reader has a place, so that it tells of all that comes after."""
        group = f"{self.api.settings.group_prefix}-deliveries"

        async def kept() -> bool | None:
            async with open_places(self.api.settings.kafka or "", group, TOPICS) as places:
                return bool(await places.kept()) or None

        await until(kept, 60, "a place of the reader", pause=0.5)

    async def make_due(self) -> None:
        """The time until the next tries."""
        await self.database.pipeline_pool.execute(
            "UPDATE outgoing_deliveries SET next_attempt_at = now() WHERE status = 'pending'"
        )

    async def let_leases_end(self) -> None:
        """The time until the leases of dead senders have run out."""
        await self.database.pipeline_pool.execute("UPDATE outgoing_deliveries SET leased_until = now()")

    def completed(self, external_id: str = "c1", **more: Any) -> Seen:
        """A call was stored, as it lies on the topic."""
        return record_of(completed_event(self.api.workspace_id, external_id, **more))

    def failed(self, external_id: str = "c1", *, attempt: int = 1, message: str = "title is missing.") -> Seen:
        """A call failed, as it lies on the topic."""
        event_id = clock.new_id()
        death = Death(
            "normalize", "rejected", "invalid_field", message, "", RAW.name, 1, 7, attempt, clock.now()
        )  # fmt: skip
        headers = headers_of(death, [("ce_id", str(event_id).encode())])
        key = f"{self.api.workspace_id}:zoom:{external_id}".encode()
        return Seen(DEAD.name, 0, 5, int(clock.unix_now() * 1000), key, b'{"job_id": null}', headers)


def completed_event(workspace_id: UUID, external_id: str, **more: Any) -> ImportCompleted:
    """A call was stored."""
    now = clock.now()
    given = {
        "event_id": clock.new_id(), "workspace_id": workspace_id, "source_app": "zoom", "external_id": external_id,
        "observed_at": now, "received_at": now, "import_id": clock.new_id(), "recording_id": clock.new_id(),
        "outcome": "imported", "metadata_quality": "full", "title": "Weekly", "imported_at": now, **more,
    }  # fmt: skip
    return ImportCompleted(**given)


def record_of(event: ImportCompleted, offset: int = 3) -> Seen:
    """An event as it lies on the topic."""
    headers = [("ce_id", str(event.event_id).encode()), ("ce_type", COMPLETED.type_of(event).encode())]
    value = event.model_dump_json().encode()
    return Seen(COMPLETED.name, 0, offset, int(clock.unix_now() * 1000), event.key, value, headers)


@asynccontextmanager
async def open_post(folder: Path, broker: Broker, database: Database) -> AsyncIterator[Post]:
    """An application that may post to a receiver here."""
    async with receiving() as receiver:
        given = {"webhook_allow_hosts": receiver.host, "group_prefix": f"cs{clock.new_id().hex[-8:]}"}
        async with running_api(folder, broker.bootstrap, database, **given) as api:
            yield Post(api, receiver, database)


@asynccontextmanager
async def going(*parts: Any) -> AsyncIterator[None]:
    """Parts at work for as long as the block runs; then they are killed."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
