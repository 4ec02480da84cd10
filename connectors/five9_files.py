"""Five9's recordings as files: where they lie, what their names say, whether they are whole."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.contract import Api, Item, Window
from connectors.filenames import Pattern, compiled, day_of_folder, read, sound_of
from connectors.five9_calls import id_of, zone_of
from connectors.listing import stamp
from connectors.sftp import Entry, Sftp, below, chunks
from connectors.sidecars import KINDS, MAX_CHARACTERS
from connectors.ssh import server_of
from schemas.faults import ConfigFault, MissingFault

ROOT = "/recordings"
PATTERN = "{agent}__{dnis}__{date:%m_%d_%Y}__{time:%H_%M_%S}__{guid}__{campaign}__{disposition}__{session_id}"
"""One that was seen. There is no usual one."""
STABLE = timedelta(minutes=2)
"""A file that has not changed for so long is whole (memory)."""
SLACK = timedelta(days=2)
"""How far a folder's day may be from the calls in it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the account says about its files."""

    root: str
    text: str
    """The pattern as it was given."""
    pattern: Pattern
    zone: ZoneInfo


def setup_of(api: Api) -> Setup:
    """The account's folder, pattern and zone. Raises `ConfigFault` with a sentence about the one that is wrong."""
    given = api.credential
    root = given.get("folder", "").strip() or ROOT
    if ".." in root.split("/") or "\x00" in root:
        raise ConfigFault("folder_unreadable", 'The folder must be written without "..". Correct it and connect again.')
    text = given.get("pattern", "").strip() or PATTERN
    try:
        pattern = compiled(text)
    except ValueError as error:
        sentence = f"The pattern of the file names {error}. Correct it and connect again."
        raise ConfigFault("pattern_unreadable", sentence) from None
    try:
        zone = zone_of(given.get("zone", ""))
    except ValueError:
        sentence = "There is no such time zone. Write it like America/Los_Angeles and connect again."
        raise ConfigFault("zone_unknown", sentence) from None
    return Setup(root.rstrip("/") or "/", text, pattern, zone)


def days_of(setup: Setup, window: Window) -> Callable[[str], bool]:
    """Whether a folder can hold recordings of the window. No when its own name is a day that is far from it."""

    def enter(folder: str) -> bool:
        day = day_of_folder(setup.pattern, shown(folder))
        return day is None or window.since - SLACK <= day.replace(tzinfo=UTC) < window.until + SLACK

    return enter


def days_around(setup: Setup, external_id: str) -> Callable[[str], bool]:
    """Whether a folder can hold the recording with this id."""
    named = read(setup.pattern, external_id, setup.zone)
    if named is None or named.start is None:
        return lambda folder: True
    return days_of(setup, Window(named.start, named.start))


def items_in(
    setup: Setup, folder: tuple[str, ...], files: list[Entry], now: datetime, after: str = ""
) -> list[tuple[Item, dict[str, str]]]:
    """The recordings of a folder after a name, each with what its name says."""
    beside = {file.name: file for file in files if file.name.lower().endswith(KINDS)}
    found = []
    for file in files:
        if file.name <= after or not (ending := sound_of(file.name)):
            continue
        stem, path = file.name[: -len(ending)], shown("/".join((*folder, file.name)))
        sidecar = next((beside[name] for kind in KINDS if (name := stem + kind) in beside), None)
        named = read(setup.pattern, path, setup.zone, file.written)
        fields, start = (named.fields, named.start) if named else ({}, None)
        changed = [time for time in (file.written, sidecar.written if sidecar else None) if time]
        data = {
            "folder": "/".join(folder), "name": file.name, "size": file.size, "written": written_of(file),
            "sidecar": sidecar.name if sidecar else "", "seen": now,
        }  # fmt: skip
        item = Item(id_of(fields, path), data, start or file.written, max(changed, default=None))
        found.append((item, fields))
    return found


def is_whole(now: datetime, file: Entry, data: Any) -> bool:
    """Whether a file is finished: it has not changed for a while, or not since it was listed a while ago. Where the
    server gives no times, the download finds out."""
    same = (file.size, written_of(file)) == (data["size"], data["written"])
    seen_twice = same and now - data["seen"] >= STABLE
    return file.size > 0 and (file.written is None or now - file.written >= STABLE or seen_twice)


async def sidecar_of(sftp: Sftp, setup: Setup, data: Any) -> dict[str, str] | None:
    """The file beside a recording as text; None where there is none."""
    if not data["sidecar"]:
        return None
    try:
        path = below(setup.root, f"{data['folder']}/{data['sidecar']}")
        content = b"".join([chunk async for chunk in chunks(sftp, path, MAX_CHARACTERS + 1)])
    except MissingFault:
        return None
    return {"name": shown(data["sidecar"]), "text": content.decode("utf-8", "replace")}


def address_of(api: Api, path: str) -> str:
    """Where a recording lies below the account's folder, without anybody's name or password."""
    host, port, _ = server_of(api.credential)
    return f"sftp://{f'[{host}]' if ':' in host else host}:{port}/{quote(path.encode('utf-8', 'surrogateescape'))}"


def written_of(file: Entry) -> str | None:
    """When a file was last changed, as text."""
    return stamp(file.written) if file.written else None


def shown(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are written out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
