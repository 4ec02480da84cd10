"""transcribe: speech to text, a few at a time, in a role of its own so that it never slows the rest."""

from schemas.calls import Call, Event
from schemas.outcomes import Outcome
from schemas.settings import Settings
from schemas.topics import Topic
from streams.io import clock
from streams.io.fetch import StoredMedia
from streams.io.leases import TranscriptStore
from streams.io.probe import extract_audio
from streams.io.whisper import Whisper
from streams.ports import Ports
from streams.runner import Stage, Taken
from streams.stages.transcribe import transcribe


def transcribe_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that asks the speech-to-text service."""
    speech = Whisper(settings)

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, Call)  # noqa: S101 - the topic's model table says so
        return await transcribe(
            event,
            speech=speech,
            media=StoredMedia(ports.store, settings),
            results=TranscriptStore(await ports.pool()),
            extract_audio=extract_audio,
            model=settings.openai_model,
            language=event.language or settings.openai_language,
            new_id=clock.new_id,
        )

    return Stage("transcribe", reads, run=run, window=settings.transcribe_window)
