"""A receiver of outgoing webhooks over real HTTP: it keeps what comes, and answers as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Answer = int | Callable[["Came"], Awaitable[int]]


@dataclass(frozen=True)
class Came:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """What came, by path, and what each path answers: a status, or a function that may take its time."""

    port: int = 0
    came: list[Came] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def host(self) -> str:
        """What the settings must allow."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        """An address here."""
        return f"http://{self.host}{path}"

    def at(self, path: str) -> list[Came]:
        """What came to a path."""
        return [each for each in self.came if each.path == path]

    async def wait(self, count: int, path: str = "/", timeout: float = 60) -> list[Came]:
        """What came to a path, as soon as it is so much."""
        async with asyncio.timeout(timeout), self.changed:
            await self.changed.wait_for(lambda: len(self.at(path)) >= count)
        return self.at(path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Came(head[0].split(" ")[1], headers, body)
            self.came.append(request)
            async with self.changed:
                self.changed.notify_all()
            answer = self.answers.get(request.path, 200)
            status = answer if isinstance(answer, int) else await answer(request)
            more = "Location: /elsewhere\r\n" if 300 <= status < 400 else ""
            writer.write(f"HTTP/1.1 {status} X\r\nConnection: close\r\n{more}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
