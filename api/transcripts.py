"""A call's transcript as a file: as text, as captions, as JSON, or word for word as its source gave it."""

import json
from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from fastapi.responses import Response

from api import calls
from api.auth import Caller
from api.calls import CallDetail, CallSegment
from api.downloads import disposition, file_name
from api.ports import Ports
from api.problems import Problem

Format = Literal["txt", "vtt", "srt", "json"]
Which = Literal["ours", "original"]
TYPES: dict[Format, str] = {
    "txt": "text/plain", "vtt": "text/vtt", "srt": "application/x-subrip", "json": "application/json",
}  # fmt: skip


async def download(ports: Ports, caller: Caller, call_id: UUID, wanted: Format, which: Which) -> Response:
    """The transcript as a file to save. 404 when there is none, 409 for captions of a transcript without times."""
    call = await calls.get_call(ports, caller, call_id)
    if which == "original":
        if not call.original_transcript:
            raise Problem(404, "no_original", "The source gave no transcript of its own with this call.")
        kind = format_of(call.original_transcript)
        return _file(call.original_transcript, f"{call.title} (original)", kind)
    if not call.segments and not (call.full_transcript or "").strip():
        raise Problem(404, "no_transcript", "This call has no transcript.")
    if wanted in ("vtt", "srt") and not call.segments:
        sentence = "This transcript has no times, so it cannot become captions. Download it as text."
        raise Problem(409, "no_times", sentence, field="format")
    written = {"txt": as_text, "vtt": as_vtt, "srt": as_srt, "json": as_json}[wanted](call)
    return _file(written, call.title, wanted)


def _file(text: str, title: str, kind: Format) -> Response:
    headers = {
        "Content-Disposition": disposition(file_name(title, kind)),
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(text.encode("utf-8", "replace"), headers=headers, media_type=f"{TYPES[kind]}; charset=utf-8")


def format_of(text: str) -> Format:
    """What a source's transcript is, by its look."""
    start = text.lstrip("\ufeff \t\r\n")[:200]
    if start.startswith("WEBVTT"):
        return "vtt"
    if start.startswith(("{", "[")):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "txt"
        return "json"
    return "srt" if " --> " in start else "txt"


def as_text(call: CallDetail) -> str:
    """`[0:01:05] Mila: Good morning`, a line an utterance; without times, the text as it is."""
    head = (
        call.title
        if call.recording_start_time is None
        else f"{call.title}\n{call.recording_start_time:%Y-%m-%d %H:%M} UTC"
    )
    if not call.segments:
        return f"{head}\n\n{call.full_transcript or ''}\n"
    lines = []
    for segment in call.segments:
        seconds = segment.start_ms // 1000
        said = " ".join(segment.text.split())
        who = f"{segment.speaker}: " if segment.speaker else ""
        lines.append(f"[{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}] {who}{said}")
    return head + "\n\n" + "\n".join(lines) + "\n"


def as_vtt(call: CallDetail) -> str:
    """WebVTT, with speakers as voices."""
    cues = []
    for segment in _in_order(call.segments):
        voice = " ".join((segment.speaker or "").split())
        text = _escaped("\n".join(_lines(segment.text)))
        cues.append(f"{_span(segment, '.')}\n{f'<v {_escaped(voice)}>' if voice else ''}{text}\n")
    return "WEBVTT\n\n" + "\n".join(cues)


def as_srt(call: CallDetail) -> str:
    """SubRip, with speakers before what they say."""
    cues = []
    for number, segment in enumerate(_in_order(call.segments), 1):
        voice = " ".join((segment.speaker or "").split())
        text = "\n".join(_lines(segment.text)).replace("-->", "→")
        cues.append(f"{number}\n{_span(segment, ',')}\n{f'{voice}: ' if voice else ''}{text}\n")
    return "\n".join(cues)


def as_json(call: CallDetail) -> str:
    """The call with its utterances."""
    names = {
        "id", "title", "source_app", "external_id", "recording_start_time", "duration_seconds", "language",
        "participants", "full_transcript", "segments",
    }  # fmt: skip
    return json.dumps(call.model_dump(mode="json", include=names), ensure_ascii=False, indent=2) + "\n"


def _in_order(segments: Iterable[CallSegment]) -> list[CallSegment]:
    """Captions must come in the order of their beginnings; one without words is none."""
    return sorted((s for s in segments if s.text.strip()), key=lambda s: (s.start_ms, s.end_ms))


def _lines(text: str) -> list[str]:
    """An empty line would end a caption."""
    return [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _span(segment: CallSegment, point: str) -> str:
    return f"{_time(segment.start_ms, point)} --> {_time(max(segment.end_ms, segment.start_ms + 1), point)}"


def _time(milliseconds: int, point: str) -> str:
    seconds = milliseconds // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{milliseconds % 1000:03}"
