"""Recordings of the fake vendors: real sound of a second, another tone for each call, behind signed addresses."""

from __future__ import annotations

import secrets
import zlib
from functools import cache
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes import audio
from tests.fakes.vendors.shapes import FakeCall
from tests.fakes.vendors.world import World, reply, seen_of

Sound = Literal["mp3", "m4a", "wav", "mp4"]
TYPES: dict[str, str] = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "wav": "audio/wav", "mp4": "video/mp4"}
SECONDS = 1.0
"""How long the sound really is, at most: a call of an hour needs no hour of sound to be downloaded."""


@cache
def _sound(kind: str, seconds: float, pitch: int) -> bytes:
    make = {"mp3": audio.make_mp3, "m4a": audio.make_m4a, "wav": audio.make_wav, "mp4": audio.make_mp4}[kind]
    return make(seconds, pitch)


def recording_of(call: FakeCall, kind: Sound = "mp3") -> bytes:
    """The bytes of a call's recording: always the same for the same id."""
    return _sound(kind, max(min(call.duration_s, SECONDS), 0.2), 200 + zlib.crc32(call.id.encode()) % 3000)


def media_answer(call: FakeCall, kind: Sound = "mp3") -> Response:
    """A call's recording as the answer of a vendor's own download address."""
    return Response(recording_of(call, kind), media_type=TYPES[kind])


def media_url(world: World, call: FakeCall, kind: Sound = "mp3", lives: float = 3600.0) -> str:
    """An address that needs no credential, is different each time, and dies after so many seconds."""
    token = secrets.token_urlsafe(12)
    world.media[token] = (call, kind, world.now().timestamp() + lives)
    return f"https://media.fake/signed/{token}/recording.{kind}?signature={secrets.token_hex(8)}"


def media_routes(world: World) -> list[Route]:
    """Where `media_url` leads to."""

    async def download(request: Request) -> Response:
        seen_of(request).source = "media"
        call, kind, expires_at = world.media.get(request.path_params["token"], (None, "", 0.0))
        if call is None or expires_at < world.now().timestamp():
            return reply({"error": "This link has expired."}, 403)
        return media_answer(call, kind)  # type: ignore[arg-type]

    return [Route("/media.fake/signed/{token}/{name}", download)]
