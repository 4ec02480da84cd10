"""Dialpad: ended calls with their transcripts and recordings, by a company's key or by OAuth.

Vendor pages: https://developers.dialpad.com/reference and …/docs/call-events, checked November 2025.
A payload is the call object word for word but for the addresses of recordings and the links that share them;
`transcript` is the answer of one further request. Ids and times are texts, times in milliseconds; empty fields are left
out; a call has no title. Transcript lines have an absolute time in UTC without a zone, and no end; moments and
questions stand between them.
"""

from datetime import timedelta

from connectors import dialpad_parts as parts
from connectors.answers import json_of
from connectors.auths import bearer
from connectors.contract import (
    Account,
    Answer,
    Api,
    Auth,
    BadSignature,
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
    Webhook,
    Window,
)
from connectors.fields import list_at, object_at
from connectors.listing import is_fresh, is_in, listed_id, object_in, objects
from connectors.millis import epoch_at, epoch_ms, epoch_of, position
from connectors.payloads import Payload, invalid_id
from connectors.people import objects_at
from connectors.signatures import dialpad
from connectors.utterances import Started, assembled, length_between, number_at, until_next
from schemas.calls import NormalizedCall, Participant
from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, MissingFault

NAME = "Dialpad"
SERVERS = ("dialpad.com", "sandbox.dialpad.com")
LISTS, RECORDS = "calls:list", "recordings_export"
WRITTEN_WITHIN = timedelta(hours=1)
"""How long after a call its transcript or recording may still appear. (memory)"""
READY = frozenset({"recording", "admin_recording", "call_transcription", "transcription", "voicemail"})
METADATA = (
    "direction", "date_started", "date_connected", "date_ended", "total_duration", "external_number",
    "internal_number", "entry_point_call_id", "master_call_id", "group_id", "is_transferred", "labels", "state",
)  # fmt: skip


def server(credential: Credential) -> str:
    """The API of the company, or of its sandbox. Raises `ConfigFault` for any other server: a key goes to no other."""
    host = credential.get("server", "").strip().lower() or SERVERS[0]
    if host not in SERVERS:
        sentence = f"Dialpad's server is {SERVERS[0]}, or {SERVERS[1]} for a sandbox. Correct it and connect again."
        raise ConfigFault("address_invalid", sentence)
    return f"https://{host}/api/v2"


async def validate(api: Api) -> Account:
    """The company, and whether calls may be listed."""
    company = object_in(await api.get("/company"), NAME)
    now = epoch_ms(api.now)
    tried = await api.send("GET", "/call", params={"started_after": now - 1000, "started_before": now}, ok=(403,))
    lacking = (LISTS,) if tried.status == 403 else ()
    return Account(str(company.get("name") or NAME), str(company.get("id") or ""), lacking)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """Ended calls, newest first. Nobody talked in a call that was never connected, unless there is a voicemail."""
    params = {
        "started_after": epoch_ms(window.since) - 1,
        "started_before": epoch_ms(window.until) + 1,
        "target_id": window.filters.get("target_id") or None,
        "target_type": window.filters.get("target_type") or None,
        "cursor": cursor,
    }
    answer = object_in(await api.get("/call", params=params), NAME)
    items = [_item(call) for call in objects(answer.get("items", []), NAME) if _is_talk(call)]
    return Page([item for item in items if is_in(window, item.started_at)], answer.get("cursor") or None)


async def find(api: Api, external_id: str) -> Item:
    """One call, by its id. Dialpad allows ten such requests a minute, so this is for single calls only."""
    if not (external_id.isascii() and external_id.isdigit()):
        raise MissingFault("not_at_source", "Dialpad has no call of this number.")
    return _item(object_in(await api.get(f"/call/{external_id}", bucket="detail"), NAME))


async def fetch(api: Api, item: Item) -> Found:
    """The call with its transcript. There is none for a call that was not transcribed, or was not transcribed yet."""
    call = dict(item.data)
    payload = parts.without_addresses(call)
    answer = await api.send("GET", f"/transcripts/{item.external_id}", ok=(404,))
    transcript = object_in(json_of(answer, NAME), NAME) if answer.status == 200 else {}
    recording = parts.recording_of(call, SERVERS)
    if any(map(parts.is_spoken, objects(transcript.get("lines") or [], NAME))):
        return Found({**payload, "transcript": transcript}, True, recording)
    if is_fresh(api.now, epoch_of(call.get("date_ended")), WRITTEN_WITHIN):
        return Found(payload, False, recording, "Dialpad may still be writing the transcript of this call.")
    if recording is None:
        raise MissingFault("nothing_recorded", DIALPAD.empty)
    return Found(payload, False, recording)


