"""Rate budgets in PostgreSQL: one for all workers of all processes."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from connectors.contract import DAY, Limit
from connectors.pacing import until_midnight
from streams.io import budgets
from streams.io.budgets import AccountBudget
from streams.io.store import Pool, open_pool
from tests.conftest import Database
from tests.unit.io.test_budget_rules import fullest


@pytest.fixture
async def pools(database: Database) -> AsyncIterator[list[Pool]]:
    """Two workers' pools and an API's, which sees one workspace at a time."""
    made = [
        await open_pool(database.app_url, pipeline=True), await open_pool(database.app_url, pipeline=True),
        await open_pool(database.app_url),
    ]  # fmt: skip
    try:
        yield made
    finally:
        for pool in made:
            pool.terminate()


WORKER = """
import asyncio, sys
from connectors.contract import DAY, Limit
from connectors.pacing import until_midnight
from streams.io import budgets
from streams.io.store import open_pool

granted, decide = [], budgets.spend

def noted(bucket, limits, cost, now, midnight):
    after, wait = decide(bucket, limits, cost, now, midnight)
    if wait == 0:
        granted.append(now.timestamp())
    return after, wait

async def main():
    budgets.spend = noted
    pool = await open_pool(sys.argv[1], pipeline=sys.argv[2] == "pipeline")
    budget = budgets.AccountBudget(pool, "gong:1", (Limit(20, 1.0), Limit(70, DAY)), until_midnight)

    async def work():
        while (wait := await budget.spend("default", 1)) < 100:
            await asyncio.sleep(wait)

    await asyncio.gather(*(work() for _ in range(12)))
    print(*granted)
    await pool.close()

asyncio.run(main())
"""
"""A worker that spends what it can, and says when each request was granted by the clock of the database."""


async def test_many_tasks_of_several_processes_never_exceed_a_limit_in_any_window(database: Database) -> None:
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, database.app_url, kind, stdout=asyncio.subprocess.PIPE
        )
        for kind in ("pipeline", "pipeline", "api")
    ]
    told = [[float(at) for at in (await process.communicate())[0].split()] for process in running]
    granted = sorted(at for worker in told for at in worker)
    assert len(granted) == 70
    assert fullest([(at, 1) for at in granted], 1.0) <= 20


async def test_accounts_and_buckets_are_counted_apart(database: Database) -> None:
    limits = (Limit(1, 60), Limit(1, 60, "heavy"))
    one, other = (AccountBudget(database.pipeline_pool, name, limits, until_midnight) for name in ("a:1", "a:2"))
    assert [await one.spend("default", 1), await one.spend("heavy", 1), await other.spend("default", 1)] == [0, 0, 0]
    assert await one.spend("default", 1) > 0


async def test_a_block_holds_for_every_worker(pools: list[Pool]) -> None:
    one, other, third = (AccountBudget(pool, "a:1", (), until_midnight) for pool in pools)
    assert await one.block("default", 40.0) == 40.0
    assert 39 < await other.spend("default", 1) <= 40
    assert 39 < await third.spend("default", 1) <= 40
    await third.observe("heavy", 0.0, 50.0)
    assert 49 < await one.spend("heavy", 1) <= 50


async def test_a_used_up_day_ends_at_midnight_of_its_zone(database: Database) -> None:
    zoned = AccountBudget(database.pipeline_pool, "youtube:1", (Limit(5, DAY, zone="UTC"),), until_midnight)
    assert 0 < await zoned.block("default", None) <= DAY
    plain = AccountBudget(database.pipeline_pool, "fireflies:1", (), until_midnight)
    assert await plain.block("default", None) == budgets.NO_DAY_SECONDS


async def test_plenty_left_is_not_worth_a_note(database: Database) -> None:
    budget = AccountBudget(database.pipeline_pool, "a:1", (), until_midnight)
    await budget.observe("default", 500.0, 60.0)
    assert await database.pipeline_pool.fetchval("SELECT count(*) FROM rate_budgets") == 0


async def test_when_there_is_plenty_again_the_note_is_taken_back(database: Database) -> None:
    budget = AccountBudget(database.pipeline_pool, "a:1", (), until_midnight)
    await budget.observe("default", 1.0, 60.0)
    await budget.observe("default", 500.0, 60.0)
    assert [await budget.spend("default", 1) for _ in range(3)] == [0, 0, 0]


async def test_what_is_used_today_is_known_for_planning(database: Database) -> None:
    limits = (Limit(3, 1), Limit(100, DAY), Limit(50, DAY, "search", zone="UTC"))
    budget = AccountBudget(database.pipeline_pool, "a:1", limits, until_midnight)
    assert await budget.used_today() == {}
    await budget.spend("default", 2)
    await budget.spend("search", 7)
    assert await budget.used_today() == {"default": 2, "search": 7}
