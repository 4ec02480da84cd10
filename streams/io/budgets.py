"""What is spent of an account's limits, counted in PostgreSQL for all workers together.

Each limit's window is cut into slices, and a request is counted in its slice until the whole slice is out of the
window. So a window of the limit's length never holds more requests than the limit, wherever it begins, and at most one
part in `SLICES` is given away. Time is the database's. What this cannot see is how long a request is on its way, and
who else uses the account: for both there is `share`, which every 429 lowers and every minute raises again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import floor
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from streams.io import queries
from streams.io.store import Pool, outages

SQL = queries.load("budgets")
SLICES = 20
DAY = 86_400.0
LOWERED = 0.7
"""What is left of `share` after a 429."""
LEAST_SHARE = 0.2
RAISED_A_MINUTE = 0.05
NEARLY_NOTHING = 20.0
"""From here on it is worth a note when a source says what is left."""
NO_DAY_SECONDS = 3600.0
"""How long to wait when a source says that the day's requests are used up and no limit of ours is by the day."""
_LEFT = "left"


class Limit(Protocol):
    """`count` requests each `seconds`; with `zone`, each day that begins at midnight there."""

    @property
    def count(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def bucket(self) -> str: ...
    @property
    def zone(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Bucket:
    """How one bucket stands. `spent` is JSON by limit: `[slice, counts…]`, or `[day, count]`."""

    spent: Mapping[str, Any]
    share: float
    share_at: datetime
    blocked_until: datetime | None


Midnight = Callable[[datetime, str], float]
"""Seconds until the next day begins in a zone."""


def spend(
    bucket: Bucket, limits: Sequence[Limit], cost: int, now: datetime, midnight: Midnight
) -> tuple[Bucket, float]:
    """The bucket after a request, and 0; or as it was, and the seconds after which it is worth asking again."""
    bucket = _risen(bucket, now)
    waits = [(bucket.blocked_until - now).total_seconds()] if bucket.blocked_until else []
    spent = dict(bucket.spent)
    for limit in limits:
        key, most = _key(limit), _most(limit, bucket.share)
        part = min(cost, most)  # what costs more than a whole limit would never be sent
        if limit.zone:
            day = str(now.astimezone(ZoneInfo(limit.zone)).date())
            used = spent[key][1] if key in spent and spent[key][0] == day else 0
            if used + part > most:
                waits.append(midnight(now, limit.zone))
            spent[key] = [day, used + cost]
        else:
            index, counts = _slices(spent.get(key), limit.seconds, now)
            waits.append(_until_free(index, counts, most - part, limit.seconds, now))
            spent[key] = [index, *counts[:-1], counts[-1] + cost]
    if (left := spent.get(_LEFT)) is not None:
        if left[1] <= now.timestamp():
            del spent[_LEFT]
        elif left[0] < cost:
            waits.append(left[1] - now.timestamp())
        else:
            spent[_LEFT] = [left[0] - cost, left[1]]
    wait = max(waits, default=0.0)
    return (bucket, wait) if wait > 0 else (replace(bucket, spent=spent), 0.0)


def observe(bucket: Bucket, remaining: float, seconds: float, now: datetime) -> Bucket:
    """The bucket when the source says what is left. Its newest word counts; it knows who else asks."""
    return replace(bucket, spent={**bucket.spent, _LEFT: [remaining, now.timestamp() + seconds]})


def block(bucket: Bucket, seconds: float, now: datetime) -> Bucket:
    """The bucket after a 429. Of several in a row only the first lowers the share: they were on their way together."""
    until = now + timedelta(seconds=seconds)
    if bucket.blocked_until is not None and bucket.blocked_until > now:
        return replace(bucket, blocked_until=max(until, bucket.blocked_until))
    share = max(LEAST_SHARE, _risen(bucket, now).share * LOWERED)
    return replace(bucket, share=share, share_at=now, blocked_until=until)


def _risen(bucket: Bucket, now: datetime) -> Bucket:
    """Raised by what has passed since; and a block that is over is gone."""
    minutes = max(0.0, (now - bucket.share_at).total_seconds() / 60)
    until = bucket.blocked_until if bucket.blocked_until is not None and bucket.blocked_until > now else None
    share = min(1.0, bucket.share + minutes * RAISED_A_MINUTE) if bucket.share < 1 else 1.0
    return replace(bucket, share=share, share_at=now, blocked_until=until)


def _key(limit: Limit) -> str:
    return f"{limit.seconds:g} {limit.zone or ''}".strip()


def _most(limit: Limit, share: float) -> int:
    """A day's requests are a stock and no pace: the share does not lessen them."""
    return limit.count if limit.seconds >= DAY else max(1, floor(limit.count * share))


def _slices(kept: Any, seconds: float, now: datetime) -> tuple[int, list[int]]:
    """The number of the present slice, and what was spent in each of the last ones up to it."""
    index = floor(now.timestamp() / (seconds / SLICES))
    if not kept:
        return index, [0] * (SLICES + 1)
    last, counts = kept[0], list(kept[1:])
    index = max(index, last)
    passed = min(index - last, SLICES + 1)
    return index, [*counts[passed:], *[0] * passed]


def _until_free(index: int, counts: Sequence[int], room: int, seconds: float, now: datetime) -> float:
    """Seconds until at most `room` requests are in the window."""
    total = sum(counts)
    for passed, count in enumerate(counts):
        if total <= room:
            return (index + passed) * seconds / SLICES - now.timestamp() if passed else 0.0
        total -= count
    return (index + len(counts)) * seconds / SLICES - now.timestamp()


@dataclass(slots=True)
class AccountBudget:
    """The limits of one account, for the client that asks its source. Raises `OutageFault` and nothing else."""

    pool: Pool
    account: str
    limits: Sequence[Limit]
    midnight: Midnight
    low: set[str] = field(default_factory=set)
    """Buckets of which the source said last that nearly nothing is left."""

    async def spend(self, bucket: str, cost: int) -> float:
        """0: it is spent. Else nothing is, and it may be tried again in so many seconds."""
        return await self._change(bucket, lambda held, now: spend(held, self._of(bucket), cost, now, self.midnight))

    async def observe(self, bucket: str, remaining: float, seconds: float) -> None:
        """The source says that so much is left, until it begins anew in so many seconds."""
        nearly_nothing = remaining <= NEARLY_NOTHING
        if nearly_nothing or bucket in self.low:
            await self._change(bucket, lambda held, now: (observe(held, remaining, seconds, now), 0.0))
            (self.low.add if nearly_nothing else self.low.discard)(bucket)

    async def block(self, bucket: str, seconds: float | None) -> float:
        """The source refused: nothing more for so long; None: until its day is over. How long that is."""

        def blocked(held: Bucket, now: datetime) -> tuple[Bucket, float]:
            zones = [limit.zone for limit in self._of(bucket) if limit.zone]
            ends = self.midnight(now, zones[0]) if zones else NO_DAY_SECONDS
            wait = ends if seconds is None else seconds
            return block(held, wait, now), wait

        return await self._change(bucket, blocked)

    async def used_today(self) -> dict[str, float]:
        """What is spent of the buckets with a daily limit, by bucket."""
        with outages():
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(SQL["see_all"])
                rows = {row["bucket"]: row for row in await connection.fetch(SQL["look"], self.account)}
        used: dict[str, float] = {}
        for limit in self.limits:
            if limit.seconds >= DAY and (row := rows.get(limit.bucket)) and (kept := row["spent"].get(_key(limit))):
                if limit.zone:
                    today = kept[0] == str(row["now"].astimezone(ZoneInfo(limit.zone)).date())
                    used[limit.bucket] = kept[1] if today else 0.0
                else:
                    used[limit.bucket] = sum(_slices(kept, limit.seconds, row["now"])[1])
        return used

    def _of(self, bucket: str) -> list[Limit]:
        return [limit for limit in self.limits if limit.bucket == bucket]

    async def _change(self, name: str, change: Callable[[Bucket, datetime], tuple[Bucket, float]]) -> float:
        with outages():
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(SQL["see_all"])
                row: Any = await connection.fetchrow(SQL["take"], self.account, name)
                if row is None:
                    await connection.execute(SQL["begin"], self.account, name)
                    row = await connection.fetchrow(SQL["take"], self.account, name)
                held = Bucket(row["spent"], row["share"], row["share_at"], row["blocked_until"])
                after, wait = change(held, row["now"])
                if after != held:
                    await connection.execute(
                        SQL["keep"], self.account, name, dict(after.spent), after.share, after.share_at,
                        after.blocked_until,
                    )  # fmt: skip
        return wait
