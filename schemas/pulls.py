"""The command that moves an import from a source on by one page."""

from typing import Literal
from uuid import UUID

from schemas.calls import Event


class PullCommand(Event):
    """`imports.pull.v1`: pull the next page of a job, the waiting calls of a source that are due, or one call.

    `external_id` is the source's id as text, or the id of that one call: a webhook named it, it was given up, and its
    command stands among the failed imports, to be retried. `step` is what the job must stand at: a command that comes
    late or twice finds it moved on and does nothing.
    """

    source_id: UUID
    what: Literal["page", "waiting", "call"] = "page"
    step: int = 0

    @property
    def key(self) -> bytes:
        """The source's id: the commands of one source are in order. Of a single call, the key that its events have."""
        return super().key if self.what == "call" else str(self.source_id).encode()
