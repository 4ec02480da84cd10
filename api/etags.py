"""Weak ETags: whoever asks again for what has not changed gets 304 without a body.

The tag is a hash of the body, so it can neither be wrong nor forgotten; what is saved is the way, not the work.
"""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1024 * 1024


class Etags:
    """A tag on every JSON answer of `GET /api/…` that comes in one piece of at most 1 MB."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the head of the answer back until its body is known; streams are let through as they come."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("if-none-match")
        start: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_json(message):
                start = message
                return
            if start is not None and message["type"] == "http.response.body":
                head, start = start, None
                body = message.get("body", b"")
                if not message.get("more_body") and len(body) <= MAX_BODY:
                    tag = f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
                    MutableHeaders(scope=head)["etag"] = tag
                    if _holds(asked, tag):
                        await _unchanged(head, send)
                        return
                await send(head)
            await send(message)

        await self._app(scope, receive, tagged)


def _is_json(message: Message) -> bool:
    headers = Headers(raw=list(message.get("headers", [])))
    kind = headers.get("content-type", "").partition(";")[0]
    return message["status"] == 200 and kind == "application/json" and "etag" not in headers


def _holds(asked: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names the tag; strong and weak tags compare alike there."""
    if asked is None:
        return False
    found = {each.strip().removeprefix("W/") for each in asked.split(",")}
    return "*" in found or tag.removeprefix("W/") in found


async def _unchanged(head: Message, send: Send) -> None:
    headers = MutableHeaders(raw=list(head["headers"]))
    for name in ("content-length", "content-type"):
        del headers[name]
    await send({**head, "status": 304, "headers": headers.raw})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
