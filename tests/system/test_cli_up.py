"""`callstream up` as a person meets it: started, used, killed in parts and as a whole, stopped, started again."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from ops import cli
from schemas.settings import INSTANCE_FILE
from tests.stack import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

VTT = """WEBVTT

00:00:01.000 --> 00:00:04.000
<v Ada>This call is kept over a restart.

00:00:05.000 --> 00:00:08.000
<v Bob>And it is stored once.
"""


class Instance:
    """A folder with a `callstream up` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = free_port()
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        root = str(Path(cli.__file__).parents[1])
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CALLSTREAM_", "OPENAI_"))}
        self.env = clean | {
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
            "CALLSTREAM_DATA_DIR": str(self.data_dir),
            "CALLSTREAM_PORT": str(self.port),
            "CALLSTREAM_PARTITIONS": "2",
            "CALLSTREAM_SESSION_TIMEOUT_SECONDS": "6",
        }

    def up(self) -> None:
        """Start, and return once it says where it is."""
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "up"],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        until(lambda: self.said("Stop ") or self.ended(), "the welcome", 150)
        assert not self.ended(), self.output()
        assert not self.said("Not ready yet"), self.output()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:  # ends when everybody who writes to it has
            for line in output:
                self.lines.append(line.rstrip("\n"))

    def said(self, start: str) -> bool:
        return any(line.startswith(start) for line in self.lines)

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def output(self) -> str:
        return "\n".join(self.lines)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "ops.cli", *arguments],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def instance(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / INSTANCE_FILE).read_text())
        return found

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def role(self, words: str) -> psutil.Process | None:
        """The process that runs this command line, not its guard."""
        for process in self.family():
            with suppress(psutil.Error):
                command = process.cmdline()
                if "guard.py" not in " ".join(command) and words in " ".join(command):
                    return process
        return None

    def recordings(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.instance()["database_owner_url"]) as connection:
            return connection.execute("SELECT title, full_transcript FROM recordings ORDER BY title").fetchall()

    def interrupt(self) -> list[psutil.Process]:
        """Ctrl-C; the processes that were its family."""
        assert self.process is not None
        family = self.family()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(90) == 0, self.output()
        return family

    def end(self) -> None:
        """Whatever happened, leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            family = self.family()
            self.process.kill()
            psutil.wait_procs(family, timeout=40)
        if self.process is not None:
            self.process.wait()


def until(probe: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return found


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    left = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


@pytest.fixture
def instance() -> Iterator[Instance]:
    """An empty folder, not pytest's, which PostgreSQL's user could not enter."""
    with tempfile.TemporaryDirectory(prefix="callstream-tests-", ignore_cleanup_errors=True) as folder:
        made = Instance(Path(folder))
        try:
            yield made
        finally:
            made.end()


def generic(external_id: str, words: str = "hello") -> dict[str, Any]:
    return {
        "external_id": external_id,
        "title": external_id,
        "recording_start_time": "2025-01-02T03:04:05Z",
        "full_transcript": words,
    }


def test_from_the_first_start_to_the_second(instance: Instance) -> None:
    instance.up()
    first_key = instance.instance()["secret_keys"]
    assert re.search(r"Sign in +http://127\.0\.0\.1:\d+/sign-in\?token=\S+", instance.output())
    assert (instance.data_dir / INSTANCE_FILE).stat().st_mode & 0o777 == 0o600

    # A second one on the same folder says so.
    second = instance.call("up")
    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    assert "CALLSTREAM_DATA_DIR" in second.stderr

    # A file comes in, and is known the second time.
    (instance.folder / "standup.vtt").write_text(VTT)
    done = instance.call("import", "standup.vtt")
    assert (done.returncode, done.stdout) == (0, "1 imported, 0 updated, 0 duplicates, 0 failed\n"), done.stderr
    again = json.loads(instance.call("import", "standup.vtt", "--json").stdout)
    assert (again["imported"], again["duplicates"], again["failed"]) == (0, 1, 0)
    assert len(instance.recordings()) == 1

    check_lines(instance)
    check_keys(instance)

    # A role and a server that are killed come back.
    dedup = until(lambda: instance.role("streams.app dedup"), "dedup")
    dedup.kill()
    until(lambda: (found := instance.role("streams.app dedup")) and found.pid != dedup.pid, "another dedup")
    postgres = until(lambda: instance.role("bin/postgres -D"), "PostgreSQL")
    postgres.kill()
    until(lambda: instance.said("PostgreSQL has ended; starting it again"), "the restart")
    (instance.folder / "late.jsonl").write_text(json.dumps(generic("late")) + "\n")

    def late() -> bool:
        done = instance.call("import", "late.jsonl", "--json")
        return done.returncode == 0 and json.loads(done.stdout)["failed"] == 0

    until(late, "an import after the restarts", 90)
    stored = instance.recordings()
    assert sorted(title for title, _ in stored).count("late") == 1

    # Ctrl-C ends everything, and nothing is lost.
    family = instance.interrupt()
    assert running(family) == []
    assert not (instance.data_dir / INSTANCE_FILE).exists()
    assert "Stopped." in instance.lines[-1]
    instance.up()
    assert instance.recordings() == stored
    assert instance.instance()["secret_keys"] == first_key
    assert json.loads(instance.call("import", "standup.vtt", "--json").stdout)["duplicates"] == 1

    # kill -9 of the parent takes everybody along, and the next start heals.
    family = instance.family()
    assert instance.process is not None
    instance.process.kill()
    instance.process.wait()
    until(lambda: not running(family), "everybody to go", 60)
    assert "ended without tidying up" in instance.call("doctor").stdout
    instance.up()
    assert instance.recordings() == stored


def check_lines(instance: Instance) -> None:
    """JSON Lines: the good ones come in, each bad one is told with its number and reason and can be seen."""
    lines = [
        json.dumps(generic("one")).encode(),
        b"this is no JSON",
        b"",
        json.dumps(generic("two")).encode(),
        json.dumps(generic("one")).encode(),
        b'{"external_id": "three", "title": "\xff"}',
        b'{"external_id": "four", "title": "' + b"x" * (5 * 1024**2) + b'"}',
    ]
    (instance.folder / "calls.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    done = instance.call("import", "calls.jsonl.gz")
    assert done.returncode == 1, done.stderr
    summary, *failures = done.stdout.splitlines()
    assert summary == "2 imported, 0 updated, 1 duplicates, 3 failed"
    assert [title for title, _ in instance.recordings() if title in ("one", "two")] == ["one", "two"]
    assert [failure.split(":")[0].strip() for failure in failures] == [
        "calls.jsonl.gz, line 2", "calls.jsonl.gz, line 6", "calls.jsonl.gz, line 7",
    ]  # fmt: skip
    assert "not valid JSON" in failures[0]
    assert "UTF-8" in failures[1]
    assert "longer than 5 MB" in failures[2]
    failed = json.loads(instance.call("failed", "--json").stdout)["items"]
    assert {each["reason"] for each in failed} == {"payload_not_json", "line_not_utf8", "line_too_long"}
    groups = json.loads(instance.call("failed", "list", "--group", "--json").stdout)["items"]
    assert sum(group["count"] for group in groups) == 3
    like = next(each["fingerprint"] for each in failed if each["reason"] == "payload_not_json")
    dry = json.loads(instance.call("failed", "retry", "--all-like", like, "--dry-run", "--json").stdout)
    assert (dry["retry_count"], dry["dry_run"]) == (1, True)
    assert json.loads(instance.call("failed", "retry", "--all-like", like, "--json").stdout)["retry_count"] == 1
    gone = next(each["id"] for each in failed if each["reason"] == "line_too_long")
    assert instance.call("failed", "discard", gone).returncode == 0
    assert instance.call("failed", "discard", gone).returncode == 1
    jobs = json.loads(instance.call("jobs", "--json").stdout)["items"]
    assert (jobs[0]["total_calls"], jobs[0]["imported_calls"] + jobs[0]["skipped_calls"]) == (5, 2)


def check_keys(instance: Instance) -> None:
    """Keys are printed alone, listed without the secret, and revoked."""
    key = instance.call("keys", "create", "--name", "laptop").stdout
    assert re.fullmatch(r"csk_[\w-]+\n", key)
    listed = json.loads(instance.call("keys", "list", "--json").stdout)["items"]
    assert [each["name"] for each in listed] == ["laptop"]
    assert key.strip() not in json.dumps(listed)
    assert instance.call("keys", "revoke", listed[0]["id"]).returncode == 0
    assert instance.call("keys", "revoke", listed[0]["id"]).returncode == 1
    endpoint = json.loads(instance.call("webhooks", "create", "--platform", "generic").stdout)
    assert endpoint["secret"].startswith("whsec_")
    assert "/webhooks/generic/" in endpoint["url"]
    assert instance.call("webhooks", "create", "--platform", "nobody").returncode == 1
    link = instance.call("sign-in").stdout
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/sign-in\?token=[\w-]+\n", link)
    assert "0 secrets" in instance.call("keys", "rotate-secrets").stdout
