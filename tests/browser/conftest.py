"""One stack, one set of stand-ins and one browser for all; everybody in the tests has a workspace of their own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.rig import Hub, open_hub
from tests.fakes.vendors.core import Vendors, start_fake_vendors
from tests.servers import Servers


@pytest.fixture(scope="session")
def browser_vendors() -> Iterator[Vendors]:
    """All vendors, without calls: every test seeds a platform of its own."""
    with start_fake_vendors() as running:
        yield running


@pytest.fixture(scope="session")
async def hub(
    quiet: Servers, browser_vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hub]:  # fmt: skip
    """callstream as a whole, its vendors, and a browser."""
    async with open_hub(tmp_path_factory.mktemp("browser"), quiet, browser_vendors) as running:
        yield running
