"""Download what a user-supplied address leads to, without being led into our own network.

The host is resolved once, every address is checked, and the connection goes to exactly a checked address while TLS
still verifies the host's name: so a name that resolves differently the second time gains nothing. Each redirect is
checked anew on a connection of its own. `CALLSTREAM_MEDIA_ALLOW_HOSTS` names the `host:port` pairs that may be
private or plain http. No proxy, cookie or credential of ours is ever sent.

Errors name an address as scheme, host and path: the rest of a signed address is a secret.
"""

import asyncio
import ipaddress
import mimetypes
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import anyio
import httpx2

from schemas.faults import Fault, InvalidCall, TransientFault
from schemas.settings import Settings
from streams.io import clock
from streams.io.retry_after import retry_after

MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""Of the addresses of a host, this many are tried."""
TOTAL_SECONDS = 1800.0
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
CHUNK = 256 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_HOST = re.compile(r"[A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
_PAGES = ("text/html", "application/xhtml+xml")
_UNICAST_6 = ipaddress.ip_network("2000::/3")
_REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, for which Pythons disagree
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other addresses that carry an IPv4 address, or belong to nobody
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",  # documentation
    )
)

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> its addresses, the preferred one first. Raises `OSError` when there is none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer under way. `filename` is a guess and safe to show; `size_bytes` is only what the server announced."""

    chunks: AsyncIterator[bytes]
    filename: str
    content_type: str | None
    size_bytes: int | None


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@asynccontextmanager
async def fetch(
    url: str,
    settings: Settings,
    *,
    max_bytes: int | None = None,
    seconds: float = TOTAL_SECONDS,
    resolve: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Fetched]:
    """Open `url` and give its content in chunks, at most `max_bytes` (default: the upload limit) within `seconds`.
    `headers` may hold a credential: they go to the host of `url` alone, and are gone after a redirect to another.

    Raises `InvalidCall` when the address is refused, gone, a web page or too large, `TransientFault` when the other
    side is slow, away or broke off. Both may also come out of `chunks`.
    """
    allowed = frozenset(filter(None, (entry.strip().lower() for entry in settings.media_allow_hosts.split(","))))
    given = dict(headers or {})
    limit = settings.upload_max_bytes if max_bytes is None else max_bytes
    deadline = asyncio.get_running_loop().time() + seconds
    target = _parsed(url)
    for _ in range(MAX_REDIRECTS + 1):
        wire, trusted = _sent_to(target, settings.vendor_origin, allowed)
        addresses = await _checked_addresses(wire, trusted, resolve, deadline)
        async with _get(wire, addresses, deadline, tls or _default_tls(), given) as response:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                before, target = target, _parsed(response.headers["location"], base=target)
                if (before.scheme, _authority(before)) != (target.scheme, _authority(target)):
                    given = {}
                continue
            _check_answer(response, target, limit)
            async with aclosing(_chunks(response, target, limit, deadline)) as chunks:
                yield Fetched(chunks, _filename(response, target), _media_type(response), _announced(response))
            return
    raise InvalidCall("media_url_refused", f"{shown(target)} redirects too often.", field="media.url")


def _sent_to(url: httpx2.URL, vendor_origin: str | None, allowed: frozenset[str]) -> tuple[httpx2.URL, frozenset[str]]:
    """Where a request for `url` really goes, and who is trusted then: in tests and the demo, `vendor_origin`."""
    if not vendor_origin or str(url).startswith(vendor_origin):
        return url, allowed
    origin = _parsed(vendor_origin)
    wire = _parsed(f"{vendor_origin.rstrip('/')}/{_authority(url)}{url.raw_path.decode('ascii')}")
    return wire, allowed | {f"{origin.host}:{_port(origin)}"}


