"""Fathom as it answers: ten meetings a page, no inclusions for OAuth apps, recordings prepared by a job.

`world.notes` may say how many "fathom looks" at a job find it under way, and that an account "fathom has sound only".
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.signatures import sign_standard_webhook
from tests.fakes.vendors.core import (
    FakeCall,
    Posting,
    Rate,
    World,
    guard,
    media_url,
    oauth_routes,
    page_of,
    recording_of,
    reply,
)  # fmt: skip

SOURCE = "fathom"
KIND = "api_key"
CREDENTIAL = {"api_key": "fake-fathom-key"}
API = "/api.fathom.ai/external/v1"
OAUTH = "https://fathom.video/external/v1/oauth2"
PAGE = 10
HEADERS = {
    "limit_header": "RateLimit-Limit", "remaining_header": "RateLimit-Remaining", "reset_header": "RateLimit-Reset",
}  # fmt: skip
LIMITS = (Rate(60, 60, **HEADERS), Rate(30, 60, "heavy", **HEADERS), Rate(30, 60, "downloads", **HEADERS))


def external_id(call: FakeCall) -> str:
    """`recording_id` as text."""
    return str(recording_id(call))


def recording_id(call: FakeCall) -> int:
    """The whole number Fathom knows the recording by."""
    return 48_000_000 + int(call.id)


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """A word or two."""
    return status, {"error": {"unauthorized": "Invalid API key", "rate": "Too many requests"}.get(kind, kind)}


def created_at(call: FakeCall) -> datetime:
    """A minute after its end, or when it appears."""
    created = call.ended_at + timedelta(minutes=1)
    return max(created, call.appears_at) if call.appears_at else created


def meeting(world: World, call: FakeCall, *, transcript: bool, summary: bool = False) -> dict[str, Any]:
    """A meeting object, with what was asked to be included."""
    recorder, *others = call.people or [None]
    ready = transcript and world.transcript_ready(call)
    return {
        "title": call.title,
        "meeting_title": call.title,
        "meeting_type": None,
        "recording_id": recording_id(call),
        "url": f"https://fathom.video/calls/{recording_id(call)}",
        "share_url": f"https://fathom.video/share/s{recording_id(call)}",
        "created_at": _time(created_at(call)),
        "scheduled_start_time": _time(call.started_at.replace(minute=0, second=0)),
        "scheduled_end_time": _time(call.started_at.replace(minute=0, second=0) + timedelta(minutes=30)),
        "recording_start_time": _time(call.started_at),
        "recording_end_time": _time(call.ended_at),
        "meeting_url": f"https://meet.example.com/{recording_id(call)}",
        "transcript_language": call.language,
        "calendar_invitees_domains_type": "one_or_more_external",
        "shared_with": "single_team",
        "calendar_invitees": [
            {"name": person.name, "email": person.email, "email_domain": (person.email or "").rpartition("@")[2],
             "is_external": True, "matched_speaker_display_name": person.name} for person in others
        ],
        "recorded_by": recorder and {
            "name": recorder.name, "email": recorder.email, "email_domain": (recorder.email or "").rpartition("@")[2],
            "team": "Sales",
        },
        "transcript": spoken(call) if ready else None,
        "default_summary": {"template_name": "general", "markdown_formatted": "## Topics"} if summary else None,
        "action_items": None,
        "crm_matches": None,
    }  # fmt: skip


def spoken(call: FakeCall) -> list[dict[str, Any]]:
    """Transcript items: a start in whole seconds, and no end."""
    emails = {person.name: person.email for person in call.people}
    return [
        {
            "speaker": {"display_name": line.speaker, "matched_calendar_invitee_email": emails.get(line.speaker)},
            "text": line.text,
            "timestamp": _clock(int(line.start_s)),
        }
        for line in call.lines
    ]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _time(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


def routes(world: World) -> list[Route]:
    """Fathom's addresses."""
    jobs: dict[str, int] = world.notes.setdefault("fathom downloads", {})

    async def meetings(request: Request) -> Response:
        transcript, summary = _flag(request, "include_transcript"), _flag(request, "include_summary")
        if refused := await guard(world, SOURCE, request, "heavy" if transcript or summary else "default"):
            return refused
        if (transcript or summary) and "x-api-key" not in request.headers:
            return reply({"error": "include_transcript and include_summary are not allowed for OAuth apps"}, 400)
        query = request.query_params
        found = [
            call for call in world.listed(SOURCE)
            if _after(query.get("created_after"), created_at(call)) and _before(query.get("created_before"), call)
            and _by(query.getlist("recorded_by[]"), call)
        ]  # fmt: skip
        found.sort(key=lambda call: (created_at(call), call.id), reverse=True)
        try:
            offset = json.loads(base64.urlsafe_b64decode(query.get("cursor") or "eyJvZmZzZXQiOjB9"))["offset"]
        except (ValueError, KeyError, binascii.Error):
            return reply({"error": "Invalid cursor"}, 400)
        part = page_of(world, SOURCE, request, found, offset, PAGE)
        following = base64.urlsafe_b64encode(json.dumps({"offset": part.following}).encode()).decode()
        cursor = None if part.following is None else following
        items = [meeting(world, call, transcript=transcript, summary=summary) for call in part.items]
        return reply({"limit": PAGE, "next_cursor": cursor, "items": items})

    async def transcript(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "heavy"):
            return refused
        call = _find(world, request)
        if call is None or not world.transcript_ready(call):
            return reply({"error": "Not found"}, 404)
        return reply({"transcript": spoken(call)})

    async def teams(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request):
            return refused
        team = {"name": "Sales", "created_at": "2025-01-06T09:00:00Z"}
        return reply({"limit": 10, "next_cursor": None, "items": [team]})

    def made(call: FakeCall, job: str, kind: str, ending: Any, content_type: str) -> Response:
        file = {
            "url": media_url(world, call, ending, 86_400.0), "content_type": content_type,
            "file_size_bytes": len(recording_of(call, ending)), "expires_at": _time(world.now() + timedelta(days=1)),
        }  # fmt: skip
        return reply({"download_id": job, "recording_id": recording_id(call), "status": "completed", kind: file})

    async def start(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "downloads"):
            return refused
        call = _find(world, request)
        if call is None:
            return reply({"error": "Not found"}, 404)
        job = f"dl_{call.id}_{len(jobs) + 1}"
        jobs[job] = 0
        if world.notes.get("fathom has sound only"):
            return made(call, job, "audio", "mp3", "audio/mpeg")
        return reply({"download_id": job, "recording_id": recording_id(call), "status": "processing"}, 202)

    async def download(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "downloads"):
            return refused
        call, job = _find(world, request), request.path_params["job"]
        if call is None or job not in jobs:
            return reply({"error": "Not found"}, 404)
        jobs[job] += 1
        answer = {"download_id": job, "recording_id": recording_id(call)}
        if not call.has_recording:
            return reply({**answer, "status": "failed", "failure_reason": "generation_failed"})
        if jobs[job] <= world.notes.get("fathom looks", 1):
            return reply({**answer, "status": "processing"})
        return made(call, job, "video", "mp4", "video/mp4")

    return [
        Route(f"{API}/meetings", meetings),
        Route(f"{API}/teams", teams),
        Route(f"{API}/recordings/{{id}}/transcript", transcript),
        Route(f"{API}/recordings/{{id}}/download", start, methods=["POST"]),
        Route(f"{API}/recordings/{{id}}/downloads/{{job}}", download),
        *oauth_routes(world, SOURCE, f"{OAUTH}/authorize", f"{OAUTH}/token"),
    ]


def _find(world: World, request: Request) -> FakeCall | None:
    wanted = request.path_params["id"]
    return next((call for call in world.listed(SOURCE) if external_id(call) == wanted), None)


def _after(text: str | None, time: datetime) -> bool:
    return text is None or time >= datetime.fromisoformat(text)


def _before(text: str | None, call: FakeCall) -> bool:
    return text is None or created_at(call) < datetime.fromisoformat(text)


def _by(emails: list[str], call: FakeCall) -> bool:
    return not emails or (bool(call.people) and call.people[0].email in emails)


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """The meeting with its transcript, by the rules of Standard Webhooks."""
    body = json.dumps(meeting(world, call, transcript=True)).encode()
    headers = sign_standard_webhook(secret, f"msg_{recording_id(call)}", int(world.now().timestamp()), body)
    return [Posting("POST", url, {"Content-Type": "application/json", **headers}, body)]
