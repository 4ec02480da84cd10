"""Run one event through one stage: decode, run, publish, await the broker, acknowledge. Nothing escapes it.

Nobody else decides about acknowledgements, retries and dead letters. What it promises:

- An event is acknowledged only after its outcome is durable: published and acked by the broker, or done by the stage.
- Acknowledgements go out in order per partition, whatever order the work finishes in. Faust commits past an event in
  flight otherwise.
- After a rebalance nothing of before is acknowledged: the events come again.
- A hole in the offsets that Faust hands over is never taken for granted: if the broker still has a record there, the
  process ends and starts again from the committed offset.
- An outage of our own stores is waited for, with readiness red. A transient fault is retried in place, then
  dead-lettered. A rejection is dead-lettered at once. A bug is dead-lettered with its trace; a run of them ends the
  process. A dead letter that cannot be sent is tried for ever.
"""

import asyncio
import contextlib
import random
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from schemas.calls import Event
from schemas.dead_letter import Death, Headers, headers_of
from schemas.faults import ConfigFault, Fault, InvalidCall, OutageFault, TransientFault
from schemas.metrics import DEAD_LETTERS, STAGE_EVENTS, STAGE_RETRIES, STAGE_SECONDS
from schemas.outcomes import Done, Next, Outcome
from schemas.topics import DEAD, Topic
from streams.io import clock
from streams.io.bus import Bus, attempt_of, decode

log = structlog.get_logger("runner")
MAX_TRIES = 5
MAX_IN_PLACE_WAIT = 60.0
MAX_OUTAGE_WAIT = 5.0


class Breaker(Exception):
    """Too many bugs in a row on one partition: stop rather than pour a whole topic into the dead letters."""


class LostRecords(Exception):
    """Faust skipped records that the broker still has: start again from the committed offset."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An event as a stage may want to see it beside its model: the record's bytes and place."""

    topic: Topic
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the pipeline, as data."""

    name: str
    reads: Topic
    run: Callable[[Event, Taken], Awaitable[Outcome]] | None = None
    """Runs in a task of its own, many at a time."""
    claim: Callable[[Event], Outcome] | None = None
    """Runs in the event's own turn, one at a time, and must not wait: for the keyed table."""
    raw: Callable[[Taken], Awaitable[Outcome]] | None = None
    """Instead of `run`, for records that are not decoded."""
    window: int = 400


class Consumer(Protocol):
    """What the runner must know of the world around it; `streams.app` provides it from Faust."""

    @property
    def epoch(self) -> int: ...
    @property
    def open(self) -> bool: ...
    def committed(self, tp: Any) -> int | None: ...
    async def has_records(self, tp: Any, first: int, before: int) -> bool: ...
    async def crash(self, reason: BaseException) -> None: ...


@dataclass(slots=True)
class Entry:
    """An event in flight."""

    event: Any
    epoch: int
    done: bool = False


