"""A connector that talks to the stand-in of its source over real HTTP, for the tests of single connectors."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

from connectors.contract import Delivery, Found, Item, Window
from connectors.http import Client
from connectors.payloads import keepable
from connectors.registry import to_call
from schemas.calls import NormalizedCall
from tests.contract.vendors import Vendor, a_call, vendor_of
from tests.fakes.vendors.core import FakeCall, start_fake_vendors

__all__ = ["Delivery", "a_call", "at", "delivery", "everything", "hostile", "said", "whole"]


@asynccontextmanager
async def at(name: str, kind: str = "", **credential: str) -> AsyncIterator[tuple[Vendor, Client]]:
    """The stand-in of a source, without calls and limits, and a client of an account there."""
    with start_fake_vendors() as running:
        vendor = await vendor_of(name, kind or _kind(name), running)
        async with vendor.api(**credential) as api:
            yield vendor, api


def _kind(name: str) -> str:
    return "oauth" if name in ("youtube", "google_meet") else "api_key"


async def everything(vendor: Vendor, api: Client, window: Window) -> dict[str, tuple[Item, Found, NormalizedCall]]:
    """All calls of a window: listed, read, and mapped from the JSON text that goes through Kafka."""
    found = {}
    for item in await vendor.items(api, window):
        found[item.external_id] = (item, *await whole(vendor, api, item))
    return found


async def whole(vendor: Vendor, api: Client, item: Item) -> tuple[Found, NormalizedCall]:
    """One call, as the pipeline would see it."""
    found = await vendor.pull.fetch(api, item)
    return found, to_call(vendor.name, json.dumps(found.payload))[0]


def hostile(vendor: Vendor, count: int = 18) -> Sequence[FakeCall]:
    """Calls of the last three weeks with everything in them that breaks careless code."""
    now = vendor.world.now()
    return vendor.world.seed(
        vendor.name, count, now - timedelta(days=21), now - timedelta(days=3), Random(5), hostile=True
    )


def said(texts: Sequence[str]) -> list[str]:
    """Words as they can be compared: without what no database keeps, white space alike, silence left out."""
    words = (" ".join(keepable(text).split()) for text in texts)
    return [text for text in words if text]


def delivery(vendor: Vendor, body: bytes, *, secret: str = "s3cret", **headers: str) -> Delivery:
    """A webhook's request with this body."""
    url = f"https://calls.example.com/webhooks/{vendor.name}/1"
    return Delivery("POST", url, headers, {}, body, secret, vendor.world.now().timestamp(), 300)
