"""The guard: what it starts cannot outlive whoever started it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from ops import guard

# Prints that it is up, then waits; says goodbye when asked to end by SIGINT or SIGTERM.
POLITE = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: (print("bye", number, flush=True), sys.exit(7)))
print("up", flush=True)
signal.pause()
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"


def under_guard(script: str, *options: str) -> list[str]:
    return [sys.executable, guard.__file__, *options, "--", sys.executable, "-S", "-c", script]


def started(command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while process.stdout.readline() != "up\n":
        assert process.poll() is None
    return process


@pytest.mark.parametrize(
    ("code", "seen"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_the_exit_code_is_the_commands(code: str, seen: int) -> None:
    with subprocess.Popen(under_guard(code), stdin=subprocess.PIPE) as process:
        assert process.wait() == seen


def test_a_closed_pipe_ends_the_command_with_the_chosen_signal() -> None:
    process = started(under_guard(POLITE, "--signal", "INT"))
    said, _ = process.communicate()
    assert said == "bye 2\n"
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_guard_ends_the_command(number: signal.Signals) -> None:
    with started(under_guard(POLITE)) as process:
        process.send_signal(number)
        assert process.wait() == 7


def test_a_command_that_does_not_listen_is_killed_after_the_grace() -> None:
    process = started(under_guard(STUBBORN, "--grace", "0.05"))
    process.communicate()
    assert process.returncode == 137


def test_the_whole_group_of_the_command_ends() -> None:
    family = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}]); time.sleep(600)"
    )
    process = started(under_guard(family, "--grace", "5"))
    family_members = psutil.Process(process.pid).children(recursive=True)
    assert len(family_members) == 2
    process.communicate()
    assert not psutil.wait_procs(family_members, timeout=5)[1]


@pytest.mark.parametrize("victim", ["the starter", "the guard"])
def test_kill_9_takes_the_command_along(victim: str) -> None:
    if victim == "the guard" and not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a child of its parent's death")
    with started([sys.executable, "-c", PARENT, *under_guard(POLITE)]) as starter:
        guarding, command = psutil.Process(starter.pid).children(recursive=True)
        os.kill(starter.pid if victim == "the starter" else guarding.pid, signal.SIGKILL)
        assert not psutil.wait_procs([guarding, command], timeout=5)[1]
