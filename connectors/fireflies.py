"""Fireflies: pull by API key through GraphQL, and webhooks that name a transcript. Vendor pages:
https://docs.fireflies.ai, November 2025.

A listing asks for the sentences too: with 50 requests a day, as the smaller plans have, a request a call would be too
many. What goes wrong is said in `errors`, whatever the status. `audio_url` and `video_url` are signed, belong to the
larger plans and are left out of the payload.
"""

from datetime import timedelta

from connectors.answers import broken
from connectors.auths import bearer
from connectors.contract import (
    DAY,
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
    Page,
    Pull,
    Received,
    Recording,
    Webhook,
    Window,
)
from connectors.fields import id_at, instant_at, list_at, text_at
from connectors.graphql import complaint
from connectors.listing import body_text, instant, is_fresh, is_in, listed_id, object_in, objects, stamp, without
from connectors.millis import epoch_at
from connectors.paging import cursor as cursor_of
from connectors.paging import parts
from connectors.payloads import Payload, received
from connectors.people import everybody, objects_at, participant
from connectors.signatures import fireflies
from connectors.utterances import assembled, has_words, number_at, utterance
from schemas.calls import NormalizedCall, Participant, Segment
from schemas.faults import ConfigFault, MissingFault, TransientFault

FIELDS = (
    "id title date dateString duration organizer_email participants transcript_url calendar_type is_live "
    "speakers { id name } meeting_attendees { displayName email phoneNumber name location } "
    "meeting_info { silent_meeting summary_status } summary { overview action_items keywords } "
    "sentences { index speaker_id speaker_name text raw_text start_time end_time }"
)
METADATA = ("transcript_url", "organizer_email", "calendar_type", "meeting_info", "summary")
MEDIA = ("audio_url", "video_url")
PLANS = {"free": ("daily", 0), "pro": ("daily", 1), "business": ("default", 2), "enterprise": ("default", 2)}
"""By plan: the bucket its requests count in, and how many of MEDIA may be asked for."""
PRO_A_DAY = 50
"""A later list of the vendor's says 500 for the Pro plan; the smaller number is safe."""
PAGE = 20
"""Of the 50 that are allowed: a page with all sentences of 50 long meetings takes the vendor too long."""
DOUBTS = 2
"""An empty page is asked for again so often, unless requests are few; and so is the page before, if it comes again."""
SPREAD = timedelta(hours=2)
"""`date`, by which a listing goes, is coarser than `dateString`, the real start."""


def external_id_of(payload: Payload) -> str:
    """`id` of the transcript."""
    return id_at(payload, "id")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a transcript. Its length is in minutes and its positions are in seconds, at times as texts."""
    call_id, start = external_id_of(payload), instant_at(payload, "dateString")
    people = [
        participant(person, where, name="displayName" if person.get("displayName") else "name", phone="phoneNumber")
        for where, person in objects_at(payload, "meeting_attendees")
    ]
    invited = ",".join(entry for entry in list_at(payload, "participants") if isinstance(entry, str)).split(",")
    people += [Participant(email=email.strip()) for email in invited if "@" in email]
    people += [participant(speaker, where, email="-") for where, speaker in objects_at(payload, "speakers")]
    return assembled(
        title=text_at(payload, "title") or f"Fireflies call {call_id}",
        start=start if start is not None else epoch_at(payload, "date"),
        duration=number_at(payload, "duration", 60_000),
        segments=_segments(payload),
        spoken=payload.get("sentences"),
        people=everybody(people),
        metadata={name: payload.get(name) for name in METADATA},
        language=None,
    )


def _segments(payload: Payload) -> tuple[Segment, ...]:
    names = {str(speaker.get("id")): text_at(speaker, "name") for _, speaker in objects_at(payload, "speakers")}
    said = []
    for where, entry in objects_at(payload, "sentences"):
        speaker = text_at(entry, "speaker_name", where=f"{where}.") or names.get(str(entry.get("speaker_id")))
        said.append(utterance(entry, where, speaker, 1000, ("start_time", "end_time")))
    return tuple(segment for segment in said if segment is not None)


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The transcript that is ready. V2 names its events, V1 has one and writes its names in another way."""
    text, value = body_text(delivery)
    if not isinstance(value, dict):
        return [received(text, None, external_id_of)]
    event = value.get("event", value.get("eventType"))
    if event not in ("meeting.transcribed", "Transcription completed"):
        return []
    found = received(text, {"id": value.get("meeting_id") or value.get("meetingId")}, external_id_of)
    return [found if found.external_id.startswith("invalid-") else Notice(found.external_id)]


async def validate(api: Api) -> Account:
    """Whose key it is."""
    data = await _ask(api, "query Owner { user { user_id email name } }", {})
    user = object_in(data.get("user"), "Fireflies")
    return Account(str(user.get("email") or user.get("name") or "Fireflies account"), str(user.get("user_id") or ""))


def _plan(api: Api) -> tuple[str, int]:
    name = api.credential.get("plan", "").strip().casefold()
    if name not in PLANS:
        sentence = "Fireflies has the plans Free, Pro, Business and Enterprise. Enter yours and connect again."
        raise ConfigFault("plan_unknown", sentence)
    return PLANS[name]


