"""Two plain ASGI wrappers around the whole app: a cap on bodies, and headers every answer carries."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1024 * 1024
OWN_CAPS = ("/api/uploads", "/webhooks/")
"""Routes that read their bodies themselves, each under its own cap."""

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # "no-referrer" makes browsers send our own forms with `Origin: null`
    (b"x-frame-options", b"DENY"),
]


class BodyCap:
    """No body above 1 MB, except where a route has a cap of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count while the body is read: a length header need not be there, and need not be true."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_CAPS):
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise HTTPException(413, f"The body may have at most {MAX_BODY} bytes.")
            return message

        await self._app(scope, counted, send)


class SafeHeaders:
    """Nothing is sniffed, framed, or told to other sites; what the API says is not kept by caches unless it says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what is not there."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                names = {name.lower() for name, _ in headers}
                wanted = [*HEADERS, (b"cache-control", b"no-store")]
                message = {**message, "headers": headers + [each for each in wanted if each[0] not in names]}
            await send(message)

        await self._app(scope, receive, sent)
