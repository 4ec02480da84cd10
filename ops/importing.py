"""`callstream import`: files and JSON Lines from the command line, through the same door as uploads.

A call is in `job_calls` before it is published, and counts as sent only when the broker has it. Stopping half-way, or
sending the same file again, is safe: what is known already is skipped.
"""

import asyncio
import codecs
import gzip
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final, TypeVar
from uuid import UUID

from api import events, intake
from api.ports import Ports
from api.problems import Problem
from connectors.generic import GENERIC
from connectors.registry import raw_line
from schemas import dead_letter
from schemas.calls import RawCall
from schemas.dead_letter import Death
from schemas.faults import InvalidCall, OutageFault
from schemas.topics import DEAD, RAW, Topic
from streams.io import clock, queries
from streams.io.bus import headers_of
from streams.io.store import in_workspace

SQL: Final = queries.load("uploads")
LINES_SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
MAX_LINE: Final = 5 * 1024**2
KEPT_OF_LONG_LINE: Final = 64 * 1024
BATCH_LINES: Final = 500
BATCH_BYTES: Final = 8 * 1024**2
IN_FLIGHT: Final = 2000
BYTES_A_SLOT: Final = 16 * 1024  # so that events in flight never hold more than IN_FLIGHT times this
FILES_AT_ONCE: Final = 20
PAUSE_SECONDS: Final = 1.0
STOPPED: Final = "The import was stopped before the end of the file. Send the file again: what is known is skipped."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file. `fault` says why it cannot even be tried; `text` is then what is kept of it."""

    number: int
    text: str
    size: int
    fault: InvalidCall | None = None


@dataclass
class Sent:
    """What was sent so far, and the jobs to follow."""

    jobs: list[UUID] = field(default_factory=list)
    calls: int = 0
    duplicates: int = 0
    """Lines or files that were in this import before: they have no row of their own in the job."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Files that were not taken in, each with the reason."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How an import tells how far it is. Every part may be left out."""

    read: Callable[[int], None] = lambda count: None
    """So many bytes of all files are read."""
    sent: Callable[[int], None] = lambda count: None
    """So many calls are with the broker."""
    say: Callable[[str], None] = lambda sentence: None


def is_lines(path: Path) -> bool:
    """Whether a file holds raw calls, one a line."""
    return path.name.lower().endswith(LINES_SUFFIXES)


def size_of(paths: Sequence[Path]) -> int:
    """How many bytes there are to read."""
    return sum(path.stat().st_size for path in paths)


async def send(
    ports: Ports,
    sender: intake.Sender,
    paths: Sequence[Path],
    given: intake.Given,
    stop: asyncio.Event,
    progress: Progress | None = None,
) -> Sent:
    """Send everything, or as much as there is time for until `stop`. What is sent is safe whatever comes then."""
    progress = progress or Progress()
    sent = Sent()
    files = [path for path in paths if not is_lines(path)]
    read = 0
    for start in range(0, len(files), FILES_AT_ONCE):
        if stop.is_set():
            return sent
        group = files[start : start + FILES_AT_ONCE]
        await _send_files(ports, sender, group, given, sent)
        read += size_of(group)
        progress.read(read)
        progress.sent(sent.calls)
    for path in (path for path in paths if is_lines(path)):
        if stop.is_set():
            return sent
        before = read
        await _send_lines(ports, sender, path, sent, stop, progress, before)
        read = before + path.stat().st_size
        progress.read(read)
    return sent


async def _send_files(
    ports: Ports, sender: intake.Sender, paths: Sequence[Path], given: intake.Given, sent: Sent
) -> None:
    try:
        answer = await intake.accept_files(ports, sender, [await intake.file_at(path) for path in paths], given)
    except Problem as problem:
        if "calls" not in problem.extra:
            raise
        answers = [intake.FileAnswer(**call) for call in problem.extra["calls"]]
    else:
        sent.jobs.append(answer.job_id)
        answers = answer.calls
    for each in answers:
        if each.status == "refused":
            sent.refused.append((each.filename, each.message or each.reason or ""))
        elif each.reason == "same_file_twice":
            sent.duplicates += 1
        else:
            sent.calls += 1


async def _send_lines(
    ports: Ports,
    sender: intake.Sender,
    path: Path,
    sent: Sent,
    stop: asyncio.Event,
    progress: Progress,
    before: int,
) -> None:
    """Send one file of lines as one job."""
    job_id = clock.new_id()
    workspace_id = sender.workspace_id
    async with in_workspace(ports.pool, workspace_id) as connection:
        await connection.execute(
            SQL["add_job"], job_id, workspace_id, "upload", GENERIC.source_app, sender.user_id, 0, True
        )
    sent.jobs.append(job_id)
    window = Window(ports, stop, progress)
    try:
        async with asyncio.TaskGroup() as group:
            with path.open("rb") as raw:
                for batch in batches(read_lines(open_lines(raw, path))):
                    if stop.is_set():
                        break
                    calls = [_call_of(line, sender, job_id) for line in batch]
                    names = [f"{path.name}, line {line.number}" for line in batch]
                    add = partial(add_rows, ports, workspace_id, job_id, calls, names)
                    sent.duplicates += len(calls) - await patiently(add, stop, progress)
                    for line, call in zip(batch, calls, strict=True):
                        slots = await window.enter(line.size)
                        group.create_task(window.publish(call, line.fault, slots))
                        sent.calls += 1
                    progress.read(before + raw.tell())
                    await asyncio.sleep(0)
    finally:
        sent.calls -= len(window.unsent)
        await close_job(ports, workspace_id, job_id, window.unsent, STOPPED if stop.is_set() else None)


async def close_job(
    ports: Ports, workspace_id: UUID, job_id: UUID, unsent: Sequence[UUID], problem: str | None
) -> None:
    """No more calls will come: say of those that could not be sent that they were not, and of the job why."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        if unsent:
            await connection.execute(SQL["refuse_job_calls"], workspace_id, job_id, list(unsent), STOPPED)
        if problem:
            await connection.execute(SQL["set_job_error"], workspace_id, job_id, problem)
        await connection.execute(SQL["close_job"], workspace_id, job_id)


