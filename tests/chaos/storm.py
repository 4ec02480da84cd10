"""Part A and C: workers join, leave and are killed, servers stop, the network is cut, while calls flow and a slow
transcription runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

import psutil
from aiokafka.errors import KafkaError

from ops.watchdog import broker_eyes
from schemas.faults import OutageFault
from streams.io.failed_imports import retry
from streams.io.store import outages
from tests.chaos.plan import CHANGES, Step, plan
from tests.chaos.run import Run
from tests.stack import until

DOWN_SECONDS = 3.0
"""How long a server that is stopped stays away."""


async def storm(run: Run) -> None:
    """Carry out the plan under a standing backlog. A breach of progress ends it early."""
    steps = plan(run.wishes.seed, run.wishes.amounts)
    await _begin_slow_transcription(run)
    loop = asyncio.get_running_loop()
    began, lags = loop.time(), []
    async with under_a_backlog(run):
        if not await run.went_on(run.wishes.between):
            return
        for number, step in enumerate(steps, 1):
            run.steps.append(str(step))
            lags.append(await lag_of(run, "dedup"))
            run.say(
                f"{number:>3}/{len(steps)} {step!s:<20} {len(run.outcomes.seen)} of {run.feed.total} events have an "
                f"outcome, {lags[-1]} wait for dedup"
            )
            await do(run, step)
            if not await run.went_on(run.wishes.between):
                return
            await asyncio.sleep(began + number * run.wishes.storm_seconds / len(steps) - loop.time())
    run.numbers["joins, leaves and kill -9"] = sum(step.kind in CHANGES for step in steps)
    run.numbers["events in front of dedup, median"] = sorted(lags)[len(lags) // 2]


async def do(run: Run, step: Step) -> None:
    """One step."""
    kafka, postgres = run.servers.kafka, run.servers.postgres
    match step.kind:
        case "join":
            await run.crew.join(step.worker)
        case "leave":
            await run.crew.leave(step.worker)
        case "kill":
            run.crew.kill_worker(step.worker)
        case "stop broker":
            await asyncio.to_thread(kafka.stop)
            await asyncio.sleep(DOWN_SECONDS)
            await asyncio.to_thread(kafka.start)
        case "kill broker":
            psutil.Process(kafka.server.pid).kill()
            await asyncio.sleep(DOWN_SECONDS)
            await asyncio.to_thread(kafka.start)
        case "stop database":
            await run.stack.close_pools()
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(DOWN_SECONDS)
            await asyncio.to_thread(postgres.start)
        case "cut":
            broker = psutil.Process(kafka.server.pid)
            broker.suspend()
            await asyncio.sleep(run.wishes.cut_seconds)
            broker.resume()
        case "retry":
            await _retry_some(run)
        case "again":
            await run.feed.again(50, run.dice)


async def lag_of(run: Run, role: str) -> int:
    """Events that a role has not acknowledged yet; -1 while the broker is away."""
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(10), broker_eyes(run.stack.settings) as look:
            return sum(end - offset for offset, end in (await look(role)).offsets.values())
    return -1


async def _begin_slow_transcription(run: Run) -> None:
    """One call whose transcription takes long. The only transcribe worker there is takes it, and waits."""
    if not run.wishes.slow_seconds:
        return
    run.stack.openai.control({"delay_seconds": run.wishes.slow_seconds})
    await run.feed.send(await run.feed.recording(9.0))

    async def asked() -> bool:
        return bool(run.stack.openai.requests())

    await until(asked, 120, "the slow transcription to begin")
    run.say(f"a transcription of {run.wishes.slow_seconds:.0f} s has begun")


async def _retry_some(run: Run) -> None:
    """Ask for a retry of some failed imports, as people do. They will fail again."""
    with suppress(OutageFault), outages():
        sql = "SELECT workspace_id, failed_import_id FROM failed_imports WHERE status = 'open' LIMIT 5"
        bus = run.stack.bus()
        try:
            for row in await run.stack.fetch(sql):
                with suppress(LookupError):
                    await retry(await run.stack.pool(), bus, row["workspace_id"], row["failed_import_id"])
                    run.feed.sent_again += 1
        finally:
            await bus.stop()


@asynccontextmanager
async def kept_up(work: Awaitable[None], enough: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Run `work` beside a block; its failure fails the block. With `enough`, it ends by itself after the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        if enough is not None:
            enough.set()
        else:
            task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(result, Exception):
            raise result


@asynccontextmanager
async def under_a_backlog(run: Run) -> AsyncIterator[None]:
    """Calls keep coming during a block, as many as are needed for a backlog. After it all of them are published."""
    enough = asyncio.Event()

    async def publish() -> None:
        while not enough.is_set():
            if run.open < run.wishes.backlog:
                await run.feed.publish(500)
            await asyncio.sleep(0.1)

    async with kept_up(publish(), enough):
        yield
