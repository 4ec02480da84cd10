"""A whole run: servers, workers, every part in its order, the closing audit, the report."""

import asyncio
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ops.watchdog import Watchdog
from tests.chaos import after, closing
from tests.chaos.crew import Crew, Memory
from tests.chaos.feed import Feed
from tests.chaos.outcomes import Outcomes
from tests.chaos.plan import ROLES, steady
from tests.chaos.run import Run, Wishes
from tests.chaos.storm import kept_up, storm
from tests.servers import addresses_of, own_servers
from tests.stack import start_stack

SPEECH_EVERY = 100
"""One call in so many must be transcribed."""


async def whole_run(wishes: Wishes, folder: Path, show: Callable[[str], None]) -> dict[str, Any]:
    """Do everything that is wished for; what goes wrong is in the report, even a mistake of our own."""
    async with running(wishes, folder, show) as run:
        run.say("storm: workers come and go, servers stop, the network is cut")
        if await _part(run, storm(run)) and await closing.drained(run):
            closing.judge_memory(run)
            if wishes.hang:
                run.say("a worker hangs")
                await _part(run, after.hang(run))
            if wishes.rolling:
                run.say("rolling deploy")
                await _part(run, after.rolling_deploy(run))
        run.say("closing audit")
        await _part(run, closing.audit(run))
        if wishes.keys and not run.breaches:
            run.say(f"restore of a dedup table with {wishes.keys} keys")
            await _part(run, after.restore(run))
    return run.report()


async def _part(run: Run, part: Awaitable[None]) -> bool:
    """Whether a part went through without a new breach."""
    before = len(run.breaches)
    try:
        await part
    except Exception as error:
        run.show(traceback.format_exc())
        run.breach(f"A part of the run could not be finished: {error!r:.2000}")
    return len(run.breaches) == before


@asynccontextmanager
async def running(wishes: Wishes, folder: Path, show: Callable[[str], None]) -> AsyncIterator[Run]:
    """callstream on servers of its own, one worker of each role and the audit, watched as in real life."""
    with own_servers("chaos") as servers:
        stack = await asyncio.to_thread(
            start_stack, folder / "stack", servers.kafka.bootstrap, roles={"audit": 1}, servers=addresses_of(servers)
        )
        crew = Crew(stack)
        run = Run(
            wishes, servers, stack, crew, Feed(stack, SPEECH_EVERY), Outcomes(), Memory(),
            random.Random(wishes.seed), show,
        )  # fmt: skip
        patient = stack.settings.model_copy(update={"stall_seconds": wishes.stall_seconds})
        watchdog: Any = Watchdog(patient, crew, on_restart=lambda role: _restarted(run, role))
        try:
            await crew.join(*(steady(role) for role in dict.fromkeys(ROLES)))
            async with (
                kept_up(run.outcomes.read(servers.kafka.bootstrap)),
                kept_up(run.memory.watch(crew)),
                kept_up(watchdog.run()),
            ):
                yield run
        finally:
            await run.feed.close()
            await stack.close_pools()
            await asyncio.to_thread(stack.stop)


def _restarted(run: Run, role: str) -> None:
    run.restarted.append(role)
    run.say(f"the watchdog restarts {role}")
