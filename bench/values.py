"""Medians, percentiles and slopes, as plain numbers."""

import statistics
from collections.abc import Callable, Sequence

Show = Callable[[str], None]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1))]


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    named = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    return {name: round(percentile(seconds, share) * 1000, 2) for name, share in named.items()} | {
        "max_ms": round(max(seconds) * 1000, 2),
        "count": len(seconds),
    }


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line that fits best. 0 when there is too little to fit."""
    if len(set(times)) < 2:
        return 0.0
    return statistics.linear_regression(times, values).slope
