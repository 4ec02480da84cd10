"""What listeners are told, made of what lies on the topics; and the opaque places from which a stream can be resumed.

A place is a position on every partition of the outcome topics, so it means the same on every instance. It is sealed:
offsets would tell a workspace how busy the others are.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from schemas.faults import ConfigFault
from schemas.topics import COMPLETED, DEAD, PULL, SKIPPED
from streams.io.facts import Fact, Kind, fact_of, workspace_of
from streams.io.secrets import Secrets
from streams.io.tail import Place, Positions

__all__ = ["Fact", "Kind", "fact_of", "workspace_of"]
KINDS: tuple[Kind, ...] = ("job", "completed", "skipped", "failed")
NAMES: Mapping[Kind, str] = {
    "job": "job.progress",
    "completed": "import.completed",
    "skipped": "import.skipped",
    "failed": "import.failed",
}
RESET = "reset"
OUTCOMES = (COMPLETED.name, SKIPPED.name, DEAD.name)
"""What a place counts. The commands to pull are followed, too, but they only say which job to look at."""
FOLLOWED = (*OUTCOMES, PULL.name)
MAX_PLACE = 32 * 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a listener is: a position on each partition, and the time up to which it knows of jobs, in milliseconds."""

    positions: Mapping[Place, int]
    at_ms: int


def seal(mark: Mark, secrets: Secrets, workspace_id: UUID) -> str:
    """The mark as an event id of this workspace."""
    topics = [[mark.positions[topic, number] for number in _numbers(mark.positions, topic)] for topic in OUTCOMES]
    text = "|".join([str(mark.at_ms), *(".".join(map(str, offsets)) for offsets in topics)])
    sealed = secrets.seal(text, workspace_id=workspace_id, row="live", field="place")
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unseal(text: str, secrets: Secrets, workspace_id: UUID) -> Mark | None:
    """The mark behind an event id. None for what is none, or is another workspace's."""
    if len(text) > MAX_PLACE:
        return None
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        at, *topics = secrets.open(sealed, workspace_id=workspace_id, row="live", field="place").split("|")
        positions: Positions = {
            (topic, number): int(offset)
            for topic, offsets in zip(OUTCOMES, topics, strict=True)
            for number, offset in enumerate(offsets.split(".") if offsets else ())
        }
        return Mark(positions, int(at))
    except (ConfigFault, ValueError, binascii.Error):
        return None


def _numbers(positions: Mapping[Place, int], topic: str) -> range:
    return range(sum(1 for name, _ in positions if name == topic))
