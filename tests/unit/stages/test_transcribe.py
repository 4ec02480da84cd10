"""The transcribe stage: paid once, whoever dies, waits or comes twice."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from schemas.calls import Call, Media, Segment
from schemas.faults import ConfigFault, InvalidCall, OutageFault, TransientFault
from schemas.outcomes import Next
from schemas.topics import READY
from streams.stages.hear import MAX_BYTES
from streams.stages.speech import Key, Transcript, Voices
from streams.stages.transcribe import transcribe, two_letters

WORKSPACE, NOW = UUID(int=7), datetime(2025, 3, 1, 9, tzinfo=UTC)
T = TypeVar("T")
AUDIO = b"RIFF, more or less"
SHA = hashlib.sha256(AUDIO).hexdigest()


class Clock:
    """Time that passes only when a test lets it."""

    now = 0.0

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:  # noqa: ASYNC110 - the test moves the clock, there is no event to wait for
            await asyncio.sleep(0)

    async def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            for _ in range(6):
                await asyncio.sleep(0)

    async def run(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        while not task.done():
            assert self.now < 100_000, "this never ends"
            await self.pass_by(0.5)
        return await task


@dataclass
class Heard:
    text: str = "Hello. Hi."
    segments: tuple[Segment, ...] = (
        Segment(text="Hello.", start_ms=0, end_ms=900),
        Segment(text="Hi.", start_ms=900, end_ms=1500),
    )
    language: str | None = "en"
    seconds: float | None = 1.6


@dataclass
class Speech:
    """Takes `seconds` for an answer and counts what it is asked."""

    clock: Clock
    seconds: float = 0.0
    answer: Any = field(default_factory=Heard)
    accepted: tuple[str, ...] = ("wav", "m4a")
    set_up: bool = True
    sent: list[tuple[str, bytes, str, str | None]] = field(default_factory=list)
    voices: list[list[tuple[str, bytes]]] = field(default_factory=list)
    limit: int = 1000
    tells_speakers: bool = False
    most_at_once: int = 0
    at_once: int = 0

    def check(self) -> None:
        if not self.set_up:
            raise ConfigFault("speech_to_text_not_set_up", "No key.")

    def name_for(self, path: Path, filename: str | None) -> str | None:
        extension = (filename or path.name).rpartition(".")[2]
        return f"audio.{extension}" if extension in self.accepted else None

    def max_seconds(self, model: str) -> int:
        return self.limit

    def knows_speakers(self, model: str) -> bool:
        return self.tells_speakers

    async def transcribe(self, path: Path, filename: str, model: str, language: str | None, voices: Voices = ()) -> Any:
        sound = path.read_bytes()
        self.sent.append((filename, sound, model, language))
        self.voices.append([(name, sample.read_bytes()) for name, sample in voices])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.clock.sleep(self.seconds)
        finally:
            self.at_once -= 1
        answer = self.answer(sound) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Store:
    """Files by ref, and what addresses lead to."""

    files: dict[str, bytes] = field(default_factory=lambda: {"uploads/a.wav": AUDIO})
    copied: int = 0
    fetched: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def local_copy(self, ref: str) -> AsyncIterator[Path]:
        self.copied += 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ref.rsplit("/", 1)[-1]
            path.write_bytes(self.files[ref])
            yield path

    async def fetch(self, call: Call) -> Media:
        assert call.media
        assert call.media.url
        self.fetched.append(call.media.url)
        self.files["fetched/a.wav"] = AUDIO
        return Media(ref="fetched/a.wav", filename="a.wav", size_bytes=len(AUDIO), sha256=SHA)


@dataclass
class Results:
    """Rows and leases in memory, by the test's clock. `outage` fails that many puts."""

    clock: Clock
    rows: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    leases: dict[Key, tuple[UUID, float]] = field(default_factory=dict)
    paid: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    outage: int = 0

    async def get(self, *key: Any) -> Mapping[str, Any] | None:
        await asyncio.sleep(0)
        return self.rows.get(key)

    async def put(self, *key: Any, result: Mapping[str, Any], seconds: float | None) -> None:
        await asyncio.sleep(0)
        if self.outage:
            self.outage -= 1
            raise OutageFault("database_away", "Away.")
        self.rows.setdefault(key, result)

    async def chunks(self, *key: Any) -> Mapping[tuple[int, int], Mapping[str, Any]]:
        await asyncio.sleep(0)
        return {(row[4], row[5]): value["result"] for row, value in self.paid.items() if row[:4] == key}

    async def put_chunk(self, *key: Any, start_ms: int, end_ms: int, **values: Any) -> None:
        await asyncio.sleep(0)
        if self.outage:
            self.outage -= 1
            raise OutageFault("database_away", "Away.")
        assert (*key, start_ms, end_ms) not in self.paid, "paid twice"
        self.paid[(*key, start_ms, end_ms)] = values

    async def take_lease(self, *key: Any, holder: UUID, seconds: float) -> bool:
        await asyncio.sleep(0)
        if key in self.leases and self.leases[key][1] > self.clock.now:
            return False
        self.leases[key] = (holder, self.clock.now + seconds)
        return True

    async def renew(self, *key: Any, holder: UUID, seconds: float) -> bool:
        if key not in self.leases or self.leases[key][0] != holder:
            return False
        self.leases[key] = (holder, self.clock.now + seconds)
        return True

    async def release(self, *key: Any, holder: UUID) -> None:
        if key in self.leases and self.leases[key][0] == holder:
            del self.leases[key]


