"""transcribe: speech to text, a few at a time, in a role of its own so that it never slows the rest."""

from contextlib import suppress

from schemas.calls import Call, Event
from schemas.faults import OutageFault
from schemas.outcomes import Outcome
from schemas.settings import Settings, SpeechChoice
from schemas.topics import Topic
from streams.io import clock, erase, speech_state
from streams.io.leases import TranscriptStore
from streams.io.prices import cost_micros
from streams.io.probe import extract_audio, measure
from streams.io.recordings import key_of
from streams.io.stored_media import StoredMedia
from streams.io.whisper import Whisper
from streams.ports import Ports
from streams.runner import Stage, Taken
from streams.stages.dedup import erased
from streams.stages.transcribe import transcribe, two_letters


def transcribe_stage(reads: Topic, ports: Ports, settings: Settings) -> Stage:
    """The stage that asks the speech-to-text service."""
    speech = Whisper(settings)

    def cost(model: str, seconds: float) -> int | None:
        return cost_micros(model, seconds, settings)

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, Call)  # noqa: S101 - the topic's model table says so
        pool = await ports.pool()
        if await erase.erased(pool, [key_of(event)]):  # nobody pays for what nobody may keep
            return erased(event, clock.now(), stage="transcribe")
        choice = settings.speech_by_source.get(event.source_app, SpeechChoice())

        async def progress(done: int, total: int) -> None:
            await speech_state.running(pool, event, done, total)

        outcome = await transcribe(
            event,
            speech=speech,
            media=StoredMedia(ports.store, settings),
            results=TranscriptStore(pool),
            measure=measure,
            extract_audio=extract_audio,
            cost=cost,
            progress=progress,
            model=choice.model or settings.openai_model,
            language=two_letters(event.language) or choice.language or settings.openai_language,
            new_id=clock.new_id,
            chunks_at_once=settings.transcribe_chunks,
        )
        with suppress(OutageFault):  # a note for people, for which no call waits
            await speech_state.done(pool, event)
        return outcome

    return Stage("transcribe", reads, run=run, window=settings.transcribe_window)