@dataclass
class Runner:
    """Runs the events of one agent. `blocked` names what it waits for, or is empty."""

    stage: Stage
    bus: Bus
    store: Any
    consumer: Consumer
    breaker: int = 20
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    blocked: str = ""
    _epoch: int = -1
    _running: int = 0
    _flights: dict[Any, deque[Entry]] = field(default_factory=dict)
    _last: dict[Any, int] = field(default_factory=dict)
    _bugs: dict[Any, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _room: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, event: Any) -> None:
        """Take one event from Faust. Returns as soon as there is room for the next one."""
        epoch = self.consumer.epoch
        await self._make_room()
        entry = await self._track(event, epoch)
        if entry is None:
            return
        taken = self._taken(event)
        began = time.perf_counter()
        decided = await self._claim(taken, entry) if self.stage.claim is not None else None
        self._running += 1
        task = asyncio.create_task(self._fly(entry, taken, decided, began))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Drop what is in flight, unacknowledged: it comes again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make_room(self) -> None:
        """Bound what is in flight, and what is finished but waits behind something slow."""
        while True:
            self._notice_rebalance()
            tracked = sum(map(len, self._flights.values())) if self._running < self.stage.window else 0
            if self._running < self.stage.window and tracked < self.stage.window * 4:
                return
            self._room.clear()
            # The time limit is for a rebalance that happens while we wait: what is in flight counts no more then.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), 1.0)

    def _notice_rebalance(self) -> None:
        """After a rebalance everything not yet acknowledged comes again: forget it, acknowledge nothing of it."""
        if self.consumer.epoch != self._epoch:
            self._epoch = self.consumer.epoch
            self._running = 0
            self._flights.clear()
            self._last.clear()

    async def _track(self, event: Any, epoch: int) -> Entry | None:
        """Enter the event into the books of its partition, and make sure that nothing is missing before it.

        None: a rebalance takes the event away, now or while it waited for room, and it will come again.
        """
        self._notice_rebalance()
        if self._epoch != epoch or not self.consumer.open:
            return None
        tp, offset = event.message.tp, event.message.offset
        last = self._last.get(tp)
        expected = last + 1 if last is not None else self.consumer.committed(tp) or 0
        hole = offset > expected and await self.consumer.has_records(tp, expected, offset)
        if self.consumer.epoch != epoch:
            return None
        if hole:
            lost = LostRecords(f"{tp.topic}/{tp.partition}: got {offset} where {expected} was expected")
            await self.consumer.crash(lost)
            raise lost
        if last is not None and offset <= last:
            # The partition was read again from its committed offset: what is in flight comes once more.
            self._flights.pop(tp, None)
        self._last[tp] = offset
        entry = Entry(event, epoch)
        self._flights.setdefault(tp, deque()).append(entry)
        return entry

    def _taken(self, event: Any) -> Taken:
        message = event.message
        headers = message.headers or []
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        return Taken(
            topic=self.stage.reads,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            headers=[(str(name), data if isinstance(data, bytes) else b"") for name, data in pairs],
        )

    async def _claim(self, taken: Taken, entry: Entry) -> Outcome | Exception:
        """Decode and decide in the event's own turn; what goes wrong is dealt with in its task."""
        assert self.stage.claim is not None  # noqa: S101
        wait = 0.1
        while True:
            try:
                event = await self._decode(taken)
                return self.stage.claim(event) if entry.epoch == self.consumer.epoch else Done()
            except OutageFault as fault:
                wait = await self._wait_out(fault, wait)
            except Exception as error:
                return error

    async def _fly(self, entry: Entry, taken: Taken, decided: Outcome | Exception | None, began: float) -> None:
        try:
            result = await self._settle(entry, taken, decided)
            self.blocked = ""
            if result == "bug":
                await self._count_bug(entry)
            else:
                self._bugs.pop(entry.event.message.tp, None)
            entry.done = True
            self._acknowledge(entry)
            STAGE_EVENTS.labels(self.stage.name, "dead" if result == "bug" else result).inc()
            STAGE_SECONDS.labels(self.stage.name).observe(time.perf_counter() - began)
        except Breaker as error:
            await self.consumer.crash(error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            log.exception("runner_failed", stage=self.stage.name)
            await self.consumer.crash(error)
        finally:
            if entry.epoch == self._epoch:
                self._running -= 1
            self._room.set()

    async def _settle(self, entry: Entry, taken: Taken, decided: Outcome | Exception | None) -> str:
        """Bring the event to an end: "next", "done", "dead" or "bug". Comes back only when that end is durable,
        or as "stale" when a rebalance took the event away and it will come again."""
        tries, wait = 0, 0.1
        while entry.epoch == self.consumer.epoch:
            try:
                if isinstance(decided, Exception):
                    raise decided
                outcome = decided if decided is not None else await self._run(taken)
                if isinstance(outcome, Next):
                    await self._publish(outcome, taken)
                    return "next"
                return "done"
            except OutageFault as fault:
                wait = await self._wait_out(fault, wait)
            except TransientFault as fault:
                tries += 1
                pause = max(fault.retry_after or 0.0, backoff(tries))
                if tries >= MAX_TRIES or pause > MAX_IN_PLACE_WAIT:
                    return await self._bury(taken, fault)
                STAGE_RETRIES.labels(self.stage.name, fault.reason).inc()
                await self.sleep(pause)
            except Exception as error:
                return await self._bury(taken, error)
        return "stale"

    async def _publish(self, outcome: Next, taken: Taken) -> None:
        if len(outcome.events) == 1:  # nearly always, and then without a task for each
            topic, event = outcome.events[0]
            await self.bus.publish(topic, event, carried=taken.headers)
            return
        await asyncio.gather(
            *(self.bus.publish(topic, event, carried=taken.headers) for topic, event in outcome.events)
        )

    async def _run(self, taken: Taken) -> Outcome:
        if self.stage.raw is not None:
            return await self.stage.raw(taken)
        assert self.stage.run is not None  # noqa: S101
        return await self.stage.run(await self._decode(taken), taken)

    async def _decode(self, taken: Taken) -> Event:
        event = await decode(taken.topic, taken.value, taken.headers, self.store)
        if taken.key is None:
            raise InvalidCall("no_key", "The event has no key, so it may lie on any partition and out of order.")
        return event

    async def _bury(self, taken: Taken, error: Exception) -> str:
        """Send the untouched original to the dead letters, for as long as it takes."""
        death = death_from(error, self.stage.name, taken)
        letter, wait = (taken.key, taken.value, taken.headers), 0.1
        while True:
            key, value, headers = letter
            try:
                await self.bus.send(DEAD.name, key, value, headers_of(death, headers))
                break
            except OutageFault as fault:
                wait = await self._wait_out(fault, wait)
            except InvalidCall:
                # Somebody else's record, larger than we may send. It stays where it lies, and the letter says where.
                if value is None and not headers:
                    raise
                letter = (key, None, headers) if value is not None else (None, None, [])
                death = replace(death, detail=f"The original is too large to be sent again.\n{death.detail}")
        DEAD_LETTERS.labels(self.stage.name, death.kind, death.reason).inc()
        log.warning(
            "dead_letter", stage=self.stage.name, reason=death.reason, kind=death.kind, attempt=death.attempt,
            topic=death.topic, partition=death.partition, offset=death.offset,
        )  # fmt: skip
        return "bug" if death.kind == "bug" else "dead"

    async def _wait_out(self, fault: OutageFault, wait: float) -> float:
        if not self.blocked:
            log.warning("waiting", stage=self.stage.name, reason=fault.reason, detail=fault.detail)
        self.blocked = fault.reason
        await self.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the load, guards nothing
        return min(wait * 2, MAX_OUTAGE_WAIT)

    async def _count_bug(self, entry: Entry) -> None:
        tp = entry.event.message.tp
        self._bugs[tp] = self._bugs.get(tp, 0) + 1
        if self._bugs[tp] >= self.breaker:
            raise Breaker(f"{self.stage.name}: {self._bugs[tp]} bugs in a row on {tp.topic}/{tp.partition}")

    def _acknowledge(self, entry: Entry) -> None:
        """Acknowledge the longest finished run at the head of the partition, and nothing of an earlier epoch."""
        flight = self._flights.get(entry.event.message.tp)
        while flight and flight[0].done:
            head = flight.popleft()
            if head.epoch == self.consumer.epoch and self.consumer.open:
                head.event.settle()


def backoff(tries: int) -> float:
    """Seconds before try number `tries` + 1: 0.5, 1, 2, 4 … at most 30, never less than before."""
    return float(min(30.0, 0.5 * 2 ** max(0, tries - 1)))


def death_from(error: Exception, stage: str, taken: Taken) -> Death:
    """What is written on a dead letter. An exception that is no fault of ours to foresee is called a bug."""
    kind = {ConfigFault: "config", TransientFault: "transient", InvalidCall: "rejected"}.get(type(error), "bug")
    if isinstance(error, Fault):
        reason, message, detail = error.reason, error.sentence, error.detail
        if isinstance(error, InvalidCall) and error.field:
            detail = f"field: {error.field}\n{detail}".strip()
    else:
        reason = "internal_error"
        message = "Something went wrong on our side. The call is safe; retry it after the next update."
        detail = "".join(traceback.format_exception(error))[-6000:]
    return Death(
        stage=stage,
        kind=kind,
        reason=reason,
        message=message,
        detail=detail,
        topic=taken.topic.name,
        partition=taken.partition,
        offset=taken.offset,
        attempt=attempt_of(taken.headers),
        at=clock.now(),
    )
