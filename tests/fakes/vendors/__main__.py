"""The fake vendors standing alone: `python -m tests.fakes.vendors --port 8500`. Ctrl-C ends them.

The first line on standard output is `{"origin": "http://127.0.0.1:8500"}`, which is for CALLSTREAM_VENDOR_ORIGIN.
"""

import argparse
import json
import signal
import sys
import threading
from datetime import timedelta
from random import Random

from tests.fakes.vendors.core import modules, start_fake_vendors


def main(argv: list[str]) -> int:
    """Run until told to stop."""
    options = argparse.ArgumentParser(prog="python -m tests.fakes.vendors")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--calls", type=int, default=0, help="how many calls each source has from the beginning")
    options.add_argument("--days", type=int, default=60, help="over how many days they are spread")
    given = options.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start_fake_vendors(port=given.port) as vendors:
        now = vendors.world.now()
        for source in modules() if given.calls else ():
            since = now - timedelta(days=given.days)
            vendors.world.seed(source, given.calls, since, now - timedelta(minutes=5), Random(source))
        print(json.dumps({"origin": vendors.origin, "sources": sorted(modules())}), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
