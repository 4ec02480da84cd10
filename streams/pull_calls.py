"""One call of a source: read whole, its recording kept, published and accepted by the broker.

The order makes the promise: the call is noted in its job before it is published, and accepted after. Whoever finds it
noted and not accepted brings it again; what comes twice is known further down.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError

from connectors.answers import LIMITED
from connectors.contract import Api, Connector, Found, Item, Pull, Recording
from connectors.payloads import written
from schemas.calls import Media, Placement, RawCall
from schemas.faults import InvalidCall, MissingFault, TransientFault
from schemas.metrics import FOUND_BY_POLL
from schemas.topics import BACKFILL, RAW
from streams.io import clock, pull_steps
from streams.io.bus import Bus
from streams.io.pulls import JobType
from streams.io.sources import Source
from streams.io.store import Pool
from streams.io.stored_media import RecordingStore

log = structlog.get_logger("pull")


OpenApi = Callable[[Source], AbstractAsyncContextManager[Api]]
"""A way to a source, for as long as the block runs. Raises `ConfigFault` when the source does not let us in."""
OURS = "Something went wrong in callstream. Report it together with the time it happened."


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the engine is."""

    slice_seconds: float = 20.0
    calls_at_once: int = 8
    lease_seconds: float = 20.0
    """A worker that dies holds its job up for so long."""
    waiting_lease_seconds: float = 300.0
    max_tries: int = 8
    """After so many faults in a row without progress a job has failed."""
    first_rest: float = 30.0
    longest_rest: float = 3600.0
    max_in_a_row: int = 3
    """So many calls in a row that cannot be read, and the source has trouble, not the calls."""
    max_restarts: int = 5
    """So often a list may begin again without bringing a new call."""
    max_idle_pages: int = 20_000
    """A list that brings so many pages in a row without a new call has no end."""

    def rest(self, tries: int) -> float:
        """Seconds to rest after so many faults in a row."""
        return float(min(self.longest_rest, self.first_rest * 2 ** max(0, tries - 1)))


class Stopped(Exception):
    """The job was cancelled, or somebody else has moved it on."""


@dataclass(frozen=True, slots=True)
class Errand:
    """For whom calls are read. `step` is None for calls that have waited; without a job, a webhook named the call."""

    source: Source
    connector: Connector
    api: Api
    job_id: UUID | None = None
    job_type: JobType | None = None
    step: int | None = None

    @property
    def pull(self) -> Pull:
        """How the connector pulls."""
        assert self.connector.pull is not None  # noqa: S101 - whoever sends an errand has looked
        return self.connector.pull


@dataclass
class CallReader:
    """Reads and publishes calls, any number side by side."""

    pool: Pool
    bus: Bus
    recordings: RecordingStore
    now: Callable[[], datetime] = clock.now
    new_id: Callable[[], UUID] = clock.new_id

    async def bring(self, errand: Errand, item: Item, *, final: bool = False, is_new: bool = False) -> str | None:
        """Read a call and publish it. None: the broker has it. A sentence: it is not ready, and says why.

        `final` takes it as it is. `is_new`: nobody has imported it before. Raises what connectors raise, `InvalidCall`
        for a call that no event can carry, and `Stopped`.
        """
        seen_at = self.now()
        found = await errand.pull.fetch(errand.api, item)
        if found.waits_for and not final:
            return found.waits_for
        media, why = await self._recording(errand, found)
        if why and not final:
            return why
        event = self._event(errand, item.external_id, found, media, seen_at)
        if errand.job_id is not None and not await pull_steps.reserve(
            self.pool, errand.job_id, errand.step, event.source_app, event.external_id, event.event_id
        ):
            raise Stopped
        await self.bus.publish(BACKFILL if errand.job_type in ("historical", "backfill") else RAW, event)
        started_at = item.started_at if is_new and errand.job_type == "sync" else None
        if await pull_steps.accept(self.pool, errand.job_id, errand.source, event.external_id, started_at):
            FOUND_BY_POLL.labels(event.source_app).inc()
        return None

    def _event(self, errand: Errand, external_id: str, found: Found, media: Media | None, seen_at: datetime) -> RawCall:
        try:
            return RawCall(
                event_id=self.new_id(),
                workspace_id=errand.source.workspace_id,
                source_app=errand.source.source_app,
                external_id=external_id,
                job_id=errand.job_id,
                observed_at=seen_at,
                received_at=self.now(),
                payload=written(found.payload),
                source_id=errand.source.source_id,
                received_via="pull",
                placement=Placement(owner_user_id=errand.source.user_id),
                media=media,
            )
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
            sentence = f"{errand.connector.display_name} gave a call that cannot be kept: its {where} is not valid."
            raise InvalidCall("invalid_field", sentence, field=where) from None

    async def _recording(self, errand: Errand, found: Found) -> tuple[Media | None, str | None]:
        """The recording, if it is wanted; and why the call must wait for it. One that has a transcript never waits."""
        recording = found.recording
        if recording is None or (found.has_transcript and not errand.source.keep_recordings):
            return None, None
        if recording.bucket:
            await errand.api.allow(recording.bucket)
        try:
            if errand.pull.prepare is not None:
                recording = await errand.pull.prepare(errand.api, recording)
            return await self._download(errand, recording), None
        except (InvalidCall, MissingFault, TransientFault) as fault:
            if fault.reason in LIMITED:
                raise
            log.info("recording_not_kept", source=errand.source.source_app, reason=fault.reason)
            return None, None if found.has_transcript else fault.sentence

    async def _download(self, errand: Errand, recording: Recording) -> Media:
        workspace_id, download = errand.source.workspace_id, errand.pull.download
        if download is not None:
            chunks = download(errand.api, recording)
            return await self.recordings.keep(workspace_id, chunks, recording.filename)
        headers = {}
        if recording.authorised:
            auth = next((a for a in errand.connector.auths if a.kind == errand.source.credential_type), None)
            headers = auth.headers(errand.api.credential) if auth else {}
        return await self.recordings.download(workspace_id, recording.url, recording.filename, headers)
