from datetime import UTC, datetime

import pytest

from connectors.timeparse import clock_ms, rfc3339, seconds_to_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-03T16:01:12Z", datetime(2025, 11, 3, 16, 1, 12, tzinfo=UTC)),
        ("2025-11-03t16:01:12z", datetime(2025, 11, 3, 16, 1, 12, tzinfo=UTC)),
        ("2025-11-03 18:01:12+02:00", datetime(2025, 11, 3, 16, 1, 12, tzinfo=UTC)),
        ("2025-11-03T16:01:12.5-00:00", datetime(2025, 11, 3, 16, 1, 12, 500_000, tzinfo=UTC)),
        ("2025-11-03T16:01:12.123456789Z", datetime(2025, 11, 3, 16, 1, 12, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (" 2025-11-03T16:01:12Z\n", datetime(2025, 11, 3, 16, 1, 12, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_in_utc(text: str, expected: datetime) -> None:
    assert rfc3339(text) == expected
    assert rfc3339(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2025-11-03T16:01:12", "no time zone"),
        ("2025-11-03", "not a date and time like"),
        ("20251103T160112Z", "not a date and time like"),
        ("2025-W45-1T16:01:12Z", "not a date and time like"),
        ("1762185731", "not a date and time like"),
        ("２０２５-11-03T16:01:12Z", "not a date and time like"),
        ("2025-02-30T16:01:12Z", "that exists"),
        ("2025-11-03T24:61:12Z", "that exists"),
        ("2025-11-03T16:01:61Z", "that exists"),
        ("2025-11-03T16:01:12+99:00", "that exists"),
        ("0001-01-01T00:00:00+23:59", "that exists"),
        ("0000-01-01T00:00:00Z", "that exists"),
        ("1066-10-14T09:00:00Z", "too far"),
        ("9999-12-31T23:59:59Z", "too far"),
        ("", "not a date"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rfc3339(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:04", 4_000), ("00:00:04", 4_000), ("1:02:03.4", 3_723_400), ("01:02,045", 62_045), ("90:00", 5_400_000)],
)
def test_a_clock_position_is_read(text: str, expected: int) -> None:
    assert clock_ms(text) == expected


@pytest.mark.parametrize("text", ["", "4", "0:61", "1:61:00", "-0:01", "a:bc", "1:2:3:4", "0:1", "٠:٠١"])
def test_what_is_no_clock_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        clock_ms(text)


def test_lengths_have_limits() -> None:
    assert seconds_to_ms(1.0005) in (1000, 1001)
    assert seconds_to_ms(0) == 0
    for value in (-1, float("nan"), float("inf"), 10**400, 3_000_000):
        with pytest.raises(ValueError, match="between 0 and one month"):
            seconds_to_ms(value)
