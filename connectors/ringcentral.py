"""RingCentral: recorded calls, pulled by OAuth, announced by webhooks. Vendor pages:
https://developers.ringcentral.com/api-reference/Call-Log and /RingSense, checked November 2025.

The payload is the record of the call log. Several legs of one call may have recordings: each is a call of its own, and
one that the record itself does not name stands in the payload with its leg, as `leg`. What RingSense has heard stands
under `insights`; without its licence there is only the recording. All of this spends the ten heavy requests a minute.
"""

import json
import re
from datetime import timedelta

from connectors.answers import json_of
from connectors.auths import bearer
from connectors.contract import (
    Account,
    Answer,
    Api,
    Auth,
    Connector,
    Delivery,
    Found,
    Item,
    Limit,
    LimitHeaders,
    Notice,
    OAuth,
    Page,
    Pull,
    Received,
    Recording,
    Webhook,
    Window,
)  # fmt: skip
from connectors.fields import object_at
from connectors.listing import body_text, instant, is_fresh, is_in, object_in, objects, place_in_list, stamp
from connectors.paging import cursor as written_cursor
from connectors.paging import parts
from connectors.payloads import Payload, invalid_id
from connectors.people import objects_at
from connectors.ringcentral_calls import ended, external_id_of, recordings_of, to_call
from connectors.signatures import ringcentral as signed
from connectors.signatures import ringcentral_challenge
from connectors.utterances import has_words
from schemas.faults import ConfigFault, Fault, InvalidCall, MissingFault, TransientFault

HOST = "https://platform.ringcentral.com"
MEDIA = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.ringcentral\.com/")
"""Where a recording may be downloaded with the account's token."""
COMPANY, OWN = "/account/~/call-log", "/account/~/extension/~/call-log"
PER_PAGE = 100
NEEDED = ("ReadCallLog", "ReadCallRecording")
RINGSENSE = "RingSense"
"""memory: a part of the name of its right, in the `scope` of a token."""
INSIGHTS = "/ai/ringsense/v1/public/accounts/~/domains/pbx/records/{}/insights"
LISTENS = timedelta(hours=2)
"""memory: RingSense is done by then."""
SETTLES = timedelta(minutes=5)
"""How long after a call is over its recording is looked for: no event says that it is ready."""
LEFT = ("x-rate-limit-remaining", "x-rate-limit-window")
LOOKS_BACK = ((3, 4), (30, 10))
"""One recording is looked for among those of so many days, on so many pages at most."""
OVER = "Disconnected"
SOUND = {"audio/wav": "wav", "audio/mpeg": "mp3"}


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The recordings of a call that is over. The other states of a call, and reminders, bring nothing.

    memory: `body.parties[]` with `status.code` and `recordings[].id`.
    """
    text, value = body_text(delivery)
    if not text.strip() or (isinstance(value, dict) and "/telephony/sessions" not in str(value.get("event"))):
        return []
    try:
        parties = [party for _, party in objects_at(object_at(value, "body"), "parties")]
        over = all(object_at(party, "status").get("code") == OVER for party in parties)
        found = [entry for party in parties for _, entry in objects_at(party, "recordings")]
        ids = dict.fromkeys(external_id_of({"recording": entry}) for entry in found)
    except (InvalidCall, AttributeError):
        return [Received(invalid_id(text), text)]
    return [Notice(external_id, SETTLES) for external_id in ids] if over else []


async def validate(api: Api) -> Account:
    """Whose token it is. Limits count by user."""
    me = object_in(await api.get("/account/~/extension/~", bucket="light"), "RingCentral")
    contact = object_in(me.get("contact") or {}, "RingCentral")
    label = next((str(name) for name in (contact.get("email"), me.get("name"), me.get("id")) if name), "RingCentral")
    rights = api.credential.get("scope", "").split()
    return Account(label, str(me.get("id") or ""), tuple(name for name in NEEDED if rights and name not in rights))


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A page of the recorded calls of the company, or of the user where they may see no others."""
    place = parts(cursor, page=1, own=False)
    dates = {"dateFrom": stamp(window.since), "dateTo": stamp(window.until)}
    asked = {**dates, "recordingType": "All", "view": "Detailed", "perPage": PER_PAGE, "page": place["page"]}
    with place_in_list("RingCentral", cursor):
        try:
            answer = await api.get(OWN if place["own"] else COMPANY, params=asked, bucket="heavy")
        except ConfigFault as fault:
            if fault.reason != "permission_missing" or cursor is not None:
                raise
            place["own"], answer = True, await api.get(OWN, params=asked, bucket="heavy")
    answer = object_in(answer, "RingCentral")
    items = [item for record in objects(answer.get("records"), "RingCentral") for item in _listed(record)]
    more = "nextPage" in object_in(answer.get("navigation") or {}, "RingCentral")
    following = written_cursor(page=place["page"] + 1, own=place["own"]) if more else None
    return Page([item for item in items if is_in(window, item.started_at)], following)


