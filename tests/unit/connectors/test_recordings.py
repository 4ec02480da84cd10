"""The recording that a connector names is the vendor's: over redirects, with the account's headers or without."""

import hashlib
from collections.abc import Iterator
from uuid import UUID

import pytest
from obstore.store import MemoryStore

from connectors.registry import CONNECTORS
from streams.io.stored_media import RecordingStore
from tests.contract.vendors import a_call, vendor_of
from tests.fakes.vendors.core import Vendors, recording_of, start_fake_vendors

WORKSPACE = UUID("018f0000-0000-7000-8000-000000000001")
WAYS = {("zoom", "oauth"): "m4a", ("zoom", "password"): "m4a", ("zoom_phone", "oauth"): "mp3",
        ("zoom_phone", "password"): "mp3", ("ringcentral", "oauth"): "mp3"}  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with start_fake_vendors("zoom", "zoom_phone", "ringcentral") as vendors:
        yield vendors


@pytest.mark.parametrize("way", WAYS, ids="-".join)
async def test_the_recording_that_is_kept_is_the_one_the_source_has(way: tuple[str, str], running: Vendors) -> None:
    vendor = await vendor_of(*way, running)
    call = a_call(1, vendor.before(days=2), has_transcript=False)
    vendor.add(call)
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(5))
        found = await vendor.pull.fetch(api, item)
        assert found.recording is not None
        headers = vendor.auth.headers(api.credential) if found.recording.authorised else {}
        store = RecordingStore(MemoryStore(), vendor.settings)
        media = await store.download(WORKSPACE, found.recording.url, found.recording.filename, headers)
    assert media.sha256 == hashlib.sha256(recording_of(call, WAYS[way])).hexdigest()  # type: ignore[arg-type]
    assert (media.content_type or "").startswith("audio/")
    assert not [seen for seen in vendor.world.asked("media") if "authorization" in seen.sent]
    assert CONNECTORS[way[0]].to_call(dict(found.payload)).media is None
