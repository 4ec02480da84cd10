"""Post to an address that a person of a workspace named, without being led into our own network.

The guard is that of `fetch`: the host is resolved once, every address is checked, and the connection goes to exactly a
checked address while TLS still verifies the host's name. Redirects are not followed: nobody checked where they lead.
`CALLSTREAM_WEBHOOK_ALLOW_HOSTS` names the `host:port` pairs that may be private; plain http is only for this machine.

What is said of a failure names the host alone, because the rest of an address may be a secret.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import anyio
import httpx2

from schemas.faults import InvalidCall
from schemas.settings import Settings
from streams.io import clock
from streams.io.fetch import MAX_ADDRESSES, Resolve, is_public, resolve
from streams.io.retry_after import retry_after

SECONDS = 10.0
"""A receiver that takes longer has not received it."""
MAX_URL = 2000
LONGEST_WAIT = 24 * 3600.0
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of it. `error` is a sentence, None where the receiver has taken it. `wait`: seconds it asked for."""

    status: int | None
    error: str | None = None
    wait: float | None = None


def checked_url(url: str, settings: Settings) -> httpx2.URL:
    """An address that may be posted to, as far as can be seen without asking for its host. Raises `InvalidCall`."""
    try:
        parsed = httpx2.URL(url)
        host, port = parsed.raw_host.decode("ascii").lower(), parsed.port
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise _refused("It is not a valid address.") from None
    if len(url) > MAX_URL or not _HOST.fullmatch(host):
        raise _refused("It is not a valid address.")
    if parsed.userinfo:
        raise _refused("It must not contain a user name or password.")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_allowed(host, port or 80, settings)):
        raise _refused("Only https addresses are taken.")
    with suppress(ValueError):
        _check([str(ipaddress.ip_address(host))], parsed, settings)
    return parsed


async def checked_addresses(url: httpx2.URL, settings: Settings, resolve: Resolve = resolve) -> list[str]:
    """Where to connect to. Raises `InvalidCall` if a single address is refused, `OSError` when there is none."""
    host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await resolve(host.rstrip("."), port)
    except UnicodeError:
        raise _refused("Its host name is not valid.") from None
    _check(found, url, settings)
    return found[:MAX_ADDRESSES]


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    settings: Settings,
    *,
    seconds: float = SECONDS,
    resolve: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
) -> Posted:
    """Post `body`, once. Whatever the other side does is an answer; nothing is raised for it."""
    try:
        target = checked_url(url, settings)
    except InvalidCall as fault:
        return Posted(None, fault.sentence)
    host = target.raw_host.decode("ascii")
    try:
        async with asyncio.timeout(seconds):
            return await _post(target, body, headers, await checked_addresses(target, settings, resolve), tls)
    except InvalidCall as fault:
        return Posted(None, fault.sentence)
    except (TimeoutError, httpx2.TimeoutException):
        return Posted(None, f"{host} did not answer within {seconds:.0f} seconds.")
    except httpx2.ConnectError:
        return Posted(None, f"No safe connection to {host} could be made.")
    except (httpx2.HTTPError, anyio.EndOfStream, OSError) as error:  # an error of the resolver is an OSError
        return Posted(None, f"{host} could not be reached ({type(error).__name__}).")


async def _post(
    url: httpx2.URL, body: bytes, headers: Mapping[str, str], addresses: list[str], tls: ssl.SSLContext | None
) -> Posted:
    host = url.raw_host.decode("ascii")
    ours = {"host": url.netloc.decode("ascii"), "content-type": "application/json", "user-agent": "callstream"}
    extensions = {
        "timeout": dict.fromkeys(("connect", "read", "write", "pool"), SECONDS), "sni_hostname": host.rstrip("."),
    }  # fmt: skip
    async with httpx2.AsyncHTTPTransport(verify=tls or _default_tls(), trust_env=False) as transport:
        for position, address in enumerate(addresses, 1):
            request = httpx2.Request(
                "POST", url.copy_with(host=address), content=body, headers={**headers, **ours}, extensions=extensions
            )
            try:
                response = await transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if position == len(addresses):
                    raise
                continue
            with suppress(httpx2.HTTPError):
                await response.aclose()
            return _read(response, host)
    raise AssertionError("a host without addresses was refused before")


def _read(response: httpx2.Response, host: str) -> Posted:
    status = response.status_code
    if 200 <= status < 300:
        return Posted(status)
    if 300 <= status < 400:
        return Posted(status, f"{host} answered {status}, a redirect. Enter the address it leads to instead.")
    wait = retry_after(response.headers.get("retry-after"), clock.now()) if status in (429, 503) else None
    return Posted(status, f"{host} answered {status}.", min(wait, LONGEST_WAIT) if wait else None)


def _check(addresses: list[str], url: httpx2.URL, settings: Settings) -> None:
    host, port = url.raw_host.decode("ascii").lower(), url.port or (443 if url.scheme == "https" else 80)
    allowed = _is_allowed(host, port, settings)
    if not addresses or not (allowed or all(map(is_public, addresses))):
        raise _refused("Its host is not on the public internet.")
    if url.scheme != "https" and not all(ipaddress.ip_address(each).is_loopback for each in addresses):
        raise _refused("Only https addresses are taken.")


def _is_allowed(host: str, port: int, settings: Settings) -> bool:
    named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return named in (entry.strip().lower() for entry in settings.webhook_allow_hosts.split(","))


@cache
def _default_tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _refused(why: str) -> InvalidCall:
    return InvalidCall("webhook_url_refused", f"Nothing can be sent to this address. {why}", field="url")
