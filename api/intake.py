"""Files become calls: look, refuse or keep, write the job down, publish. Shared by upload and command line.

The order makes the promise: a file is in the media store and its call in `job_calls` before its event is published,
and nothing is called accepted before the broker has it.
"""

import asyncio
import errno
import hashlib
import json
import re
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel

from api import events
from api.multipart import FormFile, readable_size
from api.ports import Ports
from api.problems import Problem
from api.quota import without_room
from connectors.contract import Received
from connectors.transcripts import decode
from connectors.upload import UPLOAD
from schemas.calls import Placement, RawCall
from schemas.faults import InvalidCall, OutageFault
from streams.io import clock, media, queries
from streams.io.erase import ERASED
from streams.io.probe import HEAD_BYTES, ProbeError, Sniffed, probe_media, sniff
from streams.io.quotas import USED_UP
from streams.io.store import in_workspace

SQL = queries.load("uploads")
T = TypeVar("T")

MAX_TRANSCRIPT_BYTES = 20 * 1024**2
LARGE_TEXT = 1024**2
FILES_AT_ONCE = 2
"""Files of one upload looked into at the same time."""
PUBLISH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose calls these are, and where they go."""

    workspace_id: UUID
    user_id: UUID
    bank_id: UUID | None = None
    vault_id: UUID | None = None

    @property
    def placement(self) -> Placement:
        """Where the calls are filed."""
        return Placement(owner_user_id=self.user_id, bank_id=self.bank_id, vault_id=self.vault_id)


@dataclass(frozen=True, slots=True)
class Given:
    """What the sender says about all files of an upload."""

    title: str | None = None
    recorded_at: datetime | None = None


class FileAnswer(BaseModel):
    """What became of one file. `reason` is a word for programs, `message` the sentence for the person."""

    external_id: str | None = None
    filename: str
    status: Literal["accepted", "duplicate", "refused"]
    reason: str | None = None
    message: str | None = None


class UploadAnswer(BaseModel):
    """The job that follows the accepted files, and what became of each file."""

    job_id: UUID
    calls: list[FileAnswer]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file that will be published. Its text is read again when its turn comes, so that many need little memory."""

    file: FormFile
    path: Path
    found: Sniffed
    ref: str | None = None
    duration_seconds: float | None = None
    probe_error: str | None = None


async def file_at(path: Path) -> FormFile:
    """A file that is on disk already, measured and hashed. For the command line."""
    return await asyncio.to_thread(_measured, path)


def _measured(path: Path) -> FormFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FormFile(path.name, path, file.tell(), digest)


async def accept_files(ports: Ports, sender: Sender, files: Sequence[FormFile], given: Given) -> UploadAnswer:
    """Take in the good files and say why the others are refused.

    Raises a problem when no file is good, `OutageFault` when the broker, the database or the media store is away (then
    nothing counts as accepted), a 507 problem when the disk is full.
    """
    await _check_placement(ports, sender)
    gate = asyncio.Semaphore(FILES_AT_ONCE)
    async with in_workspace(ports.pool, sender.workspace_id) as connection:
        hashes = [file.sha256 for file in files if file.path]
        rows = await connection.fetch(SQL["erased_already"], sender.workspace_id, UPLOAD.source_app, hashes)
    erased = {row["external_id"] for row in rows}

    async def look(file: FormFile, first: bool) -> _Kept | FileAnswer:
        if not first:
            return _answer(file, "duplicate", "same_file_twice", "The same file is in this upload twice.")
        if file.sha256 in erased:
            return _answer(file, "refused", "erased", ERASED)
        async with gate:
            try:
                return await _look_into(ports, sender, file)
            except InvalidCall as fault:
                return _answer(file, "refused", fault.reason, fault.sentence)

    seen = [file.sha256 in {other.sha256 for other in files[:n] if other.path} for n, file in enumerate(files)]
    with disk_full_said():
        looked = await _together(look(file, not twice) for file, twice in zip(files, seen, strict=True))
    kept = [found for found in looked if isinstance(found, _Kept)]
    over, why = await without_room(
        ports, sender.workspace_id, UPLOAD.source_app, [found.file.sha256 for found in kept]
    )  # fmt: skip
    looked = [
        _answer(found.file, "refused", USED_UP, why)
        if isinstance(found, _Kept) and found.file.sha256 in over
        else found
        for found in looked
    ]
    kept = [found for found in looked if isinstance(found, _Kept)]
    if not kept:
        raise _nothing_good([found for found in looked if isinstance(found, FileAnswer)])
    job_id, stored = await _publish_files(ports, sender, kept, given)
    return UploadAnswer(
        job_id=job_id,
        calls=[
            found if isinstance(found, FileAnswer)
            else _answer(found.file, "duplicate", "already_imported", "This file is in the library already.")
            if found.file.sha256 in stored
            else _answer(found.file, "accepted")
            for found in looked
        ],
    )  # fmt: skip


