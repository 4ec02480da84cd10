"""The one table of topics: name, what it holds, how long it stays."""

from dataclasses import dataclass

from schemas.calls import Call, ClaimReleased, Event, ImportCompleted, ImportSkipped, RawCall
from schemas.pulls import PullCommand

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `models` maps a CloudEvents type to the model of the value; empty means "bytes as they came"."""

    name: str
    models: tuple[tuple[str, type[Event]], ...]
    retention_ms: int
    description: str

    def type_of(self, event: Event) -> str:
        """The CloudEvents type of an event on this topic."""
        for name, model in self.models:
            if type(event) is model:
                return name
        raise TypeError(f"{type(event).__name__} does not belong on {self.name}")

    def model_of(self, ce_type: str | None) -> type[Event] | None:
        """The model for a CloudEvents type; without a type header, the topic's first model; unknown type: None."""
        if ce_type is None:
            return self.models[0][1] if self.models else None
        return dict(self.models).get(ce_type)


_CALL = "io.callstream.call"
_IMPORT = "io.callstream.import"

PULL = Topic("imports.pull.v1", ((f"{_IMPORT}.pull.v1", PullCommand),), 7 * DAY_MS, "the next page of a job, please")
RAW = Topic("calls.raw.v1", ((f"{_CALL}.raw.v1", RawCall),), 3650 * DAY_MS, "raw calls, live; the archive replay reads")
BACKFILL = Topic("calls.backfill.v1", ((f"{_CALL}.raw.v1", RawCall),), 3650 * DAY_MS, "raw calls of historical jobs")
REPLAY = Topic("calls.replay.v1", ((f"{_CALL}.raw.v1", RawCall),), 7 * DAY_MS, "raw calls read again from the archive")
NORMALIZED = Topic(
    "calls.normalized.v1",
    ((f"{_CALL}.normalized.v1", Call), (f"{_CALL}.claim_released.v1", ClaimReleased)),
    7 * DAY_MS,
    "calls in our own terms",
)
UNIQUE = Topic("calls.unique.v1", ((f"{_CALL}.unique.v1", Call),), 7 * DAY_MS, "calls that need speech to text")
READY = Topic("calls.ready.v1", ((f"{_CALL}.ready.v1", Call),), 7 * DAY_MS, "calls with a transcript")
COMPLETED = Topic(
    "imports.completed.v1", ((f"{_IMPORT}.completed.v1", ImportCompleted),), 30 * DAY_MS, "stored: the public contract"
)
SKIPPED = Topic("imports.skipped.v1", ((f"{_IMPORT}.skipped.v1", ImportSkipped),), 7 * DAY_MS, "duplicates")
DEAD = Topic("imports.dead.v1", (), 30 * DAY_MS, "untouched originals that could not go on, and why")

TOPICS = (PULL, RAW, BACKFILL, REPLAY, NORMALIZED, UNIQUE, READY, COMPLETED, SKIPPED, DEAD)
ARCHIVE = (RAW, BACKFILL)
"""What is kept for good and read by replays. Replayed events go to a topic of their own, so that it does not grow."""
BY_NAME = {topic.name: topic for topic in TOPICS}

CLAIMS_TABLE = "claims"
DEDUP_APP = "callstream-dedup"
CLAIMS_CHANGELOG = f"{DEDUP_APP}-{CLAIMS_TABLE}-changelog"
"""The dedup table's changelog: compacted, same partition count as the pipeline's topics."""
