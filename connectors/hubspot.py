"""HubSpot: calls of the CRM that have a transcript or a recording, with their owner and contacts.

Vendor pages: https://developers.hubspot.com/docs/api-reference/crm-calls-v3 and …/webhooks, checked November 2025.
A payload is the call object word for word but for the addresses of recordings, which may be signed by the telephony
vendor; `owner`, `contacts` and `transcript` are the answers of further requests. Every property is a text or null, and
comes only when it is asked for. A call's body holds notes, not what was said.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from connectors import crm
from connectors.answers import json_of
from connectors.auths import bearer
from connectors.contract import (
    DAY,
    Account,
    Api,
    Auth,
    Connector,
    Field,
    Found,
    Item,
    Limit,
    LimitHeaders,
    OAuth,
    Page,
    Pull,
    Recording,
    Webhook,
    Window,
)
from connectors.crm_people import BATCH, NAME, external_id_of, with_people
from connectors.fields import instant_at, object_at, text_at
from connectors.listing import is_fresh, listed_id, object_in, objects
from connectors.millis import epoch_ms, epoch_of
from connectors.paging import cursor as cursor_of
from connectors.paging import parts
from connectors.payloads import Payload
from connectors.people import object_of, objects_at
from connectors.signatures import hubspot
from connectors.utterances import assembled, has_words, number_at, utterance
from schemas.calls import NormalizedCall, Segment
from schemas.faults import ConfigFault, MissingFault

CALLS = "/crm/v3/objects/calls"
ACCOUNT = "/account-info/v3/details"  # memory
TRANSCRIPTS = "/crm/extensions/calling/2026-03/transcripts"
READ, OF_OWNERS = "crm.objects.contacts.read", "crm.objects.owners.read"
OF_TRANSCRIPTS = "crm.extensions_calling_transcripts.read"
LEFT, INTERVAL = "x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-interval-milliseconds"
WRITTEN_WITHIN = timedelta(hours=1)
"""How long after a call's last change a transcript that HubSpot speaks of and does not give is waited for."""
LOGGED_WITHIN = timedelta(hours=6)
"""How long after its start a call may still get its recording."""


async def validate(api: Api) -> Account:
    """The account, and the rights that are missing, which are found by trying them.

    HubSpot's page about a token has the token in its address, where a log would show it: so it is not asked.
    """
    await _search(api, crm.query(0, epoch_ms(api.now), 1))
    told: Payload = {}
    with suppress(ConfigFault, MissingFault):
        told = object_in(await api.get(ACCOUNT), NAME)
    lacking: tuple[str, ...] = ()
    try:
        await api.send("GET", f"{TRANSCRIPTS}/0", ok=(400, 404))
    except ConfigFault:
        lacking = (OF_TRANSCRIPTS,)
    return Account(f"{NAME} {told.get('portalId', '')}".strip(), str(told.get("portalId") or ""), lacking)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A hundred calls by their ids, each page beginning behind the last id of the one before.

    So neither the search's end after 10,000 results nor calls that are added meanwhile make one missing.
    """
    place = parts(cursor, above=None, after=None)
    span = epoch_ms(window.since), epoch_ms(window.until)
    found = await _search(api, crm.query(*span, BATCH, above=place["above"], after=place["after"]))
    calls = objects(found.get("results", []), NAME)
    last, more = max((int(listed_id(call, external_id_of, NAME)) for call in calls), default=None), None
    if after := crm.following(found):
        more = cursor_of(above=last, after=None) if last else cursor_of(above=place["above"], after=after)
    total = found.get("total") if place["above"] is None and isinstance(found.get("total"), int) else None
    return Page(await with_people(api, calls), more, total)


async def count(api: Api, window: Window) -> int | None:
    """The calls that can be read, as HubSpot counts them."""
    total = (await _search(api, crm.query(epoch_ms(window.since), epoch_ms(window.until), 1))).get("total")
    return total if isinstance(total, int) else None


async def find(api: Api, external_id: str) -> Item:
    """One call, by its id."""
    if not (external_id.isascii() and external_id.isdigit()):
        raise MissingFault("not_at_source", "HubSpot has no call of this number.")
    call = object_in(await api.get(f"{CALLS}/{external_id}", params={"properties": ",".join(crm.PROPERTIES)}), NAME)
    return (await with_people(api, [call]))[0]


async def fetch(api: Api, item: Item) -> Found:
    """The call with its transcript, if HubSpot gives it. Its recording lies at another vendor, whom our token is no
    business of; what HubSpot itself keeps is only for people who are signed in there."""
    call, about = dict(item.data), object_in(item.data.get("properties"), NAME)
    payload = crm.without_links(call)
    recording = _recording(item.external_id, about)
    if about.get("hs_call_has_transcript") == "true":
        try:
            transcript = await _transcript(api, about.get("hs_call_transcription_id"))
        except ConfigFault:
            if recording is None:
                raise
            transcript = {}
        if has_words(transcript.get("transcriptUtterances")):
            return Found({**payload, "transcript": transcript}, True, recording)
        if is_fresh(api.now, item.changed_at, WRITTEN_WITHIN):
            return Found(payload, False, recording, "HubSpot has not finished the transcript of this call.")
    if not (about.get(crm.AUDIO) or about.get(crm.VIDEO)) and is_fresh(api.now, item.started_at, LOGGED_WITHIN):
        return Found(payload, False, waits_for="HubSpot has neither a transcript nor a recording of this call yet.")
    if recording is None:
        raise MissingFault("nothing_recorded", HUBSPOT.empty)
    return Found(payload, False, recording)


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a call object with what was read for it."""
    name, about = external_id_of(payload), object_at(payload, "properties")
    said = objects_at(object_at(payload, "transcript"), "transcriptUtterances")
    segments = (_segment(entry, where) for where, entry in said)
    return assembled(
        title=text_at(about, "hs_call_title") or f"HubSpot call {name}",
        start=epoch_of(about.get("hs_timestamp")) or instant_at(about, "hs_timestamp"),
        duration=number_at(about, "hs_call_duration", 1),
        segments=tuple(segment for segment in segments if segment is not None),
        spoken=object_at(payload, "transcript").get("transcriptUtterances"),
        people=crm.people_of(payload, about),
        metadata=crm.metadata(about),
        language=next(filter(None, (text_at(entry, "languageCode", where=f"{where}.") for where, entry in said)), None),
    )


