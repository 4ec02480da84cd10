"""waiting: calls that need speech to text are noted as waiting for it, so that people can see them."""

from contextlib import suppress

from schemas.calls import Call
from schemas.faults import InvalidCall
from schemas.outcomes import Done, Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io.bus import decode
from streams.ports import Ports
from streams.runner import Stage, Taken


def waiting_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage beside transcribe. An event that cannot be read is transcribe's to bury: one dead letter is enough."""

    async def raw(taken: Taken) -> Outcome:
        with suppress(InvalidCall):
            call = await decode(taken.topic, taken.value, taken.headers, ports.store)
            if isinstance(call, Call) and not call.has_transcript:
                await ports.note_waiting(call)
        return Done()

    return Stage("waiting", reads, raw=raw, window=settings.window)
