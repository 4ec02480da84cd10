"""One stack, one set of stand-ins and one browser for all; everybody in the tests has a workspace of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright

from tests.browser.rig import Hub, launch
from tests.conftest import Broker
from tests.fakes.vendors.core import CLIENT_ID, CLIENT_SECRET, Vendors, start_fake_vendors
from tests.stack import start_stack
from tests.system.sources_harness import OAUTH


@pytest.fixture(scope="session")
def browser_vendors() -> Iterator[Vendors]:
    """All vendors, without calls: every test seeds a platform of its own."""
    with start_fake_vendors() as running:
        yield running


@pytest.fixture(scope="session")
async def hub(
    broker: Broker, browser_vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hub]:  # fmt: skip
    """callstream as a whole, its vendors, and a browser."""
    clients = {name: {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} for name in OAUTH}
    env = {
        "CALLSTREAM_OAUTH_CLIENTS": json.dumps(clients),
        "CALLSTREAM_MEDIA_ALLOW_HOSTS": urlsplit(browser_vendors.origin).netloc,
        "CALLSTREAM_FIRST_SYNC_DAYS": "30",
        "CALLSTREAM_PULL_SLICE_SECONDS": "3",
    }
    stack = await asyncio.to_thread(
        lambda: start_stack(
            tmp_path_factory.mktemp("browser"), broker.bootstrap, vendor_origin=browser_vendors.origin, env=env
        )
    )
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright)
            try:
                yield Hub(stack, browser_vendors, browser)
            finally:
                await browser.close()
    finally:
        await stack.close_pools()
        await asyncio.to_thread(stack.stop)
