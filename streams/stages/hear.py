"""Listen to one recording: as it is, as its sound alone, or in parts; and pay for each part once.

An answer is stored as soon as it is there, so a retry, or whoever takes over from a worker that died, finds it and asks
only for the rest. What is silent throughout is not sent, and so is neither paid for nor answered with invented text.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from schemas.faults import Fault, OutageFault
from schemas.metrics import AUDIO_SECONDS, SPEECH_COST
from streams.stages.chunks import Piece, is_silent, join, plan, rename, speakers, voices
from streams.stages.speech import (
    Cost,
    ExtractAudio,
    Key,
    Measure,
    Measured,
    Progress,
    Sleep,
    Transcriber,
    Transcript,
    TranscriptResults,
    Voices,
)

MAX_BYTES = 26_214_400
"""What the vendor takes in one piece: 25 MB, as its own error text counts it. The sound track that we write ourselves
is so small (32 kbit/s) that the longest part of it is far below."""
WHOLE = Piece(0, 0)
"""Under which the answer to a recording in one piece is stored."""
KEEP_TRIES = 12
"""How often a paid result is offered to a database that is away, `KEEP_SECONDS` apart, before the call goes on."""
KEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """What a recording is listened to with. `at_once`: parts in flight at a time."""

    speech: Transcriber
    results: TranscriptResults
    measure: Measure
    extract_audio: ExtractAudio
    cost: Cost
    progress: Progress
    sleep: Sleep
    at_once: int


@dataclass(slots=True)
class Listening:
    """A recording that is being listened to."""

    path: Path
    filename: str | None
    key: Key
    means: Means
    sound: Measured
    pieces: tuple[Piece, ...]
    heard: dict[Piece, Transcript] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.key[2]


async def hear(path: Path, filename: str | None, key: Key, means: Means) -> Transcript:
    """The transcript of the whole recording. Raises faults as they come from the ports.

    After a fault no further part is begun, but those in flight, which may be paid for already, are waited for.
    """
    sound = await means.measure(path)
    stored = await means.results.chunks(*key)
    pieces = plan(sound.levels, _ms(sound.duration_seconds), means.speech.max_seconds(key[2]) * 1000)
    work = Listening(path, filename, key, means, sound, pieces)
    for piece in pieces:
        kept = stored.get(_place(work, piece))
        if kept is not None:
            work.heard[piece] = Transcript.model_validate(kept)
        elif is_silent(sound.levels, piece):
            work.heard[piece] = Transcript(text="")
    await _report(work)
    left = iter([piece for piece in pieces if piece not in work.heard])
    # Voices are known from the parts before, so where speakers are told apart the parts go in order.
    at_once = 1 if means.speech.knows_speakers(work.model) else means.at_once
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_hear_next(work, left))
    if work.faults:
        raise work.faults[0]
    if len(pieces) == 1:
        only = work.heard[pieces[0]]
        return only.model_copy(update={"seconds": only.seconds or sound.duration_seconds})
    return join([(piece, work.heard[piece]) for piece in pieces], sound.duration_seconds)


async def insist(put: Callable[[], Awaitable[None]], sleep: Sleep) -> None:
    """Store what was paid for. Raising `OutageFault` here would make the runner come back and pay again, so this
    waits itself, and at last lets the call go on with its transcript and without the row."""
    for _ in range(KEEP_TRIES):
        try:
            await put()
            return
        except OutageFault:
            await sleep(KEEP_SECONDS)


async def _hear_next(work: Listening, left: Iterator[Piece]) -> None:
    """Listen to one part after the other until none is left or something went wrong with any."""
    for piece in left:
        try:
            work.heard[piece] = await _ask(work, piece)
        except Fault as fault:
            work.faults.append(fault)
        if work.faults:
            return
        await _report(work)


async def _ask(work: Listening, piece: Piece) -> Transcript:
    """Send one part, and keep the answer."""
    means = work.means
    folder = work.path.parent / "parts" / str(piece.start_ms)
    _make_folder(folder)
    try:
        path, name, seconds = await _prepare(work, piece, folder)
        known, samples = await _voices(work, piece, folder)
        workspace_id, sha256, model, language = work.key
        spoken = await means.speech.transcribe(path, name, model, language or None, samples)
    finally:
        _empty(folder)
    transcript = Transcript.model_validate(spoken, from_attributes=True)
    if means.speech.knows_speakers(model) and len(work.pieces) > 1:
        transcript = rename(transcript, known, speakers(_before(work, piece)))
    cost = means.cost(model, seconds)
    AUDIO_SECONDS.inc(seconds)
    SPEECH_COST.inc((cost or 0) / 1_000_000)
    place = _place(work, piece)

    async def put() -> None:
        await means.results.put_chunk(
            workspace_id,
            sha256,
            model,
            language,
            start_ms=place.start_ms,
            end_ms=place.end_ms,
            result=transcript.model_dump(mode="json"),
            seconds=seconds,
            cost_micros=cost,
        )

    await insist(put, means.sleep)
    return transcript


async def _prepare(work: Listening, piece: Piece, folder: Path) -> tuple[Path, str, float]:
    """The file to send for a part, its name, and how many seconds it has: the recording as it is where it can be taken
    whole and in its format, and otherwise sound alone."""
    speech, whole = work.means.speech, len(work.pieces) == 1
    if whole:
        name = speech.name_for(work.path, work.filename)
        if name is not None and _size(work.path) <= MAX_BYTES:
            return work.path, name, work.sound.duration_seconds
    path = folder / "audio.m4a"
    start, last = piece.start_ms / 1000, piece == work.pieces[-1]
    length = None if last else (piece.end_ms - piece.start_ms) / 1000
    written = await work.means.extract_audio(work.path, path, start_seconds=start, seconds=length)
    return path, speech.name_for(path, path.name) or path.name, written.duration_seconds


async def _voices(work: Listening, piece: Piece, folder: Path) -> tuple[Mapping[str, str], Voices]:
    """The names that the vendor is given for the speakers of the parts before, and a sample of each one's voice.

    The names are unlike any that it would give itself, so that its own are never taken for them.
    """
    if not work.means.speech.knows_speakers(work.model):
        return {}, ()
    known: dict[str, str] = {}
    samples: list[tuple[str, Path]] = []
    for voice in voices(_before(work, piece)):
        sample = folder / f"voice-{len(samples)}.mp3"
        start, seconds = voice.start_ms / 1000, (voice.end_ms - voice.start_ms) / 1000
        await work.means.extract_audio(work.path, sample, start_seconds=start, seconds=seconds)
        name = f"known-{len(samples) + 1}"
        known[name] = voice.speaker
        samples.append((name, sample))
    return known, samples


def _before(work: Listening, piece: Piece) -> list[tuple[Piece, Transcript]]:
    return [(other, work.heard[other]) for other in work.pieces if other < piece and other in work.heard]


def _place(work: Listening, piece: Piece) -> Piece:
    return WHOLE if len(work.pieces) == 1 else piece


async def _report(work: Listening) -> None:
    with suppress(OutageFault):
        await work.means.progress(len(work.heard), len(work.pieces))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _size(path: Path) -> int:
    return path.stat().st_size


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
