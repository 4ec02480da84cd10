"""File names that say what a call is: a pattern of named fields, set by each customer. Pure.

    {agent}__{dnis}__{date:%m_%d_%Y}__{time:%H_%M_%S}__{campaign}

A pattern fits a whole name without the ending of its sound format. With `/` in it, as many folders above the file take
part. Reading is without guessing back and forth: a field ends at the first place where what follows it in the pattern
fits. So a long hostile name costs no more than its length.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from string import Formatter
from zoneinfo import ZoneInfo

TEXTS = (
    "agent", "agent_name", "ani", "dnis", "number", "guid", "recording_id", "session_id", "call_id", "campaign",
    "disposition", "skill", "direction", "customer", "any",
)  # fmt: skip
"""Fields that are texts. `any` is for what nobody needs, and may stand there more than once."""
TIMES = {"date": "%m_%d_%Y", "time": "%H_%M_%S", "start": "%Y-%m-%dT%H%M%S%z"}
"""Fields that are times, with their format where the pattern names none. `start` is both in one."""
SOUND = (".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".aac", ".mp4", ".webm")
MAX_PATTERN = 300
_ONE, _TWO = r"\d{1,2}", r"\d{2}"
_PARTS = {
    "Y": r"\d{4}", "y": _TWO, "m": _ONE, "d": _ONE, "H": _ONE, "I": _ONE, "M": _ONE, "S": _ONE, "p": "[AaPp][Mm]",
    "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
_DAY, _CLOCK = ("Yy", "mbB", "d"), ("HI", "M")
_YEARS = range(1970, 2200)
_SOON = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was understood. `folders` counts the folders above the file that take part."""

    fits: re.Pattern[str]
    formats: dict[str, str]
    folders: int
    above: re.Pattern[str] | None
    """What of it is about folders, if a date is in that."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a name says. `start` is in UTC; None: the name does not say, or says it in a way that is no time."""

    fields: dict[str, str]
    start: datetime | None


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """The pattern in a text. Raises `ValueError` with the end of a sentence that begins with "The pattern"."""
    if not text.strip() or len(text) > MAX_PATTERN:
        raise ValueError(f"must have between 1 and {MAX_PATTERN} characters")
    stem = text[: -len(ending)] if (ending := sound_of(text)) else text
    formats: dict[str, str] = {}
    whole = _expression(stem, formats)
    if "?P<" not in whole:
        raise ValueError("names no field at all, such as {session_id}")
    _check_times(formats)
    folders, above = stem.count("/"), None
    if folders and "{date" in (head := stem.rpartition("/")[0]):
        above = re.compile(_expression(head, {}), re.ASCII)
    return Pattern(re.compile(whole, re.ASCII), formats, folders, above)


def _expression(stem: str, formats: dict[str, str]) -> str:
    """The pattern as an expression. A text and all that follows it up to the next text is one group that, once it has
    fitted, is not tried in another way."""
    try:
        pieces = list(Formatter().parse(stem))
    except ValueError:
        raise ValueError("has a brace { or } that is not closed, or not opened") from None
    done, group, seen = "", "", set[str]()
    for literal, name, form, conversion in pieces:
        group += re.escape(literal)
        if name is None:
            continue
        if conversion or (name not in TEXTS and name not in TIMES):
            known = ", ".join((*TEXTS, *TIMES))
            raise ValueError(f"names {{{name[:40]}}}, which is no field; there are {known}")
        if name in seen and name != "any":
            raise ValueError(f"names {{{name}}} twice")
        seen.add(name)
        if name in TIMES:
            formats[name] = form or TIMES[name]
            group += f"(?P<{name}>{_timed(formats[name])})"
        elif form:
            raise ValueError(f"gives {{{name}}} a format, which only {', '.join(TIMES)} can have")
        elif group.endswith(("*?", "*?)")) and not literal:
            raise ValueError(f"has nothing between {{{name}}} and the field before it")
        else:
            done += f"(?>{group})" if group else ""
            group = "[^/]*?" if name == "any" else f"(?P<{name}>[^/]*?)"
    return rf"{done}(?>{group}\Z)"


