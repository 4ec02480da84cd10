"""Who was on a call, out of lists that nobody vouches for. Everything here raises `InvalidCall` or nothing at all."""

from collections.abc import Iterable
from typing import Any

from connectors.fields import text_at
from connectors.payloads import Payload, invalid, kind_of
from schemas.calls import Participant


def object_of(value: object, where: str) -> Payload:
    """An object; empty where it is null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(where, f"must be an object, and it is {kind_of(value)}")
    return value


def objects_at(payload: Payload, name: str) -> list[tuple[str, Payload]]:
    """The objects of a list, each with its place for a message; nothing where the list is absent or null."""
    value: Any = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(name, f"must be a list, and it is {kind_of(value)}")
    return [(f"{name}[{number}]", object_of(entry, f"{name}[{number}]")) for number, entry in enumerate(value)]


def participant(
    person: Payload, where: str, *, name: str = "name", email: str = "email", phone: str = ""
) -> Participant:
    """Somebody, under the source's names of the fields."""
    return Participant(
        name=text_at(person, name, where=f"{where}."),
        email=text_at(person, email, where=f"{where}."),
        phone=text_at(person, phone, where=f"{where}.") if phone else None,
    )


def everybody(people: Iterable[Participant]) -> tuple[Participant, ...]:
    """Those of whom anything is known, each once: by e-mail address, else by name, else by phone number."""
    found: dict[str, Participant] = {}
    names: set[str] = set()
    for person in people:
        key, name = (person.email or person.name or person.phone or "").strip().casefold(), person.name or ""
        if key and (person.email or key not in names):
            found.setdefault(key, person)
            names.add(name.strip().casefold())
    return tuple(found.values())
