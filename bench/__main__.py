"""`python -m bench [PART …]`: measure, and write results.json and RESULTS.md. Exit code 1: a part could not finish."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench import history, killing, latency, memory, report, status, throughput, webhooks
from bench.machine import machine
from bench.rounds import Loss, Numbers

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Sizes:
    """How much to measure."""

    events: int
    rounds: int
    minutes: float
    known: int
    """Known keys of the history part and stored calls of the status part."""
    seconds: float
    """Length of the webhook part."""
    requests: int
    """Requests of the latency part, and a query of the status part."""


FULL = Sizes(events=20_000, rounds=3, minutes=60, known=1_000_000, seconds=60, requests=200)
QUICK = Sizes(events=4_000, rounds=1, minutes=1, known=50_000, seconds=10, requests=30)
Part = Callable[[Sizes], Awaitable[Numbers]]

PARTS: dict[str, Part] = {
    "throughput": lambda sizes: throughput.run(sizes.events, sizes.rounds, show),
    "history": lambda sizes: history.run(sizes.events, sizes.rounds, sizes.known, show),
    "webhooks": lambda sizes: webhooks.run(sizes.seconds, show),
    "latency": lambda sizes: latency.run(sizes.requests, show),
    "status": lambda sizes: status.run(sizes.known, sizes.requests, show),
    "kill": lambda sizes: killing.run(sizes.seconds, show),
    "memory": lambda sizes: memory.run(sizes.minutes, show),
}


def show(line: str) -> None:
    """Say how it goes."""
    print(line, flush=True)


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all", metavar="PART",
                        help=f"{', '.join(PARTS)} or all (the default)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small sizes: a few minutes, and no verdict to rely on")
    parser.add_argument("--events", type=int, help=f"raw calls a round ({FULL.events})")
    parser.add_argument("--rounds", type=int, help=f"rounds of each chain ({FULL.rounds})")
    parser.add_argument("--minutes", type=float, help=f"length of the memory part ({FULL.minutes:g})")
    parser.add_argument("--known", type=int, help=f"known calls of the history and status parts ({FULL.known})")
    parser.add_argument("--seconds", type=float, help=f"length of the webhook part ({FULL.seconds:g})")
    parser.add_argument("--requests", type=int, help=f"requests of the latency and status parts ({FULL.requests})")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for results.json and RESULTS.md (bench)")
    return parser.parse_args(argv)


def command(argv: list[str]) -> str:
    """What was asked for, without the folder, which says something about a machine and nothing about a number."""
    kept = [word for number, word in enumerate(argv) if "--out" not in (word.split("=")[0], *argv[number - 1 : number])]
    return " ".join(["python -m bench", *kept])


def sizes_of(options: argparse.Namespace) -> Sizes:
    """The sizes that were asked for."""
    base = QUICK if options.quick else FULL
    named = {name: getattr(options, name) for name in Sizes.__dataclass_fields__}
    return Sizes(**{name: getattr(base, name) if value is None else value for name, value in named.items()})


async def run(parts: list[str], sizes: Sizes, write: Callable[[Numbers, list[str]], None]) -> bool:
    """Measure part by part; after each one all that is known so far is written. False: something went wrong."""
    task = asyncio.current_task()
    assert task
    for number in (signal.SIGINT, signal.SIGTERM):  # so that servers are stopped and folders removed
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    found: Numbers = {}
    wrong: list[str] = []
    for name in parts:
        load, began = os.getloadavg()[0], time.monotonic()
        show(f"{name} (load {load:.1f})")
        try:
            numbers = await PARTS[name](sizes)
        except (Loss, TimeoutError, OSError) as error:
            wrong.append(f"{name}: {str(error) or type(error).__name__}")
            show(f"{name} failed: {error!r}")
        else:
            took = round(time.monotonic() - began)
            found[name] = {"numbers": numbers, "load_before": round(load, 2), "took_seconds": took}
        write(found, wrong)
    return not wrong


def main(argv: list[str]) -> int:
    """The command of the module's docstring."""
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # it warns while topics are being made
    options = arguments(argv)
    chosen = list(PARTS) if options.parts == "all" or "all" in options.parts else options.parts
    sizes = sizes_of(options)
    about = {**machine(), "command": command(argv), "sizes": vars(sizes)}
    options.out.mkdir(parents=True, exist_ok=True)

    def write(parts: Numbers, wrong: list[str]) -> None:
        results = {"about": about, "parts": parts, "wrong": wrong}
        (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "RESULTS.md").write_text(report.page(results))

    try:
        well = asyncio.run(run(chosen, sizes, write))
    except asyncio.CancelledError:
        return 130
    show(f"Written: {options.out / 'RESULTS.md'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