def verify(delivery: Delivery) -> str:
    """The id of a delivery whose body is a token that this endpoint's secret has signed."""
    return dialpad(delivery)[0]


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The call of an event. Hang-up comes before transcript and recording, so such a call is looked for later."""
    try:
        event = dialpad(delivery)[1]
        name = parts.external_id_of(event)
    except (BadSignature, InvalidCall):
        text = delivery.body.decode("utf-8", "replace")
        return [Received(invalid_id(text), text)]
    if event.get("state") in READY:
        return [Notice(name)]
    talked = event.get("state") == "hangup" and (event.get("was_recorded") or event.get("date_connected"))
    return [Notice(name, timedelta(minutes=15))] if talked else []


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a call object with its transcript.

    It begins with its recording, else when the two sides were connected, unless words were written down before that.
    """
    name, said = parts.external_id_of(payload), parts.lines(object_at(payload, "transcript"))
    recording = parts.longest(objects_at(payload, "recording_details"))
    begins = (
        epoch_at(recording, "start_time", where="recording_details.") if recording else None,
        epoch_at(payload, "date_connected"),
        epoch_at(payload, "date_started"),
    )
    first = said[0][0] if said else None
    start = next((time for time in begins if time and (first is None or time <= first)), first)
    length = length_between(start, epoch_at(payload, "date_ended"))
    if length is None:
        length = number_at(payload, "duration", 1)
    started: list[Started] = [(who, words, position(time, start or time)) for time, who, words in said]
    spoken = list_at(object_at(payload, "transcript"), "lines")
    target, contact = parts.person(payload, "target"), parts.person(payload, "contact")
    return assembled(
        title=parts.title(payload, contact, name),
        start=start,
        duration=length,
        segments=until_next(started, length),
        spoken=spoken,
        people=parts.once((target, contact, *(Participant(name=who) for _, who, _ in said))),
        metadata={key: payload.get(key) for key in METADATA},
        language=None,
    )


def _is_talk(call: Payload) -> bool:
    return bool(call.get("date_connected") or call.get("recording_details"))


def _item(call: Payload) -> Item:
    return Item(listed_id(call, parts.external_id_of, NAME), call, epoch_of(call.get("date_started")))


def _complaint(answer: Answer) -> Fault | None:
    """A cursor that is not known any more: a 400 that only its text tells. (memory)"""
    if answer.status != 400 or b"cursor" not in answer.body.lower():
        return None
    return CursorFault("cursor_expired", "Dialpad has forgotten the place in its list. The listing begins again.")


SERVER = Field("server", "Server", False, False, default=SERVERS[0], help=f"Enter {SERVERS[1]} for a sandbox.")
DIALPAD = Connector(
    source_app="dialpad",
    display_name=NAME,
    to_call=to_call,
    external_id_of=parts.external_id_of,
    webhook=Webhook(
        verify,
        read_webhook,
        key_from="us",
        setup="Make a webhook with POST /webhooks, with this address as hook_url and the secret, and then a "
        "subscription with POST /subscriptions/call for the states hangup, recording, admin_recording and "
        "call_transcription.",
    ),
    empty="Dialpad has neither a transcript nor a recording of this call.",
    base=server,
    auths=(
        Auth(
            "api_key",
            bearer("api_key"),
            (Field("api_key", "API key", help="A company administrator makes it in Dialpad's admin settings."), SERVER),
            instructions=f"The key needs the scopes {LISTS} and {RECORDS}.",
        ),
        Auth(
            "oauth",
            bearer(),
            oauth=OAuth(
                "https://dialpad.com/oauth2/authorize",
                "https://dialpad.com/oauth2/token",
                (LISTS, RECORDS, "offline_access"),  # the last one asks for a refresh token (memory)
                pkce=True,
                body="json",
            ),
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        filters=(
            Field("target_id", "Target", False, False, help="The id of a user, office, department or call centre."),
            Field("target_type", "Kind of target", False, False, help="One of user, office, department, callcenter."),
        ),
        spends={"default": 1.1},
        gives_up="Dialpad had neither a transcript nor a recording of this call after two days of trying.",
    ),
    limits=(Limit(20, 1), Limit(10, 60, "detail")),
    complaint=_complaint,
    docs_url="https://developers.dialpad.com/reference",
)
