"""Gong: pull by access key or OAuth, and automation rules that tell of a call. Vendor pages:
https://gong.app.gong.io/settings/api/documentation, checked November 2025.

A page of calls is read in a few requests: the calls with their parties, and then all their transcripts. The payload
is the call of `/v2/calls/extensive` word for word, with its transcript under `transcript`. Left out are `media`, whose
addresses are signed, and `metaData.meetingUrl`, which often carries the meeting's passcode. A listing goes by the time
a call was scheduled for.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.auths import basic, bearer
from connectors.contract import (
    DAY,
    Account,
    Api,
    Auth,
    Connector,
    Credential,
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
from connectors.fields import id_at, instant_at, object_at, text_at
from connectors.gong_pages import read_calls, transcripts
from connectors.listing import (
    body_text,
    instant,
    is_fresh,
    is_in,
    listed_id,
    object_in,
    objects,
    stamp,
    without,
)
from connectors.payloads import Payload, received
from connectors.people import everybody, objects_at, participant
from connectors.signatures import gong, gong_key
from connectors.utterances import assembled, number_at, utterance
from schemas.calls import NormalizedCall, Segment
from schemas.faults import ConfigFault, MissingFault

METADATA = (
    "url", "scheduled", "direction", "system", "scope", "media", "workspaceId", "primaryUserId", "purpose", "isPrivate",
    "calendarEventId", "clientUniqueId",
)  # fmt: skip
"""What is kept beside the call."""
SCOPES = (
    "api:calls:read:basic", "api:calls:read:extensive", "api:calls:read:transcript", "api:calls:read:media-url",
    "api:users:read",
)  # fmt: skip
OURS = re.compile(r"https://([a-z0-9-]{1,63}\.){0,3}gong\.io")
SPREAD = timedelta(hours=3)
"""How far from its schedule a meeting may begin and still be found."""
WAITS = "Gong is still writing the transcript."


def base(credential: Credential) -> str:
    """The customer's own address, which the token answer or the person gave. Only Gong's servers get the credential."""
    given = credential.get("api_base_url_for_customer", "").strip().rstrip("/").lower() or "https://api.gong.io"
    if not OURS.fullmatch(given):
        sentence = "The API address of a Gong account looks like https://acme.api.gong.io. Connect again with yours."
        raise ConfigFault("address_invalid", sentence)
    return given


def external_id_of(payload: Payload) -> str:
    """`metaData.id`: up to 20 digits, which only a text holds."""
    return id_at(object_at(payload, "metaData"), "id", where="metaData.")


def to_call(payload: Payload) -> NormalizedCall:
    """The call with its parties and transcript, in which a speaker is only a number that a party has too."""
    call_id, about = external_id_of(payload), object_at(payload, "metaData")
    parties = objects_at(payload, "parties")
    return assembled(
        title=text_at(about, "title") or f"Gong call {call_id}",
        start=instant_at(about, "started"),
        duration=number_at(about, "duration", 1000),
        segments=_segments(payload, {
            speaker: text_at(party, "name") or text_at(party, "emailAddress") or text_at(party, "phoneNumber")
            for where, party in parties if (speaker := text_at(party, "speakerId", where=f"{where}."))
        }),
        spoken=payload.get("transcript"),
        people=everybody(
            participant(party, where, email="emailAddress", phone="phoneNumber") for where, party in parties
        ),
        metadata={name: about.get(name) for name in METADATA},
        language=text_at(about, "language"),
    )  # fmt: skip


def _segments(payload: Payload, names: dict[str, str | None]) -> tuple[Segment, ...]:
    said = [
        utterance(sentence, f"{where}.{at}", names.get(str(turn.get("speakerId"))), 1, ("start", "end"))
        for where, turn in objects_at(payload, "transcript")
        for at, sentence in objects_at(turn, "sentences")
    ]
    return tuple(segment for segment in said if segment is not None)


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The call that a rule names. Its body has no transcript, so the call is read; a test names nothing."""
    text, value = body_text(delivery)
    if isinstance(value, dict) and value.get("isTest") is True:
        return []
    found = received(text, value.get("callData") if isinstance(value, dict) else None, external_id_of)
    return [found if found.external_id.startswith("invalid-") else Notice(found.external_id)]


