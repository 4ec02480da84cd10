"""Keep the roles of this machine running: start them, restart what ends, stop them in good order.

Each role is a child process under `ops/guard.py`, so it ends with us even when we are killed with `kill -9`. What it
prints goes to our standard output with its name in front, and to DATA_DIR/logs/<name>.log.
"""

import asyncio
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import psutil

from ops import guard
from schemas.settings import Settings

FIRST_DELAY: Final = 0.5
MAX_DELAY: Final = 30.0
HEALTHY_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 20.0
LOG_BYTES: Final = 10_000_000
LOG_FILES: Final = 3
MAX_LINE: Final = 64 * 1024
OWNER_ONLY: Final = ("CALLSTREAM_DATABASE_OWNER_URL",)  # no role needs the owner's login

WORKERS: Final = ("pipeline", "dedup", "transcribe", "pull", "audit")
ROLES: Final = ("api", *WORKERS)

Command = Callable[[str], Sequence[str]]
Show = Callable[[str], None]


def command_of(role: str) -> Sequence[str]:
    """The command that runs one process of `role`."""
    if role == "api":
        return [sys.executable, "-m", "ops.cli", "api"]
    if role == "audit":
        return [sys.executable, "-m", "streams.audit"]
    return [sys.executable, "-m", "streams.app", role]


def child_env(settings: Settings, metrics: Path) -> dict[str, str]:
    """The environment of every role: ours, the addresses that were found, and where to count."""
    env = {name: value for name, value in os.environ.items() if name not in OWNER_ONLY}
    env |= {
        "CALLSTREAM_DATA_DIR": str(settings.data_dir.absolute()),
        "CALLSTREAM_HOST": settings.host,
        "CALLSTREAM_PORT": str(settings.port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics.absolute()),
        "PYTHONUNBUFFERED": "1",
    }
    if settings.kafka:
        env["CALLSTREAM_KAFKA"] = settings.kafka
    if settings.database_url:
        env["CALLSTREAM_DATABASE_URL"] = settings.database_url.get_secret_value()
    if settings.secret_keys:
        env["CALLSTREAM_SECRET_KEYS"] = settings.secret_keys.get_secret_value()
    if sys.stdout.isatty():
        env["CALLSTREAM_LOG_PRETTY"] = "1"
    return env


def empty_folder(folder: Path) -> Path:
    """Make `folder` exist and be empty: counts of processes that are gone must not be counted again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def next_delay(before: float, ran_for: float) -> float:
    """Seconds to wait before the next start: longer each time, short again after a healthy minute. 0: never failed."""
    if before == 0 or ran_for >= HEALTHY_SECONDS:
        return FIRST_DELAY
    return min(before * 2, MAX_DELAY)


def show_on_stdout(line: str) -> None:
    """Print a line. When nobody reads our output any more, go on without printing."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


class Supervisor:
    """The processes of each role. `roles` says how many of each, for example `{"pipeline": 2, "dedup": 1}`."""

    def __init__(
        self,
        roles: Mapping[str, int],
        env: Mapping[str, str],
        logs: Path,
        *,
        metrics: Path | None = None,
        command: Command = command_of,
        show: Show = show_on_stdout,
        grace: float = GRACE_SECONDS,
        host: str = "",
    ) -> None:
        """`host` tells the workers of several machines apart, whose names meet in the database."""
        logs.mkdir(parents=True, exist_ok=True)
        self._children = [
            _Child(role, f"{role}{host and f'-{host}'}-{number}", env, logs, metrics, command, show, grace)
            for role, count in roles.items()
            for number in range(1, count + 1)
        ]
        self.roles = tuple(roles)

    async def start(self, *roles: str) -> None:
        """Start the processes of these roles, or all, and keep them running until `stop`. Returns at once."""
        for child in self._of(roles):
            child.start()

    async def stop(self, *roles: str) -> None:
        """Stop these roles, or all: SIGTERM, and SIGKILL once the grace is over, side by side."""
        await asyncio.gather(*(child.stop() for child in self._of(roles)))

    def kill(self, *roles: str) -> list[int]:
        """Kill the processes of these roles, or all, with `kill -9`; whatever is not stopped starts again."""
        return [pid for child in self._of(roles) if (pid := child.kill()) is not None]

    def pids(self, role: str) -> list[int]:
        """The process ids of `role` that run now. Their guards are not among them."""
        return [pid for child in self._of([role]) if (pid := child.pid) is not None]

    def started_at(self, role: str) -> float | None:
        """When the youngest process of `role` was started, on the monotonic clock. None: none has been yet."""
        times = [child.started_at for child in self._of([role]) if child.started_at is not None]
        return max(times, default=None)

    def starts(self) -> Counter[str]:
        """How often a process of each role was started."""
        counts: Counter[str] = Counter()
        for child in self._children:
            counts[child.role] += child.starts
        return counts

    def _of(self, roles: Sequence[str]) -> list["_Child"]:
        return [child for child in self._children if not roles or child.role in roles]


