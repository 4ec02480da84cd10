"""Gong as it answers: 404 for an empty range, transcripts that hold only speaker numbers, dates by the schedule."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import (
    FakeCall,
    Line,
    Person,
    Posting,
    Rate,
    World,
    guard,
    media_url,
    oauth_routes,
    page_of,
    reply,
)  # fmt: skip

SOURCE = "gong"
KIND = "basic"
CREDENTIAL = {"access_key": "FAKEGONGKEY", "access_key_secret": "fake-gong-secret"}
HOSTS = ("api.gong.io", "acme.api.gong.io")
PAGE = 100
LIMITS = (Rate(3, 1), Rate(10_000, 86_400))
NONE = "No calls found corresponding to the provided filters"
ZONE = timezone(timedelta(hours=-5))


def external_id(call: FakeCall) -> str:
    """Nineteen digits: more than a float holds."""
    return f"7782342274025{int(call.id):06d}"


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """The id of the request, and sentences."""
    return status, {"requestId": "4al018gzaztcr8nbukw", "errors": [kind]}


def scheduled(call: FakeCall) -> datetime:
    """The quarter of an hour before."""
    return call.started_at.replace(minute=call.started_at.minute // 15 * 15, second=0, microsecond=0)


def metadata(call: FakeCall) -> dict[str, Any]:
    """The call by itself."""
    return {
        "id": external_id(call),
        "url": f"https://app.gong.io/call?id={external_id(call)}",
        "title": call.title,
        "scheduled": scheduled(call).astimezone(ZONE).isoformat(timespec="seconds"),
        "started": call.started_at.astimezone(ZONE).isoformat(timespec="seconds"),
        "duration": round(call.duration_s),
        "primaryUserId": "234599484848423",
        "direction": "Conference",
        "system": "Zoom",
        "scope": "External",
        "media": "Video",
        "language": "eng",
        "workspaceId": "623457276584334",
        "meetingUrl": "https://meet.example.com/1?pwd=invented",
        "isPrivate": False,
        "calendarEventId": None,
        "clientUniqueId": None,
        "customData": None,
        "purpose": None,
    }


def parties(call: FakeCall) -> list[dict[str, Any]]:
    """Everybody, and whoever speaks without having been invited."""
    voices = {line.speaker for line in call.lines}
    known = {person.name for person in call.people}
    people = [*call.people, *(Person(name=name) for name in sorted(voices - known, key=str))]
    return [
        {"id": f"56825452{number:06d}", "emailAddress": person.email, "name": person.name, "title": None,
         "userId": None, "speakerId": speaker_id(person.name) if person.name in voices else None,
         "affiliation": "Unknown", "phoneNumber": person.phone, "methods": ["Invitee"]}
        for number, person in enumerate(people)
    ]  # fmt: skip


def speaker_id(name: str | None) -> str:
    """The only thing that a transcript says about a speaker."""
    return f"643234567{zlib.crc32(str(name).encode('utf-8', 'replace')):010d}"


def spoken(call: FakeCall) -> list[dict[str, Any]]:
    """Turns with their sentences, in milliseconds."""
    turns: list[list[Line]] = []
    for line in call.lines:
        if turns and turns[-1][-1].speaker == line.speaker:
            turns[-1].append(line)
        else:
            turns.append([line])
    return [
        {"speakerId": speaker_id(turn[0].speaker), "topic": None, "sentences": [
            {"start": round(line.start_s * 1000), "end": round(line.end_s * 1000), "text": line.text} for line in turn
        ]} for turn in turns
    ]  # fmt: skip


def routes(world: World) -> list[Route]:
    """Gong's addresses, those of one customer among them."""

    async def plain(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, scope="api:calls:read:basic"):
            return refused
        return paged(world, request, dict(request.query_params), None, "calls", metadata)

    async def extensive(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, scope="api:calls:read:extensive"):
            return refused
        asked = await request.json()
        shown = asked.get("contentSelector", {}).get("exposedFields", {})

        def one(call: FakeCall) -> dict[str, Any]:
            found: dict[str, Any] = {"metaData": metadata(call)}
            if shown.get("parties"):
                found["parties"] = parties(call)
            if shown.get("media") and call.has_recording:
                found["media"] = {"audioUrl": media_url(world, call, "mp3"), "videoUrl": media_url(world, call, "mp4")}
            return found

        return paged(world, request, asked.get("filter") or {}, asked.get("cursor"), "calls", one)

    async def transcript(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, scope="api:calls:read:transcript"):
            return refused
        asked = await request.json()
        ready = {**(asked.get("filter") or {}), "ready": True}
        return paged(
            world, request, ready, asked.get("cursor"), "callTranscripts",
            lambda call: {"callId": external_id(call), "transcript": spoken(call)},
        )  # fmt: skip

    async def users(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, scope="api:users:read"):
            return refused
        user = {"id": "234599484848423", "emailAddress": "sam@acme.example", "active": True}
        return reply({"requestId": "x", "records": {"totalRecords": 1}, "users": [user]})

    server = "https://app.gong.io/oauth2/authorize", "https://app.gong.io/oauth2/generate-customer-token"
    keeps = {"api_base_url_for_customer": f"https://{HOSTS[1]}"}
    return [
        *(route for host in HOSTS for route in (
            Route(f"/{host}/v2/calls", plain),
            Route(f"/{host}/v2/calls/extensive", extensive, methods=["POST"]),
            Route(f"/{host}/v2/calls/transcript", transcript, methods=["POST"]),
            Route(f"/{host}/v2/users", users),
        )),
        *oauth_routes(world, SOURCE, *server, client_in="header", keeps=keeps, offline=True),
    ]  # fmt: skip


