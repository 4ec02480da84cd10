"""The measuring itself: it finishes, it counts every call in all three chains, and it says so when one is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import rounds
from bench.chains import Chain, connected, other
from bench.ground import open_ground

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.system]
ROOT = Path(__file__).parents[2]
EVENTS = 400


@pytest.mark.timeout(600)
def test_a_small_run_stores_every_call_in_all_three_chains(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "throughput", "--events", str(EVENTS), "--rounds", "1", "--out", tmp_path]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())["parts"]["throughput"]["numbers"]
    assert set(found) == {"callstream", "naive", "bare"}
    for chain in found.values():
        assert (chain["calls"], chain["stored"], chain["completed"]) == (EVENTS // 2,) * 3
        assert chain["stored_per_second"]["median"] > 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert "against a naive Faust chain" in page
    assert "python -m bench throughput" in page


@pytest.mark.timeout(300)
async def test_a_chain_that_loses_a_call_is_a_failed_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "STUCK_SECONDS", 3.0)
    async with open_ground() as ground:
        chain = await other(ground, "bare", "bare_aiokafka", 0)
        await chain.start()
        try:
            assert (await rounds.one_round(chain, "whole", 200))["stored"] == 100
            await _take_out(chain)
            with pytest.raises(rounds.Loss, match="of 100 calls 99 are stored"):
                await rounds.one_round(chain, "holed", 200)
        finally:
            await chain.stop()


async def _take_out(chain: Chain) -> None:
    """Let the table refuse one call in silence."""
    async with connected(chain.database_url) as connection:
        await connection.execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER lose BEFORE INSERT ON calls FOR EACH ROW"
            " WHEN (NEW.external_id = 'holed-0000042') EXECUTE FUNCTION lose()"
        )
