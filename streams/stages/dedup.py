"""The claim rule: per call, the newest content known and the event that owns it.

    same event                      pass    redelivery, retry or replay
    same content, other event       skip    a duplicate; remembered as seen again, if later
    other content, newer            pass    an update; it takes over the claim
    other content, older            skip    the stored content is newer
    nothing known                   pass    when in doubt a call passes: the unique index is the law
    anything a replay brings        pass    history is read again in its order, and persist decides

A claim is written before the publish is acknowledged. That loses nothing, because a claim names its owner: when the
owner comes again it passes again.
"""

from collections.abc import MutableMapping
from datetime import datetime
from uuid import UUID

from schemas.calls import NO_REPLAY, Call, ClaimReleased, Event, ImportSkipped
from schemas.outcomes import Done, Next, Outcome
from schemas.topics import NORMALIZED, READY, SKIPPED, UNIQUE

Claim = dict[str, str]
"""`{"event_id", "fingerprint", "observed_at"}`, and `replay_id` of content that a replay mapped. Plain JSON, because
the table and its changelog hold JSON."""


def dedup(event: Event, claims: MutableMapping[str, Claim], now: datetime) -> Outcome:
    """Decide one event and update its claim. Must run in the event's own turn: the table's partition is the event's."""
    key = event.key.decode()
    claim = claims.get(key)
    if isinstance(event, ClaimReleased):
        if claim and claim["event_id"] == str(event.event_id):
            claims.pop(key)
        return Done()
    assert isinstance(event, Call)  # noqa: S101 - the topic's model table says so
    if event.replay_id is not None:
        return _replayed(event, claim, claims)
    if claim is None or claim["event_id"] == str(event.event_id):
        if claim is None:
            claims[key] = claim_of(event)
        return Next([(READY if event.has_transcript else UNIQUE, event)])
    owner = UUID(claim["event_id"])
    if claim["fingerprint"] == event.fingerprint:
        if event.observed_at > _order(claim)[0]:
            claims[key] = claim | {"observed_at": event.observed_at.isoformat()}
        return Next([(SKIPPED, skipped(event, "already_imported", owner, now))])
    if event.order > _order(claim):
        claims[key] = claim_of(event)
        return Next([(READY if event.has_transcript else UNIQUE, event)])
    return Next([(SKIPPED, skipped(event, "older_than_stored", owner, now))])


def _replayed(call: Call, claim: Claim | None, claims: MutableMapping[str, Claim]) -> Outcome:
    """A replayed call always passes. It takes the claim over where persist would let it replace what is stored."""
    key = call.key.decode()
    if claim is None or (claim["fingerprint"] != call.fingerprint and call.order > _order(claim)):
        claims[key] = claim_of(call)
    elif claim["event_id"] == str(call.event_id) and claim["fingerprint"] != call.fingerprint:
        replay = UUID(claim["replay_id"]) if "replay_id" in claim else NO_REPLAY
        if call.replay_id is not None and call.replay_id > replay:
            claims[key] = claim_of(call) | {"observed_at": max(call.observed_at, _order(claim)[0]).isoformat()}
    return Next([(READY if call.has_transcript else UNIQUE, call)])


def claim_of(call: Call) -> Claim:
    """The claim that `call` makes on its key."""
    claim = {
        "event_id": str(call.event_id),
        "fingerprint": call.fingerprint,
        "observed_at": call.observed_at.isoformat(),
    }
    return claim | {"replay_id": str(call.replay_id)} if call.replay_id else claim


def _order(claim: Claim) -> tuple[datetime, str]:
    """As `Call.order`, of the content that the claim stands for."""
    return (datetime.fromisoformat(claim["observed_at"]), claim["fingerprint"])


def skipped(call: Call, reason: str, owner: UUID | None, now: datetime, stage: str = "dedup") -> ImportSkipped:
    """The outcome of a call that brings nothing new."""
    return ImportSkipped(
        **call.identity(),
        reason=reason,
        fingerprint=call.fingerprint,
        owner_event_id=owner,
        stage=stage,
        skipped_at=now,
    )


def erased(call: Call, now: datetime, stage: str) -> Next:
    """The outcome of a call that was erased. Its claim ends, or the same call once more would pass for a duplicate."""
    released = ClaimReleased(**call.identity())
    return Next([(NORMALIZED, released), (SKIPPED, skipped(call, "erased", None, now, stage))])
