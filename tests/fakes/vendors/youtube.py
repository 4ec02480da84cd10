"""YouTube as it answers: uploads newest first, details in batches, captions as files, quota in units, notices."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.core import FakeCall, Posting, Rate, World, guard, oauth_routes, page_of, refused, reply

SOURCE = "youtube"
KIND = "oauth"
CREDENTIAL: dict[str, str] = {}
API = "/www.googleapis.com/youtube/v3"
SCOPE = "https://www.googleapis.com/auth/youtube.force-ssl"
AUTHORIZE, TOKEN = "https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token"
CHANNEL, UPLOADS = "UCfakeAcme0000000000001", "UUfakeAcme0000000000001"
LIMITS = (Rate(10_000, 86_400, retry_after=""),)
PAGE = 50
FOREIGN = "youtube foreign"
"""A note with calls whose videos belong to somebody else: anybody may see them, but not edit them."""


def external_id(call: FakeCall) -> str:
    """Eleven characters."""
    number = int(call.id) if call.id.isascii() and call.id.isdigit() else zlib.crc32(call.id.encode())
    return f"v_{number % 10**8:08d}-"


def refusal(kind: str, status: int, wait: float) -> tuple[int, Any]:
    """Both limits and rights are a 403 at times: only the reason tells."""
    match kind:
        case "rate" if wait > 600:
            status, reason = 403, "quotaExceeded"
        case "rate":
            reason = "rateLimitExceeded"
        case "forbidden":
            reason = "insufficientPermissions"
        case "unauthorized":
            reason = "authError"
        case _:
            reason = "backendError"
    return error(status, reason)


def error(status: int, reason: str) -> tuple[int, Any]:
    """An error of Google's older APIs."""
    said = [{"message": "No.", "domain": "youtube", "reason": reason}]
    return status, {"error": {"code": status, "message": "No.", "errors": said}}


