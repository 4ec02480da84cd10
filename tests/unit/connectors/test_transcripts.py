import json
from typing import Any

import pytest

from connectors.spoken import plain_text
from connectors.transcripts import decode, parse, parse_json_transcript
from schemas.calls import Segment
from schemas.faults import InvalidCall


def spoken(kind: str, text: str) -> list[tuple[str | None, str, int, int]]:
    found = parse(kind, text).segments
    return [(segment.speaker, segment.text, segment.start_ms, segment.end_ms) for segment in found]


def reason(kind: str, text: str) -> str:
    with pytest.raises(InvalidCall) as caught:
        parse(kind, text)
    assert "pload" in caught.value.sentence or "again" in caught.value.sentence, "the sentence says what to do next"
    return caught.value.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_files_are_decoded(encoding: str) -> None:
    assert decode("Grüße\r\nan alle\rhier 🙂".encode(encoding)) == "Grüße\nan alle\nhier 🙂"


def test_old_windows_files_are_decoded() -> None:
    assert decode("Grüße – „so“".encode("cp1252")) == "Grüße – „so“"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02",
        b"MZ\x90\x00",
        bytes(range(256)),
        "Привет".encode("cp1251"),
        b"\xff\xfe\x00",
        "ohne Marke".encode("utf-16-le"),
        b"\x01" * 9,
    ],
)
def test_binary_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidCall) as caught:
        decode(data)
    assert caught.value.reason == "transcript_not_text"


def test_vtt_speakers_come_from_voice_tags_or_names() -> None:
    text = (
        "\ufeffWEBVTT\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Ann Lee>Hi &lt;b&gt;\n\n"
        "01:00:03.000 --> 01:00:04.000\nBob: one\ntwo\n\n00:05.000 --> 00:04.000\nback <c.red>in</c> time\n"
    )
    assert spoken("vtt", text) == [
        ("Ann Lee", "Hi <b>", 1000, 2000),
        ("Bob", "one\ntwo", 3603000, 3604000),
        (None, "back in time", 5000, 5000),
    ]


def test_vtt_without_its_first_line_is_still_read() -> None:
    assert spoken("vtt", "00:01.000 --> 00:02.000\nhello") == [(None, "hello", 1000, 2000)]


def test_srt_with_windows_line_ends_and_leading_blanks_is_read() -> None:
    assert spoken("srt", "\r\n\r\n1\r\n00:00:01,500 --> 00:00:02,000\r\nhello\r\n") == [(None, "hello", 1500, 2000)]


@pytest.mark.parametrize(
    "words", ["see https://example.com: ok", "at 10:30 we met", "note: small", "Wait: ", "A, B: c"]
)
def test_what_only_looks_like_a_speaker_stays_text(words: str) -> None:
    assert spoken("srt", f"1\n00:00:01,000 --> 00:00:02,000\n{words}") == [(None, words.strip(), 1000, 2000)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("vtt", "WEBVTT\n"),
        ("vtt", ""),
        ("vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n"),
        ("txt", " \n\x00"),
        ("json", "[]"),
        ("json", "{}"),
        ("json", '[{"text": " "}]'),
        ("json", '{"text": ""}'),
    ],
)
def test_a_transcript_without_words_is_refused(kind: str, text: str) -> None:
    assert reason(kind, text) == "transcript_empty"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("srt", "hello", "transcript_unreadable"),
        ("vtt", "WEBVTT\n\n99:99.000 --> 1:99.0\nx", "transcript_empty"),
        ("json", "{", "payload_not_json"),
        ("json", "3", "transcript_unreadable"),
        ("doc", "x", "unsupported_format"),
        ("json", '[{"text": "x", "start": "soon"}]', "invalid_field"),
        ("json", '["x"]', "invalid_field"),
    ],
)
def test_an_unreadable_transcript_is_refused(kind: str, text: str, expected: str) -> None:
    assert reason(kind, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "00:00:05 Ann Lee\nHi there.\nYes.\n\n00:00:09 Bob\nBye",
            [("Ann Lee", "Hi there.\nYes.", 5000, 9000), ("Bob", "Bye", 9000, 9000)],
        ),
        ("[0:05] Ann: Hi\n[0:09] Bob: Bye", [("Ann", "Hi", 5000, 9000), ("Bob", "Bye", 9000, 9000)]),
        ("(00:05) - Ann:\nHi", [("Ann", "Hi", 5000, 5000)]),
        ("Ann (00:00:05):\nHi", [("Ann", "Hi", 5000, 5000)]),
        ("Ludwig van Beethoven | 1:05\nHi", [("Ludwig van Beethoven", "Hi", 65000, 65000)]),
        ("0:05 and so it began", [(None, "and so it began", 5000, 5000)]),
        ("0:05 Hello", [(None, "Hello", 5000, 5000)]),
        (
            "Minutes\nAnn: Hi\nSpeaker 2: Bye",
            [(None, "Minutes", 0, 0), ("Ann", "Hi", 0, 0), ("Speaker 2", "Bye", 0, 0)],
        ),
        ("Nur Text.\nWir trafen uns um 10:30\nsee https://a.example", []),
    ],
)
def test_names_and_times_in_plain_text_are_understood(text: str, expected: list[Any]) -> None:
    assert spoken("txt", text) == expected
    assert parse("txt", text).text == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"speaker": "A", "text": " x ", "start_ms": 5, "end_ms": 9}], [("A", "x", 5, 9)]),
        (
            [{"speaker": {"name": "A"}, "text": "x", "start": "0:01"}, {"text": "y", "start": 2.5}],
            [("A", "x", 1000, 2500), (None, "y", 2500, 2500)],
        ),
        (
            {"utterances": [{"speaker": 1, "text": "x", "start_time": 1, "end_time": 0}]},
            [("Speaker 1", "x", 1000, 1000)],
        ),
        (
            {"transcript": [{"speaker": {"display_name": "B"}, "text": "x", "timestamp": "00:00:04"}]},
            [("B", "x", 4000, 4000)],
        ),
        ({"full_transcript": "only words", "segments": []}, []),
    ],
)
def test_json_transcripts_of_several_makes_are_read(value: Any, expected: list[Any]) -> None:
    assert spoken("json", json.dumps(value)) == expected


def test_a_speech_to_text_answer_keeps_its_length_and_language() -> None:
    found = parse_json_transcript(
        {"language": "de", "duration": 8.47, "segments": [{"start": 0.0, "end": 1.5, "text": " Hallo"}]}
    )
    assert (found.duration_ms, found.language, found.text) == (8470, "de", "Hallo")


@pytest.mark.parametrize("value", [-1, 10**400, True, [], 3e9])
def test_impossible_times_name_their_field(value: Any) -> None:
    with pytest.raises(InvalidCall) as caught:
        parse_json_transcript([{"text": "x", "start": 0}, {"text": "x", "start": value}])
    assert caught.value.field == "segments[1].start"


def test_plain_text_names_a_speaker_where_it_changes() -> None:
    turns = [("A", "one\ntwo"), ("A", "three"), (None, "four"), ("B", "five")]
    segments = [Segment(speaker=speaker, text=text, start_ms=0, end_ms=0) for speaker, text in turns]
    assert plain_text(segments) == "A: one two\nthree\nfour\nB: five"
