"""What a stage makes of an event. A stage returns one of these; only the runner acts on it.

`Next`: publish these events, then the input is done. `Done`: the stage has made it durable itself.
A stage that cannot go on raises a fault (see `faults.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.calls import Event
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Next:
    """Publish `events` to their topics and wait for the broker before the input is acknowledged."""

    events: Sequence[tuple[Topic, Event]]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to publish; whatever had to be kept is kept."""


Outcome = Next | Done
