"""results.json as a page: target, measured, verdict; and how it was measured."""

from collections.abc import Callable, Iterator
from typing import Any

Line = tuple[str, str, str, bool | None]
"""What, target, measured, verdict. None: measured, without a target."""


def page(results: dict[str, Any]) -> str:
    """RESULTS.md."""
    about, parts = results["about"], results["parts"]
    lines = [line for name, part in parts.items() for line in LINES[name](part["numbers"])]
    table = [f"| {what} | {target} | {measured} | {verdict(met)} |" for what, target, measured, met in lines]
    return "\n".join([
        "# Results",
        "",
        "Written by `make bench`; do not edit. What each line means: [README.md](README.md). All numbers of a line are "
        "of one run, in turns on the same machine.",
        "",
        "| what | target | measured | verdict |",
        "|---|---|---|---|",
        *table,
        "",
        *(f"**Not measured:** {sentence}\n" for sentence in results["wrong"]),
        *(f"- {remark}" for remark in remarks(about, parts)),
        "",
        "## Machine",
        "",
        f"{about['date']}, `{about['command']}`. {about['cores']} cores ({about['processor']}), "
        f"{about['memory_gb']} GB, {about['system']}, Python {about['python']}, Kafka {about['kafka']}, "
        f"PostgreSQL {about['postgresql']}, "
        + ", ".join(f"{name} {version}" for name, version in about["packages"].items())
        + ". Servers, workers and load generator share the cores.",
        "",
    ])  # fmt: skip


def verdict(met: bool | None) -> str:
    """A word for the last column."""
    return {True: "met", False: "**missed**", None: "–"}[met]


def remarks(about: dict[str, Any], parts: dict[str, Any]) -> Iterator[str]:
    """What the reader must know before believing a number."""
    if "--quick" in about["command"]:
        yield "A quick run: sizes are far below those of the targets, so no verdict counts."
    busy = [f"{name} ({part['load_before']})" for name, part in parts.items() if part["load_before"] > 0.5]
    if busy:
        yield (
            f"The machine was busy with something before these parts began (load average): {', '.join(busy)}. The load "
            "average trails by a minute, so the part before counts as well."
        )
    if about["sizes"]["minutes"] < 60 and "memory" in parts:
        yield f"Memory was watched for {about['sizes']['minutes']:g} minutes, not for an hour."
    if about["sizes"]["known"] < 1_000_000 and {"history", "status"} & set(parts):
        yield f"History and status were measured with {about['sizes']['known']:,} calls, not with 1,000,000."


def _throughput(found: dict[str, Any]) -> Iterator[Line]:
    def rate(name: str, key: str = "stored_per_second") -> float:
        value: float = found[name][key]["median"]
        return value

    def shown(name: str) -> str:
        stored = found[name]["stored_per_second"]
        return (
            f"{stored['median']:,.0f} stored/s ({stored['least']:,.0f}–{stored['most']:,.0f}), "
            f"{rate(name, 'raw_per_second'):,.0f} raw/s"
        )

    ours, naive, bare = rate("callstream"), rate("naive"), rate("bare")
    rounds = len(found["callstream"]["rounds"])
    yield f"whole chain, median of {rounds} rounds", "", shown("callstream"), None
    yield ("against a naive Faust chain", "≥ 3 ×", f"{ours / naive:.1f} × (naive: {shown('naive')})", ours >= 3 * naive)
    yield (
        "against a bare aiokafka batch chain",
        "≥ 0.5 ×",
        f"{ours / bare:.2f} × (bare: {shown('bare')})",
        ours >= bare / 2,
    )


def _history(found: dict[str, Any]) -> Iterator[Line]:
    few, many = found["few"], found["many"]
    rates = [each["stored_per_second"]["median"] for each in (few, many)]
    costs = [each["cpu_us_per_event"]["median"] for each in (few, many)]
    what = f"{many['known']:,} known keys against {few['known']:,}"
    yield (
        f"{what}: stored/s",
        "within 10 %",
        f"{rates[1]:,.0f} against {rates[0]:,.0f} ({rates[1] / rates[0] - 1:+.0%})",
        rates[1] >= 0.9 * rates[0],
    )
    yield (
        f"{what}: CPU an event",
        "within 10 %",
        f"{costs[1]:,.0f} µs against {costs[0]:,.0f} µs ({costs[1] / costs[0] - 1:+.0%})",
        costs[1] <= 1.1 * costs[0],
    )
    yield f"{what}: memory of dedup", "", f"{many['dedup_mb']} MB against {few['dedup_mb']} MB", None
    seconds = [each["recovery"]["start_to_first_event_seconds"] for each in (few, many)]
    yield f"{what}: start with an empty folder", "", f"{seconds[1]} s against {seconds[0]} s to the first event", None


def _webhooks(found: dict[str, Any]) -> Iterator[Line]:
    for rate, numbers in found.items():
        remark = " (the generator was busy: no verdict)" if numbers["generator_is_busy"] else ""
        yield (
            f"webhook answered, {rate} requests/s for {numbers['seconds']:g} s",
            "p99 < 25 ms",
            f"p50 {numbers['p50_ms']} ms, p99 {numbers['p99_ms']} ms, max {numbers['max_ms']} ms{remark}",
            None if numbers["generator_is_busy"] else numbers["p99_ms"] < 25,
        )


def _latency(found: dict[str, Any]) -> Iterator[Line]:
    seen = found["visible"]
    yield (
        "webhook to visible row, idle",
        "p50 < 150 ms, p99 < 1 s",
        f"p50 {seen['p50_ms']} ms, p99 {seen['p99_ms']} ms, max {seen['max_ms']} ms",
        seen["p50_ms"] < 150 and seen["p99_ms"] < 1000,
    )


def _status(found: dict[str, Any]) -> Iterator[Line]:
    for name, numbers in found["requests"].items():
        yield (
            f"GET {name}, {found['calls']:,} calls stored",
            "p99 < 25 ms",
            f"p50 {numbers['p50_ms']} ms, p99 {numbers['p99_ms']} ms",
            numbers["p99_ms"] < 25,
        )


def _kill(found: dict[str, Any]) -> Iterator[Line]:
    for role, seconds in found["seconds_to_next_call"].items():
        yield f"kill -9 of {role} at {found['rate']} events/s: next call", "< 30 s", f"{seconds} s", seconds < 30
    yield (
        "calls after all kills",
        "0 lost, 0 twice",
        f"{found['lost']} lost, {found['stored_twice']} twice of {found['calls']:,}",
        found["lost"] == found["stored_twice"] == 0,
    )


def _memory(found: dict[str, Any]) -> Iterator[Line]:
    for role, sizes in found["workers"].items():
        flat = sizes["end_mb"] <= 1.1 * sizes["start_mb"]
        yield (
            f"memory of {role}, {found['minutes']:g} min at {found['rate']} events/s",
            "within 10 %",
            f"{sizes['start_mb']} MB after a minute, {sizes['end_mb']} MB at the end, "
            f"{sizes['slope_mb_per_hour']:+} MB/h in the second half",
            flat if found["minutes"] >= 10 else None,
        )


LINES: dict[str, Callable[[dict[str, Any]], Iterator[Line]]] = {
    "throughput": _throughput,
    "history": _history,
    "webhooks": _webhooks,
    "latency": _latency,
    "status": _status,
    "kill": _kill,
    "memory": _memory,
}
