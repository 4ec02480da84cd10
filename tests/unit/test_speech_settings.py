"""Settings of speech to text that are given as JSON, and what is said about wrong ones."""

import pytest
from pydantic import ValidationError

from ops.cli import sentence_of
from schemas.settings import Settings, SpeechChoice


def test_model_and_language_by_source_and_prices_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSTREAM_SPEECH_BY_SOURCE", '{"zoom": {"language": "de"}, "upload": {"model": "m"}}')
    monkeypatch.setenv("CALLSTREAM_SPEECH_PRICES", '{"m": 0.01}')
    settings = Settings(_env_file=None)
    assert settings.speech_by_source == {"zoom": SpeechChoice(language="de"), "upload": SpeechChoice(model="m")}
    assert settings.speech_prices == {"m": 0.01}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("CALLSTREAM_SPEECH_BY_SOURCE", "zoom=de", "it is no JSON"),
        ("CALLSTREAM_SPEECH_BY_SOURCE", "[]", "dictionary"),
        ("CALLSTREAM_SPEECH_BY_SOURCE", '{"zoom": {"modle": "m"}}', "zoom: modle"),
        ("CALLSTREAM_SPEECH_BY_SOURCE", '{"zoom": {"language": "German"}}', "zoom: language"),
        ("CALLSTREAM_SPEECH_PRICES", '{"m": "free"}', "m: "),
        ("CALLSTREAM_SPEECH_PRICES", '{"m": -1}', "m: "),
        ("CALLSTREAM_SPEECH_PRICES", '{"m": NaN}', "m: "),
    ],
)
def test_a_wrong_one_is_named_with_how_to_write_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, found: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None)
    sentence = sentence_of(caught.value) or ""
    assert sentence.startswith(f'The setting {name} cannot be used: write it in one line as {{"')
    assert found in sentence
