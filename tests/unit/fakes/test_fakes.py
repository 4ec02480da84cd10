"""The fakes are what they claim to be: files that FFmpeg decodes, and a server that the real OpenAI client talks to."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator

import av
import httpx2
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.fakes import audio
from tests.fakes.openai_server import MAX_FILE_BYTES, ROOT, FakeOpenAI, spoken_name, start_fake_openai

KEY = "sk-fake-of-the-tests-7f3a"
WAV = audio.make_wav(9.5)

SOUND = [audio.make_wav, audio.make_mp3, audio.make_m4a, audio.make_ogg, audio.make_flac]
VIDEO = [audio.make_mp4, audio.make_mov, audio.make_webm]

Maker = Callable[[float, int], bytes]


def extension(make: Maker) -> str:
    return make.__name__.removeprefix("make_")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with start_fake_openai(KEY) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def one_client(server: FakeOpenAI) -> AsyncIterator[AsyncOpenAI]:
    async with new_client(server) as ready:
        yield ready


@pytest.fixture
def client(server: FakeOpenAI, one_client: AsyncOpenAI) -> AsyncOpenAI:
    """A client of a server that has seen nothing yet."""
    server.reset()
    return one_client


def soon(happened: Callable[[], object]) -> bool:
    """Ask until the answer is yes, for ten seconds at most."""
    for _ in range(200):
        if happened():
            return True
        time.sleep(0.05)
    return False


def new_client(server: FakeOpenAI, key: str = KEY, timeout: float = 10) -> AsyncOpenAI:
    http = httpx2.AsyncClient(trust_env=False)
    return AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=timeout, http_client=http)


# Media


@pytest.mark.parametrize("make", [*SOUND, *VIDEO], ids=extension)
def test_media_decodes_to_the_length_asked_for(make: Maker) -> None:
    data = make(1.5, 440)
    with av.open(io.BytesIO(data)) as file:
        assert extension(make) in file.format.name.split(",")
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert seconds == pytest.approx(1.5, abs=0.07)
    with av.open(io.BytesIO(data)) as file:
        pictures = sum(1 for _ in file.decode(video=0)) if file.streams.video else 0
    assert pictures == (15 if make in VIDEO else 0)


@pytest.mark.parametrize("make", [*SOUND, *VIDEO], ids=extension)
def test_media_is_the_same_for_the_same_arguments_and_only_for_them(make: Maker) -> None:
    assert make(0.5, 440) == make(0.5, 440)
    assert len({make(0.5, 440), make(0.5, 441), make(0.6, 440)}) == 3


def test_media_is_the_same_in_another_process() -> None:
    names = [make.__name__ for make in [*SOUND, *VIDEO]]
    script = f"""
        import hashlib
        from tests.fakes import audio
        for name in {names!r}:
            print(hashlib.sha256(getattr(audio, name)(0.5, 440)).hexdigest())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [hashlib.sha256(make(0.5, 440)).hexdigest() for make in [*SOUND, *VIDEO]]


def test_broken_mp4_begins_well_and_cannot_be_opened() -> None:
    broken = audio.make_broken_mp4()
    assert broken[4:8] == b"ftyp"
    assert b"moov" not in broken
    with pytest.raises(av.InvalidDataError):
        av.open(io.BytesIO(broken))


def test_silent_mp4_has_a_picture_and_no_sound() -> None:
    with av.open(io.BytesIO(audio.make_silent_mp4())) as file:
        assert len(file.streams.video) == 1
        assert not file.streams.audio


def test_zero_byte_is_empty() -> None:
    assert audio.make_zero_byte() == b""


# Good answers


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    listed = {model.id async for model in await client.models.list()}
    assert listed >= {"whisper-1", "gpt-4o-transcribe", "gpt-4o-transcribe-diarize"}