def _segment(entry: Payload, where: str) -> Segment | None:
    speaker = object_of(entry.get("speaker"), f"{where}.speaker")
    name = text_at(speaker, "name", where=f"{where}.speaker.") or text_at(speaker, "email", where=f"{where}.speaker.")
    return utterance(entry, where, name, 1, ("startTimeMillis", "endTimeMillis"))


async def _search(api: Api, query: Mapping[str, Any]) -> Payload:
    return object_in(await api.post(f"{CALLS}/search", json=query, bucket="search"), NAME)


async def _transcript(api: Api, transcript_id: Any) -> Payload:
    """Empty where there is none: often so for transcripts that HubSpot made itself."""
    if not (isinstance(transcript_id, str) and transcript_id.isascii() and transcript_id.isalnum()):
        return {}
    answer = await api.send("GET", f"{TRANSCRIPTS}/{transcript_id}", ok=(404,))
    return object_in(json_of(answer, NAME), NAME) if answer.status == 200 else {}


def _recording(name: str, about: Payload) -> Recording | None:
    for field, ending in ((crm.AUDIO, "mp3"), (crm.VIDEO, "mp4")):
        if link := crm.outside_link(about.get(field)):
            return Recording(link, f"{name}.{ending}")
    return None


HUBSPOT = Connector(
    source_app="hubspot",
    display_name=NAME,
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        hubspot,
        crm.named_calls,
        setup="In the app at HubSpot, open Webhooks, enter this address, and subscribe to created and changed calls. "
        "The secret to enter here is the app's client secret.",
    ),
    empty="HubSpot has neither a transcript of this call nor a recording that opens without a signed-in HubSpot user.",
    base="https://api.hubapi.com",
    auths=(
        Auth(
            "api_key",
            bearer("api_key"),
            (Field("api_key", "Access token", help="At HubSpot under Settings, Integrations, Private Apps."),),
            instructions=f"Make a private app with the rights {READ}, {OF_OWNERS} and {OF_TRANSCRIPTS}.",
        ),
        Auth(
            "oauth",
            bearer(),
            oauth=OAuth(
                "https://app.hubspot.com/oauth/authorize",
                "https://api.hubapi.com/oauth/v1/token",
                ("oauth", READ, OF_OWNERS, OF_TRANSCRIPTS),
            ),
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=2),
        count=count,
        spends={"default": 1.1, "search": 1 / BATCH},
        gives_up="HubSpot has neither a transcript of this call nor a recording that can be read.",
    ),
    # The lowest of the plans: 100 in ten seconds and 250,000 a day. Searches are counted by themselves. (memory)
    limits=(Limit(100, 10), Limit(250_000, DAY), Limit(4, 1, "search")),
    limit_headers=(
        LimitHeaders("x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-interval-milliseconds", "milliseconds"),
    ),
    complaint=crm.complaint,
    docs_url="https://developers.hubspot.com/docs/api-reference/crm-calls-v3",
)
