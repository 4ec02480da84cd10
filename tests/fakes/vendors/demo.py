"""The stand-ins of all sources as a process of their own, filled with believable calls, with new ones all the time.

    python -m tests.fakes.vendors.demo

prints one line of JSON: where it listens, and how each source is connected. Then it takes orders, one JSON object a
line on standard input, and ends when that closes:

    {"hook": "fathom", "url": "…", "secret": "…"}     post a signed webhook about each new call there
    {"order": "gong", "kind": "forbidden"}            let every request go wrong
    {"calm": "gong"}                                  let it work again
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx2

from tests.fakes.vendors import stories
from tests.fakes.vendors.core import FakeCall, Fault, Vendors, World, deliver, modules, start_fake_vendors, webhook

SEED = 20_251_103
DAYS = 28
EVERY_SECONDS = 3.0
FOREVER = 1_000_000_000
SOURCES = {
    "fathom": 160, "zoom": 240, "zoom_phone": 180, "youtube": 24, "grain": 200, "fireflies": 120, "gong": 320,
    "ringcentral": 110, "dialpad": 280, "hubspot": 300, "google_meet": 150, "five9": 130,
}  # fmt: skip
"""How many calls each source has to begin with."""
SPOKEN = {"zoom": 0.9, "zoom_phone": 0.85, "ringcentral": 0.6, "hubspot": 0.8, "five9": 0.0}
"""The share of a source's calls that have a transcript, where it is not all of them."""


@dataclass
class Demo:
    """The world of the demo, and who wants to hear of new calls."""

    world: World
    chance: Random = field(default_factory=lambda: Random(SEED))
    hooks: dict[str, tuple[str, str]] = field(default_factory=dict)
    number: int = 50_000

    @property
    def sources(self) -> list[str]:
        """Those that have a stand-in."""
        return [name for name in SOURCES if name in modules()]

    def fill(self) -> None:
        """The last weeks."""
        now = datetime.now(UTC)
        for name in self.sources:
            for call in stories.history(SOURCES[name], now, DAYS, self.chance, spoken=SPOKEN.get(name, 1.0)):
                self.world.add(name, call)

    def one_more(self) -> None:
        """A call that ended just now, somewhere."""
        name = self.chance.choice(self.sources)
        spoken = self.chance.random() < SPOKEN.get(name, 1.0)
        self.number += 1
        call = stories.call(self.number, datetime.now(UTC), self.chance, spoken=spoken)
        call.started_at -= timedelta(seconds=call.duration_s + 5)
        self.world.add(name, call)
        if name in self.hooks:
            self.post(name, call)

    def post(self, name: str, call: FakeCall) -> None:
        """What the source sends about a call. Whether it arrives is not our business: a sync finds it as well."""
        url, secret = self.hooks[name]
        for posting in webhook(self.world, name, call, secret, url):
            with suppress(httpx2.HTTPError):
                deliver(posting)

    def obey(self, order: dict[str, Any]) -> None:
        """One line of standard input."""
        match order:
            case {"hook": str(name), "url": str(url), "secret": str(secret)}:
                self.hooks[name] = (url, secret)
            case {"order": str(name), "kind": kind}:
                self.world.order(name, Fault(kind, times=FOREVER))
            case {"calm": str(name)}:
                for fault in self.world.waiting(name):
                    fault.times = 0
                    self.world.take(name, fault.where, [fault.kind])

    def introduction(self, running: Vendors) -> dict[str, Any]:
        """What whoever started us must know."""
        sources = {
            name: {
                "kind": modules()[name].KIND,
                "credential": running.credential(name),
                "webhook_secret": getattr(modules()[name], "WEBHOOK_SECRET", None),
                "calls": SOURCES[name],
            }
            for name in self.sources
        }
        return {"origin": running.origin, "sources": sources}


def main() -> None:
    """The command of the module's docstring."""
    with start_fake_vendors() as running:
        demo = Demo(running.world)
        demo.fill()
        print(json.dumps(demo.introduction(running)), flush=True)
        threading.Thread(target=keep_calling, args=[demo], daemon=True).start()
        for order in orders():
            demo.obey(order)


def orders() -> Iterator[dict[str, Any]]:
    """The lines of standard input, until it closes."""
    for line in sys.stdin:
        with suppress(ValueError):
            yield json.loads(line)


def keep_calling(demo: Demo) -> None:
    """Somebody always telephones."""
    while True:
        time.sleep(EVERY_SECONDS * demo.chance.uniform(0.5, 1.5))
        demo.one_more()


if __name__ == "__main__":
    main()
