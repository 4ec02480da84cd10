"""Google Meet as it answers: records that go after 30 days, entries with absolute times in nanoseconds, Drive files."""

from __future__ import annotations

import base64
import json
import re
import zlib
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import (
    FakeCall,
    Line,
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
from tests.fakes.vendors.youtube import AUTHORIZE, TOKEN

SOURCE = "google_meet"
KIND = "oauth"
CREDENTIAL: dict[str, str] = {}
API = "/meet.googleapis.com/v2"
MEETINGS = "https://www.googleapis.com/auth/meetings.space.readonly"
FILES = "https://www.googleapis.com/auth/drive.meet.readonly"
LIMITS = (Rate(600, 60, retry_after=""),)
KEPT = timedelta(days=30)
WEBHOOK_SECRET = "push@acme-calls.iam.gserviceaccount.com"
OTHER_SECRET = "push@somebody-else.iam.gserviceaccount.com"
_FILTER = re.compile(r'start_time>="([^"]+)" AND start_time<="([^"]+)"')


def external_id(call: FakeCall) -> str:
    """The name of the record."""
    return f"conferenceRecords/fake-{call.id}"


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """An error of Google's newer APIs: a word for the status, and a reason among the details."""
    words = {"rate": "RESOURCE_EXHAUSTED", "forbidden": "PERMISSION_DENIED", "unauthorized": "UNAUTHENTICATED"}
    why = {"rate": "RATE_LIMIT_EXCEEDED", "forbidden": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": why[kind]}] if kind in why else []
    said = {"code": status, "message": "No.", "status": words.get(kind, "UNAVAILABLE"), "details": details}
    return status, {"error": said}


def stamp(time: datetime) -> str:
    """A time with nanoseconds, which no parser of Python's takes."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "417Z"


def at(call: FakeCall, seconds: float) -> str:
    """An absolute time within a call."""
    return stamp(call.started_at + timedelta(seconds=seconds))


def record(call: FakeCall) -> dict[str, Any]:
    """The conference record by itself."""
    return {
        "name": external_id(call), "startTime": stamp(call.started_at), "endTime": stamp(call.ended_at),
        "expireTime": stamp(call.ended_at + KEPT), "space": f"spaces/room{zlib.crc32(call.id.encode())}",
    }  # fmt: skip


def participants(call: FakeCall) -> list[dict[str, Any]]:
    """Everybody who came or spoke, signed in, as a guest or by phone; nobody with an address."""
    names = [person.name for person in call.people] + [line.speaker for line in call.lines]
    kinds = ("signedinUser", "anonymousUser", "phoneUser")
    return [
        {"name": f"{external_id(call)}/participants/{number}", "earliestStartTime": stamp(call.started_at),
         kinds[number % 3]: {"displayName": name}}
        for number, name in enumerate(dict.fromkeys(name for name in names if name))
    ]  # fmt: skip


def halves(call: FakeCall) -> list[list[Line]]:
    """Whoever stops a transcript and starts it again makes two of one meeting."""
    cut = len(call.lines) - 1 if len(call.lines) > 2 else len(call.lines)
    return [half for half in (call.lines[:cut], call.lines[cut:]) if half] or [[]]


def transcripts(world: World, call: FakeCall) -> list[dict[str, Any]]:
    """The second one first, as the newest."""
    if not call.has_transcript:
        return []
    found = [
        {"name": f"{external_id(call)}/transcripts/t{number}",
         "state": "FILE_GENERATED" if world.transcript_ready(call) else "ENDED",
         "startTime": at(call, half[0].start_s if number and half else 0), "endTime": stamp(call.ended_at),
         "docsDestination": {"document": f"doc{number}", "exportUri": f"https://docs.google.com/document/d/doc{number}"}}
        for number, half in enumerate(halves(call))
    ]  # fmt: skip
    return found[::-1]


def entries(call: FakeCall, number: int) -> list[dict[str, Any]]:
    """What was said in one of the transcripts."""
    who = {next(iter(person.values()))["displayName"]: name for name, person in (
        (person["name"], {kind: value for kind, value in person.items() if isinstance(value, dict)})
        for person in participants(call)
    )}  # fmt: skip
    return [
        {"name": f"{external_id(call)}/transcripts/t{number}/entries/{place}", "participant": who.get(line.speaker),
         "text": line.text, "languageCode": "en-US", "startTime": at(call, line.start_s),
         "endTime": at(call, line.end_s)}
        for place, line in enumerate(halves(call)[number])
    ]  # fmt: skip


def routes(world: World) -> list[Route]:
    """The Meet API, Drive's files, who is signed in, and the keys that pushes are signed with."""

    def kept() -> list[FakeCall]:
        return [call for call in world.listed(SOURCE) if call.ended_at + KEPT > world.now()]

    def one(request: Request) -> FakeCall | None:
        name = f"conferenceRecords/{request.path_params['record']}"
        return next((call for call in kept() if external_id(call) == name), None)

    def part(request: Request, name: str, found: list[dict[str, Any]], most: int, usual: int) -> Response:
        size = min(int(request.query_params.get("pageSize", usual)), most)
        start = int(request.query_params.get("pageToken", "0"))
        more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
        return reply({**({name: found[start : start + size]} if found else {}), **more})

    async def records(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=MEETINGS):
            return no
        token, wanted = request.query_params.get("pageToken", "p0"), request.query_params.get("filter", "")
        span = _FILTER.fullmatch(wanted)
        if (wanted and not span) or not re.fullmatch(r"p\d+", token):
            said = "The page token is not valid." if span else "Invalid filter."
            return reply({"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}, 400)
        calls = kept()[::-1]
        if span:
            since, until = map(datetime.fromisoformat, span.groups())
            calls = [call for call in calls if since <= call.started_at <= until]
        size = min(int(request.query_params.get("pageSize", "25")), 100)
        found = page_of(world, SOURCE, request, calls, int(token[1:]), size)
        answer: dict[str, Any] = {"conferenceRecords": [record(call) for call in found.items]} if found.items else {}
        if found.following is not None:
            answer["nextPageToken"] = f"p{found.following}"
        return reply(answer)

    async def below(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=MEETINGS):
            return no
        call = one(request)
        if call is None:
            return refused(world, SOURCE, "missing", 404)
        match request.path_params.get("what"):
            case None:
                return reply(record(call))
            case "participants":
                return part(request, "participants", participants(call), 250, 100)
            case "transcripts":
                return part(request, "transcripts", transcripts(world, call), 100, 10)
            case "recordings":
                file = {"file": f"1Drive_{call.id}", "exportUri": f"https://drive.google.com/file/d/1Drive_{call.id}"}
                span = {"startTime": stamp(call.started_at), "endTime": stamp(call.ended_at)}
                name = f"{external_id(call)}/recordings/r1"
                found = [{"name": name, "state": "FILE_GENERATED", **span, "driveDestination": file}]
                return part(request, "recordings", found if call.has_recording else [], 100, 10)
        return refused(world, SOURCE, "missing", 404)

    async def said(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=MEETINGS):
            return no
        call, number = one(request), request.path_params["number"]
        if call is None or number >= len(halves(call)) or not world.transcript_ready(call):
            return refused(world, SOURCE, "missing", 404)
        return part(request, "transcriptEntries", entries(call, number), 100, 10)

    async def space(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=MEETINGS):
            return no
        name = request.path_params["space"]
        if name.endswith("7"):  # a room that is gone
            return refused(world, SOURCE, "missing", 404)
        return reply({"name": f"spaces/{name}", "meetingCode": f"abc-{name[-4:]}-xyz"})

    async def file(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=FILES):
            return no
        name = request.path_params["file"].removeprefix("1Drive_")
        call = next((call for call in world.listed(SOURCE) if call.id == name), None)
        if call is None or request.query_params.get("alt") != "media":
            return refused(world, SOURCE, "missing", 404)
        return media_answer(call, "mp4")

    async def user(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        return reply({"sub": "10769150350006150715113082367", "email": "mila@acme.example", "email_verified": True})

    async def certificates(request: Request) -> Response:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key().public_key()))
        return reply({"keys": [{**public, "kid": "fake-google-1", "alg": "RS256", "use": "sig"}]})

    return [
        Route(f"{API}/conferenceRecords", records),
        Route(f"{API}/conferenceRecords/{{record}}", below),
        Route(f"{API}/conferenceRecords/{{record}}/{{what}}", below),
        Route(f"{API}/conferenceRecords/{{record}}/transcripts/t{{number:int}}/entries", said),
        Route(f"{API}/spaces/{{space}}", space),
        Route("/www.googleapis.com/drive/v3/files/{file}", file),
        Route("/openidconnect.googleapis.com/v1/userinfo", user),
        Route("/www.googleapis.com/oauth2/v3/certs", certificates),
        *oauth_routes(world, SOURCE, AUTHORIZE, TOKEN, pkce=True, rotates=False, offline=True),
    ]


@cache
def key() -> RSAPrivateKey:
    """What Google signs pushes with."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """Two pushes of Pub/Sub: the recording is there, and the transcript is."""
    now = int(world.now().timestamp())
    claims = {
        "aud": url, "azp": "1", "email": secret, "email_verified": True, "exp": now + 3600, "iat": now,
        "iss": "https://accounts.google.com", "sub": "1",
    }  # fmt: skip
    token = jwt.encode(claims, key(), algorithm="RS256", headers={"kid": "fake-google-1"})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    parts = [("recording", "recordings/r1")] if call.has_recording else []
    parts += [("transcript", "transcripts/t0")] if call.has_transcript else []
    found = []
    for number, (kind, path) in enumerate(parts):
        data = json.dumps({kind: {"name": f"{external_id(call)}/{path}"}}).encode()
        attributes = {
            "ce-type": f"google.workspace.meet.{kind}.v2.fileGenerated", "ce-id": f"{call.id}-{number}",
            "ce-source": "//cloudidentity.googleapis.com/users/112233", "ce-specversion": "1.0",
        }  # fmt: skip
        message = {"attributes": attributes, "data": base64.b64encode(data).decode(), "messageId": f"{call.id}{number}"}
        body = json.dumps({"message": message, "subscription": "projects/acme-calls/subscriptions/meet"}).encode()
        found.append(Posting("POST", url, headers, body))
    return found
