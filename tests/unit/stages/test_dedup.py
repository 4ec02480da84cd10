"""The claim rule: the newest content of a call always passes, a duplicate never costs it anything."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calls import Call, ClaimReleased, ImportSkipped
from schemas.outcomes import Done, Next, Outcome
from schemas.topics import READY, SKIPPED, UNIQUE
from streams.stages.dedup import Claim, claim_of, dedup

START = datetime(2026, 5, 4, 10, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def call(event: int, fingerprint: str = "a", minute: int = 0, external_id: str = "x", text: str | None = "Hi.") -> Call:
    return Call(
        event_id=UUID(int=event), workspace_id=UUID(int=1), source_app="generic", external_id=external_id,
        job_id=UUID(int=9), observed_at=START + timedelta(minutes=minute), received_at=START, title="T",
        full_transcript=text, fingerprint=fingerprint,
    )  # fmt: skip


def release(event: int) -> ClaimReleased:
    return ClaimReleased(
        event_id=UUID(int=event), workspace_id=UUID(int=1), source_app="generic", external_id="x",
        observed_at=START, received_at=START,
    )  # fmt: skip


def passes(outcome: Outcome) -> bool:
    """Whether the event goes on; it has exactly one outcome either way."""
    assert isinstance(outcome, Next)
    ((topic, _),) = outcome.events
    return topic is not SKIPPED


def why_skipped(outcome: Outcome) -> tuple[str, UUID | None]:
    assert isinstance(outcome, Next)
    ((topic, event),) = outcome.events
    assert topic is SKIPPED
    assert isinstance(event, ImportSkipped)
    return event.reason, event.owner_event_id


def test_an_unknown_call_passes_and_is_claimed() -> None:
    claims: dict[str, Claim] = {}
    assert dedup(call(1), claims, NOW) == Next([(READY, call(1))])
    assert claims == {call(1).key.decode(): claim_of(call(1))}


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_a_call_without_a_transcript_goes_to_speech_to_text(text: str | None) -> None:
    assert dedup(call(1, text=text), {}, NOW) == Next([(UNIQUE, call(1, text=text))])


def test_the_same_event_passes_again_and_again() -> None:
    claims: dict[str, Claim] = {}
    for _ in range(3):
        assert passes(dedup(call(1), claims, NOW))
    assert claims == {call(1).key.decode(): claim_of(call(1))}


def test_a_duplicate_is_skipped_and_names_the_owner_and_its_job() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    outcome = dedup(call(2, minute=-5), claims, NOW)
    assert why_skipped(outcome) == ("already_imported", UUID(int=1))
    assert isinstance(outcome, Next)
    skip = outcome.events[0][1]
    assert isinstance(skip, ImportSkipped)
    assert (skip.event_id, skip.job_id, skip.stage, skip.skipped_at) == (UUID(int=2), UUID(int=9), "dedup", NOW)
    assert claims == {call(1).key.decode(): claim_of(call(1))}, "an earlier sight teaches nothing"


def test_newer_content_passes_and_takes_over() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    assert passes(dedup(call(2, "b", 1), claims, NOW))
    assert claims[call(1).key.decode()]["event_id"] == str(UUID(int=2))
    assert why_skipped(dedup(call(1), claims, NOW)) == ("older_than_stored", UUID(int=2)), "an old redelivery"


def test_older_content_is_skipped() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1, "a", 5), claims, NOW)
    assert why_skipped(dedup(call(2, "b", 4), claims, NOW)) == ("older_than_stored", UUID(int=1))


def test_content_seen_at_the_same_time_is_ordered_by_fingerprint() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1, "b"), claims, NOW)
    assert not passes(dedup(call(2, "a"), claims, NOW))
    assert passes(dedup(call(3, "c"), claims, NOW))


def test_content_seen_again_later_is_not_overwritten_by_what_was_seen_in_between() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1, "a", 0), claims, NOW)
    dedup(call(2, "a", 9), claims, NOW)
    assert claims[call(1).key.decode()]["event_id"] == str(UUID(int=1)), "the owner stays"
    assert not passes(dedup(call(3, "b", 5), claims, NOW))
    assert passes(dedup(call(4, "b", 10), claims, NOW))


def test_calls_of_other_sources_and_workspaces_are_other_calls() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    assert passes(dedup(call(2).model_copy(update={"source_app": "fathom"}), claims, NOW))
    assert passes(dedup(call(3).model_copy(update={"workspace_id": UUID(int=2)}), claims, NOW))
    assert passes(dedup(call(4, external_id="y"), claims, NOW))


def test_a_released_claim_lets_the_call_come_again() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    assert dedup(release(1), claims, NOW) == Done()
    assert claims == {}
    assert dedup(release(1), claims, NOW) == Done(), "a redelivered release"
    assert passes(dedup(call(2), claims, NOW))


def test_only_the_owner_can_release() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    dedup(call(2, "b", 1), claims, NOW)
    assert dedup(release(1), claims, NOW) == Done()
    assert not passes(dedup(call(3, "b", 0), claims, NOW))


def test_a_claim_is_json_with_the_time_zone_kept() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1), claims, NOW)
    kept: dict[str, Claim] = json.loads(json.dumps(claims))
    assert kept == claims
    assert not passes(dedup(call(2, "b", -1), kept, NOW))


SIGHTS = st.tuples(st.sampled_from("abc"), st.integers(0, 6))
"""A content and the minute it was seen in."""


@st.composite
def deliveries(draw: st.DrawFn) -> list[Call]:
    """Events of one call in any order, any of them delivered more than once."""
    sights = draw(st.lists(SIGHTS, min_size=1, max_size=7))
    events = [call(number, *sight) for number, sight in enumerate(sights, 1)]
    again = draw(st.lists(st.sampled_from(events), max_size=7))
    return draw(st.permutations(events + again))


@given(deliveries())
def test_in_any_order_with_any_repeats_the_newest_content_passes_and_keeps_the_claim(events: Sequence[Call]) -> None:
    claims: dict[str, Claim] = {}
    passed: list[Call] = []
    for event in events:
        if passes(dedup(event, claims, NOW)):
            passed.append(event)
        claims = json.loads(json.dumps(claims))
    newest = max(events, key=lambda event: event.order)
    (claim,) = claims.values()
    assert passed[0] == events[0], "when in doubt a call passes"
    assert newest.fingerprint in {event.fingerprint for event in passed}
    assert claim["fingerprint"] == newest.fingerprint
    assert datetime.fromisoformat(claim["observed_at"]) == newest.observed_at
    owner = next(event for event in events if str(event.event_id) == claim["event_id"])
    assert owner in passed, "the owner has gone on, so nobody waits for what will not come"
    assert passes(dedup(owner, claims, NOW)), "and it goes on again when it comes again"
    assert owner.fingerprint == newest.fingerprint


@given(deliveries(), st.integers(0, 14))
def test_a_crash_between_claim_and_publish_loses_nothing(events: Sequence[Call], crash: int) -> None:
    """The claims are kept; what was to be published after the crash is not, and all of it comes again."""
    claims: dict[str, Claim] = {}
    published = [event for event in events[:crash] if passes(dedup(event, claims, NOW))]
    for event in events[crash:]:
        dedup(event, claims, NOW)  # claimed, and then killed before the publish
    published += [event for event in events[crash:] if passes(dedup(event, claims, NOW))]
    newest = max(events, key=lambda event: event.order)
    assert newest.fingerprint in {event.fingerprint for event in published}


@given(deliveries(), st.data())
def test_lost_claims_let_more_pass_and_never_less(events: Sequence[Call], data: st.DataObject) -> None:
    claims: dict[str, Claim] = {}
    passed = []
    for event in events:
        if data.draw(st.booleans()):
            claims.clear()
        if passes(dedup(event, claims, NOW)):
            passed.append(event)
    newest = max(events, key=lambda event: event.order)
    assert newest.fingerprint in {event.fingerprint for event in passed}


def replayed(of: Call, replay: int, fingerprint: str | None = None) -> Call:
    """The same event again, by a replay, perhaps as a mended mapping sees it."""
    return of.model_copy(update={"replay_id": UUID(int=replay), "fingerprint": fingerprint or of.fingerprint})


def test_whatever_a_replay_brings_passes() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(2, "b", 5), claims, NOW)
    before = dict(claims)
    for again in (call(1, "a", 1), call(2, "b", 5), call(3, "b", 7)):
        assert passes(dedup(replayed(again, 1), claims, NOW)), "persist decides, from history in its own order"
    assert claims == before, "nothing new, nothing claimed"


def test_a_mended_mapping_takes_over_its_own_events_claim_and_keeps_when_it_was_seen() -> None:
    claims: dict[str, Claim] = {}
    dedup(call(1, "a"), claims, NOW)
    dedup(call(2, "a", 8), claims, NOW)
    assert passes(dedup(replayed(call(1, "a"), 1, "mended"), claims, NOW))
    assert why_skipped(dedup(call(3, "b", 7), claims, NOW)) == ("older_than_stored", UUID(int=1))
    assert why_skipped(dedup(call(4, "mended", 9), claims, NOW)) == ("already_imported", UUID(int=1))


def test_an_earlier_replay_never_takes_over_from_a_later_one() -> None:
    claims: dict[str, Claim] = {}
    dedup(replayed(call(1), 2, "later"), claims, NOW)
    assert passes(dedup(replayed(call(1), 1, "earlier"), claims, NOW))
    assert next(iter(claims.values()))["fingerprint"] == "later"
