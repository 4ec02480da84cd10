"""RingCentral as it answers: heavy requests with their penalty, pages by number, several legs, RingSense or not.

Every fourth call has its recording on a second leg alone. `world.notes["ringsense"] = False` takes that licence away,
`world.notes["ringcentral company"] = False` the right to see the company's calls.
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
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
    media_answer,
    oauth_routes,
    page_of,
    reply,
    seen_of,
)  # fmt: skip

SOURCE = "ringcentral"
KIND = "oauth"
CREDENTIAL: dict[str, str] = {}
API = "https://platform.ringcentral.com/restapi/v1.0/account/400131"
HOST = "/platform.ringcentral.com"
SCOPES = "ReadAccounts ReadCallLog ReadCallRecording ReadRingSenseInsights"


def _rate(bucket: str, count: int) -> Rate:
    return Rate(
        count, 60.0, bucket, limit_header="X-Rate-Limit-Limit", remaining_header="X-Rate-Limit-Remaining",
        penalty_s=60.0, extra={"X-Rate-Limit-Group": bucket, "X-Rate-Limit-Window": "60"},
    )  # fmt: skip


LIMITS = (_rate("heavy", 10), _rate("medium", 40), _rate("light", 50))


def external_id(call: FakeCall) -> str:
    """The recording's id."""
    return str(7_000_000_000 + zlib.crc32(call.id.encode()))


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """A code, a message, and the same in a list."""
    code, message = {
        "rate": ("CMN-301", "Request rate exceeded"),
        "unauthorized": ("OAU-213", "Token not found"),
        "forbidden": ("CMN-408", "In order to call this API endpoint, user needs to have [ReadCallLog] permission for "
                                 "requested resource."),
    }.get(kind, ("CMN-201", "Service Temporary Unavailable"))  # fmt: skip
    return status, {"errorCode": code, "message": message, "errors": [{"errorCode": code, "message": message}]}


def record(world: World, call: FakeCall) -> dict[str, Any]:
    """A call of the log in the detailed view."""
    sides = [*call.people, Person(), Person()]
    ours, theirs = sides[0], sides[1]
    found: dict[str, Any] = {
        "uri": f"{API}/call-log/{call.id}", "id": f"L{call.id}", "sessionId": f"404{call.id}",
        "telephonySessionId": f"s-{call.id}", "startTime": _time(call.started_at), "duration": int(call.duration_s),
        "durationMs": round(call.duration_s * 1000), "type": "Voice", "internalType": "Local", "direction": "Outbound",
        "action": "VoIP Call", "result": "Call connected",
        "from": {"name": ours.name, "phoneNumber": ours.phone, "extensionId": "62264425"},
        "to": {"name": theirs.name, "phoneNumber": theirs.phone, "location": "San Francisco, CA"},
        "lastModifiedTime": _time(call.changed_at or call.ended_at + timedelta(minutes=1)),
    }  # fmt: skip
    leg: dict[str, Any] = {
        key: found[key] for key in ("startTime", "duration", "durationMs", "direction", "from", "to")
    }
    if call.has_recording:
        path = f"/restapi/v1.0/account/400131/recording/{external_id(call)}"
        made = {
            "id": external_id(call), "type": "Automatic", "uri": f"https://platform.ringcentral.com{path}",
            "contentUri": f"https://media.ringcentral.com{path}/content",
        }  # fmt: skip
        found["legs"] = [leg, leg | {"legType": "Accept", "recording": made}]
        if zlib.crc32(call.id.encode()) % 4:
            found["recording"] = made
    return found


