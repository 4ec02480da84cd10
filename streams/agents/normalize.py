"""normalize: raw calls become calls in our own terms, by their connector's `to_call`."""

from connectors.registry import to_call
from schemas.calls import Event, RawCall
from schemas.outcomes import Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.runner import Stage, Taken
from streams.stages.normalize import normalize


def normalize_stage(reads: Topic, settings: Settings) -> Stage:
    """The stage for live or backfilled raw calls."""

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, RawCall)  # noqa: S101 - the topic's model table says so
        return normalize(event, to_call)

    return Stage("normalize", reads, run=run, window=settings.window)
