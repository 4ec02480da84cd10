"""The library: search it, open a call, play its recording."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from api import highlights, recording
from api.auth import Caller
from api.downloads import disposition
from api.highlights import Piece
from api.paging import Instant, Items, Storable, cursor_id, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from streams.io import queries
from streams.io.store import in_workspace

SQL = queries.load("calls")
PLAYABLE = re.compile(r"(audio|video)/[a-z0-9][a-z0-9.+-]{0,60}")
"""Content types a browser may be given inline; anything else is a download."""


class CallPerson(BaseModel):
    """Somebody on the call."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


class CallItem(BaseModel):
    """A call in the library. `title_pieces` and `snippets` (up to three places of the transcript) say where a search
    fits; they are null where nothing was searched for. `source_id`: the account that brought it."""

    id: UUID
    source_app: str
    external_id: str
    title: str
    recording_start_time: datetime | None
    duration_seconds: float | None
    participants: list[CallPerson]
    metadata_quality: Literal["full", "partial", "minimal"]
    source_metadata: dict[str, Any]
    imported_at: datetime
    updated_at: datetime
    import_job_id: UUID | None
    source_id: UUID | None = None
    has_media: bool = False
    has_transcript: bool = False
    title_pieces: list[Piece] | None = None
    snippets: list[list[Piece]] | None = None


class CallSegment(BaseModel):
    """One utterance."""

    speaker: str | None = None
    text: str
    start_ms: int
    end_ms: int


class CallMedia(BaseModel):
    """The recording, and where to play it; `available` is false when it is not kept here."""

    url: str
    available: bool
    filename: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None


class CallDetail(CallItem):
    """A call with everything it holds."""

    full_transcript: str | None
    segments: list[CallSegment]
    original_transcript: str | None
    media: CallMedia | None
    language: str | None
    bank_id: UUID | None


class CallFilter(BaseModel):
    """Which calls are meant. Everything given must fit."""

    q: Storable | None = Field(None, max_length=500)
    source_app: Storable | None = Field(None, max_length=40)
    source_id: UUID | None = None
    participant: Storable | None = Field(None, max_length=200)
    speaker: Storable | None = Field(None, max_length=200)
    since: Instant | None = None
    until: Instant | None = None


async def list_calls(
    ports: Ports, caller: Caller, wanted: CallFilter, limit: int, cursor: str | None
) -> Items[CallItem]:
    """Calls, newest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    speaker = (wanted.speaker or "").lower() or None
    who = (wanted.source_app, wanted.source_id, wanted.participant or None, speaker)
    which = (*who, wanted.since, wanted.until, *after, limit + 1)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if wanted.q is None:
            rows = await connection.fetch(SQL["list_calls"], caller.workspace_id, *which)
        else:
            rows = await connection.fetch(SQL["search_calls"], caller.workspace_id, wanted.q, *which)
    show = _item if wanted.q is None else _hit
    return await asyncio.to_thread(page, rows, limit, show, lambda row: (row["imported_at"], row["recording_id"]))


def _item(row: Any) -> CallItem:
    return CallItem(**_shown(row))


def _hit(row: Any) -> CallItem:
    phrases = highlights.phrases_of(row["wanted"])
    return CallItem(
        **_shown(row),
        title_pieces=highlights.title_pieces(row["title"], phrases),
        snippets=highlights.snippets_of(row["searched"] or "", phrases),
    )


async def get_call(ports: Ports, caller: Caller, call_id: UUID) -> CallDetail:
    """One call with everything it holds."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["find_call"], caller.workspace_id, call_id)
    if row is None:
        raise not_found("call")
    return CallDetail(**{**_shown(row), "media": _media(row["media"], call_id)})


def _shown(row: Any) -> dict[str, Any]:
    milliseconds = row["duration_ms"]
    return {
        **dict(row),
        "id": row["recording_id"],
        "duration_seconds": milliseconds / 1000 if milliseconds is not None else None,
    }


def _media(found: dict[str, Any] | None, call_id: UUID) -> CallMedia | None:
    if not found:
        return None
    known = {name: found.get(name) for name in ("filename", "content_type", "size_bytes")}
    return CallMedia(url=f"/api/calls/{call_id}/media", available=bool(found.get("ref")), **known)


async def get_media(
    ports: Ports, caller: Caller, call_id: UUID, range_header: str | None, *, head: bool, download: bool = False
) -> Response:
    """The recording, whole or the part a player asks for; `download`: as a file to save."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["find_call_media"], caller.workspace_id, call_id)
    if row is None:
        raise not_found("call")
    found = row["media"] or {}
    if not found.get("ref"):
        raise Problem(404, "no_recording", "This call has no recording that is kept here.")
    size = await recording.size(ports.store, found["ref"])
    start, end, partial = _range(range_header, size)
    headers = _media_headers(found, download=download) | {"Content-Length": str(end - start)}
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = recording.part(ports.store, found["ref"], start, end) if not head and end > start else _nothing()
    return StreamingResponse(body, 206 if partial else 200, headers=headers, media_type=headers["Content-Type"])


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _media_headers(found: dict[str, Any], *, download: bool) -> dict[str, str]:
    """A recording comes from strangers: it may be played, and nothing in it may run."""
    content_type = str(found.get("content_type") or "")
    playable = PLAYABLE.fullmatch(content_type) is not None
    name = str(found.get("filename") or "recording")
    return {
        "Content-Type": content_type if playable else "application/octet-stream",
        "Content-Disposition": disposition(name, inline=playable and not download),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def _range(header: str | None, size: int) -> tuple[int, int, bool]:
    """(start, end, partial) of a Range header. What is no single byte range is ignored, as RFC 9110 says."""
    match = re.fullmatch(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", header or "", re.IGNORECASE | re.ASCII)
    if match is None or not (match[1] or match[2]):
        return 0, size, False
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        if match[2] and int(match[2]) < int(match[1]):
            return 0, size, False
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        sentence = f"The recording has {size} bytes; the range asked for lies outside."
        raise Problem(416, "range_not_satisfiable", sentence, headers={"Content-Range": f"bytes */{size}"})
    return start, end, True