@contextmanager
def disk_full_said() -> Iterator[None]:
    """A full disk becomes a 507 problem, whether the file system or the media store says so."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full() from error
        raise
    except OutageFault as fault:
        if re.search("No space left|os error 28|quota exceeded", fault.detail, re.IGNORECASE):
            raise _disk_full() from fault
        raise


async def _together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Like `asyncio.gather`; when one fails the others are ended first, because they read files that will be gone."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _disk_full() -> Problem:
    return Problem(
        507, "disk_full", "There is no room left for the upload. Nothing was accepted; make room and try again."
    )


def _answer(
    file: FormFile,
    status: Literal["accepted", "duplicate", "refused"],
    reason: str | None = None,
    message: str | None = None,
) -> FileAnswer:
    return FileAnswer(
        external_id=file.sha256 if file.path else None,
        filename=_shown(file.filename),
        status=status,
        reason=reason,
        message=message,
    )


def _nothing_good(answers: list[FileAnswer]) -> Problem:
    calls = [answer.model_dump() for answer in answers]
    if not answers:
        return Problem(422, "no_files", "The upload holds no file.", calls=calls)
    reasons = {answer.reason for answer in answers}
    status = 413 if reasons <= {"file_too_large", "transcript_too_large"} else 422
    if len(answers) == 1:
        return Problem(status, str(answers[0].reason), str(answers[0].message), calls=calls)
    return Problem(status, "all_files_refused", "None of these files can be imported; each says why.", calls=calls)


async def _check_placement(ports: Ports, sender: Sender) -> None:
    if sender.bank_id is None and sender.vault_id is None:
        return
    who = (sender.workspace_id, sender.user_id)
    async with in_workspace(ports.pool, sender.workspace_id) as connection:
        if sender.bank_id and not await connection.fetchval(SQL["bank_exists"], who[0], sender.bank_id, who[1]):
            raise InvalidCall("unknown_bank", "There is no such bank that you may file into.", field="bank_id")
        if sender.vault_id and not await connection.fetchval(
            SQL["vault_exists"], who[0], sender.vault_id, who[1], sender.bank_id
        ):
            raise InvalidCall("unknown_vault", "There is no such vault in a bank you may file into.", field="vault_id")


async def _look_into(ports: Ports, sender: Sender, file: FormFile) -> _Kept:
    """Decide about one file; keep a recording in the media store. Raises `InvalidCall` with the reason of a refusal."""
    limit = ports.settings.upload_max_bytes
    if file.path is None or file.size > limit:
        sentence = f"{_shown(file.filename)} is larger than {readable_size(limit)}, which is the most a file may have."
        raise InvalidCall("file_too_large", sentence)
    head = await asyncio.to_thread(_read, file.path, HEAD_BYTES)
    found = sniff(head, file.filename)
    if found.kind == "transcript":
        await _check_text(ports, file, file.path)
        return _Kept(file, file.path, found)
    async with ports.probes:
        probed = await probe_media(file.path)
    ref = f"uploads/{sender.workspace_id}/{file.sha256}/{safe_name(file.filename)}"
    if not await media.exists(ports.store, ref):
        await media.put_file(ports.store, ref, file.path)
    if isinstance(probed, ProbeError) and probed.reason == "timeout":
        # A slow machine says nothing about the file: speech to text finds out.
        return _Kept(file, file.path, found, ref)
    if isinstance(probed, ProbeError):
        return _Kept(file, file.path, found, ref, probe_error=probed.sentence)
    return _Kept(file, file.path, found, ref, duration_seconds=probed.duration_seconds)


def _read(path: Path, size: int = -1) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


async def _check_text(ports: Ports, file: FormFile, path: Path) -> None:
    if file.size > MAX_TRANSCRIPT_BYTES:
        most = readable_size(MAX_TRANSCRIPT_BYTES)
        sentence = f"{_shown(file.filename)} is larger than {most}, which is the most a transcript may have."
        raise InvalidCall("transcript_too_large", sentence)
    async with ports.large_texts:
        await asyncio.to_thread(lambda: decode(_read(path)))


def safe_name(filename: str) -> str:
    """A name for the media store: ASCII letters, digits, `.`, `_` and `-`, the extension kept."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", re.split(r"[/\\]", filename)[-1]).strip("._")
    stem, dot, extension = name.rpartition(".")
    return (f"{stem[:80]}.{extension[:12]}" if dot and stem else name[:80]) or "file"


