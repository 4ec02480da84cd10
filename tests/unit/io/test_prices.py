"""What speech to text costs, by whom it is asked."""

from typing import Any

import pytest

from schemas.settings import Settings
from streams.io.prices import cost_micros


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.mark.parametrize(
    ("base_url", "model", "micros"),
    [
        (None, "whisper-1", 9000),
        ("https://api.openai.com/v1/", "gpt-4o-mini-transcribe", 4500),
        (None, "of-next-year", None),
        ("http://localhost:8000/v1", "whisper-1", 0),
        ("http://127.0.0.1:8000/v1", "anything", 0),
        ("http://192.168.1.5/v1", "anything", 0),
        ("http://speaches:8000/v1", "anything", 0),
        ("http://[::1]:8000/v1", "anything", 0),
        ("https://speech.example.com/v1", "whisper-1", None),
        ("https://8.8.8.8/v1", "whisper-1", None),
    ],
)
def test_ninety_seconds(base_url: str | None, model: str, micros: int | None) -> None:
    given: dict[str, Any] = {"OPENAI_BASE_URL": base_url} if base_url else {}
    assert cost_micros(model, 90, Settings(_env_file=None, **given)) == micros


@pytest.mark.parametrize("base_url", [None, "http://localhost/v1", "https://speech.example.com/v1"])
def test_a_price_in_the_settings_goes_first(base_url: str | None) -> None:
    settings = Settings(_env_file=None, openai_base_url=base_url, speech_prices={"whisper-1": 0.01})
    assert cost_micros("whisper-1", 90, settings) == 15_000
