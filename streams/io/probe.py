"""What an uploaded file really is. First bytes here; anything deeper in a child process with limits.

Media files come from strangers and FFmpeg is written in C, so it never runs in a worker or behind the API: a child
without our environment, with little memory and time, opens one local file, by a short list of formats.
"""

import asyncio
import json
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import puremagic

from schemas.faults import InvalidCall, TransientFault

CHILD = Path(__file__).with_name("probe_child.py")
MAX_ANSWER = 64 * 1024
HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see; less is fine for a smaller file."""

FORMATS = "MP3, WAV, M4A, MP4, MOV, WebM, OGG or FLAC for recordings, and VTT, SRT, TXT or JSON for transcripts"


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file's first bytes say. `format` is also the extension that goes with the content."""

    kind: Literal["media", "transcript"]
    format: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A recording that FFmpeg can open and whose sound begins to play."""

    duration_seconds: float | None
    """None: the file does not say, or says something impossible."""
    has_audio: bool
    has_video: bool
    container: str
    codec: str | None


@dataclass(frozen=True, slots=True)
class ProbeError:
    """Why a file cannot be used. `sentence` fits after "could not be read as audio or video: "."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a recording really is, and how loud. `levels`: decibels below full scale, one a tenth of a second."""

    duration_seconds: float
    levels: bytes


@dataclass(frozen=True, slots=True)
class Extracted:
    """The sound track that was written."""

    duration_seconds: float
    size_bytes: int


_CONTENT_TYPES = {
    "mp3": "audio/mpeg", "wav": "audio/wav", "m4a": "audio/mp4", "mp4": "video/mp4", "mov": "video/quicktime",
    "webm": "video/webm", "mkv": "video/x-matroska", "ogg": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac",
    "vtt": "text/vtt", "srt": "application/x-subrip", "txt": "text/plain", "json": "application/json",
}  # fmt: skip
_TRANSCRIPT_NAMES = frozenset({"", "vtt", "srt", "txt", "text", "md", "json"})
_MEDIA_NAMES = frozenset({
    "mp3", "wav", "m4a", "m4b", "mp4", "m4v", "mov", "webm", "mkv", "ogg", "oga", "opus", "flac", "aac", "3gp", "mpeg",
    "mpga", "mpg", "avi", "wma", "wmv", "aiff", "aif", "amr",
})  # fmt: skip
_PICTURES = frozenset({b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"jp2 ", b"jpx ", b"crx "})
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_NOT_A_TRANSCRIPT = re.compile(
    r"<(?:!doctype|html|head|body|script|svg|\?xml|\?php)|<\?|#!|#EXTM3U|ffconcat|\{\\rtf|%PDF|%!PS", re.IGNORECASE
)
_JSON = re.compile(r'\{\s*(?:"|\}|$)|\[\s*(?:\{|\[|"|\]|$)')
_CUE = re.compile(r"[0-9:.,]+[ \t]*-->")

_REASONS = {
    "not_media": "its content is not that of an audio or video file, or it is cut off",
    "no_audio": "it has no sound track",
    "no_sound_decoded": "its sound track cannot be decoded",
    "out_of_memory": "reading it takes more memory than a recording may need",
    "timeout": "reading it took too long",
    "crashed": "it is damaged in a way that stops the reader",
}


def sniff(head: bytes, filename: str) -> Sniffed:
    """The format by content; the name only decides between kinds of text. Raises `InvalidCall`."""
    if not head:
        raise InvalidCall(
            "empty_file",
            f"{_shown(filename)} is empty. Export or record it again and upload the new file.",
            field="file",
        )
    name = PurePosixPath(filename.replace("\\", "/")).suffix.removeprefix(".").lower()
    found = _media_format(head)
    if found is not None:
        return Sniffed("media", found, _CONTENT_TYPES[found])
    text = _text(head)
    if text is None:
        raise _unsupported(filename, _name_of(head))
    if _NOT_A_TRANSCRIPT.match(text.lstrip()):
        raise _unsupported(filename, "a web page, a program or a document")
    if name in _MEDIA_NAMES:
        raise _unsupported(filename, "text, although its name is that of a recording")
    if name not in _TRANSCRIPT_NAMES:
        raise _unsupported(filename, f"text of the kind .{name[:20]}")
    found = _text_format(text, name)
    return Sniffed("transcript", found, _CONTENT_TYPES[found])


async def probe_media(path: str | Path, *, timeout: float = 20, memory_mb: int = 1024) -> Probed | ProbeError:
    """Open the file in a child, find its sound track and decode the beginning. Never raises for what the file holds."""
    answer = await _run_child(["probe", str(path)], timeout=timeout, memory_mb=memory_mb)
    error = answer.get("error")
    if error is not None:
        return ProbeError(error, _REASONS[error])
    return Probed(
        duration_seconds=answer["duration_seconds"],
        has_audio=True,
        has_video=answer["has_video"],
        container=answer["container"],
        codec=answer["codec"],
    )


async def extract_audio(
    source: str | Path,
    destination: str | Path,
    *,
    start_seconds: float = 0.0,
    seconds: float | None = None,
    timeout: float = 900,
    memory_mb: int = 1024,
) -> Extracted:
    """Write the first sound track as speech: mono, 16 kHz, 32 kbit/s. The name's end decides: .mp3, .m4a or .ogg.

    Times stay those of the recording: gaps become silence. With `start_seconds` and `seconds`, only that part of it.
    Raises `InvalidCall` when the file is at fault and `TransientFault` when it took too long; then nothing is left
    behind at `destination`.
    """
    part = [str(start_seconds), "" if seconds is None else str(seconds)]
    try:
        answer = await _listen(["extract", str(source), str(destination), *part], timeout, memory_mb)
    except BaseException:
        _remove(destination)
        raise
    return Extracted(answer["duration_seconds"], answer["size_bytes"])


