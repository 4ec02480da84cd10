"""A worker's own answers to `/health/live`, `/health/ready` and `/metrics`, where CALLSTREAM_WORKER_PORT names a port.

In a container nobody else can say how a worker fares. Unset, a worker opens no port at all.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: they belong to the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def health_app(role: str, blocked: Callable[[], str]) -> Starlette:
    """The three answers. `blocked` names what the worker waits for, or is empty."""

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live", "role": role})

    async def ready(request: Request) -> Response:
        waits_for = blocked()
        body = {"status": "red" if waits_for else "ready", "role": role, "waits_for": waits_for}
        return JSONResponse(body, status_code=503 if waits_for else 200)

    async def metrics(request: Request) -> Response:
        registry = REGISTRY
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)])


async def serve_health(role: str, port: int, blocked: Callable[[], str]) -> None:
    """Answer until cancelled."""
    config = uvicorn.Config(
        health_app(role, blocked), host="0.0.0.0", port=port, log_level="warning", access_log=False, lifespan="off"
    )
    await _Server(config).serve()
