"""Dialpad's own ways to write things: ids, lines of a transcript, recordings. Pure."""

import re
from collections.abc import Container, Iterable
from datetime import datetime
from urllib.parse import urlsplit

from connectors.contract import Recording
from connectors.fields import object_at, text_at
from connectors.listing import without
from connectors.payloads import Payload, invalid, keepable
from connectors.people import everybody, objects_at, participant
from connectors.timeparse import rfc3339
from schemas.calls import Participant

LINKS = ("call_recording_share_links", "admin_call_recording_share_links")
"""Whoever has such a link may listen."""
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?")


def external_id_of(payload: Payload) -> str:
    """`call_id`, a number of up to 64 bits, which is a text in Dialpad's JSON."""
    value = payload.get("call_id")
    name = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (name.isascii() and name.isdigit() and len(name) <= 20):
        raise invalid("call_id", "is missing or not a number")
    return name


def title(payload: Payload, other: Participant, name: str) -> str:
    """A call has none: it is named after the other side."""
    other_side = other.name or other.phone or text_at(payload, "external_number")
    return f"Call with {other_side}" if other_side else f"Dialpad call {name}"


def person(payload: Payload, key: str) -> Participant:
    """One side of a call. Of the other side at least the number is known."""
    found = participant(object_at(payload, key), key, phone="phone")
    if key == "contact" and found == Participant():
        return Participant(phone=text_at(payload, "external_number"))
    return found


def once(people: Iterable[Participant]) -> tuple[Participant, ...]:
    """Everybody once; a transcript knows only names, so a name that is known already is nobody new."""
    known: list[Participant] = []
    for person in people:
        if person.email or person.phone or person.name not in {other.name for other in known}:
            known.append(person)
    return everybody(known)


def lines(transcript: Payload) -> list[tuple[datetime, str | None, str]]:
    """What was said, in the order of time."""
    found = []
    for where, line in objects_at(transcript, "lines"):
        if not is_spoken(line):
            continue
        stamp = text_at(line, "time", where=f"transcript.{where}.")
        if stamp is None:
            raise invalid(f"transcript.{where}.time", "is missing")
        try:
            time = rfc3339(stamp if _has_zone(stamp) else f"{stamp.strip()}Z")
        except ValueError as error:
            raise invalid(f"transcript.{where}.time", str(error)) from None
        found.append((time, text_at(line, "name", where=f"transcript.{where}."), text_at(line, "content") or ""))
    return sorted(found, key=lambda line: line[0])


def _has_zone(stamp: str) -> bool:
    return stamp.strip()[-1:] in ("Z", "z") or any(sign in stamp.strip()[19:] for sign in "+-")


def is_spoken(line: Payload) -> bool:
    """Whether a line holds words, and is no moment, question or other mark."""
    words = line.get("content")
    return line.get("type") == "transcript" and isinstance(words, str) and bool(keepable(words).strip())


def longest(details: Iterable[tuple[str, Payload]]) -> Payload | None:
    """Of several recordings of one call, the longest that is no voicemail, if there is one."""

    def rank(detail: Payload) -> tuple[bool, float]:
        length = str(detail.get("duration") or "")
        return detail.get("recording_type") != "voicemail", float(length) if _NUMBER.fullmatch(length) else 0.0

    return max((detail for _, detail in details), key=rank, default=None)


def without_addresses(call: Payload) -> Payload:
    """The call without the addresses of its recordings."""
    kept, details = without(call, LINKS), call.get("recording_details")
    if isinstance(details, list):
        bare = [without(detail, ("url",)) if isinstance(detail, dict) else detail for detail in details]
        kept["recording_details"] = bare
    return kept


def recording_of(call: Payload, servers: Container[str]) -> Recording | None:
    """Its address needs the account's own token, which goes to Dialpad alone."""
    details = call.get("recording_details")
    listed = [("", detail) for detail in details or () if isinstance(detail, dict) and detail.get("url")]
    chosen = longest(listed) if isinstance(details, list) else None
    if chosen is None:
        return None
    url, name = str(chosen["url"]), str(call.get("call_id"))
    return Recording(url, f"{name}.mp3", "audio/mpeg", authorised=_is_at(url, servers))


def _is_at(url: str, servers: Container[str]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.hostname in servers
