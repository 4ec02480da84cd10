"""YouTube: the videos of a connected channel, and single videos by their address, with their captions.

Vendor pages: https://developers.google.com/youtube/v3/docs and …/v3/determine_quota_cost, checked November 2025.
A payload is the video resource word for word; the chosen caption track stands beside it under `caption`, and its file
under `caption_srt`. Nothing in it is secret. YouTube gives no media to anybody, so a video without captions has
nothing to import. Captions name no speakers, but for a name before a colon.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from connectors import videos
from connectors.answers import json_of
from connectors.captions import parse_captions
from connectors.contract import (
    DAY,
    Account,
    Answer,
    Api,
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
    Webhook,
    Window,
)
from connectors.fields import id_at, instant_at, object_at, quality_of, text_at
from connectors.google import complaint, connect_with_google, no_channel, not_granted, reasons
from connectors.listing import instant, is_fresh, is_in, listed_id, object_in, objects
from connectors.paging import cursor as cursor_of
from connectors.paging import parts
from connectors.payloads import Payload, clean
from connectors.signatures import websub, websub_challenge
from connectors.spoken import Transcript
from connectors.videos import NAME
from schemas.calls import NormalizedCall
from schemas.faults import MissingFault

SCOPE = "https://www.googleapis.com/auth/youtube.force-ssl"
"""Reads videos and captions; with the narrower `youtube.readonly` no captions are given."""
DETAILS = "snippet,contentDetails,status,liveStreamingDetails"
BATCH = 50
UNITS_A_DAY = 10_000
LIST, CAPTIONS_LIST, CAPTIONS_DOWNLOAD = 1, 50, 200
"""Units that requests cost."""
CAPTIONS_WITHIN = timedelta(days=2)
"""How long after its publication a video may still get automatic captions. (memory)"""
METADATA = ("channelId", "channelTitle", "publishedAt", "description")


async def validate(api: Api) -> Account:
    """The channel of the signed-in user. The quota is that of our registration, which all its channels share."""
    channel = await _channel(api)
    name = id_at(channel, "id")
    title = text_at(object_at(channel, "snippet"), "title") or name
    return Account(title, f"our-registration::{name}", not_granted(api.credential, SCOPE))


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """The uploads, newest first, until they are older than the window; with the filter `videos` only those, of any age.

    There is no filter by date. Fifty videos cost two units: one for the list and one for the details.
    """
    place = parts(cursor, uploads=None, page=None, at=0)
    if named := window.filters.get("videos", "").replace(",", " ").split():
        following = place["at"] + BATCH
        items = await _videos(api, [videos.video_id(word) for word in named[place["at"] : following]])
        return Page(items, cursor_of(at=following) if following < len(named) else None, len(named))
    uploads = place["uploads"] or _uploads(await _channel(api))
    params = {"part": "snippet,contentDetails", "playlistId": uploads, "maxResults": BATCH, "pageToken": place["page"]}
    answer = await api.send("GET", "/playlistItems", params=params, cost=LIST, ok=(404,))
    if answer.status == 404:  # of a channel that never had an upload
        return Page([], None)
    listed = object_in(json_of(answer, NAME), NAME)
    dated = [videos.listed_video(entry) for entry in objects(listed.get("items", []), NAME)]
    wanted = [name for name, times in dated if not times or any(is_in(window, time) for time in times)]
    past = bool(dated) and all(times and max(times) < window.since for _, times in dated)
    page = listed.get("nextPageToken")
    return Page(await _videos(api, wanted), cursor_of(uploads=uploads, page=page) if page and not past else None)


async def find(api: Api, external_id: str) -> Item:
    """One video, by its id or any of the usual addresses. A stream that has not begun is found here, and not listed."""
    found = await _videos(api, [videos.video_id(external_id)], upcoming=True)
    if not found:
        raise MissingFault("not_at_source", "YouTube has no such video, or this account may not see it.")
    return found[0]


async def fetch(api: Api, item: Item) -> Found:
    """The video with its best captions: those that somebody wrote in the spoken language, else the automatic ones."""
    video = dict(item.data)
    snippet = object_at(video, "snippet")
    if snippet.get("liveBroadcastContent") in ("live", "upcoming"):
        return Found(video, False, waits_for="The stream has not ended yet.")
    answer = await _captions(api, "/captions", {"part": "snippet", "videoId": item.external_id}, CAPTIONS_LIST)
    tracks = objects(object_in(json_of(answer, NAME), NAME).get("items", []), NAME)
    track = videos.best_track(tracks, snippet.get("defaultAudioLanguage"))
    coming, young = videos.is_better_coming(tracks, track), is_fresh(api.now, item.started_at, CAPTIONS_WITHIN)
    if (coming and young) if track else (coming or young):
        return Found(video, False, waits_for="YouTube has not finished the captions of this video.")
    if track is None:
        return Found(video, False)
    answer = await _captions(api, f"/captions/{id_at(track, 'id')}", {"tfmt": "srt"}, CAPTIONS_DOWNLOAD)
    return Found({**video, "caption": track, "caption_srt": answer.body.decode("utf-8-sig", "replace")}, True)


def read_webhook(delivery: Delivery) -> list[Received | Notice]:
    """The videos a feed names. Captions need their time, so they are looked for half an hour later."""
    return videos.named_videos(delivery.body, after=timedelta(minutes=30))


def external_id_of(payload: Payload) -> str:
    """`id`: the eleven characters of the video's address."""
    return id_at(payload, "id")


