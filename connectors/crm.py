"""HubSpot's own ways to write things: searches, notices, refusals, people and links to recordings. Pure."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from connectors.answers import DAILY_LIMIT, RATE_LIMITED
from connectors.contract import Answer, Delivery, Notice, Received
from connectors.fields import object_at, text_at
from connectors.hypertext import plain
from connectors.listing import body_text
from connectors.payloads import Payload, invalid_id, parse_object
from connectors.people import everybody, objects_at, participant
from schemas.calls import Participant
from schemas.faults import ConfigFault, Fault, InvalidCall, TransientFault

_RIGHT = re.compile(r"\b(?:crm|oauth|sales|tickets|content|settings)[a-z0-9_.-]{0,80}")

OWN_HOSTS = ("hubspot.com", "hubapi.com", "hubspotusercontent.com")
"""Recordings there open only for a signed-in HubSpot user."""
AUDIO, VIDEO = "hs_call_recording_url", "hs_call_video_recording_url"
PROPERTIES = (
    "hs_timestamp", "hs_call_title", "hs_call_body", "hs_call_duration", "hs_call_direction", "hs_call_status",
    "hs_call_disposition", "hs_call_from_number", "hs_call_to_number", AUDIO, VIDEO, "hs_call_recording_duration",
    "hs_call_has_transcript", "hs_call_transcription_id", "hs_call_summary", "hs_call_source", "hs_call_app_id",
    "hs_call_external_id", "hubspot_owner_id", "hs_createdate", "hs_lastmodifieddate",
)  # fmt: skip
"""What is asked for: nothing else comes."""
CONTACT = ("firstname", "lastname", "email", "phone")
METADATA = (
    "hs_call_direction", "hs_call_status", "hs_call_disposition", "hs_call_from_number", "hs_call_to_number",
    "hs_call_source", "hs_call_app_id", "hs_call_external_id", "hubspot_owner_id", "hs_createdate",
)  # fmt: skip
CALL_TYPE = "0-48"
MAX_CONTACTS = 10
"""Of one call. More are no participants but a list somebody imported."""
AFTER_CREATION = timedelta(minutes=10)
"""Recording and transcript are added to a call after it was made. (memory)"""
PAUSES = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""How long a short limit lasts, by its policy: searches say nothing else about it."""
DAILY_PAUSE = 3600.0
"""A daily limit ends at midnight of the account's time zone, which no answer names: so it is tried every hour."""


def query(since: int, until: int, size: int, *, above: int | None = None, after: str | None = None) -> dict[str, Any]:
    """A search for calls of a time that have something to read, by their ids. Groups are alternatives."""
    span = [_filter("hs_timestamp", "GTE", since), _filter("hs_timestamp", "LT", until)]
    if above is not None:
        span.append(_filter("hs_object_id", "GT", above))
    kinds = (
        _filter("hs_call_has_transcript", "EQ", "true"),
        {"propertyName": AUDIO, "operator": "HAS_PROPERTY"},
        {"propertyName": VIDEO, "operator": "HAS_PROPERTY"},
    )
    return {
        "filterGroups": [{"filters": [*span, kind]} for kind in kinds],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": list(PROPERTIES),
        "limit": size,
        **({"after": after} if after is not None else {}),
    }


def following(answer: Payload) -> str | None:
    """What leads to the next page."""
    paging = answer.get("paging")
    page = paging.get("next") if isinstance(paging, dict) else None
    after = page.get("after") if isinstance(page, dict) else None
    return after if isinstance(after, str) and after else None


def linked(results: Iterable[Payload]) -> dict[str, list[str]]:
    """The contacts of each call, out of the answer to a batch of associations."""
    found: dict[str, list[str]] = {}
    for entry in results:
        call, contacts = entry.get("from"), entry.get("to")
        if isinstance(call, dict) and isinstance(contacts, list):
            ids = (one.get("toObjectId", one.get("id")) for one in contacts if isinstance(one, dict))
            found[str(call.get("id"))] = [str(one) for one in ids if one is not None][:MAX_CONTACTS]
    return found


def without_links(call: Payload) -> Payload:
    """The call without the addresses of its recordings."""
    about = object_at(call, "properties")
    return {**call, "properties": {name: value for name, value in about.items() if name not in (AUDIO, VIDEO)}}


