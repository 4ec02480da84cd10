"""Zoom Phone: call recordings, pulled by OAuth or a server-to-server app, announced by webhooks. Vendor pages:
https://developers.zoom.us/docs/api/phone and /docs/api/webhooks, checked November 2025.

The payload is the recording as it is listed, without `download_url` and `transcript_download_url`; the transcript
stands in it as `transcript`, as Zoom writes it. There is no title, and no request for one recording: one that a webhook
names is looked for in the list. Every address of the phone answers 403 where the account has no licence for it.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from connectors import zoom_common as zoom
from connectors import zoom_pages
from connectors.answers import broken
from connectors.contract import (
    Account,
    Answer,
    Api,
    Connector,
    Delivery,
    Field,
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
from connectors.listing import instant, is_fresh, listed_id, objects, without
from connectors.payloads import Payload, parse_json
from connectors.people import objects_at
from connectors.signatures import zoom as signed
from connectors.signatures import zoom_challenge
from connectors.transcripts import decode
from connectors.utterances import has_words
from connectors.zoom_phone_calls import external_id_of, to_call
from schemas.faults import ConfigFault, Fault, InvalidCall, MissingFault

SIGNED = ("download_url", "transcript_download_url")
ADMIN = ("phone:read:list_call_recordings:admin", "phone_recording:read:admin", "phone:read:admin")
"""The first is (memory)."""
NEEDED = (("phone:read:list_recordings", "phone:read:list_call_recordings", "phone:read", *ADMIN),)
NEWS = {"phone.recording_completed": timedelta(minutes=2), "phone.recording_transcript_completed": timedelta(0)}
"""Which events are read, and after what time there is something to read."""
LOOKS_BACK = (2, zoom_pages.DAYS)
PAGES_TO_FIND = 30
"""One recording is looked for among those of the last days, then of the last month."""


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The recordings that are ready, or of which the transcript is."""
    return zoom.notices(
        delivery, NEWS, lambda thing: [external_id_of(recording) for _, recording in objects_at(thing, "recordings")]
    )


async def validate(api: Api) -> Account:
    """Whose account it is, and that it has Zoom Phone."""
    account = await zoom.validate(api, NEEDED)
    await _ask(api, Window(api.now - timedelta(days=1), api.now), None, 1)
    return account


async def _ask(api: Api, window: Window, token: str | None, size: int | None) -> Payload:
    """A page of the recordings that began in a time. "me" as a user is (memory)."""
    times = {"from": window.since, "to": window.until + timedelta(seconds=1)}
    asked: dict[str, Any] = {name: f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()}
    asked |= {name: value for name, value in window.filters.items() if value}
    asked |= {"query_date_type": "start_time", "page_size": size or 100, "next_page_token": token}
    all_of_them = zoom.whole_account(api.credential, ADMIN)
    return await zoom.get(api, "/phone/recordings" if all_of_them else "/phone/users/me/recordings", "medium", **asked)


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """A page of recordings."""
    return await zoom_pages.list_page(window, cursor, partial(_ask, api), "recordings", _listed)


async def count(api: Api, window: Window) -> int | None:
    """How many recordings there are."""
    return await zoom_pages.count(window, partial(_ask, api))


def _listed(recording: Payload) -> Item:
    return Item(listed_id(recording, external_id_of, "Zoom"), recording, instant(recording.get("date_time")))


async def find(api: Api, external_id: str) -> Item:
    """The recording of that id, if it is not older than a month."""
    for days in LOOKS_BACK:
        token: str | None = None
        for _ in range(PAGES_TO_FIND):
            answer = await _ask(api, Window(api.now - timedelta(days=days), api.now), token, None)
            for recording in objects(answer.get("recordings"), "Zoom"):
                if recording.get("id") == external_id:
                    return _listed(recording)
            token = answer.get("next_page_token") or None
            if token is None:
                break
    raise MissingFault("not_at_source", "Zoom does not list this recording, or not any more.")


async def fetch(api: Api, item: Item) -> Found:
    """The recording with its transcript, which Zoom announces and then cannot always write."""
    transcript, url = await _transcript(api, item.data.get("transcript_download_url")), item.data.get("download_url")
    payload = without(item.data, SIGNED) | ({"transcript": transcript} if transcript is not None else {})
    ready = has_words((transcript or {}).get("timeline"))
    recording = None
    if zoom.trusted(url):
        recording = Recording(*_named(await zoom.playable(api, str(url)), item.external_id))
    seconds = item.data.get("duration")
    length = timedelta(seconds=min(seconds, 86_400)) if type(seconds) is int and seconds >= 0 else timedelta(0)
    ended: datetime | None = item.started_at + length if item.started_at else None
    waits = not ready and is_fresh(api.now, ended, zoom.patience(length))
    return Found(payload, ready, recording, "Zoom is still writing the transcript." if waits else None)


def _named(playable: tuple[str, bool], external_id: str) -> tuple[str, str, str, bool]:
    return playable[0], f"{external_id}.mp3", "audio/mpeg", playable[1]


async def _transcript(api: Api, url: Any) -> Payload | None:
    if not zoom.trusted(url):
        return None
    try:
        told = parse_json(decode(await zoom.download(api, url)))
    except MissingFault:
        return None
    except InvalidCall as fault:
        raise broken("Zoom", f"a transcript: {fault.reason}") from None
    return told if isinstance(told, dict) and "timeline" in told else None


def complaint(answer: Answer) -> Fault | None:
    """Zoom's complaints, and the licence that is missing."""
    fault = zoom.complaint(answer)
    if fault is not None or answer.status != 403:
        return fault
    where = f"{answer.url} answered 403"
    if "/recording_transcript/" in answer.url:
        return MissingFault("not_at_source", "Zoom does not give the transcript of this call.", detail=where)
    sentence = "This Zoom account has no Zoom Phone licence, or its user may not see call recordings. "
    sentence += "Ask an administrator of the account for one, then connect it again."
    return ConfigFault("licence_missing", sentence, detail=where) if "/phone/" in answer.url else None


ZOOM_PHONE = Connector(
    source_app="zoom_phone",
    display_name="Zoom Phone",
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        signed,
        read_webhook,
        zoom_challenge,
        setup="In the app at https://marketplace.zoom.us, under Features, add an event subscription with this address "
        "and the events phone.recording_completed and phone.recording_transcript_completed, and enter the app's Secret "
        "Token here.",
    ),
    empty="Zoom has neither a transcript nor a recording of this call that can be read.",
    base=zoom.API,
    auths=zoom.auths("phone:read:list_call_recordings:admin, phone:read:call_recording:admin, "
                     "phone:read:recording_transcript:admin and user:read:user"),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=2),
        count=count,
        filters=(
            Field("recording_type", "Recorded", False, False, help="Automatic or OnDemand."),
            Field("owner_type", "Owner", False, False, help="user or callQueue."),
            Field("site_id", "Site", False, False, help="Only calls of the site with this id."),
        ),
        spends={"medium": 0.02, "light": 1.0},
        gives_up="Zoom did not list this recording within two days of trying.",
    ),
    limits=zoom.PHONE_LIMITS,
    complaint=complaint,
    docs_url="https://developers.zoom.us/docs/api/phone/",
)  # fmt: skip
