"""Speech to text over real HTTP: the fake OpenAI for what the vendor does, raw bytes for what it should not do."""

import asyncio
import hashlib
import json
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.calls import Segment
from schemas.faults import ConfigFault, Fault, InvalidCall, TransientFault
from schemas.settings import Settings
from streams.io.retry_after import retry_after
from streams.io.whisper import Spoken, Whisper, read_answer
from tests.fakes import audio
from tests.fakes.openai_server import FakeOpenAI, spoken_name, start_fake_openai
from tests.unit.io.raw_server import RawServer, raw_server, reply

KEY = "sk-secret-0123456789"
NOW = datetime(2025, 3, 1, 9, tzinfo=UTC)
WAV = audio.make_wav(10.0)


def settings(base_url: str | None, key: str | None = KEY, **more: Any) -> Settings:
    given = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": base_url, **more}
    return Settings(_env_file=None, **{name: value for name, value in given.items() if value is not None})


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def _server() -> Iterator[FakeOpenAI]:
    with start_fake_openai(api_key=KEY) as server:
        yield server


@pytest.fixture
def server(_server: FakeOpenAI) -> FakeOpenAI:
    _server.reset()
    return _server


@pytest.fixture
async def whisper(server: FakeOpenAI) -> AsyncIterator[Whisper]:
    whisper = Whisper(settings(server.base_url), now=lambda: NOW)
    yield whisper
    await whisper.close()


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(WAV)
    return path


@asynccontextmanager
async def served(*answers: bytes, **more: Any) -> AsyncIterator[tuple[Whisper, RawServer]]:
    """A whisper in front of a server that sends these answers in turn."""
    left = list(answers)
    async with raw_server(lambda _: left.pop(0)) as server:
        whisper = Whisper(settings(f"http://127.0.0.1:{server.port}/v1", **more), now=lambda: NOW)
        yield whisper, server
        await whisper.close()


def refusal(status: int, message: str = "No.", **fields: Any) -> bytes:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}}
    return reply(status, json.dumps(body).encode(), Content_Type="application/json")


def counted(status: str) -> float:
    labels = {"platform": "openai", "endpoint": "audio/transcriptions", "status": status}
    return REGISTRY.get_sample_value("platform_api_requests_total", labels) or 0.0


async def test_verbose_answers_have_segments_language_and_length(
    whisper: Whisper, server: FakeOpenAI, wav: Path
) -> None:
    answered = counted("200")
    spoken = await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    assert spoken.text.startswith(spoken_name(WAV))
    assert (spoken.language, spoken.seconds, len(spoken.segments)) == ("english", 10.0, 3)
    assert spoken.segments[0] == Segment(text=spoken_name(WAV), start_ms=0, end_ms=3330)
    (request,) = server.requests()
    assert (request["sha256"], request["filename"]) == (hashlib.sha256(WAV).hexdigest(), "audio.wav")
    assert request["response_format"] == "verbose_json"
    assert counted("200") == answered + 1


async def test_the_language_is_sent_when_there_is_one(whisper: Whisper, server: FakeOpenAI, wav: Path) -> None:
    await whisper.transcribe(wav, "audio.wav", "whisper-1", "de")
    assert server.requests()[0]["language"] == "de"


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe"])
async def test_models_that_answer_plain_json(whisper: Whisper, server: FakeOpenAI, wav: Path, model: str) -> None:
    spoken = await whisper.transcribe(wav, "audio.wav", model, None)
    assert spoken.text.startswith(spoken_name(WAV))
    assert (spoken.segments, spoken.seconds) == ((), None)
    assert server.requests()[0]["response_format"] == "json"