def _check_times(formats: dict[str, str]) -> None:
    if "start" in formats and len(formats) > 1:
        raise ValueError("names {start} beside {date} or {time}; one of them is enough")
    for name, form in formats.items():
        needed = (*(_DAY if name != "time" else ()), *(_CLOCK if name != "date" else ()))
        if not all(re.search(f"%[{letters}]", form) for letters in needed):
            raise ValueError(f'has the format "{form[:40]}" for {{{name}}}, and something is missing in that')
    letters = re.findall("%([^%])", "".join(formats.values()))
    if len(letters) > len(set(letters)):
        raise ValueError("names a part of the date or of the time twice")


def _timed(form: str) -> str:
    found = re.sub(r"%(.)|([^%]+)", lambda match: _part(match[1]) if match[1] else re.escape(match[2]), form)
    if "%" in form.replace("%%", "")[-1:] or not re.search(r"%[^%]", form):
        raise ValueError(f'has the time format "{form[:40]}", which cannot be read; write it like %m_%d_%Y')
    return found


def _part(letter: str) -> str:
    if letter not in _PARTS:
        known = ", ".join("%" + part for part in _PARTS)
        raise ValueError(f"has %{letter[:1]} in a time format, which is not known; there are {known}")
    return _PARTS[letter]


def read(pattern: Pattern, path: str, zone: ZoneInfo, written: datetime | None = None) -> Named | None:
    """What the name of a file (with its folders, `/` between) says; None where it does not fit."""
    parts = path.split("/")[-(pattern.folders + 1) :]
    name = "/".join(parts)
    found = pattern.fits.match(name[: -len(ending)] if (ending := sound_of(name)) else name)
    if found is None or len(parts) != pattern.folders + 1:
        return None
    fields = {name: value.strip() for name, value in found.groupdict().items() if value and value.strip()}
    return Named(fields, _start(fields, pattern.formats, zone, written))


def _start(
    fields: dict[str, str], formats: dict[str, str], zone: ZoneInfo, written: datetime | None
) -> datetime | None:
    names = ("start",) if "start" in formats else ("date", "time")
    if not all(name in fields and name in formats for name in names):
        return None
    return parsed("\n".join(fields[n] for n in names), "\n".join(formats[n] for n in names), zone, written)


def parsed(text: str, form: str, zone: ZoneInfo, written: datetime | None = None) -> datetime | None:
    """The instant that a text in some format means, in UTC; None where it means none."""
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is put to it below
        if found.year not in _YEARS:
            return None
        return found.astimezone(UTC) if found.tzinfo else instant_of(found, zone, written)
    except (ValueError, OverflowError):
        return None


def instant_of(local: datetime, zone: ZoneInfo, written: datetime | None = None) -> datetime:
    """The instant at which the clocks of a zone show this.

    In autumn they show an hour twice. It is the second time if the file was `written` within an hour after that, else
    the first. In spring they leave an hour out; a clock that shows it was not put forward yet.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if second > first and written is not None and second <= written < second + _SOON:
        return second
    return first


def day_of_folder(pattern: Pattern, folder: str) -> datetime | None:
    """The day that a folder holds, without a zone, where the pattern says so; None where it cannot be told."""
    if pattern.above is None or folder.count("/") + 1 < pattern.folders:
        return None
    found = pattern.above.match("/".join(folder.split("/")[-pattern.folders :]))
    try:
        return datetime.strptime(found["date"], pattern.formats["date"]) if found else None  # noqa: DTZ007
    except ValueError:
        return None


def sound_of(name: str) -> str:
    """The ending of a name if it is one of a sound format, as it is written there; else nothing."""
    ending = "." + name.rpartition(".")[2]
    return ending if ending.lower() in SOUND and len(ending) < len(name) else ""
