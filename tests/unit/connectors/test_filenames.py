from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.filenames import TEXTS, TIMES, compiled, day_of_folder, instant_of, read, sound_of

PACIFIC = ZoneInfo("America/Los_Angeles")
SEEN = "{agent}__{dnis}__{date:%m_%d_%Y}__{time:%H_%M_%S}__{guid}__{campaign}__{disposition}__{session_id}"


def test_every_field_of_a_name_is_read() -> None:
    path = "West/11_5_2025/mila@acme.example__4155550143__11_05_2025__01_30_12__0A1B__Out West__No__3000123.wav"
    named = read(compiled(SEEN), path, PACIFIC)
    assert named is not None
    assert named.start == datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)
    assert named.fields == {
        "agent": "mila@acme.example", "dnis": "4155550143", "date": "11_05_2025", "time": "01_30_12", "guid": "0A1B",
        "campaign": "Out West", "disposition": "No", "session_id": "3000123",
    }  # fmt: skip


def test_folders_take_part_where_the_pattern_names_them() -> None:
    pattern = compiled("{campaign}/{date:%m_%d_%Y}/{number} by {agent} @ {time:%I_%M_%S %p}.wav")
    named = read(pattern, "a/b/Café/7_4_2025/4155550119 by Noor @ 4_05_09 pm.MP3", PACIFIC)
    assert named is not None
    assert named.start == datetime(2025, 7, 4, 23, 5, 9, tzinfo=UTC)
    assert named.fields["campaign"] == "Café"
    assert read(pattern, "7_4_2025/4155550119 by Noor @ 4_05_09 pm.mp3", PACIFIC) is None
    assert day_of_folder(pattern, "a/Café/7_4_2025") == datetime(2025, 7, 4)  # noqa: DTZ001
    for folder in ("a/Café", "Café", "7_4_2025", "a/Café/7_4_2025/more", "a/Café/13_45_2025"):
        assert day_of_folder(pattern, folder) is None
    assert day_of_folder(compiled("{campaign}/{session_id}"), "7_4_2025") is None


@pytest.mark.parametrize(
    ("pattern", "name", "fields"),
    [
        ("{session_id}", "300.wav", {"session_id": "300"}),
        ("{session_id}", "300", {"session_id": "300"}),
        ("{session_id}.wav", "300.MP3", {"session_id": "300"}),
        ("{agent}_{date:%Y%m%d}{time:%H%M}", "a_b_202511050130.wav", {"agent": "a_b"}),
        ("{agent}__{campaign}", "a____b.wav", {"agent": "a", "campaign": "__b"}),
        ("{agent}__{campaign}__{skill}", "a____b.wav", {"agent": "a", "skill": "b"}),
        ("{any}-{call_id}-{any}", "x-1-2-3.wav", {"call_id": "1"}),
        ("{{{agent}}} [{campaign}] (1+)", "{x} [y] (1+).wav", {"agent": "x", "campaign": "y"}),
        ("{start:%Y-%m-%dT%H%M%S%z} {agent}", "2025-11-05T013012-0800 Zoë.wav", {"agent": "Zoë"}),
    ],
)
def test_patterns_as_people_write_them(pattern: str, name: str, fields: dict[str, str]) -> None:
    named = read(compiled(pattern), name, PACIFIC)
    assert named is not None
    assert {key: value for key, value in named.fields.items() if key not in ("date", "time", "start")} == fields
    if "{start" in pattern or "{date" in pattern:
        assert named.start is not None
        assert named.start.replace(second=0) == datetime(2025, 11, 5, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [(SEEN, "Greeting.wav"), (SEEN, "a__b.wav"), ("x{agent}", "y1.wav"), ("{agent}/{guid}", "a")],
)
def test_a_name_that_does_not_fit_says_nothing(pattern: str, name: str) -> None:
    assert read(compiled(pattern), name, PACIFIC) is None


