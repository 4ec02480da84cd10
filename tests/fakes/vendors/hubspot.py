"""HubSpot as it answers: a search that ends after 10,000, texts for everything, nothing that was not asked for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from datetime import UTC, datetime
from typing import Any

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
    media_url,
    oauth_routes,
    page_of,
    refused,
    reply,
)  # fmt: skip

SOURCE = "hubspot"
KIND = "api_key"
CREDENTIAL = {"api_key": "pat-eu1-fake-0000-1111"}
API = "/api.hubapi.com"
READ, OF_OWNERS = "crm.objects.contacts.read", "crm.objects.owners.read"
OF_TRANSCRIPTS = "crm.extensions_calling_transcripts.read"
PORTAL = 145_801
MOST = 200
FURTHEST = "hubspot furthest result"
"""A note with the number of results after which a search goes no further, where that is not 10,000."""
_HEADERS = ("X-HubSpot-RateLimit-Max", "X-HubSpot-RateLimit-Remaining", "X-HubSpot-RateLimit-Interval-Milliseconds")
LIMITS = (
    Rate(100, 10, "default", *_HEADERS, reset_in="milliseconds", retry_after=""),
    Rate(5, 1, "search", retry_after=""),
)
ALWAYS = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")


def external_id(call: FakeCall) -> str:
    """A number as text; later calls need not have greater ones."""
    number = int(call.id) if call.id.isascii() and call.id.isdigit() else zlib.crc32(call.id.encode())
    return str(38_214_000_000 + number)


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """HubSpot's own words for each."""
    said: dict[str, Any] = {"status": "error", "message": "No.", "correlationId": "f0-1"}
    match kind:
        case "rate":
            policy = "DAILY" if wait > 600 else "TEN_SECONDLY_ROLLING" if wait > 1 else "SECONDLY"
            said |= {"errorType": "RATE_LIMIT", "policyName": policy}
        case "unauthorized":
            said |= {"category": "EXPIRED_AUTHENTICATION"}
        case "forbidden":
            said |= {"category": "MISSING_SCOPES", "errors": [{"context": {"requiredGranularScopes": [READ]}}]}
    return status, said