def _listed(record: Payload) -> list[Item]:
    """One item a recording. A call without one has none yet, which the next listings find out."""
    times = instant(record.get("startTime")), instant(record.get("lastModifiedTime"))
    return [Item(external_id, payload, *times) for external_id, payload in recordings_of(record)]


async def count(api: Api, window: Window) -> int | None:
    """How many recorded calls there are, which RingCentral says only sometimes."""
    asked = {"dateFrom": stamp(window.since), "dateTo": stamp(window.until), "recordingType": "All", "perPage": 1}
    try:
        answer = object_in(await api.get(COMPANY, params=asked, bucket="heavy"), "RingCentral")
    except ConfigFault:
        return None
    total = object_in(answer.get("paging") or {}, "RingCentral").get("totalElements")
    return total if type(total) is int else None


async def find(api: Api, external_id: str) -> Item:
    """The call of a recording, among those of the last days: the recording itself does not name it."""
    for days, pages in LOOKS_BACK:
        window, cursor = Window(api.now - timedelta(days=days), api.now), None
        for _ in range(pages):
            page = await list_page(api, window, cursor)
            found = next((item for item in page.items if item.external_id == external_id), None)
            if found is not None:
                return found
            cursor = page.cursor
            if cursor is None:
                break
    raise MissingFault("not_at_source", "RingCentral does not list this recording, or not any more.")


async def fetch(api: Api, item: Item) -> Found:
    """The record with what RingSense heard, and its recording."""
    recording = object_at(object_at(dict(item.data), "leg") or dict(item.data), "recording")
    insights, may_come = await _insights(api, item.external_id)
    ready = has_words(object_at(insights, "insights").get("Transcript"))
    url = str(recording.get("contentUri") or f"{HOST}/restapi/v1.0/account/~/recording/{item.external_id}/content")
    ending = SOUND.get(str(recording.get("contentType")), "mp3")
    sound = (
        Recording(url, f"{item.external_id}.{ending}", authorised=True, bucket="heavy") if MEDIA.match(url) else None
    )
    waits = not ready and may_come and is_fresh(api.now, ended(item.data), LISTENS)
    payload = {**item.data} | ({"insights": insights} if insights else {})
    return Found(payload, ready, sound, "RingSense has not heard this call yet." if waits else None)


async def _insights(api: Api, external_id: str) -> tuple[Payload, bool]:
    """What RingSense heard, and whether it may come later."""
    if RINGSENSE not in api.credential.get("scope", RINGSENSE):
        return {}, False
    try:
        return object_in(await api.get(HOST + INSIGHTS.format(external_id), bucket="heavy"), "RingCentral"), True
    except MissingFault:
        return {}, True
    except ConfigFault as fault:
        if fault.reason != "permission_missing":
            raise
        return {}, False


def complaint(answer: Answer) -> Fault | None:
    """The right that is missing, by its name."""
    if answer.status != 403:
        return None
    try:
        said = json_of(answer, "RingCentral")
    except TransientFault:
        said = None
    text = json.dumps(said) if isinstance(said, dict) else ""
    named = re.search(r'"permissionName": "([A-Za-z]{3,60})"|\[([A-Za-z]{3,60})\]', text)
    right = f"the right {named[1] or named[2]}" if named else "a right that is needed"
    sentence = f"RingCentral says that this account lacks {right}. Give it to the app and to the user there, then "
    return ConfigFault("permission_missing", f"{sentence}connect it again.", detail=f"{answer.url} answered 403")


RINGCENTRAL = Connector(
    source_app="ringcentral",
    display_name="RingCentral",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        signed,
        read_webhook,
        ringcentral_challenge,
        key_from="us",
        setup="Create a subscription through RingCentral's API (/restapi/v1.0/subscription) with this address, this "
        "secret as its verificationToken, and the event filter /restapi/v1.0/account/~/telephony/sessions.",
    ),
    empty="RingCentral has no recording of this call that can be read.",
    base=f"{HOST}/restapi/v1.0",
    auths=(
        Auth(
            "oauth",
            bearer(),
            oauth=OAuth(
                f"{HOST}/restapi/oauth/authorize", f"{HOST}/restapi/oauth/token", (), pkce=True, client_in="header",
                keeps=("scope", "owner_id"),
            ),
            instructions="The app at RingCentral needs ReadCallLog and ReadCallRecording, and must issue refresh "
            "tokens. Calls of the whole company are read when the user has FullCompanyCallLog.",
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        count=count,
        spends={"heavy": 1.1},
        gives_up="RingCentral had no recording of this call within two days of trying.",
    ),
    limits=(Limit(10, 60, "heavy"), Limit(40, 60, "medium"), Limit(50, 60, "light")),
    limit_headers=tuple(LimitHeaders(*LEFT, bucket=name) for name in ("heavy", "medium", "light")),
    complaint=complaint,
    docs_url="https://developers.ringcentral.com/api-reference",
)  # fmt: skip
