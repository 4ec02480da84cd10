"""Receive `multipart/form-data` of any size in little memory: files go to disk as they come, hashed on the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import Problem

GATHER = 512 * 1024
"""Bytes handed to the parser at a time: it runs in a thread, and a thread has its price."""
MAX_FILES = 200
MAX_FIELDS = 20
MAX_NAME_BYTES = 200
MAX_VALUE_BYTES = 10_000
MAX_FILENAME = 255


@dataclass(slots=True)
class FormFile:
    """A file as it came. `path` is None when it is over the limit: then its bytes were not kept."""

    filename: str
    path: Path | None
    size: int = 0
    sha256: str = ""


@dataclass(slots=True)
class Form:
    """What a multipart body held. A field given twice has its last value."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)


async def receive(stream: AsyncIterator[bytes], content_type: str, folder: Path, *, max_file_bytes: int) -> Form:
    """Read the body to its end; files lie in `folder`. Raises `Problem` for what is no multipart body or has no end.

    A file over the limit does not spoil the others: what is too much is read and thrown away, up to the limit again.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        sentence = "Send the files as multipart/form-data, each in a part with a file name."
        raise Problem(415, "not_multipart", sentence, headers={"Accept-Post": "multipart/form-data"})
    collector = _Collector(folder, max_file_bytes)
    parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]  # a TypedDict of callables
    try:
        async for data in _gathered(stream):
            await asyncio.to_thread(parser.write, data)
            if collector.ended:
                break
            if collector.thrown_away > max_file_bytes:
                raise Problem(413, "file_too_large", f"A file may have at most {readable_size(max_file_bytes)}.")
        if not collector.ended:
            raise Problem(422, "cut_off", "The upload ended before its last part was complete. Send it again.")
    except MultipartParseError:
        raise Problem(422, "bad_multipart", "The body is not valid multipart/form-data.") from None
    finally:
        collector.close()
    return collector.form


async def _gathered(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for chunk in stream:
        waiting += chunk
        if len(waiting) >= GATHER:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


class _Collector:
    """Turns the parser's callbacks into files and fields. One part at a time."""

    def __init__(self, folder: Path, max_file_bytes: int) -> None:
        self.form = Form()
        self.ended = False
        self.thrown_away = 0
        self._folder = folder
        self._max = max_file_bytes
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._field: str | None = None
        self._value = bytearray()
        self._file: FormFile | None = None
        self._sink: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin, "on_part_data": self._data, "on_part_end": self._end,
            "on_header_field": self._add_name, "on_header_value": self._add_value, "on_header_end": self._header,
            "on_headers_finished": self._open, "on_end": self._finish,
        }  # fmt: skip

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _begin(self) -> None:
        self._disposition = self._header_name = self._header_value = b""
        self._field, self._file = None, None

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _open(self) -> None:
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        if kind != b"form-data" or (b"name" not in options and b"filename" not in options):
            raise Problem(422, "bad_multipart", "A part of the body does not say what it is (Content-Disposition).")
        if b"filename" in options:
            self._open_file(options[b"filename"])
            return
        name = options[b"name"]
        if len(name) > MAX_NAME_BYTES or len(self.form.fields) >= MAX_FIELDS:
            raise Problem(422, "too_many_fields", f"A form may have {MAX_FIELDS} fields with short names.")
        self._field = _utf8(name, "A field's name")
        self._value.clear()

    def _open_file(self, name: bytes) -> None:
        if len(self.form.files) >= MAX_FILES:
            raise Problem(
                413, "too_many_files", f"At most {MAX_FILES} files go into one upload. Send the rest in another."
            )
        path = self._folder / str(len(self.form.files))
        filename = name.decode("utf-8", "replace").replace("\x00", "")
        self._file = FormFile(filename[-MAX_FILENAME:].strip() or "Untitled upload", path)
        self.form.files.append(self._file)
        self._sink = path.open("wb")
        self._hash = hashlib.sha256()

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        if self._file is None:
            self._value += piece
            if len(self._value) > MAX_VALUE_BYTES:
                raise Problem(422, "field_too_long", f"{self._field} is longer than {MAX_VALUE_BYTES} bytes.")
            return
        self._file.size += len(piece)
        if self._sink is None or self._file.path is None:
            self.thrown_away += len(piece)
        elif self._file.size > self._max:
            self.close()
            self._file.path.unlink()
            self._file.path = None
        else:
            self._hash.update(piece)
            self._sink.write(piece)

    def _end(self) -> None:
        if self._file is not None:
            self.close()
            self._file.sha256 = self._hash.hexdigest()
        elif self._field is not None:
            self.form.fields[self._field] = _utf8(bytes(self._value), self._field)

    def _finish(self) -> None:
        self.ended = True


def _utf8(data: bytes, what: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Problem(422, "not_utf8", f"{what} is not UTF-8.") from None
    if "\x00" in text:
        raise Problem(422, "invalid_request", f"{what} holds a character that cannot be stored.")
    return text


def readable_size(size: int) -> str:
    """`2 GB`, `1.5 MB`, `12 bytes`."""
    for unit, factor in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"
