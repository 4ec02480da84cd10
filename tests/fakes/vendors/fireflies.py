"""Fireflies as it answers: GraphQL with its errors in answers of 200, pages by `skip`, and fields that cost a plan.

`world.notes` may say the account's "fireflies plan", and in "fireflies takes" the longest page it manages in time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import FakeCall, Posting, Rate, World, guard, media_url, page_of, reply

SOURCE = "fireflies"
KIND = "api_key"
CREDENTIAL = {"api_key": "fake-fireflies-key", "plan": "Business"}
LIMITS = (
    Rate(60, 60, limit_header="x-ratelimit-limit-api", remaining_header="x-ratelimit-remaining-api",
         reset_header="x-ratelimit-reset-api", retry_after=""),
)  # fmt: skip
MEDIA = {"free": (), "pro": ("audio_url",), "business": ("audio_url", "video_url")}
CODES = {"rate": "too_many_requests", "unauthorized": "auth_failed", "forbidden": "forbidden"}
Selection = dict[str, Any]


def external_id(call: FakeCall) -> str:
    """The id of the transcript."""
    return f"01JBZ7QK3M8X2T{int(call.id):012d}"


def transcript(world: World, call: FakeCall) -> dict[str, Any]:
    """Everything of one. `date` is coarser than the real start."""
    names = list(dict.fromkeys(line.speaker for line in call.lines if line.speaker))
    sentences = [
        {"index": number, "speaker_id": names.index(line.speaker) if line.speaker in names else None,
         "speaker_name": line.speaker, "text": line.text, "raw_text": line.text.lower(), "start_time": line.start_s,
         "end_time": line.end_s} for number, line in enumerate(call.lines)
    ]  # fmt: skip
    recording = call.has_recording
    return {
        "id": external_id(call),
        "title": call.title,
        "date": date_of(call).timestamp() * 1000,
        "dateString": call.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration": round(call.duration_s / 60, 4),
        "organizer_email": call.people[0].email if call.people else None,
        "host_email": None,
        "participants": [person.email for person in call.people if person.email],
        "speakers": [{"id": number, "name": name} for number, name in enumerate(names)],
        "meeting_attendees": [
            {"displayName": person.name, "email": person.email, "phoneNumber": person.phone, "name": None,
             "location": None} for person in call.people
        ],
        "transcript_url": f"https://app.fireflies.ai/view/{external_id(call)}",
        "audio_url": media_url(world, call, "mp3") if recording else None,
        "video_url": media_url(world, call, "mp4") if recording else None,
        "meeting_link": "https://meet.example.com/xyz",
        "calendar_type": "google",
        "is_live": False,
        "privacy": "link",
        "meeting_info": {"fred_joined": True, "silent_meeting": not call.lines, "summary_status": "processed"},
        "summary": {"overview": "They talked.", "action_items": None, "keywords": ["talk"]},
        "sentences": sentences if world.transcript_ready(call) else None,
    }  # fmt: skip


def date_of(call: FakeCall) -> datetime:
    """The full hour."""
    return call.started_at.replace(minute=0, second=0, microsecond=0)


def routes(world: World) -> list[Route]:
    """The one address."""

    def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
        if kind not in CODES:
            return status, {"errors": [{"message": "Internal error", "code": "internal_server_error"}]}
        until = (world.now() + timedelta(seconds=wait)).timestamp() * 1000
        return 200, failed(CODES[kind], {"retryAfter": round(until)} if kind == "rate" else {})

    world.refusals[SOURCE] = refusal

    async def graphql(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request):
            return refused
        asked = await request.json()
        wanted, given = selection_of(asked["query"]), asked.get("variables") or {}
        (name, fields), *_ = wanted.items()
        allowed = MEDIA[str(world.notes.get("fireflies plan", "business"))]
        if any(field in fields and field not in allowed for field in ("audio_url", "video_url")):
            return reply(failed("paid_required"))
        try:
            match name:
                case "user":
                    user = {"user_id": "u-77", "email": "sam@acme.example", "name": "Sam Ortiz", "num_transcripts": 9}
                    return reply({"data": {"user": chosen(user, fields)}})
                case "transcript":
                    call = next((c for c in world.listed(SOURCE) if external_id(c) == given["id"]), None)
                    if call is None:
                        return reply(failed("object_not_found"))
                    return reply({"data": {"transcript": chosen(transcript(world, call), fields)}})
                case "transcripts" if given["limit"] > world.notes.get("fireflies takes", 50):
                    return reply(failed("request_timeout"))
                case "transcripts" if 1 <= given["limit"] <= 50:
                    return reply({"data": {"transcripts": listing(world, request, given, fields)}})
        except KeyError as unknown:
            return reply(failed("GRAPHQL_VALIDATION_FAILED", message=f"Cannot query field {unknown}"), 400)
        return reply(failed("invalid_arguments"))

    return [Route("/api.fireflies.ai/graphql", graphql, methods=["POST"])]


def listing(world: World, request: Request, given: Mapping[str, Any], fields: Selection) -> list[dict[str, Any]]:
    """A page, newest first. Its dates act on `date`."""
    since, until = datetime.fromisoformat(given["from"]), datetime.fromisoformat(given["to"])
    found = [call for call in world.listed(SOURCE) if since <= date_of(call) <= until][::-1]
    part = page_of(world, SOURCE, request, found, given["skip"], given["limit"])
    return [chosen(transcript(world, call), fields) for call in part.items]


def failed(code: str, metadata: Mapping[str, Any] | None = None, message: str = "") -> dict[str, Any]:
    """An answer without data."""
    status = {"too_many_requests": 429, "paid_required": 403, "forbidden": 403, "object_not_found": 404}.get(code, 401)
    extensions = {"code": code, "status": status, "metadata": dict(metadata or {})}
    return {"data": None, "errors": [
        {"message": message or code.replace("_", " "), "code": code, "friendly": True, "extensions": extensions}
    ]}  # fmt: skip


def selection_of(query: str) -> Selection:
    """The fields of a query as nested names; arguments are taken from the variables."""
    bare = re.sub(r"\([^)]*\)", "", query)
    words = re.findall(r"[{}]|\w+", bare[bare.index("{") :])
    root: Selection = {}
    stack = [root]
    last = ""
    for word in words[1:]:
        if word == "{":
            stack.append(stack[-1].setdefault(last, {}))
        elif word == "}":
            stack.pop()
            if not stack:
                break
        else:
            stack[-1][word] = {}
            last = word
    return root


def chosen(value: Any, fields: Selection) -> Any:
    """Only what was asked for. Raises `KeyError` for a field that does not exist."""
    if isinstance(value, list):
        return [chosen(entry, fields) for entry in value]
    if not isinstance(value, dict) or not fields:
        return value
    return {name: chosen(value[name], inner) for name, inner in fields.items()}


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """Both versions: V2 with its event and a prefix before the signature, V1 with neither."""
    events: tuple[tuple[str, dict[str, Any]], ...] = (
        ("sha256=", {"event": "meeting.transcribed", "timestamp": round(world.now().timestamp() * 1000),
                     "meeting_id": external_id(call)}),
        ("", {"meetingId": external_id(call), "eventType": "Transcription completed", "clientReferenceId": None}),
    )  # fmt: skip
    postings = []
    for prefix, event in events:
        body = json.dumps(event).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "x-hub-signature": prefix + signature}
        postings.append(Posting("POST", url, headers, body))
    return postings