def stamp(time: datetime) -> str:
    """ISO with milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def person_id(person: Person) -> str:
    """The same person has the same number everywhere."""
    return str(1000 + zlib.crc32(repr(person).encode("utf-8", "replace")))


def properties(world: World, call: FakeCall) -> dict[str, str | None]:
    """Everything HubSpot knows of a call, as texts."""
    ready_at = call.transcript_at if call.transcript_at and world.transcript_ready(call) else None
    changed = max(time for time in (call.ended_at, call.changed_at, ready_at) if time)
    owner, others = (call.people or [Person()])[0], call.people[1:]
    return {
        "hs_object_id": external_id(call), "hs_timestamp": stamp(call.started_at), "hs_call_title": call.title,
        "hs_call_body": "<p>Notes &amp; <b>more</b></p>", "hs_call_duration": str(round(call.duration_s * 1000)),
        "hs_call_direction": "OUTBOUND", "hs_call_status": "COMPLETED", "hs_call_from_number": owner.phone,
        "hs_call_to_number": others[0].phone if others else None,
        "hs_call_recording_url": "signed anew for each answer" if call.has_recording else None,
        "hs_call_has_transcript": "true" if call.has_transcript else None,
        "hs_call_transcription_id": str(zlib.crc32(call.id.encode())) if call.has_transcript else None,
        "hubspot_owner_id": person_id(owner) if owner.name else None,
        "hs_createdate": stamp(call.ended_at), "hs_lastmodifieddate": stamp(changed),
    }  # fmt: skip


def shown(world: World, call: FakeCall, asked: list[str]) -> dict[str, Any]:
    """A call as it is answered: only with the properties that were asked for."""
    known = properties(world, call)
    if call.has_recording:
        known["hs_call_recording_url"] = media_url(world, call)
    found = {name: known.get(name) for name in dict.fromkeys([*asked, *ALWAYS])}
    about = {"createdAt": known["hs_createdate"], "updatedAt": known["hs_lastmodifieddate"], "archived": False}
    return {"id": known["hs_object_id"], "properties": found, **about}


def fits(known: dict[str, str | None], one: dict[str, Any]) -> bool:
    """Whether a filter lets a call through."""
    value, wanted = known.get(one["propertyName"]), one.get("value")
    if one["operator"] == "HAS_PROPERTY" or value is None:
        return value is not None
    if one["propertyName"] == "hs_timestamp":
        value = str(int(datetime.fromisoformat(value).timestamp() * 1000))
    match one["operator"]:
        case "GTE":
            return int(value) >= int(str(wanted))
        case "LT":
            return int(value) < int(str(wanted))
        case "GT":
            return int(value) > int(str(wanted))
        case "EQ":
            return value == wanted
    raise ValueError(one["operator"])


def routes(world: World) -> list[Route]:
    """The CRM, its transcripts, and who connected."""

    def called(name: str) -> FakeCall | None:
        return next((call for call in world.listed(SOURCE) if external_id(call) == name), None)

    async def search(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, "search", scope=READ):
            return no
        asked = await request.json()
        groups, (sort,) = asked["filterGroups"], asked["sorts"]
        size, start = int(asked["limit"]), int(asked.get("after") or 0)
        filters = [len(group["filters"]) for group in groups]
        furthest = world.notes.get(FURTHEST, 10_000)
        if len(groups) > 5 or max(filters) > 6 or sum(filters) > 18 or size > MOST or start + size > furthest:
            return reply({"status": "error", "category": "VALIDATION_ERROR", "message": "Too much."}, 400)
        calls = [(call, properties(world, call)) for call in world.listed(SOURCE)]
        found = [
            (int(str(known[sort["propertyName"]])), call) for call, known in calls
            if any(all(fits(known, one) for one in group["filters"]) for group in groups)
        ]  # fmt: skip
        found.sort(key=lambda pair: pair[0])
        part = page_of(world, SOURCE, request, found, start, size)
        answer: dict[str, Any] = {
            "total": len(found),
            "results": [shown(world, call, asked.get("properties") or []) for _, call in part.items],
        }
        if part.following is not None:
            answer["paging"] = {"next": {"after": str(part.following), "link": "https://api.hubapi.com/…"}}
        return reply(answer)

    async def detail(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=READ):
            return no
        call = called(request.path_params["id"])
        if call is None:
            return refused(world, SOURCE, "missing", 404)
        return reply(shown(world, call, request.query_params.get("properties", "").split(",")))

    async def associated(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=READ):
            return no
        wanted = {one["id"] for one in (await request.json())["inputs"]}
        linked = [call for call in world.listed(SOURCE) if external_id(call) in wanted and call.people[1:]]
        kind = [{"category": "HUBSPOT_DEFINED", "typeId": 194, "label": None}]
        return reply({"status": "COMPLETE", "results": [
            {"from": {"id": external_id(call)},
             "to": [{"toObjectId": int(person_id(person)), "associationTypes": kind} for person in call.people[1:]]}
            for call in linked
        ]}, 200 if len(linked) == len(wanted) else 207)  # fmt: skip

    async def contacts(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=READ):
            return no
        asked = await request.json()
        wanted = {one["id"] for one in asked["inputs"]}
        if len(asked["inputs"]) > 100:
            return reply({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        people = {person_id(person): person for call in world.calls[SOURCE] for person in call.people[1:]}
        return reply({"status": "COMPLETE", "results": [
            {"id": name, "properties": {**_names(person, "firstname", "lastname"), "email": person.email,
                                        "phone": person.phone}, "archived": False}
            for name, person in people.items() if name in wanted
        ]})  # fmt: skip

    async def owners(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=OF_OWNERS):
            return no
        people = {person_id(call.people[0]): call.people[0] for call in world.calls[SOURCE] if call.people}
        here = request.query_params.get("archived") != "true"
        return reply({"results": [
            {"id": name, "email": person.email, **_names(person, "firstName", "lastName"), "archived": not here}
            for name, person in people.items() if (int(name) % 2 == 0) == here
        ]})  # fmt: skip

    async def transcript(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=OF_TRANSCRIPTS):
            return no
        name = request.path_params["id"]
        call = next((call for call in world.listed(SOURCE) if str(zlib.crc32(call.id.encode())) == name), None)
        if call is None or not world.transcript_ready(call):
            return refused(world, SOURCE, "missing", 404)
        emails = {person.name: person.email for person in call.people}
        return reply({"id": name, "engagementId": int(external_id(call)), "transcriptSource": "EXTERNAL",
                      "createdAt": stamp(call.ended_at), "transcriptUtterances": [
            {"id": f"u{number}", "text": line.text, "languageCode": "en-US",
             "speaker": {"id": f"s{line.speaker}", "name": line.speaker, "email": emails.get(line.speaker)},
             "startTimeMillis": round(line.start_s * 1000), "endTimeMillis": round(line.end_s * 1000)}
            for number, line in enumerate(call.lines)
        ]})  # fmt: skip

    async def account(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        return reply({"portalId": PORTAL, "timeZone": "US/Eastern", "uiDomain": "app-eu1.hubspot.com"})

    calls, server = f"{API}/crm/v3/objects/calls", "https://api.hubapi.com/oauth/v1/token"
    return [
        Route(f"{calls}/search", search, methods=["POST"]),
        Route(f"{calls}/{{id}}", detail),
        Route(f"{API}/crm/v4/associations/calls/contacts/batch/read", associated, methods=["POST"]),
        Route(f"{API}/crm/v3/objects/contacts/batch/read", contacts, methods=["POST"]),
        Route(f"{API}/crm/v3/owners", owners),
        Route(f"{API}/crm/extensions/calling/2026-03/transcripts/{{id}}", transcript),
        Route(f"{API}/account-info/v3/details", account),
        *oauth_routes(world, SOURCE, "https://app.hubspot.com/oauth/authorize", server, rotates=False, repeats=True),
    ]


def _names(person: Person, first: str, last: str) -> dict[str, str | None]:
    given, _, family = (person.name or "").partition(" ")
    return {first: given or None, last: family or None}


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """A list of events about one call, signed in version 3."""
    now = datetime.now(UTC) + world.skew
    common = {
        "portalId": PORTAL, "appId": 1, "occurredAt": int(call.ended_at.timestamp() * 1000), "objectTypeId": "0-48",
        "objectId": int(external_id(call)), "attemptNumber": 0, "changeSource": "CRM",
    }  # fmt: skip
    body = json.dumps([
        {"eventId": 1, "subscriptionType": "object.creation", **common},
        {"eventId": 2, "subscriptionType": "object.propertyChange", "propertyName": "hs_call_has_transcript",
         "propertyValue": "true", **common},
        {"eventId": 3, "subscriptionType": "object.creation", **common, "objectTypeId": "0-1", "objectId": 4},
    ]).encode()  # fmt: skip
    timestamp = str(int(now.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"POST{url}".encode() + body + timestamp.encode(), hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json", "X-HubSpot-Request-Timestamp": timestamp,
        "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
    }  # fmt: skip
    return [Posting("POST", url, headers, body)]
