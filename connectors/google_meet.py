"""Google Meet: conference records with their transcripts, recordings and participants.

Vendor pages: https://developers.google.com/workspace/meet/api/reference/rest/v2, checked November 2025.
A payload is the conference record word for word; `participants`, `transcripts`, `transcript_entries` (of all
transcripts, one after the other), `recordings` and `meeting_space` are the answers of further requests. Addresses in it
lead to Google Drive and need a sign-in. A record is gone 30 days after its meeting. Transcript times are absolute; a
meeting has no title, so the room's code is used; people have names and no e-mail addresses.
"""

import re
from datetime import timedelta

from connectors import meetings
from connectors.answers import json_of
from connectors.contract import (
    Account,
    Answer,
    Api,
    Connector,
    Found,
    Item,
    Limit,
    Page,
    Pull,
    Recording,
    Webhook,
    Window,
)
from connectors.fields import id_at, object_at, text_at
from connectors.google import KEYS_URL, SCOPES_AT, complaint, connect_with_google, expired_cursor, not_granted
from connectors.listing import instant, is_fresh, is_in, listed_id, object_in, objects, stamp
from connectors.meetings import READY, record_of
from connectors.payloads import Payload, invalid
from connectors.people import everybody, objects_at
from connectors.signatures import google_push
from connectors.utterances import assembled, length_between
from schemas.calls import NormalizedCall
from schemas.faults import Fault, MissingFault

NAME = "Google Meet"
MEETINGS, FILES = f"{SCOPES_AT}meetings.space.readonly", f"{SCOPES_AT}drive.meet.readonly"
USER_INFO = "https://openidconnect.googleapis.com/v1/userinfo"
"""Who signed in. (memory)"""
DRIVE = "https://www.googleapis.com/drive/v3/files"
WRITTEN_WITHIN = timedelta(days=2)
"""How long after a meeting Google may still be writing. What has no file then is read as it is."""
APPEARS_WITHIN = timedelta(hours=1)
"""How long after a meeting its transcript or recording may still appear. (memory)"""
MAX_PAGES = 500
METADATA = ("startTime", "endTime", "expireTime", "space")


async def validate(api: Api) -> Account:
    """The signed-in user, and one meeting as proof."""
    user = object_in(await api.get(USER_INFO), NAME)
    missing = not_granted(api.credential, MEETINGS, FILES)
    if MEETINGS not in missing:
        await api.get("/conferenceRecords", params={"pageSize": 1})
    return Account(str(user.get("email") or user.get("name") or NAME), str(user.get("sub") or ""), missing)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A hundred records by their start, newest first."""
    until = stamp(window.until + timedelta(milliseconds=1))
    span = f'start_time>="{stamp(window.since)}" AND start_time<="{until}"'
    params = {"filter": span, "pageSize": 100, "pageToken": cursor}
    answer = object_in(await api.get("/conferenceRecords", params=params), NAME)
    items = [_item(record) for record in objects(answer.get("conferenceRecords", []), NAME)]
    return Page([item for item in items if is_in(window, item.started_at)], answer.get("nextPageToken") or None)


async def find(api: Api, external_id: str) -> Item:
    """One record, by its name."""
    if record_of(external_id) != external_id:
        raise MissingFault("not_at_source", "Google Meet has no meeting of this name.")
    return _item(object_in(await api.get(f"/{external_id}"), NAME))


async def fetch(api: Api, item: Item) -> Found:
    """The record with everything below it. A meeting that nobody recorded or transcribed is none to import."""
    name, record = item.external_id, dict(item.data)
    ended = instant(record.get("endTime"))
    if ended is None:
        return Found(record, False, waits_for="The meeting has not ended yet.")
    transcripts = await _all(api, f"{name}/transcripts", "transcripts", 100)
    recordings = await _all(api, f"{name}/recordings", "recordings", 100)
    if not transcripts and not recordings:
        if is_fresh(api.now, ended, APPEARS_WITHIN):
            return Found(record, False, waits_for="Google has neither a transcript nor a recording of it yet.")
        raise MissingFault("nothing_recorded", "Nobody recorded or transcribed this meeting: nothing to import.")
    unwritten, fresh = _unwritten(transcripts), is_fresh(api.now, ended, WRITTEN_WITHIN)
    if unwritten and fresh:
        return Found(record, False, waits_for="Google is still writing the transcript.")
    entries: list[Payload] = []
    for transcript in transcripts:
        below = listed_id(transcript, lambda entry: id_at(entry, "name"), NAME)
        if record_of(below) == name and transcript.get("state") == READY:
            entries += await _all(api, f"{below}/entries", "transcriptEntries", 100)
    if not entries and _unwritten(recordings) and fresh:
        return Found(record, False, waits_for="Google is still writing the recording.")
    payload = {
        **record,
        "participants": await _all(api, f"{name}/participants", "participants", 250),
        "transcripts": transcripts,
        "transcript_entries": entries,
        "recordings": recordings,
        "meeting_space": await _space(api, record),
    }
    return Found(payload, bool(entries), _recording(recordings))


def external_id_of(payload: Payload) -> str:
    """`name`, such as `conferenceRecords/a1B2c3`."""
    name = id_at(payload, "name")
    if record_of(name) != name:
        raise invalid("name", "is not the name of a conference record")
    return name


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a conference record and what lies below it.

    It begins with its recording; without one, or when words were written down before it, with its first transcript;
    else with the meeting itself.
    """
    name, space = external_id_of(payload), object_at(payload, "meeting_space")
    people = meetings.people_of(payload)
    spoken = meetings.spoken(objects_at(payload, "transcript_entries"))
    start, end = meetings.span(payload, spoken[0][0] if spoken else None)
    segments = tuple(
        meetings.segment(*entry, start or entry[0], people) for entry in spoken if text_at(entry[2], "text")
    )
    code = text_at(space, "meetingCode", where="meeting_space.")
    return assembled(
        title=f"Google Meet {code}" if code else f"Google Meet, {start:%Y-%m-%d %H:%M} UTC" if start else name,
        start=start,
        duration=length_between(start, end),
        segments=tuple(segment for segment in segments if segment.text.strip()),
        spoken=payload.get("transcript_entries"),
        people=everybody(people.values()),
        metadata={key: payload.get(key) for key in METADATA} | {"meeting_code": code},
        language=next(filter(None, (text_at(entry, "languageCode") for _, _, entry in spoken)), None),
    )


