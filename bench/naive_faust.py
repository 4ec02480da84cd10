"""The chain as a Faust tutorial would have it: four plain agents, one event at a time, one insert an event.

`python -m bench.naive_faust pipeline|dedup|transcribe`. Three processes, split as callstream's roles are. Default
acknowledgements, default settings but for what it takes to run here; each send is awaited. BENCH_TOPICS is the prefix
of its topics.
"""

import os
import sys
from typing import Any

import asyncpg
import faust

from bench import plain

TOPICS = plain.topics_of(os.environ.get("BENCH_TOPICS", "bench.naive"))
Agent = Any


def build(role: str) -> Any:
    """The Faust app of a role, with its agents."""
    app = faust.App(
        f"{TOPICS['raw']}-{role}",
        broker=f"kafka://{os.environ['CALLSTREAM_KAFKA']}",
        store="rocksdb://",
        datadir=os.environ["CALLSTREAM_WORKER_DIR"],
        topic_partitions=int(os.environ["CALLSTREAM_PARTITIONS"]),
        topic_replication_factor=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        producer_compression_type="zstd",
        web_enabled=False,
    )
    topics = {name: app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
              for name, topic in TOPICS.items()}  # fmt: skip
    {"pipeline": _pipeline, "dedup": _dedup, "transcribe": _transcribe}[role](app, topics)
    return app


def _pipeline(app: Any, topics: dict[str, Any]) -> None:
    pool: list[asyncpg.Pool] = []

    @app.agent(topics["raw"])  # type: ignore[untyped-decorator]
    async def normalize(stream: Any) -> None:
        async for key, value in stream.items():
            await (await topics["normalized"].send(key=key, value=plain.normalize(value)))

    @app.agent(topics["ready"])  # type: ignore[untyped-decorator]
    async def persist(stream: Any) -> None:
        if not pool:
            pool.append(await asyncpg.create_pool(os.environ["CALLSTREAM_DATABASE_URL"], min_size=1, max_size=4))
        marks = ", ".join(f"${number}" for number in range(1, 10))
        insert = f"INSERT INTO calls ({plain.COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        async for key, value in stream.items():
            row = plain.row_of(value)
            await pool[0].execute(insert, *row)
            await (await topics["completed"].send(key=key, value=plain.completed(row)))


def _dedup(app: Any, topics: dict[str, Any]) -> None:
    claims = app.Table("claims", partitions=app.conf.topic_partitions, options={"driver": "rocksdict"})

    @app.agent(topics["normalized"])  # type: ignore[untyped-decorator]
    async def dedup(stream: Any) -> None:
        async for key, value in stream.items():
            name = key.decode()
            if claims.get(name) is None:
                claims[name] = plain.claim_of(value)
                await (await topics["unique"].send(key=key, value=value))


def _transcribe(app: Any, topics: dict[str, Any]) -> None:
    @app.agent(topics["unique"])  # type: ignore[untyped-decorator]
    async def transcribe(stream: Any) -> None:
        async for key, value in stream.items():
            await (await topics["ready"].send(key=key, value=value))


if __name__ == "__main__":
    faust.Worker(build(sys.argv[1]), loglevel="WARNING", quiet=True).execute_from_commandline()