async def _ask(api: Api, query: str, variables: Payload) -> Payload:
    bucket, _ = _plan(api)
    answer = object_in(await api.post("/graphql", json={"query": query, "variables": variables}, bucket=bucket),
                       "Fireflies")  # fmt: skip
    return object_in(answer.get("data"), "Fireflies")


async def _with_media(api: Api, query: str, variables: Payload) -> Payload:
    """The answer with as many of MEDIA as the plan allows. Asking for one too many fails the whole request."""
    for count in range(_plan(api)[1], -1, -1):
        try:
            return await _ask(api, query.replace("FIELDS", " ".join([FIELDS, *MEDIA[:count]])), variables)
        except ConfigFault as fault:
            if fault.reason != "plan_insufficient" or not count:
                raise
    raise AssertionError("the last round returns or raises")


LIST = """query Calls($from: DateTime, $to: DateTime, $limit: Int, $skip: Int) {
  transcripts(fromDate: $from, toDate: $to, limit: $limit, skip: $skip) { FIELDS } }"""
ONE = "query Call($id: String!) { transcript(id: $id) { FIELDS } }"


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A page of transcripts with their sentences, newest first. A short page is the last. One that is empty or comes
    again is asked for again, and one that takes too long is asked for in smaller ones."""
    at = parts(cursor, skip=0, size=PAGE, again=0, last="")
    dates = {"from": stamp(window.since - SPREAD), "to": stamp(window.until + SPREAD)}
    try:
        data = await _with_media(api, LIST, {**dates, "limit": at["size"], "skip": at["skip"]})
    except TransientFault as fault:
        if fault.detail != "request_timeout" or at["size"] == 1:
            raise
        return Page((), cursor_of(**{**at, "size": max(at["size"] // 4, 1)}))
    items = [_listed(transcript) for transcript in objects(data.get("transcripts") or [], "Fireflies")]
    page = [item for item in items if is_in(window, item.started_at)]
    first = items[0].external_id if items else ""
    repeated = bool(items) and first == at["last"]
    if (repeated or (not items and _plan(api)[0] == "default")) and at["again"] < DOUBTS:
        return Page(page, cursor_of(**{**at, "again": at["again"] + 1}))
    if repeated:
        raise broken("Fireflies", "the same page again and again")
    following = {"skip": at["skip"] + len(items), "size": at["size"], "last": first}
    return Page(page, cursor_of(**following) if len(items) == at["size"] else None)


def _listed(transcript: Payload) -> Item:
    return Item(listed_id(transcript, external_id_of, "Fireflies"), transcript, instant(transcript.get("dateString")))


async def find(api: Api, external_id: str) -> Item:
    """The transcript of that id."""
    data = await _with_media(api, ONE, {"id": external_id})
    if data.get("transcript") is None:
        raise MissingFault("not_at_source", "Fireflies does not have it, or not any more.")
    return _listed(object_in(data["transcript"], "Fireflies"))


async def fetch(api: Api, item: Item) -> Found:
    """What the listing brought: a meeting in which nobody spoke has no sentences, nor has one that just ended."""
    url = next((item.data[name] for name in MEDIA if isinstance(item.data.get(name), str)), None)
    ending = "mp3" if url and url == item.data.get("audio_url") else "mp4"
    recording = Recording(url, f"{item.external_id}.{ending}") if url else None
    ready, info = has_words(item.data.get("sentences")), item.data.get("meeting_info")
    silent = isinstance(info, dict) and info.get("silent_meeting") is True
    waits = not ready and not silent and (item.data.get("is_live") is True or is_fresh(api.now, item.started_at))
    why = "Fireflies is still writing the transcript." if waits else None
    return Found(without(item.data, MEDIA), ready, recording, why)


FIREFLIES = Connector(
    source_app="fireflies",
    display_name="Fireflies",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        fireflies,
        read_webhook,
        setup="At Fireflies, under Settings, Developer settings, enter this address and a secret of 16 to 32 "
        "characters, and the same secret here. Fireflies tells of the meetings that you organised yourself.",
    ),
    empty="Fireflies has no words of this call, and its plan gives no recording.",
    base="https://api.fireflies.ai",
    auths=(
        Auth(
            "api_key",
            bearer("api_key"),
            (
                Field("api_key", "API key", help="At Fireflies under Integrations, Fireflies API."),
                Field("plan", "Your plan at Fireflies", False, placeholder="Free, Pro, Business or Enterprise",
                      help="It says how many requests a day are allowed."),
            ),
        ),
    ),
    validate=validate,
    pull=Pull(list_page, fetch, find, timedelta(days=1), spends={"daily": 1 / PAGE},
              gives_up="Fireflies had no transcript of this call after two days of trying."),
    complaint=complaint("Fireflies"),
    limits=(Limit(60, 60), Limit(PRO_A_DAY, DAY, "daily")),
    docs_url="https://docs.fireflies.ai",
)  # fmt: skip
