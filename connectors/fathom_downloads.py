"""The job by which Fathom prepares a recording.

Vendor page: https://developers.fathom.ai/api-reference/recordings/request-a-download, checked November 2025.
"""

from asyncio import sleep
from collections.abc import Awaitable, Callable
from dataclasses import replace

from connectors.contract import Api, Recording
from connectors.listing import object_in
from schemas.faults import ConfigFault, MissingFault, TransientFault

BUCKET = "downloads"
LOOKS = (1.0, 2.0, 4.0)
"""Seconds between looks at a job that is under way. After that it is for another try."""


def recording_of(recording_id: str) -> Recording:
    """A recording that is there to be prepared."""
    return Recording(f"/recordings/{recording_id}/download", f"{recording_id}.mp3", bucket=BUCKET)


async def prepared(api: Api, recording: Recording, pause: Callable[[float], Awaitable[None]] = sleep) -> Recording:
    """`Pull.prepare`: the recording with its link, which lives for a day. Sound alone is there at once, and a video is
    made meanwhile; of a meeting that was shared with limits, neither may be had."""
    try:
        job = object_in(await api.post(recording.url, json={}, bucket=BUCKET), "Fathom")
    except ConfigFault as fault:
        if fault.reason != "permission_missing":
            raise
        raise MissingFault("recording_missing", "Fathom lets only others download this call.") from None
    for seconds in LOOKS:
        if job.get("status") != "processing":
            break
        await pause(seconds)
        job = object_in(await api.get(f"{recording.url}s/{job.get('download_id')}", bucket=BUCKET), "Fathom")
    if job.get("status") == "processing":
        raise TransientFault("recording_not_ready", "Fathom is preparing the recording.")
    stem = recording.filename.rpartition(".")[0]
    for kind, ending in (("audio", "mp3"), ("video", "mp4")):
        made = job.get(kind)
        if isinstance(made, dict) and isinstance(made.get("url"), str):
            name, content_type = f"{stem}.{ending}", made.get("content_type")
            return replace(recording, url=made["url"], filename=name, content_type=content_type)
    raise MissingFault("recording_missing", "Fathom could not prepare the recording of this call.")
