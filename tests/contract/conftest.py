"""One server with all stand-ins for the session, and a connector beside its stand-in for each test."""

from collections.abc import Iterator

import pytest

from tests.contract.vendors import Vendor, vendor_of, ways
from tests.fakes.vendors.core import Vendors, start_fake_vendors


@pytest.fixture(scope="session")
def fake_vendors() -> Iterator[Vendors]:
    """The stand-ins of all sources, on a port of this machine."""
    with start_fake_vendors() as running:
        yield running


@pytest.fixture(params=ways(), ids="-".join)
async def vendor(request: pytest.FixtureRequest, fake_vendors: Vendors) -> Vendor:
    """Every connector that pulls, one after the other, in every way it can be connected."""
    return await vendor_of(*request.param, fake_vendors)
