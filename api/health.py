"""Whether this installation works, and what is red; and the metrics."""

import asyncio
import os
from collections.abc import Awaitable
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client import REGISTRY as OWN_REGISTRY
from pydantic import BaseModel

from api.ports import Ports
from schemas.faults import Fault
from streams.io import media, queries
from streams.io.store import outages

SQL = queries.load("calls")
CHECK_SECONDS = 2.0
SILENT_SECONDS = 30.0
NEEDED = frozenset({"database", "broker"})
"""Without these the API itself cannot keep its promise; the rest is only said."""


class Check(BaseModel):
    """One part, and what is wrong with it."""

    name: str
    status: Literal["ok", "red"]
    detail: str = ""


class Readiness(BaseModel):
    """`ready`: this process can accept calls. `red` names everything that is not as it should be, workers too."""

    ready: bool
    red: list[str]
    checks: list[Check]


async def readiness(ports: Ports) -> Readiness:
    """Look at everything at once; never takes longer than a few seconds, never raises."""
    own = asyncio.gather(
        _check("database", _database(ports)),
        _check("broker", _broker(ports)),
        _check("media_store", _media_store(ports)),
    )
    checks = [*await own, *await _roles(ports)]
    red = [check.name for check in checks if check.status == "red"]
    return Readiness(ready=not NEEDED & set(red), red=red, checks=checks)


async def _check(name: str, work: Awaitable[None]) -> Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await work
    except TimeoutError:
        return Check(name=name, status="red", detail=f"no answer within {CHECK_SECONDS:.0f} seconds")
    except Fault as fault:
        return Check(name=name, status="red", detail=fault.sentence)
    except OSError:
        return Check(name=name, status="red", detail="cannot be reached")
    return Check(name=name, status="ok")


async def _database(ports: Ports) -> None:
    with outages():
        await ports.pool.fetchval(SQL["ping"])


async def _broker(ports: Ports) -> None:
    await ports.bus.ping()


async def _media_store(ports: Ports) -> None:
    await media.exists(ports.store, "health/none")


async def _roles(ports: Ports) -> list[Check]:
    """One check a role: green when a worker of it has said lately that it is ready."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            with outages():
                rows = await ports.pool.fetch(SQL["heartbeats"], SILENT_SECONDS)
    except (TimeoutError, Fault):
        return []
    checks: dict[str, Check] = {}
    for row in rows:
        name = f"worker:{row['role']}"
        well = row["fresh"] and row["ready"]
        before = checks.get(name)
        if well:
            checks[name] = Check(name=name, status="ok")
        elif before is None:
            said = row["detail"] if row["fresh"] else f"not heard of for more than {SILENT_SECONDS:.0f} seconds"
            checks[name] = Check(name=name, status="red", detail=said or "not ready")
    return list(checks.values())


def metrics() -> tuple[bytes, str]:
    """All metrics of this process, or of all processes that share PROMETHEUS_MULTIPROC_DIR."""
    registry = OWN_REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
