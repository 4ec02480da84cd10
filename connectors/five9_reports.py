"""Five9's report API: what a report says about one call. Vendor pages: https://documentation.five9.com, November 2025.

A report has to exist at Five9 and must have the column CALL ID or SESSION ID; every other column is kept beside the
call. It is run for the day of a call, read once, and kept for as long as this turn of work lasts. Five9 lets a user ask
one thing at a time.
"""

import asyncio
import base64
import csv
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from connectors import soap
from connectors.answers import RATE_LIMITED, broken
from connectors.contract import DAY, Answer, Api, Credential, Field, Limit
from connectors.sidecars import flat, moment
from schemas.faults import ConfigFault, Fault, InvalidCall, TransientFault

REGIONS = ("api.five9.com", "api.five9.eu", "api.five9.ca", "api.eu.five9.com")
VERSION = "v13"
NAMESPACE = "http://service.admin.ws.five9.com/"
POLL_SECONDS = 5
"""How long Five9 holds back its answer to "is it running"; less is not allowed."""
POLLS = 12
LAG = timedelta(minutes=30)
"""How long after a call its row may be missing (memory)."""
NEAR = timedelta(seconds=90)
"""A row without a common id is of the call whose number it has, and which began as near to it as this."""
MAX_ROWS = 50_000
"""The most that Five9 gives at once. With more than that in hand, nothing is kept for later calls."""
COMPLAINTS: tuple[tuple[str, type[Fault], str, str], ...] = (
    (r"not ?found|not exist|no such", ConfigFault, "report_missing",
     "Five9 has no such report. Give its folder and name as they stand under Reports there, like Shared/Recordings."),
    (r"limit|exceed|too many", TransientFault, RATE_LIMITED, "Five9 allows no more requests at the moment."),
    (r"concurren|not ?ready|in ?progress|timeout", TransientFault, "vendor_failing", "Five9 is busy with this user."),
    (r"permission|privilege|denied|not ?authori|role", ConfigFault, "permission_missing",
     "Five9 does not let this user run reports. Give the user the administrator role and the right to run the report."),
)  # fmt: skip
"""By the fault's sentence and the name of its detail (memory: what Five9 writes there)."""
LIMITS = tuple(
    Limit(count, seconds, bucket)
    for bucket, counts in {"query": (450, 15_000, 172_800), "report": (16, 120, 800), "result": (20, 200, 1000)}.items()
    for count, seconds in zip(counts, (60.0, 3600.0, DAY), strict=True)
)
"""Per minute, hour and day. Five9 counts by the clock; a window that slides is never above that."""
SPENDS = {"report": 0.02, "query": 0.3, "result": 0.02}
"""A call's share in the report of its day, which is asked for several times until it is there."""
FIELDS = (
    Field("report_user", "Five9 user for reports", secret=False, required=False,
          help="Leave it empty if names and files beside the recordings say enough."),
    Field("report_password", "Five9 password for reports", required=False,
          help="Of that user, who needs the administrator role and the right to run the report."),
    Field("report", "Report", secret=False, required=False, placeholder="Shared/Recordings",
          help="Folder and name of a report with the column CALL ID."),
    Field("region", "Five9 data centre", secret=False, required=False, default=REGIONS[0],
          help=f"One of {', '.join(REGIONS)}."),
)  # fmt: skip


@dataclass(slots=True)
class Rows:
    """The rows of one day, found by id at once; `near` is made when somebody asks without an id."""

    by_id: dict[str, dict[str, str]]
    rows: list[dict[str, str]]
    near: list[tuple[datetime, set[str], dict[str, str]]] | None = None


@dataclass(slots=True)
class _Days:
    """What was read of each day."""

    days: dict[datetime, Rows] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def headers(credential: Credential) -> dict[str, str]:
    """Basic authentication as the user for reports; nothing where there is none."""
    user = credential.get("report_user", "").strip()
    both = f"{user}:{credential.get('report_password', '')}"
    return {"Authorization": "Basic " + base64.b64encode(both.encode()).decode()} if user else {}


async def check(api: Api) -> None:
    """Prove that the report can be run, by running it for the last minute. Nothing where none is wanted."""
    if wanted(api.credential):
        await _run(api, api.now - timedelta(minutes=1), api.now)


def wanted(credential: Credential) -> bool:
    """Whether calls are looked up in a report. Raises `ConfigFault` for half a set of fields."""
    names = ("report_user", "report_password", "report")
    given = [bool(credential.get(name, "").strip()) for name in names]
    if any(given) and not all(given):
        sentence = "Looking up calls in a report needs the Five9 user, the password and the report."
        raise ConfigFault("report_incomplete", f"{sentence} Fill in all three, or none of them.")
    _address(credential)
    return all(given)


