"""How long a number of calls takes within a source's limits. Pure, so that a preview and an ETA say the same."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.contract import DAY, Limit

SECONDS_A_REQUEST = 0.25
"""What a request takes where no limit slows it down: they are sent one after the other."""


def seconds_for(
    calls: int, spends: Mapping[str, float], limits: Sequence[Limit], now: datetime,
    used: Mapping[str, float] | None = None,
) -> float:  # fmt: skip
    """Seconds until that many calls are read, when each spends `spends` and nobody else uses the account.

    `used` says what is already spent today of the buckets with a daily limit.
    """
    requests = {bucket: calls * each for bucket, each in spends.items()}
    slowest = sum(requests.values()) * SECONDS_A_REQUEST
    for bucket, wanted in requests.items():
        own = [limit for limit in limits if limit.bucket == bucket]
        slowest = max(slowest, _bucket_seconds(wanted, own, now, (used or {}).get(bucket, 0.0)))
    return slowest


def _bucket_seconds(wanted: float, limits: Sequence[Limit], now: datetime, used: float) -> float:
    """The days that are used up whole, and then what the rest takes at the pace of the shorter limits."""
    longest = 0.0
    for limit in (limit for limit in limits if limit.seconds >= DAY):
        left = max(0.0, limit.count - used)
        if wanted <= left:
            continue
        days = math.ceil((wanted - left) / limit.count)
        rest = wanted - left - (days - 1) * limit.count
        begins = until_midnight(now, limit.zone) if limit.zone else limit.seconds
        longest = max(longest, begins + (days - 1) * DAY + _paced(rest, limits))
    return longest or _paced(wanted, limits)


def _paced(wanted: float, limits: Sequence[Limit]) -> float:
    """The first `count` requests may go at once, the others as the window moves on."""
    return max(
        (max(0.0, wanted - limit.count) * limit.seconds / limit.count for limit in limits if limit.seconds < DAY),
        default=0.0,
    )


def until_midnight(now: datetime, zone: str) -> float:
    """Seconds until the next day begins there. Days are not all of the same length."""
    there = now.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(there.date() + timedelta(days=1), time(), there.tzinfo)
    return (midnight.astimezone(now.tzinfo) - now).total_seconds()
