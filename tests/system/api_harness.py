"""The HTTP application on real Kafka and PostgreSQL, in this process: no sockets between the test and the app."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiokafka
import httpx2
from fastapi import FastAPI

from api import auth
from api.app import create_app
from api.ports import Ports
from connectors.signatures import sign_standard_webhook
from schemas.settings import Settings
from schemas.topics import RAW
from streams.io import clock
from streams.io.secrets import generate_key
from streams.io.store import in_workspace

GENERIC = {
    "external_id": "call-1",
    "title": "Weekly planning",
    "recording_start_time": "2026-03-02T10:00:00Z",
    "full_transcript": "Good morning, everybody.",
}
VTT = b"WEBVTT\n\n00:00.000 --> 00:02.000\n<v Mila>Good morning\n"


@dataclass
class Api:
    """A running application and who talks to it."""

    app: FastAPI
    settings: Settings
    workspace_id: UUID
    user_id: UUID
    key: str
    client: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient
    started_at: datetime

    @property
    def ports(self) -> Ports:
        """What the application opened."""
        ports: Ports = self.app.state.ports
        return ports

    async def upload(
        self, *files: tuple[str, bytes], headers: Mapping[str, str] | None = None, **fields: str
    ) -> httpx2.Response:
        """Upload files by name and content."""
        parts = [("file", (name, data, "application/octet-stream")) for name, data in files]
        return await self.client.post("/api/uploads", files=parts, data=fields, headers=dict(headers or {}))

    async def endpoint(self, platform: str = "generic", **fields: Any) -> dict[str, Any]:
        """A new webhook endpoint."""
        answer = await self.client.post("/api/webhook-endpoints", json={"platform": platform, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def deliver(
        self, endpoint: Mapping[str, Any], body: bytes, *, delivery: str = "d-1", age: int = 0, **changed: str
    ) -> httpx2.Response:
        """Post a signed delivery; `changed` replaces headers, underscores for hyphens."""
        headers = sign_standard_webhook(endpoint["secret"], delivery, int(clock.unix_now()) - age, body)
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        path = f"/webhooks/{endpoint['platform']}/{endpoint['id']}"
        return await self.anonymous.post(path, content=body, headers=headers)

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Rows of the workspace."""
        async with in_workspace(self.ports.pool, self.workspace_id) as connection:
            return list(await connection.fetch(sql, *values))

    async def value(self, sql: str, *values: Any) -> Any:
        """One value."""
        async with in_workspace(self.ports.pool, self.workspace_id) as connection:
            return await connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: Any) -> None:
        """Change rows of the workspace."""
        async with in_workspace(self.ports.pool, self.workspace_id) as connection:
            await connection.execute(sql, *values)

    async def published(self) -> list[dict[str, Any]]:
        """The raw events since the start. All databases of a session have the same home workspace."""
        consumer = aiokafka.AIOKafkaConsumer(
            RAW.name,
            bootstrap_servers=self.settings.kafka,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=2**24,
        )
        await consumer.start()
        found = []
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [json.loads(record.value) for record in records if self._is_ours(record)]
        finally:
            await consumer.stop()
        return found

    def _is_ours(self, record: Any) -> bool:
        return (record.key or b"").startswith(str(self.workspace_id).encode()) and (
            record.timestamp >= self.started_at.timestamp() * 1000 - 1
        )

    async def add_failed(self, external_id: str = "lost-1", **fields: Any) -> UUID:
        """A failed import as the dead-letter agent writes it."""
        row = {
            "failed_import_id": clock.new_id(),
            "workspace_id": self.workspace_id,
            "identity": str(clock.new_id()),
            "event_id": clock.new_id(),
            "source_app": "generic",
            "external_id": external_id,
            "stage": "normalize",
            "kind": "rejected",
            "reason": "invalid_field",
            "message": "title is missing or empty.",
            "attempts": 1,
            "retryable": False,
            "status": "open",
            "fingerprint": "f1",
            "origin_topic": RAW.name,
            "origin_partition": 0,
            "origin_offset": 0,
            "original_key": f"{self.workspace_id}:generic:{external_id}".encode(),
            "original_value": b"{}",
            "original_headers": [["ce_id", base64.b64encode(b"x").decode()]],
            "first_seen_at": clock.now(),
            "last_seen_at": clock.now(),
            **fields,
        }
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self.execute(f"INSERT INTO failed_imports ({', '.join(row)}) VALUES ({marks})", *row.values())
        return UUID(str(row["failed_import_id"]))


@asynccontextmanager
async def running_api(folder: Path, kafka: str, database: Any, **settings: Any) -> AsyncIterator[Api]:
    """The application, started and stopped. `database` is the fixture of that name."""
    whole = Settings(
        data_dir=folder, kafka=kafka, database_url=database.app_url,
        **{"secret_keys": generate_key(), "public_url": "http://calls.test", **settings},
    )  # fmt: skip
    app = create_app(whole)
    started = clock.now()
    async with app.router.lifespan_context(app):
        pool = app.state.ports.pool
        key = await auth.create_api_key(pool, database.workspace_id, database.user_id, "tests")
        async with _client(app, {"Authorization": f"Bearer {key}"}) as client, _client(app, {}) as anonymous:
            yield Api(app, whole, database.workspace_id, database.user_id, key, client, anonymous, started)


def _client(app: FastAPI, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://calls.test", headers=dict(headers), timeout=60)
