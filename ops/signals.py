"""Ctrl-C in commands that work for a while."""

import asyncio
import os
import signal
from typing import Final

INTERRUPTED: Final = 130
"""Exit code of a command that was stopped so."""


def stop_on_signal(stop: asyncio.Event) -> None:
    """The first Ctrl-C or SIGTERM sets `stop`, the second ends the process at once."""

    def on_signal() -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
