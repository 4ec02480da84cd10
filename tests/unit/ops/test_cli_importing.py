"""Reading JSON Lines: every line once, none too large, and a reason for each that cannot be tried."""

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ops import importing
from ops.importing import BATCH_BYTES, BATCH_LINES, MAX_LINE, Line, batches, is_lines, open_lines, read_lines


def lines_of(data: bytes) -> list[Line]:
    return list(read_lines(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n \n\t\r\n", []),
        (b'{"a":1}\n{"b":2}', [(1, '{"a":1}'), (2, '{"b":2}')]),
        (b'\xef\xbb\xbf{"a":1}\r\n\r\n{"b":2}\r\n', [(1, '{"a":1}'), (3, '{"b":2}')]),
    ],
)
def test_lines_that_are_not_blank_keep_their_numbers(data: bytes, expected: list[tuple[int, str]]) -> None:
    assert [(line.number, line.text.strip()) for line in lines_of(data)] == expected


def test_a_line_of_the_largest_size_is_taken_and_a_longer_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_LINE", 100)
    monkeypatch.setattr(importing, "KEPT_OF_LONG_LINE", 10)
    found = lines_of(b"x" * 100 + b"\r\n" + b"y" * 101 + b"\n" + b"z" * 100_000 + b"\nlast")
    assert [(line.number, line.fault and line.fault.reason) for line in found] == [
        (1, None), (2, "line_too_long"), (3, "line_too_long"), (4, None),
    ]  # fmt: skip
    assert found[2].text == "z" * 10
    assert found[2].fault is not None
    assert found[2].fault.detail.startswith("100001 bytes")
    assert found[3].text == "last"


def test_a_line_that_is_not_utf8_has_a_reason_and_the_others_go_on() -> None:
    found = lines_of(b'{"a":"\xff"}\n{"b":2}\n')
    assert [line.fault and line.fault.reason for line in found] == ["line_not_utf8", None]


def test_packed_lines_are_unpacked_and_a_file_cut_off_says_so(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(5000)))
    path = tmp_path / "calls.jsonl.gz"
    path.write_bytes(whole)
    with path.open("rb") as raw:
        assert len(list(read_lines(open_lines(raw, path)))) == 5000
    for damaged in (whole[: len(whole) // 2], whole[:200] + b"\x00" * 50 + whole[250:], b"no gzip at all"):
        path.write_bytes(damaged)
        with path.open("rb") as raw:
            found = list(read_lines(open_lines(raw, path)))
        assert found[-1].fault is not None
        assert found[-1].fault.reason == "file_damaged"
        assert all(line.fault is None for line in found[:-1])


@pytest.mark.parametrize(
    ("name", "lines"),
    [("a.jsonl", True), ("A.NDJSON", True), ("a.jsonl.gz", True), ("a.json", False), ("a.gz", False), ("a.vtt", False)],
)
def test_which_files_hold_lines(name: str, lines: bool) -> None:
    assert is_lines(Path(name)) is lines


@given(st.lists(st.integers(0, MAX_LINE), max_size=2000))
def test_batches_hold_every_line_once_in_order_and_are_bounded(sizes: list[int]) -> None:
    lines = [Line(number, "", size) for number, size in enumerate(sizes)]
    made = list(batches(lines))
    assert [line for batch in made for line in batch] == lines
    for batch in made:
        assert 0 < len(batch) <= BATCH_LINES
        assert len(batch) == 1 or sum(line.size for line in batch) <= BATCH_BYTES


@given(st.binary(max_size=300))
@example(b"\x1c")
def test_whatever_the_bytes_every_line_is_told_of(data: bytes) -> None:
    found = lines_of(data)
    assert [line.number for line in found] == sorted({line.number for line in found})
    assert all(line.text.encode().strip() or line.fault for line in found)  # blank as bytes are: ASCII only
