"""Fathom: push by signed webhook, pull by API key or OAuth. Vendor pages: https://developers.fathom.ai, November 2025.

A webhook brings one meeting, without an event name; a listing brings ten at a time, and with an API key their
transcripts too. An OAuth app must ask for each transcript: it is added as `transcript`, as the webhook has it. Its
items have no end and a meeting has no length: both come from what follows. `meeting_url`, which often carries the
meeting's passcode, is left out of what is pulled. Dates of a listing are those of creation.
"""

from datetime import timedelta
from typing import Any

from connectors.auths import bearer, header
from connectors.contract import (
    Account,
    Api,
    Auth,
    Connector,
    Delivery,
    Field,
    Found,
    Item,
    Limit,
    LimitHeaders,
    Notice,
    OAuth,
    Page,
    Pull,
    Received,
    Webhook,
    Window,
)  # fmt: skip
from connectors.fathom_downloads import BUCKET, prepared, recording_of
from connectors.fields import instant_at, object_at, text_at
from connectors.listing import (
    body_text,
    instant,
    is_fresh,
    listed_id,
    object_in,
    objects,
    place_in_list,
    stamp,
    without,
)
from connectors.payloads import Payload, invalid, received
from connectors.people import everybody, object_of, objects_at, participant
from connectors.signatures import standard
from connectors.utterances import Started, assembled, clock_at, has_words, length_between, until_next
from schemas.calls import NormalizedCall
from schemas.faults import ConfigFault, MissingFault

METADATA = (
    "url", "share_url", "meeting_title", "meeting_type", "created_at", "scheduled_start_time", "scheduled_end_time",
    "calendar_invitees_domains_type", "shared_with", "default_summary", "action_items",
)  # fmt: skip
"""What is kept beside the call."""
LATE = timedelta(days=1)
"""How long after its recording a meeting is looked for among the created ones."""
PAGES_TO_FIND = 60  # there is no request for one meeting: it is looked for among the 600 newest
SERVER = "https://fathom.video/external/v1/oauth2"


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The meeting of one delivery, word for word."""
    text, value = body_text(delivery)
    return [received(text, value, external_id_of)]


def external_id_of(payload: Payload) -> str:
    """`recording_id`, a whole number; as text it is accepted too."""
    value = payload.get("recording_id")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**20:
        raise invalid("recording_id", "is missing or not a whole number")
    return str(value)


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a meeting object."""
    recording_id = external_id_of(payload)
    start, end = instant_at(payload, "recording_start_time"), instant_at(payload, "recording_end_time")
    duration = length_between(start, end)
    segments = until_next([_said(entry, where) for where, entry in objects_at(payload, "transcript")], duration)
    people = [("recorded_by", object_at(payload, "recorded_by")), *objects_at(payload, "calendar_invitees")]
    return assembled(
        title=text_at(payload, "title") or text_at(payload, "meeting_title") or f"Fathom call {recording_id}",
        start=start,
        duration=duration,
        segments=segments,
        spoken=payload.get("transcript"),
        people=everybody(participant(person, where) for where, person in people),
        metadata={name: payload.get(name) for name in METADATA},
        language=text_at(payload, "transcript_language"),
    )


def _said(entry: Payload, where: str) -> Started:
    start = clock_at(entry, "timestamp", where=f"{where}.")
    speaker = text_at(object_of(entry.get("speaker"), f"{where}.speaker"), "display_name", where=f"{where}.speaker.")
    return speaker, text_at(entry, "text", where=f"{where}.") or "", start


async def validate(api: Api) -> Account:
    """Fathom does not say whose key it is: the person names the account, or the first team does."""
    teams = objects(object_in(await api.get("/teams"), "Fathom").get("items") or [], "Fathom")
    names = [api.credential.get("account", "").strip(), *(str(team.get("name") or "") for team in teams)]
    return Account(label=next(filter(None, names), "Fathom account"))


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """Ten meetings that were created in the window, or a day after it and recorded in it."""
    params: dict[str, Any] = {"created_after": stamp(window.since), "created_before": stamp(window.until + LATE)}
    for name, value in window.filters.items():
        params |= {f"{name}[]": value.split(",")} if name in ("recorded_by", "teams") else {name: value}
    answer = await _meetings(api, cursor, params)
    found = [_listed(meeting) for meeting in objects(answer.get("items"), "Fathom")]
    items = [item for item in found if item.started_at is None or item.started_at < window.until]
    return Page(items, answer.get("next_cursor") or None)


