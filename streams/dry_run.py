"""What a replay would do, without doing it: every event is mapped again and compared with what is stored.

The rule is the one of `upsert_recordings`. A call's events are judged in their order, each against what the one before
would have left behind. Nothing is published and nothing is written but the report.

All events of a call lie in partitions of the same number, so these are read one number after the other, and what is
remembered of the calls is forgotten in between: about 250 bytes for a call that would change, 150 for any other.
What a later stage would refuse (a recording that is gone, speech to text without a key) is not foreseen.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from obstore.store import ObjectStore

from connectors.registry import to_call
from schemas.calls import NO_REPLAY, Call, RawCall
from schemas.faults import ConfigFault, InvalidCall, OutageFault
from schemas.settings import Settings
from schemas.topics import NORMALIZED, REPLAY
from streams.io import archive, erase, replays
from streams.io.archive import Cursor, Record, remaining
from streams.io.bus import decode
from streams.io.replays import Replay
from streams.io.store import Pool
from streams.stages.normalize import normalize

MAX_CALLS = 2_000_000
"""Of one partition number: half a gigabyte."""
SAMPLE = 10
CUT = 300
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")
FAILS, OLDER, UNCHANGED, CHANGES, IMPORTS = range(5)
"""What becomes of a call. The greatest of its events' verdicts is the call's."""
NAMES = ("would_fail", "older", "unchanged", "would_change", "would_import")


@dataclass(frozen=True, slots=True)
class Held:
    """What decides whether an event replaces a call's content, of the content that is held."""

    observed_at: datetime
    replay: UUID
    fingerprint: str
    event_id: UUID
    metadata: bytes
    """A digest over the title and the source's metadata, which the fingerprint does not cover everywhere."""


def held_of(row: Mapping[str, Any]) -> Held:
    """Of a stored row."""
    metadata = _digest(row["title"] + row["source_metadata"])
    replay = row["replay_id"] or NO_REPLAY
    return Held(row["observed_at"], replay, row["fingerprint"], row["event_id"], metadata)


def judge(held: Held | None, call: Call) -> tuple[int, Held | None]:
    """What storing `call` over `held` would do, and what would be held then. Mirrors `upsert_recordings`."""
    replay = call.replay_id or NO_REPLAY
    metadata = _digest(call.title + json.dumps(call.source_metadata, ensure_ascii=False))
    mapped = Held(call.observed_at, replay, call.fingerprint, call.event_id, metadata)
    if held is None:
        return IMPORTS, mapped
    other = held.fingerprint != call.fingerprint
    same_event = held.event_id == call.event_id
    newer = other and not same_event and call.order > (held.observed_at, held.fingerprint)
    if newer or (same_event and replay > held.replay and (other or held.metadata != metadata)):
        observed_at = max(call.observed_at, held.observed_at)
        return CHANGES, Held(observed_at, replay, call.fingerprint, call.event_id, metadata)
    return (UNCHANGED if same_event or not other else OLDER), held