async def test_whisper_verbose_json_has_segments_in_seconds(client: AsyncOpenAI) -> None:
    answer = await client.audio.transcriptions.create(
        file=("call.wav", WAV), model="whisper-1", response_format="verbose_json", language="de"
    )
    assert answer.duration == 9.5
    assert answer.language == "german"
    assert answer.text.startswith(spoken_name(WAV))
    assert answer.segments
    assert answer.text == " ".join(segment.text.strip() for segment in answer.segments)
    assert [(segment.start, segment.end) for segment in answer.segments] == [(0, 3.17), (3.17, 6.33), (6.33, 9.5)]
    assert answer.words is None
    assert answer.usage
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 10)


async def test_whisper_gives_words_when_asked(client: AsyncOpenAI) -> None:
    answer = await client.audio.transcriptions.create(
        file=("call.wav", WAV),
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert answer.segments is None
    assert answer.words
    assert [word.word for word in answer.words] == re.findall(r"\w+", answer.text)
    assert answer.words[-1].end == 9.5


async def test_diarized_json_has_speakers(client: AsyncOpenAI) -> None:
    answer = await client.audio.transcriptions.create(
        file=("call.wav", WAV), model="gpt-4o-transcribe-diarize", response_format="diarized_json"
    )
    assert [segment.speaker for segment in answer.segments] == ["A", "B", "A"]
    assert [segment.id for segment in answer.segments] == ["seg_001", "seg_002", "seg_003"]
    assert answer.segments[-1].end == answer.duration == 9.5
    assert answer.segments[0].text == spoken_name(WAV)


async def test_diarized_json_uses_the_names_of_known_speakers(client: AsyncOpenAI) -> None:
    answer = await client.audio.transcriptions.create(
        file=("call.wav", WAV),
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad"},
        known_speaker_names=["Mila"],
        known_speaker_references=["data:audio/wav;base64,AAAA"],
    )
    assert [segment.speaker for segment in answer.segments] == ["Mila", "A", "Mila"]


async def test_json_bills_tokens(client: AsyncOpenAI) -> None:
    answer = await client.audio.transcriptions.create(file=("call.wav", WAV), model="gpt-4o-mini-transcribe")
    assert answer.text.startswith(spoken_name(WAV))
    assert answer.usage
    assert answer.usage.type == "tokens"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (95, len(answer.text.split()))


async def test_text_and_subtitles_are_plain_text(client: AsyncOpenAI) -> None:
    create = client.audio.transcriptions.create
    text = await create(file=("call.wav", WAV), model="whisper-1", response_format="text")
    srt = await create(file=("call.wav", WAV), model="whisper-1", response_format="srt")
    vtt = await create(file=("call.wav", WAV), model="whisper-1", response_format="vtt")
    name = spoken_name(WAV)
    assert text.startswith(name)
    assert srt.startswith(f"1\n00:00:00,000 --> 00:00:03,170\n{name}\n\n2\n")
    assert vtt.startswith(f"WEBVTT\n\n00:00:00.000 --> 00:00:03.170\n{name}\n\n00:")


@pytest.mark.parametrize("make", [*SOUND, audio.make_mp4, audio.make_webm], ids=extension)
async def test_each_accepted_format_is_heard(client: AsyncOpenAI, make: Maker) -> None:
    data = make(1.5, 440)
    answer = await client.audio.transcriptions.create(
        file=(f"call.{extension(make)}", data), model="whisper-1", response_format="verbose_json"
    )
    assert answer.text == spoken_name(data)
    assert answer.duration == pytest.approx(1.5, abs=0.07)


async def test_the_same_audio_has_the_same_answer_and_other_audio_another(client: AsyncOpenAI) -> None:
    async def transcribe(data: bytes) -> str:
        return (await client.audio.transcriptions.create(file=("call.wav", data), model="whisper-1")).text

    assert await transcribe(WAV) == await transcribe(WAV)
    assert await transcribe(WAV) != await transcribe(audio.make_wav(9.5, freq=500))


# Refusals of its own


async def test_a_wrong_key_is_refused(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    async with new_client(server, key="sk-wrong-key-1234") as stranger:
        with pytest.raises(openai.AuthenticationError) as listed:
            await stranger.models.list()
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.audio.transcriptions.create(file=("call.wav", WAV), model="whisper-1")
    assert listed.value.code == refused.value.code == "invalid_api_key"
    [received] = server.requests()
    assert received["status"] == 401
    assert received["key_suffix"] is None
    assert server.counts() == server.paid() == {}


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("call.mov", audio.make_mov(), None),
        ("call", WAV, None),
        ("call.mp3", WAV, "invalid_value"),
        ("call.mp4", audio.make_broken_mp4(), "invalid_value"),
        ("call.mp4", audio.make_silent_mp4(), "invalid_value"),
        ("call.wav", audio.make_zero_byte(), "invalid_value"),
        ("call.wav", audio.make_wav(0.05), "audio_too_short"),
    ],
    ids=["mov", "no-extension", "wrong-extension", "broken", "no-sound", "empty", "too-short"],
)
async def test_a_bad_file_is_refused(
    client: AsyncOpenAI, server: FakeOpenAI, name: str, data: bytes, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.audio.transcriptions.create(file=(name, data), model="whisper-1")
    assert (refused.value.param, refused.value.code) == ("file", code)
    assert server.paid() == {}


async def test_a_file_of_25_mb_is_heard_and_one_byte_more_is_too_large(client: AsyncOpenAI) -> None:
    header = len(audio.make_wav(1)) - 32_000
    full = audio.make_wav((MAX_FILE_BYTES - header) / 32_000)
    assert len(full) == MAX_FILE_BYTES
    await client.audio.transcriptions.create(file=("call.wav", full), model="whisper-1")
    with pytest.raises(openai.APIStatusError) as refused:
        await client.audio.transcriptions.create(file=("call.wav", full + b"\0"), model="whisper-1")
    assert refused.value.status_code == 413
    assert "26214400" in refused.value.message


async def test_an_unknown_model_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await client.audio.transcriptions.create(file=("call.wav", WAV), model="whisper-9")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"model": "gpt-4o-transcribe", "response_format": "verbose_json"}, "response_format"),
        ({"model": "whisper-1", "response_format": "diarized_json"}, "response_format"),
        ({"model": "whisper-1", "timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"model": "gpt-4o-transcribe-diarize", "prompt": "Mila"}, "prompt"),
        ({"model": "gpt-4o-transcribe-diarize", "include": ["logprobs"]}, "include"),
        ({"model": "whisper-1", "language": "german"}, "language"),
    ],
)
async def test_options_that_do_not_go_together_are_refused(
    client: AsyncOpenAI, options: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.audio.transcriptions.create(file=("call.wav", WAV), **options)  # type: ignore[call-overload]
    assert refused.value.param == param


async def test_speakers_of_long_audio_need_a_chunking_strategy(client: AsyncOpenAI) -> None:
    long = ("call.wav", audio.make_wav(31))
    with pytest.raises(openai.BadRequestError) as refused:
        await client.audio.transcriptions.create(file=long, model="gpt-4o-transcribe-diarize")
    assert refused.value.param == "chunking_strategy"
    await client.audio.transcriptions.create(file=long, model="gpt-4o-transcribe-diarize", chunking_strategy="auto")


async def test_audio_over_1400_seconds_is_too_long_for_the_gpt_4o_models_only(client: AsyncOpenAI) -> None:
    long = ("call.flac", audio.make_flac(1401))
    with pytest.raises(openai.BadRequestError, match="1401 seconds is longer than 1400") as refused:
        await client.audio.transcriptions.create(file=long, model="gpt-4o-transcribe")
    assert refused.value.code == "invalid_value"
    await client.audio.transcriptions.create(file=long, model="whisper-1")


# Faults on order


async def transcribe(client: AsyncOpenAI) -> str:
    return (await client.audio.transcriptions.create(file=("call.wav", WAV), model="whisper-1")).text


async def test_rate_limit_says_when_to_come_back(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"status": 429, "retry_after": 1})
    with pytest.raises(openai.RateLimitError) as refused:
        await transcribe(client)
    assert refused.value.code == "rate_limit_exceeded"
    headers = refused.value.response.headers
    assert (headers["retry-after"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")
    assert headers["x-ratelimit-reset-requests"] == "1s"


async def test_out_of_quota_says_so(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"status": 429, "code": "insufficient_quota"})
    with pytest.raises(openai.RateLimitError) as refused:
        await transcribe(client)
    assert refused.value.code == refused.value.type == "insufficient_quota"
    assert "retry-after" not in refused.value.response.headers


async def test_server_error(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"status": 500}, {"status": 503})
    for status in (500, 503):
        with pytest.raises(openai.InternalServerError) as refused:
            await transcribe(client)
        assert refused.value.status_code == status
        assert refused.value.type == "server_error"
    assert server.paid() == {}


