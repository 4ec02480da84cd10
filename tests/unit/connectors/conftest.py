"""One server with all stand-ins for the tests of single connectors."""

from collections.abc import Iterator

import pytest

from tests.fakes.vendors.core import Vendors, start_fake_vendors


@pytest.fixture(scope="session")
def fake_vendors() -> Iterator[Vendors]:
    """The stand-ins of all sources, on a port of this machine."""
    with start_fake_vendors() as running:
        yield running
