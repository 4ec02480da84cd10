"""Subscriptions over `graphql-transport-ws`: who may open a connection, and until when it is theirs."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions import SchemaExtension
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from api.auth import SESSION_COOKIE
from api.deps import same_origin
from api.graphql.context import Context, let_in
from api.ports import Ports
from api.problems import Problem
from schemas.faults import OutageFault

T = TypeVar("T")
CHECK_SECONDS = 20.0
"""How soon the streams of a session that ended, or of a key that was revoked, end."""
INIT_SECONDS = 10
MAX_CONNECTIONS = 20
"""Of one person at one time, in one process."""
MAX_SUBSCRIPTIONS = 20
"""Within one connection."""


class Subscriptions(GraphQL[Context, None]):
    """The WebSocket side of `/graphql`.

    A program says who it is in the handshake's `Authorization` or in that of `connection_init`. A browser is known by
    its session, and only on a page of our own: a WebSocket carries cookies from any page.
    """

    def __init__(self, schema: BaseSchema) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MAX_SUBSCRIPTIONS,
        )
        self._open: Counter[UUID] = Counter()

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection until either side ends it."""
        context = context_of(websocket)
        try:
            await self.run(websocket, context=context)
        finally:
            if context.caller is not None:
                self._open[context.caller.user_id] -= 1
                self._open += Counter()  # forgets whoever has none left

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Whether a page elsewhere may connect: yes, because nothing of it counts but a key that it knows."""
        return True

    async def on_ws_connect(self, context: Context) -> dict[str, object] | None:
        """Whether `connection_init` comes from somebody who may read here. The connection is closed otherwise."""
        told = context.connection_params.get("Authorization", context.connection_params.get("authorization"))
        if context.authorization is None and isinstance(told, str):
            context.authorization = told
        try:
            caller = await let_in(context)
        except (Problem, OutageFault):
            raise ConnectionRejectionError from None
        if self._open[caller.user_id] >= MAX_CONNECTIONS:
            raise ConnectionRejectionError
        self._open[caller.user_id] += 1
        context.caller = caller
        return {}

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Never asked for: `serve` gives one."""
        raise NotImplementedError


def context_of(websocket: WebSocket) -> Context:
    """What the handshake says of who it is. A session counts only for a page of our own."""
    scheme = {"wss": "https"}.get(websocket.url.scheme, "http")
    like_http = Request({**websocket.scope, "type": "http", "method": "GET", "scheme": scheme})
    cookie = websocket.cookies.get(SESSION_COOKIE) if same_origin(like_http) else None
    ports: Ports = websocket.app.state.ports
    return Context(ports, session=cookie, authorization=websocket.headers.get("authorization"), stays_open=True)


class StillSignedIn(SchemaExtension):
    """Whoever sends an operation over a connection is looked at again: their key may have been revoked since."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Before anything is resolved."""
        context: Context = self.execution_context.context
        if context.stays_open:
            context.caller = await let_in(context)
        yield


async def while_signed_in(context: Context, items: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The items, as long as the caller is still let in. Raises the 401 problem that a new request would get."""
    loop = asyncio.get_running_loop()
    checked, coming = loop.time(), asyncio.ensure_future(_next(items))
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0.0, checked + CHECK_SECONDS - loop.time()))
            if loop.time() >= checked + CHECK_SECONDS:
                checked = loop.time()
                await _still(context)
            if not coming.done():
                continue
            found = coming.result()
            if found is None:
                return
            yield found[0]
            coming = asyncio.ensure_future(_next(items))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        close: Any = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def _next(items: AsyncIterator[T]) -> tuple[T] | None:
    async for item in items:
        return (item,)
    return None


async def _still(context: Context) -> None:
    """A database that is away for a moment ends nobody's stream."""
    try:
        await let_in(context)
    except OutageFault:
        return
