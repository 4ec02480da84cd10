"""The command that moves an import from a source on by one page."""

from typing import Literal
from uuid import UUID

from schemas.calls import Event


class PullCommand(Event):
    """`imports.pull.v1`: pull the next page of a job, or the waiting calls of a source that are due.

    `external_id` is the source's id as text. `step` is what the job must stand at: a command that comes late or twice
    finds it moved on and does nothing.
    """

    source_id: UUID
    what: Literal["page", "waiting"] = "page"
    step: int = 0

    @property
    def key(self) -> bytes:
        """The source's id: the commands of one source are in order."""
        return str(self.source_id).encode()
