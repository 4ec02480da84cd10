"""Fireflies: what only Fireflies does. What every source must do is in tests/contract."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.budget import NoBudget
from connectors.contract import Answer, Delivery, Notice, Received, Window
from connectors.fireflies import FIREFLIES, PAGE, read_webhook
from schemas.faults import ConfigFault, InvalidCall, MissingFault, TransientFault
from tests.contract.vendors import Vendor, a_call, some_calls, vendor_of
from tests.fakes.vendors.core import Vendors
from tests.fakes.vendors.fireflies import failed


@pytest.fixture
async def fireflies(fake_vendors: Vendors) -> Vendor:
    """Connected on a Business plan."""
    return await vendor_of("fireflies", "api_key", fake_vendors)


@pytest.fixture
def notes(fireflies: Vendor) -> Iterator[dict[str, Any]]:
    """What the stand-in is told about its account."""
    yield fireflies.world.notes
    for name in ("fireflies plan", "fireflies takes"):
        fireflies.world.notes.pop(name, None)


def complained(body: Any, date: str | None = "Tue, 04 Nov 2025 16:00:00 GMT") -> Any:
    assert FIREFLIES.complaint is not None
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FIREFLIES.complaint(Answer(200, {"date": date} if date else {}, text, "https://api.fireflies.ai/graphql"))


@pytest.mark.parametrize(
    ("code", "fault", "reason"),
    [
        ("auth_failed", ConfigFault, "credential_refused"),
        ("forbidden", ConfigFault, "permission_missing"),
        ("paid_required", ConfigFault, "plan_insufficient"),
        ("require_ai_credits", ConfigFault, "plan_insufficient"),
        ("object_not_found", MissingFault, "not_at_source"),
        ("invalid_arguments", InvalidCall, "request_refused"),
        ("request_timeout", TransientFault, "vendor_failing"),
        ("something_new", TransientFault, "vendor_failing"),
        ("too_many_requests", TransientFault, "rate_limited"),
    ],
)
def test_what_errors_say_counts_whatever_the_status(code: str, fault: type[Exception], reason: str) -> None:
    found = complained(failed(code))
    assert isinstance(found, fault)
    assert found.reason == reason
    assert found.sentence.endswith(".")
    assert "Fireflies" in found.sentence


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", {"data": {}}, {"errors": None}, {"errors": []}, {"errors": "x"}, {"errors": {}}]
)
def test_an_answer_without_errors_is_no_complaint(body: Any) -> None:
    assert complained(body) is None


@pytest.mark.parametrize("error", [None, 3, "x", {}, {"code": None, "extensions": 3}, {"code": ["x"]}])
def test_an_odd_error_is_a_passing_fault(error: Any) -> None:
    assert isinstance(complained({"errors": [error]}), TransientFault)


@pytest.mark.parametrize(
    ("until", "date", "seconds"),
    [
        (1762272000000 + 90_000, "Tue, 04 Nov 2025 16:00:00 GMT", 90.0),
        (1762272000000 - 90_000, "Tue, 04 Nov 2025 16:00:00 GMT", 1.0),
        (10**18, "Tue, 04 Nov 2025 16:00:00 GMT", 25 * 3600.0),
        (1762272090000, None, None),
        (1762272090000, "yesterday", None),
        ("soon", "Tue, 04 Nov 2025 16:00:00 GMT", None),
        (True, "Tue, 04 Nov 2025 16:00:00 GMT", None),
    ],
)
def test_the_moment_of_retry_after_is_by_the_vendors_own_clock(until: Any, date: str | None, seconds: Any) -> None:
    assert complained(failed("too_many_requests", {"retryAfter": until}), date).retry_after == seconds


async def test_a_page_brings_its_sentences_and_recordings(fireflies: Vendor) -> None:
    fireflies.add(*some_calls(fireflies, 3, 5))
    before = len(fireflies.world.requests)
    async with fireflies.api() as api:
        found = [await fireflies.pull.fetch(api, item) for item in await fireflies.items(api, fireflies.recent(10))]
    assert len(fireflies.world.requests) - before == 1
    assert all(one.has_transcript and one.recording is not None for one in found)
    assert not any({"audio_url", "video_url"} & set(one.payload) for one in found)


@pytest.mark.parametrize(("plan", "requests"), [("business", 1), ("pro", 2), ("free", 3)])
async def test_fields_that_the_plan_lacks_are_asked_for_no_more(
    fireflies: Vendor, notes: dict[str, Any], plan: str, requests: int
) -> None:
    fireflies.add(a_call(1, fireflies.before(days=3)))
    notes["fireflies plan"] = plan
    before = len(fireflies.world.requests)
    async with fireflies.api(plan="Business") as api:
        (item,) = await fireflies.items(api, fireflies.recent(10))
        found = await fireflies.pull.fetch(api, item)
    assert len(fireflies.world.requests) - before == requests
    assert found.has_transcript
    assert found.recording is None or found.recording.filename.endswith(".mp3")
    assert (found.recording is None) == (plan == "free")


@pytest.mark.parametrize(("plan", "bucket"), [("Free", "daily"), (" pro", "daily"), ("Business", "default")])
async def test_the_plan_says_which_limit_counts(
    fireflies: Vendor, notes: dict[str, Any], plan: str, bucket: str
) -> None:
    notes["fireflies plan"] = plan.strip().lower()
    spent: list[str] = []

    class Counting(NoBudget):
        async def spend(self, bucket: str, cost: int) -> float:
            spent.append(bucket)
            return await super().spend(bucket, cost)

    async with fireflies.api(plan=plan) as api:
        api.budget = Counting()
        await fireflies.items(api, fireflies.recent(10))
    assert set(spent) == {bucket}
    assert len(spent) == (1 if bucket == "daily" else 3), "an empty page costs a small plan one request, not three"


async def test_an_unknown_plan_is_said_before_anything_is_asked(fireflies: Vendor) -> None:
    before = len(fireflies.world.requests)
    async with fireflies.api(plan="Gold") as api:
        assert fireflies.connector.validate is not None
        with pytest.raises(ConfigFault, match="Free, Pro, Business and Enterprise"):
            await fireflies.connector.validate(api)
    assert len(fireflies.world.requests) == before


async def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones(
    fireflies: Vendor, notes: dict[str, Any]
) -> None:
    wanted = fireflies.add(*some_calls(fireflies, 12, 8))
    notes["fireflies takes"] = PAGE // 4
    async with fireflies.api() as api:
        assert {item.external_id for item in await fireflies.items(api, fireflies.recent(10))} == wanted
        notes["fireflies takes"] = 0
        with pytest.raises(TransientFault):
            await fireflies.items(api, fireflies.recent(10))


async def test_a_page_that_never_changes_does_not_make_an_endless_listing(fireflies: Vendor) -> None:
    fireflies.add(*some_calls(fireflies, 3 * PAGE, 8))
    fireflies.order("repeat_page", times=50)
    async with fireflies.api() as api:
        with pytest.raises(TransientFault, match="cannot be read"):
            await fireflies.items(api, fireflies.recent(10))


async def test_the_exact_start_decides_although_the_vendor_lists_by_a_coarser_one(fireflies: Vendor) -> None:
    hour = fireflies.before(days=3).replace(minute=0, second=0)
    early, late = (a_call(number, hour + timedelta(minutes=minutes)) for number, minutes in ((1, 10), (2, 50)))
    fireflies.add(early)
    wanted = fireflies.add(late)
    async with fireflies.api() as api:
        items = await fireflies.items(api, Window(hour + timedelta(minutes=30), hour + timedelta(minutes=59)))
    assert {item.external_id for item in items} == wanted


async def test_a_meeting_in_which_nobody_spoke_is_not_waited_for(fireflies: Vendor) -> None:
    fireflies.add(a_call(1, fireflies.before(minutes=30), lines=[], has_transcript=False))
    fireflies.add(a_call(2, fireflies.before(minutes=40), has_transcript=False))
    async with fireflies.api() as api:
        silent, unwritten = [
            await fireflies.pull.fetch(api, item) for item in await fireflies.items(api, fireflies.recent(10))
        ]
    assert (silent.has_transcript, silent.waits_for) == (False, None)
    assert unwritten.waits_for == "Fireflies is still writing the transcript."


def delivered(event: Any) -> list[Received | Notice]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return read_webhook(Delivery("POST", "https://calls.example.com/x", {}, {}, body, "s", 0.0, 300))


@pytest.mark.parametrize(
    "event",
    [
        {"event": "meeting.transcribed", "timestamp": 1762185731000, "meeting_id": "01JB"},
        {"meetingId": "01JB", "eventType": "Transcription completed", "clientReferenceId": None},
    ],
)
def test_both_versions_of_the_webhook_name_the_transcript_to_read(event: Any) -> None:
    assert delivered(event) == [Notice("01JB")]


@pytest.mark.parametrize("event", [{}, {"event": "meeting.summarized", "meeting_id": "x"}, {"event": ["meeting"]}])
def test_other_events_bring_nothing(event: Any) -> None:
    assert delivered(event) == []


@pytest.mark.parametrize("event", [b"", b"{", b"[]", {"event": "meeting.transcribed", "meeting_id": 7}])
def test_an_event_that_names_nothing_is_kept_as_it_came(event: Any) -> None:
    (found,) = delivered(event)
    assert isinstance(found, Received)
    assert found.external_id.startswith("invalid-")