async def row_of(api: Api, ids: set[str], numbers: set[str], start: datetime, zone: ZoneInfo) -> dict[str, str] | None:
    """The row of the call with one of these ids; else of the only one near that start with one of these numbers."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[_Days]:
        yield _Days()

    kept = await api.keep("five9 reports", opened)
    midnight = datetime.combine(start.astimezone(zone).date(), time(), zone)
    async with kept.lock:
        if (day := kept.days.get(midnight)) is None:
            if sum(len(other.rows) for other in kept.days.values()) > MAX_ROWS:
                kept.days.clear()
            day = kept.days[midnight] = rows_of(await _csv(api, midnight, midnight + timedelta(days=1)))
    return row_in(day, ids, numbers, start, zone)


def row_in(day: Rows, ids: set[str], numbers: set[str], start: datetime, zone: ZoneInfo) -> dict[str, str] | None:
    """The row in a day."""
    if ids:
        return next((day.by_id[one] for one in sorted(ids) if one in day.by_id), None)
    if day.near is None:
        known = [(row, flat(row)) for row in day.rows]
        day.near = [
            (began, {_digits(facts.get(name, "")) for name in ("ani", "dnis")}, row)
            for row, facts in known
            if (began := moment(facts.get("timestamp", ""), zone)) is not None
        ]
    wanted = {_digits(number) for number in numbers} - {""}
    found = [row for began, same, row in day.near if abs(began - start) <= NEAR and same & wanted]
    return found[0] if len(found) == 1 else None


def rows_of(text: str) -> Rows:
    """The rows of a report in CSV, with the names of its columns as they stand there. Raises `TransientFault`."""
    table = csv.reader(StringIO(text.lstrip("\ufeff\r\n "), newline=""))
    try:
        columns = next(table, [])
        rows = [dict(zip(columns, row, strict=False)) for row in table if row]
    except csv.Error as error:
        raise broken("Five9", str(error)[:200]) from None
    words = flat({name: name for name in columns})
    keys = [words[word] for word in ("session_id", "call_id") if word in words]
    return Rows({row[key].strip(): row for key in keys for row in rows if row.get(key, "").strip()}, rows)


async def _csv(api: Api, since: datetime, until: datetime) -> str:
    identifier = await _run(api, since, until)
    for _ in range(POLLS):
        running = await _ask(api, "isReportRunning", {"identifier": identifier, "timeout": POLL_SECONDS}, "query")
        if running.strip().casefold() != "true":
            return await _ask(api, "getReportResultCsv", {"identifier": identifier}, "result")
    raise TransientFault("report_running", "Five9 is still at work on the report. It is tried again by itself.")


async def _run(api: Api, since: datetime, until: datetime) -> str:
    folder, _, name = api.credential.get("report", "").strip().rpartition("/")
    criteria = {"time": {"end": until.isoformat(timespec="seconds"), "start": since.isoformat(timespec="seconds")}}
    asked = {"folderName": folder, "reportName": name, "criteria": criteria}
    return await _ask(api, "runReport", asked, "report")


async def _ask(api: Api, operation: str, parameters: Mapping[str, Any], bucket: str) -> str:
    content = soap.request(NAMESPACE, operation, parameters)
    answer = await api.send("POST", _address(api.credential), content=content, headers=soap.HEADERS, bucket=bucket)
    text = soap.result(answer)
    if text is None:
        raise broken("Five9", f"{answer.url}: no SOAP")
    return text


def _address(credential: Credential) -> str:
    region = credential.get("region", "").strip() or REGIONS[0]
    if region not in REGIONS:
        raise ConfigFault("region_unknown", f"The Five9 data centre must be one of {', '.join(REGIONS)}. Correct it.")
    return f"https://{region}/wsadmin/{VERSION}/AdminWebService"


def complaint(answer: Answer) -> Fault | None:
    """A SOAP fault as one of ours; None where the answer is none."""
    told = soap.fault(answer) if answer.status >= 400 or b"Fault" in answer.body[:2000] else None
    if told is None:
        return None
    detail = ": ".join(part for part in reversed(told) if part)[:300]
    for words, make, reason, sentence in COMPLAINTS:
        if re.search(words, detail, re.IGNORECASE):
            return make(reason, sentence, detail=detail)
    sentence = "Five9 refused the request for a report. Look at the report there, then try again."
    return InvalidCall("request_refused", sentence, detail=detail)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)[-10:]
