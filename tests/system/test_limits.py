"""Processing window and quota on a real PostgreSQL: what must wait waits and says so, what must not does not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops.plans import give_plan
from schemas.faults import ConfigFault
from schemas.settings import Settings
from streams.io import clock, pulls, quotas
from streams.io.store import in_workspace
from streams.pull import Puller
from tests.conftest import Broker, Database
from tests.pulling import START, TINY, Rig, Told, rig, told
from tests.system.api_harness import VTT, Api, running_api
from tests.system.sources_harness import Office, days_ago, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database, plans={"free": 3, "pro": None}) as running:
        yield running


async def make(database: Database, calls: list[Told], **more: Any) -> Rig:
    """A source in the test's database."""
    return await rig(database.pipeline_pool, database.workspace_id, database.user_id, calls, **more)


def puller(it: Rig, limit: int = 10) -> Puller:
    """An engine that knows a plan."""
    return replace(it.puller(), plans={"free": limit})


async def set_window(database: Database, *, is_open: bool) -> datetime:
    """A window around now, or one that opens in five hours; when it opens."""
    begins = (clock.now() + timedelta(hours=-1 if is_open else 5)).replace(second=0, microsecond=0)
    ends = begins + timedelta(hours=2)
    await database.pipeline_pool.execute(
        "UPDATE workspaces SET window_from = $1, window_to = $2, window_zone = 'UTC'",
        begins.time(), ends.time(),
    )  # fmt: skip
    return begins


async def set_plan(database: Database, plan: str | None) -> None:
    """As the operator does."""
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await quotas.set_plan(connection, database.workspace_id, plan)


async def on_schedule(it: Rig) -> UUID:
    """A sync that nobody asked for."""
    async with it.pool.acquire() as connection:
        return await pulls.create_job(
            connection, workspace_id=it.workspace_id, source_id=it.source_id, source_app=TINY, user_id=it.user_id,
            job_type="sync", since=START, until=START + timedelta(days=9), on_schedule=True,
        )  # fmt: skip


# The window ----------------------------------------------------------------------------------------------------------


async def test_an_import_waits_for_the_window_and_goes_on_when_it_is_changed(database: Database) -> None:
    opens = await set_window(database, is_open=False)
    it = await make(database, told(3))
    job = await it.job("historical")
    await it.drain()
    row = await it.row(job)
    assert (it.bus.ids(), it.source.requests) == ([], [])
    assert (row["resume_at"], row["held_for"], row["tries"], row["leased_until"]) == (opens, "window", 0, None)
    assert row["last_error"] == f"Waits for your processing window, opens at {opens:%H:%M}."
    await it.settle()
    assert it.bus.ids() == [], "the schedule does not send it before"
    await set_window(database, is_open=True)
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        await quotas.let_go_of_window(connection, database.workspace_id)
    await it.settle()
    row = await it.row(job)
    assert (len(it.bus.ids()), row["phase"], row["held_for"], row["last_error"]) == (3, "done", None, None)


async def test_an_import_under_way_stops_at_the_end_of_the_window(database: Database) -> None:
    await set_window(database, is_open=True)
    it = await make(database, told(12), page_size=4)
    job = await it.job("backfill")
    command = it.bus.commands.popleft()
    await it.puller().run(command)
    assert len(it.bus.ids()) == 4
    await set_window(database, is_open=False)
    await it.settle()
    assert (len(it.bus.ids()), (await it.row(job))["held_for"]) == (4, "window")


async def test_a_sync_by_hand_does_not_wait_and_one_by_the_schedule_does(database: Database) -> None:
    await set_window(database, is_open=False)
    it = await make(database, told(3))
    job = await on_schedule(it)
    await pulls.start(it.pool, it.bus, it.workspace_id, job)  # type: ignore[arg-type]
    await it.drain()
    assert (it.bus.ids(), (await it.row(job))["held_for"]) == ([], "window")
    by_hand = await it.job("sync")
    await it.drain()
    assert (len(it.bus.ids(by_hand)), (await it.row(by_hand))["phase"]) == (3, "done")


async def test_the_schedule_puts_a_sync_off_until_the_window_opens(database: Database) -> None:
    opens = await set_window(database, is_open=False)
    it = await make(database, told(3))
    await it.pool.execute(
        "INSERT INTO import_sync_configs (source_id, workspace_id, sync_frequency_minutes) VALUES ($1, $2, 60)",
        it.source_id, it.workspace_id,
    )  # fmt: skip
    await it.schedule().syncs()
    assert await it.pool.fetchval("SELECT next_sync_at FROM import_sync_configs") == opens
    assert await it.pool.fetchval("SELECT count(*) FROM import_jobs") == 0
    await set_window(database, is_open=True)
    await it.pool.execute("UPDATE import_sync_configs SET next_sync_at = now()")
    await it.schedule().syncs()
    assert await it.pool.fetchval("SELECT on_schedule FROM import_jobs") is True


