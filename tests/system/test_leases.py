"""Results and leases of speech to text on a real PostgreSQL, with row-level security as in production."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from schemas.faults import InvalidCall, OutageFault
from streams.io.leases import TranscriptStore

pytestmark = pytest.mark.database

SHA = "a" * 64


@pytest.fixture
def workspace_id(database: Any) -> UUID:
    workspace_id: UUID = database.workspace_id
    return workspace_id


@pytest.fixture
def store(database: Any) -> TranscriptStore:
    return TranscriptStore(database.pipeline_pool)


async def test_the_first_result_stays(store: TranscriptStore, workspace_id: UUID) -> None:
    key = (workspace_id, SHA, "whisper-1", "")
    assert await store.get(*key) is None
    result = {"text": "Grüße 🎧", "segments": [{"text": "Grüße", "start_ms": 0, "end_ms": 10, "speaker": None}]}
    await store.put(*key, result=result, seconds=8.47)
    await store.put(*key, result={"text": "later"}, seconds=None)
    assert await store.get(*key) == result
    assert await store.get(workspace_id, SHA, "whisper-1", "de") is None
    assert await store.get(uuid4(), SHA, "whisper-1", "") is None


async def test_the_first_answer_to_a_part_stays(store: TranscriptStore, workspace_id: UUID) -> None:
    key = (workspace_id, SHA, "whisper-1", "")
    assert await store.chunks(*key) == {}
    for text in ("Grüße 🎧", "later"):
        await store.put_chunk(
            *key, start_ms=0, end_ms=900_500, result={"text": text}, seconds=900.54321, cost_micros=90_054
        )
    await store.put_chunk(*key, start_ms=900_500, end_ms=2**40, result={"text": ""}, seconds=1 / 3, cost_micros=None)
    assert await store.chunks(*key) == {(0, 900_500): {"text": "Grüße 🎧"}, (900_500, 2**40): {"text": ""}}
    assert await store.chunks(workspace_id, SHA, "whisper-1", "de") == {}
    rows = await store.pool.fetch("SELECT seconds::text, cost_micros FROM transcript_chunks ORDER BY start_ms")
    assert [tuple(row) for row in rows] == [("900.543", 90_054), ("0.333", None)]


async def test_one_of_many_gets_the_lease(store: TranscriptStore, workspace_id: UUID) -> None:
    key = (workspace_id, SHA, "whisper-1", "")
    holders = [uuid4() for _ in range(20)]
    taken = await asyncio.gather(*(store.take_lease(*key, holder=holder, seconds=60) for holder in holders))
    assert taken.count(True) == 1
    winner, loser = holders[taken.index(True)], holders[taken.index(False)]
    assert await store.take_lease(*key, holder=winner, seconds=60)
    assert await store.renew(*key, holder=winner, seconds=60)
    assert not await store.renew(*key, holder=loser, seconds=60)
    await store.release(*key, holder=loser)
    assert not await store.take_lease(*key, holder=loser, seconds=60)
    await store.release(*key, holder=winner)
    assert await store.take_lease(*key, holder=loser, seconds=60)


async def test_one_of_many_takes_over_a_lease_that_ran_out(store: TranscriptStore, workspace_id: UUID) -> None:
    key = (workspace_id, SHA, "whisper-1", "en")
    dead = uuid4()
    assert await store.take_lease(*key, holder=dead, seconds=0.05)
    await asyncio.sleep(0.2)
    taken = await asyncio.gather(*(store.take_lease(*key, holder=uuid4(), seconds=60) for _ in range(20)))
    assert taken.count(True) == 1
    assert not await store.renew(*key, holder=dead, seconds=60)


async def test_renewing_keeps_a_lease(store: TranscriptStore, workspace_id: UUID) -> None:
    key = (workspace_id, SHA, "gpt-4o-transcribe", "")
    holder = uuid4()
    assert await store.take_lease(*key, holder=holder, seconds=0.3)
    for _ in range(6):
        await asyncio.sleep(0.1)
        assert await store.renew(*key, holder=holder, seconds=0.3)
    assert not await store.take_lease(*key, holder=uuid4(), seconds=60)


async def test_a_workspace_that_is_gone_costs_nothing(store: TranscriptStore) -> None:
    with pytest.raises(InvalidCall) as caught:
        await store.take_lease(uuid4(), SHA, "whisper-1", "", holder=uuid4(), seconds=60)
    assert caught.value.reason == "workspace_gone"


async def test_a_database_that_is_away_is_an_outage(workspace_id: UUID) -> None:
    pool = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    await pool
    with pytest.raises(OutageFault):
        await TranscriptStore(pool).get(workspace_id, SHA, "whisper-1", "")
    await pool.close()
