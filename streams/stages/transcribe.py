"""Turn a call's recording into its transcript, and pay for each recording once.

What costs money is guarded twice: a result row keyed by (workspace, sha256 of the audio, model, language) is used
again instead of asking the vendor, and a lease under the same key lets one worker ask while the others wait for its
row. A worker that dies lets its lease run out, and the next one takes over.

Silence does not become invented text: a recording without speech goes on as a call whose `full_transcript` is "".
So a READY call that comes from here may have an empty transcript.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from schemas.calls import Call, Media, Model, Quality, Segment, Text
from schemas.faults import InvalidCall, OutageFault
from schemas.outcomes import Next
from schemas.topics import READY

MAX_BYTES = 26_214_400
"""What the vendor takes in one piece: 25 MB, as its own error text counts it."""
LEASE_SECONDS = 60.0
POLL_SECONDS = 2.0
KEEP_TRIES = 12
"""How often a paid result is offered to a database that is away, `KEEP_SECONDS` apart, before the call goes on."""
KEEP_SECONDS = 5.0

Key = tuple[UUID, str, str, str]
"""workspace, sha256 of the audio, model, language ("" when the vendor shall find out)."""
Sleep = Callable[[float], Awaitable[None]]


class Spoken(Protocol):
    """What the vendor heard. `text` is empty when nobody spoke."""

    @property
    def text(self) -> str: ...
    @property
    def segments(self) -> Sequence[Segment]: ...
    @property
    def language(self) -> str | None: ...
    @property
    def seconds(self) -> float | None: ...


class Transcriber(Protocol):
    """A speech-to-text service."""

    def check(self) -> None:
        """Raise `ConfigFault` when the service is not set up."""

    def name_for(self, path: Path, filename: str | None) -> str | None:
        """The name under which the service takes this file as it is; None when it does not take its format."""

    async def transcribe(self, path: Path, filename: str, model: str, language: str | None) -> Spoken:
        """Send the file and read the answer. Raises faults and nothing else."""


class MediaFiles(Protocol):
    """The media store, as far as this stage needs it."""

    def local_copy(self, ref: str) -> AbstractAsyncContextManager[Path]:
        """The object as a file in a temporary folder of its own; the folder is gone afterwards."""

    async def fetch(self, call: Call) -> Media:
        """Copy what `call.media.url` leads to into the store. The same event again may be answered by that copy."""


class TranscriptResults(Protocol):
    """Result rows and leases. The clock that leases run by is the database's."""

    async def get(self, workspace_id: UUID, audio_sha256: str, model: str, language: str) -> Mapping[str, Any] | None:
        """The stored result."""

    async def put(
        self,
        workspace_id: UUID,
        audio_sha256: str,
        model: str,
        language: str,
        *,
        result: Mapping[str, Any],
        seconds: float | None,
    ) -> None:
        """Store a result; the first one stays."""

    async def take_lease(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Take a lease that is free or has run out. False: another holder has it."""

    async def renew(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Lengthen the holder's lease. False: it is the holder's no more."""

    async def release(self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID) -> None:
        """Give the lease back, if it is still the holder's."""


ExtractAudio = Callable[[Path, Path], Awaitable[object]]
"""(source, destination): write the sound track of `source`, small, in the format of the destination's name."""


class Transcript(Model):
    """A result as it is stored. Building one takes out what PostgreSQL cannot hold."""

    text: Text
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    seconds: float | None = None


async def transcribe(
    call: Call,
    *,
    speech: Transcriber,
    media: MediaFiles,
    results: TranscriptResults,
    extract_audio: ExtractAudio,
    model: str,
    language: str | None,
    new_id: Callable[[], UUID],
    sleep: Sleep = asyncio.sleep,
    lease_seconds: float = LEASE_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> Next:
    """The call with its transcript, for `calls.ready.v1`.

    Raises `InvalidCall` when there is nothing to transcribe or it is too large, `ConfigFault` when the service is not
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

    async def ask() -> Transcript:
        speech.check()
        async with media.local_copy(ref) as original:
            path, name = await _acceptable(original, recording.filename, speech, extract_audio)
            spoken = await speech.transcribe(path, name, model, language)
        return Transcript.model_validate(spoken, from_attributes=True)

    key = (call.workspace_id, sha256, model, language or "")
    transcript = await _once(key, ask, results, new_id(), sleep, lease_seconds, poll_seconds)
    return Next([(READY, _with_transcript(call, recording, transcript))])


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
                transcript = await ask()
                await _keep(key, transcript, results, sleep)
                return transcript
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


async def _keep(key: Key, transcript: Transcript, results: TranscriptResults, sleep: Sleep) -> None:
    """Store what was paid for. Raising `OutageFault` here would make the runner come back and pay again, so this
    waits itself, and at last lets the call go on with its transcript and without the row."""
    for _ in range(KEEP_TRIES):
        try:
            await results.put(*key, result=transcript.model_dump(mode="json"), seconds=transcript.seconds)
            return
        except OutageFault:
            await sleep(KEEP_SECONDS)


async def _acceptable(
    path: Path, filename: str | None, speech: Transcriber, extract_audio: ExtractAudio
) -> tuple[Path, str]:
    """The file, or its sound track alone where the file's format or size is not accepted, and the name to send."""
    name = speech.name_for(path, filename)
    if name is not None and _size(path) <= MAX_BYTES:
        return path, name
    sound = path.parent / "sound-track" / "audio.m4a"
    _make_folder(sound.parent)
    await extract_audio(path, sound)
    if _size(sound) > MAX_BYTES:
        raise InvalidCall(
            "too_long_for_now",
            "This recording is larger than what the speech-to-text service takes in one piece (25 MB). Longer "
            "recordings will be possible in a later version; until then, import a shorter one or a transcript.",
            field="media",
        )
    return sound, speech.name_for(sound, sound.name) or sound.name


def _size(path: Path) -> int:
    return path.stat().st_size


def _make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)


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