def stamp(time: datetime) -> str:
    """A time to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def length(seconds: float) -> str:
    """`PT1H2M3S`, without the parts that are nought."""
    hours, rest = divmod(round(seconds), 3600)
    found = ((hours, "H"), (rest // 60, "M"), (rest % 60, "S"))
    return "PT" + ("".join(f"{number}{unit}" for number, unit in found if number) or "0S")


def video(call: FakeCall) -> dict[str, Any]:
    """The details of a video."""
    return {
        "kind": "youtube#video",
        "etag": "e1",
        "id": external_id(call),
        "snippet": {
            "publishedAt": stamp(call.started_at), "channelId": CHANNEL, "title": call.title, "description": "",
            "channelTitle": "Acme", "liveBroadcastContent": "none",
        },
        "contentDetails": {"duration": length(call.duration_s), "caption": "false"},
        "status": {"uploadStatus": "processed", "privacyStatus": "unlisted"},
    }  # fmt: skip


def entry(call: FakeCall) -> dict[str, Any]:
    """The same video in the playlist of uploads."""
    name, published = external_id(call), stamp(call.started_at)
    return {
        "kind": "youtube#playlistItem",
        "id": f"UEx{name}",
        "snippet": {
            "publishedAt": published, "channelId": CHANNEL, "title": call.title, "playlistId": UPLOADS,
            "resourceId": {"kind": "youtube#video", "videoId": name},
        },
        "contentDetails": {"videoId": name, "videoPublishedAt": published},
    }  # fmt: skip


def tracks(world: World, call: FakeCall) -> list[dict[str, Any]]:
    """A translation, foreign words only, and either automatic captions or, for even numbers, better ones as well."""
    if not call.has_transcript:
        return []
    status = "serving" if world.transcript_ready(call) else "syncing"
    own = [("ASR", call.language)] + ([("standard", call.language)] if zlib.crc32(call.id.encode()) % 2 else [])
    kinds = [("standard", "fr"), ("forced", call.language), *own]
    return [
        {"kind": "youtube#caption", "id": f"{external_id(call)}.{number}.{kind}.{language}", "snippet": {
            "videoId": external_id(call), "lastUpdated": stamp(call.ended_at), "trackKind": kind, "language": language,
            "name": "", "isDraft": False, "status": status}}
        for number, (kind, language) in enumerate(kinds)
    ]  # fmt: skip


def srt(call: FakeCall, kind: str, language: str) -> bytes:
    """The file of a track. Automatic captions name nobody."""
    cues = []
    for number, line in enumerate(call.lines, 1):
        words = line.text if language == call.language else "Ceci est une traduction."
        said = f"{line.speaker}: {words}" if kind == "standard" and line.speaker else words
        start, end = round(line.start_s * 1000), round(max(line.start_s, line.end_s) * 1000)
        cues.append(f"{number}\n{clock(start)} --> {clock(end)}\n{said}\n")
    return "\n".join(cues).encode("utf-8", "replace")


def clock(milliseconds: int) -> str:
    """`00:01:02,345`"""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{rest:03d}"


def routes(world: World) -> list[Route]:
    """The Data API and Google's sign-in."""

    def found(names: list[str]) -> list[FakeCall]:
        visible = [*world.listed(SOURCE), *world.notes.get(FOREIGN, ())]
        return [call for call in visible if external_id(call) in names]

    async def channels(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, scope=SCOPE):
            return no
        details = {"relatedPlaylists": {"likes": "", "uploads": UPLOADS}}
        channel = {"id": CHANNEL, "snippet": {"title": "Acme calls"}, "contentDetails": details}
        return reply({"kind": "youtube#channelListResponse", "items": [channel] if world.login != "none" else []})

    async def playlist(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        token, size = request.query_params.get("pageToken", "CAUQ0"), int(request.query_params.get("maxResults", "5"))
        if not (token.startswith("CAUQ") and token[4:].isdigit()):
            return reply(*reversed(error(400, "invalidPageToken")))
        calls = world.listed(SOURCE)[::-1]
        if not calls:
            return reply(*reversed(error(404, "playlistNotFound")))
        part = page_of(world, SOURCE, request, calls, int(token[4:]), min(size, PAGE))
        info = {"totalResults": len(calls), "resultsPerPage": size}
        answer: dict[str, Any] = {"pageInfo": info, "items": [entry(call) for call in part.items]}
        if part.following is not None:
            answer["nextPageToken"] = f"CAUQ{part.following}"
        return reply(answer)

    async def videos(request: Request) -> Response:
        if no := await guard(world, SOURCE, request):
            return no
        names = request.query_params["id"].split(",")
        if len(names) > PAGE:
            return reply(*reversed(error(400, "invalidParameter")))
        return reply({"kind": "youtube#videoListResponse", "items": [video(call) for call in found(names)]})

    async def captions(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, cost=50, scope=SCOPE):
            return no
        calls = found([request.query_params["videoId"]])
        if not calls:
            return reply(*reversed(error(404, "videoNotFound")))
        if calls[0] in world.notes.get(FOREIGN, ()):
            return reply(*reversed(error(403, "forbidden")))
        return reply({"kind": "youtube#captionListResponse", "items": tracks(world, calls[0])})

    async def download(request: Request) -> Response:
        if no := await guard(world, SOURCE, request, cost=200, scope=SCOPE):
            return no
        name, _, kind, language = [*request.path_params["track"].split("."), "", "", ""][:4]
        calls = found([name])
        if not calls or request.query_params.get("tfmt") != "srt":
            return refused(world, SOURCE, "missing", 404)
        return Response(srt(calls[0], kind, language), media_type="application/octet-stream")

    return [
        Route(f"{API}/channels", channels),
        Route(f"{API}/playlistItems", playlist),
        Route(f"{API}/videos", videos),
        Route(f"{API}/captions", captions),
        Route(f"{API}/captions/{{track}}", download),
        *oauth_routes(world, SOURCE, AUTHORIZE, TOKEN, pkce=True, rotates=False, offline=True),
    ]


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """What the hub posts after an upload: an entry of the channel's feed, signed with the subscription's secret."""
    title = escape("".join(mark for mark in call.title if mark >= " ").encode("utf-8", "replace").decode())
    body = (
        '<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom">'
        f"<title>YouTube video feed</title><updated>{stamp(call.ended_at)}</updated><entry>"
        f"<id>yt:video:{external_id(call)}</id><yt:videoId>{external_id(call)}</yt:videoId>"
        f"<yt:channelId>{CHANNEL}</yt:channelId><title>{title}</title><published>{stamp(call.started_at)}</published>"
        f"<updated>{stamp(call.ended_at)}</updated></entry></feed>"
    ).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    headers = {"Content-Type": "application/atom+xml", "X-Hub-Signature": f"sha1={signature}"}
    return [Posting("POST", url, headers, body)]
