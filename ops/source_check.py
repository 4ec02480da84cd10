"""The read-only live check of a platform: `callstream doctor --platform X`. Nothing is stored or changed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from api import connecting
from api.auth import Caller
from api.ports import Ports
from connectors.contract import Api, Connector, Found, Item, Pull, Window
from connectors.registry import to_call
from schemas.calls import Media
from schemas.faults import Fault, InvalidCall
from streams import vendor
from streams.io import clock
from streams.io.sources import Source

LOOKS_BACK = (30, 365)
"""Days in which a call is looked for, one after the other."""
PAGES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. Not ok: what a person should do."""

    check: str
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A credential that somebody typed in for the check alone."""

    kind: str | None
    fields: dict[str, str]


async def examine(ports: Ports, caller: Caller, connector: Connector, given: Source | Filled) -> list[Finding]:
    """Ask who the account is, list one page, read one call and map it. Ends at the first thing that does not work."""
    found: list[Finding] = []
    try:
        async with _opened(ports, connector, given) as api:
            await _steps(api, connector, found)
    except Fault as fault:
        found.append(Finding(_next(found), False, fault.sentence + (f" ({fault.detail})" if fault.detail else "")))
    return found


STEPS = ("credential", "rights", "list", "read", "map")


def _next(found: list[Finding]) -> str:
    return STEPS[min(len(found), len(STEPS) - 1)]


@asynccontextmanager
async def _opened(ports: Ports, connector: Connector, given: Source | Filled) -> AsyncIterator[Api]:
    if isinstance(given, Source):
        async with vendor.open_api(ports.settings, ports.pool, ports.secrets, given) as api:
            yield api
        return
    way = connecting.way_in(connector, given.kind)
    credential = connecting.credential_of(way, given.fields)
    async with vendor.open_api_for(ports.settings, connector, way.kind, credential) as api:
        yield api


async def _steps(api: Api, connector: Connector, found: list[Finding]) -> None:
    name = connector.display_name
    assert connector.validate is not None  # noqa: S101 - the contract tests look at every connector with auths
    assert connector.pull is not None  # noqa: S101 - as above
    account = await connector.validate(api)
    found.append(Finding("credential", True, f"{name} accepts it; the account is {account.label}."))
    if account.missing:
        found.append(Finding("rights", False, f"It lacks: {', '.join(account.missing)}. Grant that at {name}."))
        return
    found.append(Finding("rights", True, "Nothing that callstream needs is missing."))
    item, sentence = await _first(api, connector.pull)
    found.append(Finding("list", True, sentence))
    if item is None:
        return
    call = await connector.pull.fetch(api, item)
    found.append(Finding("read", True, _read(call)))
    found.append(_mapped(connector, call))


async def _first(api: Api, pull: Pull) -> tuple[Item | None, str]:
    now = clock.now()
    for days in LOOKS_BACK:
        if pull.reaches_back is not None:
            days = min(days, pull.reaches_back.days)
        window, cursor = Window(now - timedelta(days=days), now), None
        for number in range(1, PAGES + 1):
            page = await pull.list_page(api, window, cursor)
            if page.items:
                return page.items[0], f"Page {number} of the last {days} days was listed: {len(page.items)} calls."
            cursor = page.cursor
            if cursor is None:
                break
    return None, f"It lists no call of the last {LOOKS_BACK[-1]} days, so none could be read."


def _read(call: Found) -> str:
    words = "with its transcript" if call.has_transcript else "without a transcript"
    sound = ", with a recording" if call.recording else ", without a recording"
    waits = f"; {call.waits_for}" if call.waits_for else ""
    return f"One call was read {words}{sound}{waits}."


def _mapped(connector: Connector, call: Found) -> Finding:
    """What callstream makes of the call. Its words are not shown."""
    media = Media(ref="check") if call.recording and not call.has_transcript else None
    try:
        made, _ = to_call(connector.source_app, json.dumps(dict(call.payload)), media)
    except InvalidCall as fault:
        if fault.reason == "nothing_to_read" and call.waits_for:
            return Finding("map", True, "The call is not ready there yet; callstream would wait for it.")
        return Finding("map", False, f"{fault.sentence} Report it: the platform sends what callstream does not know.")
    start = f"{made.recording_start_time:%Y-%m-%d}" if made.recording_start_time else "without a date"
    counts = f"{len(made.segments)} lines, {len(made.participants)} people, quality {made.metadata_quality}"
    return Finding("map", True, f"It is a call of {start}: {counts}. Nothing was stored.")
