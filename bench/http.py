"""A lean HTTP/1.1 client with connections kept open: the load generator must not be what is measured."""

import asyncio
import contextlib
from collections.abc import Mapping

HEADERS_END = b"\r\n\r\n"


class Client:
    """Requests to one server. As many connections as requests at the same time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of the answer. A kept connection that the server has closed meanwhile is replaced."""
        lines = {"host": f"{self._address[0]}:{self._address[1]}", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        whole = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    return await self._exchange(reader, writer, whole)
            writer.close()
        self.opened += 1
        return await self._exchange(*await asyncio.open_connection(*self._address), whole)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: bytes
    ) -> tuple[int, bytes]:
        writer.write(whole)
        said = (await reader.readuntil(HEADERS_END)).lower()
        length = int(said.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        answer = await reader.readexactly(length)
        if b"connection: close" in said:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(said[9:12]), answer

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
