"""YouTube's own ways to write things: addresses of videos, lengths, tracks of captions, and its feed. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.contract import Notice, Received
from connectors.fields import id_at, object_at
from connectors.listing import instant, listed_id, object_in
from connectors.payloads import Payload, invalid, invalid_id
from connectors.timeparse import MAX_MS
from schemas.faults import MissingFault

NAME = "YouTube"
KINDS = ("standard", "ASR")
"""Kinds of caption tracks, the better one first. `forced` ones hold only what is foreign in the video."""
FEED = "https://www.youtube.com/xml/feeds/videos.xml?channel_id="
ATOM, YT = "{http://www.w3.org/2005/Atom}", "{http://www.youtube.com/xml/schemas/2015}"
_LENGTH = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,7})(?:\.\d+)?S)?)?")
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_ADDRESS = re.compile(
    r"(?:https?://)?(?:(?:www|m|music)\.)?"
    r"(?:youtu\.be/|youtube(?:-nocookie)?\.com/(?:(?:shorts|live|embed|v|e)/|watch/?\?(?:[^#\s]*&)?v=))"
    r"([A-Za-z0-9_-]{11})(?:[/?&#]\S*)?"
)
_CHANGE = re.compile(r"^(?:>>|&gt;&gt;)+[ \t]*", re.MULTILINE)


def video_id(text: str) -> str:
    """The id in an id or in any of the usual addresses of a video. Raises `MissingFault`."""
    text = text.strip()
    if _ID.fullmatch(text):
        return text
    if found := _ADDRESS.fullmatch(text):
        return found[1]
    sentence = "This is no address of a YouTube video. Give it like https://www.youtube.com/watch?v=…"
    raise MissingFault("not_a_video", sentence)


def length_ms(text: str | None) -> int | None:
    """Milliseconds of `PT1H2M3S` or `P1DT2H`; None for `P0D`, which a stream has while it runs."""
    if text is None:
        return None
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise invalid("contentDetails.duration", "is not a length like PT42M7S")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return min((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000, MAX_MS) or None


def listed_video(entry: Payload) -> tuple[str, list[datetime]]:
    """The video of a playlist's entry; when it came into the list, and when it was published: either may count."""
    about, details = object_in(entry.get("snippet"), NAME), object_in(entry.get("contentDetails"), NAME)
    times = (instant(about.get("publishedAt")), instant(details.get("videoPublishedAt")))
    found = listed_id(details, lambda payload: id_at(payload, "videoId"), NAME)
    return found, [time for time in times if time is not None]


def best_track(tracks: Iterable[Payload], spoken: object) -> Payload | None:
    """The track to read: written before automatic, but only in the language that is spoken; then any translation.

    Automatic captions are always in the spoken language, so they tell it where the video does not.
    """
    ready = [(object_at(track, "snippet"), track) for track in tracks]
    ready = [pair for pair in ready if pair[0].get("trackKind") in KINDS and _is_served(pair[0])]
    automatic = (about.get("language") for about, _ in ready if about["trackKind"] == "ASR")
    language = _base(spoken) or _base(next(automatic, None))

    def rank(about: Payload) -> tuple[bool, int]:
        return bool(language) and _base(about.get("language")) != language, KINDS.index(about["trackKind"])

    return min(ready, key=lambda pair: rank(pair[0]))[1] if ready else None


def is_better_coming(tracks: Iterable[Payload], best: Payload | None) -> bool:
    """Whether YouTube is still making a track, and there is none yet in the language that it will have."""
    have = _base(object_at(best, "snippet").get("language")) if best else None
    coming = (about for about in (object_at(track, "snippet") for track in tracks) if about.get("status") == "syncing")
    return any(about.get("trackKind") in KINDS and _base(about.get("language")) != have for about in coming)


def without_changes(captions: str) -> str:
    """Captions without the `>>` by which some mark a change of speakers. (memory)"""
    return _CHANGE.sub("", captions)


def named_videos(body: bytes, after: timedelta) -> list[Received | Notice]:
    """The videos that a feed's entries name; one that was deleted has no such entry."""
    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return [_unreadable(body)]
    names = [(entry.findtext(f"{YT}videoId") or "").strip() for entry in root.iter(f"{ATOM}entry")]
    if any(not _ID.fullmatch(name) for name in names):
        return [_unreadable(body)]
    return [Notice(name, after) for name in dict.fromkeys(names)]


def _unreadable(body: bytes) -> Received:
    text = body.decode("utf-8", "replace")
    return Received(invalid_id(text), text)


def _is_served(about: Payload) -> bool:
    return about.get("status") == "serving" and about.get("isDraft") is not True


def _base(language: object) -> str:
    """`en` of `en-US`."""
    return re.split("[-_]", language)[0].casefold() if isinstance(language, str) else ""
