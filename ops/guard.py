"""Run one command that cannot outlive whoever started it.

    python -m ops.guard [--grace SECONDS] [--signal NAME] [--user NAME] -- COMMAND…

The starter keeps the other end of our standard input. When that pipe closes, even because the starter was killed with
`kill -9`, or when we get SIGTERM or SIGINT, the command's process group is asked to stop with `--signal`, and killed
once the grace is over. If we are killed ourselves, Linux sends the command the same signal; elsewhere the next start
of the same data directory ends what was left (`ops/processes.py`). Our exit code is the command's, or 128 + signal.
Standard library only: this file must start fast and run by its bare path.
"""

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1
GRACE_SECONDS: Final = 10.0


def main(argv: Sequence[str]) -> int:
    """Guard the command in `argv` until it ends or we are told to end it; return its exit code."""
    options = _options(argv)
    wake = _wake_on_signals()
    child = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=options.user,
        group=options.user and group_of(options.user),
        extra_groups=[] if options.user else None,
        preexec_fn=_die_with_guard(options.signal),
    )
    if _told_to_end(child, wake):
        _end(child, options.signal, options.grace)
    _signal_group(child, signal.SIGKILL)  # what the command may have left behind in its group
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ops.guard", description="Run a command that ends with its starter.")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds between the signal and the kill")
    parser.add_argument("--signal", type=lambda name: signal.Signals[f"SIG{name}"], default=signal.SIGTERM)
    parser.add_argument("--user", help="system user to run the command as; only for root")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def group_of(user: str) -> int:
    """The number of `user`'s own group."""
    import pwd

    return pwd.getpwnam(user).pw_gid


def _wake_on_signals() -> int:
    """Return a descriptor that becomes readable when a signal arrives, so that no signal is lost between two checks."""
    wake, write_end = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return wake


def _die_with_guard(number: signal.Signals) -> Callable[[], None] | None:
    """Return the step, run in the new child, that ties its life to ours. It comes after the change of user, which
    would undo it."""
    if not sys.platform.startswith("linux"):
        return None
    libc, guard = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != guard:  # the guard died before the tie was made
            os._exit(1)

    return tie


def _told_to_end(child: subprocess.Popen[bytes], wake: int) -> bool:
    """Wait until the command ends by itself (False), or the pipe closes or a signal tells us to end it (True)."""
    stdin = sys.stdin.fileno()
    while child.poll() is None:
        readable, _, _ = select.select([stdin, wake], [], [])
        if stdin in readable and not os.read(stdin, 4096):
            return True
        if wake in readable and set(os.read(wake, 4096)) & {signal.SIGTERM, signal.SIGINT}:
            return True
    return False


def _end(child: subprocess.Popen[bytes], number: signal.Signals, grace: float) -> None:
    _signal_group(child, number)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):  # gone already; macOS says the second for a group of the dead
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
