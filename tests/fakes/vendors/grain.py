"""Grain as it answers: reads by POST with a version header, redirects to recordings, hooks without a signature."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.vendors.core import (
    FakeCall,
    Posting,
    Rate,
    World,
    guard,
    media_url,
    oauth_routes,
    page_of,
    reply,
)  # fmt: skip

SOURCE = "grain"
KIND = "api_key"
CREDENTIAL = {"token": "fake-grain-token"}
HOST = "/api.grain.com/_/public-api"
PAGE = 20
LIMITS = (Rate(300, 60, limit_header="x-ratelimit-limit", remaining_header="x-ratelimit-remaining"),)
FILTERS = {
    "after_datetime", "before_datetime", "title_search", "participant_scope", "team", "meeting_type", "attendance",
}  # fmt: skip


def external_id(call: FakeCall) -> str:
    """A UUID."""
    return f"5b1c2f0a-6a3d-4c1e-9f55-{int(call.id):012d}"


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """A word in JSON."""
    return status, {"error": kind, "message": f"Request refused: {kind}"}


def recording(call: FakeCall, include: dict[str, Any]) -> dict[str, Any]:
    """A recording with what was asked to be included."""
    found: dict[str, Any] = {
        "id": external_id(call),
        "title": call.title,
        "url": f"https://grain.com/share/recording/{external_id(call)}/s",
        "thumbnail_url": f"https://media.grain.example/t/{call.id}.jpg?signature=thumb",
        "source": "zoom",
        "media_type": "video" if call.has_recording else "transcript",
        "start_datetime": _time(call.started_at),
        "end_datetime": _time(call.ended_at),
        "duration_ms": round(call.duration_s * 1000),
        "tags": [],
        "teams": [],
        "meeting_type": None,
    }
    if include.get("participants"):
        found["participants"] = [
            {"id": f"p-{number}", "name": person.name, "email": person.email, "scope": "external",
             "confirmed_attendee": True} for number, person in enumerate(call.people, 1)
        ]  # fmt: skip
    return found


def spoken(call: FakeCall) -> list[dict[str, Any]]:
    """Utterances in whole milliseconds."""
    numbers = {person.name: f"p-{number}" for number, person in enumerate(call.people, 1)}
    return [
        {"participant_id": numbers.get(line.speaker), "speaker": line.speaker, "start": round(line.start_s * 1000),
         "end": round(line.end_s * 1000), "text": line.text} for line in call.lines
    ]  # fmt: skip


def _time(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def routes(world: World) -> list[Route]:
    """Grain's addresses."""

    async def let_in(request: Request) -> Response | None:
        if refused := await guard(world, SOURCE, request):
            return refused
        if request.headers.get("public-api-version") != "2025-10-31":
            return reply({"error": "missing_version", "message": "Public-Api-Version is required"}, 400)
        return None

    async def recordings(request: Request) -> Response:
        if refused := await let_in(request):
            return refused
        asked = await request.json()
        wanted = asked.get("filter") or {}
        if set(asked) - {"cursor", "filter", "include"} or set(wanted) - FILTERS:
            return reply({"error": "unknown_property"}, 400)
        since, until = (
            datetime.fromisoformat(wanted[name]) if name in wanted else None
            for name in ("after_datetime", "before_datetime")
        )
        found = world.listed(SOURCE, since, until)[::-1]
        found = [call for call in found if wanted.get("title_search", "").lower() in call.title.lower()]
        try:
            offset = json.loads(base64.b64decode(asked["cursor"], validate=True))["at"] if asked.get("cursor") else 0
        except (ValueError, KeyError, binascii.Error):
            return reply({"error": "invalid_cursor"}, 400)
        part = page_of(world, SOURCE, request, found, offset, PAGE)
        cursor = (
            None if part.following is None else base64.b64encode(json.dumps({"at": part.following}).encode()).decode()
        )
        include = asked.get("include") or {}
        return reply({"cursor": cursor, "recordings": [recording(call, include) for call in part.items]})

    async def one(request: Request) -> Response:
        if refused := await let_in(request):
            return refused
        call = _find(world, request)
        asked = await request.json()
        return reply(recording(call, asked.get("include") or {})) if call else reply({"error": "not_found"}, 404)

    async def transcript(request: Request) -> Response:
        if refused := await let_in(request):
            return refused
        call = _find(world, request)
        if call is None or not call.has_transcript:
            return reply({"error": "not_found"}, 404)
        return reply(spoken(call) if world.transcript_ready(call) else [])

    async def download(request: Request) -> Response:
        if refused := await let_in(request):
            return refused
        call = _find(world, request)
        if call is None or not call.has_recording:
            return reply({"error": "not_found"}, 404)
        return RedirectResponse(media_url(world, call, "mp4"), 302)

    async def me(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request):
            return refused
        if world.notes.get("grain has no me"):
            return reply({"error": "not_found"}, 404)
        return reply({"id": "u-1", "name": "Noor Haddad", "email": "noor@acme.example"})

    async def users(request: Request) -> Response:
        if refused := await let_in(request):
            return refused
        return reply({"cursor": None, "users": [{"id": "u-1", "name": "Noor Haddad", "email": "noor@acme.example"}]})

    server = "https://grain.com/_/public-api/oauth2/authorize", f"https:/{HOST}/oauth2/token"
    return [
        Route(f"{HOST}/me", me),
        Route(f"{HOST}/v2/users", users, methods=["POST"]),
        Route(f"{HOST}/v2/recordings", recordings, methods=["POST"]),
        Route(f"{HOST}/v2/recordings/{{id}}", one, methods=["POST"]),
        Route(f"{HOST}/v2/recordings/{{id}}/transcript", transcript),
        Route(f"{HOST}/v2/recordings/{{id}}/download", download),
        *oauth_routes(world, SOURCE, *server, body="json", pkce=True),
    ]


def _find(world: World, request: Request) -> FakeCall | None:
    wanted = request.path_params["id"]
    return next((call for call in world.listed(SOURCE) if external_id(call) == wanted), None)


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """A recording was added, and somebody marked a highlight. The secret is in the address."""
    with_token = url if "token=" in url else f"{url}{'&' if '?' in url else '?'}token={secret}"
    events = (
        {"type": "recording_added", "user_id": "u-1", "data": recording(call, {})},
        {
            "type": "highlight_added",
            "user_id": "u-1",
            "data": {"id": f"h-{call.id}", "recording_id": external_id(call)},
        },
    )
    return [
        Posting("POST", with_token, {"Content-Type": "application/json"}, json.dumps(event).encode())
        for event in events
    ]
