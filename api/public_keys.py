"""The public keys that sources sign webhooks with: fetched when needed, kept for an hour."""

import asyncio
from collections.abc import Mapping
from typing import Any

from connectors.answers import json_of
from connectors.contract import Connector
from connectors.http import exchange, open_http
from schemas.faults import TransientFault

KEEP_SECONDS = 3600.0
FRESH_SECONDS = 60.0
"""How often a signature by a key that is not known may have the keys fetched again."""


class PublicKeys:
    """JSON Web Keys by their id, for each address they are published at. One request at a time."""

    def __init__(self, vendor_origin: str | None) -> None:
        self._vendor_origin = vendor_origin
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._lock = asyncio.Lock()

    async def get(self, connector: Connector, url: str, *, fresh: bool = False) -> Mapping[str, Any] | None:
        """The keys. `fresh`: such as were fetched within the last minute, and None when the ones we have are already.

        Raises `TransientFault` when there are none and the source does not answer.
        """
        asked_at = asyncio.get_running_loop().time()
        async with self._lock:
            now = asyncio.get_running_loop().time()
            fetched_at, keys = self._kept.get(url, (now - 2 * KEEP_SECONDS, {}))
            if fresh and fetched_at <= asked_at and asked_at - fetched_at < FRESH_SECONDS:
                return None
            if fetched_at > asked_at or now - fetched_at < (FRESH_SECONDS if fresh else KEEP_SECONDS):
                return keys
            try:
                keys = await self._fetch(connector, url)
            except TransientFault:
                if not keys:
                    raise
            self._kept[url] = (now, keys)
            return keys

    async def _fetch(self, connector: Connector, url: str) -> Mapping[str, Any]:
        async with open_http() as http:
            answer = await exchange(http, connector, "GET", url, headers={}, vendor_origin=self._vendor_origin)
        vendor = connector.display_name
        away = TransientFault("vendor_unreachable", f"{vendor} does not give its public keys at the moment. Try again.")
        if not 200 <= answer.status < 300:
            raise away
        value = json_of(answer, vendor)
        found = value.get("keys") if isinstance(value, dict) else None
        if not isinstance(found, list):
            raise away
        return {str(key["kid"]): key for key in found if isinstance(key, dict) and "kid" in key}
