"""Start, watch and stop one embedded server, whatever happened to the last one."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from ops import guard

HOST: Final = "127.0.0.1"
# Below every system's range for outgoing connections: a client that retries a port of that range on this machine can
# connect to itself and so keep the restarting server from its own port.
PORTS: Final = range(15_000, 32_000)
START_SECONDS: Final = 120.0  # a busy machine takes long
POLL_SECONDS: Final = 0.05
LOG_BYTES: Final = 10_000_000
PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH")  # and so none of our own secrets


class ServerFailed(Exception):
    """An embedded server did not start; the message is meant for a person and ends with what its log says."""


@dataclass
class Server:
    """One server program under a guard. `start` returns when it answers; `stop` when it and its children are gone."""

    name: str
    command: list[str]
    folder: Path  # its working directory, by which a leftover of an earlier run is recognised
    log: Path  # what it logs itself
    out: Path  # what it prints; may be the same file
    port: int
    ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 15.0
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    lock_file: Path | None = None  # written by the program; in the way of the next start when it was killed
    process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """True while the guard, and so the program, runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id of the program itself, not of its guard."""
        if self.process is None or not self.alive:
            return None
        return next((child.pid for child in psutil.Process(self.process.pid).children()), None)

    def start(self) -> None:
        """Start on the known port and wait until the server answers; raises `ServerFailed`. No-op while it runs."""
        if self.alive:
            return
        self.stop()
        self.end_leftovers()
        deadline = time.monotonic() + START_SECONDS
        while not is_free(self.port):
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} cannot start: port {self.port} is held by another program.")
            time.sleep(POLL_SECONDS)
        self.process = self._spawn()
        while not self.ready():
            if not self.alive or time.monotonic() > deadline:
                why = f"took longer than {START_SECONDS:.0f} seconds" if self.alive else "ended"
                self.stop()
                said = "\n".join(f"The end of {log}:\n{tail(log)}" for log in dict.fromkeys((self.log, self.out)))
                raise ServerFailed(f"{self.name} {why} while starting. {said}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server cleanly, or by force after the grace. Harmless when it does not run."""
        if self.process is None:
            return
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(self.grace + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.end_leftovers()  # there are none, unless the guard itself was killed

    def end_leftovers(self) -> None:
        """End what an earlier owner of this data directory may have left running when it was killed, and only then
        remove its lock file: the program itself cannot tell a dead process that nobody buried from a living one."""
        end_leftovers(self.folder, Path(self.command[0]).name, self.stop_signal)
        if self.lock_file:
            self.lock_file.unlink(missing_ok=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        keep_small(self.out)
        options = ["--grace", str(self.grace), "--signal", self.stop_signal.name.removeprefix("SIG")]
        if self.user:
            options += ["--user", self.user]
        with self.out.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *options, "--", *self.command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=server_env(self.env),
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop the servers last
            )


def server_env(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server: what it needs from ours, and `extra`."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(extra)


def end_leftovers(folder: Path, program: str, stop_signal: signal.Signals, patience: float = 15.0) -> None:
    """End what still runs of `program` in `folder`. The caller owns the data directory, so it can only be a leftover
    of an owner that was killed."""
    left = _running_in(folder, program)
    pids = {process.pid for process in left}
    for process in left:
        if _parent_of(process) not in pids:
            _quietly(process, stop_signal)
    _, still = psutil.wait_procs(left, timeout=patience)
    for process in still:
        _quietly(process, signal.SIGKILL)
    psutil.wait_procs(still, timeout=patience)


def _running_in(folder: Path, program: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == program and process.cwd() == str(folder.resolve()):
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return found


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _quietly(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def is_free(port: int) -> bool:
    """True if a server can listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """True if something accepts connections on `port`."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def stable_port(data_dir: Path, name: str) -> int:
    """The port `name` had last time, if it is free; else a new one, which is remembered."""
    memory = data_dir / "ports" / name
    if memory.exists() and is_free(port := int(memory.read_text())):
        return port
    port = next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))
    memory.parent.mkdir(exist_ok=True)
    memory.write_text(f"{port}\n")
    return port


def keep_small(log: Path) -> None:
    """Set a log that has grown large aside as `<name>.1`, in place of the one set aside before."""
    log.parent.mkdir(mode=0o700, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return "(no log was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
