"""Any order, any duplication, any interleaving of crashes, failures and retries ends in the same rows: the newest.

The stages and the SQL are the real ones; only Kafka is played here, by lists from which anything may be taken, in any
order, once or twice.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.calls import Call, ImportCompleted, ImportSkipped
from schemas.dead_letter import Death, Headers, headers_of
from schemas.topics import DEAD, NORMALIZED, READY, SKIPPED, Topic
from streams.io import clock, failed_imports
from streams.io.bus import REPLAY_ID, Bus, attempt_of, header
from streams.io.outcomes import record_skips
from streams.io.recordings import Stored, store
from streams.stages.dedup import Claim, dedup
from streams.stages.persist import persist
from tests.property.conftest import World

pytestmark = pytest.mark.database
T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCHEDULE, MAX_ATTEMPTS = (300,), 8

Version = tuple[int, str]
"""When the content was seen, and what it was."""
Row = tuple[datetime, str, str]
"""When the stored content was seen, its fingerprint, its transcript."""
STEPS = (
    "dedup", "dedup again", "dedup crash", "dedup dies", "persist", "persist", "persist again", "persist dies",
    "outcome", "outcome again", "retry",
)  # fmt: skip
VERSIONS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=5)
CALLS = st.lists(VERSIONS, min_size=1, max_size=2)
CHANGED_BACK = [(1, "a"), (3, "a"), (2, "b")]
EACH_CONTENT_ONCE = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcdef")), min_size=1, max_size=5, unique_by=lambda v: v[1]),
    min_size=1, max_size=2,
)  # fmt: skip


def choices(*more: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    """What happens, and to which of the candidates."""
    return st.lists(st.tuples(st.sampled_from(STEPS + more), st.integers(0, 9)), max_size=25)


@dataclass
class Play(Bus):
    """The pipeline from dedup on, a step at a time. As a bus it takes the events that are retried."""

    world: World
    calls: dict[tuple[UUID, UUID | None], Call]
    normalized: list[tuple[Call, int]] = field(default_factory=list)
    ready: list[tuple[Call, int]] = field(default_factory=list)
    skipped: list[ImportSkipped] = field(default_factory=list)
    claims: dict[str, Claim] = field(default_factory=dict)
    let_through: list[Call] = field(default_factory=list)
    stored: list[tuple[str, Stored]] = field(default_factory=list)
    completed: list[ImportCompleted] = field(default_factory=list)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """A retry: the event is on its topic once more."""
        replay = header(headers, REPLAY_ID)
        call = self.calls[UUID(header(headers, "ce_id")), UUID(replay) if replay else None]
        assert (key, value) == (call.key, call.model_dump_json().encode())
        (self.normalized if topic == NORMALIZED.name else self.ready).append((call, attempt_of(headers)))

    async def step(self, what: str, which: int) -> None:
        """Let one thing happen, if there is anything it can happen to."""
        name, _, how = what.partition(" ")
        if name == "forget":
            self.claims.pop(sorted(self.claims)[which % len(self.claims)] if self.claims else "", None)
        elif name == "retry":
            await self.retry(which)
        elif name == "outcome" and self.skipped:
            skip = _take(self.skipped, which, keep=how == "again")
            await record_skips(self.world.pool, [skip])
        elif name == "dedup" and self.normalized:
            await self.dedup(which, how)
        elif name == "persist" and self.ready:
            await self.persist(which, how)

    async def dedup(self, which: int, how: str) -> None:
        """One event at dedup. A crash comes after the claim is written and before anything is published."""
        call, attempt = _take(self.normalized, which, keep=how in ("again", "crash"))
        if how == "dies":
            await self.die(call, attempt, NORMALIZED)
            return
        outcome = dedup(call, self.claims, T0)
        if how != "crash":
            self.publish(outcome, attempt)

    async def persist(self, which: int, how: str) -> None:
        """One event at persist, in a batch with one of another call if there is one."""
        call, attempt = _take(self.ready, which, keep=how == "again")
        if how == "dies":
            await self.die(call, attempt, READY)
            return
        other = next((one for one in self.ready if one[0].external_id != call.external_id), None)
        batch = [(call, attempt)]
        if other:
            self.ready.remove(other)
            batch.append(other)
        self.let_through += [one for one, _ in batch]
        found = await store(self.world.pool, [one for one, _ in batch])
        for (one, its_attempt), stored in zip(batch, found, strict=True):
            self.stored.append((one.external_id, stored))
            self.publish(await persist(one, _ready(stored), T0), its_attempt)

    def publish(self, outcome: Any, attempt: int) -> None:
        """What a stage gave out, on its topic."""
        for topic, event in outcome.events:
            if topic is SKIPPED:
                self.skipped.append(event)
            elif topic is READY:
                self.ready.append((event, attempt))
            else:
                self.completed.append(event)

    def replay(self, mapped: Callable[[str], str]) -> None:
        """Everything once more from the archive, by a mapping that may have changed."""
        replay_id = clock.new_id()
        for call in [call for (_, replay), call in self.calls.items() if replay is None]:
            content = mapped(call.title)
            again = call.model_copy(
                update={"replay_id": replay_id, "fingerprint": content, "full_transcript": f"Transcript {content}"}
            )
            self.calls[again.event_id, replay_id] = again
            self.normalized.append((again, 1))

    async def die(self, call: Call, attempt: int, topic: Topic) -> None:
        """A transient fault that did not go away."""
        death = Death("stage", "transient", "busy", "Busy.", "", topic.name, 0, 0, attempt, T0)
        headers = [("ce_id", str(call.event_id).encode()), ("attempt", str(attempt).encode())]
        if call.replay_id:
            headers.append((REPLAY_ID, str(call.replay_id).encode()))
        await failed_imports.record(
            self.world.pool, key=call.key, value=call.model_dump_json().encode(), headers=headers_of(death, headers),
            at=(DEAD.name, 0, 0), schedule=SCHEDULE, max_attempts=MAX_ATTEMPTS,
        )  # fmt: skip

    async def waiting(self, *states: str) -> list[UUID]:
        """The failed imports of these calls in these states."""
        rows = await self.world.pool.fetch(
            "SELECT failed_import_id FROM failed_imports WHERE event_id = ANY($1::uuid[]) AND status = ANY($2::text[])"
            " ORDER BY failed_import_id",
            [event_id for event_id, _ in self.calls], list(states),
        )  # fmt: skip
        return [row["failed_import_id"] for row in rows]

    async def retry(self, which: int) -> None:
        """Retry one failed import."""
        waiting = await self.waiting("open", "parked", "retrying")
        if waiting:
            chosen = waiting[which % len(waiting)]
            await failed_imports.retry(self.world.pool, self, self.world.workspace_id, chosen)

    async def work(self, steps: list[tuple[str, int]], seed: int) -> None:
        """Take these steps, then let everything come to an end."""
        for what, which in steps:
            await self.step(what, which)
        await self.drain(random.Random(seed))

    async def drain(self, chance: random.Random) -> None:
        """Let everything come to an end; whatever failed is retried for as long as it is in the view."""
        for _ in range(200):
            able = [
                name for name, there in (("dedup", self.normalized), ("persist", self.ready), ("outcome", self.skipped))
                if there
            ]  # fmt: skip
            if able:
                await self.step(chance.choice(able), chance.randrange(10))
            elif await self.waiting("open", "parked", "retrying"):
                await self.retry(chance.randrange(10))
            else:
                return
        raise AssertionError("it never comes to an end")

    async def rows(self) -> dict[str, Row]:
        """What is stored, by external id: its order, and its transcript."""
        names = list({call.external_id for call in self.calls.values()})
        rows = await self.world.pool.fetch(
            "SELECT external_id, observed_at, fingerprint, full_transcript FROM recordings"
            " WHERE external_id = ANY($1::text[])",
            names,
        )
        found = {row["external_id"]: (row["observed_at"], row["fingerprint"], row["full_transcript"]) for row in rows}
        assert len(found) == len(rows) == len(names)
        ids = await self.world.pool.fetch(
            "SELECT external_id, import_id, recording_id, status FROM imported_calls"
            " WHERE external_id = ANY($1::text[])",
            names,
        )
        assert {row["status"] for row in ids} <= {"imported", "updated"}
        known = {row["external_id"]: (row["import_id"], row["recording_id"]) for row in ids}
        for name, stored in self.stored:
            assert stored.recording_id == known[name][1]
            assert stored.import_id in (None, known[name][0]), "the import id of a call never changes"
        return found


def _take(waiting: list[Any], which: int, *, keep: bool) -> Any:
    return waiting[which % len(waiting)] if keep else waiting.pop(which % len(waiting))


def _ready(stored: Stored) -> Callable[[Call], Any]:
    async def answer(_: Call) -> Stored:
        return stored

    return answer


def play(world: World, versions: list[list[Version]], steps: list[tuple[str, int]], seed: int) -> Play:
    """Run it all to the end."""
    calls = {}
    for of_one_call in versions:
        name = f"call-{next(world.numbers)}"
        for at, content in of_one_call:
            call = Call(
                event_id=clock.new_id(), workspace_id=world.workspace_id, source_app="generic", external_id=name,
                observed_at=T0 + timedelta(seconds=at), received_at=T0, title=content, fingerprint=content,
                full_transcript=f"Transcript {content}",
            )  # fmt: skip
            calls[call.event_id, call.replay_id] = call
    found = Play(world, calls, [(call, 1) for call in calls.values()])

    world.run(found.work(steps, seed))
    return found


async def whole_rows(found: Play) -> list[tuple[Any, ...]]:
    """Everything a row holds, but when it was last seen."""
    rows = await found.world.pool.fetch(
        "SELECT * FROM recordings WHERE external_id = ANY($1::text[]) ORDER BY external_id",
        [call.external_id for call in found.calls.values()],
    )
    return [tuple(value for name, value in row.items() if name != "observed_at") for row in rows]


def newest(calls: Any) -> dict[str, Row]:
    """The newest content of each call."""
    found: dict[str, Call] = {}
    for call in calls:
        if call.external_id not in found or call.order > found[call.external_id].order:
            found[call.external_id] = call
    return {name: (*call.order, call.full_transcript or "") for name, call in found.items()}


@settings(max_examples=70, deadline=None)
@given(versions=CALLS, steps=choices(), seed=st.integers(0, 999))
@example(versions=[CHANGED_BACK], steps=[("dedup", 0), ("dedup", 0), ("outcome", 0)], seed=0)
@example(versions=[CHANGED_BACK], steps=[("dedup", 2), ("dedup", 0), ("persist dies", 1), ("persist", 0)], seed=0)
@example(versions=[[(0, "b"), (0, "a")]], steps=[("dedup", 1), ("dedup", 0)], seed=0)
def test_every_order_ends_in_the_newest_content(
    world: World, versions: list[list[Version]], steps: list[tuple[str, int]], seed: int
) -> None:
    """The content, not always the time when it was last seen: a duplicate may be booked before its owner is stored."""
    found = play(world, versions, steps, seed)
    stored, wanted = world.run(found.rows()), newest(found.calls.values())
    assert {name: row[1:] for name, row in stored.items()} == {name: row[1:] for name, row in wanted.items()}
    assert all(row[0] <= wanted[name][0] for name, row in stored.items())


@settings(max_examples=50, deadline=None)
@given(versions=EACH_CONTENT_ONCE, steps=choices("forget", "forget"), seed=st.integers(0, 999))
def test_lost_claims_change_nothing(
    world: World, versions: list[list[Version]], steps: list[tuple[str, int]], seed: int
) -> None:
    found = play(world, versions, steps, seed)
    assert world.run(found.rows()) == newest(found.calls.values())


@settings(max_examples=50, deadline=None)
@given(versions=CALLS, steps=choices("forget", "forget"), seed=st.integers(0, 999))
def test_with_lost_claims_the_store_still_never_goes_back(
    world: World, versions: list[list[Version]], steps: list[tuple[str, int]], seed: int
) -> None:
    """A call that changes and then changes back (a, b, a) may stay at b when its claim is lost at the wrong moment: the
    second a was skipped for a claim that is gone. It is stored once all the same, and never older than what came in."""
    found = play(world, versions, steps, seed)
    stored, least = world.run(found.rows()), newest(found.let_through)
    assert set(stored) == {call.external_id for call in found.calls.values()}
    assert all(stored[name][:2] >= least[name][:2] for name in stored)
    assert all(text == f"Transcript {fingerprint}" for _, fingerprint, text in stored.values())


@settings(max_examples=40, deadline=None)
@given(versions=CALLS, steps=choices(), seed=st.integers(0, 999))
@example(versions=[[(0, "b"), (0, "a")]], steps=[("dedup", 0), ("dedup", 0)], seed=0)
def test_a_replay_over_a_full_library_changes_nothing_and_tells_nobody(
    world: World, versions: list[list[Version]], steps: list[tuple[str, int]], seed: int
) -> None:
    found = play(world, versions, steps, seed)
    before, told = world.run(whole_rows(found)), len(found.completed)
    found.replay(lambda content: content)
    world.run(found.work(steps, seed))
    assert (world.run(whole_rows(found)), len(found.completed)) == (before, told)


@settings(max_examples=60, deadline=None)
@given(
    versions=CALLS,
    steps=choices(),
    mappings=st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("abcdeXYZ")), min_size=1, max_size=2),
    seed=st.integers(0, 999),
)
@example(versions=[[(0, "a")]], steps=[], mappings=[{"a": "d"}], seed=0)
@example(versions=[[(1, "a"), (3, "a"), (2, "b")]], steps=[], mappings=[{"a": "d"}], seed=0)
@example(versions=[[(0, "b"), (0, "a")]], steps=[], mappings=[{"a": "X", "b": "Y"}], seed=0)
def test_after_a_replay_everything_is_as_the_last_mapping_says(
    world: World, versions: list[list[Version]], steps: list[tuple[str, int]], mappings: list[dict[str, str]], seed: int
) -> None:
    """Whatever came in, died, came again or was read twice: the newest content of each call, as it is mapped now."""
    found = play(world, versions, steps, seed)
    for mapping in mappings:
        found.replay(lambda content, mapping=mapping: mapping.get(content, content))  # type: ignore[misc]
        world.run(found.work(steps, seed))
    stored = world.run(found.rows())
    seen: dict[str, list[tuple[datetime, str]]] = {}
    for (_, replay), call in found.calls.items():
        if replay is None:
            seen.setdefault(call.external_id, []).append((call.observed_at, call.title))
    for name, contents in seen.items():
        last = max(at for at, _ in contents)
        assert stored[name][1] in {mappings[-1].get(content, content) for at, content in contents if at == last}
