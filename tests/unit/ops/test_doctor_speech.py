"""`callstream doctor` and speech to text, over real HTTP: a second of audio, and what is said when it fails."""

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import doctor
from schemas.settings import Settings
from tests.fakes.openai_server import FakeOpenAI, start_fake_openai
from tests.unit.io.raw_server import raw_server, reply

KEY = "sk-secret-0123456789"


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


def settings(base_url: str | None, key: str | None = KEY, **more: Any) -> Settings:
    given = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": base_url, **more}
    return Settings(_env_file=None, **{name: value for name, value in given.items() if value is not None})


async def unwell(of: Settings) -> str:
    """What doctor says is wrong."""
    with pytest.raises(doctor.Unwell) as caught:
        await doctor.check_speech(of)
    sentence = str(caught.value)
    assert KEY not in sentence
    assert "Retry" not in sentence
    return sentence


async def test_a_second_of_audio_is_transcribed_with_the_models_and_language_that_are_set(server: FakeOpenAI) -> None:
    of = settings(server.base_url, openai_model="gpt-4o-transcribe", openai_language="de")
    said = await doctor.check_speech(of)
    assert said.startswith(f"{server.base_url}, model gpt-4o-transcribe, transcribed a second of audio in ")
    assert list(server.paid().values()) == [1]


async def test_without_being_asked_to_speak_nothing_is_sent(server: FakeOpenAI) -> None:
    said = await doctor.check_speech_setup(settings(server.base_url))
    assert said == f"{server.base_url}, model whisper-1; not asked"
    assert server.paid() == {}
    with pytest.raises(doctor.Unwell, match="OPENAI_API_KEY is not set"):
        await doctor.check_speech_setup(settings(None, None))


async def test_a_wrong_key_is_told(server: FakeOpenAI) -> None:
    sentence = await unwell(settings(server.base_url, "sk-wrong-987654321"))
    assert "refused the key. Set a valid OPENAI_API_KEY, and restart." in sentence
    assert "sk-wrong" not in sentence


async def test_an_unknown_model_is_told(server: FakeOpenAI) -> None:
    sentence = await unwell(settings(server.base_url, openai_model="whisper-99"))
    assert "model whisper-99" in sentence
    assert "CALLSTREAM_OPENAI_MODEL" in sentence


async def test_an_account_without_credit_is_told(server: FakeOpenAI) -> None:
    server.control({"status": 429, "code": "insufficient_quota"})
    assert "no credit left. Add credit at the vendor." in await unwell(settings(server.base_url))


async def test_a_server_that_is_not_there_is_told() -> None:
    async with raw_server(lambda _: reply()) as gone:
        address = f"http://127.0.0.1:{gone.port}/v1"
    sentence = await unwell(settings(address))
    assert sentence.startswith(f"{address}, model whisper-1: ")
    assert "Check OPENAI_BASE_URL, that a server runs there" in sentence


async def test_a_page_instead_of_an_answer_is_told() -> None:
    page = reply(body=b"<html>Welcome</html>", content_type="text/html")
    async with raw_server(lambda _: page) as server:
        sentence = await unwell(settings(f"http://127.0.0.1:{server.port}/v1"))
    assert "an answer that cannot be read. Check that OPENAI_BASE_URL is the address of an OpenAI-comp" in sentence


async def test_an_address_without_the_path_of_the_api_is_told(server: FakeOpenAI) -> None:
    sentence = await unwell(settings(server.base_url.removesuffix("/v1")))
    assert "does not know the model, language or address" in sentence
    assert "OPENAI_BASE_URL" in sentence


async def test_a_password_in_the_address_is_not_shown(server: FakeOpenAI) -> None:
    address = server.base_url.replace("http://", "http://me:hunter2@")
    assert "hunter2" not in await doctor.check_speech_setup(settings(address))
    assert "hunter2" not in await unwell(settings(address))


def test_the_tone_is_one_second_of_sound(tmp_path: Path) -> None:
    doctor.write_tone(tmp_path / "tone.wav")
    with wave.open(str(tmp_path / "tone.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 16_000, 16_000)
        assert len(set(file.readframes(100))) > 20