def to_call(payload: Payload) -> NormalizedCall:
    """The call in a video with its captions. A stream began when it was live, and not when it was published."""
    name, about = external_id_of(payload), object_at(payload, "snippet")
    live, caption = object_at(payload, "liveStreamingDetails"), object_at(object_at(payload, "caption"), "snippet")
    captions = text_at(payload, "caption_srt")
    said = parse_captions("srt", videos.without_changes(captions)) if captions else Transcript((), "")
    length = videos.length_ms(text_at(object_at(payload, "contentDetails"), "duration"))
    known = {"url": f"https://www.youtube.com/watch?v={name}", **{key: about.get(key) for key in METADATA}}
    known["privacyStatus"] = object_at(payload, "status").get("privacyStatus")
    known["captions"] = {key: caption[key] for key in ("trackKind", "language", "name") if caption.get(key)} or None
    call = NormalizedCall(
        title=text_at(about, "title") or f"YouTube video {name}",
        recording_start_time=instant_at(live, "actualStartTime") or instant_at(about, "publishedAt"),
        duration_ms=length if length is not None else said.duration_ms,
        full_transcript=said.text or None,
        segments=said.segments,
        original_transcript=captions,
        source_metadata={key: clean(value, key) for key, value in known.items() if value is not None},
        language=text_at(caption, "language") or text_at(about, "defaultAudioLanguage"),
    )
    return call.model_copy(update={"metadata_quality": quality_of(call)})


async def _channel(api: Api) -> Payload:
    params = {"part": "snippet,contentDetails", "mine": "true"}
    answer = object_in(await api.get("/channels", params=params, cost=LIST), NAME)
    channels = objects(answer.get("items", []), NAME)
    if not channels:
        raise no_channel()
    return channels[0]


def _uploads(channel: Payload) -> str:
    lists = object_at(object_at(channel, "contentDetails"), "relatedPlaylists")
    return listed_id(lists, lambda entry: id_at(entry, "uploads"), NAME)


async def _videos(api: Api, ids: Sequence[str], *, upcoming: bool = False) -> list[Item]:
    """The details of up to fifty videos, in their order; those that are deleted or not visible are left out."""
    if not ids:
        return []
    answer = object_in(await api.get("/videos", params={"part": DETAILS, "id": ",".join(ids)}, cost=LIST), NAME)
    found = {listed_id(video, external_id_of, NAME): video for video in objects(answer.get("items", []), NAME)}
    return [
        Item(video["id"], video, _started(video))
        for video in (found[name] for name in dict.fromkeys(ids) if name in found)
        if upcoming or object_in(video.get("snippet"), NAME).get("liveBroadcastContent") != "upcoming"
    ]


async def _captions(api: Api, path: str, params: Mapping[str, str], cost: int) -> Answer:
    """An answer about captions. That one video may not be edited by this account is no fault of the connection."""
    answer = await api.send("GET", path, params=params, cost=cost, ok=(403, 404))
    if answer.status == 403:
        sentence = "YouTube gives captions only of videos that this account may edit. Connect their channel."
        raise MissingFault("captions_forbidden", sentence, detail=" ".join(sorted(reasons(answer)))[:200])
    if answer.status == 404:
        raise MissingFault("not_at_source", "YouTube has this video or its captions no more.")
    return answer


def _started(video: Payload) -> datetime | None:
    live, about = video.get("liveStreamingDetails"), object_in(video.get("snippet"), NAME)
    began = instant(live.get("actualStartTime")) if isinstance(live, dict) else None
    return began or instant(about.get("publishedAt"))


VIDEOS = Field(
    "videos",
    "Single videos",
    secret=False,
    required=False,
    help="Addresses of videos, with spaces between them: only these are imported, however old they are.",
)
YOUTUBE = Connector(
    source_app="youtube",
    display_name=NAME,
    to_call=to_call,
    external_id_of=external_id_of,
    webhook=Webhook(
        websub,
        read_webhook,
        handshake=websub_challenge,
        key_from="us",
        setup="Subscribe at https://pubsubhubbub.appspot.com/subscribe: this address as callback, the secret as "
        f"hub.secret, and as topic {videos.FEED} followed by the channel's id. A subscription ends after some days: "
        "make it again then.",
    ),
    empty="This video has no captions, and YouTube gives nobody its sound. Add captions to it in YouTube Studio.",
    base="https://www.googleapis.com/youtube/v3",
    auths=(connect_with_google(SCOPE, instructions="Sign in as the owner of the channel, and tick the right."),),
    validate=validate,
    pull=Pull(
        list_page,
        fetch,
        find,
        overlap=timedelta(days=3),
        filters=(VIDEOS,),
        spends={"default": CAPTIONS_LIST + CAPTIONS_DOWNLOAD + 2 * LIST / BATCH},
        tries=tuple(timedelta(hours=hours) for hours in (1, 4, 12, 24, 48)),  # each costs 51 of the day's units
        gives_up="YouTube made no captions for this video. Add some in YouTube Studio, then try again.",
    ),
    limits=(Limit(UNITS_A_DAY, DAY, zone="America/Los_Angeles"),),
    complaint=complaint,
    docs_url="https://developers.google.com/youtube/v3",
)