async def validate(api: Api) -> Account:
    """The company: by its own address, else by the mail domain of its users. Gong counts requests by company."""
    users = objects(object_in(await api.get("/v2/users"), "Gong").get("users") or [], "Gong")
    domains = [str(user.get("emailAddress") or "").rpartition("@")[2] for user in users]
    host = base(api.credential).removeprefix("https://")
    own = "" if host == "api.gong.io" else host
    granted = api.credential.get("scope", "").split()
    missing = tuple(scope for scope in SCOPES if granted and scope not in granted)
    label = next(filter(None, domains), own or "Gong account")
    return Account(label, own or api.credential.get("access_key", ""), missing)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A hundred calls that began in the window, with their transcripts."""
    dates = {"fromDateTime": stamp(window.since - SPREAD), "toDateTime": stamp(window.until + SPREAD)}
    calls, following = await read_calls(api, {**dates, **window.filters}, cursor)
    found = [call for call in calls if is_in(window, _started(call))]
    return Page(await _items(api, found), following)


async def count(api: Api, window: Window) -> int | None:
    """How many calls the window holds."""
    dates = {"fromDateTime": stamp(window.since), "toDateTime": stamp(window.until)}
    try:
        answer = object_in(await api.get("/v2/calls", params={**dates, **window.filters}), "Gong")
    except MissingFault:
        return 0
    total = object_in(answer.get("records"), "Gong").get("totalRecords")
    return total if isinstance(total, int) else None


async def find(api: Api, external_id: str) -> Item:
    """The call of that id, with its transcript."""
    calls, _ = await read_calls(api, {"callIds": [external_id]}, None)
    if not calls:
        raise MissingFault("not_at_source", "Gong does not have this call, or not any more.")
    return (await _items(api, calls[:1]))[0]


async def fetch(api: Api, item: Item) -> Found:
    """What the listing brought. The recording is there when the connection may see its address."""
    media: Any = item.data.get("media")
    url = next((media[name] for name in ("audioUrl", "videoUrl") if media.get(name)), None) if media else None
    ready = any(turn.get("sentences") for turn in item.data["transcript"])
    kind = "mp3" if url and url == media.get("audioUrl") else "mp4"
    waits = None if ready or not is_fresh(api.now, item.started_at) else WAITS
    recording = Recording(url, f"{item.external_id}.{kind}") if url else None
    about = without(item.data["metaData"], ("meetingUrl",))
    return Found({**without(item.data, ("media",)), "metaData": about}, ready, recording, waits)


def _started(call: Payload) -> datetime | None:
    return instant(object_in(call.get("metaData"), "Gong").get("started"))


async def _items(api: Api, calls: Sequence[Payload]) -> list[Item]:
    ids = [listed_id(call, external_id_of, "Gong") for call in calls]
    spoken = await transcripts(api, ids)
    return [
        Item(call_id, {**call, "transcript": spoken.get(call_id, [])}, _started(call))
        for call_id, call in zip(ids, calls, strict=True)
    ]


ADDRESS = Field("api_base_url_for_customer", "API address", False, False, placeholder="https://acme.api.gong.io",
                help="At Gong beside the access key, if your company has an address of its own.")  # fmt: skip
WHERE = "A technical administrator makes it at Gong under Company Settings, Ecosystem, API."
KEY = Field("access_key", "Access key", False, help=WHERE)
SECRET = Field("access_key_secret", "Access key secret", help="Shown once beside the access key.")
SERVER = OAuth(
    "https://app.gong.io/oauth2/authorize", "https://app.gong.io/oauth2/generate-customer-token", SCOPES,
    client_in="header", extra={"access_type": "offline"}, keeps=("api_base_url_for_customer",),
)  # fmt: skip

GONG = Connector(
    source_app="gong",
    display_name="Gong",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        gong,
        read_webhook,
        setup="At Gong, add an automation rule that fires a webhook to this address, signed with a JWT header. Enter "
        "the public key that Gong shows there.",
        check_secret=gong_key,
    ),
    empty="Gong has neither a transcript nor a recording of this call.",
    base=base,
    auths=(
        Auth("basic", basic("access_key", "access_key_secret"), (KEY, SECRET, ADDRESS)),
        Auth("oauth", bearer(), oauth=SERVER),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        count=count,
        filters=(Field("workspaceId", "Workspace", False, False, help="The id of a workspace at Gong."),),
        spends={"default": 0.05},
        gives_up="Gong had no transcript of this call after two days of trying.",
    ),
    limits=(Limit(3, 1), Limit(10_000, DAY)),
    docs_url="https://gong.app.gong.io/settings/api/documentation",
)
