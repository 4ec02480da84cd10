"""What a source's answer means: the one table from status to fault, JSON or not, what is left of its limits. Pure.

Nothing that is made here holds a token, a query, a body or a header's value: an address appears as its host and as its
path with the ids taken out (HubSpot, for one, has a path with a token in it).
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Answer, LimitHeaders
from connectors.payloads import parse_json
from schemas.faults import ConfigFault, Fault, InvalidCall, MissingFault, TransientFault

RATE_LIMITED = "rate_limited"
DAILY_LIMIT = "daily_limit_reached"
"""The reasons a connector's `complaint` gives for a limit that its source reports in words of its own. Without
`retry_after`, the second one means: when the day of the bucket's daily limit is over."""
LIMITED = (RATE_LIMITED, DAILY_LIMIT)
LONGEST_WAIT = timedelta(hours=25).total_seconds()
"""No limit lasts longer than a day; a source that names a later time is not believed."""

_Make = Callable[[str, str], Fault]
_WORD = re.compile(r"v\d{1,2}|v\d\.\d|[a-z]{1,24}(?:[-_.]?[a-z]{1,24}){0,3}|[a-z]{2,14}(?:[A-Z][a-z]{2,14}){1,3}")


def _config(reason: str, sentence: str) -> _Make:
    return lambda vendor, detail: ConfigFault(reason, sentence.format(vendor), detail=detail)


def _transient(reason: str, sentence: str) -> _Make:
    return lambda vendor, detail: TransientFault(reason, sentence.format(vendor), detail=detail)


def _missing(vendor: str, detail: str) -> Fault:
    return MissingFault("not_at_source", f"{vendor} does not have it, or not any more.", detail=detail)


_REFUSED = "{0} refused the request, so it was not understood there. Report it together with the time it happened."
_BUSY = _transient("vendor_failing", "{0} cannot answer at the moment. It is tried again by itself.")
FAULTS: dict[int, _Make] = {
    401: _config("credential_refused", "{0} no longer accepts this account's credential. Connect it again."),
    402: _config("plan_insufficient", "{0} gives this only on a higher plan. Change the plan there, then try again."),
    403: _config(
        "permission_missing",
        "{0} does not let this account read what was asked for. Give it the missing right there, or connect an account "
        "that has it.",
    ),
    404: _missing,
    410: _missing,
    408: _BUSY,
    425: _BUSY,
    429: _transient(RATE_LIMITED, "{0} allows no more requests at the moment. It goes on by itself."),
}
"""By status. What is not in it: every other 4xx is a mistake in the request, a 5xx is the source's own trouble."""


def fault_of(status: int, vendor: str, detail: str) -> Fault:
    """The fault of an answer that is no success."""
    make = FAULTS.get(status)
    if make is not None:
        return make(vendor, detail)
    if status >= 500:
        return _BUSY(vendor, detail)
    return InvalidCall("request_refused", _REFUSED.format(vendor), detail=detail)


def broken(vendor: str, detail: str) -> TransientFault:
    """The fault of an answer that is cut off, or a page for people where data was expected."""
    sentence = f"{vendor} sent an answer that cannot be read. It is tried again by itself."
    return TransientFault("vendor_answer_broken", sentence, detail=detail)


def limited(vendor: str, reason: str, wait: float, now: datetime) -> TransientFault:
    """The fault of a limit that lasts for some seconds more, with the time for a person in whole minutes."""
    until = now + timedelta(seconds=wait + 59)
    when = f"{until:%H:%M}" if until.date() == now.date() else f"{until:%Y-%m-%d %H:%M}"
    sentence = f"{vendor} allows no more requests until {when} UTC. It goes on by itself then."
    return TransientFault(reason, sentence, retry_after=wait)


def json_of(answer: Answer, vendor: str) -> Any:
    """The JSON of an answer, None for an empty one. Raises `TransientFault` for what is none."""
    if not answer.body.strip():
        return None
    try:
        return parse_json(answer.body.decode("utf-8", "replace").removeprefix("\ufeff"))
    except InvalidCall as error:
        raise broken(vendor, f"{answer.url}: {error.reason}") from None


def endpoint_of(path: str) -> str:
    """A path with everything that may be an id taken out, short enough for a metric label."""
    parts = [part if _WORD.fullmatch(part) or part == "~" else "_" for part in path.split("/")[:14] if part]
    return "/" + "/".join(parts)


def shown(url: str) -> str:
    """An address as it may appear in a message: host and endpoint."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{endpoint_of(parts.path)}"


def asked_at(answer: Answer, now: datetime) -> datetime:
    """The time by the source's own clock, which its other times are to be compared with."""
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return now
    return date if date.tzinfo else now


def left_of(answer: Answer, limits: Sequence[LimitHeaders], bucket: str, now: datetime) -> tuple[float, float] | None:
    """What is left of a bucket and the seconds until it is full again, by the answer's headers."""
    for limit in limits:
        if limit.bucket != bucket:
            continue
        remaining, reset = _number(answer, limit.remaining), _number(answer, limit.reset)
        if remaining is None or reset is None:
            continue
        if limit.reset_in == "epoch":
            reset -= asked_at(answer, now).timestamp()
        elif limit.reset_in == "milliseconds":
            reset /= 1000
        return remaining, min(max(reset, 0.0), LONGEST_WAIT)
    return None


def _number(answer: Answer, name: str) -> float | None:
    text = answer.headers.get(name.lower(), "")
    return float(text) if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text) else None
