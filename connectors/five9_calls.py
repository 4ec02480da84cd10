"""What a Five9 recording is as a call: out of its name, the file beside it and its row in a report. Pure.

What was made for the recording is believed first: the sidecar, then the report, then the name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.fields import instant_at, needed_text, object_at, quality_of, text_at
from connectors.filenames import Pattern, compiled, read, sound_of
from connectors.payloads import Payload, clean, invalid
from connectors.people import everybody
from connectors.sidecars import facts, flat, length_ms, moment
from schemas.calls import NormalizedCall, Participant

ZONE = "America/Los_Angeles"
"""Of names and reports, unless a domain has another: Pacific is Five9's own (docs)."""
MAX_ID = 512
ALIASES = {
    "session_id": ("session_id", "sessionid"),
    "call_id": ("call_id", "callid"),
    "recording_id": ("recording_id",),
    "guid": ("guid", "call_guid"),
    "agent": ("agent_email", "agent_username", "agent", "agent_id"),
    "agent_name": ("agent_name", "agent_full_name"),
    "customer": ("customer_name", "customer", "contact_name"),
    "customer_email": ("customer_email", "contact_email"),
    "ani": ("ani", "from_number"),
    "dnis": ("dnis", "to_number"),
    "number": ("number", "phone_number"),
    "campaign": ("campaign", "campaign_name"),
    "disposition": ("disposition", "disposition_name"),
    "skill": ("skill", "skill_name"),
    "direction": ("direction", "call_type"),
    "start": ("start", "start_time", "started_at", "recording_start", "call_start", "timestamp"),
    "length": ("duration_seconds", "duration", "recording_length", "call_time"),
}
"""Ours, and what it is called in sidecars and reports (memory, but for the columns of a report)."""
KEPT = (
    "session_id", "call_id", "recording_id", "guid", "direction", "campaign", "skill", "disposition", "agent",
    "agent_name", "ani", "dnis", "number",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recording, by our own words."""

    known: dict[str, str]
    start: datetime | None
    length: int | None

    @property
    def ids(self) -> set[str]:
        """What a report may know the call by."""
        return {self.known[name] for name in ("session_id", "call_id") if name in self.known}

    @property
    def numbers(self) -> set[str]:
        """The telephone numbers on the call."""
        return {self.known[name] for name in ("ani", "dnis", "number") if name in self.known}


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name, Pacific for none. Raises `ValueError`."""
    try:
        return ZoneInfo(name.strip() or ZONE)
    except (KeyError, ValueError, OSError):
        raise ValueError("is not the name of a time zone, like America/Los_Angeles") from None


def id_of(fields: Mapping[str, str], path: str) -> str:
    """The id of a recording: its own; else the session's and the file's name, as a session may have several; else its
    path. None of them changes when a sidecar or a report comes later."""
    name = path.rpartition("/")[2]
    own, session = fields.get("recording_id"), fields.get("session_id") or fields.get("call_id")
    found = own or (f"{session}/{name}" if session else path)
    return found if len(found) <= MAX_ID else "path-" + hashlib.sha256(path.encode()).hexdigest()


def external_id_of(payload: Payload) -> str:
    """The id by the file's name and the pattern it is read with."""
    path, pattern = _path(payload), _pattern(payload)
    named = read(pattern, path, zone_of(""))
    return id_of(named.fields if named else {}, path)


def facts_of(payload: Payload) -> Facts:
    """What the payload says, wherever it stands."""
    path, pattern = _path(payload), _pattern(payload)
    try:
        zone = zone_of(text_at(payload, "zone") or "")
    except ValueError as error:
        raise invalid("zone", str(error)) from None
    written = instant_at(object_at(payload, "file"), "modified_at")
    named = read(pattern, path, zone, written)
    fields, start = (named.fields, named.start) if named else ({}, None)
    beside, row = _beside(payload), flat(object_at(payload, "report"))
    known = dict(fields)
    for told in (row, beside):
        known |= {ours: value for ours, theirs in ALIASES.items() if (value := _first(told, theirs))}
    told_starts = (moment(_first(told, ALIASES["start"]) or "", zone, written) for told in (beside, row))
    start = next((time for time in told_starts if time is not None), start)
    return Facts(known, start, length_ms(known.get("length", "")))


def _first(told: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((told[name] for name in names if told.get(name)), None)


def _beside(payload: Payload) -> dict[str, str]:
    sidecar = object_at(payload, "sidecar")
    name, text = text_at(sidecar, "name", where="sidecar."), text_at(sidecar, "text", where="sidecar.")
    return facts(name, text, _path(payload).rpartition("/")[2]) if name and text else {}


def _path(payload: Payload) -> str:
    file = object_at(payload, "file")
    name, folder = needed_text(file, "name", where="file."), text_at(file, "folder", where="file.")
    return f"{folder}/{name}" if folder else name


def _pattern(payload: Payload) -> Pattern:
    try:
        return compiled(needed_text(payload, "pattern"))
    except ValueError as error:
        raise invalid("pattern", str(error)) from None


def to_call(payload: Payload) -> NormalizedCall:
    """The call of a recording. Its words come with the recording."""
    found, path = facts_of(payload), _path(payload)
    known = found.known
    agent, caller = _agent(known), _caller(known)
    call = NormalizedCall(
        title=_title(agent, caller, known.get("campaign"), path),
        recording_start_time=found.start,
        duration_ms=found.length,
        participants=everybody([agent, caller]),
        source_metadata=_metadata(payload, known, path),
    )
    return call.model_copy(update={"metadata_quality": quality_of(call)})


def _agent(known: Mapping[str, str]) -> Participant:
    agent, name = known.get("agent"), known.get("agent_name")
    email = agent if agent and "@" in agent else None
    return Participant(name=name or (agent if not email else None), email=email)


def _caller(known: Mapping[str, str]) -> Participant:
    """The other side: who rang when the call came in, who was rung when it went out."""
    direction = known.get("direction", "").casefold()
    order = ("ani", "number") if "inbound" in direction else ("dnis", "number", "ani")
    phone = next((known[name] for name in order if name in known), None)
    return Participant(name=known.get("customer"), email=known.get("customer_email"), phone=phone)


def _title(agent: Participant, caller: Participant, campaign: str | None, path: str) -> str:
    people = [person.name or person.email or person.phone for person in (agent, caller)]
    who = " and ".join(part for part in people if part)
    if not who:
        name = path.rpartition("/")[2]
        return name.removesuffix(sound_of(name)) or name
    return f"{who} ({campaign})" if campaign else who


def _metadata(payload: Payload, known: Mapping[str, str], path: str) -> dict[str, Any]:
    file = object_at(payload, "file")
    found = {name: known[name] for name in KEPT if name in known}
    about = {"path": path, "size_bytes": file.get("size_bytes"), "modified_at": file.get("modified_at")}
    return {name: clean(value, name) for name, value in {**found, **about}.items() if value is not None}
