"""The two requests by which a page of Gong's calls is read. A range without calls is answered with 404.

Vendor page: https://gong.app.gong.io/settings/api/documentation, checked November 2025.
"""

from collections.abc import Sequence

from connectors.contract import Api
from connectors.listing import object_in, objects, place_in_list
from connectors.payloads import Payload
from schemas.faults import InvalidCall, MissingFault

BATCH = 50
"""Transcripts in one request. What is too much at once is asked for by halves."""
TOO_LARGE = "answer_too_large"


async def read_calls(api: Api, filters: Payload, cursor: str | None) -> tuple[list[Payload], str | None]:
    """The calls with their parties and the addresses of their recordings, and the cursor of the next page."""
    wanted = {"filter": filters, "contentSelector": {"exposedFields": {"parties": True, "media": True}}}
    return await _asked(api, "/v2/calls/extensive", "calls", wanted, cursor)


async def transcripts(api: Api, call_ids: Sequence[str]) -> dict[str, list[Payload]]:
    """The turns of these calls, by call. Those whose transcript is not written yet are not in it."""
    spoken: dict[str, list[Payload]] = {}
    waiting = [call_ids[first : first + BATCH] for first in range(0, len(call_ids), BATCH)]
    while waiting:
        some = waiting.pop(0)
        try:
            spoken |= await _transcripts(api, some)
        except InvalidCall as fault:
            if fault.reason != TOO_LARGE or len(some) == 1:
                raise
            half = len(some) // 2
            waiting[:0] = [some[:half], some[half:]]
    return spoken


async def _transcripts(api: Api, call_ids: Sequence[str]) -> dict[str, list[Payload]]:
    spoken: dict[str, list[Payload]] = {}
    cursor: str | None = None
    while True:
        wanted = {"filter": {"callIds": list(call_ids)}}
        found, cursor = await _asked(api, "/v2/calls/transcript", "callTranscripts", wanted, cursor)
        spoken |= {str(entry.get("callId")): objects(entry.get("transcript") or [], "Gong") for entry in found}
        if cursor is None:
            return spoken


async def _asked(
    api: Api, url: str, name: str, wanted: Payload, cursor: str | None
) -> tuple[list[Payload], str | None]:
    """A page under `name` and the cursor of the next one. On the first page 404 means that there is nothing, on a later
    one that its cursor is forgotten."""
    try:
        with place_in_list("Gong", cursor):
            value = object_in(await api.post(url, json=wanted | ({"cursor": cursor} if cursor else {})), "Gong")
    except MissingFault:
        return [], None
    records = object_in(value.get("records") or {}, "Gong")
    return objects(value.get(name), "Gong"), records.get("cursor") or None