async def test_cut_drops_the_connection_in_the_middle_of_the_answer(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"cut": True})
    with pytest.raises(openai.APIConnectionError) as broken:
        await transcribe(client)
    assert isinstance(broken.value.__cause__, httpx2.RemoteProtocolError)
    assert "without sending complete message body (received" in str(broken.value.__cause__)
    assert list(server.paid().values()) == [1]


async def test_cut_upload_drops_the_connection_before_anything_is_paid(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"cut_upload": True})
    with pytest.raises(openai.APIConnectionError):
        await client.audio.transcriptions.create(file=("call.wav", audio.make_wav(100)), model="whisper-1")
    [received] = server.requests()
    assert received["sha256"] is None
    assert server.counts() == server.paid() == {}


async def test_delay_outlasts_the_patience_of_a_client(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"delay_seconds": 40})
    async with new_client(server, timeout=0.3) as hasty:
        with pytest.raises(openai.APITimeoutError):
            await transcribe(hasty)
    assert soon(server.paid)  # on a busy machine the work may take longer than the client had patience
    assert [received["status"] for received in server.requests()] == [None]
    assert await transcribe(client)


async def test_what_is_held_is_answered_when_it_is_let_go(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"hold": True})
    waiting = asyncio.create_task(transcribe(client))
    assert await asyncio.to_thread(soon, lambda: [received["held"] for received in server.requests()] == [True])
    assert server.paid() == {}
    server.control()
    assert await waiting
    assert list(server.paid().values()) == [1]