async def test_speakers_of_the_diarizing_model(whisper: Whisper, tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    path.write_bytes(audio.make_flac(40.0))  # beyond 30 s the vendor insists on chunking
    spoken = await whisper.transcribe(path, "audio.flac", "gpt-4o-transcribe-diarize", None)
    assert [segment.speaker for segment in spoken.segments[:3]] == ["A", "B", "A"]
    assert spoken.seconds == pytest.approx(40.0, abs=0.1)


async def test_known_speakers_are_sent_with_their_voices(whisper: Whisper, wav: Path, tmp_path: Path) -> None:
    sample = tmp_path / "voice.mp3"
    sample.write_bytes(audio.make_mp3(3.0))
    spoken = await whisper.transcribe(
        wav, "audio.wav", "gpt-4o-transcribe-diarize", None, [("known-1", sample), ("known-2", sample)]
    )
    assert {segment.speaker for segment in spoken.segments} == {"known-1", "known-2"}


async def test_a_service_that_takes_no_voices_is_asked_without_them(wav: Path) -> None:
    refused = refusal(400, "Unknown parameter: 'known_speaker_names'.")
    async with served(refused, reply(body=b'{"text": "Hi."}', Content_Type="application/json")) as (whisper, server):
        spoken = await whisper.transcribe(wav, "audio.wav", "my-diarize", None, [("known-1", wav)])
        assert spoken.text == "Hi."
        assert [b"known_speaker_references" in request for request in server.requests] == [True, False]
        assert b"data:audio/mpeg;base64,UklGR" in server.requests[0]


@pytest.mark.parametrize(
    ("model", "seconds"), [("whisper-1", 1800), ("gpt-4o-transcribe", 1200), ("of-ones-own", 1200)]
)
def test_how_much_is_sent_in_one_piece(model: str, seconds: int) -> None:
    assert Whisper(settings(None)).max_seconds(model) == seconds


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "mp4", "webm", "ogg", "flac"])
async def test_names_fit_the_bytes_whatever_the_file_was_called(whisper: Whisper, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "misnamed.bin"
    path.write_bytes(getattr(audio, f"make_{kind}")(0.5))
    name = whisper.name_for(path, "misnamed.txt")
    assert name == f"audio.{kind}"
    assert (await whisper.transcribe(path, name, "whisper-1", None)).text


@pytest.mark.parametrize(
    ("head", "filename", "expected"),
    [
        (audio.make_mov(0.2), "talk.mp4", None),
        (b"\x1a\x45\xdf\xa3\x01matroska", "talk.mkv", None),
        (b"\xff\xf1\x50\x80", "talk.aac", None),
        (b"\xff\xfb\x90\x00", None, "audio.mp3"),
        (b"\x00\x01\x02\x03", "talk.mp3", None),
        (b"Hello.", "talk.txt", None),
        (b"", "talk", None),
    ],
)
async def test_what_is_sent_under_which_name(tmp_path: Path, head: bytes, filename: str, expected: str | None) -> None:
    path = tmp_path / "media"
    path.write_bytes(head)
    assert Whisper(settings(None)).name_for(path, filename) == expected


def test_without_a_key_and_without_another_server(wav: Path) -> None:
    for base_url in (None, "https://api.openai.com/v1", "https://api.openai.com/v1/"):
        with pytest.raises(ConfigFault, match="OPENAI_API_KEY") as caught:
            Whisper(settings(base_url, key=None)).check()
        assert caught.value.reason == "speech_to_text_not_set_up"
    Whisper(settings("http://localhost:1/v1", key=None)).check()
    Whisper(settings(None)).check()


async def test_a_server_of_ones_own_needs_no_key(wav: Path) -> None:
    async with served(reply(body=b'{"text": "Hi."}'), key=None) as (whisper, server):
        assert (await whisper.transcribe(wav, "audio.wav", "whisper-1", None)).text == "Hi."
        assert b"Bearer none\r\n" in server.requests[0]


async def test_rate_limits_name_their_time(whisper: Whisper, server: FakeOpenAI, wav: Path) -> None:
    server.control({"status": 429, "retry_after": 7.5})
    limited = counted("429")
    with pytest.raises(TransientFault) as caught:
        await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    assert (caught.value.reason, caught.value.retry_after) == ("speech_to_text_rate_limited", 7.5)
    assert (len(server.requests()), counted("429")) == (1, limited + 1)  # the SDK did not try again itself


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ({"status": 429, "code": "insufficient_quota"}, ConfigFault, "speech_to_text_quota_used_up"),
        ({"status": 401}, ConfigFault, "speech_to_text_key_refused"),
        ({"status": 403}, ConfigFault, "speech_to_text_key_refused"),
        ({"status": 404}, ConfigFault, "speech_to_text_settings_refused"),
        ({"status": 413}, ConfigFault, "speech_to_text_takes_too_little"),
        ({"status": 400}, InvalidCall, "speech_to_text_refused"),
        ({"status": 409}, TransientFault, "speech_to_text_failing"),
        ({"status": 500}, TransientFault, "speech_to_text_failing"),
        ({"status": 503, "retry_after": 3}, TransientFault, "speech_to_text_failing"),
        ({"cut": True}, TransientFault, "speech_to_text_unreachable"),
        ({"cut_upload": True}, TransientFault, "speech_to_text_unreachable"),
        ({"garbage": True}, TransientFault, "speech_to_text_unreadable"),
    ],
)
async def test_errors_become_faults(
    whisper: Whisper, server: FakeOpenAI, wav: Path, fault: dict[str, Any], kind: type[Fault], reason: str
) -> None:
    server.control(fault)
    with pytest.raises(Fault) as caught:
        await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert "openai." not in "".join(traceback.format_exception(caught.value)).replace("/openai.", "")
    assert len(server.requests()) == 1