def named_calls(delivery: Delivery) -> list[Received | Notice]:
    """The calls in a list of events that were made or changed; each once."""
    text, value = body_text(delivery)
    if not isinstance(value, list) or not all(isinstance(event, dict) for event in value):
        return [Received(invalid_id(text), text)]
    found: dict[str, Notice] = {}
    for event in value:
        kind, name = str(event.get("subscriptionType") or ""), event.get("objectId")
        is_call = event.get("objectTypeId") == CALL_TYPE or kind.startswith("call.")
        changed = kind.endswith(".propertyChange") and event.get("propertyName") in PROPERTIES
        created = kind.endswith((".creation", ".restore"))
        if is_call and (changed or created) and re.fullmatch(r"\d{1,20}", str(name)):
            found.setdefault(str(name), Notice(str(name), AFTER_CREATION if created else timedelta(0)))
    return list(found.values())


def complaint(answer: Answer) -> Fault | None:
    """A daily limit, which only its policy tells from a short one; and the rights that an app lacks."""
    if answer.status not in (403, 429):
        return None
    try:
        said = parse_object(answer.body.decode("utf-8", "replace"))
    except InvalidCall:
        return None
    if answer.status == 429 and said.get("policyName") == "DAILY":
        sentence = "HubSpot allows no more requests today. It goes on by itself."
        return TransientFault(DAILY_LIMIT, sentence, retry_after=DAILY_PAUSE, detail=f"{answer.url} answered 429")
    pause = PAUSES.get(str(said.get("policyName"))) if "retry-after" not in answer.headers else None
    if answer.status == 429 and pause is not None:
        sentence = "HubSpot allows no more requests at the moment. It goes on by itself."
        return TransientFault(RATE_LIMITED, sentence, retry_after=pause, detail=f"{answer.url} answered 429")
    if answer.status == 403 and said.get("category") == "MISSING_SCOPES":
        rights = " or ".join(dict.fromkeys(_RIGHT.findall(str(said.get("errors")))))
        sentence = f"HubSpot says that a right is missing{f': {rights}' if rights else ''}. Add it to the app there."
        return ConfigFault("permission_missing", sentence, detail=f"{answer.url} answered 403")
    return None


def metadata(about: Payload) -> dict[str, Any]:
    """What is kept beside the call; its notes and its summary as a person reads them."""
    notes = {"notes": text_at(about, "hs_call_body"), "summary": text_at(about, "hs_call_summary")}
    read = {name: plain(text) or None for name, text in notes.items() if text}
    return {name: about.get(name) for name in METADATA} | read


def people_of(payload: Payload, about: Payload) -> tuple[Participant, ...]:
    """The owner, the contacts, who else spoke; and the other side's number where nobody of them has it."""
    outbound = about.get("hs_call_direction") != "INBOUND"
    ours, theirs = ("hs_call_from_number", "hs_call_to_number")[:: 1 if outbound else -1]
    owner, people = object_at(payload, "owner"), []
    people.append(_named(owner, "owner", "firstName", "lastName", text_at(about, ours)))
    contacts = objects_at(payload, "contacts")
    for where, contact in contacts:
        known = object_at(contact, "properties")
        people.append(_named(known, where, "firstname", "lastname", text_at(known, "phone", where=f"{where}.")))
    if not contacts:
        people.append(Participant(phone=text_at(about, theirs)))
    for where, said in objects_at(object_at(payload, "transcript"), "transcriptUtterances"):
        speaker = participant(object_at(said, "speaker"), f"{where}.speaker")
        if not speaker.email and speaker.name in {person.name for person in people}:
            continue
        people.append(speaker)
    return everybody(people)


def _named(person: Payload, where: str, first: str, last: str, phone: str | None) -> Participant:
    names = (text_at(person, first, where=f"{where}."), text_at(person, last, where=f"{where}."))
    name = " ".join(part.strip() for part in names if part) or None
    email = text_at(person, "email", where=f"{where}.")
    return Participant(name=name, email=email, phone=phone)


def outside_link(url: object) -> str | None:
    """A recording's address at another vendor; None for one at HubSpot, or for what is no https address."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    own = any(host == name or host.endswith(f".{name}") for name in OWN_HOSTS)
    return url.strip() if parts.scheme == "https" and host and not own else None


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}
