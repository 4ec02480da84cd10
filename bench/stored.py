"""A library that has grown: known calls, straight into PostgreSQL and into the dedup table's changelog."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from bench.chains import Chain, connected
from bench.feeder import WORDS, producer_settings
from bench.ground import PARTITIONS
from bench.rounds import Loss
from ops.topics import changelog_of
from streams.io import clock

STEP = 50_000
FIND_INDEX = "SELECT indexdef FROM pg_indexes WHERE indexname = 'recordings_search'"
RECORDINGS = """
    INSERT INTO recordings (
        recording_id, workspace_id, source_app, external_id, owner_user_id, bank_id, title, full_transcript,
        recording_start_time, duration_ms, source_metadata, metadata_quality, event_id, fingerprint, observed_at,
        received_at, imported_at
    )
    SELECT
        uuidv7(), $1, 'generic', 'known-' || lpad(n::text, 7, '0'), $2, b.bank_id, 'Known call ' || n,
        concat_ws(' ', w[1 + n % 40], w[1 + n / 40 % 40], w[1 + n / 1600 % 40], 'number', n::text, w[1 + n * 7 % 40]),
        now() - n * interval '1 minute', 60000, json_build_object('external_id', 'known-' || n), 'partial', uuidv7(),
        'known', now(), now(), now() - n * interval '1 second'
    FROM generate_series($3::bigint, $4::bigint) AS n, banks b, (SELECT $5::text[] AS w) words
    WHERE b.workspace_id = $1 AND b.personal_of = $2
"""
IMPORTED = """
    INSERT INTO imported_calls (import_id, workspace_id, source_app, external_id, recording_id, status, event_id)
    SELECT uuidv7(), workspace_id, source_app, external_id, recording_id, 'imported', event_id FROM recordings
    WHERE external_id LIKE 'known-%'
"""


def known(number: int) -> str:
    """The external id of a known call."""
    return f"known-{number:07d}"


async def fill_recordings(chain: Chain, count: int) -> None:
    """So many rows in `recordings` and `imported_calls`."""
    ground = chain.ground
    async with connected(chain.database_url) as connection:
        index = await connection.fetchval(FIND_INDEX)
        await connection.execute("DROP INDEX recordings_search")
        for first in range(0, count, STEP):
            last = min(first + STEP, count) - 1
            await connection.execute(RECORDINGS, ground.workspace_id, ground.user_id, first, last, WORDS[:40])
        await connection.execute(index)
        await connection.execute(IMPORTED)
        await connection.execute("VACUUM ANALYZE recordings, imported_calls")
        rows = await connection.fetchval("SELECT count(*) FROM recordings WHERE external_id LIKE 'known-%'")
    if rows != count:
        raise Loss(f"{rows} known calls were filled in instead of {count}.")


async def fill_claims(chain: Chain, count: int) -> None:
    """So many claims in the changelog, as Faust writes them. dedup must not run; it reads them when it starts.

    They are of tomorrow, so that whatever comes for a known call is older than it and is skipped.
    """
    seen = (clock.now() + timedelta(days=1)).isoformat()
    claim = json.dumps({"event_id": str(clock.new_id()), "fingerprint": "known", "observed_at": seen}).encode()
    producer = AIOKafkaProducer(**producer_settings(chain.ground.kafka))
    topic = changelog_of(chain.settings.group_prefix)
    await producer.start()
    try:
        batches: dict[int, Any] = {number: producer.create_batch() for number in range(PARTITIONS)}
        for partition, key in _keys(chain, count):
            if batches[partition].append(key=key, value=claim, timestamp=None) is None:
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(key=key, value=claim, timestamp=None)
        for partition, batch in batches.items():
            if batch.record_count():
                await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def _keys(chain: Chain, count: int) -> Iterator[tuple[int, bytes]]:
    """Partition and changelog key of each claim. The partition is the event's; the key is the event's as JSON."""
    for number in range(count):
        key = f"{chain.ground.workspace_id}:generic:{known(number)}"
        yield (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS, json.dumps(key).encode()
