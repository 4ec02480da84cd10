"""Transcript files become segments and plain text: VTT, SRT, TXT and JSON. Pure; raises `InvalidCall` or nothing."""

import codecs
import re
from typing import Any

from connectors.captions import parse_captions, parse_txt
from connectors.fields import text_at
from connectors.payloads import Payload, invalid, kind_of, parse_json
from connectors.spoken import Transcript, empty, timed
from connectors.timeparse import MAX_MS, clock_ms, seconds_to_ms
from schemas.calls import Segment
from schemas.faults import InvalidCall

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def decode(data: bytes) -> str:
    """The text of a file: by its byte order mark, else UTF-8, else Windows-1252. Line ends become `\\n`."""
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise _not_text() from None
        if sum(map(str.isascii, text)) * 2 < len(text):  # another old encoding, which would become gibberish
            raise _not_text() from None
    if "\x00" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        raise _not_text()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(kind: str, text: str) -> Transcript:
    """The transcript in `text`, which is `vtt`, `srt`, `txt` or `json`."""
    if kind == "json":
        return parse_json_transcript(parse_json(text))
    if kind == "txt":
        return parse_txt(text)
    if kind in ("vtt", "srt"):
        return parse_captions(kind, text)
    sentence = f'Transcripts of the kind "{kind[:20]}" cannot be read. Upload a VTT, SRT, TXT or JSON file.'
    raise InvalidCall("unsupported_format", sentence, field="format")


def parse_json_transcript(value: Any) -> Transcript:
    """A list of segments, or an object with `segments` (as speech-to-text services answer) or only with a text."""
    if isinstance(value, list):
        return timed(_spoken(value, "segments"))
    if not isinstance(value, dict):
        sentence = f"A JSON transcript must be a list of segments or an object, and this is {kind_of(value)}."
        raise InvalidCall("transcript_unreadable", f"{sentence} Export it again, or upload it as a TXT file.")
    language = text_at(value, "language")
    length = _position(value, ("duration_ms",), ("duration",), "")
    for name in ("segments", "transcript", "utterances"):
        if isinstance(value.get(name), list) and value[name]:
            found = timed(_spoken(value[name], name))
            return Transcript(found.segments, found.text, length or found.duration_ms, language)
    for name in ("full_transcript", "transcript", "text"):
        if isinstance(value.get(name), str) and value[name].strip():
            return Transcript(
                (), text_at(value, name) or "", _position(value, ("duration_ms",), ("duration",), ""), language
            )
    raise empty()


def _spoken(items: list[Any], name: str) -> list[Segment]:
    timed: list[tuple[Payload, int, int | None]] = []
    for number, item in enumerate(items):
        where = f"{name}[{number}]"
        if not isinstance(item, dict):
            raise invalid(where, f"must be an object, and it is {kind_of(item)}")
        start = _position(item, ("start_ms",), ("start", "start_time", "timestamp"), f"{where}.")
        timed.append((item, start or 0, _position(item, ("end_ms",), ("end", "end_time"), f"{where}.")))
    segments = []
    for number, (item, start, end) in enumerate(timed):
        where = f"{name}[{number}]."
        if end is None:
            end = timed[number + 1][1] if number + 1 < len(timed) else start
        if words := text_at(item, "text", where=where):
            speaker = _speaker(item, where)
            segments.append(Segment(speaker=speaker, text=words.strip(), start_ms=start, end_ms=max(start, end)))
    return segments


def _speaker(item: Payload, where: str) -> str | None:
    for name in ("speaker", "speaker_name"):
        value = item.get(name)
        if isinstance(value, dict):
            return text_at(value, "display_name", where=f"{where}{name}.") or text_at(value, "name", where=where)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
            return f"Speaker {value}"
        if value is not None:
            return text_at(item, name, where=where)
    return None


def _position(item: Payload, in_ms: tuple[str, ...], in_seconds: tuple[str, ...], where: str) -> int | None:
    """A time under one of these names, as milliseconds: a number, or a clock such as `00:01:02`."""
    for name in (*in_ms, *in_seconds):
        value = item.get(name)
        if value is None:
            continue
        try:
            if isinstance(value, str):
                return min(clock_ms(value), MAX_MS)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"must be a time, and it is {kind_of(value)}")
            return seconds_to_ms(value / 1000 if name in in_ms else value)
        except OverflowError:
            raise invalid(where + name, "is too large to be a time") from None
        except ValueError as error:
            raise invalid(where + name, str(error)) from None
    return None


def _not_text() -> InvalidCall:
    sentence = "This file is not a text. Save the transcript as VTT, SRT, TXT or JSON in UTF-8 and upload the new file."
    return InvalidCall("transcript_not_text", sentence, field="text")
