"""`make chaos` with small numbers: the parts that no other test has, and that the closing audit would see a loss."""

from pathlib import Path

import pytest

from tests.chaos import after, closing
from tests.chaos.plan import Amounts
from tests.chaos.run import Wishes
from tests.chaos.storm import storm
from tests.chaos.whole import running

pytestmark = [pytest.mark.system, pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(600)]

SMALL = Wishes(
    seed=4,
    storm_seconds=0,
    amounts=Amounts(changes=3, broker_stops=0, broker_kills=0, database_stops=0, cuts=0, retries=1, agains=1),
    slow_seconds=12.0,
    backlog=600,
    between=50,
    keys=2000,
    rolling=("dedup",),
)


async def test_a_slow_transcription_is_paid_once_and_a_rolling_deploy_loses_nothing(tmp_path: Path) -> None:
    async with running(SMALL, tmp_path, print) as run:
        await storm(run)
        await after.rolling_deploy(run)
        await closing.audit(run)
        assert run.breaches == [], run.stack.logs()
        assert run.numbers["slow transcription, times paid"] == 1
        await after.restore(run)
        assert run.breaches == [], run.stack.logs()
        heartbeats = await run.stack.fetch("SELECT worker FROM worker_heartbeats WHERE role = 'dedup'")
        assert [row["worker"] for row in heartbeats] == ["dedup-990"], "who leaves in good order says good-bye"

        run.feed.calls.append("lost")
        run.feed.events["lost"] = {"an event that nobody has seen"}
        run.feed.total += 1
        await closing.audit(run, limit=1)
        assert "Events have no outcome (1): an event that nobody has seen" in run.breaches
        assert "Calls are not stored (1): lost" in run.breaches
