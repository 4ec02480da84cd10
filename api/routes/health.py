"""For those who run it."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api import health
from api.deps import ThePorts
from api.health import Readiness

router = APIRouter(tags=["operations"])


class Live(BaseModel):
    """The process runs."""

    status: str = "ok"


@router.get("/health/live")
async def live() -> Live:
    """Whether the process runs and answers. Says nothing about what it depends on."""
    return Live()


@router.get("/health/ready", responses={503: {"model": Readiness}})
async def ready(ports: ThePorts, response: Response) -> Readiness:
    """Whether calls can be accepted, and what is red. 503 when the database or the broker is away; workers that are
    silent or not ready are named, but calls are accepted all the same."""
    found = await health.readiness(ports)
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Prometheus metrics, as text."""
    body, content_type = health.metrics()
    return Response(body, media_type=content_type)
