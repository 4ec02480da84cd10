"""dedup: the claim rule against the keyed table. The only stage with a table, alone in its role."""

from collections.abc import MutableMapping

from schemas.calls import Event
from schemas.outcomes import Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io import clock
from streams.runner import Stage
from streams.stages.dedup import Claim, dedup


def dedup_stage(reads: Topic, claims: MutableMapping[str, Claim], settings: Settings) -> Stage:
    """The stage over the claims table."""

    def claim(event: Event) -> Outcome:
        return dedup(event, claims, clock.now())

    return Stage("dedup", reads, claim=claim, window=settings.window)
