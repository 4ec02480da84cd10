"""outcomes: calls that brought nothing to store are counted and noted in their jobs."""

from schemas.calls import Event, ImportSkipped
from schemas.metrics import CALLS_PROCESSED
from schemas.outcomes import Done, Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.ports import Ports
from streams.runner import Stage, Taken


def outcomes_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that closes the books on a skipped call; on a stored one, persist has."""

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, ImportSkipped)  # noqa: S101 - the topic's model table says so
        await ports.record_skip(event)
        CALLS_PROCESSED.labels(event.source_app, "skipped").inc()
        return Done()

    return Stage("outcomes", reads, run=run, window=settings.window)