@dataclass
class Report:
    """The counts, and what a person wants to see of them."""

    counts: list[int] = field(default_factory=lambda: [0] * len(NAMES))
    failures: list[dict[str, str]] = field(default_factory=list)
    sample: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `replays.report` holds it."""
        counts = dict(zip(NAMES, self.counts, strict=True))
        return {**counts, "failures": self.failures, "sample": list(self.sample.values())}


@dataclass
class DryRun:
    """One dry run. `seen` maps a call to its verdict and, where something would be written, to what."""

    settings: Settings
    pool: Pool
    store: ObjectStore
    replay: Replay
    report: Report = field(default_factory=Report)
    seen: dict[bytes, bytes] = field(default_factory=dict)

    async def run(self, cursor: Cursor, advance: Callable[[Cursor, int, int], Awaitable[bool]]) -> bool:
        """Read everything before the ends of `cursor`. `advance` is told of progress; it says False to stop: False."""
        whole = dict(cursor)
        for number in sorted({number for _, number in cursor}):
            part = {place: span for place, span in cursor.items() if place[1] == number}
            left = remaining(part)
            select = archive.select(
                self.settings, workspace_id=self.replay.workspace_id, selection=self.replay.selection, start=part
            )
            async with aclosing(select) as batches:
                async for batch in batches:
                    await self._judge(batch.records)
                    read, left = left - remaining(batch.cursor), remaining(batch.cursor)
                    whole |= batch.cursor
                    if not await _patiently(lambda: advance(whole, read, len(batch.records))):  # noqa: B023
                        return False
            for packed in self.seen.values():
                self.report.counts[packed[0]] += 1
            self.seen.clear()
        return True

    async def _judge(self, records: list[Record]) -> None:
        owners = [archive.owner_of(record.key) for record in records]
        keys = [(owner[1], owner[2]) for owner in owners if owner]
        rows = await _patiently(lambda: replays.stored(self.pool, self.replay.workspace_id, list(set(keys))))
        whose = {(self.replay.workspace_id, *key) for key in keys}
        erased = await _patiently(lambda: erase.erased(self.pool, sorted(whose)))
        for record, key in zip(records, keys, strict=True):
            if (self.replay.workspace_id, *key) in erased:
                self._remember(key, UNCHANGED, None)
                continue
            known = self.seen.get(_name(key))
            held = _unpacked(known, self.replay.replay_id) if known and len(known) > 1 else None
            if held is None and key in rows:
                held = held_of(rows[key])
            try:
                call = await _patiently(lambda: self._call(record))  # noqa: B023
            except InvalidCall as fault:
                self._remember(key, FAILS, None)
                self._note_failure(key, fault.reason, fault.sentence)
                continue
            verdict, after = judge(held, call)
            self._remember(key, verdict, after)
            if verdict == CHANGES:
                await self._show(key, call)

    async def _call(self, record: Record) -> Call:
        """The event as the replay would bring it, mapped. Raises `InvalidCall` where normalize would not go on."""
        headers = archive.replayed_headers(record, self.replay.replay_id)
        event = await decode(REPLAY, record.value, headers, self.store)
        if not isinstance(event, RawCall) or event.key != record.key:
            raise InvalidCall("wrong_key", "The event's key does not belong to its content.")
        try:
            outcome = await asyncio.to_thread(normalize, event, to_call)
        except InvalidCall:
            raise
        except Exception as bug:
            raise InvalidCall("bug", f"The mapping failed: {bug!r:.200}.") from bug
        call = next(event for topic, event in outcome.events if topic is NORMALIZED)
        assert isinstance(call, Call)  # noqa: S101 - normalize sends nothing else
        return call

    def _remember(self, key: tuple[str, str], verdict: int, held: Held | None) -> None:
        name = _name(key)
        known = self.seen.get(name)
        if known is None and len(self.seen) >= MAX_CALLS:
            raise ConfigFault("selection_too_large", "This is too much for one dry run. Select a shorter time.")
        if verdict in (CHANGES, IMPORTS) and held is not None:
            self.seen[name] = _packed(max(verdict, known[0] if known else 0), held)
        elif known is None or known[0] < verdict:
            self.seen[name] = bytes([verdict])

    def _note_failure(self, key: tuple[str, str], reason: str, message: str) -> None:
        if len(self.report.failures) < SAMPLE:
            self.report.failures.append(
                {"source_app": key[0], "external_id": key[1], "reason": reason, "message": message[:CUT]}
            )

    async def _show(self, key: tuple[str, str], call: Call) -> None:
        """Put the call into the sample, or show there what its latest event would make of it."""
        sample = self.report.sample
        if self.seen[_name(key)][0] != CHANGES or (len(sample) >= SAMPLE and key not in sample):
            return
        row = await _patiently(lambda: replays.stored_content(self.pool, self.replay.workspace_id, key))
        if row is not None:
            before, after = differences(row, call)
            sample[key] = {"source_app": key[0], "external_id": key[1], "before": before, "after": after}


def differences(row: Mapping[str, Any], call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a stored call that would differ, before and after, cut to what a person can look over."""
    shown = call.model_dump(mode="json", include=set(row))
    shown["participants"] = [p.model_dump(exclude_none=True) for p in call.participants]
    shown["segments"] = [s.model_dump() for s in call.segments]
    shown["recording_start_time"] = call.recording_start_time
    if not call.has_transcript:  # what speech to text adds, it will add again
        heard = {
            "full_transcript",
            "segments",
            "metadata_quality",
            *(n for n in ("language", "duration_ms") if not shown[n]),
        }
        shown = {name: value for name, value in shown.items() if name not in heard}
    names = [name for name in row if name in shown and shown[name] != row[name]]
    pairs = {name: _excerpts(row[name], shown[name]) for name in names}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def _excerpts(before: Any, after: Any) -> tuple[Any, Any]:
    """Both, cut around the place where they begin to differ."""
    if isinstance(before, datetime) or isinstance(after, datetime):
        return (before.isoformat() if before else None), (after.isoformat() if after else None)
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (before, after)]
    if all(len(text) <= CUT for text in texts):
        return before, after
    pairs = enumerate(zip(texts[0], texts[1], strict=False))
    first = next((at for at, (one, other) in pairs if one != other), min(map(len, texts)))
    begin = max(0, first - CUT // 4)
    old, new = (("…" if begin else "") + text[begin : begin + CUT] for text in texts)
    return old, new


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Wait out an outage in place: what is remembered so far would be lost otherwise."""
    while True:
        try:
            return await work()
        except OutageFault:
            await asyncio.sleep(1.0)


def _name(key: tuple[str, str]) -> bytes:
    return hashlib.blake2b(f"{key[0]}:{key[1]}".encode(), digest_size=16).digest()


def _digest(metadata: str) -> bytes:
    return hashlib.blake2b(metadata.encode(), digest_size=8).digest()


def _packed(verdict: int, held: Held) -> bytes:
    microseconds = (held.observed_at - EPOCH) // timedelta(microseconds=1)
    return b"".join(
        (
            bytes([verdict]),
            microseconds.to_bytes(8, "big", signed=True),
            bytes.fromhex(held.fingerprint),
            held.event_id.bytes,
            held.metadata,
        )
    )


def _unpacked(packed: bytes, replay_id: UUID) -> Held:
    observed_at = EPOCH + timedelta(microseconds=int.from_bytes(packed[1:9], "big", signed=True))
    return Held(observed_at, replay_id, packed[9:41].hex(), UUID(bytes=packed[41:57]), packed[57:65])
