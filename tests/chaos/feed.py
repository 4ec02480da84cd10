"""The calls of a run: half of them duplicates, one in a hundred poison, some recordings; and what must become of each
event."""

import asyncio
import hashlib
import json
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.calls import RawCall
from schemas.faults import OutageFault
from schemas.topics import RAW
from streams.io import media
from streams.io.bus import Bus
from tests.fakes.audio import make_wav
from tests.stack import Stack

POISON_EVERY = 50
"""One poison after so many calls, which are twice as many events."""
KEPT = 300
"""Events that are kept to be sent again."""


@dataclass
class Feed:
    """Publishes calls, each of them twice under two event ids, and remembers every id."""

    stack: Stack
    speech_every: int = 0
    """One recording to be transcribed after so many calls; 0: none."""
    calls: list[str] = field(default_factory=list)
    """External ids; every one must be stored once."""
    events: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The event ids of each external id."""
    poison: set[str] = field(default_factory=set)
    """Event ids that must end as dead letters."""
    sent_again: int = 0
    """Records that repeat an event on purpose, or because the broker did not say whether it had the first one."""
    total: int = 0
    """Event ids published so far."""
    _lately: deque[RawCall] = field(default_factory=lambda: deque(maxlen=KEPT))
    _bus: Bus | None = None

    async def publish(self, count: int) -> None:
        """Publish about `count` events, and return when the broker has each of them, however long it is away."""
        batch: list[RawCall] = []
        for _ in range(count // 2):
            number = len(self.calls)
            if self.speech_every and number % self.speech_every == self.speech_every - 1:
                batch += await self.recording(1.0 + number / 16_000)
            else:
                batch += self.single(f"call-{number}")
            if len(self.calls) % POISON_EVERY == 0:
                bad = self.stack.raw(f"bad-{len(self.calls)}", '{"title": "no content"}')
                self.poison.add(str(bad.event_id))
                batch.append(bad)
        await self.send(batch)
        self._lately.extend(batch)

    async def recording(self, seconds: float) -> list[RawCall]:
        """Put a recording into the media store; the two events that bring it, not yet published."""
        wav = await asyncio.to_thread(make_wav, seconds)
        sha256 = hashlib.sha256(wav).hexdigest()
        ref = f"media/{sha256}.wav"
        await media.put_bytes(media.open_media(self.stack.settings), ref, wav)
        file = {"ref": ref, "size_bytes": len(wav), "sha256": sha256, "content_type": "audio/wav"}
        payload = {"kind": "media", "filename": "talk.wav", "duration_seconds": seconds, "media": file}
        return self._call(sha256, "upload", json.dumps(payload))

    def single(self, external_id: str) -> list[RawCall]:
        """The two events that bring one more call with a transcript, not yet published."""
        return self._call(external_id, "generic", _payload(external_id))

    async def again(self, count: int, dice: random.Random) -> None:
        """Send some events of a while ago again, as they were."""
        await self.send(dice.sample(list(self._lately), min(count, len(self._lately))), again=True)

    async def send(self, batch: Sequence[RawCall], *, again: bool = False) -> None:
        """Publish these until the broker has them all; an outage is waited for."""
        waiting = list(batch)
        self.total += 0 if again else len(waiting)
        self.sent_again += len(waiting) if again else 0
        while waiting:
            if self._bus is None:
                self._bus = self.stack.bus()
            answers = await asyncio.gather(*(self._bus.publish(RAW, call) for call in waiting), return_exceptions=True)
            failed = [call for call, answer in zip(waiting, answers, strict=True) if answer is not None]
            for answer in answers:
                if answer is not None and not isinstance(answer, OutageFault):
                    raise answer
            self.sent_again += len(failed)
            if waiting := failed:
                await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Let go of the broker."""
        if self._bus is not None:
            await self._bus.stop()
            self._bus = None

    def _call(self, external_id: str, source_app: str, payload: str) -> list[RawCall]:
        self.calls.append(external_id)
        both = [self.stack.raw(external_id, payload, source_app=source_app) for _ in range(2)]
        self.events[external_id].update(str(call.event_id) for call in both)
        return both


def _payload(external_id: str) -> str:
    return json.dumps({
        "external_id": external_id, "title": f"Call {external_id}", "recording_start_time": "2026-05-04T10:00:00Z",
        "duration_seconds": 60, "full_transcript": f"Ann: hello, this is {external_id}.\n" * 20,
    })  # fmt: skip
