"""Reading fields of payloads that nobody vouches for. Everything here raises `InvalidCall` or nothing at all."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.payloads import Payload, invalid, keepable, kind_of
from connectors.timeparse import MAX_MS, rfc3339, seconds_to_ms
from schemas.calls import NormalizedCall, Participant, Quality

MAX_ID = 512


def text_at(payload: Payload, name: str, *, where: str = "") -> str | None:
    """A text, or None where it is absent, null or blank. `where` goes before the name in the sentence."""
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(where + name, f"must be a text, and it is {kind_of(value)}")
    value = keepable(value)
    return value if value.strip() else None


def needed_text(payload: Payload, name: str, *, where: str = "") -> str:
    """A text that must be there."""
    value = text_at(payload, name, where=where)
    if value is None:
        raise invalid(where + name, "is missing or empty")
    return value


def id_at(payload: Payload, name: str, *, where: str = "") -> str:
    """A text that can serve as a call's id: 1 to 512 characters that UTF-8 and PostgreSQL can hold."""
    value = needed_text(payload, name, where=where)
    if len(value) > MAX_ID:
        raise invalid(where + name, f"is longer than {MAX_ID} characters")
    if value != payload[name]:
        raise invalid(where + name, "holds characters that no database can keep")
    return value


def list_at(payload: Payload, name: str) -> list[Any]:
    """A list; empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(name, f"must be a list, and it is {kind_of(value)}")
    return value


def object_at(payload: Payload, name: str) -> Payload:
    """An object; empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, f"must be an object, and it is {kind_of(value)}")
    return value


def instant_at(payload: Payload, name: str) -> datetime | None:
    """An RFC 3339 time with its zone, in UTC; None where it is absent."""
    value = text_at(payload, name)
    if value is None:
        return None
    try:
        return rfc3339(value)
    except ValueError as error:
        raise invalid(name, str(error)) from None


def seconds_at(payload: Payload, name: str) -> int | None:
    """A length in seconds, as milliseconds; None where it is absent."""
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(name, f"must be a number of seconds, and it is {kind_of(value)}")
    try:
        return seconds_to_ms(value)
    except ValueError as error:
        raise invalid(name, str(error)) from None


def ms_at(payload: Payload, name: str, *, where: str = "") -> int:
    """A position in whole milliseconds that must be there."""
    value = payload.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(where + name, "must be a whole number of milliseconds")
    if not 0 <= value <= MAX_MS:
        raise invalid(where + name, "must lie between 0 and one month, in milliseconds")
    return value


def https_at(payload: Payload, name: str) -> str | None:
    """An https address without a user name or password in it; None where it is absent."""
    value = text_at(payload, name)
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise invalid(name, "is not an address that can be opened") from None
    if parts.scheme != "https":
        raise invalid(name, "must begin with https://")
    odd = any(character <= " " or character == "\x7f" for character in value)
    if not host or odd or len(value) > 8192:
        raise invalid(name, "is not an address that can be opened")
    if parts.username is not None or parts.password is not None:
        raise invalid(name, "must not hold a user name or a password")
    return value


def participants_at(payload: Payload, name: str) -> tuple[Participant, ...]:
    """People with a name, an email address or a phone number; entries with none of these are left out."""
    people = []
    for number, entry in enumerate(list_at(payload, name)):
        where = f"{name}[{number}]"
        if not isinstance(entry, dict):
            raise invalid(where, f"must be an object with name, email or phone, and it is {kind_of(entry)}")
        values = {key: text_at(entry, key, where=f"{where}.") for key in ("name", "email", "phone")}
        if any(values.values()):
            people.append(Participant(**values))
    return tuple(people)


def quality_of(call: NormalizedCall) -> Quality:
    """`full`: it has words, their times and a start; `partial`: words; `minimal`: only a recording so far."""
    if not call.full_transcript:
        return "minimal"
    return "full" if call.recording_start_time is not None and call.segments else "partial"