async def find(api: Api, external_id: str) -> Item:
    """The meeting, among the newest ones."""
    cursor: str | None = None
    for _ in range(PAGES_TO_FIND):
        answer = await _meetings(api, cursor, {})
        for item in map(_listed, objects(answer.get("items"), "Fathom")):
            if item.external_id == external_id:
                return item
        cursor = answer.get("next_cursor") or None
        if cursor is None:
            break
    raise MissingFault("not_at_source", "Fathom does not list this call any more, or it is not among the newest 600.")


async def _meetings(api: Api, cursor: str | None, params: dict[str, Any]) -> Payload:
    """One page. Whoever may include the transcripts does so: one heavy request then brings ten of them."""
    if _includes(api):
        params = params | {"include_transcript": "true", "include_summary": "true"}
    asked = params | {"include_action_items": "true", "cursor": cursor}
    with place_in_list("Fathom", cursor):
        answer = await api.get("/meetings", params=asked, bucket="heavy" if _includes(api) else "default")
    return object_in(answer, "Fathom")


def _includes(api: Api) -> bool:
    """OAuth apps are refused with `include_transcript`."""
    return "api_key" in api.credential


def _listed(meeting: Payload) -> Item:
    return Item(listed_id(meeting, external_id_of, "Fathom"), meeting, instant(meeting.get("recording_start_time")))


async def fetch(api: Api, item: Item) -> Found:
    """The meeting with its transcript, and its recording, which Fathom prepares on demand."""
    meeting = without(item.data, ("meeting_url",))
    if not _includes(api):
        try:
            answer = await api.get(f"/recordings/{item.external_id}/transcript", bucket="heavy")
            meeting["transcript"] = object_in(answer, "Fathom").get("transcript")
        except MissingFault:
            meeting["transcript"] = None
        except ConfigFault as fault:
            if fault.reason != "permission_missing":
                raise
            sentence = "Fathom lets only others read this call: it was shared with this account with limits."
            raise MissingFault("transcript_forbidden", sentence) from None
    ready = has_words(meeting.get("transcript"))
    waits = not ready and is_fresh(api.now, instant(meeting.get("recording_end_time")))
    why = "Fathom is still writing the transcript." if waits else None
    return Found(meeting, ready, recording_of(item.external_id), why)


ACCOUNT = Field("account", "Your e-mail address at Fathom", False, False, help="To tell several accounts apart.")
KEY = Field("api_key", "API key", help="At Fathom under User Settings, API Access.")
WAYS = (
    Auth("api_key", header("X-Api-Key", "api_key"), (KEY, ACCOUNT)),
    Auth("oauth", bearer(), (ACCOUNT,), OAuth(f"{SERVER}/authorize", f"{SERVER}/token", ("public_api",))),
)

FATHOM = Connector(
    source_app="fathom",
    display_name="Fathom",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        standard,
        read_webhook,
        setup="At Fathom, open User Settings, API Access, and add a webhook with this address. Switch on the "
        "transcript, and enter the secret that Fathom shows here.",
    ),
    empty="Fathom sent this call without its transcript. If it came by webhook, "
    'switch on "transcript" in the settings of the webhook at Fathom and have it sent again.',
    base="https://api.fathom.ai/external/v1",
    auths=WAYS,
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        filters=(
            Field("recorded_by", "Recorded by", False, False, help="E-mail addresses, by commas, without spaces."),
            Field("teams", "Teams", False, False, help="Names, by commas, without spaces."),
            Field("calendar_invitees_domains_type", "Invited", False, False, help="only_internal, or leave it empty."),
        ),
        spends={"heavy": 0.4, "default": 0.1},  # heavy: 0.1 with a key, 1 with an OAuth app
        prepare=prepared,
        gives_up="Fathom had no transcript of this call after two days of trying.",
    ),
    # Heavy requests count among the 60 a minute as well: the others are left what these leave over.
    limits=(Limit(30, 60), Limit(30, 60, "heavy"), Limit(30, 60, BUCKET)),
    limit_headers=tuple(
        LimitHeaders("ratelimit-remaining", "ratelimit-reset", bucket=bucket)
        for bucket in ("default", "heavy", BUCKET)
    ),
    docs_url="https://developers.fathom.ai",
)  # fmt: skip