async def test_a_wrong_key_is_not_repeated_anywhere(server: FakeOpenAI, wav: Path) -> None:
    whisper = Whisper(settings(server.base_url, key="sk-wrong-9876543210"))
    with pytest.raises(ConfigFault) as caught:
        await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    await whisper.close()
    assert "9876" not in f"{caught.value} {caught.value.detail}".replace("***3210", "")


@pytest.mark.parametrize("key", [KEY, "of-a-local-server"])
async def test_an_error_that_quotes_the_key_is_cleaned(wav: Path, key: str) -> None:
    message = f"bad\r\n\x1b[31m request with {key} and sk-proj-abc_DEF-1 " + "x" * 9000
    async with served(refusal(400, message), key=key) as (whisper, _):
        with pytest.raises(InvalidCall) as caught:
            await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    for text in (caught.value.sentence, caught.value.detail):
        assert key not in text
        assert "abc_DEF" not in text
        assert text.isprintable()
        assert len(text) < 500


async def test_a_silent_vendor_times_out(server: FakeOpenAI, wav: Path) -> None:
    server.control({"delay_seconds": 30})
    whisper = Whisper(settings(server.base_url, transcribe_timeout_seconds=0.5))
    with pytest.raises(TransientFault) as caught:
        await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    await whisper.close()
    assert caught.value.reason == "speech_to_text_timeout"


async def test_a_dripping_vendor_times_out_as_a_whole(wav: Path) -> None:
    async def drip(_: bytes) -> bytes:
        await asyncio.sleep(5)
        return b""

    async with raw_server(drip) as server:
        whisper = Whisper(settings(f"http://127.0.0.1:{server.port}/v1", transcribe_timeout_seconds=0.3))
        with pytest.raises(TransientFault, match="in time"):
            await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
        await whisper.close()


async def test_nobody_listens(wav: Path) -> None:
    async with raw_server(lambda _: b"") as server:
        pass
    whisper = Whisper(settings(f"http://127.0.0.1:{server.port}/v1"))
    with pytest.raises(TransientFault) as caught:
        await whisper.transcribe(wav, "audio.wav", "whisper-1", None)
    await whisper.close()
    assert caught.value.reason == "speech_to_text_unreachable"


async def test_a_server_that_knows_only_json_is_asked_again_and_remembered(wav: Path) -> None:
    hello = reply(body=b'{"text": "Hi."}', Content_Type="application/json")
    refused = refusal(400, "Unsupported.", param="response_format")
    async with served(refused, hello, hello) as (whisper, server):
        for _ in range(2):
            assert (await whisper.transcribe(wav, "audio.wav", "parakeet", None)).text == "Hi."
        assert [b"verbose_json" in request for request in server.requests] == [True, False, False]
        assert all(WAV in request for request in server.requests)


async def test_a_server_that_refuses_every_format_is_a_matter_of_settings(wav: Path) -> None:
    refused = reply(422, b'{"detail": "response_format: unexpected"}', Content_Type="application/json")
    async with served(refused, refused) as (whisper, _):
        with pytest.raises(ConfigFault, match="unexpected"):
            await whisper.transcribe(wav, "audio.wav", "parakeet", None)


