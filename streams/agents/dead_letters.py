"""dead letters: whatever lies on `imports.dead.v1` becomes a failed import a person can see. It never dies itself."""

from schemas.metrics import CALLS_PROCESSED
from schemas.outcomes import Done, Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io import failed_imports
from streams.ports import Ports
from streams.runner import Stage, Taken


def dead_letters_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that fills the failed-imports view."""

    async def raw(taken: Taken) -> Outcome:
        await failed_imports.record(
            await ports.pool(),
            key=taken.key,
            value=taken.value,
            headers=taken.headers,
            at=(taken.topic.name, taken.partition, taken.offset),
            schedule=settings.retry_schedule_seconds,
            max_attempts=settings.max_attempts,
        )
        CALLS_PROCESSED.labels(failed_imports.parties_of(taken.key)[1] or "unknown", "failed").inc()
        return Done()

    return Stage("dead_letters", reads, raw=raw, window=settings.window)
