"""persist: calls become rows, in batches, and completed events after the commit."""

from schemas.calls import Call, Event, ImportCompleted
from schemas.metrics import CALLS_PROCESSED
from schemas.outcomes import Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io import clock
from streams.ports import Ports
from streams.runner import Stage, Taken
from streams.stages.persist import persist


def persist_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that stores calls."""

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, Call)  # noqa: S101 - the topic's model table says so
        outcome = await persist(event, ports.store_call, clock.now())
        for _, told in outcome.events:
            if isinstance(told, ImportCompleted):
                CALLS_PROCESSED.labels(told.source_app, told.outcome).inc()
        return outcome

    return Stage("persist", reads, run=run, window=settings.window)
