"""Archive files: the raw calls of this installation as JSON Lines, one accepted event a line, and back into another.

A line is the event as it was accepted (`RawCall`), with a large payload put back in, and beside it `archive`: the topic
it lay in and when. Brought in again it keeps its event id, its times and its payload word for word, so a file may be
imported twice, or in parts: what is stored already is not stored again.
"""

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Final
from uuid import UUID

from obstore.store import ObjectStore
from pydantic import ValidationError

from api.ports import Ports
from connectors.payloads import parse_json
from connectors.upload import UPLOAD
from ops.importing import (
    STOPPED,
    Line,
    Progress,
    Sent,
    Window,
    add_rows,
    batches,
    close_job,
    open_lines,
    patiently,
    read_lines,
)
from ops.workspaces import Workspace
from schemas.calls import Placement, RawCall
from schemas.faults import InvalidCall
from schemas.settings import Settings
from schemas.topics import BACKFILL, BY_NAME
from streams.io import archive, clock, queries
from streams.io.archive import Record
from streams.io.bus import decode
from streams.io.replays import Selection
from streams.io.store import in_workspace

SQL: Final = queries.load("workspaces")
JOBS: Final = queries.load("uploads")
MAX_LINE: Final = 160 * 1024**2
"""A transcript of 20 MB, the largest there is, may take seven times that as JSON within JSON."""
SHOWN: Final = 10
SOURCE: Final = "archive"
"""What a job of archive lines has for a source: its calls name their own."""


@dataclass
class Target:
    """Where lines go: everything into `into`, or each into its own workspace of those in `known`."""

    into: Workspace
    known: Mapping[UUID, Workspace] = field(default_factory=dict)
    keep: bool = False

    def of(self, call: RawCall) -> Workspace:
        """The workspace of a line. Raises `InvalidCall` for one that is not here."""
        if not self.keep:
            return self.into
        if found := self.known.get(call.workspace_id):
            return found
        sentence = (
            f"This call belongs to the workspace {call.workspace_id}, which does not exist here. Import it without "
            "--keep-workspaces to bring it into one workspace."
        )
        raise InvalidCall("unknown_workspace", sentence)


@dataclass
class _Job:
    """The job of one file in one workspace."""

    workspace: Workspace
    job_id: UUID
    sent: Sent
    window: Window