@pytest.mark.parametrize(("code", "param"), [("model_not_found", None), (None, "model"), (None, "language")])
async def test_wrong_settings_are_not_the_calls_fault(wav: Path, code: str | None, param: str | None) -> None:
    async with served(refusal(400, code=code, param=param)) as (whisper, _):
        with pytest.raises(ConfigFault, match="CALLSTREAM_OPENAI_MODEL"):
            await whisper.transcribe(wav, "audio.wav", "whisper-9", None)


def test_odd_times_are_put_right() -> None:
    pieces = [{"text": "a", "start": -0.5, "end": 0.25}, {"text": " b ", "start": "2.0", "end": 1.0}, {"text": " "}]
    spoken = read_answer(json.dumps({"text": "a b", "duration": "8.47", "segments": pieces}), "application/json")
    assert spoken.segments == (Segment(text="a", start_ms=0, end_ms=250), Segment(text="b", start_ms=2000, end_ms=2000))
    assert spoken.seconds == 8.47


def test_what_is_more_likely_silence_is_left_out() -> None:
    thanks = {"text": " Thanks for watching!", "start": 0, "end": 2, "no_speech_prob": 0.92, "avg_logprob": -1.4}
    hello = {"text": " Hello.", "start": 2, "end": 3, "no_speech_prob": 0.92, "avg_logprob": -0.2}
    both = read_answer(json.dumps({"text": "Thanks for watching! Hello.", "segments": [thanks, hello]}), "")
    assert (both.text, len(both.segments)) == ("Hello.", 1)
    assert read_answer(json.dumps({"text": "Thanks for watching!", "segments": [thanks]}), "") == Spoken("")


def test_words_in_a_loop_are_left_out() -> None:
    loop = {"text": " so so so so", "start": 0, "end": 2, "compression_ratio": 4.1}
    hello = {"text": " Hello.", "start": 2, "end": 3, "compression_ratio": 1.1}
    spoken = read_answer(json.dumps({"text": "so so so so Hello.", "segments": [loop, hello]}), "")
    assert (spoken.text, len(spoken.segments)) == ("Hello.", 1)


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (3, 3), (4, 1), (90, 1)])
def test_the_same_words_again_and_again_count_once(count: int, kept: int) -> None:
    said = [{"text": " Thank you." if n % 2 else "thank you.", "start": n, "end": n + 1} for n in range(count)]
    said += [{"text": " Bye.", "start": count, "end": count + 1}]
    spoken = read_answer(json.dumps({"text": "Thank you. " * count + "Bye.", "segments": said}), "")
    assert len(spoken.segments) == kept + 1
    assert spoken.text.casefold() == "thank you. " * kept + "bye."


def test_two_who_answer_each_other_with_the_same_word_are_no_loop() -> None:
    said = [{"text": "Yes.", "start": n, "end": n + 1, "speaker": "AB"[n % 2]} for n in range(6)]
    assert len(read_answer(json.dumps({"text": "Yes. " * 6, "segments": said}), "").segments) == 6


def test_lengths_from_the_bill_and_text_from_the_segments() -> None:
    body = {"text": "", "segments": [{"text": " Hello."}], "usage": {"type": "duration", "seconds": 9}}
    spoken = read_answer(json.dumps(body), "application/json")
    assert (spoken.text, spoken.seconds) == ("Hello.", 9)


def test_plain_text_is_a_transcript() -> None:
    assert read_answer("Hello.\n", "text/plain; charset=utf-8") == Spoken("Hello.")
    assert read_answer('{"text": "Hello."}', "text/plain") == Spoken("Hello.")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", "application/json"),
        ("<html>", "text/html"),
        ("[]", "application/json"),
        ("null", "application/json"),
        ('{"text": 3}', "application/json"),
        ('{"text": "a", "segments": [{"start": NaN}]}', "application/json"),
        ('{"text": "a", "segm', "text/plain"),
        ("[" * 100_000, "application/json"),
    ],
)
def test_anything_else_is_tried_again(body: str, content_type: str) -> None:
    with pytest.raises(TransientFault) as caught:
        read_answer(body, content_type)
    assert caught.value.reason == "speech_to_text_unreadable"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("Sat, 01 Mar 2025 09:00:30 GMT", 30.0),
        ("Sat, 01 Mar 2025 08:00:00 GMT", 0.0),
        ("Sat, 01 Mar 2025 09:00:30 -0000", 30.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
