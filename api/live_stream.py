"""Server-sent events: a listener as a stream that a browser's `EventSource` reads.

Every fifteen seconds comes a comment with the id of the moment, so that a stream is resumed close to its end however
little happens in its workspace; and whoever is not known any more by then hears nothing further.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

from fastapi import Request
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api.auth import SESSION_COOKIE, Caller
from api.deps import caller_of
from api.live_events import KINDS, MAX_PLACE, Kind
from api.live_listener import EndedError, Listener
from api.ports import Ports
from api.problems import Problem
from schemas.faults import OutageFault

RETRY_MS = 2_000
HEADERS = {"X-Accel-Buffering": "no"}


async def stream(
    request: Request, ports: Ports, caller: Caller, types: str | None, after: str | None
) -> EventSourceResponse:
    """What happens in the caller's workspace, from now on or after an id. Raises a 429 problem when they have too many
    streams, a 422 one for types there are not, and `OutageFault`."""
    kinds = _kinds(types)
    owner = (caller.workspace_id, caller.user_id)
    listener = await ports.live.open(caller.workspace_id, kinds, (after or "")[: MAX_PLACE + 1] or None, owner)
    return _Stream(listener, _lines(request, ports, caller, listener))


class _Stream(EventSourceResponse):
    """Closes its listener whatever happens, and as soon as the other side is gone."""

    def __init__(self, listener: Listener, lines: AsyncIterator[bytes]) -> None:
        super().__init__(lines, headers=HEADERS)
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await self.stream_response(send)
        except OSError:
            raise ClientDisconnect from None
        finally:
            gone.cancel()
            self._listener.close()

    async def _until_gone(self, receive: Receive) -> None:
        await self.listen_for_disconnect(receive)
        self._listener.close()


async def _lines(request: Request, ports: Ports, caller: Caller, listener: Listener) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    check_at = loop.time() + ports.live.ping_seconds
    yield format_sse_event(comment="callstream", retry=RETRY_MS, id=listener.place())
    while True:
        try:
            told = await listener.take(max(0.01, check_at - loop.time()))
        except EndedError:
            return
        if told is not None:
            name, data, place = told
            yield format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False), id=place)
        if loop.time() >= check_at:
            if not await _is_still_known(request, ports, caller):
                return
            yield format_sse_event(comment="ping", id=listener.place())
            check_at = loop.time() + ports.live.ping_seconds


async def _is_still_known(request: Request, ports: Ports, caller: Caller) -> bool:
    """Whether the caller is signed in as before. As long as the database is away nobody can say otherwise."""
    try:
        now = await caller_of(ports, request.headers.get("authorization"), request.cookies.get(SESSION_COOKIE))
    except OutageFault:
        return True
    except Problem:
        return False
    return (now.workspace_id, now.user_id) == (caller.workspace_id, caller.user_id) and "read" in now.scopes


def _kinds(types: str | None) -> list[Kind]:
    wanted = [word.strip() for word in types.split(",") if word.strip()] if types else list(KINDS)
    if not wanted or any(word not in KINDS for word in wanted):
        sentence = f"types holds one or more of {', '.join(KINDS)}, separated by commas; leave it out for all of them."
        raise Problem(422, "invalid_types", sentence, field="types")
    return cast(list[Kind], wanted)