def read_call(line: Line) -> RawCall:
    """The raw call in a line. Raises `InvalidCall` with the reason why there is none."""
    if line.fault:
        raise line.fault
    try:
        return RawCall.model_validate_json(line.text).model_copy(update={"replay_id": None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        sentence = "This line is not whole JSON: it is damaged or cut off. Export the archive again."
        raise InvalidCall("line_not_json", sentence, detail=first["msg"])
    where = ".".join(str(part) for part in first["loc"]) or "the line"
    sentence = (
        f"This line is not a raw call of an archive: {where}: {first['msg']}. What `callstream archive export` wrote "
        "is read here; other calls come in with `callstream import`."
    )
    raise InvalidCall("not_a_raw_call", sentence, field=where)


def moved(call: RawCall, workspace_id: UUID, job_id: UUID, places: frozenset[UUID]) -> RawCall:
    """The same event in a workspace of ours. What it names that is not here is left out; all else stays."""
    here = {name: value for name, value in call.placement.model_dump().items() if value in places}
    same = call.workspace_id == workspace_id
    changed = {"workspace_id": workspace_id, "job_id": job_id, "placement": Placement(**here)}
    return call.model_copy(update=changed | ({} if same else {"source_id": None}))


@dataclass
class Import:
    """An import of archive files. `again`: publish what the library holds already too, to mend a lost archive."""

    ports: Ports
    target: Target
    stop: asyncio.Event
    progress: Progress
    rate: float | None = None
    again: bool = False
    sent: dict[UUID, Sent] = field(default_factory=dict)
    """What was sent, by workspace."""

    async def run(self, paths: Sequence[Path]) -> None:
        """Send everything, or as much as there is time for until `stop`. What is sent is safe whatever comes then."""
        self._due = asyncio.get_running_loop().time()
        read = 0
        for path in paths:
            if self.stop.is_set():
                return
            await self._file(path, read)
            read += path.stat().st_size
            self.progress.read(read)

    @property
    def calls(self) -> int:
        """How many calls are on their way or done."""
        return sum(sent.calls for sent in self.sent.values())

    async def _file(self, path: Path, before: int) -> None:
        jobs: dict[UUID, _Job] = {}
        done = self.calls
        progress = replace(self.progress, sent=lambda _: self.progress.sent(max(done, self.calls)))
        try:
            async with asyncio.TaskGroup() as group:
                with path.open("rb") as raw:
                    for batch in batches(read_lines(open_lines(raw, path), MAX_LINE)):
                        if self.stop.is_set():
                            break
                        await self._batch(path, batch, jobs, group, progress)
                        self.progress.read(before + raw.tell())
                        await asyncio.sleep(0)
        finally:
            for job in jobs.values():
                job.sent.calls -= len(job.window.unsent)
                problem = STOPPED if self.stop.is_set() else None
                await close_job(self.ports, job.workspace.workspace_id, job.job_id, job.window.unsent, problem)

    async def _batch(
        self, path: Path, lines: Sequence[Line], jobs: dict[UUID, _Job], group: asyncio.TaskGroup, progress: Progress
    ) -> None:
        good: dict[UUID, list[tuple[Line, RawCall]]] = {}
        bad: dict[str, list[Line]] = {}
        for line in lines:
            try:
                call = read_call(line)
                good.setdefault(self.target.of(call).workspace_id, []).append((line, call))
            except InvalidCall as fault:
                bad.setdefault(fault.sentence, []).append(line)
        name = os.fsencode(path.name).decode("utf-8", "replace")
        if bad:
            job = await self._job(self.target.into, jobs, progress)
            for sentence, found in bad.items():
                names = [f"{name}, line {line.number}" for line in found]
                await patiently(partial(self._refuse, job, names, sentence), self.stop, progress)
        for workspace_id, pairs in good.items():
            job = await self._job(self.target.known.get(workspace_id, self.target.into), jobs, progress)
            await self._send(job, name, pairs, group, progress)

    async def _job(self, workspace: Workspace, jobs: dict[UUID, _Job], progress: Progress) -> _Job:
        found = jobs.get(workspace.workspace_id)
        if found is None:
            sent = self.sent.setdefault(workspace.workspace_id, Sent())
            window = Window(self.ports, self.stop, progress, BACKFILL)
            found = jobs[workspace.workspace_id] = _Job(workspace, clock.new_id(), sent, window)
            await patiently(partial(self._add_job, found), self.stop, progress)
            sent.jobs.append(found.job_id)
        return found

    async def _add_job(self, job: _Job) -> None:
        who = job.workspace
        async with in_workspace(self.ports.pool, who.workspace_id) as connection:
            await connection.execute(
                JOBS["add_job"], job.job_id, who.workspace_id, "historical", SOURCE, who.user_id, 0, True
            )

    async def _refuse(self, job: _Job, names: Sequence[str], sentence: str) -> None:
        """Write bad lines down as calls that were refused. Twice is as good as once."""
        workspace_id, ids = job.workspace.workspace_id, [clock.new_id() for _ in names]
        async with in_workspace(self.ports.pool, workspace_id) as connection:
            sources = [SOURCE] * len(names)
            await connection.execute(JOBS["add_job_calls"], workspace_id, job.job_id, sources, names, names, ids)
            await connection.execute(JOBS["refuse_job_calls"], workspace_id, job.job_id, ids, sentence)

    async def _send(
        self,
        job: _Job,
        name: str,
        pairs: Sequence[tuple[Line, RawCall]],
        group: asyncio.TaskGroup,
        progress: Progress,
    ) -> None:
        workspace_id = job.workspace.workspace_id
        found = [call for _, call in pairs]
        places, stored = await patiently(partial(self._known, workspace_id, found), self.stop, progress)
        job.sent.duplicates += sum(call.event_id in stored for call in found)
        left = [(line, call) for line, call in pairs if call.event_id not in stored]
        calls = [moved(call, workspace_id, job.job_id, places) for _, call in left]
        names = [f"{name}, line {line.number}" for line, _ in left]
        add = partial(add_rows, self.ports, workspace_id, job.job_id, calls, names)
        job.sent.duplicates += len(calls) - await patiently(add, self.stop, progress)
        for (line, _), call in zip(left, calls, strict=True):
            job.sent.calls += 1
            if not await self._turn():
                job.window.unsent.append(call.event_id)
                continue
            slots = await job.window.enter(line.size)
            group.create_task(job.window.publish(call, None, slots))

    async def _known(self, workspace_id: UUID, calls: Sequence[RawCall]) -> tuple[frozenset[UUID], frozenset[UUID]]:
        """Which places these calls name are here, and which of the events the library holds already."""
        named = {place for call in calls for place in call.placement.model_dump().values() if place}
        async with in_workspace(self.ports.pool, workspace_id) as connection:
            places = await connection.fetch(SQL["known_places"], workspace_id, list(named)) if named else []
            keys = [call.source_app for call in calls], [call.external_id for call in calls]
            ids = [] if self.again else [call.event_id for call in calls]
            stored = await connection.fetch(SQL["stored_events"], workspace_id, *keys, ids) if ids else []
        return frozenset(row["place"] for row in places), frozenset(row["event_id"] for row in stored)

    async def _turn(self) -> bool:
        """Wait for the next event's turn at the given rate. False: stopped."""
        if self.rate is None:
            return not self.stop.is_set()
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + 1 / self.rate
        try:
            await asyncio.wait_for(self.stop.wait(), max(0.0, self._due - 1 / self.rate - now))
        except TimeoutError:
            return True
        return False


# Export ----------------------------------------------------------------------------------------------------------


@dataclass
class Exported:
    """What an export wrote. `recordings` counts calls whose recording lies in the media store, not in the file."""

    calls: int = 0
    recordings: int = 0
    unreadable: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)
    """The first records that could not be read, each with the reason."""


@contextmanager
def written_to(path: Path | None) -> Iterator[IO[bytes]]:
    """A file that is there as a whole or not at all, packed if its name ends in .gz; standard output for None."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f".{path.name}.{clock.new_id().hex[-8:]}.part")
    try:
        with part.open("xb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(path.name, "wb", fileobj=raw, compresslevel=6) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


async def export(
    settings: Settings,
    store: ObjectStore,
    out: IO[bytes],
    selection: Selection,
    *,
    workspace_id: UUID | None = None,
    on_bounds: Callable[[int], None] = lambda total: None,
    on_read: Callable[[int], None] = lambda read: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Exported:
    """Write the raw calls that are meant, one a line, holding no more than a batch of them.

    Raises `OutageFault` when Kafka goes away; waits for a media store that does.
    """
    done = Exported()
    start = await archive.bounds(settings, selection)
    total = archive.remaining(start)
    on_bounds(total)
    found = archive.select(settings, workspace_id=workspace_id, selection=selection, start=start)
    progress = Progress(say=say)
    async with aclosing(found) as batches_of_records:
        async for batch in batches_of_records:
            for record in batch.records:
                await _write(record, store, out, done, progress)
            on_read(total - archive.remaining(batch.cursor))
    return done


async def _write(record: Record, store: ObjectStore, out: IO[bytes], done: Exported, progress: Progress) -> None:
    try:
        event = await patiently(lambda: _decoded(record, store), asyncio.Event(), progress)
    except InvalidCall as fault:
        done.unreadable += 1
        if len(done.failures) < SHOWN:
            place = f"{record.topic}, partition {record.partition}, offset {record.offset}"
            done.failures.append({"name": place, "reason": fault.sentence})
        return
    out.write(line_of(event, record.topic, record.timestamp_ms))
    done.calls += 1
    done.recordings += names_a_recording(event)


async def _decoded(record: Record, store: ObjectStore) -> RawCall:
    event = await decode(BY_NAME[record.topic], record.value, record.headers, store)
    assert isinstance(event, RawCall)  # noqa: S101 - the topic's model table says so
    return event


def line_of(call: RawCall, topic: str, timestamp_ms: int) -> bytes:
    """A raw call as a line of an archive file."""
    at = datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    value = call.model_dump(mode="json", exclude={"replay_id"}) | {"archive": {"topic": topic, "timestamp": at}}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def names_a_recording(call: RawCall) -> bool:
    """Whether the payload refers to a file in the media store, which does not travel with it."""
    if call.source_app != UPLOAD.source_app:
        return False
    with suppress(InvalidCall):
        payload = parse_json(call.payload)
        return isinstance(payload, dict) and payload.get("kind") == "media"
    return False