def shown(url: httpx2.URL | str) -> str:
    """An address without its secrets: scheme, host and path."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):
        return "The media address"
    return f"{parsed.scheme}://{_authority(parsed)}{parsed.path}"[:300]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, and nothing that leads elsewhere in disguise."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and (ip not in _UNICAST_6 or "%" in address):
        return False  # everything else is local, multicast, reserved, or an IPv4 address in IPv6 clothes
    if any(ip.version == network.version and ip in network for network in _REFUSED_NETWORKS):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def _parsed(url: str, base: httpx2.URL | None = None) -> httpx2.URL:
    try:
        parsed = base.join(url) if base else httpx2.URL(url)
        valid = _HOST.fullmatch(parsed.raw_host.decode("ascii")) is not None
    except (httpx2.InvalidURL, ValueError, TypeError):
        valid = False
    if not valid:
        raise InvalidCall("media_url_refused", "The media address is not a valid URL.", field="media.url")
    return parsed


def _authority(url: httpx2.URL) -> str:
    """`host` or `host:port` as the Host header has it, without user and password."""
    return url.netloc.decode("ascii").rpartition("@")[2]


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


async def _checked_addresses(url: httpx2.URL, allowed: frozenset[str], resolve: Resolve, deadline: float) -> list[str]:
    """The addresses that may be connected to. Raises `InvalidCall` if a single one is not public."""
    host, port = url.raw_host.decode("ascii").lower(), _port(url)
    trusted = f"[{host}]:{port}" in allowed if ":" in host else f"{host}:{port}" in allowed
    if not host or not (url.scheme == "https" or (trusted and url.scheme == "http")):
        raise _refused(url, "Only https addresses are fetched.")
    if url.userinfo:
        raise _refused(url, "An address must not contain a user name or password.")
    try:
        async with asyncio.timeout_at(deadline):
            addresses = await resolve(host.rstrip("."), port)
    except UnicodeError:
        raise _refused(url, "Its host name is not valid.") from None
    except OSError as error:  # TimeoutError is one
        raise TransientFault(
            "media_host_unknown", f"{shown(url)} cannot be fetched: its host was not found.", detail=repr(error)
        ) from None
    if not addresses or not (trusted or all(map(is_public, addresses))):
        raise _refused(url, "Its host is not on the public internet.")
    return addresses[:MAX_ADDRESSES]


def _refused(url: httpx2.URL, why: str) -> InvalidCall:
    return InvalidCall("media_url_refused", f"{shown(url)} is not fetched. {why}", field="media.url")


@cache
def _default_tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


@asynccontextmanager
async def _get(
    url: httpx2.URL, addresses: list[str], deadline: float, tls: ssl.SSLContext, given: Mapping[str, str]
) -> AsyncIterator[httpx2.Response]:
    """The answer's head, from the first address that takes the connection.

    A transport of its own for each request: a kept connection may belong to another name at the same address.
    """
    async with httpx2.AsyncHTTPTransport(verify=tls, trust_env=False) as transport:
        response = await _first_answer(transport, url, addresses, deadline, given)
        try:
            yield response
        finally:
            with suppress(httpx2.HTTPError):
                await response.aclose()


async def _first_answer(
    transport: httpx2.AsyncHTTPTransport,
    url: httpx2.URL,
    addresses: list[str],
    deadline: float,
    given: Mapping[str, str],
) -> httpx2.Response:
    timeout = {"connect": CONNECT_SECONDS, "read": SILENCE_SECONDS, "write": SILENCE_SECONDS, "pool": CONNECT_SECONDS}
    ours = {"host": _authority(url), "accept": "*/*", "accept-encoding": "identity", "user-agent": "callstream"}
    headers = {**{name.lower(): value for name, value in given.items()}, **ours}
    extensions = {"timeout": timeout, "sni_hostname": url.raw_host.decode("ascii").rstrip(".")}
    for position, address in enumerate(addresses, 1):
        request = httpx2.Request("GET", url.copy_with(host=address), headers=headers, extensions=extensions)
        try:
            with _network_faults(url):
                async with asyncio.timeout_at(deadline):
                    return await transport.handle_async_request(request)
        except TransientFault as fault:
            if fault.reason != "media_unreachable" or position == len(addresses):
                raise
    raise AssertionError("a host without addresses was refused before")


@contextmanager
def _network_faults(url: httpx2.URL) -> Iterator[None]:
    """What the network does, as faults. The originals are left behind: some name the whole address."""
    fault: Fault
    try:
        yield
        return
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        sentence = f"{shown(url)} cannot be fetched: no safe connection to its host."
        fault = TransientFault("media_unreachable", sentence, detail=str(error))
    except (TimeoutError, httpx2.TimeoutException):
        fault = TransientFault("media_timeout", f"{shown(url)} cannot be fetched: its host is too slow.")
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol):
        fault = _refused(url, "It cannot be asked for over HTTP.")
    except (httpx2.HTTPError, anyio.EndOfStream, OSError) as error:
        sentence = f"{shown(url)} cannot be fetched: the connection broke off."
        fault = TransientFault("media_cut_off", sentence, detail=f"{type(error).__name__}: {error}")
    raise fault from None


def _check_answer(response: httpx2.Response, url: httpx2.URL, limit: int) -> None:
    """Raise for an answer that cannot be a recording of at most `limit` bytes."""
    status, headers = response.status_code, response.headers
    if status in (401, 403, 404, 410):
        raise InvalidCall(
            "media_url_gone",
            f"The recording is no longer at {shown(url)} ({status}): the link has expired or needs a sign-in. Import "
            "the call again to get a fresh link.",
            field="media.url",
        )
    if status in (408, 425, 429) or status >= 500:
        raise TransientFault(
            "media_host_failing",
            f"{shown(url)} cannot be fetched: its host answered {status}.",
            retry_after=retry_after(headers.get("retry-after"), clock.now()),
        )
    if status != 200:
        raise InvalidCall("media_url_failed", f"{shown(url)} answered {status}, not a recording.", field="media.url")
    if _media_type(response) in _PAGES:
        raise InvalidCall(
            "media_url_failed", f"{shown(url)} leads to a web page, not to a recording.", field="media.url"
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidCall("media_url_failed", f"{shown(url)} sends its content packed.", field="media.url")
    announced = _announced(response)
    if announced is not None and announced > limit:
        raise _too_large(url, limit)


async def _chunks(response: httpx2.Response, url: httpx2.URL, limit: int, deadline: float) -> AsyncGenerator[bytes]:
    """The content. The limit counts what comes, not what was announced."""
    received = 0
    async with aclosing(response.aiter_raw(CHUNK)) as stream:
        while True:
            with _network_faults(url):
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(stream, None)
            if chunk is None:
                break
            received += len(chunk)
            if received > limit:
                raise _too_large(url, limit)
            yield chunk
    if not received:
        raise InvalidCall("media_empty", f"There is an empty file at {shown(url)}.", field="media.url")


def _too_large(url: httpx2.URL, limit: int) -> InvalidCall:
    sentence = f"The recording at {shown(url)} is larger than {limit // 1_000_000} MB, the most that is taken."
    return InvalidCall("media_too_large", sentence, field="media.url")


def _announced(response: httpx2.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() and len(length) < 19 else None


def _media_type(response: httpx2.Response) -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() or None


def _filename(response: httpx2.Response, url: httpx2.URL) -> str:
    """What the server calls the file, else the end of the path, else `recording`; never a path, never empty."""
    message = Message()
    message["content-disposition"] = response.headers.get("content-disposition", "")
    name = message.get_filename() or unquote(url.path)
    name = re.sub(r"[\x00-\x1f\x7f]", "", re.split(r"[/\\]", name)[-1]).strip(". ")[-150:] or "recording"
    return name if Path(name).suffix else name + (mimetypes.guess_extension(_media_type(response) or "") or "")
