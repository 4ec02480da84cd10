"""The small file beside a recording, and a row of a report, as plain facts: names and texts. Pure.

There is no fixed form: JSON, CSV and XML are read, and what is inside something else gets its name before its own
(`agent.email` → `agent_email`). What cannot be read gives nothing: a recording is not lost because of its sidecar.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from zoneinfo import ZoneInfo

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.filenames import parsed
from connectors.payloads import parse_json
from connectors.timeparse import MAX_MS, clock_ms, rfc3339
from schemas.faults import InvalidCall

KINDS = (".json", ".xml", ".csv")
MAX_CHARACTERS = 256 * 1024
MAX_FACTS = 500
MAX_DEPTH = 6
LOCAL_TIMES = (
    "%a, %d %b %Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
)  # fmt: skip
"""Times without a zone, in reports and sidecars. The first is a report's (memory)."""
_EPOCH = re.compile(r"[0-9]{10}|[0-9]{13}")


def facts(name: str, text: str, audio: str) -> dict[str, str]:
    """What the sidecar `name` of the recording `audio` says. Empty where it cannot be read."""
    if len(text) > MAX_CHARACTERS:
        return {}
    text = text.removeprefix("\ufeff").strip()
    try:
        match name.rpartition(".")[2].lower():
            case "json":
                return _limited(_of_json(parse_json(text), audio))
            case "xml":
                return _limited(_of_xml(fromstring(text)))
            case "csv":
                return flat(_row(text, audio))
    except (InvalidCall, ParseError, DefusedXmlException, ValueError, csv.Error, RecursionError):
        pass
    return {}


def flat(value: Mapping[Any, Any]) -> dict[str, str]:
    """An object, or a row, as facts."""
    return _limited(_leaves(value, "", 0))


def _limited(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in pairs:
        if len(found) >= MAX_FACTS:
            break
        if name and text.strip():
            found.setdefault(name, text.strip())
    return found


def _of_json(value: Any, audio: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict)]
        value = next((row for row in rows if _names(row, audio)), rows[0] if len(rows) == 1 else {})
    return _leaves(value, "", 0)


def _leaves(value: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if depth < MAX_DEPTH:
            for key, inner in value.items():
                yield from _leaves(inner, _word(f"{name}_{key}" if name else f"{key}"), depth + 1)
    elif isinstance(value, str):
        yield name, value
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        yield name, str(value)


def _of_xml(root: Element) -> Iterator[tuple[str, str]]:
    """Elements that hold a text, and attributes; `<field name="ani">…</field>` goes by its name."""
    waiting = [(root, "", 0)]
    while waiting:
        element, above, depth = waiting.pop()
        own = element.get("name") or (str(element.tag).rpartition("}")[2] if depth else "")
        name = _word(f"{above}_{own}" if above else own)
        yield from ((_word(f"{name}_{key}" if name else key), text) for key, text in element.attrib.items())
        if depth < MAX_DEPTH and len(element):
            waiting += [(inner, name, depth + 1) for inner in reversed(element)]
        elif element.text:
            yield name, element.text


def _row(text: str, audio: str) -> dict[str, str]:
    """The row about the recording, or the only one."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = list(csv.DictReader(StringIO(text, newline=""), delimiter=delimiter, restkey=""))
    return next((row for row in rows if _names(row, audio)), rows[0] if len(rows) == 1 else {})


def _names(row: Mapping[Any, Any], audio: str) -> bool:
    stem = audio.rpartition(".")[0]
    return any(isinstance(value, str) and value.strip() in (audio, stem) for value in row.values())


def _word(name: str) -> str:
    """`CALL ID`, `callId` and `call-id` are one name: `call_id`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return re.sub(r"[^a-z0-9]+", "_", parted.casefold()).strip("_")


def moment(text: str, zone: ZoneInfo, written: datetime | None = None) -> datetime | None:
    """A time as a sidecar or report writes it, with its own zone or in `zone`; None for what is no time."""
    text = text.strip()
    if _EPOCH.fullmatch(text):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(text[:10]))
    try:
        return rfc3339(text)
    except ValueError:
        found = (parsed(text.partition(".")[0], form, zone, written) for form in LOCAL_TIMES)
        return next((time for time in found if time is not None), None)


def length_ms(text: str) -> int | None:
    """A length in seconds or as `00:04:01`, in milliseconds; None for what is none."""
    try:
        milliseconds = clock_ms(text) if ":" in text else round(float(text) * 1000)
    except (ValueError, OverflowError):
        return None
    return milliseconds if 0 <= milliseconds <= MAX_MS else None
