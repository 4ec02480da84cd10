"""The application beside the stand-ins of the vendors, and a pull engine that a test drives by hand."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from connectors.registry import CONNECTORS
from streams.io import clock, pulls
from streams.io.pulls import Ref
from streams.io.stored_media import RecordingStore
from streams.pull import Puller
from streams.pull_calls import CallReader, Pace
from streams.schedule import Schedule
from streams.vendor import open_api
from tests.conftest import Broker, Database
from tests.fakes.vendors.core import CLIENT_ID, CLIENT_SECRET, Vendors, start_fake_vendors
from tests.system.api_harness import Api, running_api

OAUTH = ("fathom", "zoom", "zoom_phone", "gong", "ringcentral", "dialpad", "hubspot", "youtube", "google_meet")


@dataclass
class Office:
    """The application, the vendors, and the engine."""

    api: Api
    vendors: Vendors
    database: Database

    def seed(self, source: str, count: int, days: int = 5) -> None:
        """Calls of the last days, the latest of them over since yesterday."""
        now = self.vendors.world.now()
        self.vendors.world.seed(source, count, now - timedelta(days=days), now - timedelta(days=1.5), Random(count))

    async def connect(self, platform: str, **changed: Any) -> dict[str, Any]:
        """Connect an account of a platform with the credential its stand-in accepts."""
        fields = self.vendors.credential(platform) | changed
        answer = await self.api.client.post("/api/sources", json={"platform": platform, "fields": fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, path: str) -> dict[str, Any]:
        """What an address answers."""
        answer = await self.api.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def puller(self) -> Puller:
        """The engine, on the pipeline's pool and the real broker."""
        pool, settings, ports = self.database.pipeline_pool, self.api.settings, self.api.ports
        reader = CallReader(pool, ports.bus, RecordingStore(ports.store, settings))
        pace = Pace(first_rest=0.0, longest_rest=0.0)
        return Puller(reader, CONNECTORS, lambda source: open_api(settings, pool, ports.secrets, source), pace)

    async def drain(self) -> None:
        """Work on every job until all have come to their end or rest."""
        puller = self.puller()
        for _ in range(200):
            rows = await self.database.pipeline_pool.fetch(
                "SELECT job_id, workspace_id, source_id, source_app, step FROM import_jobs"
                " WHERE phase IN ('counting', 'pulling') AND cancelled_at IS NULL"
                " AND (resume_at IS NULL OR resume_at <= now())"
            )
            if not rows:
                return
            for row in rows:
                await puller.run(pulls.command(pulls.ref_of(row), job_id=row["job_id"], step=row["step"]))
        raise AssertionError("the jobs did not come to an end")

    async def look_at_waiting(self, source: Mapping[str, Any]) -> None:
        """Work on the waiting calls of a source that are due."""
        ref = Ref(source["id"], self.api.workspace_id, source["platform"])
        await self.puller().run(pulls.command(ref))

    async def books(self) -> None:
        """What the schedule does behind everybody's back."""
        schedule = Schedule(self.api.settings, self.database.pipeline_pool, self.api.ports.bus, CONNECTORS)
        await schedule.books()


@asynccontextmanager
async def open_office(
    folder: Path, broker: Broker, database: Database, *platforms: str, **settings: Any
) -> AsyncIterator[Office]:
    """An application whose vendors are stand-ins."""
    clients = {name: {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} for name in OAUTH}
    with start_fake_vendors(*platforms) as vendors:
        given = {"vendor_origin": vendors.origin, "oauth_clients": clients, **settings}
        async with running_api(folder, broker.bootstrap, database, **given) as api:
            yield Office(api, vendors, database)


def days_ago(days: float) -> str:
    """A time, as an address or a body has it."""
    return (clock.now() - timedelta(days=days)).isoformat()
