"""The supervisor on small real processes: restarts, ends, and nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.supervise import FIRST_DELAY, HEALTHY_SECONDS, MAX_DELAY, Supervisor, child_env, empty_folder, next_delay
from schemas.settings import Settings

pytestmark = pytest.mark.timeout(60)

SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))
print('up', flush=True)
time.sleep(600)
"""


def python(program: str) -> Callable[[str], Sequence[str]]:
    return lambda role: [sys.executable, "-c", program]


def runs(pid: int) -> bool:
    """Not gone and not merely waiting to be reaped by somebody else."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def supervisor(tmp_path: Path, program: str, *, count: int = 1, grace: float = 5) -> tuple[Supervisor, list[str]]:
    lines: list[str] = []
    made = Supervisor(
        {"worker": count},
        {"PATH": os.environ["PATH"], "CALLSTREAM_DATA_DIR": str(tmp_path)},
        tmp_path / "logs",
        command=python(program),
        show=lines.append,
        grace=grace,
    )
    return made, lines


async def until(probe: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


async def test_what_is_killed_starts_again_and_stop_ends_it(tmp_path: Path) -> None:
    sut, lines = supervisor(tmp_path, SLEEPS, count=2)
    await sut.start()
    try:
        await until(lambda: len(sut.pids("worker")) == 2 and sum("| up" in line for line in lines) == 2, "both")
        first, other = sut.pids("worker")
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(sut.pids("worker")) == 2 and first not in sut.pids("worker"), "a new one")
        assert other in sut.pids("worker")
        assert sut.starts()["worker"] == 3
        assert any(line.startswith("worker-1 was ended by signal 9; starting it again in 0.5 s.") for line in lines)
    finally:
        await sut.stop()
    assert sut.pids("worker") == []
    assert not runs(other)


async def test_kill_ends_every_process_of_the_role_and_they_start_again(tmp_path: Path) -> None:
    sut, _ = supervisor(tmp_path, SLEEPS, count=2)
    await sut.start()
    try:
        await until(lambda: len(sut.pids("worker")) == 2, "both")
        before, started = sut.pids("worker"), sut.started_at("worker")
        assert sorted(sut.kill("worker")) == sorted(before)
        await until(lambda: len(sut.pids("worker")) == 2 and not set(before) & set(sut.pids("worker")), "new ones")
        again = sut.started_at("worker")
        assert started is not None
        assert again is not None
        assert again > started
    finally:
        await sut.stop()


async def test_one_whose_guard_is_killed_is_gone_before_the_next_one_starts(tmp_path: Path) -> None:
    sut, lines = supervisor(tmp_path, STUBBORN, grace=1)
    await sut.start()
    try:
        await until(lambda: any("| up" in line for line in lines) and sut.pids("worker") != [], "the process")
        (first,) = sut.pids("worker")
        guard = psutil.Process(first).ppid()
        os.kill(guard, signal.SIGKILL)
        await until(lambda: sut.starts()["worker"] == 2 and sut.pids("worker") != [], "the next one")
        assert not runs(first)
    finally:
        await sut.stop()


async def test_stop_asks_first(tmp_path: Path) -> None:
    sut, lines = supervisor(tmp_path, POLITE)
    await sut.start()
    await until(lambda: any("| up" in line for line in lines), "the process")
    await sut.stop()
    assert lines[-1].endswith("| bye")
    assert (tmp_path / "logs" / "worker-1.log").read_text() == "up\nbye\n"


async def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    sut, lines = supervisor(tmp_path, STUBBORN, grace=0.5)
    await sut.start()
    await until(lambda: any("| up" in line for line in lines), "the process")
    (pid,) = sut.pids("worker")
    await sut.stop()
    assert not runs(pid)


async def test_stop_while_waiting_for_the_next_start_does_not_wait(tmp_path: Path) -> None:
    sut, lines = supervisor(tmp_path, "import sys; sys.exit(3)")
    await sut.start()
    await until(lambda: sum("exit code 3" in line for line in lines) >= 3, "three ends")
    assert [line.split(" in ")[1].split(". ")[0] for line in lines[:3]] == ["0.5 s", "1 s", "2 s"]
    began = time.monotonic()
    await sut.stop()
    assert time.monotonic() - began < 1.5


async def test_it_can_be_stopped_before_it_runs_and_started_twice(tmp_path: Path) -> None:
    sut, _ = supervisor(tmp_path, SLEEPS)
    await sut.stop()
    await sut.start()
    await sut.start("worker")
    await sut.stop("worker")
    assert sut.pids("worker") == []
    await sut.start("worker")
    await until(lambda: sut.pids("worker") != [], "the process after a pause")
    await sut.stop()


async def test_long_lines_and_odd_bytes_are_passed_on(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.stdout.buffer.write(b'x' * 200_000 + b'\\n\\xff\\n'); sys.stdout.flush(); time.sleep(60)"
    )
    sut, lines = supervisor(tmp_path, program)
    await sut.start()
    try:
        await until(lambda: any(line.endswith("| �") for line in lines), "the last line")
    finally:
        await sut.stop()
    assert sum(line.count("x") for line in lines) == 200_000


async def test_each_process_has_a_name_and_a_folder_of_its_own(tmp_path: Path) -> None:
    program = "import os, time; print(os.environ['CALLSTREAM_WORKER_DIR'], flush=True); time.sleep(60)"
    lines: list[str] = []
    sut = Supervisor(
        {"dedup": 2}, {"CALLSTREAM_DATA_DIR": "/data"}, tmp_path, command=python(program), show=lines.append, host="box"
    )
    await sut.start()
    try:
        await until(lambda: len(lines) == 2, "both")
    finally:
        await sut.stop()
    assert sorted(lines[:2]) == [f"dedup-box-{n}  | /data/workers/dedup-box-{n}" for n in (1, 2)]


PARENT = f"""
import asyncio, sys
from pathlib import Path
from ops.supervise import Supervisor
async def main():
    command = [sys.executable, "-c", {STUBBORN!r}]
    sut = Supervisor({{"worker": 2}}, {{}}, Path(sys.argv[1]), command=lambda role: command, grace=1)
    await sut.start()
    while len(sut.pids("worker")) < 2:
        await asyncio.sleep(0.02)
    print("pids", *sut.pids("worker"), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_after_kill_9_of_the_parent_nothing_is_left(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pids: list[int] = []
        while not pids:
            words = parent.stdout.readline().split()
            pids = [int(word) for word in words[1:]] if words and words[0] == "pids" else []
        family = [psutil.Process(pid) for pid in pids]
        guards = [psutil.Process(process.ppid()) for process in family]
        parent.kill()
    psutil.wait_procs([*family, *guards], timeout=15)
    assert [process for process in (*family, *guards) if runs(process.pid)] == []


@given(st.lists(st.floats(0, 300), max_size=20))
def test_the_delay_grows_is_bounded_and_is_short_again_after_a_healthy_minute(lives: list[float]) -> None:
    delay = 0.0
    for lived in lives:
        before, delay = delay, next_delay(delay, lived)
        assert FIRST_DELAY <= delay <= MAX_DELAY
        if before == 0 or lived >= HEALTHY_SECONDS:
            assert delay == FIRST_DELAY
        else:
            assert delay == min(MAX_DELAY, before * 2)


def test_the_roles_get_the_addresses_and_not_the_owners_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALLSTREAM_DATABASE_OWNER_URL", "postgresql://owner:x@h/d")
    settings = Settings(data_dir=tmp_path, kafka="k:1", database_url="postgresql://app:y@h/d", secret_keys="k1:z")
    env = child_env(settings, tmp_path / "metrics")
    assert "CALLSTREAM_DATABASE_OWNER_URL" not in env
    assert env["CALLSTREAM_KAFKA"] == "k:1"
    assert env["CALLSTREAM_DATABASE_URL"] == "postgresql://app:y@h/d"
    assert env["CALLSTREAM_SECRET_KEYS"] == "k1:z"
    assert env["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "metrics")


def test_the_metrics_folder_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    empty_folder(folder)
    (folder / "counter_1.db").write_text("old")
    assert list(empty_folder(folder).iterdir()) == []