class _Child:
    """One process of a role and the task that keeps it running."""

    def __init__(
        self,
        role: str,
        name: str,
        env: Mapping[str, str],
        logs: Path,
        metrics: Path | None,
        command: Command,
        show: Show,
        grace: float,
    ) -> None:
        self.role = role
        self.name = name
        self.starts = 0
        self.started_at: float | None = None
        folder = Path(env.get("CALLSTREAM_DATA_DIR", ".")) / "workers" / name
        self._env = {**env, "CALLSTREAM_WORKER_NAME": name, "CALLSTREAM_WORKER_DIR": str(folder)}
        self._log = logs / f"{self.name}.log"
        self._metrics = metrics
        self._command = command
        self._show = show
        self._grace = grace
        self._guard: asyncio.subprocess.Process | None = None
        self._process: psutil.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id of the role itself, while it runs."""
        process = self._process
        return process.pid if process is not None and _runs(process) else None

    def start(self) -> None:
        if self._task is not None:
            return
        self._stopping.clear()
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    def kill(self) -> int | None:
        """`kill -9` the role's process, if there is one. Its guard ends with it."""
        process = self._process
        if process is None:
            return None
        with suppress(psutil.Error):
            process.kill()
            return process.pid
        return None

    async def stop(self) -> None:
        if self._task is None:
            return
        self._stopping.set()
        self._ask_to_end()
        try:
            await asyncio.wait_for(asyncio.shield(self._task), self._grace + 5)
        except TimeoutError:  # the guard itself hangs
            self.kill()
            if self._guard is not None and self._guard.returncode is None:
                self._guard.kill()
            await self._task
        self._task = None

    def _ask_to_end(self) -> None:
        if self._guard is not None and self._guard.returncode is None:
            with suppress(ProcessLookupError):
                self._guard.terminate()

    async def _keep_running(self) -> None:
        delay = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                ended = await self._run_once()
            except OSError as error:  # no memory, no processes left
                ended = f"could not be started: {error}"
            if self._stopping.is_set():
                return
            delay = next_delay(delay, time.monotonic() - began)
            self._show(f"{self.name} {ended}; starting it again in {delay:g} s. Its log: {self._log}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run_once(self) -> str:
        """Run the process until it ends, and say how it ended."""
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", guard.__file__, "--grace", str(self._grace), "--", *self._command(self.role),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=self._env, start_new_session=True,
        )  # fmt: skip
        self.starts += 1
        self.started_at = time.monotonic()
        if self._stopping.is_set():
            self._ask_to_end()
        find = asyncio.create_task(self._find_process(self._guard))
        copy = asyncio.create_task(self._copy_output(self._guard))
        code = await _ended(self._guard)
        find.cancel()
        await self._bury()
        with suppress(TimeoutError):  # somebody may have inherited the pipe
            await asyncio.wait_for(copy, 2)
        return f"ended with exit code {code}" if code < 128 else f"was ended by signal {code - 128}"

    async def _find_process(self, its_guard: asyncio.subprocess.Process) -> None:
        while its_guard.returncode is None:
            with suppress(psutil.Error):
                if children := psutil.Process(its_guard.pid).children():
                    self._process = children[0]
                    return
            await asyncio.sleep(0.02)

    async def _bury(self) -> None:
        """Make sure the process is gone, which it is not when its guard was killed, before another takes its folder."""
        process, self._process = self._process, None
        if process is None:
            return
        deadline = time.monotonic() + self._grace
        while _runs(process):
            if time.monotonic() > deadline:
                with suppress(psutil.Error):
                    process.kill()
            await asyncio.sleep(0.05)
        if self._metrics is not None:
            from prometheus_client.multiprocess import mark_process_dead

            mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call]

    async def _copy_output(self, its_guard: asyncio.subprocess.Process) -> None:
        output = its_guard.stdout
        if output is None:
            return
        file = RotatingFileHandler(self._log, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8")
        rest = b""
        try:
            while chunk := await output.read(MAX_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE:
                    lines.append(rest)
                    rest = b""
                for line in lines:
                    self._pass_on(line, file)
            if rest:
                self._pass_on(rest, file)
        finally:
            file.close()

    def _pass_on(self, line: bytes, file: RotatingFileHandler) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        file.emit(logging.makeLogRecord({"msg": text}))
        self._show(f"{self.name:<12} | {text}")


async def _ended(its_guard: asyncio.subprocess.Process) -> int:
    """The exit code, as soon as there is one. `wait()` would also wait for everybody who inherited the output."""
    while True:
        if its_guard.returncode is not None:
            return its_guard.returncode
        await asyncio.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