def _call_of(line: Line, sender: intake.Sender, job_id: UUID) -> RawCall:
    source_app, received = raw_line(line.text)
    return events.raw_call(
        received,
        workspace_id=sender.workspace_id,
        source_app=source_app,
        via="import",
        placement=sender.placement,
        now=clock.now(),
        job_id=job_id,
    )


async def add_rows(
    ports: Ports, workspace_id: UUID, job_id: UUID, calls: Sequence[RawCall], names: Sequence[str]
) -> int:
    """Write the calls of a batch down; how many of them are new in this job."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        done: str = await connection.execute(
            SQL["add_job_calls"],
            workspace_id,
            job_id,
            [call.source_app for call in calls],
            [call.external_id for call in calls],
            list(names),
            [call.event_id for call in calls],
        )
    return int(done.rsplit(" ", 1)[-1])  # "INSERT 0 <rows>"


async def patiently(work: Callable[[], Awaitable[T]], stop: asyncio.Event, progress: Progress) -> T:
    """The result of `work`, tried again for as long as one of our own servers is away and nobody told us to stop."""
    said = False
    while True:
        try:
            return await work()
        except OutageFault as fault:
            if stop.is_set():
                raise
            if not said:
                progress.say(f"{fault.sentence} Waiting for it; nothing is lost.")
            said = True
            await asyncio.sleep(PAUSE_SECONDS)


class Window:
    """Bounds what is in flight, by number and by size. Events with the same key go in the order they were given."""

    def __init__(self, ports: Ports, stop: asyncio.Event, progress: Progress, topic: Topic = RAW) -> None:
        self.unsent: list[UUID] = []
        self._topic = topic
        self._turns: dict[bytes, asyncio.Event] = {}
        self._ports = ports
        self._stop = stop
        self._progress = progress
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._done = 0

    async def enter(self, size: int) -> int:
        """Wait for room for an event of that size; how many slots it takes. Only one may wait at a time."""
        slots = min(1 + size // BYTES_A_SLOT, IN_FLIGHT)
        for _ in range(slots):
            await self._slots.acquire()
        return slots

    async def publish(self, call: RawCall, fault: InvalidCall | None, slots: int) -> None:
        """Publish, however long it takes; a line that could not be read goes to the dead letters."""
        before, mine = self._turns.get(call.key), asyncio.Event()
        self._turns[call.key] = mine
        try:
            if before is not None:
                await before.wait()
            if fault is None:
                await patiently(lambda: self._ports.bus.publish(self._topic, call), self._stop, self._progress)
            else:
                await patiently(lambda: self._bury(call, fault), self._stop, self._progress)
        except OutageFault:
            self.unsent.append(call.event_id)
            return
        finally:
            mine.set()
            if self._turns.get(call.key) is mine:
                del self._turns[call.key]
            for _ in range(slots):
                self._slots.release()
        self._done += 1
        self._progress.sent(self._done)

    async def _bury(self, call: RawCall, fault: InvalidCall) -> None:
        death = Death(
            stage="import",
            kind="rejected",
            reason=fault.reason,
            message=fault.sentence,
            detail=fault.detail,
            topic=RAW.name,
            partition=0,
            offset=0,
            attempt=1,
            at=clock.now(),
        )
        headers = dead_letter.headers_of(death, headers_of(RAW, call, "import"))
        await self._ports.bus.send(DEAD.name, call.key, call.model_dump_json().encode(), headers)


def open_lines(raw: IO[bytes], path: Path) -> IO[bytes]:
    """The lines of a file, unpacked if its name says that it is packed."""
    return gzip.open(raw) if path.name.lower().endswith(".gz") else raw  # type: ignore[return-value]


def read_lines(file: IO[bytes], most: int | None = None) -> Iterator[Line]:
    """The lines that are not blank, of at most `most` bytes (default: `MAX_LINE`). Never holds more than one of them,
    nor more of it than may be sent."""
    most = MAX_LINE if most is None else most
    number = 0
    try:
        while chunk := file.readline(most + 2):  # and its line end
            number += 1
            if number == 1:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
            if len(chunk.rstrip(b"\r\n")) > most:
                yield _too_long(number, chunk, file, most)
            elif chunk.strip():
                yield _line(number, chunk)
    except (EOFError, OSError, zlib.error) as error:
        sentence = f"The file cannot be read further than line {number}: it is damaged or cut off."
        yield Line(number + 1, f"unreadable-{number + 1}", 0, InvalidCall("file_damaged", sentence, detail=repr(error)))


def _line(number: int, chunk: bytes) -> Line:
    try:
        return Line(number, chunk.decode("utf-8"), len(chunk))
    except UnicodeDecodeError as error:
        sentence = "This line is not UTF-8 text. Save the file as UTF-8 and send it again."
        fault = InvalidCall("line_not_utf8", sentence, detail=str(error))
        return Line(number, chunk.decode("utf-8", "replace"), len(chunk), fault)


def _too_long(number: int, start: bytes, file: IO[bytes], most: int) -> Line:
    size = len(start)
    digest = hashlib.sha256(start)
    while not start.endswith(b"\n") and (rest := file.readline(MAX_LINE)):
        size += len(rest)
        digest.update(rest)
        if rest.endswith(b"\n"):
            break
    sentence = f"This line is longer than {most // 1024**2} MB, which is the most a call may have. Make it shorter."
    fault = InvalidCall("line_too_long", sentence, detail=f"{size} bytes, SHA-256 {digest.hexdigest()}")
    # The beginning alone: enough to see which call it was. Cut off, it is no JSON, so its id is made of its bytes.
    return Line(number, start[:KEPT_OF_LONG_LINE].decode("utf-8", "replace"), KEPT_OF_LONG_LINE, fault)


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in groups that are neither many nor large."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= BATCH_LINES or size + line.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += line.size
    if batch:
        yield batch
