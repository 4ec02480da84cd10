"""Parts E, F and G: a worker that hangs, a rolling deploy, and a dedup table that must be restored."""

import asyncio
import time
from typing import Any

import aiokafka

from ops.topics import changelog_of
from ops.watchdog import broker_eyes
from streams.io import clock
from tests.chaos.plan import steady
from tests.chaos.run import Run
from tests.chaos.storm import under_a_backlog
from tests.stack import until

RESTORE_SECONDS = 1200.0


async def hang(run: Run) -> None:
    """Part E: the only dedup worker stands still; how long until the watchdog has it working again?"""
    first = steady("dedup")
    await run.crew.leave(*(name for name in run.crew.names("dedup") if name != first))
    async with under_a_backlog(run):
        await run.went_on(run.wishes.between)
        run.say(f"{first} hangs")
        restarts = run.restarted.count("dedup")
        run.crew.hang(first)
        began, before = time.monotonic(), await _acknowledged(run, "dedup")

        async def moved() -> bool:
            return run.restarted.count("dedup") > restarts and await _acknowledged(run, "dedup") > before

        try:
            await until(moved, run.wishes.still_seconds, "the hanging worker to be restarted", pause=0.5)
        except AssertionError:
            run.breach("The watchdog did not bring back a dedup worker that hung.")
            run.crew.kill_worker(first)
        run.numbers["seconds from a hanging worker to its next event"] = round(time.monotonic() - began, 1)
        run.numbers["of these, the watchdog's patience"] = run.wishes.stall_seconds


async def _acknowledged(run: Run, role: str) -> int:
    async with broker_eyes(run.stack.settings) as look:
        return sum(offset for offset, _ in (await look(role)).offsets.values())


async def rolling_deploy(run: Run) -> None:
    """Part F: two workers of a role are restarted one after another while calls flow."""
    for role in run.wishes.rolling:
        names = run.crew.names(role)
        await run.crew.leave(*names[2:])
        await run.crew.join(*(f"{role}-{900 + number}" for number in range(len(names), 2)))
    async with under_a_backlog(run):
        await run.went_on(run.wishes.between)
        began, repeats, took = _now_ms(), run.outcomes.repeats, []
        for role in run.wishes.rolling:
            for name in run.crew.names(role):
                run.say(f"deploying {name}")
                since = time.monotonic()
                await run.crew.restart(name)
                took.append(time.monotonic() - since)
        await run.went_on(run.wishes.between)
        ended = _now_ms()
    run.numbers["rolling deploy"] = {
        "workers": len(took),
        "seconds": round((ended - began) / 1000, 1),
        "slowest worker, seconds": round(max(took), 1),
        "longest pause between outcomes, seconds": round(run.outcomes.longest_pause(began, ended), 1),
        "outcomes repeated": run.outcomes.repeats - repeats,
    }


async def restore(run: Run) -> None:
    """Part G: a dedup worker without its folder, and a table of many keys. Run it last: the keys stay."""
    await run.crew.leave(*run.crew.names("dedup"))
    topic = changelog_of(run.stack.settings.group_prefix)
    began = time.monotonic()
    await _fill(run.stack.settings.kafka or "", topic, run.wishes.keys)
    run.say(f"{run.wishes.keys} keys are in the changelog, after {time.monotonic() - began:.0f} s")
    known = run.outcomes.records
    await run.feed.send(run.feed.single("restore-1"))
    began, restarts = time.monotonic(), len(run.restarted)
    await run.crew.join("dedup-990", limit=RESTORE_SECONDS)
    ready = time.monotonic() - began

    async def first() -> bool:
        return run.outcomes.records > known

    try:
        await until(first, RESTORE_SECONDS, "the first event after the restore")
    except AssertionError:
        run.breach(f"A dedup table of {run.wishes.keys} keys was not restored within {RESTORE_SECONDS:.0f} s.")
    seconds = time.monotonic() - began
    run.numbers["restore of the dedup table"] = {
        "keys": run.wishes.keys,
        "seconds from start to the first event": round(seconds, 1),
        "keys a second": round(run.wishes.keys / seconds),
        "seconds from start to ready": round(ready, 1),
        "restarts by an impatient watchdog": len(run.restarted) - restarts,
        "memory in MiB": max((rss for name, samples in run.memory.samples.items() if name.startswith("dedup-990 ")
                              for _, rss in samples), default=0) // 2**20,
    }  # fmt: skip


async def _fill(bootstrap: str, topic: str, keys: int) -> None:
    """Add claims to the changelog of the table, each like one that the dedup stage wrote itself: a key in quotes, as
    JSON has it, and a claim."""
    key, value = await _some_claim(bootstrap, topic)
    assert key.endswith(b'"'), key
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=512 * 1024, compression_type="lz4"
    )
    await producer.start()
    try:
        for start in range(0, keys, 20_000):
            numbers = range(start, min(start + 20_000, keys))
            await asyncio.gather(*[await producer.send(topic, value, b'%s-%d"' % (key[:-1], n)) for n in numbers])
    finally:
        await producer.stop()


async def _some_claim(bootstrap: str, topic: str) -> tuple[bytes, bytes]:
    consumer: Any = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async for record in consumer:
            if record.value:
                return record.key, record.value
    finally:
        await consumer.stop()
    raise AssertionError("the changelog is empty")


def _now_ms() -> int:
    return int(clock.unix_now() * 1000)
