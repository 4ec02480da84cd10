"""`Retry-After` in every form that is met."""

from datetime import UTC, datetime

import pytest

from streams.io.retry_after import retry_after

NOW = datetime(2025, 11, 5, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Wed, 05 Nov 2025 10:02:00 GMT", 120.0),
        ("Wednesday, 05-Nov-25 10:02:00 GMT", 120.0),
        ("Wed Nov  5 10:02:00 2025", 120.0),
        ("Wed, 05 Nov 2025 09:00:00 GMT", 0.0),
        ("2025-11-05T10:02:00Z", 120.0),
        ("2025-11-05T11:02:00+01:00", 120.0),
        ("2025-11-06T00:00:00.000Z", 14 * 3600.0),
        ("2025-11-05T10:02:00", 120.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("2025-13-45T99:00:00Z", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
