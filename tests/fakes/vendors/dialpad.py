"""Dialpad as it answers: numbers as texts, fields left out when empty, lines with absolute times, events as tokens."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import (
    FakeCall,
    Person,
    Posting,
    Rate,
    World,
    guard,
    media_answer,
    oauth_routes,
    page_of,
    refused,
    reply,
)  # fmt: skip

SOURCE = "dialpad"
KIND = "api_key"
CREDENTIAL = {"api_key": "fake-dialpad-key", "server": "dialpad.com"}
HOSTS = ("dialpad.com", "sandbox.dialpad.com")
LIMITS = (Rate(20, 1, retry_after=""), Rate(10, 60, "detail", retry_after=""))
PAGE = 50
WEBHOOK_SECRET = "dialpad-fake-secret-of-32-letters"


def external_id(call: FakeCall) -> str:
    """An int64 as text."""
    number = int(call.id) if call.id.isascii() and call.id.isdigit() else zlib.crc32(call.id.encode())
    return str(6_012_345_000_000_000 + number)


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """An error of Dialpad's."""
    return status, {"error": {"code": status, "message": "No.", "errors": [{"reason": kind}]}}


def milliseconds(call: FakeCall, seconds: float) -> str:
    """A time within a call, as text."""
    return str(round((call.started_at.timestamp() + seconds) * 1000))


def side(person: Person, kind: str) -> dict[str, Any]:
    """One side of a call, without what is not known."""
    known = {"name": person.name, "phone": person.phone, "email": person.email}
    return {"id": str(zlib.crc32(repr(person).encode("utf-8", "replace"))), "type": kind} | {
        name: value for name, value in known.items() if value
    }


def told(call: FakeCall) -> dict[str, Any]:
    """The call as the list has it."""
    ours, theirs = ([*call.people, Person(), Person()])[:2]
    length = call.duration_s * 1000
    name = external_id(call)
    recording = {
        "id": f"r-{name}", "url": f"https://{HOSTS[0]}/blob/adminrecording/r-{name}.mp3",
        "duration": str(round(length)), "start_time": milliseconds(call, 0), "recording_type": "admincallrecording",
    }  # fmt: skip
    found: dict[str, Any] = {
        "call_id": name, "direction": "outbound", "state": "hangup", "date_started": milliseconds(call, 0),
        "date_connected": milliseconds(call, 0), "date_ended": milliseconds(call, call.duration_s),
        "duration": length, "total_duration": length, "was_recorded": call.has_recording,
        "event_timestamp": milliseconds(call, call.duration_s + 0.1), "is_transferred": False, "labels": [],
        "target": side(ours, "user"), "contact": side(theirs, "shared"),
    }  # fmt: skip
    if theirs.phone:
        found["external_number"] = theirs.phone
    if call.has_recording:
        link = f"https://dialpad.com/shared/call/secret-{name}"
        found |= {"recording_details": [recording], "admin_call_recording_share_links": [link]}
    return found


def lines(call: FakeCall) -> list[dict[str, Any]]:
    """Words among moments and questions, the newest first."""
    found = []
    for line in call.lines:
        time = (call.started_at + timedelta(seconds=line.start_s)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        who = {"name": line.speaker} if line.speaker else {}
        found.append({"type": "transcript", "content": line.text, "time": time, **who})
        found.append({"type": "moment", "content": "greeting", "time": time, **who})
    return found[::-1]


def routes(world: World) -> list[Route]:
    """The API of the company and of its sandbox."""

    def called(name: str) -> FakeCall | None:
        return next((call for call in world.listed(SOURCE) if external_id(call) == name), None)

    async def company(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        return reply({"id": "5094", "name": "Acme", "domain": "acme.example", "admin_email": "mila@acme.example"})

    async def listed(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope="calls:list"):
            return no
        query = request.query_params
        since, until, cursor = int(query["started_after"]), int(query["started_before"]), query.get("cursor", "Cj8KEQ0")
        if not (cursor.startswith("Cj8KEQ") and cursor[6:].isdigit()):
            return reply({"error": {"code": 400, "message": "Invalid cursor."}}, 400)
        calls = [
            call for call in world.listed(SOURCE)
            if since < int(milliseconds(call, 0)) < until and call.ended_at <= world.now()
        ][::-1]  # fmt: skip
        part = page_of(world, SOURCE, request, calls, int(cursor[6:]), PAGE)
        more = {"cursor": f"Cj8KEQ{part.following}"} if part.following is not None else {}
        return reply({**more, "items": [told(call) for call in part.items]} if part.items or more else {})

    async def detail(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, "detail", scope="calls:list"):
            return no
        call = called(request.path_params["id"])
        return refused(world, SOURCE, "missing", 404) if call is None else reply(told(call))

    async def transcript(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        call = called(request.path_params["id"])
        if call is None or not world.transcript_ready(call):
            return refused(world, SOURCE, "missing", 404)
        return reply({"call_id": external_id(call), "lines": lines(call)})

    async def recording(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        call = called(request.path_params["name"].removeprefix("r-").removesuffix(".mp3"))
        return refused(world, SOURCE, "missing", 404) if call is None else media_answer(call)

    server = "https://dialpad.com/oauth2/authorize", "https://dialpad.com/oauth2/token"
    return [
        *(route for host in HOSTS for route in (
            Route(f"/{host}/api/v2/company", company),
            Route(f"/{host}/api/v2/call", listed),
            Route(f"/{host}/api/v2/call/{{id}}", detail),
            Route(f"/{host}/api/v2/transcripts/{{id}}", transcript),
            Route(f"/{host}/blob/adminrecording/{{name}}", recording),
        )),
        *oauth_routes(world, SOURCE, *server, body="json", pkce=True),
    ]  # fmt: skip


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """Hang-up, and later the transcript: each body is a token, and nothing else says where it comes from."""
    events = [told(call)]
    if call.has_transcript:
        events.append({**told(call), "state": "call_transcription", "event_timestamp": milliseconds(call, 900)})
    headers = {"Content-Type": "application/jwt"}
    return [Posting("POST", url, headers, jwt.encode(event, secret, algorithm="HS256").encode()) for event in events]