@dataclass
class Measured:
    duration_seconds: float
    levels: bytes


@dataclass
class Extracted:
    duration_seconds: float


def sounding(seconds: float, *, pauses: Sequence[int] = ()) -> Measured:
    """A recording with a second of silence at each of these seconds."""
    levels = bytearray([20]) * round(seconds * 10)
    for second in pauses:
        levels[second * 10 : second * 10 + 10] = bytes([120]) * 10
    return Measured(seconds, bytes(levels))


class World:
    """A stage with its ports."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.speech, self.media, self.results = Speech(self.clock), Store(), Results(self.clock)
        self.extracted: list[str] = []
        self.measured = sounding(1.6)
        self.steps: list[tuple[int, int]] = []

    async def measure(self, source: Path) -> Measured:
        return self.measured

    async def extract_audio(
        self, source: Path, destination: Path, *, start_seconds: float = 0.0, seconds: float | None = None
    ) -> Extracted:
        self.extracted.append(source.name)
        length = self.measured.duration_seconds - start_seconds if seconds is None else seconds
        destination.write_text(f"{start_seconds:g}+{length:g}")
        return Extracted(length)

    async def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        raise OutageFault("database_away", "Away.")

    def start(self, call: Call, *, speech: Speech | None = None, language: str | None = None) -> Awaitable[Next]:
        return transcribe(
            call,
            speech=speech or self.speech,
            media=self.media,
            results=self.results,
            measure=self.measure,
            extract_audio=self.extract_audio,
            cost=lambda model, seconds: round(seconds * 100),
            progress=self.progress,
            model="whisper-1",
            language=language,
            new_id=uuid4,
            sleep=self.clock.sleep,
        )

    async def finish(self, call: Call, *, language: str | None = None) -> Call:
        return only(await self.clock.run(self.start(call, language=language)))


@pytest.fixture
def world() -> World:
    return World()


def make_call(**changes: Any) -> Call:
    fields: dict[str, Any] = {
        "event_id": uuid4(), "workspace_id": WORKSPACE, "source_app": "upload", "external_id": "1",
        "observed_at": NOW, "received_at": NOW, "title": "Monday call", "recording_start_time": NOW,
        "fingerprint": "f", "media": Media(ref="uploads/a.wav", filename="a.wav", sha256=SHA),
    }  # fmt: skip
    return Call(**fields | changes)


def only(outcome: Next) -> Call:
    ((topic, event),) = outcome.events
    assert topic is READY
    assert isinstance(event, Call)
    return event


async def test_a_recording_becomes_a_ready_call(world: World) -> None:
    call = make_call()
    ready = await world.finish(call)
    assert (ready.full_transcript, len(ready.segments), ready.language) == ("Hello. Hi.", 2, "en")
    assert (ready.duration_ms, ready.metadata_quality) == (1600, "full")
    assert (ready.event_id, ready.fingerprint, ready.media) == (call.event_id, call.fingerprint, call.media)
    assert world.speech.sent == [("audio.wav", AUDIO, "whisper-1", None)]
    assert list(world.results.rows) == [(WORKSPACE, SHA, "whisper-1", "")]
    assert world.results.leases == {}


async def test_what_the_source_said_wins_over_the_vendor(world: World) -> None:
    ready = await world.finish(make_call(language="de", duration_ms=5000, recording_start_time=None))
    assert (ready.language, ready.duration_ms, ready.metadata_quality) == ("de", 5000, "partial")


async def test_a_transcript_without_segments_is_partial_and_has_the_measured_length(world: World) -> None:
    world.speech.answer = Heard(text="Hello.", segments=(), seconds=None)
    ready = await world.finish(make_call())
    assert (ready.full_transcript, ready.segments, ready.duration_ms) == ("Hello.", (), 1600)
    assert ready.metadata_quality == "partial"


async def test_silence_stays_silence(world: World) -> None:
    world.speech.answer = Heard(text=" ", segments=(Segment(text=" ", start_ms=0, end_ms=1),), seconds=3.0)
    ready = await world.finish(make_call())
    assert (ready.full_transcript, ready.segments, ready.metadata_quality) == ("", (), "minimal")
    assert ready.duration_ms == 3000


async def test_what_postgresql_cannot_hold_is_taken_out_before_it_is_stored(world: World) -> None:
    world.speech.answer = Heard(text="a\x00b\ud800", segments=())
    ready = await world.finish(make_call())
    assert ready.full_transcript == "ab?"
    assert next(iter(world.results.rows.values()))["text"] == "ab?"


async def test_a_call_with_a_transcript_goes_straight_on(world: World) -> None:
    call = make_call(full_transcript="Hello.", media=None)
    assert await world.finish(call) is call


@pytest.mark.parametrize("media", [None, Media(filename="a.wav")])
async def test_neither_transcript_nor_media(world: World, media: Media | None) -> None:
    with pytest.raises(InvalidCall) as caught:
        await world.finish(make_call(media=media))
    assert caught.value.reason == "no_transcript_no_media"


async def test_an_address_is_fetched_into_the_store_first(world: World) -> None:
    ready = await world.finish(make_call(media=Media(url="https://vendor.example/a?sig=1", sha256="claimed")))
    assert world.media.fetched == ["https://vendor.example/a?sig=1"]
    assert ready.media == Media(ref="fetched/a.wav", filename="a.wav", size_bytes=len(AUDIO), sha256=SHA)


async def test_a_missing_hash_is_computed(world: World) -> None:
    ready = await world.finish(make_call(media=Media(ref="uploads/a.wav")))
    assert ready.media
    assert ready.media.sha256 == SHA


async def test_without_a_key_nothing_is_fetched_or_copied(world: World) -> None:
    world.speech.set_up = False
    for media in (Media(url="https://vendor.example/a"), make_call().media):
        with pytest.raises(ConfigFault):
            await world.finish(make_call(media=media))
    assert (world.media.fetched, world.media.copied, world.results.leases) == ([], 0, {})


async def test_a_stored_result_is_used_again_even_without_a_key(world: World) -> None:
    first = await world.finish(make_call())
    world.speech.set_up = False
    second = await world.finish(make_call(external_id="2"))
    assert second.segments == first.segments
    assert (len(world.speech.sent), world.media.copied) == (1, 1)


async def test_another_language_or_workspace_is_another_result(world: World) -> None:
    await world.finish(make_call())
    await world.finish(make_call(), language="de")
    await world.finish(make_call(workspace_id=UUID(int=8)))
    assert len(world.speech.sent) == 3


async def test_two_workers_with_the_same_recording_pay_once(world: World) -> None:
    world.speech.seconds = 400  # far longer than a lease
    call = make_call()
    outcomes = await world.clock.run(asyncio.gather(*(world.start(call) for _ in range(5))))
    assert len(world.speech.sent) == 1
    assert {only(outcome).full_transcript for outcome in outcomes} == {"Hello. Hi."}
    assert world.results.leases == {}


async def test_a_dead_workers_lease_runs_out_and_another_takes_over(world: World) -> None:
    key = (WORKSPACE, SHA, "whisper-1", "")
    world.results.leases[key] = (uuid4(), 60.0)  # its holder was killed
    ready = await world.finish(make_call())
    assert ready.full_transcript == "Hello. Hi."
    assert 60 <= world.clock.now <= 64
    assert world.results.leases == {}


async def test_a_result_stored_between_the_look_and_the_lease_is_used(world: World) -> None:
    class Late(Results):
        async def take_lease(self, *key: Any, holder: UUID, seconds: float) -> bool:
            self.rows[key] = {"text": "From the other worker."}
            return await super().take_lease(*key, holder=holder, seconds=seconds)

    world.results = Late(world.clock)
    assert (await world.finish(make_call())).full_transcript == "From the other worker."
    assert world.speech.sent == []


async def test_a_fault_frees_the_lease_for_the_next_try(world: World) -> None:
    world.speech.answer = TransientFault("speech_to_text_failing", "Down.")
    with pytest.raises(TransientFault):
        await world.finish(make_call())
    assert (world.results.leases, world.results.rows) == ({}, {})
    world.speech.answer = Heard()
    assert (await world.finish(make_call())).full_transcript


async def test_an_end_of_the_worker_frees_the_lease(world: World) -> None:
    world.speech.seconds = 400
    task = asyncio.ensure_future(world.start(make_call()))
    await world.clock.pass_by(100)
    assert len(world.results.leases) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.results.leases == {}


async def test_a_paid_result_outlives_an_outage_of_the_database(world: World) -> None:
    world.results.outage = 3
    assert (await world.finish(make_call())).full_transcript == "Hello. Hi."
    assert (len(world.speech.sent), len(world.results.rows)) == (1, 1)


async def test_a_long_outage_does_not_throw_away_what_was_paid(world: World) -> None:
    world.results.outage = 1000
    assert (await world.finish(make_call())).full_transcript == "Hello. Hi."
    assert len(world.speech.sent) == 1


async def test_an_outage_during_the_heartbeat_does_not_end_it(world: World) -> None:
    class Shaky(Results):
        renewals = 0

        async def renew(self, *key: Any, holder: UUID, seconds: float) -> bool:
            self.renewals += 1
            if self.renewals % 2:
                raise OutageFault("database_away", "Away.")
            return await super().renew(*key, holder=holder, seconds=seconds)

    world.results, world.speech.seconds = Shaky(world.clock), 400
    call = make_call()
    await world.clock.run(asyncio.gather(world.start(call), world.start(call)))
    assert len(world.speech.sent) == 1


async def test_an_outage_before_the_lease_is_for_the_runner(world: World) -> None:
    class Away(Results):
        async def get(self, *key: Any) -> Mapping[str, Any] | None:
            raise OutageFault("database_away", "Away.")

    world.results = Away(world.clock)
    with pytest.raises(OutageFault):
        await world.finish(make_call())


async def test_an_outage_at_the_release_does_not_lose_the_call(world: World) -> None:
    class Stuck(Results):
        async def release(self, *key: Any, holder: UUID) -> None:
            raise OutageFault("database_away", "Away.")

    world.results = Stuck(world.clock)
    assert (await world.finish(make_call())).full_transcript


@pytest.mark.parametrize("name", ["talk.mov", "talk"])
async def test_a_format_the_vendor_refuses_is_sent_as_its_sound(world: World, name: str) -> None:
    world.media.files[f"uploads/{name}"] = AUDIO
    await world.finish(make_call(media=Media(ref=f"uploads/{name}", filename=name, sha256=SHA)))
    assert world.extracted == [name]
    assert world.speech.sent == [("audio.m4a", b"0+1.6", "whisper-1", None)]


async def test_a_large_video_is_sent_as_its_sound(world: World) -> None:
    world.media.files["uploads/a.wav"] = bytes(MAX_BYTES + 1)
    await world.finish(make_call())
    assert [sent[:2] for sent in world.speech.sent] == [("audio.m4a", b"0+1.6")]


async def test_exactly_the_limit_is_sent_as_it_is(world: World) -> None:
    world.media.files["uploads/a.wav"] = bytes(MAX_BYTES)
    await world.finish(make_call())
    assert world.extracted == []


def test_a_stored_row_of_a_newer_version_can_still_be_read() -> None:
    row = Transcript(text="Hello.", seconds=1.5).model_dump(mode="json") | {"words": []}
    assert Transcript.model_validate(row).seconds == 1.5


@pytest.mark.parametrize(
    ("said", "sent"),
    [("de", "de"), ("en-US", "en"), ("PT_br", "pt"), ("eng", None), ("English", None), ("", None), (None, None)],
)
def test_a_language_is_told_to_the_service_in_two_letters_or_not_at_all(said: str | None, sent: str | None) -> None:
    assert two_letters(said) == sent
