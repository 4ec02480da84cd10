"""Calls of HubSpot with their people: a few requests for a page of calls, however many it has."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from connectors import crm
from connectors.contract import Api, Item
from connectors.fields import id_at
from connectors.listing import instant, listed_id, object_in, objects
from connectors.millis import epoch_of
from connectors.payloads import Payload, invalid
from schemas.faults import ConfigFault

NAME = "HubSpot"
BATCH = 100
"""Ids in one request, and so calls of a page."""
CONTACTS, OWNERS = "/crm/v3/objects/contacts/batch/read", "/crm/v3/owners"
ASSOCIATED = "/crm/v4/associations/calls/contacts/batch/read"  # memory
MAX_OWNER_PAGES = 10


def external_id_of(payload: Payload) -> str:
    """`id`, a number as text."""
    value = id_at(payload, "id")
    if not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise invalid("id", "is not a number")
    return value


async def with_people(api: Api, calls: list[Payload]) -> list[Item]:
    """The calls with their owners and contacts: a few requests a page, however many calls it has."""
    if not calls:
        return []
    ids = [listed_id(call, external_id_of, NAME) for call in calls]
    told = object_in(await api.post(ASSOCIATED, json={"inputs": [{"id": name} for name in ids]}), NAME)
    linked = crm.linked(objects(told.get("results", []), NAME))
    contacts = await _contacts(api, sorted({contact for found in linked.values() for contact in found}))
    owned = any(object_in(call.get("properties"), NAME).get("hubspot_owner_id") for call in calls)
    owners = await _owners(api) if owned else {}
    return [_item(call, linked.get(name, ()), contacts, owners) for name, call in zip(ids, calls, strict=True)]


async def _contacts(api: Api, ids: list[str]) -> dict[str, Payload]:
    found: dict[str, Payload] = {}
    for start in range(0, len(ids), BATCH):
        inputs = [{"id": name} for name in ids[start : start + BATCH]]
        told = object_in(await api.post(CONTACTS, json={"properties": crm.CONTACT, "inputs": inputs}), NAME)
        found |= {str(contact.get("id")): contact for contact in objects(told.get("results", []), NAME)}
    return found


async def _owners(api: Api) -> Mapping[str, Payload]:
    """The account's users, read once; those who have left, too. Without the right to read them owners stay unnamed."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[dict[str, Payload]]:
        found: dict[str, Payload] = {}
        for archived in ("false", "true"):
            params: dict[str, Any] = {"limit": 500, "archived": archived}
            for _ in range(MAX_OWNER_PAGES):
                try:
                    told = object_in(await api.get(OWNERS, params=params), NAME)
                except ConfigFault:
                    break
                found |= {str(owner.get("id")): owner for owner in objects(told.get("results", []), NAME)}
                params["after"] = crm.following(told)
                if params["after"] is None:
                    break
        yield found

    return await api.keep("owners", opened)


def _item(call: Payload, linked: Sequence[str], contacts: Mapping[str, Payload], owners: Mapping[str, Payload]) -> Item:
    name, about = listed_id(call, external_id_of, NAME), object_in(call.get("properties"), NAME)
    people = [contacts[contact] for contact in linked if contact in contacts]
    data = {**call, "owner": owners.get(str(about.get("hubspot_owner_id"))), "contacts": people}
    started, changed = about.get("hs_timestamp"), about.get("hs_lastmodifieddate")
    return Item(name, data, epoch_of(started) or instant(started), epoch_of(changed) or instant(changed))
