"""Five9 through the pull engine: the credential from its sealed row, files over real SFTP, recordings kept."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from obstore.store import MemoryStore
from pydantic import SecretStr

from connectors.registry import CONNECTORS, to_call
from schemas.settings import Settings
from streams.io import pulls, sources
from streams.io.media import get_bytes
from streams.io.secrets import generate_key, open_secrets
from streams.io.sources import Source
from streams.io.store import in_workspace
from streams.io.stored_media import RecordingStore
from streams.pull import Puller
from streams.pull_calls import CallReader
from streams.schedule import Schedule
from streams.vendor import open_api
from tests.conftest import Database
from tests.fakes.vendors import five9 as fake
from tests.fakes.vendors.core import Fault, Vendors, start_fake_vendors
from tests.fakes.vendors.media import recording_of
from tests.pulling import QUICK, MemoryBus

pytestmark = pytest.mark.system


async def connected(database: Database, vendors: Vendors, keys: Any) -> Source:
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        source, _ = await sources.create_or_reconnect(
            connection, keys, workspace_id=database.workspace_id, user_id=database.user_id, source_app="five9",
            account_email="callstream@127.0.0.1", kind="password", credential=vendors.credential("five9"),
        )  # fmt: skip
    return source


async def test_every_recording_arrives_although_the_server_hangs_up_now_and_then(database: Database) -> None:
    pool: Any = database.pipeline_pool
    with start_fake_vendors("five9") as vendors:
        settings = Settings(_env_file=None, secret_keys=SecretStr(generate_key()), vendor_origin=vendors.origin)
        keys = open_secrets(settings)
        now = vendors.world.now()
        since = now - timedelta(days=3)
        vendors.world.seed("five9", 60, since, now - timedelta(hours=1), Random(9), hostile=True)
        vendors.world.calls["five9"][7].transcript_at = now + timedelta(hours=1)
        source = await connected(database, vendors, keys)
        bus, store = MemoryBus(), MemoryStore()
        mail: Any = bus

        @asynccontextmanager
        async def opened(source: Source) -> Any:
            async with open_api(settings, pool, keys, source) as api:
                api.clock = vendors.world.now
                yield api

        pace = replace(QUICK, calls_at_once=8, max_tries=50)
        engine = Puller(CallReader(pool, mail, RecordingStore(store, settings)), CONNECTORS, opened, pace)
        schedule = Schedule(settings, pool, mail, CONNECTORS, stood_seconds=0.0, wake_seconds=0.0)
        async with pool.acquire() as connection:
            job_id = await pulls.create_job(
                connection, workspace_id=database.workspace_id, source_id=source.source_id, source_app="five9",
                user_id=database.user_id, job_type="historical", since=since, until=now, count_first=False,
            )  # fmt: skip
        await pulls.start(pool, mail, database.workspace_id, job_id)
        for number in range(40):
            if number < 12:
                vendors.world.order("five9", Fault("cut_json", where="sftp:"))
            if number >= 20:  # by then the recording that was still written is whole
                vendors.world.skew = timedelta(hours=2)
                await pool.execute("UPDATE waiting_calls SET next_try_at = now()")
            while bus.commands:
                await engine.run(bus.commands[0])
                bus.commands.popleft()
            await schedule.kicks()
            await schedule.waiting()
        wanted = {fake.external_id(call): call for call in vendors.world.calls["five9"]}
        row = await pool.fetchrow("SELECT phase, failed_at, last_error FROM import_jobs WHERE job_id = $1", job_id)
        assert (row["phase"], row["failed_at"]) == ("done", None), row["last_error"]
        assert {call.external_id for _, call in bus.calls} == set(wanted)
        for _, call in bus.calls:
            assert call.media is not None
            assert call.media.ref is not None
            whole = recording_of(wanted[call.external_id], "wav")
            assert call.media.sha256 == hashlib.sha256(whole).hexdigest()
            assert await get_bytes(store, call.media.ref) == whole
            assert "five9-fake" not in call.model_dump_json(), "no password in any event"
            content, _ = to_call("five9", call.payload, call.media)
            assert content.recording_start_time == wanted[call.external_id].started_at
        assert await pool.fetchval("SELECT count(*) FROM waiting_calls") == 0
        server = vendors.world.notes["five9 sftp"]
        assert len(server.connections) < 40, "a turn of work has one connection"
