"""A dead letter: the untouched original bytes, key and headers, plus `dead_*` headers that say what happened.

The names below are the contract between the runner, the dead-letter agent and retry.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

Headers = list[tuple[str, bytes]]

STAGE, REASON, KIND = "dead_stage", "dead_reason", "dead_kind"
MESSAGE, DETAIL = "dead_message", "dead_detail"
TOPIC, PARTITION, OFFSET = "dead_topic", "dead_partition", "dead_offset"
ATTEMPT, AT, FINGERPRINT = "dead_attempt", "dead_at", "dead_fingerprint"
PREFIX = "dead_"
MAX_MESSAGE, MAX_DETAIL = 2_000, 8_000

KINDS = ("config", "transient", "rejected", "bug")
"""`config` and `rejected` wait for a person; `transient` is retried by itself; `bug` is ours."""


@dataclass(frozen=True, slots=True)
class Death:
    """Why an event could not go on. `attempt` counts from 1; the first failure of an event is attempt 1."""

    stage: str
    kind: str
    reason: str
    message: str
    detail: str
    topic: str
    partition: int
    offset: int
    attempt: int
    at: datetime

    @property
    def fingerprint(self) -> str:
        """Groups failures of the same cause: stage, reason, and the message without ids and numbers."""
        pattern = re.sub(r"[0-9a-fA-F-]{8,}|\d+|\"[^\"]*\"|'[^']*'", "*", self.message)
        return hashlib.sha256(f"{self.stage}|{self.reason}|{pattern}".encode("utf-8", "replace")).hexdigest()[:16]


def headers_of(death: Death, original: Headers) -> Headers:
    """The original headers, older `dead_*` ones replaced by those of this death."""
    kept = [(name, value) for name, value in original if not name.startswith(PREFIX)]
    ours = {
        STAGE: death.stage, KIND: death.kind, REASON: death.reason, MESSAGE: death.message[:MAX_MESSAGE],
        DETAIL: death.detail[:MAX_DETAIL], TOPIC: death.topic, PARTITION: str(death.partition),
        OFFSET: str(death.offset), ATTEMPT: str(death.attempt), AT: death.at.isoformat(),
        FINGERPRINT: death.fingerprint,
    }  # fmt: skip
    return kept + [(name, value.encode("utf-8", "replace")) for name, value in ours.items()]


def death_of(headers: Headers, *, topic: str, partition: int, offset: int, now: datetime) -> Death:
    """Read the `dead_*` headers back. Never raises: what is missing or unreadable gets a telling default."""
    found = {
        name: value.decode("utf-8", "replace").replace("\x00", "")
        for name, value in headers
        if name.startswith(PREFIX) and value is not None
    }

    def number(name: str, default: int, digits: int = 10) -> int:
        text = found.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < digits else default

    try:
        at = datetime.fromisoformat(found[AT])
    except (KeyError, ValueError):
        at = now
    return Death(
        stage=found.get(STAGE, "unknown"),
        kind=found[KIND] if found.get(KIND) in KINDS else "bug",
        reason=found.get(REASON, "unlabelled_dead_letter"),
        message=found.get(MESSAGE, "This event came to the dead letters without a reason."),
        detail=found.get(DETAIL, ""),
        topic=found.get(TOPIC, topic),
        partition=number(PARTITION, partition),
        offset=number(OFFSET, offset, digits=19),
        attempt=max(1, number(ATTEMPT, 1)),
        at=at if at.tzinfo else now,
    )