def _item(record: Payload) -> Item:
    return Item(listed_id(record, external_id_of, NAME), record, instant(record.get("startTime")))


async def _all(api: Api, path: str, name: str, size: int) -> list[Payload]:
    """A whole list below a record. Empty lists are left out of answers."""
    found: list[Payload] = []
    token: str | None = None
    for _ in range(MAX_PAGES):
        answer = object_in(await api.get(f"/{path}", params={"pageSize": size, "pageToken": token}), NAME)
        found += objects(answer.get(name, []), NAME)
        token = answer.get("nextPageToken") or None
        if token is None:
            break
    return found


async def _space(api: Api, record: Payload) -> Payload:
    """The room, for its code; empty where it is gone, or is somebody else's."""
    space = record.get("space")
    if not isinstance(space, str) or not space.startswith("spaces/"):
        return {}
    answer = await api.send("GET", f"/spaces/{space.removeprefix('spaces/').replace('/', '')}", ok=(400, 403, 404))
    return object_in(json_of(answer, NAME), NAME) if answer.status == 200 else {}


def _unwritten(parts: list[Payload]) -> bool:
    return any(part.get("state") != READY for part in parts)


def _recording(recordings: list[Payload]) -> Recording | None:
    """Its bytes come from Drive, with the account's own token."""
    chosen = meetings.longest(recordings)
    file = meetings.file_of(chosen) if chosen else None
    return Recording(f"{DRIVE}/{file}?alt=media", f"{file}.mp4", "video/mp4", authorised=True) if file else None


def _complaint(answer: Answer) -> Fault | None:
    """Google's complaints, and a page token that has expired, which is a 400 that only its text tells. (memory)"""
    if answer.status == 400 and re.search(rb"page[ _]?token", answer.body, re.IGNORECASE):
        return expired_cursor(f"{answer.url} answered 400")
    return complaint(answer)


GOOGLE_MEET = Connector(
    source_app="google_meet",
    display_name=NAME,
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        google_push,
        meetings.conferences,
        keys_url=KEYS_URL,
        setup="Subscribe to the Workspace events transcript.v2.fileGenerated and recording.v2.fileGenerated with a "
        "Pub/Sub topic, and give the topic a push subscription to this address with authentication switched on and no "
        "audience. The secret to enter here is the e-mail address of the push subscription's service account.",
    ),
    empty="Google has neither a transcript nor a recording of this meeting.",
    base="https://meet.googleapis.com/v2",
    auths=(
        connect_with_google(
            "openid", "email", MEETINGS, FILES, instructions="Sign in with the account that holds the meetings."
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=1),
        reaches_back=timedelta(days=30),
        spends={"default": 7.0},
        gives_up="Google did not finish the transcript or the recording of this meeting within two days.",
    ),
    limits=(Limit(600, 60),),
    complaint=_complaint,
    docs_url="https://developers.google.com/workspace/meet/api",
)
