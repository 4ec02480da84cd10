"""Commands at work: what takes too long goes on beside the stage and holds nobody up."""

import asyncio
from uuid import uuid4

import pytest

from schemas.faults import OutageFault
from schemas.pulls import PullCommand
from streams.agents.pull import Commands
from streams.io import pulls


def command() -> PullCommand:
    """Some command."""
    return pulls.command(pulls.Ref(uuid4(), uuid4(), "tiny"), job_id=uuid4())


async def test_a_command_is_done_when_its_work_is() -> None:
    done = []

    async def work(given: PullCommand) -> None:
        await asyncio.sleep(0)
        done.append(given)

    wanted = command()
    await Commands(work, 30).run(wanted)
    assert done == [wanted]


async def test_an_outage_is_told_to_the_stage() -> None:
    async def work(given: PullCommand) -> None:
        raise OutageFault("database_away", "PostgreSQL cannot be reached.")

    with pytest.raises(OutageFault):
        await Commands(work, 30).run(command())


async def test_what_takes_too_long_goes_on_beside_until_all_is_stopped() -> None:
    ended = asyncio.Event()

    async def work(given: PullCommand) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    commands = Commands(work, 0.001)
    await commands.run(command())
    assert not ended.is_set()
    await commands.stop()
    assert ended.is_set()


async def test_a_stage_that_is_stopped_ends_its_work() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(given: PullCommand) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(Commands(work, 30).run(command()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
