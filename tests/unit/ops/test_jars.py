"""The lock of Kafka's jars."""

import hashlib
import re
from pathlib import Path

import pytest

from ops import jars


def test_the_lock_names_each_jar_once_and_no_address() -> None:
    locked = list(jars.read_lock(jars.LOCK.read_text()))
    names = [coordinate.rpartition(":")[0] for coordinate, _ in locked]
    assert len(set(names)) == len(names) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for _, digest in locked)
    assert "//" not in jars.LOCK.read_text()


def test_every_part_of_kafka_has_the_one_version() -> None:
    locked = [coordinate for coordinate, _ in jars.read_lock(jars.LOCK.read_text())]
    versions = {coordinate.split(":")[2] for coordinate in locked if coordinate.startswith("org.apache.kafka:")}
    assert versions == {jars.KAFKA_VERSION}


def test_the_class_path_is_what_the_lock_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = fill(tmp_path, monkeypatch, b"a jar")
    assert jars.class_path() == str(tmp_path / "org" / "example" / "tool" / "1.0" / "tool-1.0.jar")
    assert lock.exists()


def test_a_changed_jar_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, monkeypatch, b"a jar")
    jar = jars.jar_path(tmp_path, "org.example:tool:1.0")
    jar.write_bytes(b"another jar")
    with pytest.raises(jars.JarRefused, match=f"{re.escape(str(jar))} is not the jar .* Delete the file"):
        jars.class_path()


def test_the_command_says_a_refusal_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, monkeypatch, b"a jar")
    jars.jar_path(tmp_path, "org.example:tool:1.0").write_bytes(b"another jar")
    assert jars.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def fill(repository: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """A repository with one jar, and a lock that names it."""
    jar = jars.jar_path(repository, "org.example:tool:1.0")
    jar.parent.mkdir(parents=True)
    jar.write_bytes(content)
    lock = repository / "lock"
    lock.write_text(f"# a comment\n{hashlib.sha256(content).hexdigest()}  org.example:tool:1.0\n")
    monkeypatch.setenv("M2_REPO", str(repository))
    monkeypatch.setattr(jars, "LOCK", lock)
    return lock
