"""A worker's own health answers."""

import httpx2
import pytest

from schemas.metrics import CALLS_RECOVERED
from streams.health import health_app


@pytest.mark.parametrize(("blocked", "status"), [("", 200), ("persist: database_away", 503)])
async def test_readiness_says_what_it_waits_for(blocked: str, status: int) -> None:
    app = health_app("pipeline", lambda: blocked)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["waits_for"]) == (status, blocked)
        assert (await client.get("/health/live")).status_code == 200
        metrics = await client.get("/metrics")
        assert f"{CALLS_RECOVERED._name}_total" in metrics.text