async def test_what_is_held_is_not_paid_when_the_caller_goes(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"hold": True})
    waiting = asyncio.create_task(transcribe(client))
    assert await asyncio.to_thread(soon, lambda: [received["held"] for received in server.requests()] == [True])
    waiting.cancel()
    assert await asyncio.to_thread(soon, lambda: [received["held"] for received in server.requests()] == [False])
    server.control()
    assert server.paid() == {}


async def test_tones_are_heard_in_their_places(client: AsyncOpenAI) -> None:
    recording = audio.make_long_recording([400, 900, 400], 3.0, 1.0)
    slot = audio.long_slot_seconds(recording, 3)
    with av.open(io.BytesIO(recording)) as source:
        out = io.BytesIO()
        with av.open(out, "w", format="wav") as target:
            stream = target.add_stream("pcm_s16le", rate=8_000, layout="mono")
            for frame in source.decode(audio=0):
                frame.pts = None
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    answer = await client.audio.transcriptions.create(
        file=("call.wav", out.getvalue()), model="tones-1", response_format="verbose_json"
    )
    assert [segment.text.strip() for segment in answer.segments or ()] == ["400 Hz.", "900 Hz.", "400 Hz."]
    starts = [segment.start for segment in answer.segments or ()]
    assert starts == pytest.approx([0, slot, 2 * slot], abs=0.35)
    assert answer.duration == pytest.approx(3 * slot, abs=0.1)