def paged(world: World, request: Request, wanted: dict[str, Any], cursor: str | None, name: str, one: Any) -> Response:
    """A page of what the filter lets through, or the 404 that means none."""
    cursor = cursor or wanted.get("cursor")
    since, until = (
        datetime.fromisoformat(wanted[key]) if key in wanted else None for key in ("fromDateTime", "toDateTime")
    )
    found = [
        call for call in world.listed(SOURCE)
        if ("callIds" not in wanted or external_id(call) in wanted["callIds"])
        and (since is None or scheduled(call) >= since) and (until is None or scheduled(call) < until)
        and ("ready" not in wanted or world.transcript_ready(call))
    ]  # fmt: skip
    if not found:
        return reply({"requestId": "x1", "errors": [NONE]}, 404)
    if cursor is not None and not cursor.startswith("eyJ.demo."):
        return reply({"requestId": "x1", "errors": ["Failed to verify cursor"]}, 400)
    offset = int(cursor.rpartition(".")[2]) if cursor else 0
    part = page_of(world, SOURCE, request, found, offset, PAGE)
    records: dict[str, Any] = {
        "totalRecords": len(found), "currentPageSize": len(part.items), "currentPageNumber": offset // PAGE,
    }  # fmt: skip
    if part.following is not None:
        records["cursor"] = f"eyJ.demo.{part.following}"
    return reply({"requestId": "x2", "records": records, name: [one(call) for call in part.items]})


@cache
def key(name: str) -> RSAPrivateKey:
    """A key that Gong signs with: `ours`, or somebody else's."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def public(name: str) -> str:
    """The public half as Gong's page shows it: one line of base64."""
    der = key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def __getattr__(name: str) -> str:
    """WEBHOOK_SECRET and OTHER_SECRET, made when somebody asks: keys take a moment."""
    if name in ("WEBHOOK_SECRET", "OTHER_SECRET"):
        return public({"WEBHOOK_SECRET": "ours", "OTHER_SECRET": "theirs"}[name])
    raise AttributeError(name)


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """What a rule posts: the call without its words, and a token for this address and this body."""
    body = json.dumps({"callData": {"metaData": metadata(call), "parties": parties(call)}, "isTest": False}).encode()
    claims = {
        "exp": int(world.now().timestamp()) + 60, "webhook_url": url, "body_sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    token = jwt.encode(claims, key("ours"), algorithm="RS256")
    return [Posting("POST", url, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}, body)]