async def test_who_asks_for_the_sync_that_waits_has_it_now(tmp_path: Path, broker: Broker, database: Database) -> None:
    async with open_office(tmp_path, broker, database, "fathom") as office:
        source = await office.connect("fathom", api_key=office.vendors.credential("fathom")["api_key"])
        await office.drain()
        await set_window(database, is_open=False)
        await database.pipeline_pool.execute("UPDATE import_sync_configs SET next_sync_at = now() + interval '1 day'")
        job = (await office.api.client.post(f"/api/sources/{source['id']}/sync")).json()["job_id"]
        await database.pipeline_pool.execute("UPDATE import_jobs SET on_schedule = true WHERE job_id = $1", UUID(job))
        await office.drain()
        shown = await office.get(f"/api/imports/{job}")
        assert (shown["status"], shown["last_error"][:5]) == ("waiting", "Waits")
        again = (await office.api.client.post(f"/api/sources/{source['id']}/sync")).json()["job_id"]
        assert again == job
        await office.drain()
        assert (await office.get(f"/api/imports/{job}"))["resume_at"] is None
        await _first_sync_is_not_held(office)


async def _first_sync_is_not_held(office: Office) -> None:
    held = await office.api.value("SELECT count(*) FROM import_jobs WHERE held_for IS NOT NULL")
    assert held == 0


async def test_the_settings_are_an_owners_and_say_when_the_window_opens(api: Api) -> None:
    assert (await api.client.get("/api/settings")).json() == {
        "processing_window": None, "window_open": True, "window_opens_at": None,
        "plan": {"name": None, "imports_a_month": None},
    }  # fmt: skip
    now = clock.now()
    window = {
        "from": f"{now + timedelta(hours=3):%H:%M}", "to": f"{now + timedelta(hours=4):%H:%M}", "zone": "UTC",
    }  # fmt: skip
    shown = (await api.client.patch("/api/settings", json={"processing_window": window})).json()
    assert (shown["processing_window"], shown["window_open"]) == (window, False)
    opens = datetime.fromisoformat(shown["window_opens_at"])
    assert f"{opens:%H:%M}" == window["from"]
    assert (await api.client.patch("/api/settings", json={})).json()["processing_window"] == window
    for odd, reason in (
        ({**window, "zone": "Mars/Olympus"}, "unknown_zone"),
        ({**window, "zone": "../../etc/passwd"}, "unknown_zone"),
        ({**window, "to": window["from"]}, "empty_window"),
        ({**window, "from": "25:00"}, "invalid_request"),
    ):
        answer = await api.client.patch("/api/settings", json={"processing_window": odd})
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    shown = (await api.client.patch("/api/settings", json={"processing_window": None})).json()
    assert (shown["processing_window"], shown["window_open"]) == (None, True)
    await api.execute("UPDATE memberships SET role = 'member'")
    assert (await api.client.patch("/api/settings", json={"processing_window": window})).status_code == 403


# The quota -----------------------------------------------------------------------------------------------------------


async def test_an_import_brings_what_the_plan_has_room_for_and_waits_for_the_next_month(database: Database) -> None:
    await set_plan(database, "free")
    it = await make(database, told(40), page_size=25)
    job = await it.job()
    await it.drain(puller(it))
    assert len(it.bus.ids()) == 10
    row = await it.row(job)
    assert (row["held_for"], row["phase"]) == ("quota", "pulling")
    assert "until the last of this month's 10 imports are stored" in row["last_error"]
    for external_id in it.bus.ids():
        await it.store_call(external_id, clock.now())
    await it.pool.execute("UPDATE job_calls SET status = 'imported'")
    await it.pool.execute("UPDATE import_jobs SET resume_at = now()")
    await it.schedule().kicks()
    await it.drain(puller(it))
    row = await it.row(job)
    month = clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert row["resume_at"] == (month + timedelta(days=32)).replace(day=1)
    assert row["last_error"].startswith("The 10 imports of this month are used up.")
    assert len(it.bus.ids()) == 10
    await set_plan(database, None)
    await it.settle()
    assert (len(set(it.bus.ids())), (await it.row(job))["phase"]) == (40, "done")


async def test_a_call_that_failed_or_was_skipped_gives_its_place_back(database: Database) -> None:
    await set_plan(database, "free")
    it = await make(database, told(12))
    await it.job()
    await it.drain(puller(it))
    assert len(it.bus.ids()) == 10
    await it.pool.execute("UPDATE job_calls SET status = 'failed' WHERE external_id = 'c00000'")
    await it.pool.execute("UPDATE import_jobs SET resume_at = now()")
    await it.schedule().kicks()
    await it.drain(puller(it))
    assert len(it.bus.ids()) == 11


