"""HubSpot: what its search, its texts, its people in three places and others' recordings ask of the connector."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors import crm, hubspot
from connectors.answers import DAILY_LIMIT, RATE_LIMITED
from connectors.contract import Answer, Item, Notice, Received
from connectors.hypertext import plain
from schemas.faults import ConfigFault, MissingFault, TransientFault
from tests.contract.vendors import some_calls
from tests.fakes.vendors.core import Person
from tests.fakes.vendors.hubspot import FURTHEST, OF_TRANSCRIPTS, READ
from tests.unit.connectors.at_vendors import a_call, at, delivery, everything, hostile, said, whole


async def test_hostile_calls_come_whole() -> None:
    async with at("hubspot") as (vendor, api):
        calls = hostile(vendor)
        found = await everything(vendor, api, vendor.recent(25))
    assert set(found) == {vendor.fake.external_id(call) for call in calls}
    for call in calls:
        _, _, read = found[vendor.fake.external_id(call)]
        assert said([one.text for one in read.segments]) == said([line.text for line in call.lines])
        assert read.recording_start_time == call.started_at
        assert read.duration_ms == call.duration_s * 1000


async def test_people_come_from_owner_contacts_and_speakers() -> None:
    async with at("hubspot") as (vendor, api):
        calls = some_calls(vendor, 30, 5)
        for call in calls:
            call.people = [*call.people, Person("Henrik Dahl", f"henrik{call.id}@northwind.example")]
        vendor.add(*calls)
        found = await everything(vendor, api, vendor.recent(6))
    for call in calls:
        _, _, read = found[vendor.fake.external_id(call)]
        assert {(one.name, one.email, one.phone) for one in read.participants} == {
            (person.name, person.email, person.phone) for person in call.people
        }


async def test_the_people_of_a_page_take_a_few_requests() -> None:
    async with at("hubspot") as (vendor, api):
        vendor.add(*some_calls(vendor, 100, 5))
        items = await vendor.items(api, vendor.recent(6))
        assert len(items) == 100
        assert len(vendor.world.asked("hubspot")) == 5  # search, associations, contacts, owners, owners who left
        await vendor.items(api, vendor.recent(6))
        assert len(vendor.world.asked("hubspot")) == 8  # the owners are known


async def test_a_listing_goes_on_behind_the_last_result_that_a_search_gives() -> None:
    async with at("hubspot") as (vendor, api):
        vendor.world.notes[FURTHEST] = 250
        wanted = vendor.add(*some_calls(vendor, 420, 60))
        pages = await vendor.pages(api, vendor.recent(61))
        assert {item.external_id for page in pages for item in page.items} == wanted
        assert [len(page.items) for page in pages] == [100, 100, 100, 100, 20]
        assert [page.total for page in pages] == [420, None, None, None, None]
        assert not vendor.world.asked("hubspot", "/search", 400)


async def test_a_call_that_is_added_meanwhile_moves_no_other_out_of_the_listing() -> None:
    async with at("hubspot") as (vendor, api):
        calls = some_calls(vendor, 150, 10)
        wanted = vendor.add(*calls)
        first = await vendor.pull.list_page(api, vendor.recent(11), None)
        vendor.world.calls["hubspot"].remove(calls[3])
        vendor.add(a_call(900, calls[0].started_at))
        second = await vendor.pull.list_page(api, vendor.recent(11), first.cursor)
    assert wanted <= {item.external_id for page in (first, second) for item in page.items}


async def test_only_calls_with_something_to_read_or_hear_are_listed_and_counted() -> None:
    async with at("hubspot") as (vendor, api):
        vendor.add(*some_calls(vendor, 5, 5, has_transcript=False, has_recording=False))
        wanted = vendor.add(a_call(801, vendor.before(days=2), has_transcript=False))
        wanted |= vendor.add(a_call(802, vendor.before(days=2), has_recording=False))
        assert {item.external_id for item in await vendor.items(api, vendor.recent(9))} == wanted
        assert vendor.pull.count is not None
        assert await vendor.pull.count(api, vendor.recent(9)) == 2


async def test_a_recording_lies_elsewhere_and_our_token_does_not_go_there() -> None:
    async with at("hubspot") as (vendor, api):
        vendor.add(a_call(1, vendor.before(days=2), has_transcript=False))
        (item,) = await vendor.items(api, vendor.recent(9))
        found = await vendor.pull.fetch(api, item)
    assert found.recording is not None
    assert found.recording.url.startswith("https://media.fake/")
    assert not found.recording.authorised
    assert "media.fake" not in json.dumps(found.payload)


def about(**properties: str | None) -> Item:
    known = {"hs_timestamp": "2025-11-05T09:30:12Z", "hs_lastmodifieddate": "2025-11-05T09:40:00.000Z", **properties}
    return Item("38214455012", {"id": "38214455012", "properties": known})


async def test_a_recording_of_hubspots_own_is_for_people_who_are_signed_in_there() -> None:
    async with at("hubspot") as (vendor, api):
        for link in (
            "https://api-eu1.hubspot.com/recording/auth/provider/x", "https://app.hubspot.com/r.mp3", "http://x.example/a",
            "https://[", "",
        ):  # fmt: skip
            with pytest.raises(MissingFault, match="signed-in HubSpot user"):
                await vendor.pull.fetch(api, about(hs_call_recording_url=link))
        found = await vendor.pull.fetch(api, about(hs_call_video_recording_url="https://nothubspot.com/r.mp4"))
    assert found.recording is not None
    assert found.recording.filename == "38214455012.mp4"


async def test_a_transcript_that_hubspot_speaks_of_and_does_not_give_leaves_the_recording() -> None:
    link = "https://recordings.example.com/abc.mp3"
    spoken_of = about(hs_call_recording_url=link, hs_call_has_transcript="true", hs_call_transcription_id="99")
    async with at("hubspot") as (vendor, api):
        found = await vendor.pull.fetch(api, spoken_of)
        assert (found.has_transcript, found.waits_for) == (False, None)
        assert found.recording is not None
        young = replace(spoken_of, changed_at=vendor.world.now() - timedelta(minutes=30))
        assert (
            await vendor.pull.fetch(api, young)
        ).waits_for == "HubSpot has not finished the transcript of this call."


async def test_without_the_right_to_transcripts_recordings_still_come_and_the_right_is_named() -> None:
    async with at("hubspot") as (vendor, api):
        vendor.add(a_call(1, vendor.before(days=2)), a_call(2, vendor.before(days=1), has_recording=False))
        vendor.world.granted["hubspot"] = frozenset({READ})
        assert (await hubspot.validate(api)).missing == (OF_TRANSCRIPTS,)
        with_recording, without = await vendor.items(api, vendor.recent(9))
        assert (await vendor.pull.fetch(api, with_recording)).recording
        with pytest.raises(ConfigFault):
            await vendor.pull.fetch(api, without)
        del vendor.world.granted["hubspot"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Asked for a <b>quote</b></p>", "Asked for a quote"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<style>p{}</style>x<script>alert('y')</script>", "x"),
        ("5 &lt; 6 &amp; 7&nbsp;&euro;", "5 < 6 & 7 €"),
        ("", ""),
        ("<div><div><p></p></div></div>", ""),
    ],
)
def test_notes_are_kept_as_a_person_reads_them(html: str, text: str) -> None:
    assert plain(html) == text


def test_notes_that_are_no_html_are_read_all_the_same() -> None:
    text = plain("a <![foo[b]]> <b>c</b>")
    assert text.startswith("a")
    assert text.endswith("c")
    assert "<b>" not in text


def refusal(status: int, **said: Any) -> Answer:
    return Answer(status, {}, json.dumps(said).encode(), "https://api.hubapi.com/crm")


def test_a_daily_limit_is_told_by_its_policy() -> None:
    for policy, reason, seconds in (
        ("DAILY", DAILY_LIMIT, 3600.0), ("TEN_SECONDLY_ROLLING", RATE_LIMITED, 10.0), ("SECONDLY", RATE_LIMITED, 1.0)
    ):  # fmt: skip
        fault = crm.complaint(refusal(429, errorType="RATE_LIMIT", policyName=policy))
        assert isinstance(fault, TransientFault)
        assert (fault.reason, fault.retry_after) == (reason, seconds)
    known = replace(refusal(429, policyName="SECONDLY"), headers={"retry-after": "9"})
    assert crm.complaint(known) is None, "the header is read elsewhere"


def test_a_missing_right_is_named_as_hubspot_calls_it() -> None:
    errors = [{"message": "…", "context": {"requiredGranularScopes": ["crm.objects.contacts.read"]}}]
    fault = crm.complaint(refusal(403, category="MISSING_SCOPES", errors=errors))
    assert isinstance(fault, ConfigFault)
    assert "crm.objects.contacts.read" in fault.sentence


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": {}}', b"[" * 9999])
def test_an_odd_refusal_is_left_to_its_status(body: bytes) -> None:
    assert crm.complaint(Answer(403, {}, body, "https://x/y")) is None


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"subscriptionType": kind, "objectTypeId": "0-48", "objectId": 4001, **more}


@pytest.mark.parametrize(
    ("events", "names"),
    [
        ([event("object.creation")], ["4001"]),
        ([event("object.propertyChange", propertyName="hs_call_title")], ["4001"]),
        ([event("object.propertyChange", propertyName="hs_object_source")], []),
        ([event("object.deletion")], []),
        ([event("object.creation", objectTypeId="0-1")], []),
        ([event("call.creation", objectTypeId=None)], ["4001"]),
        ([event("object.creation"), event("object.creation", objectId=7), event("object.creation")], ["4001", "7"]),
        ([event("object.creation", objectId="4001/../x")], []),
        ([], []),
    ],
)
async def test_a_list_of_events_names_each_call_once(events: list[dict[str, Any]], names: list[str]) -> None:
    async with at("hubspot") as (vendor, _):
        found = crm.named_calls(delivery(vendor, json.dumps(events).encode()))
        assert [one.external_id for one in found] == names
        assert all(isinstance(one, Notice) for one in found)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"null", b"\xff"])
async def test_a_body_that_is_no_list_of_events_is_kept(body: bytes) -> None:
    async with at("hubspot") as (vendor, _):
        (kept,) = crm.named_calls(delivery(vendor, body))
        assert isinstance(kept, Received)


async def test_a_changed_call_says_when_it_was_changed() -> None:
    async with at("hubspot") as (vendor, api):
        changed = vendor.before(hours=1)
        call = a_call(1, vendor.before(days=1), changed_at=changed)
        vendor.add(call)
        (item,) = await vendor.items(api, vendor.recent(3))
        assert item.changed_at == changed
        found, read = await whole(vendor, api, item)
    assert read.source_metadata["notes"] == "Notes & more"
    assert found.payload["owner"]["email"] == "mila@acme.example"
