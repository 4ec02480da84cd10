"""Zoom Meetings as it answers: months, UUIDs with slashes, minutes, transcripts behind redirects, signed events.

Every third UUID begins with a slash and holds two, every fifth recording was paused in the middle (two sets of files),
every seventh has a length of 0 minutes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.vendors import _zoom as zoom
from tests.fakes.vendors.core import FakeCall, Line, Posting, World, guard, media_url, reply, seen_of

SOURCE = "zoom"
KIND = "oauth"
CREDENTIAL: dict[str, str] = {}
LIMITS = zoom.rates(30, 20, 10)
refusal = zoom.refusal
PAUSE_AFTER = 0.5


def _chance(call: FakeCall) -> int:
    return int.from_bytes(hashlib.sha256(call.id.encode()).digest()[:4])


def external_id(call: FakeCall) -> str:
    """The UUID of this one time: 16 bytes in base64."""
    uuid = base64.b64encode(hashlib.sha256(b"zoom" + call.id.encode()).digest()[:16]).decode()
    return f"/{uuid[1:8].replace('/', 'x')}//{uuid[10:]}" if _chance(call) % 3 == 0 else uuid.replace("/", "x")


def meeting(world: World, call: FakeCall) -> dict[str, Any]:
    """A meeting with its files as they are by now."""
    files = [file for part in range(_parts(call)) for file in _files(world, call, part)]
    return {
        "uuid": external_id(call), "id": 84_000_000_000 + _chance(call) % 1_000_000_000, "account_id": zoom.ACCOUNT,
        "host_id": "h0StIdxyz", "topic": call.title, "type": 2, "start_time": zoom.stamp(call.started_at),
        "timezone": "America/New_York", "duration": 0 if _chance(call) % 7 == 0 else int(call.duration_s // 60),
        "total_size": 91822011, "recording_count": len(files), "share_url": f"https://zoom.us/rec/share/{call.id}",
        "recording_play_passcode": "fake-zoom-passcode", "recording_files": files,
    }  # fmt: skip


def _parts(call: FakeCall) -> int:
    return 2 if _chance(call) % 5 == 0 and call.duration_s >= 20 else 1


def _span(call: FakeCall, part: int) -> tuple[float, float]:
    middle = float(int(call.duration_s * PAUSE_AFTER)) if _parts(call) == 2 else call.duration_s
    return (0.0, middle) if part == 0 else (middle, call.duration_s)


def _files(world: World, call: FakeCall, part: int) -> list[dict[str, Any]]:
    begin, end = _span(call, part)
    start = call.started_at.timestamp()

    def file(kind: str, extension: str, what: str) -> dict[str, Any]:
        name = f"{call.id}.{part}.{extension.lower()}"
        return {
            "id": f"{name}-id", "meeting_id": external_id(call), "file_type": kind, "file_extension": extension,
            "recording_start": zoom.stamp(call.started_at.fromtimestamp(start + begin, call.started_at.tzinfo)),
            "recording_end": zoom.stamp(call.started_at.fromtimestamp(start + end, call.started_at.tzinfo)),
            "file_size": 20811221, "play_url": f"https://zoom.us/rec/play/{name}", "status": "completed",
            "download_url": f"https://zoom.us/rec/download/{name}", "recording_type": what,
        }  # fmt: skip

    found = []
    if call.has_recording:
        found += [file("MP4", "MP4", "shared_screen_with_speaker_view"), file("M4A", "M4A", "audio_only")]
    if world.transcript_ready(call):
        found.append(file("TRANSCRIPT", "VTT", "audio_transcript"))
    found.append({
        "file_type": "TIMELINE", "file_extension": "JSON", "status": "completed", "meeting_id": external_id(call),
        "recording_start": zoom.stamp(call.started_at), "download_url": "https://zoom.us/rec/download/t",
    })  # fmt: skip
    return found


def vtt(call: FakeCall, part: int) -> str:
    """The transcript of one part, by the clock of that part."""
    begin, end = _span(call, part)
    last = part == _parts(call) - 1
    lines = [line for line in call.lines if begin <= line.start_s and (last or line.start_s < end)]
    return "WEBVTT\n\n" + "\n".join(_cue(number, line, begin) for number, line in enumerate(lines, 1))


def _cue(number: int, line: Line, begin: float) -> str:
    times = f"{zoom.clock(line.start_s - begin)} --> {zoom.clock(max(line.end_s - begin, 0.0))}"
    words = f"{line.speaker}: {line.text}" if line.speaker else line.text
    return f"{number}\n{times}\n{words}\n"


def routes(world: World) -> list[Route]:
    """Zoom's addresses for meetings."""

    def found(request: Request) -> FakeCall | None:
        wanted = request.path_params["uuid"].replace("%2F", "/").replace("%2B", "+").replace("%3D", "=")
        return world.known(SOURCE, external_id, wanted)

    async def recordings(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "medium"):
            return refused
        calls = world.listed(SOURCE)
        return zoom.listing(world, SOURCE, request, "meetings", calls, 300, lambda call: meeting(world, call))

    async def one(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "light"):
            return refused
        call = found(request)
        return reply({"code": 3301, "message": "This recording does not exist."}, 404) if call is None else reply(
            meeting(world, call) | {"password": "fake-zoom-passcode"}
        )  # fmt: skip

    async def transcript(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "light"):
            return refused
        call = found(request)
        if call is None or not call.has_transcript:
            return reply({"code": 3322, "message": "This meeting transcript does not exist."}, 404)
        ready = world.transcript_ready(call)
        return reply({
            "meeting_id": external_id(call), "account_id": zoom.ACCOUNT, "meeting_topic": call.title,
            "can_download": ready, "download_restriction_reason": None if ready else "NOT_READY",
        })  # fmt: skip

    async def participants(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "medium"):
            return refused
        call = found(request)
        people = [{"id": "", "name": person.name, "user_email": person.email, "ip_address": "203.0.113.9"}
                  for person in (call.people if call else ())]  # fmt: skip
        return reply({"next_page_token": "", "page_count": 1, "participants": people})

    async def download(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "light"):
            return refused
        call_id, _, rest = request.path_params["name"].rpartition(".")[0].rpartition(".")
        call = world.find(SOURCE, call_id)
        kind = request.path_params["name"].rpartition(".")[2]
        if call is None:
            return reply({"code": 3301, "message": "This recording does not exist."}, 404)
        if kind == "vtt":
            return RedirectResponse(f"https://ssrweb.zoom.us/cmr/{call.id}/{rest}?signature=fake-zoom-signed", 302)
        return RedirectResponse(media_url(world, call, "m4a" if kind == "m4a" else "mp4"), 302)

    async def behind(request: Request) -> Response:
        """The server that really has the file: no token may come here."""
        seen_of(request).source = SOURCE
        call = world.find(SOURCE, request.path_params["call"])
        if "authorization" in request.headers or call is None or request.query_params.get("signature") is None:
            return reply({"error": "not signed, or signed twice"}, 403)
        text = vtt(call, int(request.path_params["part"]))
        return Response(text.encode("utf-8", "replace"), media_type="text/vtt")

    return [
        *zoom.connecting(world, SOURCE),
        Route(f"{zoom.API}/users/me/recordings", recordings),
        Route(f"{zoom.API}/accounts/me/recordings", recordings),
        Route(f"{zoom.API}/meetings/{{uuid}}/recordings", one),
        Route(f"{zoom.API}/meetings/{{uuid}}/transcript", transcript),
        Route(f"{zoom.API}/past_meetings/{{uuid}}/participants", participants),
        Route("/zoom.us/rec/download/{name}", download),
        Route("/ssrweb.zoom.us/cmr/{call}/{part}", behind),
    ]


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """The recording is ready; and later, in a delivery of its own that names only this file, the transcript."""
    whole = meeting(world, call) | {"host_email": "sam@acme.example"}
    spoken = [file for file in whole["recording_files"] if file["file_type"] == "TRANSCRIPT"]
    others = [file for file in whole["recording_files"] if file["file_type"] != "TRANSCRIPT"]
    token = {"download_token": "fake-zoom-download-token"}
    found = [zoom.posting(world, "recording.completed", whole | {"recording_files": others}, secret, url, **token)]
    if spoken:
        late = whole | {"recording_files": spoken}
        found.append(zoom.posting(world, "recording.transcript_completed", late, secret, url, **token))
    return found
