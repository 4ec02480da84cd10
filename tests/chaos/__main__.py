"""`python -m tests.chaos`, which `make chaos` runs. Exit code 0: the promise was kept; 1: not; 2: wrong usage."""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

from schemas.settings import Settings
from tests.chaos.plan import Amounts
from tests.chaos.run import Wishes, as_text, write_report
from tests.chaos.whole import whole_run

REST_SECONDS = 200.0
"""What everything but the storm takes, about."""


def wishes_of(options: argparse.Namespace) -> Wishes:
    """What a run of so many minutes does. A short one is cut for less long and restores a smaller table."""
    short = options.minutes < 5
    return Wishes(
        seed=options.seed,
        storm_seconds=max(60.0, options.minutes * 60 - REST_SECONDS),
        amounts=Amounts(
            changes=options.rebalances,
            broker_stops=1 if short else 2,
            database_stops=1 if short else 2,
        ),
        cut_seconds=options.cut if options.cut is not None else 20.0 if short else 120.0,
        keys=options.keys if options.keys is not None else 100_000 if short else 1_000_000,
    )


def main() -> int:
    """Run, print, write the report."""
    parser = argparse.ArgumentParser(prog="make chaos", description="Break everything while calls flow.")
    parser.add_argument("--minutes", type=float, default=10.0, help="about how long; the steps are carried out anyway")
    parser.add_argument("--rebalances", type=int, default=60, help="joins, leaves and kill -9 of workers")
    parser.add_argument("--seed", type=int, default=None, help="repeat the order of the steps of an earlier run")
    parser.add_argument("--cut", type=float, default=None, help="seconds without network; 120, or 20 in a short run")
    parser.add_argument("--keys", type=int, default=None, help="keys of the table that is restored; 0: none")
    parser.add_argument("--out", type=Path, default=None, help="where the report goes; DATA_DIR/chaos")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it complains of every outage that we make
    out = options.out or Settings().data_dir / "chaos"
    with tempfile.TemporaryDirectory(prefix="callstream-chaos-", ignore_cleanup_errors=True) as folder:
        print(f"Seed {options.seed}. The report goes to {out}.", flush=True)
        report = asyncio.run(whole_run(wishes_of(options), Path(folder), lambda line: print(line, flush=True)))
        path = write_report(report, out, Path(folder) / "stack" / "logs")
    print(as_text(report))
    print(f"All of it is in {path}.")
    return 1 if report["breaches"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped before the end; there is no report.")
