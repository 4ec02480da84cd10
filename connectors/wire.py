"""One request and its whole answer, and nothing about what either means.

Every address in the code is the source's real one. With `vendor_origin` set, the request for `https://HOST/path` goes
to `{vendor_origin}/HOST/path` instead.
"""

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from connectors.answers import endpoint_of, shown
from connectors.contract import Answer, Connector
from schemas.faults import InvalidCall, TransientFault
from schemas.metrics import API_LATENCY, API_REQUESTS

MAX_BODY = 64 * 1024 * 1024
"""A page of a hundred calls with their transcripts fits many times over."""
TOTAL_SECONDS = 120.0
"""One request from its beginning to the last byte of its answer."""
MAX_ENDPOINTS = 80
"""Of one source, in metrics; what comes after them counts as `/other`."""
_ENDPOINTS: dict[str, set[str]] = {}


def rewrite(url: str, vendor_origin: str | None) -> str:
    """Where a request for `url` really goes. An address that was rewritten before stays as it is."""
    origin = (vendor_origin or "").rstrip("/")
    if not origin or url.startswith(origin + "/"):
        return url
    return f"{origin}/{url.partition('://')[2]}"


def original(url: str, vendor_origin: str | None) -> str:
    """The real address of one that `rewrite` may have made."""
    origin = (vendor_origin or "").rstrip("/") + "/"
    return "https://" + url.removeprefix(origin) if len(origin) > 1 and url.startswith(origin) else url


async def exchange(
    http: httpx2.AsyncClient, connector: Connector, method: str, url: str, *, headers: Mapping[str, str],
    content: bytes | None = None, vendor_origin: str | None = None,
) -> Answer:  # fmt: skip
    """The answer, whatever its status. Raises `TransientFault` for what the network does, `InvalidCall` for an address
    that is none and for a body without end. No fault holds more of the address than `shown` gives."""
    vendor, started, status = connector.display_name, time.perf_counter(), "error"
    away = f"{vendor} cannot be reached at the moment. It is tried again by itself."
    endpoint, url_shown = _address(url, vendor)
    try:
        target = rewrite(url, vendor_origin)
        async with asyncio.timeout(TOTAL_SECONDS), http.stream(method, target, headers=headers, content=content) as got:
            body = await _body(got, vendor)
            status, found = str(got.status_code), {name.lower(): value for name, value in got.headers.items()}
            return Answer(got.status_code, found, body, url_shown)
    except (TimeoutError, httpx2.TimeoutException):
        status = "timeout"
        raise TransientFault("vendor_unreachable", away, detail=f"{url_shown}: no answer in time") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError):
        raise _no_address(vendor) from None
    except (httpx2.HTTPError, OSError) as error:
        # The error itself is left behind: some name the whole address.
        raise TransientFault("vendor_unreachable", away, detail=f"{url_shown}: {type(error).__name__}") from None
    finally:
        label = _label(connector.source_app, endpoint)
        API_REQUESTS.labels(connector.source_app, label, status).inc()
        API_LATENCY.labels(connector.source_app, label).observe(time.perf_counter() - started)


async def _body(response: httpx2.Response, vendor: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            sentence = f"{vendor} sent an answer of more than {MAX_BODY // 1_000_000} MB, the most that is read."
            raise InvalidCall("answer_too_large", sentence)
    return bytes(body)


def _address(url: str, vendor: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname and parts.username is None:
            return endpoint_of(parts.path), shown(url)
    except ValueError:
        pass
    raise _no_address(vendor)  # a credential never travels in the clear


def _no_address(vendor: str) -> InvalidCall:
    sentence = f"{vendor} gave an address that cannot be opened. Report it together with the time it happened."
    return InvalidCall("address_invalid", sentence)


def _label(platform: str, endpoint: str) -> str:
    known = _ENDPOINTS.setdefault(platform, set())
    if len(known) < MAX_ENDPOINTS:
        known.add(endpoint)
    return endpoint if endpoint in known else "/other"
