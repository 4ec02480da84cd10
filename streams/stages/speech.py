"""What speech to text needs from the outside, and its result as it is kept."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from schemas.calls import Call, Media, Model, Segment, Text

Key = tuple[UUID, str, str, str]
"""workspace, sha256 of the audio, model, language ("" when the vendor shall find out)."""
Sleep = Callable[[float], Awaitable[None]]
Cost = Callable[[str, float], int | None]
"""(model, seconds): what the vendor takes for them, in millionths of a US dollar; None when the price is not known."""
Voices = Sequence[tuple[str, Path]]
"""Speakers of earlier parts: the name under which the vendor shall know each, and some seconds of their voice."""


class Spoken(Protocol):
    """What the vendor heard. `text` is empty when nobody spoke."""

    @property
    def text(self) -> str: ...
    @property
    def segments(self) -> Sequence[Segment]: ...
    @property
    def language(self) -> str | None: ...
    @property
    def seconds(self) -> float | None: ...


class Transcriber(Protocol):
    """A speech-to-text service."""

    def check(self) -> None:
        """Raise `ConfigFault` when the service is not set up."""

    def name_for(self, path: Path, filename: str | None) -> str | None:
        """The name under which the service takes this file as it is; None when it does not take its format."""

    def max_seconds(self, model: str) -> int:
        """How much sound is sent in one piece."""

    def knows_speakers(self, model: str) -> bool:
        """Whether this model says who speaks, and can be told how those sound whom it knows."""

    async def transcribe(
        self, path: Path, filename: str, model: str, language: str | None, voices: Voices = ()
    ) -> Spoken:
        """Send the file and read the answer. Raises faults and nothing else."""


class MediaFiles(Protocol):
    """The media store, as far as this stage needs it."""

    def local_copy(self, ref: str) -> AbstractAsyncContextManager[Path]:
        """The object as a file in a temporary folder of its own; the folder is gone afterwards."""

    async def fetch(self, call: Call) -> Media:
        """Copy what `call.media.url` leads to into the store. The same event again may be answered by that copy."""


class TranscriptResults(Protocol):
    """Result rows and leases. The clock that leases run by is the database's."""

    async def get(self, workspace_id: UUID, audio_sha256: str, model: str, language: str) -> Mapping[str, Any] | None:
        """The stored result."""

    async def put(
        self,
        workspace_id: UUID,
        audio_sha256: str,
        model: str,
        language: str,
        *,
        result: Mapping[str, Any],
        seconds: float | None,
    ) -> None:
        """Store a result; the first one stays."""

    async def chunks(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str
    ) -> Mapping[tuple[int, int], Mapping[str, Any]]:
        """The answers that were paid for, by start and end in milliseconds; (0, 0) is the whole in one piece."""

    async def put_chunk(
        self,
        workspace_id: UUID,
        audio_sha256: str,
        model: str,
        language: str,
        *,
        start_ms: int,
        end_ms: int,
        result: Mapping[str, Any],
        seconds: float,
        cost_micros: int | None,
    ) -> None:
        """Store an answer that was paid for; the first one stays."""

    async def take_lease(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Take a lease that is free or has run out. False: another holder has it."""

    async def renew(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Lengthen the holder's lease. False: it is the holder's no more."""

    async def release(self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID) -> None:
        """Give the lease back, if it is still the holder's."""


class Measured(Protocol):
    """How long a recording really is, and how loud: see `chunks`."""

    @property
    def duration_seconds(self) -> float: ...
    @property
    def levels(self) -> bytes: ...


class Extracted(Protocol):
    """A sound track that was written."""

    @property
    def duration_seconds(self) -> float: ...


Measure = Callable[[Path], Awaitable[Measured]]


class ExtractAudio(Protocol):
    """Writes the sound track of a recording, or a part of it, small, in the format of the destination's name."""

    async def __call__(
        self, source: Path, destination: Path, *, start_seconds: float = 0.0, seconds: float | None = None
    ) -> Extracted: ...


class Progress(Protocol):
    """Told how many parts of how many are transcribed. Its `OutageFault` fails nothing."""

    async def __call__(self, done: int, total: int) -> None: ...


class Transcript(Model):
    """A result as it is stored. Building one takes out what PostgreSQL cannot hold."""

    text: Text
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    seconds: float | None = None