def _shown(filename: str) -> str:
    """The last part of the name, as far as it can be printed."""
    name = re.split(r"[/\\]", filename)[-1].encode("utf-8", "replace").decode()
    return "".join(c for c in name if c.isprintable()).strip() or "Untitled upload"


async def _publish_files(
    ports: Ports, sender: Sender, kept: Sequence[_Kept], given: Given
) -> tuple[UUID, frozenset[str]]:
    """Write job and calls down, publish, and give back the job and which of the files are in the library already."""
    now = clock.now()
    ids = {found.file.sha256: clock.new_id() for found in kept}
    job_id = clock.new_id()
    async with in_workspace(ports.pool, sender.workspace_id) as connection:
        rows = await connection.fetch(SQL["stored_already"], sender.workspace_id, UPLOAD.source_app, list(ids))
        await connection.execute(
            SQL["add_job"], job_id, sender.workspace_id, "upload", UPLOAD.source_app, sender.user_id, len(kept), False
        )
        await connection.execute(
            SQL["add_job_calls"], sender.workspace_id, job_id, [UPLOAD.source_app] * len(kept), list(ids),
            [_storable(found.file.filename) for found in kept], list(ids.values()),
        )  # fmt: skip

    async def publish(found: _Kept) -> list[RawCall]:
        if found.file.size > LARGE_TEXT and found.found.kind == "transcript":
            async with ports.large_texts:
                return await publish_now(found)
        return await publish_now(found)

    async def publish_now(found: _Kept) -> list[RawCall]:
        async with gate:
            payload = await asyncio.to_thread(_payload, found, given)
            call = events.raw_call(
                Received(found.file.sha256, payload), workspace_id=sender.workspace_id, source_app=UPLOAD.source_app,
                via="upload", placement=sender.placement, now=now, job_id=job_id,
            ).model_copy(update={"event_id": ids[found.file.sha256]})  # fmt: skip
            return await events.publish_all(ports.bus, [call], seconds=PUBLISH_SECONDS)

    gate = asyncio.Semaphore(16)
    try:
        failed = [call for each in await _together(publish(found) for found in kept) for call in each]
    except Exception:
        await _refuse(ports, sender, job_id, list(ids.values()), "The upload could not be completed.")
        raise
    if failed:
        await _refuse(ports, sender, job_id, [call.event_id for call in failed], events.broker_away().sentence)
        raise events.broker_away()
    return job_id, frozenset(row["external_id"] for row in rows)


async def _refuse(ports: Ports, sender: Sender, job_id: UUID, event_ids: list[UUID], sentence: str) -> None:
    async with in_workspace(ports.pool, sender.workspace_id) as connection:
        await connection.execute(SQL["refuse_job_calls"], sender.workspace_id, job_id, event_ids, sentence)
        await connection.execute(SQL["set_job_error"], sender.workspace_id, job_id, sentence)


def _payload(found: _Kept, given: Given) -> str:
    """The payload as `connectors/upload.py` reads it."""
    file = found.file
    payload: dict[str, Any] = {
        "kind": found.found.kind,
        "format": found.found.format,
        "filename": file.filename,
        "title": given.title,
        "recorded_at": given.recorded_at.isoformat() if given.recorded_at else None,
    }
    if found.found.kind == "transcript":
        payload |= {"sha256": file.sha256, "size_bytes": file.size, "text": decode(_read(found.path))}
    else:
        payload |= {
            "duration_seconds": found.duration_seconds,
            "probe_error": found.probe_error,
            "media": {
                "ref": found.ref,
                "sha256": file.sha256,
                "size_bytes": file.size,
                "content_type": found.found.content_type,
            },
        }
    return json.dumps({name: value for name, value in payload.items() if value is not None})


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