async def measure(source: str | Path, *, timeout: float = 900, memory_mb: int = 1024) -> Measured:
    """Listen to the whole recording once, a little at a time. Raises as `extract_audio` does."""
    with tempfile.TemporaryDirectory(prefix="callstream-") as folder:
        levels = Path(folder) / "levels"
        answer = await _listen(["measure", str(source), str(levels)], timeout, memory_mb)
        return Measured(answer["duration_seconds"], await asyncio.to_thread(levels.read_bytes))


async def _listen(command: list[str], timeout: float, memory_mb: int) -> dict[str, Any]:
    """What the child found while it decoded a recording; what keeps it from that as a fault."""
    answer = await _run_child(command, timeout=timeout, memory_mb=memory_mb)
    error = answer.get("error")
    if error == "timeout":
        raise TransientFault(
            "media_timeout",
            f"Reading this recording took longer than {timeout / 60:.0f} minutes. Press Retry when the machine has "
            "less to do, or export the recording as sound alone and import that.",
        )
    if error is not None:
        sentence = f"The recording could not be read as audio or video: {_REASONS[error]}. "
        raise InvalidCall("media_unreadable", sentence + "Export or record it again.", field="media", detail=error)
    return answer


async def _run_child(arguments: list[str], *, timeout: float, memory_mb: int) -> dict[str, Any]:
    """The child's answer, or `{"error": <one of _REASONS>}`. The child never outlives this call."""
    limits = [str(memory_mb), str(int(timeout) + 1)]
    # -I: neither the environment nor the working directory decides what is imported
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(CHILD), *limits, *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env={"LC_ALL": "C.UTF-8"}, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout):
            answer = await _read(cast(asyncio.StreamReader, process.stdout))
            code = await process.wait()
    except TimeoutError:
        return {"error": "timeout"}
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if code == -signal.SIGXCPU:
        return {"error": "timeout"}
    try:
        found = json.loads(answer) if code == 0 else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("error", "crashed") not in _REASONS:
        return {"error": "crashed"}
    return found


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of a child's answer, up to `MAX_ANSWER`; the rest of a longer one is read and forgotten."""
    answer = b""
    while chunk := await stream.read(MAX_ANSWER):
        answer = (answer + chunk)[: MAX_ANSWER + 1]
    return answer


def _remove(path: str | Path) -> None:
    Path(path).unlink(missing_ok=True)


def _media_format(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _PICTURES:
            return None
        return "mov" if brand == b"qt  " else "m4a" if brand in (b"M4A ", b"M4B ") else "mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"pnot") and head[:2] == b"\x00\x00":
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    for magic, found in ((b"OggS", "ogg"), (b"fLaC", "flac"), (b"ID3", "mp3")):
        if head.startswith(magic):
            return found
    return _mpeg_audio(head)


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 or AAC by the header of a frame: 11 set bits, then fields of which some values are reserved."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 0b11, head[1] >> 1 & 0b11
    if layer == 0b00:
        return "aac" if head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0b1111 < 13 else None
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 0b11
    usual = layer != 0b11 and version != 0b01 and bitrate not in (0, 0b1111) and rate != 0b11
    return "mp3" if usual else None  # layer I is left out: nobody uses it, and UTF-16 text begins like it


def _text(head: bytes) -> str | None:
    """The beginning as text, or None for a binary file. The last character may be cut."""
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), "utf-8")
    text = head.decode(encoding, "ignore")
    if encoding == "utf-8" and len(text.encode()) < len(head) - 3:
        text = head.decode("cp1252", "ignore")
        if len(text) < len(head) or sum(map(str.isascii, text)) * 2 < len(text):
            return None
    return None if "\x00" in text or len(_CONTROL.findall(text)) * 100 > len(text) or not text else text


def _text_format(text: str, name: str) -> str:
    body = text.lstrip("\ufeff \t\r\n")
    if body.startswith("WEBVTT"):
        return "vtt"
    lines = [line.strip() for line in body.split("\n")[:3]]
    if any(_CUE.match(line) for line in lines):
        return "vtt" if name == "vtt" else "srt"
    if name == "json" or (name != "srt" and _JSON.match(body)):
        return "json"
    return name if name in ("vtt", "srt") else "txt"


def _unsupported(filename: str, found: str) -> InvalidCall:
    sentence = f"{_shown(filename)} holds {found}. Upload {FORMATS}."
    return InvalidCall("unsupported_format", sentence, field="file")


def _name_of(head: bytes) -> str:
    """What a refused file is, as far as its first bytes tell. Only for the sentence."""
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive or an office document"
    if head.startswith((b"MZ", b"\x7fELF")):
        return "a program"
    with suppress(ValueError, LookupError):
        best = puremagic.magic_string(head)[0]
        if best.confidence >= 0.3 and best.name:
            return f"something else ({best.name[:60]})"
    return "something that is neither a recording nor a transcript"


def _shown(filename: str) -> str:
    """A stranger's file name, fit for a sentence."""
    name = re.split(r"[/\\]", filename)[-1].encode("utf-8", "replace").decode()
    return "".join(c for c in name if c.isprintable())[:120].strip() or "The file"
