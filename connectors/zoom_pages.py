"""Zoom's listings, a month at a time. Vendor pages: https://developers.zoom.us/docs/api, checked November 2025."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from connectors.contract import Item, Page, Window
from connectors.listing import is_in, objects, place_in_list
from connectors.paging import next_page, parts, window_at, windows
from connectors.payloads import Payload

DAYS = 27
"""Zoom lists at most a month at a time, and the shortest has 28 days."""
MOST_COUNTED = 24
"""Counting takes a request a month: of what is longer than two years nobody knows beforehand."""
Ask = Callable[[Window, str | None, int | None], Awaitable[Payload]]
"""The answer for a time, a token of Zoom's, and a size other than the greatest."""


async def list_page(window: Window, cursor: str | None, ask: Ask, name: str, listed: Callable[[Payload], Item]) -> Page:
    """A page of one month. Zoom knows a place in its list for 15 minutes."""
    place = parts(cursor, window=0, token=None)
    span = window_at(window, place["window"], DAYS)
    if span is None:
        return Page([], None)
    asked = Window(*span, window.filters)
    with place_in_list("Zoom", place["token"]):
        answer = await ask(asked, place["token"], None)
    items = [listed(entry) for entry in objects(answer.get(name), "Zoom")]
    more = window_at(window, place["window"] + 1, DAYS) is not None
    following = next_page(place["window"], answer.get("next_page_token") or None, more)
    return Page([item for item in items if is_in(asked, item.started_at)], following)


async def count(window: Window, ask: Ask, gap: timedelta = timedelta(0)) -> int | None:
    """How many there are, month by month. `gap` is a day where Zoom counts whole days, the last one too: then all of
    the first and of the last day are counted."""
    spans, total = windows(window.since, window.until, DAYS), 0
    if len(spans) > MOST_COUNTED:
        return None
    for number, (since, until) in enumerate(spans):
        end = until - gap if number + 1 < len(spans) else until
        told = (await ask(Window(since, end, window.filters), None, 1)).get("total_records")
        if type(told) is not int:
            return None
        total += told
    return total
