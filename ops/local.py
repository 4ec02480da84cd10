"""Everything callstream needs on one machine: Kafka and PostgreSQL, embedded, in one data directory.

    python -m ops.local DATA_DIR

starts both, prints one line of JSON with their addresses, and stops them when its standard input closes or it is told
to end. However their owner dies, the servers die with it; the next start finds all data.
"""

import argparse
import fcntl
import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ops.jars import JarRefused
from ops.kafka_server import Kafka, start_kafka
from ops.postgres_server import Postgres, start_postgres
from ops.processes import ServerFailed
from ops.system_user import NoSystemUser


class DataDirBusy(Exception):
    """Another process owns the data directory; the message says which, and what to do."""


@dataclass(frozen=True)
class Local:
    """Both servers of one data directory, and the lock that makes them ours."""

    kafka: Kafka
    postgres: Postgres
    lock: IO[str]

    def stop(self) -> None:
        """Stop both cleanly, then let the data directory go."""
        for step in (self.kafka.stop, self.postgres.stop, self.lock.close):
            step()


def lock_data_dir(path: Path, port: int | None = None) -> IO[str]:
    """Make this process the owner of the data directory until the returned file is closed or the process ends, however
    it ends. Creates the directory. Raises `DataDirBusy` with the owner's process id and `port` if it has one."""
    path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)  # see ops/system_user.py
    lock = (path / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = re.sub(r"(\d+)(?: (\d+))?\n?", _as_words, lock.read()) or "another process"
        lock.close()
        raise DataDirBusy(
            f"The data directory {path} is in use by {owner}. "
            "Stop it, or set CALLSTREAM_DATA_DIR and CALLSTREAM_PORT to other values to run a second instance."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}{f' {port}' if port else ''}\n")
    lock.flush()
    return lock


def _as_words(owner: re.Match[str]) -> str:
    return f"process {owner[1]}" + (f", which listens on port {owner[2]}" if owner[2] else "")


def start_local(data_dir: Path, *, throwaway: bool = False, port: int | None = None) -> Local:
    """Own the data directory and start both servers side by side; if one fails, the other is stopped and its fault
    raised: `DataDirBusy`, `ServerFailed`, `JarRefused` or `NoSystemUser`, each with a message for a person."""
    lock = lock_data_dir(data_dir, port)
    with ThreadPoolExecutor(2) as pool:
        postgres = pool.submit(start_postgres, data_dir, throwaway=throwaway)
        kafka = pool.submit(start_kafka, data_dir, throwaway=throwaway)
    try:
        return Local(kafka.result(), postgres.result(), lock)
    except BaseException:
        for started in (kafka, postgres):
            if not started.exception():
                started.result().stop()
        lock.close()
        raise


@contextmanager
def running(data_dir: Path, *, throwaway: bool = False, port: int | None = None) -> Iterator[Local]:
    """`start_local` for the length of a `with` block."""
    local = start_local(data_dir, throwaway=throwaway, port=port)
    try:
        yield local
    finally:
        local.stop()


def main(argv: list[str]) -> int:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(prog="ops.local", description="Run the embedded Kafka and PostgreSQL.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--throwaway", action="store_true", help="start sooner, and do not survive a loss of power")
    options = parser.parse_args(argv)
    told = _when_told_to_end()
    try:
        with running(options.data_dir, throwaway=options.throwaway) as local:
            addresses = {
                "kafka": local.kafka.bootstrap,
                "database_url": local.postgres.app_url,
                "database_owner_url": local.postgres.owner_url,
            }
            sys.stdout.write(json.dumps(addresses) + "\n")
            sys.stdout.flush()
            told()
    except (DataDirBusy, JarRefused, NoSystemUser, ServerFailed) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _when_told_to_end() -> Callable[[], None]:
    """Return a function that waits for the end of standard input, SIGTERM or SIGINT; one that comes earlier counts."""
    wake, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        stdin = sys.stdin.fileno()
        while True:
            readable, _, _ = select.select([stdin, wake], [], [])
            if wake in readable or not os.read(stdin, 4096):
                return

    return wait


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))
