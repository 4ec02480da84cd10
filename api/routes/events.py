"""What happens, told while it happens."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from api import live_stream
from api.deps import TheCaller, ThePorts
from api.paging import Storable

router = APIRouter(prefix="/api/events", tags=["live"])

TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events, without end.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@router.get("", response_class=StreamingResponse, responses=TEXT)
async def follow_events(
    request: Request,
    caller: TheCaller,
    ports: ThePorts,
    types: Annotated[
        Storable | None, Query(max_length=100, description="job, completed, skipped, failed; by default all of them.")
    ] = None,
    last_event_id: Annotated[Storable | None, Query(description="Go on after this event.")] = None,
    last_event: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The same; it wins. Browsers send it by themselves.")
    ] = None,
) -> StreamingResponse:
    """Server-sent events: `job.progress` (the import, at most twice a second), `import.completed`, `import.skipped`,
    `import.failed`; and `reset`, after which your lists must be read again, because too much was missed. Every event
    has an id; after a lost connection it goes on behind the last one, on any instance. 503 while Kafka is away."""
    return await live_stream.stream(request, ports, caller, types, last_event or last_event_id)
