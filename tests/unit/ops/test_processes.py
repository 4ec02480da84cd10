"""Ports, logs and leftovers of the embedded servers."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops import processes
from ops.kafka_server import as_properties, settings
from ops.local import DataDirBusy, lock_data_dir
from ops.postgres_server import is_ready, write_secret
from ops.processes import HOST, PORTS, Server, ServerFailed


def test_a_port_is_kept_while_it_is_free_and_replaced_when_it_is_not(tmp_path: Path) -> None:
    first = processes.stable_port(tmp_path, "kafka")
    assert first in PORTS
    assert processes.stable_port(tmp_path, "kafka") == first
    with socket.create_server((HOST, first)):
        assert not processes.is_free(first)
        assert processes.is_listening(first)
        second = processes.stable_port(tmp_path, "kafka")
    assert second != first
    assert processes.stable_port(tmp_path, "kafka") == second


def test_a_server_never_gets_a_port_of_outgoing_connections() -> None:
    assert PORTS.stop <= 32_768


def test_the_servers_are_not_told_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSTREAM_SECRET_KEYS", "k1:x")
    monkeypatch.setenv("PGPASSWORD", "x")
    assert set(processes.server_env({"LC_ALL": "C"})) <= {*processes.PASSED_ON, "LC_ALL"}


def test_a_large_log_is_set_aside_and_only_its_end_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "logs" / "server.log"
    processes.keep_small(log)
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    assert processes.tail(log, 2) == "line 38\nline 39"
    monkeypatch.setattr(processes, "LOG_BYTES", 10)
    processes.keep_small(log)
    assert not log.exists()
    assert "no log" in processes.tail(log)


def server(folder: Path, script: str) -> Server:
    log = folder / "log"
    command = [sys.executable, "-S", "-c", script]
    return Server("Toy", command, folder, log, log, port=0, ready=lambda: "ready" in processes.tail(log))


def test_a_server_that_dies_while_starting_is_reported_with_its_last_words(tmp_path: Path) -> None:
    toy = server(tmp_path, "print('no disk'); raise SystemExit(1)")
    with pytest.raises(ServerFailed, match=r"(?s)Toy ended while starting.*no disk"):
        toy.start()
    assert not toy.alive
    assert toy.pid is None
    toy.stop()


def test_a_server_starts_once_and_stops_for_good(tmp_path: Path) -> None:
    toy = server(tmp_path, "import time; print('ready', flush=True); time.sleep(600)")
    toy.start()
    pid = toy.pid
    toy.start()
    assert pid
    assert toy.pid == pid
    toy.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_leftover_is_known_by_program_and_folder(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    command = [sys.executable, "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    program = Path(sys.executable).name
    for folder in (here, elsewhere):
        folder.mkdir()
    with (
        subprocess.Popen(command, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left,
        subprocess.Popen(command, cwd=elsewhere, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        for process in (left, other):
            assert process.stdout
            process.stdout.readline()
        processes.end_leftovers(here, "another program", signal.SIGTERM, patience=5)
        assert left.poll() is None
        processes.end_leftovers(here, program, signal.SIGTERM, patience=5)
        assert left.wait(5) is not None
        assert other.poll() is None


def test_a_data_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with lock_data_dir(data_dir, port=8400):
        assert data_dir.stat().st_mode & 0o066 == 0
        with pytest.raises(DataDirBusy, match=rf"process {os.getpid()}, which listens on port 8400\. Stop it, or set"):
            lock_data_dir(data_dir)
    with lock_data_dir(data_dir), pytest.raises(DataDirBusy, match=rf"process {os.getpid()}\. Stop it"):
        lock_data_dir(data_dir)


def test_a_lock_left_by_a_dead_owner_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1 8400\n")
    with lock_data_dir(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_secret_is_ours_alone_to_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for text in ("first", "second"):
        write_secret(path, text)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("status", "ready"), [("ready   ", True), ("starting", False), (None, False)])
def test_postgresql_is_ready_when_its_lock_file_says_so(tmp_path: Path, status: str | None, ready: bool) -> None:
    lines = ["1", str(tmp_path), "0", "5432", "", HOST, "0 0", *([status] if status else [])]
    (tmp_path / "postmaster.pid").write_text("\n".join(lines) + "\n")
    assert is_ready(tmp_path) is ready
    assert not is_ready(tmp_path / "nowhere")


def test_kafkas_settings_hold_no_path() -> None:
    """Java reads the file in an encoding of its own, so a path with an umlaut would be misread; `data` is relative."""
    text = as_properties(settings(15_000, 15_001))
    assert text.isascii()
    assert "log.dirs=data\n" in text
    assert f"listeners=PLAINTEXT://{HOST}:15000,CONTROLLER://{HOST}:15001\n" in text
