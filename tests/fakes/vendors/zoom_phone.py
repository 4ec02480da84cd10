"""Zoom Phone as it answers: a licence that may be missing, transcripts in JSON with odd users and times.

`world.notes["zoom_phone unlicensed"] = True` takes the licence away.
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors import _zoom as zoom
from tests.fakes.vendors.core import FakeCall, Line, Person, Posting, World, guard, media_answer, reply, seen_of

SOURCE = "zoom_phone"
KIND = "oauth"
CREDENTIAL: dict[str, str] = {}
LIMITS = zoom.rates(20, 10, 5)
refusal = zoom.refusal


def external_id(call: FakeCall) -> str:
    """The recording's id: 16 hexadecimal digits."""
    return hashlib.sha256(b"phone" + call.id.encode()).hexdigest()[:16]


def recording(world: World, call: FakeCall) -> dict[str, Any]:
    """A recording as it is listed. What is empty is left out."""
    ours, theirs = ([*call.people, Person(), Person()])[:2]
    found: dict[str, Any] = {
        "id": external_id(call), "call_id": f"73{call.id}", "call_log_id": f"{call.id}-log",
        "caller_name": ours.name, "caller_number": "1001", "caller_number_type": 1, "callee_name": theirs.name,
        "callee_number": theirs.phone, "callee_number_type": 2, "direction": "outbound",
        "outgoing_by": {"name": ours.name, "extension_number": "1001"}, "date_time": zoom.stamp(call.started_at),
        "end_time": zoom.stamp(call.ended_at), "duration": int(call.duration_s), "recording_type": "Automatic",
        "owner": {"type": "user", "id": "u77", "name": ours.name, "extension_number": 1001},
    }  # fmt: skip
    if call.has_recording:
        found["download_url"] = f"https://zoom.us/v2/phone/recording/download/{external_id(call)}"
    if call.has_transcript and world.transcript_ready(call):
        found["transcript_download_url"] = f"https://zoom.us/v2/phone/recording_transcript/download/{external_id(call)}"
    return {name: value for name, value in found.items() if value is not None}


def transcript(call: FakeCall) -> dict[str, Any]:
    """The timeline. One line in five has no user at all."""
    return {
        "type": "zoom_transcript", "ver": 1, "recording_id": external_id(call), "account_id": zoom.ACCOUNT,
        "host_id": "u77", "recording_start": zoom.stamp(call.started_at), "recording_end": zoom.stamp(call.ended_at),
        "timeline": [_entry(number, line) for number, line in enumerate(call.lines)],
    }  # fmt: skip


def _entry(number: int, line: Line) -> dict[str, Any]:
    name = line.speaker if line.speaker else "Unknown Speaker"
    user = {"username": name, "multiple_people": False, "user_id": str(16778240 + number), "client_type": 0}
    users = [] if number % 5 == 4 else [user]
    return {"text": line.text, "ts": zoom.clock(line.start_s), "end_ts": zoom.clock(line.end_s), "users": users}


def routes(world: World) -> list[Route]:
    """Zoom's addresses for the phone."""

    async def let_in(request: Request, bucket: str) -> Response | None:
        refused = await guard(world, SOURCE, request, bucket)
        if refused is None and world.notes.get("zoom_phone unlicensed"):
            seen_of(request).fault = "unlicensed"
            return reply({"code": 403, "message": "No permission."}, 403)
        return refused

    def found(request: Request) -> FakeCall | None:
        return world.known(SOURCE, external_id, request.path_params["recording"])

    async def recordings(request: Request) -> Response:
        if refused := await let_in(request, "medium"):
            return refused
        calls = world.listed(SOURCE)
        return zoom.listing(world, SOURCE, request, "recordings", calls, 100, lambda call: recording(world, call))

    async def sound(request: Request) -> Response:
        if refused := await let_in(request, "light"):
            return refused
        call = found(request)
        return media_answer(call) if call and call.has_recording else reply({"code": 404, "message": "No file."}, 404)

    async def words(request: Request) -> Response:
        if refused := await let_in(request, "light"):
            return refused
        call = found(request)
        if call is None or not call.lines or not world.transcript_ready(call):
            return reply({"code": 12000, "message": "Unable to transcribe this recording."}, 400)
        return reply(transcript(call))

    return [
        *zoom.connecting(world, SOURCE),
        Route(f"{zoom.API}/phone/recordings", recordings),
        Route(f"{zoom.API}/phone/users/me/recordings", recordings),
        Route("/zoom.us/v2/phone/recording/download/{recording}", sound),
        Route("/zoom.us/v2/phone/recording_transcript/download/{recording}", words),
    ]


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """The recording is ready, and then its transcript."""
    thing = {"recordings": [recording(world, call)]}
    found = [zoom.posting(world, "phone.recording_completed", thing, secret, url)]
    if world.transcript_ready(call):
        found.append(zoom.posting(world, "phone.recording_transcript_completed", thing, secret, url))
    return found
