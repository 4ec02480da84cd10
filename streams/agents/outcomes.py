"""outcomes: completed and skipped calls are counted; duplicates are noted in their jobs."""

from schemas.calls import Event, ImportCompleted, ImportSkipped
from schemas.metrics import CALLS_PROCESSED
from schemas.outcomes import Done, Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.ports import Ports
from streams.runner import Stage, Taken


def outcomes_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that closes the books on a call."""

    async def run(event: Event, taken: Taken) -> Outcome:
        status = event.outcome if isinstance(event, ImportCompleted) else "skipped"
        if isinstance(event, ImportSkipped):
            await ports.record_skip(event)
        CALLS_PROCESSED.labels(event.source_app, status).inc()
        return Done()

    return Stage("outcomes", reads, run=run, window=settings.window)
