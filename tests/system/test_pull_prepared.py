"""Recordings that their source makes on demand: made when they are wanted, waited for, and never at a call's cost."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Api, Recording
from schemas.faults import MissingFault, TransientFault
from schemas.settings import Settings
from tests.conftest import Database
from tests.pulling import START, Rig, Told
from tests.system.test_pull import http_server, make, wav

pytestmark = pytest.mark.system


class Maker:
    """Makes recordings, once the faults it was told to raise are used up."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.asked: list[str] = []

    async def prepare(self, api: Api, recording: Recording) -> Recording:
        """As `Pull.prepare`."""
        self.asked.append(recording.url)
        if self.faults:
            raise self.faults.pop(0)
        return replace(recording, url="https://files.tiny.example/made")


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """Where everything is a recording."""
    async with http_server(lambda path, headers: (200, {}, wav())) as (address, _):
        yield address


async def made_by(maker: Maker, database: Database, origin: str, **call: Any) -> Rig:
    """A source with one call whose recording must be made."""
    one = Told("one", START, recording=Recording("/one/download", "one.wav"), **call)
    it = await make(database, [one], pull={"prepare": maker.prepare})
    it.settings = Settings(vendor_origin=origin)
    return it


async def test_a_recording_is_made_when_it_is_wanted_and_only_then(database: Database, origin: str) -> None:
    unwanted, wanted = Maker(), Maker()
    with_words = await made_by(unwanted, database, origin, has_transcript=True)
    await with_words.job()
    await with_words.drain()
    assert (with_words.bus.ids(), unwanted.asked) == (["one"], [])
    without = await made_by(wanted, database, origin, has_transcript=False)
    await without.job()
    await without.drain()
    assert without.bus.calls[0][1].media is not None
    assert wanted.asked == ["/one/download"]


async def test_a_recording_that_is_being_made_is_waited_for(database: Database, origin: str) -> None:
    sentence = "Tiny is preparing the recording."
    maker = Maker(TransientFault("recording_not_ready", sentence))
    it = await made_by(maker, database, origin, has_transcript=False)
    job = await it.job()
    await it.drain()
    assert await it.calls(job, "waiting") == {"one": sentence}
    await it.settle()
    assert it.bus.calls[0][1].media is not None


async def test_a_limit_while_a_recording_is_made_stops_the_job_and_not_the_call(
    database: Database, origin: str
) -> None:
    maker = Maker(TransientFault("rate_limited", "Tiny allows no more requests.", retry_after=0.0))
    it = await made_by(maker, database, origin, has_transcript=True)
    await it.pool.execute("UPDATE import_sources SET keep_recordings = true")
    job = await it.job()
    await it.drain()
    assert it.bus.ids() == []
    assert "allows no more requests" in (await it.row(job))["last_error"]
    await it.settle()
    assert it.bus.calls[0][1].media is not None


async def test_a_recording_that_cannot_be_made_costs_no_call(database: Database, origin: str) -> None:
    it = await made_by(Maker(MissingFault("recording_missing", "Tiny cannot.")), database, origin, has_transcript=True)
    await it.pool.execute("UPDATE import_sources SET keep_recordings = true")
    await it.job()
    await it.drain()
    assert it.bus.ids() == ["one"]
    assert it.bus.calls[0][1].media is None
