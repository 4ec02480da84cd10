"""The runner: in-order acknowledgements, retries, dead letters, outages, rebalances, bounds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from schemas import dead_letter
from schemas.calls import RawCall
from schemas.dead_letter import Headers
from schemas.faults import ConfigFault, InvalidCall, OutageFault, TransientFault
from schemas.outcomes import Done, Next, Outcome
from schemas.topics import DEAD, NORMALIZED, RAW, Topic
from streams.runner import Breaker, LostRecords, Runner, Stage, Taken, backoff, death_from

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
CALL = RawCall(
    event_id=UUID(int=7), workspace_id=UUID(int=1), source_app="generic", external_id="x",
    observed_at=NOW, received_at=NOW, payload="{}",
)  # fmt: skip
VALUE = CALL.model_dump_json().encode()
HEADERS: Headers = [("ce_id", str(CALL.event_id).encode()), ("ce_type", b"io.callstream.call.raw.v1"), ("x", b"\xff\0")]


class TP(NamedTuple):
    topic: str
    partition: int


@dataclass
class FakeConsumer:
    """The world as `streams.app` shows it to the runner."""

    epoch: int = 0
    open: bool = True
    committed_at: dict[TP, int] = field(default_factory=dict)
    records: bool = True
    asked: list[tuple[TP, int, int]] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)

    def committed(self, tp: TP) -> int | None:
        return self.committed_at.get(tp)

    async def has_records(self, tp: TP, first: int, before: int) -> bool:
        self.asked.append((tp, first, before))
        await asyncio.sleep(0)
        return self.records

    async def crash(self, reason: BaseException) -> None:
        self.crashes.append(reason)

    def rebalance(self) -> None:
        """Both steps at once: partitions are taken away, and Faust has emptied its queues."""
        self.epoch += 2


@dataclass
class FakeBus:
    """A producer. `faults` are raised one after the other by what is sent next."""

    sent: list[tuple[str, bytes | None, bytes | None, Headers]] = field(default_factory=list)
    published: list[tuple[Topic, Any, Any]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await self._fail()
        self.sent.append((topic, key, value, headers))

    async def publish(self, topic: Topic, event: Any, *, carried: Any = ()) -> None:
        await self._fail()
        self.published.append((topic, event, carried))

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)


@dataclass
class World:
    """A runner, what is around it, and what it did."""

    stage: Stage
    breaker: int = 20
    consumer: FakeConsumer = field(default_factory=FakeConsumer)
    bus: FakeBus = field(default_factory=FakeBus)
    acked: list[tuple[TP, int]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    store: Any = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        bus: Any = self.bus
        self.runner = Runner(self.stage, bus, self.store, self.consumer, breaker=self.breaker, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.blocked.append(self.runner.blocked)
        await asyncio.sleep(0)

    def event(self, offset: int, partition: int = 0, **message: Any) -> Any:
        tp = TP(self.stage.reads.name, partition)
        fields = {"key": b"k", "value": VALUE, "headers": HEADERS, **message}
        return SimpleNamespace(
            message=SimpleNamespace(tp=tp, partition=partition, offset=offset, **fields),
            settle=lambda: self.acked.append((tp, offset)),
        )

    async def take(self, *offsets: int, partition: int = 0, **message: Any) -> None:
        for offset in offsets:
            await self.runner.take(self.event(offset, partition, **message))

    @property
    def offsets(self) -> list[int]:
        return [offset for _, offset in self.acked]

    async def idle(self) -> None:
        """Let everything that can go on go on."""
        for _ in range(60):
            await asyncio.sleep(0)


class Hand:
    """A stage whose events finish when the test says so."""

    def __init__(self) -> None:
        self.doors: dict[tuple[int, int], list[asyncio.Future[Outcome]]] = {}
        self.started: list[tuple[int, int]] = []

    async def __call__(self, taken: Taken) -> Outcome:
        place = (taken.partition, taken.offset)
        door: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.started.append(place)
        self.doors.setdefault(place, []).append(door)
        return await door

    def finish(self, offset: int, partition: int = 0, result: Outcome | Exception | None = None) -> None:
        for door in self.doors.pop((partition, offset), []):
            if isinstance(result, Exception):
                door.set_exception(result)
            elif not door.done():
                door.set_result(result or Done())


def by_hand(window: int = 400) -> tuple[World, Hand]:
    hand = Hand()
    return World(Stage("test", RAW, raw=hand, window=window)), hand


def failing(*faults: Exception, breaker: int = 20) -> World:
    """A world whose stage raises these one after the other, and then is done."""
    waiting = list(faults)

    async def raw(taken: Taken) -> Outcome:
        if waiting:
            raise waiting.pop(0)
        return Done()

    return World(Stage("test", RAW, raw=raw), breaker)


def outage() -> OutageFault:
    return OutageFault("database_away", "PostgreSQL cannot be reached.")


def slow(retry_after: float | None = None) -> TransientFault:
    return TransientFault("vendor_busy", "The vendor is busy.", retry_after=retry_after)


def letter(world: World) -> dict[str, str]:
    """The `dead_*` headers of the only dead letter."""
    assert [topic for topic, *_ in world.bus.sent] == [DEAD.name]
    return {name: value.decode() for name, value in world.bus.sent[0][3] if name.startswith(dead_letter.PREFIX)}


# Acknowledging


async def test_an_event_is_acked_only_when_all_before_it_are_done() -> None:
    world, hand = by_hand()
    await world.take(0, 1, 2)
    await world.idle()
    hand.finish(2)
    hand.finish(1)
    await world.idle()
    assert world.offsets == []
    hand.finish(0)
    await world.idle()
    assert world.offsets == [0, 1, 2]


async def test_partitions_do_not_wait_for_each_other() -> None:
    world, hand = by_hand()
    await world.take(0, 1, partition=0)
    await world.take(0, partition=1)
    await world.idle()
    hand.finish(0, partition=1)
    await world.idle()
    assert world.acked == [(TP(RAW.name, 1), 0)]


async def test_nothing_is_acked_before_the_broker_has_what_follows() -> None:
    gate = asyncio.Event()

    async def run(event: Any, taken: Taken) -> Outcome:
        return Next([(NORMALIZED, event), (NORMALIZED, event)])

    world = World(Stage("test", RAW, run=run))
    publish = world.bus.publish

    async def held(*args: Any, **kwargs: Any) -> None:
        await gate.wait()
        await publish(*args, **kwargs)

    world.bus.publish = held  # type: ignore[method-assign]
    await world.take(0)
    await world.idle()
    assert world.offsets == []
    gate.set()
    await world.idle()
    assert world.offsets == [0]
    assert [(topic, event) for topic, event, _ in world.bus.published] == [(NORMALIZED, CALL)] * 2
    assert world.bus.published[0][2] == HEADERS, "trace and attempt are carried from the event that led to it"


async def test_what_was_taken_before_a_rebalance_is_never_acked() -> None:
    world, hand = by_hand()
    await world.take(0, 1)
    await world.idle()
    world.consumer.rebalance()
    hand.finish(0)
    hand.finish(1)
    await world.idle()
    await world.take(0)
    await world.idle()
    hand.finish(0)
    await world.idle()
    assert world.offsets == [0], "only the event that came again"


async def test_nothing_is_acked_from_the_first_sign_of_a_rebalance_on() -> None:
    world, hand = by_hand()
    await world.take(0)
    await world.idle()
    world.consumer.epoch += 1  # the first sign, from the consumer's thread
    world.consumer.open = False
    await world.take(1, 2)  # were in the queue still; after an event that is no longer in the books, no hole either
    await world.idle()
    assert hand.started == [(0, 0)]
    hand.finish(0)
    await world.idle()
    assert (world.offsets, world.consumer.crashes) == ([], [])
    world.consumer.epoch += 1  # Faust has emptied its queues
    world.consumer.open = True
    await world.idle()
    assert world.offsets == []
    await world.take(0, 1)
    await world.idle()
    hand.finish(1)
    hand.finish(0)
    await world.idle()
    assert world.offsets == [0, 1]


async def test_an_event_that_waited_for_room_when_a_rebalance_came_is_dropped() -> None:
    """It lies ahead of the committed offset, which is no hole: it comes again. A crash here would lead to the next
    rebalance, and that to the next crash."""
    world, hand = by_hand(window=1)
    await world.take(0)
    await world.idle()
    waiting = asyncio.create_task(world.take(1))
    await world.idle()
    assert not waiting.done()
    world.consumer.rebalance()
    hand.finish(0)  # wakes whoever waits for room
    await waiting
    await world.idle()
    assert world.consumer.crashes == []
    assert hand.started == [(0, 0)]
    await world.take(0)
    await world.idle()
    hand.finish(0)
    await world.take(1)
    await world.idle()
    hand.finish(1)
    await world.idle()
    assert world.offsets == [0, 1]


async def test_an_event_is_dropped_when_a_rebalance_comes_while_the_broker_is_asked_about_a_hole() -> None:
    world, hand = by_hand()
    world.consumer.committed_at[TP(RAW.name, 0)] = 5
    taking = asyncio.create_task(world.take(9))
    await asyncio.sleep(0)
    assert world.consumer.asked
    world.consumer.rebalance()
    await taking
    assert (hand.started, world.consumer.crashes) == ([], [])


@dataclass
class Model:
    """A broker, Faust and an agent, reduced to what matters: redelivery from the committed offset after a rebalance."""

    world: World
    hand: Hand
    partitions: int
    read: list[int] = field(default_factory=list)
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    flying: list[tuple[int, int, int]] = field(default_factory=list)
    """(epoch, partition, offset) of every event handed to the agent."""
    finished: set[tuple[int, int, int]] = field(default_factory=set)
    acked: list[set[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.read = [0] * self.partitions
        self.acked = [set() for _ in range(self.partitions)]

    async def agent(self) -> None:
        while True:
            await self.world.runner.take(await self.queue.get())

    def deliver(self, partition: int) -> None:
        offset, epoch = self.read[partition], self.world.consumer.epoch
        self.read[partition] += 1
        event = self.world.event(offset, partition)
        event.settle = lambda: self.check(epoch, partition, offset)
        self.flying.append((epoch, partition, offset))
        self.queue.put_nowait(event)

    def check(self, epoch: int, partition: int, offset: int) -> None:
        consumer = self.world.consumer
        assert consumer.open
        assert epoch == consumer.epoch, "acked an event of before the rebalance"
        earlier = {o for e, p, o in self.flying if e == epoch and p == partition and o < offset}
        assert earlier <= self.acked[partition], "acked an event while an earlier one is open"
        self.acked[partition].add(offset)

    def finish(self, number: int) -> None:
        """Finish one of the started events, whichever epoch it is of."""
        if self.hand.doors:
            partition, offset = list(self.hand.doors)[number % len(self.hand.doors)]
            self.hand.finish(offset, partition)

    def rebalance(self, whole: bool) -> None:
        consumer = self.world.consumer
        if whole or consumer.open:
            consumer.epoch += 1
            consumer.open = False
        if whole or not consumer.open:
            while not self.queue.empty():
                self.queue.get_nowait()
            for partition in range(self.partitions):
                done = self.acked[partition]
                self.read[partition] = next(o for o in range(10_000) if o not in done)
                self.world.consumer.committed_at[TP(RAW.name, partition)] = self.read[partition]
            consumer.epoch += 1
            consumer.open = True


ACTIONS = st.one_of(
    st.tuples(st.just("deliver"), st.integers(0, 2)),
    st.tuples(st.just("finish"), st.integers(0, 20)),
    st.tuples(st.just("rebalance"), st.just(0)),
    st.tuples(st.just("first sign"), st.just(0)),
    st.tuples(st.just("breathe"), st.just(0)),
)


@given(st.lists(ACTIONS, max_size=60), st.sampled_from([1, 2, 400]))
@settings(deadline=None, max_examples=150)
def test_acks_stay_in_order_whatever_finishes_when_and_whatever_rebalances(
    actions: Sequence[tuple[str, int]], window: int
) -> None:
    async def play() -> None:
        world, hand = by_hand(window)
        model = Model(world, hand, partitions=3)
        agent = asyncio.create_task(model.agent())
        for action, number in actions:
            match action:
                case "deliver" if world.consumer.open:
                    model.deliver(number)
                case "finish":
                    model.finish(number)
                case "rebalance":
                    model.rebalance(whole=True)
                case "first sign" if world.consumer.open:
                    world.consumer.epoch += 1
                    world.consumer.open = False
                case "breathe":
                    await world.idle()
        model.rebalance(whole=True)
        target = [max((o for _, p, o in model.flying if p == partition), default=-1) for partition in range(3)]
        for partition in range(3):
            while model.read[partition] <= target[partition]:
                model.deliver(partition)
        for _ in range(2000):
            await world.idle()
            model.finish(0)
            if all(model.acked[p] >= set(range(target[p] + 1)) for p in range(3)):
                break
            if not hand.doors and world.runner._running:
                await asyncio.sleep(0.01)
        assert not agent.done(), agent
        assert world.consumer.crashes == []
        assert [sorted(acked) for acked in model.acked] == [list(range(last + 1)) for last in target]
        agent.cancel()
        await world.runner.stop()

    with asyncio.Runner() as loop:
        loop.run(play())


# Holes and re-reads


async def test_a_hole_that_holds_records_ends_the_process() -> None:
    world, hand = by_hand()
    await world.take(0, 1)
    with pytest.raises(LostRecords, match="got 5 where 2 was expected"):
        await world.take(5)
    assert [type(crash) for crash in world.consumer.crashes] == [LostRecords]
    assert world.consumer.asked == [(TP(RAW.name, 0), 2, 5)]
    assert (0, 5) not in hand.started


async def test_a_hole_without_records_is_a_compaction_or_a_transaction_mark() -> None:
    world, hand = by_hand()
    world.consumer.records = False
    await world.take(0, 3, 4)
    await world.idle()
    for offset in (4, 3, 0):
        hand.finish(offset)
    await world.idle()
    assert world.offsets == [0, 3, 4]
    assert world.consumer.asked == [(TP(RAW.name, 0), 1, 3)]


async def test_the_first_event_is_expected_at_the_committed_offset() -> None:
    world, _ = by_hand()
    world.consumer.committed_at = {TP(RAW.name, 0): 7, TP(RAW.name, 1): 7}
    await world.take(7)
    assert world.consumer.asked == []
    with pytest.raises(LostRecords):
        await world.take(8, partition=1)


async def test_without_a_committed_offset_the_first_event_is_expected_at_the_start() -> None:
    world, _ = by_hand()
    with pytest.raises(LostRecords, match="got 3 where 0 was expected"):
        await world.take(3)


async def test_a_partition_read_again_starts_its_books_anew() -> None:
    world, hand = by_hand()
    await world.take(0, 1, 2)
    await world.idle()
    await world.take(0)  # the same epoch: a seek back to the committed offset
    await world.idle()
    first, again = hand.doors.pop((0, 0))
    first.set_result(Done())
    hand.finish(1)
    await world.idle()
    assert world.offsets == [], "the first reading is void"
    again.set_result(Done())
    await world.idle()
    assert world.offsets == [0]
    await world.take(1, 2)
    assert world.consumer.crashes == []


# Retries, outages, dead letters


async def test_a_transient_fault_is_retried_in_place() -> None:
    world = failing(slow(), slow(retry_after=3.0))
    await world.take(0)
    await world.idle()
    assert world.offsets == [0]
    assert world.pauses == [0.5, 3.0]
    assert world.bus.sent == []


async def test_five_tries_then_a_dead_letter() -> None:
    world = failing(*[slow() for _ in range(9)])
    await world.take(0)
    await world.idle()
    assert world.pauses == [0.5, 1.0, 2.0, 4.0]
    assert world.offsets == [0]
    assert letter(world)["dead_kind"] == "transient"
    assert letter(world)["dead_reason"] == "vendor_busy"


async def test_a_wait_of_more_than_a_minute_is_left_to_the_retry_schedule() -> None:
    world = failing(slow(retry_after=61))
    await world.take(0)
    await world.idle()
    assert world.pauses == []
    assert letter(world)["dead_reason"] == "vendor_busy"
    assert world.offsets == [0]


def test_backoff_grows_and_is_bounded() -> None:
    waits = [backoff(tries) for tries in range(1, 40)]
    assert all(a <= b for a, b in pairwise(waits))
    assert (waits[0], waits[-1]) == (0.5, 30.0)


async def test_an_outage_is_waited_for_as_long_as_it_takes_with_readiness_red() -> None:
    world = failing(*[outage() for _ in range(40)])
    await world.take(0)
    for _ in range(5):
        await world.idle()
    assert world.blocked == ["database_away"] * 40
    assert max(world.pauses) <= 5.0 * 1.2
    assert world.runner.blocked == ""
    assert world.bus.sent == []
    assert world.offsets == [0]


async def test_an_outage_of_the_broker_holds_the_ack_back_until_it_is_over() -> None:
    async def run(event: Any, taken: Taken) -> Outcome:
        return Next([(NORMALIZED, event)])

    world = World(Stage("test", RAW, run=run))
    world.bus.faults = [OutageFault("broker_away", "Kafka cannot be reached.") for _ in range(3)]
    await world.take(0)
    await world.idle()
    assert (len(world.bus.published), world.offsets, world.blocked) == (1, [0], ["broker_away"] * 3)


async def test_a_dead_letter_that_cannot_be_sent_is_tried_for_ever_and_nothing_is_acked() -> None:
    world = failing(InvalidCall("bad", "Bad."))
    world.bus.faults = [OutageFault("broker_away", "Kafka cannot be reached.") for _ in range(30)]
    acked: list[list[int]] = []
    pause = world.runner.sleep

    async def watched(seconds: float) -> None:
        acked.append(list(world.offsets))
        await pause(seconds)

    world.runner.sleep = watched
    await world.take(0)
    for _ in range(5):
        await world.idle()
    assert acked == [[]] * 30
    assert world.blocked == ["broker_away"] * 30
    assert letter(world)["dead_reason"] == "bad"
    assert (world.offsets, world.runner.blocked) == ([0], "")


async def test_a_rejection_is_a_dead_letter_at_once() -> None:
    world = failing(InvalidCall("no_title", "The call has no title.", field="title", detail="more"))
    await world.take(0)
    await world.idle()
    found = letter(world)
    assert (found["dead_kind"], found["dead_reason"]) == ("rejected", "no_title")
    assert found["dead_detail"] == "field: title\nmore"
    assert (world.offsets, world.pauses) == ([0], [])


async def test_a_missing_setting_is_a_dead_letter_that_waits_for_a_person() -> None:
    world = failing(ConfigFault("no_key", "Set a key."))
    await world.take(0)
    await world.idle()
    assert (letter(world)["dead_kind"], letter(world)["dead_message"]) == ("config", "Set a key.")


async def test_a_bug_is_a_dead_letter_with_its_trace() -> None:
    world = failing(ZeroDivisionError("oh"))
    await world.take(0)
    await world.idle()
    found = letter(world)
    assert (found["dead_kind"], found["dead_reason"]) == ("bug", "internal_error")
    assert "ZeroDivisionError: oh" in found["dead_detail"]
    assert "test_runner.py" in found["dead_detail"]
    assert "ZeroDivisionError" not in found["dead_message"]
    assert world.offsets == [0]


async def test_a_run_of_bugs_on_a_partition_ends_the_process_and_the_last_is_not_acked() -> None:
    world = failing(*[KeyError(n) for n in range(20)])
    for offset in range(20):
        await world.take(offset)
        await world.idle()
    assert [type(crash) for crash in world.consumer.crashes] == [Breaker]
    assert world.offsets == list(range(19))


async def test_a_good_event_in_between_keeps_the_breaker_from_tripping() -> None:
    world = failing(*[KeyError(n) for n in range(19)])
    for offset in range(20):
        await world.take(offset)
        await world.idle()
    assert world.consumer.crashes == []
    assert world.offsets == list(range(20))


async def test_bugs_are_counted_per_partition() -> None:
    world = failing(*[KeyError(n) for n in range(4)], breaker=3)
    await world.take(0, 1, partition=0)
    await world.take(0, 1, partition=1)
    await world.idle()
    assert world.consumer.crashes == []


async def test_a_bug_in_the_runner_itself_ends_the_process_without_an_ack() -> None:
    world = failing()
    world.runner._settle = None  # type: ignore[assignment,method-assign]
    await world.take(0)
    await world.idle()
    assert [type(crash) for crash in world.consumer.crashes] == [TypeError]
    assert world.offsets == []


async def test_the_dead_letter_holds_the_untouched_bytes_key_and_headers() -> None:
    world = failing(InvalidCall("bad", "Bad."))
    original: Headers = [("b", b"2"), ("a", b"\xff\x00"), ("b", b"3"), ("attempt", b"4"), ("dead_reason", b"older")]
    await world.take(0, key=b"\xc3\x28", value=b"\x00\xfe", headers=original)
    await world.idle()
    _, key, value, headers = world.bus.sent[0]
    assert (key, value) == (b"\xc3\x28", b"\x00\xfe")
    assert headers[:4] == original[:4]
    assert [name for name, _ in headers].count("dead_reason") == 1
    found = letter(world)
    assert (found["dead_attempt"], found["dead_topic"]) == ("4", RAW.name)
    assert (found["dead_partition"], found["dead_offset"]) == ("0", "0")


async def test_a_dead_letter_too_large_to_be_sent_says_where_the_original_lies() -> None:
    too_large = InvalidCall("too_large_for_kafka", "The event is too large to be sent.")
    world = failing(InvalidCall("bad", "Bad."))
    world.bus.faults = [too_large]
    world.consumer.records = False
    await world.take(3, headers=[("h", b"1")])
    await world.idle()
    _, key, value, headers = world.bus.sent[0]
    assert (key, value, headers[0]) == (b"k", None, ("h", b"1"))
    assert "too large" in letter(world)["dead_detail"]
    assert (letter(world)["dead_reason"], letter(world)["dead_offset"]) == ("bad", "3")
    assert world.offsets == [3]


async def test_a_dead_letter_whose_key_and_headers_are_too_large_goes_without_them() -> None:
    too_large = [InvalidCall("too_large_for_kafka", "The event is too large to be sent.") for _ in range(2)]
    world = failing(InvalidCall("bad", "Bad."))
    world.bus.faults = list(too_large)
    await world.take(0)
    await world.idle()
    assert world.bus.sent[0][1:3] == (None, None)
    assert all(name.startswith(dead_letter.PREFIX) for name, _ in world.bus.sent[0][3])
    assert world.offsets == [0]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"value": b"\xff\xfe{"}, "undecodable"),
        ({"value": b"[" * 100_000}, "undecodable"),
        ({"value": b"[1, 2]"}, "wrong_shape"),
        ({"value": b"{}"}, "wrong_shape"),
        ({"value": VALUE.replace(b'"version":1', b'"version":2')}, "unknown_version"),
        ({"value": None}, "empty_event"),
        ({"value": b""}, "empty_event"),
        ({"headers": [("ce_type", b"io.callstream.call.raw.v9")]}, "unknown_type"),
        ({"headers": [("ce_type", b"\xff")]}, "unknown_type"),
        ({"headers": [("ce_dataref", b"../../secrets")]}, "bad_reference"),
        (
            {"headers": [("ce_dataref", b"claims/t/00000000-0000-0000-0000-000000000000-0123456789abcdef.json")]},
            "media_missing",
        ),
    ],
)
@pytest.mark.parametrize("in_turn", [False, True])
async def test_what_cannot_be_decoded_is_rejected_with_its_reason(
    message: dict[str, Any], reason: str, in_turn: bool
) -> None:
    async def run(event: Any, taken: Taken) -> Outcome:
        return Done()

    world = World(Stage("test", RAW, claim=lambda event: Done()) if in_turn else Stage("test", RAW, run=run))
    await world.take(0, **message)
    for _ in range(200):
        await world.idle()
        if world.acked:
            break
    assert letter(world)["dead_reason"] == reason
    assert letter(world)["dead_kind"] == "rejected"
    assert world.bus.sent[0][2] == message.get("value", VALUE)
    assert world.offsets == [0]
    await world.take(1)
    await world.idle()
    assert world.offsets == [0, 1]


@pytest.mark.parametrize("headers", [None, [], (), {}, {"ce_type": b"io.callstream.call.raw.v1"}])
async def test_headers_may_come_in_any_of_the_shapes_faust_knows(headers: Any) -> None:
    seen: list[RawCall] = []

    async def run(event: Any, taken: Taken) -> Outcome:
        seen.append(event)
        return Done()

    world = World(Stage("test", RAW, run=run))
    await world.take(0, headers=headers)
    await world.idle()
    assert (seen, world.offsets) == ([CALL], [0])


def test_an_unforeseen_exception_is_called_a_bug() -> None:
    taken = Taken(RAW, 3, 9, b"k", b"v", [])
    death = death_from(RuntimeError("x" * 50_000), "normalize", taken)
    assert (death.kind, death.topic, death.partition, death.offset, death.attempt) == ("bug", RAW.name, 3, 9, 1)
    assert len(death.detail) <= 6000


# Claims: in the event's own turn


async def test_claims_are_made_one_at_a_time_in_order_and_published_side_by_side() -> None:
    claimed: list[int] = []
    gate = asyncio.Event()

    def claim(event: Any) -> Outcome:
        claimed.append(len(claimed))
        return Next([(NORMALIZED, event)])

    world = World(Stage("dedup", RAW, claim=claim))
    publish = world.bus.publish

    async def held(*args: Any, **kwargs: Any) -> None:
        await gate.wait()
        await publish(*args, **kwargs)

    world.bus.publish = held  # type: ignore[method-assign]
    await world.take(0, 1, 2)
    assert claimed == [0, 1, 2]
    assert world.offsets == []
    gate.set()
    await world.idle()
    assert world.offsets == [0, 1, 2]


async def test_a_claim_is_made_once_even_when_its_publish_is_tried_again() -> None:
    claims: list[Any] = []

    def claim(event: Any) -> Outcome:
        claims.append(event)
        return Next([(NORMALIZED, event)])

    world = World(Stage("dedup", RAW, claim=claim))
    world.bus.faults = [OutageFault("broker_away", "Kafka cannot be reached.") for _ in range(3)]
    await world.take(0)
    await world.idle()
    assert (len(claims), world.offsets) == (1, [0])


async def test_a_bug_in_a_claim_is_a_dead_letter_and_the_next_event_goes_on() -> None:
    def claim(event: Any) -> Outcome:
        claims.append(event)
        if len(claims) == 1:
            raise ZeroDivisionError
        return Done()

    claims: list[Any] = []
    world = World(Stage("dedup", RAW, claim=claim))
    await world.take(0, 1)
    await world.idle()
    assert letter(world)["dead_kind"] == "bug"
    assert world.offsets == [0, 1]


async def test_no_claim_is_written_for_an_event_a_rebalance_took_away_while_it_was_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims: list[Any] = []

    def claim(event: Any) -> Outcome:
        claims.append(event)
        return Done()

    world = World(Stage("dedup", RAW, claim=claim))

    async def decode(*_: Any) -> RawCall:
        world.consumer.rebalance()
        return CALL

    monkeypatch.setattr("streams.runner.decode", decode)
    await world.take(0)
    await world.idle()
    assert (claims, world.offsets) == ([], [])


async def test_a_claim_waits_for_a_media_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Exception] = [OutageFault("media_store_away", "The media store cannot be reached.") for _ in range(3)]

    async def decode(*_: Any) -> RawCall:
        if faults:
            raise faults.pop()
        return CALL

    monkeypatch.setattr("streams.runner.decode", decode)
    world = World(Stage("dedup", RAW, claim=lambda event: Done()))
    await world.take(0)
    await world.idle()
    assert (world.offsets, world.blocked, world.runner.blocked) == ([0], ["media_store_away"] * 3, "")


# Bounds, rebalances while full, stopping


async def _fill(world: World, offsets: Sequence[int]) -> tuple[int, asyncio.Task[None]]:
    """Hand in events until the runner takes no more; how many it took, and the one that waits."""
    for taken, offset in enumerate(offsets):
        task = asyncio.create_task(world.take(offset))
        await world.idle()
        if not task.done():
            return taken, task
    raise AssertionError("the runner never had enough")


async def test_the_window_bounds_what_is_in_flight() -> None:
    world, hand = by_hand(window=5)
    taken, waiting = await _fill(world, range(100))
    assert taken == len(hand.started) == 5
    hand.finish(3)
    await waiting
    await world.idle()
    assert len(hand.started) == 6
    await world.runner.stop()


async def test_what_is_done_but_waits_behind_something_slow_is_bounded_too() -> None:
    world, hand = by_hand(window=5)
    await world.take(0)
    offset = 1
    while True:
        task = asyncio.create_task(world.take(offset))
        await world.idle()
        if not task.done():
            break
        hand.finish(offset)
        await world.idle()
        offset += 1
    assert sum(map(len, world.runner._flights.values())) == 5 * 4
    assert world.offsets == []
    hand.finish(0)
    await task
    await world.idle()
    assert world.offsets == list(range(20))
    await world.runner.stop()


async def test_a_rebalance_while_full_makes_room_although_nothing_finishes() -> None:
    world, hand = by_hand(window=2)
    _, waiting = await _fill(world, range(9))
    world.consumer.rebalance()
    async with asyncio.timeout(60):
        await waiting
        await world.take(0, 1)
    await world.idle()
    assert hand.started == [(0, 0), (0, 1), (0, 0), (0, 1)]
    for offset in (0, 1):
        hand.finish(offset)
    await world.idle()
    assert world.offsets == [0, 1]
    assert world.runner._running == 0


async def test_old_work_that_ends_after_a_rebalance_makes_no_room_twice() -> None:
    world, hand = by_hand(window=2)
    await world.take(0, 1)
    await world.idle()
    old = [hand.doors.pop((0, offset))[0] for offset in (0, 1)]
    world.consumer.rebalance()
    await world.take(0, 1)
    await world.idle()
    for door in old:
        door.set_result(Done())
    await world.idle()
    assert world.runner._running == 2
    waiting = asyncio.create_task(world.take(2))
    await world.idle()
    assert not waiting.done()
    waiting.cancel()
    await world.runner.stop()


async def test_a_retry_ends_when_a_rebalance_took_the_event_away() -> None:
    world = failing(*[slow() for _ in range(9)])
    pause = world.runner.sleep

    async def taken_away(seconds: float) -> None:
        world.consumer.rebalance()
        await pause(seconds)

    world.runner.sleep = taken_away
    await world.take(0)
    await world.idle()
    assert (len(world.pauses), world.bus.sent, world.offsets) == (1, [], [])


async def test_stop_drops_what_is_in_flight_without_an_ack() -> None:
    cancelled: list[int] = []

    async def raw(taken: Taken) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(taken.offset)
            raise
        return Done()

    world = World(Stage("test", RAW, raw=raw))
    await world.take(0, 1, 2)
    await world.idle()
    await world.runner.stop()
    assert sorted(cancelled) == [0, 1, 2]
    assert (world.offsets, world.consumer.crashes, world.bus.sent) == ([], [], [])


async def test_many_events_in_random_order_leave_nothing_behind() -> None:
    async def raw(taken: Taken) -> Outcome:
        for _ in range(taken.offset * 7919 % 13):
            await asyncio.sleep(0)
        return Done()

    world = World(Stage("test", RAW, raw=raw, window=16))
    await world.take(*range(500))
    await world.idle()
    assert world.offsets == list(range(500))
    assert (world.runner._running, world.runner._tasks) == (0, set())
    assert not any(world.runner._flights.values())


async def test_an_event_without_a_key_is_a_dead_letter() -> None:
    async def run(event: Any, taken: Taken) -> Outcome:
        raise AssertionError("never gets here")

    world = World(Stage("test", RAW, run=run))
    await world.take(0, key=None)
    await world.idle()
    [(topic, key, value, headers)] = world.bus.sent
    assert (topic, key, value, dict(headers)["dead_reason"]) == (DEAD.name, None, VALUE, b"no_key")
    assert world.offsets == [0]
