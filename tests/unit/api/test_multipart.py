"""The streaming multipart reader: whatever the pieces and whatever the bytes, whole files or a problem."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.multipart import MAX_FILES, Form, readable_size, receive
from api.problems import Problem

TYPE = "multipart/form-data; boundary=XyZ"


def part(data: bytes, name: str = "file", filename: str | None = "a.txt", extra: str = "") -> bytes:
    """One part."""
    shown = f'; filename="{filename}"' if filename is not None else ""
    return f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n{extra}\r\n'.encode() + data + b"\r\n"


def body(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + b"--XyZ--\r\n"


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(data: bytes | Sequence[bytes], folder: Path, content_type: str = TYPE, limit: int = 10_000) -> Form:
    """Read a body."""
    pieces = [data] if isinstance(data, bytes) else data
    return await receive(_stream(pieces), content_type, folder, max_file_bytes=limit)


async def test_files_and_fields_in_any_order(tmp_path: Path) -> None:
    form = await read(body(part(b"one"), part("Ü".encode(), "title", None), part(b"two", "x", "b.txt")), tmp_path)
    assert form.fields == {"title": "Ü"}
    assert [(file.filename, file.size) for file in form.files] == [("a.txt", 3), ("b.txt", 3)]
    assert [file.path.read_bytes() for file in form.files if file.path] == [b"one", b"two"]
    assert form.files[0].sha256 == hashlib.sha256(b"one").hexdigest()


@given(st.binary(max_size=3000), st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_any_content_cut_anywhere_comes_out_whole(data: bytes, size: int) -> None:
    whole = body(part(data), part(b"hello", "title", None))
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    with tempfile.TemporaryDirectory() as folder:
        form = asyncio.run(read(pieces, Path(folder)))
        if b"\r\n--XyZ" not in data:
            [file] = form.files
            assert file.path is not None
            assert file.path.read_bytes() == data
            assert form.fields == {"title": "hello"}


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_a_form_or_a_problem(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for whole in (data, b"--XyZ\r\n" + data, body(part(b"x")) + data, part(b"x", extra=data.decode("latin-1"))):
            with suppress(Problem):
                asyncio.run(read(whole, Path(folder)))


async def test_an_unfinished_body_is_refused(tmp_path: Path) -> None:
    whole = body(part(b"hello"))
    for end in range(len(whole) - 2):
        with pytest.raises(Problem) as caught:
            await read(whole[:end], tmp_path)
        assert caught.value.reason in {"cut_off", "bad_multipart"}


async def test_a_file_over_the_limit_does_not_spoil_the_others(tmp_path: Path) -> None:
    form = await read(body(part(b"x" * 600), part(b"ok", "file", "b.txt")), tmp_path, limit=500)
    assert [(file.path is None, file.size) for file in form.files] == [(True, 600), (False, 2)]
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


async def test_what_is_thrown_away_has_an_end(tmp_path: Path) -> None:
    pieces = [part(b"")[:-2], *[b"x" * 600_000] * 50]
    with pytest.raises(Problem) as caught:
        await read(pieces, tmp_path, limit=1_000_000)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed"]
)
async def test_another_content_type_is_415(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(Problem) as caught:
        await read(b"", tmp_path, content_type)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (body(part(b"\xff", "title", None)), "not_utf8"),
        (body(part(b"\0", "title", None)), "invalid_request"),
        (body(part(b"x" * 20_000, "title", None)), "field_too_long"),
        (body(*[part(b"x", f"n{n}", None) for n in range(30)]), "too_many_fields"),
        (body(part(b"x", "n" * 300, None)), "too_many_fields"),
        (body(*[part(b"x") for _ in range(MAX_FILES + 1)]), "too_many_files"),
        (b"--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--\r\n", "bad_multipart"),
        (b"garbage", "bad_multipart"),
    ],
)
async def test_odd_forms_say_what_is_wrong(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(Problem) as caught:
        await read(data, tmp_path)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("filename", "shown"),
    [("", "Untitled upload"), ("  ", "Untitled upload"), ("x" * 300 + ".wav", "x" * 251 + ".wav"),
     ("a\0b.txt", "ab.txt"), ("C:\\Users\\a.txt", "a.txt"), ("Gespräch.wav", "Gespräch.wav")],
)  # fmt: skip
async def test_file_names_are_kept_as_far_as_they_can_be(tmp_path: Path, filename: str, shown: str) -> None:
    form = await read(body(part(b"x", filename=filename)), tmp_path)
    assert form.files[0].filename == shown


def test_sizes_are_readable() -> None:
    sizes = {2 * 1024**3: "2 GB", 20 * 1024**2: "20 MB", 1536: "1.5 KB", 12: "12 bytes"}
    assert {size: readable_size(size) for size in sizes} == sizes
