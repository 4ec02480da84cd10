"""The processing window of a workspace: the hours in which historical imports and scheduled syncs may run.

Its times are what a clock on the wall shows in its zone. So a window that summer time cuts short or doubles is what
people there would call it, and one whose beginning is skipped by the clock opens when the clock has skipped it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

MINUTE = timedelta(minutes=1)
FURTHEST = 3 * 24 * 60
"""Minutes. A window that lies in a skipped hour opens a day later; none opens later than that."""


@dataclass(frozen=True, slots=True)
class ProcessingWindow:
    """From a time of day until before another, past midnight where that is earlier."""

    begins: time
    ends: time
    zone: ZoneInfo

    def is_open(self, now: datetime) -> bool:
        """Whether the wall's clock shows a time within it."""
        wall = now.astimezone(self.zone).time()
        if self.begins < self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends

    def opens_at(self, now: datetime) -> datetime | None:
        """When it opens next, to the minute. None: it is open."""
        if self.is_open(now):
            return None
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(FURTHEST):
            minute += MINUTE
            if self.is_open(minute):
                return minute
        return minute

    def clock_time(self, at: datetime) -> str:
        """A time as the wall's clock shows it."""
        return f"{at.astimezone(self.zone):%H:%M}"

    def sentence(self, opens_at: datetime) -> str:
        """What is said of an import that waits for it."""
        return f"Waits for your processing window, opens at {self.clock_time(opens_at)}."


def zone_of(name: str) -> ZoneInfo | None:
    """A time zone by its name in the IANA list. None: there is no such zone."""
    return ZoneInfo(name) if name in available_timezones() else None


def window_of(row: Any) -> ProcessingWindow | None:
    """The window of a workspace's row. None: it has none, or its zone is not known on this machine."""
    zone = zone_of(row["window_zone"]) if row["window_zone"] else None
    return ProcessingWindow(row["window_from"], row["window_to"], zone) if zone else None
