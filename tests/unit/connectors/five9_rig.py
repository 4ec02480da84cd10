"""Ways to Five9 for its tests: to the stand-in, and to a server over a real folder."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import asyncssh
import pytest

from connectors.contract import Api, Item, Recording, Window
from connectors.five9 import FIVE9, download
from connectors.http import Client, NoBudget, open_http
from schemas.faults import Fault
from schemas.settings import Settings
from streams.io.reach import reach
from streams.io.retry_after import retry_after
from tests.fakes.vendors.core import FakeCall, Vendors

assert FIVE9.pull is not None
PULL, VALIDATE = FIVE9.pull, FIVE9.validate
NO_REPORT = {"report_user": "", "report_password": "", "report": ""}
KEY = asyncssh.generate_private_key("ssh-ed25519")
NOW = datetime(2025, 11, 6, 12, tzinfo=UTC)


WINDOW = Window(NOW - timedelta(days=2), NOW)


@asynccontextmanager
async def opened(running: Vendors, **other: str) -> AsyncIterator[Client]:
    """The connector's way to the stand-in, as `streams/vendor.py` makes it."""
    credential = {**running.credential("five9"), **other}
    async with open_http() as http:
        client = client_of(credential, http, running.origin)
        client.clock = running.world.now
        async with client.kept:
            yield client


def client_of(credential: dict[str, str], http: Any, origin: str | None = None, **settings: str) -> Client:
    async def sleep(seconds: float) -> None:
        return None

    return Client(
        FIVE9, FIVE9.auths[0], credential, http, lambda: NOW, retry_after, NoBudget(), vendor_origin=origin,
        sleep=sleep, reach=partial(reach, settings=Settings(vendor_origin=origin, **settings)),
    )  # fmt: skip


def calls(running: Vendors, count: int, days: float = 3, **fields: Any) -> list[FakeCall]:
    """Calls of the last days."""
    now = running.world.now()
    made = running.world.seed("five9", count, now - timedelta(days=days), now - timedelta(hours=1), Random(count))
    for call in made:
        for name, value in fields.items():
            setattr(call, name, value)
    return made


def recent(running: Vendors, days: float = 10) -> Window:
    return Window(running.world.now() - timedelta(days=days), running.world.now())


async def everything(api: Api, window: Window) -> list[Item]:
    items, cursor = [], None
    while True:
        page = await PULL.list_page(api, window, cursor)
        items += page.items
        if (cursor := page.cursor) is None:
            return items


async def content(api: Api, recording: Recording) -> bytes:
    return b"".join([chunk async for chunk in download(api, recording)])


async def refused(api: Api) -> Fault:
    """Why the account cannot be connected."""
    assert VALIDATE is not None
    with pytest.raises(Fault) as caught:
        await VALIDATE(api)
    assert caught.value.sentence.endswith(".")
    assert "five9-fake-password" not in caught.value.sentence + caught.value.detail
    return caught.value


def ids(items: list[Item]) -> list[str]:
    return [item.external_id for item in items]


@dataclass
class Disk:
    """A server over a real folder."""

    root: Path
    port: int

    @asynccontextmanager
    async def api(self, **other: str) -> AsyncIterator[Client]:
        given = {
            "host": "127.0.0.1", "port": str(self.port), "username": "five9", "password": "p", "folder": "/in",
            "host_key": KEY.get_fingerprint("sha256"), "pattern": "{session_id}_{start:%Y%m%dT%H%M%S%z}", **other,
        }  # fmt: skip
        async with open_http() as http:
            client = client_of(given, http, media_allow_hosts=f"127.0.0.1:{self.port}")
            async with client.kept:
                yield client

    def put(self, path: bytes, data: bytes = b"RIFF" * 100, age: timedelta = timedelta(hours=1)) -> None:
        """A file that was last written so long ago."""
        file = os.fsencode(self.root) + b"/in/" + path
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as opened:
            opened.write(data)
        os.utime(file, ((NOW - age).timestamp(),) * 2)
