"""Standing still: a worker that hangs is found from outside and restarted; a broker that hangs is waited for."""

import asyncio
import os
import signal
import time

import psutil
import pytest

from ops.local import Local
from ops.watchdog import Watchdog, broker_eyes
from schemas.topics import RAW
from tests.stack import Stack, account, until
from tests.system.test_crash import many

pytestmark = pytest.mark.system


async def test_the_watchdog_restarts_a_role_that_stands_still(fire: Stack) -> None:
    restarted: list[str] = []
    impatient = fire.settings.model_copy(update={"stall_seconds": 5.0})
    watchdog = Watchdog(impatient, fire.supervisor, on_restart=restarted.append)
    watching = asyncio.run_coroutine_threadsafe(watchdog.run(), fire.loop.loop)
    try:
        stuck = fire.supervisor.pids("dedup")[0]
        os.kill(stuck, signal.SIGSTOP)
        good, poison = many(fire, 400)
        began = time.monotonic()
        await fire.publish(*good, *poison)
        await account(fire, good, poison, timeout=240)
        print(f"from stall to the last of {len(good)} calls: {time.monotonic() - began:.1f} s")
        assert "dedup" in restarted
        assert not psutil.pid_exists(stuck)
    finally:
        watching.cancel()


async def test_a_group_that_nobody_is_in_and_that_never_committed_has_everything_before_it(fire: Stack) -> None:
    """As when the only worker of a new role hangs before its first commit, and the broker throws it out."""
    good, _ = many(fire, 2)
    await fire.publish(*good)
    nobody = fire.settings.model_copy(update={"group_prefix": "nobody"})
    async with broker_eyes(nobody) as look:
        offsets = (await look("pipeline")).offsets
    waiting = [offset for (topic, _), (offset, end) in offsets.items() if topic == RAW.name and offset < end]
    assert waiting
    assert set(waiting) == {0}


async def test_a_broker_that_hangs_is_waited_for(fire: Stack, servers: Local) -> None:
    """Longer than the session timeout, so that every worker is thrown out of its group meanwhile."""
    good, poison = many(fire, 1000)
    half = len(good) // 2
    await fire.publish(*good[:half], *poison)
    kafka = psutil.Process(servers.kafka.server.pid)
    assert "java" in kafka.name()
    kafka.suspend()
    await asyncio.sleep(20)
    kafka.resume()

    async def works() -> bool:
        await fire.publish(*good[half:])
        return True

    await until(works, 120, "a broker that takes events again")
    await account(fire, good, poison, timeout=240)