def insights(call: FakeCall) -> dict[str, Any]:
    """What RingSense heard. A speaker who is not known has no name."""
    ids = {name: f"P-{number}" for number, name in enumerate(dict.fromkeys(line.speaker for line in call.lines))}
    return {
        "title": call.title or None, "domain": "pbx", "sourceRecordId": external_id(call), "callDirection": "Outbound",
        "recordingDurationMs": round(call.duration_s * 1000), "recordingStartTime": _time(call.started_at),
        "creationTime": _time(call.ended_at),
        "speakerInfo": [{"speakerId": key, "name": name} for name, key in ids.items()],
        "insights": {"Summary": [], "Transcript": [
            {"speakerId": ids[line.speaker], "text": line.text, "start": line.start_s, "end": line.end_s}
            for line in call.lines
        ]},
    }  # fmt: skip


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def routes(world: World) -> list[Route]:
    """RingCentral's addresses."""

    def found(request: Request) -> FakeCall | None:
        return world.known(SOURCE, external_id, request.path_params["recording"])

    async def me(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "light"):
            return refused
        contact = {"firstName": "Mila", "lastName": "Chen", "email": "mila@acme.example"}
        return reply({"id": 62264425, "extensionNumber": "101", "name": "Mila Chen", "contact": contact,
                      "account": {"id": "400131"}})  # fmt: skip

    async def company(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "heavy"):
            return refused
        if world.notes.get("ringcentral company", True):
            return log(request)
        said = "In order to call this API endpoint, user needs to have [FullCompanyCallLog] permission."
        return reply({"errorCode": "CMN-408", "message": said, "permissionName": "FullCompanyCallLog"}, 403)

    async def own(request: Request) -> Response:
        return await guard(world, SOURCE, request, "heavy") or log(request)

    def log(request: Request) -> Response:
        query = request.query_params
        until = datetime.fromisoformat(query["dateTo"]) if "dateTo" in query else world.now()
        since = datetime.fromisoformat(query["dateFrom"]) if "dateFrom" in query else until - timedelta(hours=24)
        page, size = int(query.get("page", "1")), int(query.get("perPage", "100"))
        if not 1 <= size <= 1000 or page < 1:
            return reply({"errorCode": "CMN-101", "message": "Parameter [perPage] value is invalid"}, 400)
        calls = [call for call in world.listed(SOURCE, since, until + timedelta(milliseconds=1))
                 if call.has_recording or "recordingType" not in query][::-1]  # fmt: skip
        # A fault makes one page more: those after it move on by one, so that a walk to the end loses none.
        moved = world.notes.setdefault("ringcentral moved", {})
        listing = (query.get("dateFrom"), query.get("dateTo"))
        by = moved[listing] = moved.get(listing, 0) if page > 1 else 0
        part = page_of(world, SOURCE, request, calls, max(page - 1 - by, 0) * size, size)
        moved[listing] += seen_of(request).fault in ("empty_page", "repeat_page")
        uri = f"{API}/call-log?perPage={size}&page="
        following = {} if part.following is None else {"nextPage": {"uri": f"{uri}{page + 1}"}}
        return reply({
            "uri": f"{uri}{page}", "records": [record(world, call) for call in part.items],
            "paging": {"page": page, "perPage": size, "pageStart": (page - 1) * size,
                       **({"totalElements": len(calls)} if world.notes.get("ringcentral totals", True) else {})},
            "navigation": {"firstPage": {"uri": f"{uri}1"}, **following},
        })  # fmt: skip

    async def sound(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "heavy"):
            return refused
        call = found(request)
        return media_answer(call) if call and call.has_recording else reply({"errorCode": "CMN-102"}, 404)

    async def heard(request: Request) -> Response:
        if refused := await guard(world, SOURCE, request, "heavy"):
            return refused
        if not world.notes.get("ringsense", True):
            said = "In order to call this API endpoint, user needs to have [ReadRingSenseInsights] permission."
            return reply({"errorCode": "CMN-408", "message": said}, 403)
        call = found(request)
        ready = call is not None and world.transcript_ready(call)
        return reply(insights(call)) if call and ready else reply({"errorCode": "CMN-102", "message": "Not found"}, 404)

    path = f"{HOST}/restapi/v1.0/account/~"
    return [
        Route(f"{path}/extension/~", me),
        Route(f"{path}/call-log", company),
        Route(f"{path}/extension/~/call-log", own),
        Route("/media.ringcentral.com/restapi/v1.0/account/{account}/recording/{recording}/content", sound),
        Route(f"{HOST}/ai/ringsense/v1/public/accounts/~/domains/pbx/records/{{recording}}/insights", heard),
        *oauth_routes(
            world, SOURCE, "https://platform.ringcentral.com/restapi/oauth/authorize",
            "https://platform.ringcentral.com/restapi/oauth/token", "header", "form", False, True,
            {"owner_id": "62264425", "endpoint_id": "e1"}, grace_s=10.0, scopes=SCOPES,
        ),
    ]  # fmt: skip


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """Two states of the session of a call: answered, and over. Our own token comes along, nothing is signed."""
    postings = []
    for state in ("Answered", "Disconnected"):
        parties = [
            {"id": f"p-{number}", "status": {"code": state}, "recordings": [{"id": external_id(call), "active": False}]}
            for number in (1, 2)
        ]
        body = {
            "uuid": f"{call.id}-{state}", "event": "/restapi/v1.0/account/400131/telephony/sessions",
            "timestamp": _time(world.now()), "subscriptionId": "s-1", "ownerId": "62264425",
            "body": {"telephonySessionId": f"s-{call.id}", "parties": parties},
        }  # fmt: skip
        headers = {"content-type": "application/json", "verification-token": secret}
        postings.append(Posting("POST", url, headers, json.dumps(body).encode()))
    return postings
