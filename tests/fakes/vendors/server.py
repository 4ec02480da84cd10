"""The fake vendors as one real HTTP server on loopback: `https://HOST/path` is served at `/HOST/path`."""

from __future__ import annotations

import importlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.fakes.vendors.auth import issue
from tests.fakes.vendors.control import control_routes
from tests.fakes.vendors.media import media_routes
from tests.fakes.vendors.shapes import FakeCall, Posting, Seen
from tests.fakes.vendors.world import World, reply


@cache
def modules(only: tuple[str, ...] = ()) -> Mapping[str, ModuleType]:
    """Every vendor module of this folder by its source, or only some. A module is named as its source is."""
    folder = Path(__file__).parent
    names = only or tuple(
        sorted(path.stem for path in folder.glob("*.py") if re.search(r"^SOURCE\b.*=", path.read_text(), re.MULTILINE))
    )
    found = [importlib.import_module(f"tests.fakes.vendors.{name}") for name in names]
    return {module.SOURCE: module for module in found}


def external_id(source: str, call: FakeCall) -> str:
    """The id under which callstream must report this call."""
    return str(modules((source,))[source].external_id(call))


def webhook(world: World, source: str, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """The signed deliveries by which the vendor tells of a call; none where it has no webhooks."""
    make = getattr(modules((source,))[source], "webhook", None)
    return list(make(world, call, secret, url)) if make else []


def deliver(posting: Posting) -> httpx2.Response:
    """Send a webhook to where it is addressed."""
    with httpx2.Client(trust_env=False, timeout=30.0) as http:
        return http.request(posting.method, posting.url, headers=dict(posting.headers), content=posting.body)


def credential(world: World, source: str) -> dict[str, str]:
    """A credential that the source accepts: its own key, or fresh tokens as if somebody had just connected."""
    module = modules((source,))[source]
    if source in world.servers and module.KIND == "oauth":
        return {**module.CREDENTIAL, **issue(world, source)}
    return dict(module.CREDENTIAL)


def app_of(world: World, only: tuple[str, ...] = ()) -> ASGIApp:
    """All vendors of this folder in one application, or only some."""
    served = modules(only)
    routes: list[Any] = [*media_routes(world), *control_routes(world, served)]
    for source, module in served.items():
        world.limits.setdefault(source, list(getattr(module, "LIMITS", ())))
        world.credentials[source] = [module.CREDENTIAL]
        if hasattr(module, "refusal"):
            world.refusals[source] = module.refusal
        routes += module.routes(world)
    routes.append(Route("/{rest:path}", _nowhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]))
    return _Logged(Starlette(routes=routes), world)


async def _nowhere(request: Request) -> Response:
    return reply({"error": f"no such address: {request.url.path}"}, 404)


@dataclass(frozen=True, slots=True)
class _Logged:
    """Writes each request down, adds what `guard` left behind to its answer, and cuts the answer where ordered."""

    app: ASGIApp
    world: World

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        seen = Seen(request.method, scope["path"], dict(request.query_params), time.time(), sent=dict(request.headers))
        scope["seen"] = seen
        if not scope["path"].startswith("/_control"):
            self.world.requests.append(seen)
        start: Message = {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                date = format_datetime(self.world.now(), usegmt=True)
                more = [*seen.headers.items(), ("date", date)]
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in more)]
                if seen.cut:
                    start.update(message)
                    return
            elif seen.cut and start:
                message["body"] = message["body"][: len(message["body"]) // 2]
                size = str(len(message["body"])).encode()
                start["headers"] = [
                    (name, size if name == b"content-length" else value) for name, value in start["headers"]
                ]
                await send(dict(start))
                start.clear()
            await send(message)

        await self.app(scope, receive, answer)


@dataclass(frozen=True, slots=True)
class Vendors:
    """The running fakes: `origin` is for the setting `vendor_origin`."""

    origin: str
    world: World = field(repr=False)

    def external_id(self, source: str, call: FakeCall) -> str:
        """As the function of this name."""
        return external_id(source, call)

    def external_ids(self, source: str) -> set[str]:
        """The ids of all calls of a source that callstream must have in the end."""
        return {external_id(source, call) for call in self.world.calls[source]}

    def credential(self, source: str) -> dict[str, str]:
        """As the function of this name."""
        return credential(self.world, source)

    def webhook(self, source: str, call: FakeCall, secret: str, url: str) -> list[Posting]:
        """As the function of this name."""
        return webhook(self.world, source, call, secret, url)


@contextmanager
def start_fake_vendors(*only: str, world: World | None = None, port: int = 0) -> Iterator[Vendors]:
    """All vendors, or only some, on loopback in a thread of this process until the end of the block."""
    world = world or World()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        world.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            app_of(world, only), log_level="error", access_log=False, date_header=False, server_header=False,
            timeout_graceful_shutdown=2, lifespan="off", timeout_keep_alive=60,
        )  # fmt: skip
        server = uvicorn.Server(config)
        wanted = [module for name, module in modules().items() if not only or name in only]
        beside = [module for module in wanted if hasattr(module, "start")]
        for module in beside:
            module.start(world)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="fake-vendors", daemon=True)
        thread.start()
        began = datetime.now(UTC)
        while not server.started:
            if not thread.is_alive() or (datetime.now(UTC) - began).total_seconds() > 20:
                raise RuntimeError("the fake vendors did not start")
            time.sleep(0.005)
        try:
            yield Vendors(world.origin, world)
        finally:
            for module in beside:
                module.stop(world)
            server.should_exit = True
            thread.join(10)
