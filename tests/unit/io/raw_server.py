"""A local server that sends exactly the bytes it is told to: what a well-behaved one would never send."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """`requests` holds each request with its body, `names` the TLS server name of each connection."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@asynccontextmanager
async def raw_server(
    answer: Callable[[bytes], bytes | Awaitable[bytes]], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Answer each request with what `answer` makes of it, then drop the connection. `tls` serves https."""
    seen = RawServer()
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: seen.names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            request = await reader.readuntil(b"\r\n\r\n")
            for line in request.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    request += await reader.readexactly(int(line.partition(b":")[2]))
            seen.requests.append(request)
            made = answer(request)
            writer.write(made if isinstance(made, bytes) else await made)
            await writer.drain()
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        await server.wait_closed()


def reply(status: int = 200, body: bytes = b"", length: int | None = None, **headers: str) -> bytes:
    """An HTTP answer. Underscores in header names become dashes; `length` is what Content-Length says, -1 for none."""
    lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
