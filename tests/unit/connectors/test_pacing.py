"""How long calls take within a source's limits."""

from datetime import UTC, datetime

import pytest

from connectors.contract import DAY, Limit
from connectors.pacing import SECONDS_A_REQUEST, seconds_for, until_midnight

NOW = datetime(2025, 11, 5, 18, 0, tzinfo=UTC)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("calls", "spends", "limits", "seconds"),
    [
        pytest.param(0, {"default": 1.0}, [Limit(3, 1)], 0.0, id="nothing"),
        pytest.param(100, {"default": 1.0}, [], 100 * SECONDS_A_REQUEST, id="no limit: one after the other"),
        pytest.param(100, {"default": 2.0}, [Limit(1000, 1)], 200 * SECONDS_A_REQUEST, id="a limit out of reach"),
        pytest.param(70, {"default": 1.0}, [Limit(10, 60)], 360.0, id="a minute's requests at once, then paced"),
        pytest.param(100, {"default": 1.0, "heavy": 2.0}, [Limit(60, 60), Limit(30, 60, "heavy")], 340.0,
                     id="the slowest bucket"),
        pytest.param(100, {"default": 1.0}, [Limit(3, 1), Limit(10, 60)], 540.0, id="the slowest limit"),
        pytest.param(50, {"default": 1.0}, [Limit(50, DAY, zone="UTC")], 50 * SECONDS_A_REQUEST, id="a whole day's"),
        pytest.param(51, {"default": 1.0}, [Limit(50, DAY, zone="UTC")], 6 * HOUR, id="one more waits for midnight"),
        pytest.param(170, {"default": 1.0}, [Limit(50, DAY, zone="UTC")], 6 * HOUR + 2 * DAY, id="the fourth day"),
        pytest.param(170, {"default": 1.0}, [Limit(50, DAY), Limit(10, 60)], 3 * DAY + 60.0,
                     id="days by the window, and the last one's pace"),
        pytest.param(10, {"units": 250.0}, [Limit(10_000, DAY, "units", zone="America/Los_Angeles")],
                     2500 * SECONDS_A_REQUEST, id="units"),
        pytest.param(1000, {"units": 250.0}, [Limit(10_000, DAY, "units", zone="America/Los_Angeles")],
                     14 * HOUR + 23 * DAY, id="forty captions a day"),
    ],
)  # fmt: skip
def test_seconds_for(calls: int, spends: dict[str, float], limits: list[Limit], seconds: float) -> None:
    assert seconds_for(calls, spends, limits, NOW) == pytest.approx(seconds)


def test_what_is_used_today_is_not_there_any_more() -> None:
    limits = [Limit(50, DAY, zone="UTC")]
    assert seconds_for(20, {"default": 1.0}, limits, NOW, {"default": 40.0}) == 6 * HOUR
    assert seconds_for(20, {"default": 1.0}, limits, NOW, {"default": 60.0}) == 6 * HOUR
    assert seconds_for(10, {"default": 1.0}, limits, NOW, {"default": 40.0}) < HOUR


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2025, 11, 5, 18, 0, tzinfo=UTC), 14.0),
        (datetime(2025, 11, 2, 7, 30, tzinfo=UTC), 24.5),  # the night in which clocks are set back
        (datetime(2025, 3, 9, 8, 0, tzinfo=UTC), 23.0),  # and forward
        (datetime(2025, 11, 6, 8, 0, tzinfo=UTC), 24.0),
    ],
)
def test_midnight_in_los_angeles(now: datetime, hours: float) -> None:
    assert until_midnight(now, "America/Los_Angeles") == hours * HOUR
