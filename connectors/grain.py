"""Grain: pull by token or OAuth, and hooks that name a recording. Vendor pages: https://developers.grain.com, checked
November 2025.

Reads are POST requests with a version header. The transcript is asked for by itself and stands in the payload as
`transcript`; `thumbnail_url` is left out, because it may be signed. Hooks are not signed: their address carries a
token, and the recording is read again through the API.
"""

from datetime import timedelta
from typing import Any

from connectors.auths import bearer
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
    Notice,
    OAuth,
    Page,
    Pull,
    Received,
    Recording,
    Webhook,
    Window,
)
from connectors.fields import id_at, instant_at, text_at
from connectors.listing import (
    body_text,
    instant,
    is_fresh,
    is_in,
    listed_id,
    object_in,
    objects,
    place_in_list,
    stamp,
    without,
)
from connectors.payloads import Payload, received
from connectors.people import everybody, objects_at, participant
from connectors.signatures import url_token
from connectors.utterances import assembled, has_words, length_between, number_at, utterance
from schemas.calls import NormalizedCall, Segment
from schemas.faults import MissingFault

API = "https://api.grain.com/_/public-api"
AUTHORIZE = "https://grain.com/_/public-api/oauth2/authorize"
VERSION = "2025-10-31"
METADATA = (
    "url", "source", "media_type", "end_datetime", "tags", "teams", "meeting_type", "ai_summary", "ai_action_items",
)  # fmt: skip
"""What is kept beside the call."""
INCLUDE = {"participants": True, "ai_summary": True, "ai_action_items": True}
SIGNED = ("thumbnail_url",)
NEWS = ("recording_added", "recording_updated")
"""The hooks that are read. Highlights and stories are not calls, and what is deleted at Grain stays in callstream."""
READY_AFTER = timedelta(minutes=2)
"""memory: a recording is announced before its transcript is there."""
AUDIO = ".mp3", "audio/mpeg"
VIDEO = ".mp4", "video/mp4"


def external_id_of(payload: Payload) -> str:
    """`id`, a UUID."""
    return id_at(payload, "id")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a recording with its transcript. Times are whole milliseconds."""
    recording_id = external_id_of(payload)
    start = instant_at(payload, "start_datetime")
    duration = number_at(payload, "duration_ms", 1)
    if duration is None:
        duration = length_between(start, instant_at(payload, "end_datetime"))
    people = (participant(person, where) for where, person in objects_at(payload, "participants"))
    return assembled(
        title=text_at(payload, "title") or f"Grain recording {recording_id}",
        start=start,
        duration=duration,
        segments=_segments(payload),
        spoken=payload.get("transcript"),
        people=everybody(people),
        metadata={name: payload.get(name) for name in METADATA},
        language=None,
    )


def _segments(payload: Payload) -> tuple[Segment, ...]:
    said = (
        utterance(entry, where, text_at(entry, "speaker", where=f"{where}."), 1, ("start", "end"))
        for where, entry in objects_at(payload, "transcript")
    )
    return tuple(segment for segment in said if segment is not None)


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The recording that was added or changed. A test of the address brings no event, and so nothing."""
    text, value = body_text(delivery)
    if not text.strip() or (isinstance(value, dict) and value.get("type") not in NEWS):
        return []
    data = value.get("data") if isinstance(value, dict) else None
    found = received(text, data, external_id_of)
    return [found if found.external_id.startswith("invalid-") else Notice(found.external_id, READY_AFTER)]


async def validate(api: Api) -> Account:
    """Whose token it is. The address is of the API before this one: without it, any answer proves the token."""
    try:
        me = object_in(await api.get(f"{API}/me"), "Grain")
    except MissingFault:
        await api.post("/users", json={})
        return Account("Grain account")
    name = next((str(me[key]) for key in ("email", "name", "id") if me.get(key)), "Grain account")
    return Account(name, str(me.get("id") or ""))


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A page of recordings that began in the window, newest first. How many it holds is Grain's choice."""
    wanted = {"filter": _filter(window), "include": INCLUDE} | ({"cursor": cursor} if cursor else {})
    with place_in_list("Grain", cursor):
        answer = object_in(await api.post("/recordings", json=wanted), "Grain")
    items = [_listed(recording) for recording in objects(answer.get("recordings"), "Grain")]
    return Page([item for item in items if is_in(window, item.started_at)], answer.get("cursor") or None)


def _filter(window: Window) -> dict[str, Any]:
    """By the names of the dates: the vendor's own descriptions of the two are interchanged."""
    dates = {"after_datetime": stamp(window.since), "before_datetime": stamp(window.until)}
    return {**dates, **{name: value for name, value in window.filters.items() if value}}


def _listed(recording: Payload) -> Item:
    start = instant(recording.get("start_datetime"))
    return Item(listed_id(recording, external_id_of, "Grain"), recording, start)


async def find(api: Api, external_id: str) -> Item:
    """The recording of that id."""
    return _listed(object_in(await api.post(f"/recordings/{external_id}", json={"include": INCLUDE}), "Grain"))


async def fetch(api: Api, item: Item) -> Found:
    """The recording with its transcript, which is an empty list or missing until Grain has written it."""
    try:
        spoken = objects(await api.get(f"/recordings/{item.external_id}/transcript"), "Grain")
    except MissingFault:
        spoken = []
    payload = {**without(item.data, SIGNED), "transcript": spoken}
    ready, recording = has_words(spoken), None
    if item.data.get("media_type") != "transcript":
        ending, kind = AUDIO if item.data.get("media_type") == "audio" else VIDEO
        url = f"{API}/v2/recordings/{item.external_id}/download"
        recording = Recording(url, f"{item.external_id}{ending}", kind, authorised=True, bucket="default")
    waits = not ready and is_fresh(api.now, instant(item.data.get("end_datetime")))
    return Found(payload, ready, recording, "Grain is still writing the transcript." if waits else None)


GRAIN = Connector(
    source_app="grain",
    display_name="Grain",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        url_token,
        read_webhook,
        key_from="us",
        setup="Grain does not sign its hooks, so the address holds a secret: give it to nobody else. Create hooks of "
        "the types recording_added and recording_updated with this address through Grain's API (/v2/hooks/create).",
    ),
    empty="Grain has neither a transcript nor a recording of this call.",
    base=f"{API}/v2",
    auths=(
        Auth(
            "api_key",
            bearer("token", Public_Api_Version=VERSION),
            (Field("token", "Access token", help="At Grain under Settings, Integrations, API. A workspace token sees "
                   "all recordings, a personal one your own."),),
        ),
        Auth(
            "oauth",
            bearer(Public_Api_Version=VERSION),
            oauth=OAuth(AUTHORIZE, f"{API}/oauth2/token", (), pkce=True, body="json"),
            instructions="Grain asks whether callstream may read your recordings.",
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        filters=(
            Field("title_search", "Words of the title", False, False, help="Only calls with these words in it."),
            Field("participant_scope", "Participants", False, False, help="internal or external."),
        ),
        gives_up="Grain had no transcript of this call after two days of trying.",
    ),
    limits=(Limit(300, 60),),
    docs_url="https://developers.grain.com",
)  # fmt: skip