async def test_a_short_delay_is_answered(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"delay_seconds": 0.2})
    begun = time.monotonic()
    assert await transcribe(client)
    assert time.monotonic() - begun >= 0.2


async def test_garbage_is_a_good_status_with_half_of_the_json(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"garbage": True})
    with pytest.raises(json.JSONDecodeError):
        await transcribe(client)
    [received] = server.requests()
    assert (received["status"], received["paid"]) == (200, True)


async def test_faults_are_used_up_in_order_and_then_all_is_well(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"status": 500}, {}, {"status": 429})
    with pytest.raises(openai.InternalServerError):
        await transcribe(client)
    assert await transcribe(client)
    with pytest.raises(openai.RateLimitError):
        await transcribe(client)
    assert await transcribe(client)
    sha256 = hashlib.sha256(WAV).hexdigest()
    assert server.counts() == {sha256: 4}
    assert server.paid() == {sha256: 2}
    assert [received["status"] for received in server.requests()] == [500, 200, 429, 200]


async def test_new_faults_replace_those_that_wait(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    server.control({"status": 500}, {"status": 500})
    server.control()
    assert await transcribe(client)


def test_an_unknown_fault_is_refused(server: FakeOpenAI) -> None:
    with pytest.raises(httpx2.HTTPStatusError):
        server.control({"stauts": 500})


async def test_what_was_received_is_written_down_without_the_key(client: AsyncOpenAI, server: FakeOpenAI) -> None:
    await client.audio.transcriptions.create(
        file=("Żółw & co.wav", WAV), model="whisper-1", language="pl", response_format="verbose_json"
    )
    assert server.requests() == [
        {
            "number": 1,
            "key_suffix": "7f3a",
            "sha256": hashlib.sha256(WAV).hexdigest(),
            "size": len(WAV),
            "filename": "Żółw & co.wav",
            "model": "whisper-1",
            "language": "pl",
            "response_format": "verbose_json",
            "fault": None,
            "status": 200,
            "held": False,
            "paid": True,
        }
    ]
    assert KEY not in json.dumps(server.requests())
    server.reset()
    assert server.requests() == []


# The process


def test_a_key_that_was_not_given_is_not_accepted(server: FakeOpenAI) -> None:
    bare = httpx2.get(f"{server.base_url}/models", trust_env=False)
    assert bare.status_code == 401
    assert bare.json()["error"]["code"] == "invalid_api_key"


def test_the_server_dies_with_the_process_that_started_it() -> None:
    script = """
        import time
        from tests.fakes.openai_server import start_fake_openai
        server = start_fake_openai()
        print(server.base_url, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        models = parent.stdout.readline().strip() + "/models"
        assert httpx2.get(models, trust_env=False).status_code == 401
        os.kill(parent.pid, signal.SIGKILL)
    assert soon(lambda: gone(models))


def gone(url: str) -> bool:
    try:
        httpx2.get(url, trust_env=False)
    except httpx2.TransportError:
        return True
    return False


def test_stop_ends_a_server_that_is_still_answering() -> None:
    running = start_fake_openai()
    running.control({"delay_seconds": 40})
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(
            f"{running.base_url}/audio/transcriptions",
            headers={"authorization": f"Bearer {running.api_key}"},
            files={"file": ("call.wav", audio.make_wav())},
            data={"model": "whisper-1"},
            timeout=0.3,
            trust_env=False,
        )
    assert running.stop() == 0
    assert running.stop() == 0
    assert gone(f"{running.base_url}/models")


def test_a_port_that_is_taken_is_an_error_at_once(server: FakeOpenAI) -> None:
    taken = int(server.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
    command = [sys.executable, "-m", "tests.fakes.openai_server", "--port", str(taken)]
    run = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "in use" in run.stderr
