"""Five9 beside its stand-in: connecting, listing, reading, and the report."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Window
from connectors.five9 import FIVE9, PAGE
from connectors.http import open_http
from schemas.faults import ConfigFault, CursorFault, Fault, TransientFault
from tests.fakes.vendors import five9 as fake
from tests.fakes.vendors.core import Person, Vendors, start_fake_vendors
from tests.fakes.vendors.media import recording_of
from tests.fakes.vendors.shapes import Fault as Trouble
from tests.unit.connectors.five9_rig import (
    KEY,
    NO_REPORT,
    PULL,
    VALIDATE,
    calls,
    client_of,
    content,
    everything,
    ids,
    opened,
    recent,
    refused,
)


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with start_fake_vendors("five9") as running:
        yield running


# Connecting


async def test_the_server_is_not_trusted_at_first_use_but_names_its_key(vendors: Vendors) -> None:
    async with opened(vendors, host_key="") as api:
        fault = await refused(api)
    assert isinstance(fault, ConfigFault)
    assert fault.reason == "host_key_unconfirmed"
    assert fake.CREDENTIAL["host_key"] in fault.sentence
    assert vendors.world.notes["five9 passwords"] == [], "nothing secret goes to a server that nobody has confirmed"


async def test_a_server_with_another_key_gets_no_password(vendors: Vendors) -> None:
    async with opened(vendors, host_key=KEY.get_fingerprint("sha256")) as api:
        assert (await refused(api)).reason == "host_key_changed"
    assert vendors.world.notes["five9 passwords"] == []


@pytest.mark.parametrize("wrap", ["{}", "SHA256:{}", " SHA256:{}= ", "{other}, {}", "{other}\nSHA256:{}"])
async def test_fingerprints_are_read_as_people_paste_them(vendors: Vendors, wrap: str) -> None:
    bare = fake.CREDENTIAL["host_key"].removeprefix("SHA256:")
    async with opened(vendors, host_key=wrap.format(bare, other=KEY.get_fingerprint("sha256"))) as api:
        assert VALIDATE is not None
        account = await VALIDATE(api)
    assert account.label == f"callstream@127.0.0.1:{fake.CREDENTIAL['port']}/recordings"
    assert account.account_id == "reports@acme.example"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"password": "wrong"}, "credential_refused"),
        ({"username": "nobody"}, "credential_refused"),
        ({"host_key": "MD5:00:11"}, "fingerprint_unreadable"),
        ({"host": "sftp://127.0.0.1"}, "host_unreadable"),
        ({"host": ""}, "host_unreadable"),
        ({"port": "ssh"}, "port_unreadable"),
        ({"port": "70000"}, "port_unreadable"),
        ({"folder": "/recordings/.."}, "folder_unreadable"),
        ({"folder": "/elsewhere"}, "folder_missing"),
        ({"pattern": "{agent}{dnis}"}, "pattern_unreadable"),
        ({"pattern": "{session_id}!"}, "pattern_does_not_fit"),
        ({"zone": "America/Atlantis"}, "zone_unknown"),
        ({"zone": "../../etc/passwd"}, "zone_unknown"),
        ({"report": ""}, "report_incomplete"),
        ({"report": "Shared/Other"}, "report_missing"),
        ({"report_password": "wrong"}, "credential_refused"),
        ({"region": "evil.example"}, "region_unknown"),
    ],
)
async def test_what_is_wrong_with_an_account_is_said(vendors: Vendors, other: dict[str, str], reason: str) -> None:
    calls(vendors, 3)
    async with opened(vendors, **other) as api:
        fault = await refused(api)
    assert fault.reason == reason
    assert isinstance(fault, ConfigFault)


async def test_a_wrong_password_is_tried_once(vendors: Vendors) -> None:
    async with opened(vendors, password="wrong") as api:
        await refused(api)
    assert vendors.world.notes["five9 passwords"] == ["wrong"], "a server that counts must not lock the user out"


async def test_an_empty_folder_can_be_connected(vendors: Vendors) -> None:
    async with opened(vendors, **NO_REPORT) as api:
        assert VALIDATE is not None
        assert (await VALIDATE(api)).account_id.startswith("callstream@127.0.0.1:")


async def test_a_host_in_our_own_network_is_not_connected_to(vendors: Vendors) -> None:
    credential = vendors.credential("five9")
    async with open_http() as http:
        client = client_of(credential, http)
        async with client.kept:
            assert (await refused(client)).reason == "host_refused"
        assert vendors.world.asked("five9", "sftp:") == []
        client = client_of({**credential, **NO_REPORT}, http, media_allow_hosts=f"127.0.0.1:{credential['port']}")
        async with client.kept:
            assert VALIDATE is not None
            await VALIDATE(client)


async def test_nothing_stays_open_when_the_work_is_done(vendors: Vendors) -> None:
    server = vendors.world.notes["five9 sftp"]
    async with opened(vendors) as api:
        await asyncio.gather(*(everything(api, recent(vendors)) for _ in range(5)))
        assert len(server.connections) == 1, "one connection serves all that is asked at a time"
    for connection in server.connections:
        await asyncio.to_thread(server.wait, connection.wait_closed())
    before = asyncio.all_tasks()
    async with opened(vendors, password="wrong") as api:
        await refused(api)
    assert asyncio.all_tasks() <= before


async def test_a_server_that_has_stopped_answering_does_not_hold_up_a_shutdown(vendors: Vendors) -> None:
    server, go_on = vendors.world.notes["five9 sftp"], threading.Event()
    calls(vendors, 2)
    async with opened(vendors, **NO_REPORT) as api:
        await everything(api, recent(vendors))
        server.loop.call_soon_threadsafe(go_on.wait, 60)
        asked = asyncio.create_task(everything(api, recent(vendors)))
        await asyncio.wait({asked}, timeout=0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert not go_on.is_set()
    go_on.set()


# Listing


async def test_pages_go_on_in_the_middle_of_a_folder_whatever_else_happened(vendors: Vendors) -> None:
    made = calls(vendors, PAGE + 60, days=0.2)
    async with opened(vendors, **NO_REPORT) as api:
        first = await PULL.list_page(api, recent(vendors), None)
        assert len(first.items) == PAGE
        assert first.cursor
        gone = next(call for call in made if fake.external_id(call) == first.items[-1].external_id)
        vendors.world.calls["five9"].remove(gone)
    async with opened(vendors, **NO_REPORT) as api:
        rest = await PULL.list_page(api, recent(vendors), first.cursor)
    assert rest.cursor is None
    found = [item.external_id for item in (*first.items, *rest.items)]
    assert sorted(found) == sorted(fake.external_id(call) for call in made)


@pytest.mark.parametrize("cursor", ["x", "[]", "3", "null", '["a"]', '{"a": 1, "b": 2, "c": 3}'])
async def test_a_cursor_of_another_version_begins_again(vendors: Vendors, cursor: str) -> None:
    async with opened(vendors) as api:
        with pytest.raises(CursorFault):
            await PULL.list_page(api, recent(vendors), cursor)


async def test_folders_of_other_days_are_not_looked_into(vendors: Vendors) -> None:
    calls(vendors, 40, days=200)
    pattern = "{campaign}/{date:%m_%d_%Y}/" + fake.CREDENTIAL["pattern"].replace("{campaign}", "{any}").replace(
        "{date:%m_%d_%Y}", "{any}"
    )
    async with opened(vendors, pattern=pattern, **NO_REPORT) as api:
        window = Window(vendors.world.now() - timedelta(days=30), vendors.world.now())
        found = {item.external_id for item in await everything(api, window)}
    wanted = {fake.external_id(call) for call in vendors.world.listed("five9", window.since, window.until)}
    days = {seen.path for seen in vendors.world.asked("five9", "sftp:") if seen.path.count("/") == 3}
    assert found == wanted != set()
    assert 0 < len(days) < 15


async def test_a_campaign_can_be_asked_for(vendors: Vendors) -> None:
    made = calls(vendors, 30)
    async with opened(vendors, **NO_REPORT) as api:
        since, until = recent(vendors).since, recent(vendors).until
        found = await everything(api, Window(since, until, {"campaign": "support"}))
    assert {item.external_id for item in found} == {
        fake.external_id(call) for call in made if fake.campaign_of(call) == "Support"
    }


async def test_a_connection_that_was_lost_is_made_again_unseen(vendors: Vendors) -> None:
    calls(vendors, 4)
    async with opened(vendors, **NO_REPORT) as api:
        before = await everything(api, recent(vendors))
        for number in range(3):
            vendors.world.order("five9", Trouble("cut_json", where="sftp:/recordings" if number else ""))
            assert ids(await everything(api, recent(vendors))) == ids(before)
        vendors.world.order("five9", Trouble("500", times=9))
        with pytest.raises(TransientFault):
            await everything(api, recent(vendors))


# Reading


async def test_a_recording_is_what_was_recorded(vendors: Vendors) -> None:
    made = {fake.external_id(call): call for call in calls(vendors, 8)}
    async with opened(vendors, **NO_REPORT) as api:
        for item in await everything(api, recent(vendors)):
            found = await PULL.fetch(api, item)
            assert found.recording is not None
            assert "five9-fake-password" not in json.dumps(found.payload) + found.recording.url
            assert await content(api, found.recording) == recording_of(made[item.external_id], "wav")


async def test_a_recording_that_is_still_written_waits_and_is_whole_later(vendors: Vendors) -> None:
    (call,) = calls(vendors, 1, transcript_at=vendors.world.now() + timedelta(minutes=10))
    async with opened(vendors, **NO_REPORT) as api:
        (item,) = await everything(api, recent(vendors))
        assert (await PULL.fetch(api, item)).waits_for == "Five9 is still writing this recording."
        vendors.world.skew = timedelta(minutes=10, seconds=30)
        item = await PULL.find(api, item.external_id)
        assert (await PULL.fetch(api, item)).waits_for, "it has changed half a minute ago, and may again"
        vendors.world.skew = timedelta(minutes=13)
        found = await PULL.fetch(api, await PULL.find(api, item.external_id))
        assert found.waits_for is None
        assert found.recording is not None
        assert await content(api, found.recording) == recording_of(call, "wav")


async def test_the_report_adds_what_the_name_does_not_say(vendors: Vendors) -> None:
    calls(vendors, 12, days=0.3, people=[Person("Mila Chen", "mila@acme.example"), Person(phone="+14155550119")])
    pattern = "{any}__{any}__{date}__{time}__{any}__{any}__{any}__{session_id}"
    async with opened(vendors, pattern=pattern) as api:
        for item in await everything(api, recent(vendors)):
            found = await PULL.fetch(api, item)
            call = FIVE9.to_call(dict(found.payload))
            assert [person.name for person in call.participants] == ["Mila Chen", None]
            assert call.participants[1].phone == "4155550119"
            assert call.source_metadata["disposition"]
            assert call.duration_ms
    assert len(vendors.world.asked("five9", "AdminWebService")) <= 2 * 4, "once a day of calls: run, twice polled, read"


async def test_a_call_that_the_report_does_not_hold_yet_waits_for_it_a_while(vendors: Vendors) -> None:
    (call,) = calls(vendors, 1)
    item_at, call.started_at = call.started_at, vendors.world.now().replace(microsecond=0) - timedelta(minutes=10)
    async with opened(vendors) as api:
        (item,) = await everything(api, recent(vendors))
        call.started_at = item_at - timedelta(days=20)
        assert (await PULL.fetch(api, item)).waits_for == "Five9's report does not hold this call yet."
        vendors.world.skew = timedelta(hours=1)
        found = await PULL.fetch(api, item)
    assert found.waits_for is None
    assert found.payload["report"] is None


@pytest.mark.parametrize(
    ("kind", "fault", "reason"),
    [
        ("429", TransientFault, "rate_limited"),
        ("500", TransientFault, "vendor_failing"),
        ("cut_json", TransientFault, "vendor_answer_broken"),
        ("forbidden", ConfigFault, "permission_missing"),
        ("bad_token", ConfigFault, "credential_refused"),
    ],
)
async def test_what_goes_wrong_with_the_report_is_told(
    vendors: Vendors, kind: Any, fault: type[Fault], reason: str
) -> None:
    calls(vendors, 1)
    async with opened(vendors) as api:
        (item,) = await everything(api, recent(vendors))
        vendors.world.order("five9", Trouble(kind, times=9, where="AdminWebService"))
        with pytest.raises(fault) as caught:
            await PULL.fetch(api, item)
    assert caught.value.reason == reason