def test_a_date_that_does_not_exist_is_no_start() -> None:
    named = read(compiled("{date:%m_%d_%Y} {time:%H_%M} {agent}"), "13_45_2025 01_30 a.wav", PACIFIC)
    assert named is not None
    assert named.start is None
    assert named.fields["agent"] == "a"


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "must have between 1 and 300 characters"),
        ("x" * 301, "must have between 1 and 300 characters"),
        ("recording", "names no field at all"),
        ("{any}", "names no field at all"),
        ("{agent", "a brace"),
        ("agent}", "a brace"),
        ("{phone}", "names {phone}, which is no field"),
        ("{agent.__class__}", "which is no field"),
        ("{}", "which is no field"),
        ("{agent!r}", "which is no field"),
        ("{agent}{dnis}", "nothing between {dnis} and the field before it"),
        ("{any}{dnis}", "nothing between {dnis} and the field before it"),
        ("{agent} {agent}", "names {agent} twice"),
        ("{agent:%Y}", "a format, which only date, time, start can have"),
        ("{date:%Q%m%d}", "has %Q in a time format"),
        ("{date:today}", "cannot be read"),
        ("{date:%Y%m%d%}", "cannot be read"),
        ("{date:%Y_%m}", "something is missing"),
        ("{time:%S}", "something is missing"),
        ("{start:%Y%m%d}", "something is missing"),
        ("{date:%Y%m%d%Y}", "twice"),
        ("{date:%Y%m%d} {time:%H%M%d}", "twice"),
        ("{date} {start}", "one of them is enough"),
    ],
)
def test_a_pattern_that_cannot_be_right_is_told_why(pattern: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        compiled(pattern)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("local", "written", "expected"),
    [
        (datetime(2025, 11, 2, 0, 59), None, datetime(2025, 11, 2, 7, 59)),  # noqa: DTZ001
        (datetime(2025, 11, 2, 1, 30), None, datetime(2025, 11, 2, 8, 30)),  # noqa: DTZ001
        (datetime(2025, 11, 2, 1, 30), datetime(2025, 11, 2, 8, 40), datetime(2025, 11, 2, 8, 30)),  # noqa: DTZ001
        (datetime(2025, 11, 2, 1, 30), datetime(2025, 11, 2, 9, 31), datetime(2025, 11, 2, 9, 30)),  # noqa: DTZ001
        (datetime(2025, 11, 2, 1, 30), datetime(2025, 11, 3, 9, 31), datetime(2025, 11, 2, 8, 30)),  # noqa: DTZ001
        (datetime(2025, 11, 2, 2, 0), None, datetime(2025, 11, 2, 10, 0)),  # noqa: DTZ001
        (datetime(2025, 3, 9, 1, 59), None, datetime(2025, 3, 9, 9, 59)),  # noqa: DTZ001
        (datetime(2025, 3, 9, 2, 30), None, datetime(2025, 3, 9, 10, 30)),  # noqa: DTZ001
        (datetime(2025, 3, 9, 3, 0), None, datetime(2025, 3, 9, 10, 0)),  # noqa: DTZ001
    ],
)
def test_the_changes_of_daylight_saving_are_survived(
    local: datetime, written: datetime | None, expected: datetime
) -> None:
    at = written.replace(tzinfo=UTC) if written else None
    assert instant_of(local, PACIFIC, at) == expected.replace(tzinfo=UTC)


def test_a_hostile_name_ends_quickly_as_a_name_that_does_not_fit() -> None:
    pattern = compiled("{agent}_{dnis}_{ani}_{any}_{campaign}_{skill}_{guid}_{number}_{call_id}!")
    assert read(pattern, "_" * 200_000, PACIFIC) is None


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.wav", ".wav"), ("a.b.MP3", ".MP3"), ("a.wav.part", ""), (".wav", ""), ("wav", ""), ("a.json", ""), ("", "")],
)
def test_sound_is_told_by_the_ending(name: str, ending: str) -> None:
    assert sound_of(name) == ending


def test_the_documentation_names_every_field() -> None:
    text = (Path(__file__).parents[3] / "docs" / "five9.md").read_text("utf-8")
    missing = [name for name in (*TEXTS, *TIMES) if f"{{{name}}}" not in text and f"{{{name}:" not in text]
    assert missing == []
    block = text.partition("```text\n")[2].partition("```")[0]
    assert [compiled(line) for line in block.splitlines()]
