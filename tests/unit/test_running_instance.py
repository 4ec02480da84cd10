"""Commands in a folder where callstream runs find it without being told where it is."""

import json
from pathlib import Path

import pytest

from schemas.settings import INSTANCE_FILE, load_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory in which an instance listens on port 8470."""
    for name in ("CALLSTREAM_PORT", "CALLSTREAM_HOST", "CALLSTREAM_KAFKA", "CALLSTREAM_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CALLSTREAM_DATA_DIR", str(tmp_path))
    known = {"kafka": "127.0.0.1:9", "database_url": "postgresql://x@127.0.0.1/x", "host": "127.0.0.1", "port": 8470}
    (tmp_path / INSTANCE_FILE).write_text(json.dumps(known))
    return tmp_path


def test_a_command_knows_the_address_of_the_running_instance(folder: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.kafka) == ("127.0.0.1", 8470, "127.0.0.1:9")


def test_what_is_set_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSTREAM_PORT", "9000")
    assert load_settings().port == 9000
