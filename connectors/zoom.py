"""Zoom Meetings: cloud recordings, pulled by OAuth or a server-to-server app, announced by webhooks. Vendor pages:
https://developers.zoom.us/docs/api/meetings and /docs/api/webhooks, checked November 2025.

The payload is the meeting with its `recording_files`. Each transcript file is read and stands under `transcripts` as
`recording_start` and `vtt`, because a paused recording has several; who took part stands under `participants`, if the
app may know. Left out are `download_url` and `play_url` of files, passcodes and download tokens.
"""

from datetime import UTC, timedelta
from functools import partial
from typing import Any

from connectors import zoom_common as zoom
from connectors import zoom_pages
from connectors.contract import (
    Account,
    Api,
    Connector,
    Delivery,
    Found,
    Item,
    Notice,
    Page,
    Pull,
    Received,
    Recording,
    Webhook,
    Window,
)  # fmt: skip
from connectors.fields import id_at, instant_at, text_at
from connectors.listing import instant, is_fresh, listed_id, objects, without
from connectors.payloads import Payload, keepable
from connectors.people import everybody, objects_at, participant
from connectors.signatures import zoom as signed
from connectors.signatures import zoom_challenge
from connectors.transcripts import decode
from connectors.utterances import assembled, length_between, number_at
from connectors.zoom_speech import cues, segments_of
from schemas.calls import NormalizedCall, Participant
from schemas.faults import InvalidCall, MissingFault

METADATA = (
    "id", "account_id", "host_id", "host_email", "type", "timezone", "duration", "total_size", "recording_count",
    "share_url", "auto_delete", "auto_delete_date",
)  # fmt: skip
SECRET = ("recording_play_passcode", "password", "passcode", "download_access_token", "participant_audio_files")
SIGNED = ("download_url", "play_url")
ADMIN = ("cloud_recording:read:list_account_recordings:admin", "recording:read:admin")
NEEDED = (
    ("cloud_recording:read:list_user_recordings", "cloud_recording:read:list_user_recordings:admin", "recording:read",
     *ADMIN),
    ("cloud_recording:read:list_recording_files", "cloud_recording:read:list_recording_files:admin", "recording:read",
     "recording:read:admin"),
)  # fmt: skip
"""Of each group one is enough. The second is (memory)."""
PARTICIPANTS = frozenset({"meeting:read:list_past_participants", "meeting:read:list_past_participants:admin",
                          "meeting:read", "meeting:read:admin"})  # fmt: skip
"""memory: with one of these, who took part may be asked for."""
NEWS = {
    "recording.completed": timedelta(minutes=2),
    "recording.recovered": timedelta(0),
    "recording.transcript_completed": timedelta(0),
}
"""Which events are read, and after what time there is something to read."""
SOUND = {"M4A": "audio/mp4", "MP4": "video/mp4"}


def external_id_of(payload: Payload) -> str:
    """`uuid`: one for each time a meeting took place. `id` is shared by all of them."""
    return id_at(payload, "uuid")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a meeting. It begins where the first file does; `duration` is in minutes and may be 0."""
    external_id_of(payload)
    files = [(instant_at(file, "recording_start"), instant_at(file, "recording_end"))
             for _, file in objects_at(payload, "recording_files")]  # fmt: skip
    start = min((begin for begin, _ in files if begin), default=instant_at(payload, "start_time"))
    length = length_between(start, max((end for _, end in files if end), default=None))
    if not length:
        length = number_at(payload, "duration", 60_000) or None
    present = [participant(person, where, email="user_email") for where, person in objects_at(payload, "participants")]
    host = text_at(payload, "host_email")
    segments = segments_of(payload, start, [person.name for person in present])
    heard = dict.fromkeys(segment.speaker for segment in segments if segment.speaker)
    named = {person.name.casefold() for person in present if person.name}
    speakers = [Participant(name=name) for name in heard if name.casefold() not in named]
    people = [*present, *([Participant(email=host)] if host else []), *speakers]
    return assembled(
        title=text_at(payload, "topic") or f"Zoom meeting {keepable(str(payload.get('id') or ''))[:40]}".strip(),
        start=start,
        duration=length,
        segments=segments,
        spoken=payload.get("transcripts"),
        people=everybody(people),
        metadata={name: payload.get(name) for name in METADATA},
        language=None,
    )


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The meeting of which a recording or a transcript is ready."""
    return zoom.notices(delivery, NEWS, lambda meeting: [external_id_of(meeting)])


async def validate(api: Api) -> Account:
    """Whose account it is, and that its recordings can be listed."""
    account = await zoom.validate(api, NEEDED)
    await _ask(api, Window(api.now, api.now), None, 1)
    return account


