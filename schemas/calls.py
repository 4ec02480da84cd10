"""The events of the pipeline. Frozen, versioned, JSON on the wire.

An event's identity (`event_id`) is born once, when a raw call is first published, and travels unchanged through
every stage, retry and replay. A breaking change of a model is a new topic, never a new meaning.
"""

import hashlib
import json
import math
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

SourceApp = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Milliseconds = Annotated[int, Field(ge=0, le=2**53 - 1)]
Quality = Literal["full", "partial", "minimal"]
MAX_TITLE = 1_000
NO_REPLAY = UUID(int=0)
"""Stands for "no replay" where replays are put in order: smaller than every replay's id."""


def _without_nul(text: str) -> str:
    """PostgreSQL cannot hold U+0000 and UTF-8 cannot hold lone surrogates: both are replaced, nothing else is."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _without_surrogates(text: str) -> str:
    """Word for word, but for lone surrogates, which no encoding can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any, room: int = 64) -> Any:
    """What JSON, Kafka and PostgreSQL can all hold. NaN, infinity and what is nested too deep become null."""
    if isinstance(value, str):
        return _without_nul(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_without_nul(str(k)): _plain(v, room - 1) for k, v in value.items()} if room else None
    if isinstance(value, list | tuple):
        return [_plain(item, room - 1) for item in value] if room else None
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
Metadata = Annotated[dict[str, Any], AfterValidator(_plain)]


class Model(BaseModel):
    """Frozen; unknown fields are ignored, so that a newer producer never breaks an older consumer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Model):
    """What every event of the pipeline carries: who it is, whose it is, and how old its content is."""

    version: Literal[1] = 1
    event_id: UUID
    workspace_id: UUID
    source_app: SourceApp
    external_id: ExternalId
    job_id: UUID | None = None
    observed_at: AwareDatetime
    """When the content was seen at its source; newer content wins over older."""
    received_at: AwareDatetime
    """When callstream accepted the call."""
    replay_id: UUID | None = None
    """The replay that brought this event again from the archive. Ids of replays are ordered by time."""

    def identity(self) -> dict[str, Any]:
        """What every event that comes of this one carries on unchanged."""
        return {name: getattr(self, name) for name in Event.model_fields if name != "version"}

    @property
    def key(self) -> bytes:
        """The Kafka key, the same all the way down: `workspace:source:external_id`."""
        return f"{self.workspace_id}:{self.source_app}:{self.external_id}".encode()


class Placement(Model):
    """Where a call is filed. Nothing given: the owner's personal bank."""

    owner_user_id: UUID | None = None
    bank_id: UUID | None = None
    vault_id: UUID | None = None


class Segment(Model):
    """One utterance. Times in milliseconds from the start of the recording."""

    speaker: Text | None = None
    text: Text
    start_ms: Milliseconds
    end_ms: Milliseconds


class Participant(Model):
    """Somebody on the call, as far as the source knows them."""

    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None


class Media(Model):
    """The recording: `ref` is a key in the media store, `url` an address it can still be fetched from."""

    ref: Text | None = None
    url: Text | None = None
    filename: Text | None = None
    content_type: Text | None = None
    size_bytes: int | None = None
    sha256: Text | None = None


class RawCall(Event):
    """`calls.raw.v1`: the envelope plus the sender's payload word for word. The archive that replay reads."""

    payload: Annotated[str, AfterValidator(_without_surrogates)]
    """The payload exactly as it came, as text. Normally JSON; normalize finds out."""
    source_id: UUID | None = None
    """The connected account it came through, if any."""
    received_via: Literal["upload", "webhook", "pull", "import", "replay"] = "import"
    placement: Placement = Placement()
    media: Media | None = None
    """The recording that was fetched beside the payload, kept in the media store under its `ref`."""


class NormalizedCall(Model):
    """What a connector's `to_call` makes of a payload: a call's content, before the envelope is put around it."""

    title: Text
    recording_start_time: AwareDatetime | None = None
    duration_ms: Milliseconds | None = None
    full_transcript: Text | None = None
    segments: tuple[Segment, ...] = ()
    participants: tuple[Participant, ...] = ()
    original_transcript: Text | None = None
    """The transcript word for word as the source gave it, beside our normalized one."""
    media: Media | None = None
    source_metadata: Metadata = Field(default_factory=dict)
    """Must not contain secrets or signed URLs. `external_id` is put first by `normalize`."""
    metadata_quality: Quality = "minimal"
    language: Text | None = None


class Call(NormalizedCall, Event):
    """A call in our own terms: `calls.normalized.v1`, `calls.unique.v1` (needs speech to text), `calls.ready.v1`."""

    fingerprint: str
    """SHA-256 over the content, without what changes by itself. Set by `normalize`, carried unchanged."""
    source_id: UUID | None = None
    placement: Placement = Placement()

    @property
    def order(self) -> tuple[datetime, str]:
        """Newer content has the greater order; ties go by fingerprint, so that everyone agrees which content wins."""
        return (self.observed_at, self.fingerprint)

    @property
    def has_transcript(self) -> bool:
        """True when there is something to read, so that speech to text is not needed."""
        return bool((self.full_transcript or "").strip()) or bool(self.segments)


def fingerprint(content: NormalizedCall, volatile: frozenset[str] = frozenset()) -> str:
    """SHA-256 hex over the content. `volatile` names fields (or `media.url`-like paths) that change by themselves.

    A media URL never counts: it is signed anew at every fetch. Metadata does not count either: view counts live there.
    """
    fields = content.model_dump(mode="json", exclude={"source_metadata", *volatile})
    if fields.get("media"):
        fields["media"] = {k: v for k, v in fields["media"].items() if k == "sha256"}
    canonical = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class ClaimReleased(Event):
    """On `calls.normalized.v1`: a failed import was discarded, so the call may come again."""


class ImportCompleted(Event):
    """`imports.completed.v1`: the call is stored. The public contract for other software; may come twice, same id."""

    import_id: UUID
    recording_id: UUID
    outcome: Literal["imported", "updated"]
    metadata_quality: Quality
    title: Annotated[str, AfterValidator(lambda title: title[:MAX_TITLE])]
    """The first 1,000 characters, so that this event never needs a claim check."""
    recording_start_time: AwareDatetime | None = None
    duration_ms: Milliseconds | None = None
    imported_at: AwareDatetime
    """When callstream accepted the event that was stored first."""


class ImportSkipped(Event):
    """`imports.skipped.v1`: nothing to store. `owner_event_id` is the event whose content is kept; a call that was
    erased has none."""

    reason: Literal["already_imported", "older_than_stored", "erased"]
    fingerprint: str
    owner_event_id: UUID | None = None
    stage: str
    skipped_at: AwareDatetime