async def test_a_call_in_the_library_that_has_changed_needs_no_room(database: Database) -> None:
    await set_plan(database, "free")
    later = START + timedelta(days=100)
    it = await make(database, [*told(2, changed_at=later), *told(3, first=5)])
    for n in range(2):
        await it.store_call(f"c{n:05}", START)
    await it.job()
    await it.drain(puller(it, limit=2))
    assert sorted(it.bus.ids()) == [], "the two in the library have used up the month"
    await it.pool.execute("UPDATE recordings SET imported_at = now() - interval '40 days'")
    await it.pool.execute("UPDATE import_jobs SET resume_at = now()")
    await it.schedule().kicks()
    await it.drain(puller(it, limit=2))
    assert {"c00000", "c00001"} < set(it.bus.ids())
    assert len(it.bus.ids()) == 4


async def test_a_workspace_without_a_plan_has_no_limit(database: Database) -> None:
    it = await make(database, told(30))
    await it.job()
    await it.drain(puller(it, limit=0))
    assert len(it.bus.ids()) == 30


async def test_the_doors_say_when_the_month_is_used_up(api: Api, database: Database) -> None:
    usage = (await api.client.get("/api/usage")).json()["quota"]
    assert (usage["plan"], usage["imports_a_month"], usage["used"], usage["remaining"]) == (None, None, 0, None)
    await set_plan(database, "free")
    files = [(f"{n}.vtt", VTT.replace(b"Good", f"Good {n}".encode())) for n in range(5)]
    answer = await api.upload(*files)
    assert answer.status_code == 202, answer.text
    assert [each["status"] for each in answer.json()["calls"]] == ["accepted"] * 3 + ["refused"] * 2
    assert {each["reason"] for each in answer.json()["calls"]} == {None, "quota_used_up"}
    answer = await api.upload(files[4])
    assert (answer.status_code, answer.json()["reason"]) == (402, "quota_used_up")
    assert answer.json()["detail"].startswith("The 3 imports of this month are used up")
    usage = (await api.client.get("/api/usage")).json()["quota"]
    assert (usage["plan"], usage["imports_a_month"], usage["used"], usage["remaining"]) == ("free", 3, 0, 3)
    assert datetime.fromisoformat(usage["resets_at"]) > datetime.now(UTC)
    shown = (await api.client.get("/api/settings")).json()
    assert shown["plan"] == {"name": "free", "imports_a_month": 3}
    endpoint = await api.endpoint()
    assert (await api.deliver(endpoint, b'{"external_id": "x", "title": "t"}')).status_code == 202, "never lost"
    await set_plan(database, "pro")
    assert (await api.upload(files[4])).status_code == 202


async def test_imports_by_hand_are_refused_when_the_month_is_used_up(
    tmp_path: Path, broker: Broker, database: Database
) -> None:
    async with open_office(tmp_path, broker, database, "fathom", plans={"free": 2}) as office:
        office.seed("fathom", 5)
        source = await office.connect("fathom")
        await set_plan(database, "free")
        preview = {"source_id": source["id"], "date_range": {"from": days_ago(20), "to": days_ago(0)}}
        pricing = (await office.api.client.post("/api/imports/preview", json=preview)).json()["pricing"]
        assert pricing["free_calls_included"] == 2
        await set_plan(database, "free")
        await database.pipeline_pool.execute("UPDATE import_jobs SET cancelled_at = now()")
        for _ in range(2):
            await _store(office)
        for path, body in (
            ("/api/imports", {**preview, "job_type": "historical"}),
            (f"/api/sources/{source['id']}/backfill", preview["date_range"]),
            (f"/api/sources/{source['id']}/sync", None),
        ):
            answer = await office.api.client.post(path, json=body)
            assert (answer.status_code, answer.json()["reason"]) == (402, "quota_used_up"), path


async def _store(office: Office) -> None:
    await office.api.execute(
        "INSERT INTO recordings (recording_id, workspace_id, source_app, external_id, title, metadata_quality,"
        " event_id, fingerprint, observed_at, received_at)"
        " VALUES ($1, $2, 'zoom', $3, 't', 'full', $1, 'f', now(), now())",
        clock.new_id(), office.api.workspace_id, str(clock.new_id()),
    )  # fmt: skip


async def test_the_operator_gives_plans_by_name(api: Api, database: Database) -> None:
    settings = Settings(_env_file=None, database_url=database.app_url, plans={"free": 10})
    name = await api.value("SELECT name FROM workspaces")
    assert await give_plan(settings, name, "free") == f"The workspace {name} may import 10 calls a month."
    assert await api.value("SELECT plan FROM workspaces") == "free"
    assert "without limit" in await give_plan(settings, name, "none")
    assert await api.value("SELECT plan FROM workspaces") is None
    with pytest.raises(ConfigFault, match="free"):
        await give_plan(settings, name, "gold")
    assert await api.value("SELECT count(*) FROM audit_log WHERE action = 'plan.changed'") == 2