async def _ask(api: Api, window: Window, token: str | None, size: int | None) -> Payload:
    """A page of the meetings of some whole days in UTC."""
    days = {"from": f"{window.since.astimezone(UTC):%Y-%m-%d}", "to": f"{window.until.astimezone(UTC):%Y-%m-%d}"}
    path = "/accounts/me/recordings" if zoom.whole_account(api.credential, ADMIN) else "/users/me/recordings"
    return await zoom.get(api, path, "medium", **days, page_size=size or 300, next_page_token=token)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A page of recorded meetings."""
    return await zoom_pages.list_page(window, cursor, partial(_ask, api), "meetings", _listed)


async def count(api: Api, window: Window) -> int | None:
    """How many meetings have recordings."""
    return await zoom_pages.count(window, partial(_ask, api), timedelta(days=1))


def _listed(meeting: Payload) -> Item:
    return Item(listed_id(meeting, external_id_of, "Zoom"), meeting, instant(meeting.get("start_time")))


async def find(api: Api, external_id: str) -> Item:
    """One meeting, by the id of the time it took place."""
    return _listed(await zoom.get(api, f"/meetings/{zoom.encoded(external_id)}/recordings", "light"))


async def fetch(api: Api, item: Item) -> Found:
    """The meeting with its transcripts, and the sound of its longest part where there is none."""
    files = [file for file in item.data.get("recording_files") or () if isinstance(file, dict)]
    done = [file for file in files if file.get("status") != "processing" and zoom.trusted(file.get("download_url"))]
    payload = without(item.data, SECRET) | {"recording_files": [without(file, SIGNED) for file in files]}
    payload["transcripts"] = [
        {"recording_start": file.get("recording_start"), "vtt": decode(await zoom.download(api, file["download_url"]))}
        for file in done if file.get("file_type") == "TRANSCRIPT"
    ]  # fmt: skip
    if PARTICIPANTS & await zoom.granted(api):
        payload["participants"] = await _participants(api, item.external_id)
    ready = any(cues(entry["vtt"]).segments for entry in payload["transcripts"])
    waits = None if ready else await _waits_for(api, item, files)
    return Found(payload, ready, await _recording(api, item, done), waits)


async def _participants(api: Api, uuid: str) -> list[Any]:
    """memory: who took part, without the address under which each of them came."""
    try:
        answer = await zoom.get(api, f"/past_meetings/{zoom.encoded(uuid)}/participants", "medium", page_size=300)
        people = objects(answer.get("participants"), "Zoom")
    except (InvalidCall, MissingFault):
        return []
    return [{name: person.get(name) for name in ("name", "user_email")} for person in people]


async def _waits_for(api: Api, item: Item, files: list[Payload]) -> str | None:
    """Why it is too early: a file is in work, Zoom says so, or there was not enough time since the end."""
    ended = max((end for file in files if (end := instant(file.get("recording_end")))), default=item.started_at)
    if not is_fresh(api.now, ended):
        return None
    if not files or any(file.get("status") == "processing" for file in files):
        return "Zoom is still processing the recording."
    try:
        told = await zoom.get(api, f"/meetings/{zoom.encoded(item.external_id)}/transcript", "light")
        writing = told.get("download_restriction_reason") == "NOT_READY"
    except (InvalidCall, MissingFault):
        writing = False
    early = is_fresh(api.now, ended, zoom.patience(zoom.length_of(item.started_at, ended)))
    return "Zoom is still writing the transcript." if writing or early else None


async def _recording(api: Api, item: Item, done: list[Payload]) -> Recording | None:
    """The sound of the longest part, or its video."""
    heard = [file for file in done if file.get("file_type") in SOUND]
    if not heard:
        return None

    def rank(file: Payload) -> tuple[bool, int]:
        size = length_between(instant(file.get("recording_start")), instant(file.get("recording_end")))
        return file.get("file_type") == "M4A", size or 0

    best = max(heard, key=rank)
    kind = str(best["file_type"])
    url, authorised = await zoom.playable(api, str(best["download_url"]))
    return Recording(url, f"{item.data.get('id') or 'meeting'}.{kind.lower()}", SOUND[kind], authorised)


ZOOM = Connector(
    source_app="zoom",
    display_name="Zoom Meetings",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        signed,
        read_webhook,
        zoom_challenge,
        setup="In the app at https://marketplace.zoom.us, under Features, add an event subscription with this address "
        "and the events recording.completed and recording.transcript_completed, and enter the app's Secret Token here.",
    ),
    empty="Zoom has neither a transcript nor a recording of this meeting that can be read.",
    base=zoom.API,
    auths=zoom.auths("cloud_recording:read:list_user_recordings (or the one of the account), "
                     "cloud_recording:read:list_recording_files and user:read:user"),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=2),
        count=count,
        reaches_back=timedelta(days=183),
        spends={"medium": 1.0, "light": 1.5},
        gives_up="Zoom had no transcript or recording of this meeting after two days of trying.",
    ),
    limits=zoom.LIMITS,
    complaint=zoom.complaint,
    docs_url="https://developers.zoom.us/docs/api/meetings/",
)  # fmt: skip
