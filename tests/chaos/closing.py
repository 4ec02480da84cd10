"""The closing audit, by event id: what was published, what came of it, what is stored, what was paid."""

from collections import Counter

from schemas.topics import COMPLETED, DEAD
from tests.chaos.run import Run
from tests.stack import counted, until

SHOWN = 5
"""Event ids named in a breach."""
GROWTH_MIB = 64
MAXIMUM_MIB = 512
"""Memory is flat when no process grows by more, or uses more."""


async def drained(run: Run, limit: float = 300.0) -> bool:
    """Wait until every event has an outcome. False, and a breach that names them, when some never get one."""
    run.say(f"{run.open} events are still open; waiting for the last")

    async def all_there() -> bool:
        return run.open <= 0

    try:
        await until(all_there, limit, "an outcome of every event")
    except AssertionError:
        missing = _published(run) - set(run.outcomes.seen)
        run.breach(f"Events have no outcome ({len(missing)}): {_some(missing)}")
        return False
    return True


async def audit(run: Run, limit: float = 300.0) -> None:
    """Compare all that was published with all that came of it, once that is all or `limit` seconds are over."""
    complete = await drained(run, limit)
    published, seen = _published(run), run.outcomes.seen
    owners = await _stored(run)
    if complete:
        _check(run, published - set(seen), "Events have no outcome")
    _check(run, set(seen) - published, "Outcomes speak of events that nobody published")
    _check(run, {e for e in run.feed.poison if seen.get(e) != {DEAD.name}}, "Poisoned events did not die")
    good = published - run.feed.poison
    _check(run, {e for e in good if DEAD.name in seen.get(e, ())}, "Good events died")
    _check(run, set(run.feed.calls) - set(owners), "Calls are not stored")
    _check(run, set(owners) - set(run.feed.calls), "Stored calls were never published")
    events = run.feed.events
    wrong = {name for name, owner in owners.items() if name in events and owner not in events[name]}
    _check(run, wrong, "Stored calls belong to an event that is not theirs")
    silent = {owner for owner in owners.values() if COMPLETED.name not in seen.get(owner, ())}
    _check(run, silent, "Stored calls were never announced")
    await _check_failed_view(run)
    recovered = int(counted(run.stack, "import_calls_recovered_total"))
    if recovered:
        run.breach(f"The stream lost {recovered} events, and its own audit published them again. The log of the audit "
                   "names them, after published_again.")  # fmt: skip
    kinds = Counter(len(topics) for event, topics in seen.items() if event in good)
    run.numbers["events published"] = len(published)
    run.numbers["events with an outcome"] = len(published & set(seen))
    run.numbers["calls stored"] = len(owners)
    run.numbers["dead letters"] = len(run.feed.poison)
    run.numbers["recovered by the audit"] = recovered
    run.numbers["outcome records beyond the first of their event"] = run.outcomes.repeats
    run.numbers["of these at most, sent again on purpose"] = run.feed.sent_again
    run.numbers["events with two kinds of outcome"] = kinds[2] + kinds[3]
    run.numbers["restarts by the watchdog"] = dict(Counter(run.restarted))
    _check_payments(run)


def judge_memory(run: Run) -> None:
    """Part D: flat means that the last quarter of a process's life used no more than the second one, or little."""
    summary = run.memory.summary(run.wishes.lived_seconds)
    run.numbers["memory in MiB"] = summary
    for name, found in summary.items():
        if found["growth"] > GROWTH_MIB or found["maximum"] > MAXIMUM_MIB:
            run.breach(
                f"The memory of {name} is not flat: {found}. It may grow by {GROWTH_MIB} MiB, up to {MAXIMUM_MIB}."
            )


def _published(run: Run) -> set[str]:
    return run.feed.poison.union(*run.feed.events.values())


async def _stored(run: Run) -> dict[str, str]:
    """Per external id, the event that owns the stored call; a call stored twice is a breach."""
    rows = await run.stack.fetch("SELECT external_id, event_id FROM recordings")
    twice = {name for name, count in Counter(row["external_id"] for row in rows).items() if count > 1}
    _check(run, twice, "Calls are stored twice")
    return {row["external_id"]: str(row["event_id"]) for row in rows}


async def _check_failed_view(run: Run) -> None:
    async def view() -> set[str]:
        rows = await run.stack.fetch("SELECT event_id FROM failed_imports WHERE status = 'open'")
        return {str(row["event_id"]) for row in rows}

    async def complete() -> bool:
        return run.feed.poison <= await view()

    try:
        await until(complete, 60, "all poison in the view of failed imports", pause=0.5)
    except AssertionError:
        _check(run, run.feed.poison - await view(), "Poisoned events are not in the view of failed imports")
    _check(run, await view() - run.feed.poison, "Failed imports are of events that are sound")


def _check_payments(run: Run) -> None:
    """Part C: the slow transcription is paid once. Others may be paid again only where their worker was killed."""
    if not run.wishes.slow_seconds:
        return
    slow = run.stack.openai.requests()[0]["sha256"]
    paid = run.stack.openai.paid()
    if paid.get(slow) != 1:
        run.breach(f"The slow transcription was paid {paid.get(slow, 0)} times instead of once.")
    run.numbers["slow transcription, times paid"] = paid.get(slow, 0)
    run.numbers["transcriptions"] = len(paid)
    run.numbers["transcriptions paid again"] = sum(count - 1 for count in paid.values())


def _check(run: Run, wrong: set[str], sentence: str) -> None:
    if wrong:
        run.breach(f"{sentence} ({len(wrong)}): {_some(wrong)}")


def _some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
