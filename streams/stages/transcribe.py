"""Turn a call's recording into its transcript, and pay for each recording once.

What costs money is guarded twice: a result row keyed by (workspace, sha256 of the audio, model, language) is used
again instead of asking the vendor, and a lease under the same key lets one worker ask while the others wait for its
row. A worker that dies lets its lease run out, and the next one takes over with the parts that were answered already.

Silence does not become invented text: a recording without speech goes on as a call whose `full_transcript` is "".
So a READY call that comes from here may have an empty transcript.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

from schemas.calls import Call, Media, Quality, Segment
from schemas.faults import InvalidCall, OutageFault
from schemas.outcomes import Next
from schemas.topics import READY
from streams.stages.hear import Means, hear, insist
from streams.stages.speech import (
    Cost,
    ExtractAudio,
    Key,
    Measure,
    MediaFiles,
    Progress,
    Sleep,
    Transcriber,
    Transcript,
    TranscriptResults,
)

LEASE_SECONDS = 60.0
POLL_SECONDS = 2.0
CHUNKS_AT_ONCE = 3


async def transcribe(
    call: Call,
    *,
    speech: Transcriber,
    media: MediaFiles,
    results: TranscriptResults,
    measure: Measure,
    extract_audio: ExtractAudio,
    cost: Cost,
    progress: Progress,
    model: str,
    language: str | None,
    new_id: Callable[[], UUID],
    chunks_at_once: int = CHUNKS_AT_ONCE,
    sleep: Sleep = asyncio.sleep,
    lease_seconds: float = LEASE_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> Next:
    """The call with its transcript, for `calls.ready.v1`.

    Raises `InvalidCall` when there is nothing to transcribe or it cannot be read, `ConfigFault` when the service is not
    set up, `TransientFault` and `OutageFault` as they come from the ports.
    """
    if call.has_transcript:
        return Next([(READY, call)])
    if call.media is None or not (call.media.ref or call.media.url):
        raise InvalidCall(
            "no_transcript_no_media",
            "This call has neither a transcript nor a recording to make one from.",
            field="media",
        )
    recording = call.media
    if not recording.ref:
        speech.check()  # nothing is fetched that cannot be transcribed
        recording = await media.fetch(call)
    ref, sha256 = recording.ref or "", recording.sha256
    if not sha256:
        sha256 = await _hash_stored(ref, media)
        recording = recording.model_copy(update={"sha256": sha256})

    key = (call.workspace_id, sha256, model, language or "")
    means = Means(speech, results, measure, extract_audio, cost, progress, sleep, chunks_at_once)

    async def ask() -> Transcript:
        speech.check()
        async with media.local_copy(ref) as original:
            return await hear(original, recording.filename, key, means)

    transcript = await _once(key, ask, results, new_id(), sleep, lease_seconds, poll_seconds)
    return Next([(READY, _with_transcript(call, recording, transcript))])


def two_letters(language: str | None) -> str | None:
    """A language as the speech-to-text service knows it: "en" of "en-US". None, for anything else that a source calls
    its languages, lets the service listen for itself; told "eng" it would refuse the recording."""
    code = (language or "").replace("_", "-").partition("-")[0].lower()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None


async def _once(
    key: Key,
    ask: Callable[[], Awaitable[Transcript]],
    results: TranscriptResults,
    holder: UUID,
    sleep: Sleep,
    lease_seconds: float,
    poll_seconds: float,
) -> Transcript:
    """The stored result, or the one that `ask` brings under the lease, or the one that the lease's holder brings."""
    while True:
        if (stored := await results.get(*key)) is not None:
            return Transcript.model_validate(stored)
        if await results.take_lease(*key, holder=holder, seconds=lease_seconds):
            async with _held(key, results, holder, sleep, lease_seconds):
                # The last holder may have stored its result and let go between our look and our lease.
                if (stored := await results.get(*key)) is not None:
                    return Transcript.model_validate(stored)
                return await _kept(key, await ask(), results, sleep)
        await sleep(poll_seconds)


@asynccontextmanager
async def _held(
    key: Key, results: TranscriptResults, holder: UUID, sleep: Sleep, lease_seconds: float
) -> AsyncIterator[None]:
    """Renew the lease for as long as the block runs; give it back at the end, whatever the end is."""

    async def renew() -> None:
        held = True
        while held:
            await sleep(lease_seconds / 3)
            with suppress(OutageFault):
                held = await results.renew(*key, holder=holder, seconds=lease_seconds)

    heartbeat = asyncio.create_task(renew())
    try:
        yield
    finally:
        heartbeat.cancel()
        await asyncio.gather(heartbeat, return_exceptions=True)
        with suppress(OutageFault):  # then it runs out by itself
            await results.release(*key, holder=holder)


async def _kept(key: Key, transcript: Transcript, results: TranscriptResults, sleep: Sleep) -> Transcript:
    async def put() -> None:
        await results.put(*key, result=transcript.model_dump(mode="json"), seconds=transcript.seconds)

    await insist(put, sleep)
    return transcript


async def _hash_stored(ref: str, media: MediaFiles) -> str:
    def hash_file(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    async with media.local_copy(ref) as path:
        return await asyncio.to_thread(hash_file, path)


def _with_transcript(call: Call, recording: Media, transcript: Transcript) -> Call:
    """The call with what was heard; what the source said about itself wins over what the vendor guessed."""
    text = transcript.text.strip()
    segments = transcript.segments if text else ()
    heard_ms = round(transcript.seconds * 1000) if transcript.seconds else max((s.end_ms for s in segments), default=0)
    return call.model_copy(
        update={
            "full_transcript": text,
            "segments": segments,
            "duration_ms": call.duration_ms or heard_ms or None,
            "language": call.language or transcript.language,
            "metadata_quality": _quality(call, text, segments),
            "media": recording,
        }
    )


def _quality(call: Call, text: str, segments: Sequence[Segment]) -> Quality:
    if not text:
        return "minimal"
    return "full" if call.title.strip() and call.recording_start_time and segments else "partial"
