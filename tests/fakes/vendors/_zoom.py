"""What the two fakes of Zoom share: its clock, its months, its errors, its rate classes, its signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import FakeCall, Posting, Rate, World, guard, oauth_routes, page_of, reply

API = "/api.zoom.us/v2"
ACCOUNT = "Acc0unt-_x"
SCOPES = (
    "user:read:user cloud_recording:read:list_user_recordings cloud_recording:read:list_account_recordings:admin "
    "cloud_recording:read:list_recording_files meeting:read:list_past_participants phone:read:list_recordings "
    "phone:read:list_call_recordings:admin phone:read:call_recording"
)
"""What the app was registered with."""
TOKEN_SECONDS = 15 * 60


def rates(light: int, medium: int, heavy: int) -> tuple[Rate, ...]:
    """Zoom's three classes, each second."""
    return tuple(
        Rate(
            count, 1.0, bucket, limit_header="X-RateLimit-Limit", remaining_header="X-RateLimit-Remaining",
            extra={"X-RateLimit-Category": bucket.title(), "X-RateLimit-Type": "QPS"},
        )
        for bucket, count in (("light", light), ("medium", medium), ("heavy", heavy))
    )  # fmt: skip


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """Zoom's errors: a code and a message."""
    said = {
        "rate": (429, {"code": 429, "message": "You have reached the maximum per-second rate limit for this API."}),
        "unauthorized": (401, {"code": 124, "message": "Invalid access token."}),
        "forbidden": (400, {"code": 4711, "message": "Invalid access token, does not contain scopes:"
                                                       "[cloud_recording:read:list_user_recordings]."}),
    }  # fmt: skip
    return said.get(kind, (status, {"code": status, "message": "Internal server error."}))


def connecting(world: World, source: str) -> list[Route]:
    """Signing in, with a person or as a server-to-server app, and whose account it is."""

    async def me(request: Request) -> Response:
        if refused := await guard(world, source, request, "light"):
            return refused
        return reply({"id": "h0StIdxyz", "email": "sam@acme.example", "account_id": ACCOUNT, "type": 2})

    return [
        Route(f"{API}/users/me", me),
        *oauth_routes(
            world, source, "https://zoom.us/oauth/authorize", "https://zoom.us/oauth/token", "header", "form", False,
            True, {"api_url": "https://api.zoom.us"}, scopes=SCOPES,
            grants={"account_credentials": lambda form, client, secret: _is_app(world, form, client, secret)},
        ),
    ]  # fmt: skip


def _is_app(world: World, form: Mapping[str, str], client_id: str, secret: str) -> bool:
    """A server-to-server app: one of ours, or one that a test has made."""
    given = {"account_id": form.get("account_id", ""), "client_id": client_id, "client_secret": secret}
    made = [*world.credentials["zoom"], *world.credentials["zoom_phone"]]
    return given in made or (given["account_id"] == ACCOUNT and world.clients.get(client_id) == secret)


def listing(
    world: World, source: str, request: Request, name: str, found: Sequence[FakeCall], most: int, make: Any
) -> Response:
    """A page of a listing: at most a month, `next_page_token` empty at the end and good for 15 minutes."""
    query = request.query_params
    since, until = (_day(query.get(side), world) for side in ("from", "to"))
    if until - since > timedelta(days=31) or until < since:
        return reply({"code": 300, "message": "The from and to dates may be at most one month apart."}, 400)
    exact = "T" in query.get("to", "")
    end = until if exact else until + timedelta(days=1)
    window = [call for call in found if since <= call.started_at < end or (exact and call.started_at == end)]
    size = int(query.get("page_size", "30"))
    if not 1 <= size <= most:
        return reply({"code": 300, "message": f"page_size must be at most {most}."}, 400)
    offset = 0
    if token := query.get("next_page_token"):
        offset, born = json.loads(base64.urlsafe_b64decode(token))
        if world.now().timestamp() - born > TOKEN_SECONDS:
            return reply({"code": 300, "message": "The next page token is invalid or expired."}, 400)
    page = page_of(world, source, request, window, offset, size)
    following = "" if page.following is None else json.dumps([page.following, world.now().timestamp()])
    return reply({
        "from": query.get("from"), "to": query.get("to"), "page_size": size, "total_records": len(window),
        "next_page_token": base64.urlsafe_b64encode(following.encode()).decode(),
        name: [make(call) for call in page.items],
    })  # fmt: skip


def _day(text: str | None, world: World) -> datetime:
    if text and "T" in text:
        return datetime.fromisoformat(text)
    day = date.fromisoformat(text) if text else world.now().date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def stamp(time: datetime) -> str:
    """`2025-11-04T15:00:07Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(seconds: float) -> str:
    """`00:00:03.120`."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"


def posting(world: World, event: str, thing: Mapping[str, Any], secret: str, url: str, **more: Any) -> Posting:
    """An event as Zoom signs it."""
    at = int(world.now().timestamp())
    body = json.dumps(
        {"event": event, "event_ts": at * 1000, "payload": {"account_id": ACCOUNT, "object": thing}, **more}
    ).encode()
    signature = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json", "x-zm-request-timestamp": str(at), "x-zm-signature": f"v0={signature}",
    }  # fmt: skip
    return Posting("POST", url, headers, body)
