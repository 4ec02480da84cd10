"""A complete consumer of `imports.completed.v1`: each event is worked exactly once, whatever dies on the way.

    python consumer.py --kafka localhost:9092 --database calls.sqlite [--group my-product] [--from WHEN]

Needs Python 3.11 or newer and `pip install "aiokafka[zstd]"`.
"""

import argparse
import asyncio
import json
import signal
import sqlite3
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError

TOPIC = "imports.completed.v1"
CE_TYPE = b"io.callstream.import.completed.v1"

TABLES = """
CREATE TABLE IF NOT EXISTS seen (event_id TEXT, replay_id TEXT, PRIMARY KEY (event_id, replay_id));
CREATE TABLE IF NOT EXISTS journal (event_id TEXT, replay_id TEXT, outcome TEXT, external_id TEXT);
CREATE TABLE IF NOT EXISTS calls (recording_id TEXT PRIMARY KEY, title TEXT, observed_at REAL, replay_id TEXT);
"""


def handle(database, record):
    """Work one record, once: what we remember of it and what we do are one transaction."""
    if dict(record.headers).get("ce_type") != CE_TYPE:
        return  # a topic may gain types of events
    event = json.loads(record.value)
    once = (event["event_id"], event.get("replay_id") or "")
    with database:  # all of it or nothing
        known = database.execute("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", once).rowcount == 0
        if not known:
            work(database, event)


def work(database, event):
    """Your work goes here. This one keeps a journal, and the newest state of each call."""
    replay_id = event.get("replay_id") or ""
    database.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?)",
        (event["event_id"], replay_id, event["outcome"], event["external_id"]),
    )
    observed_at = datetime.fromisoformat(event["observed_at"]).timestamp()
    database.execute(
        """INSERT INTO calls VALUES (?, ?, ?, ?)
           ON CONFLICT (recording_id) DO UPDATE
           SET title = excluded.title, observed_at = excluded.observed_at, replay_id = excluded.replay_id
           WHERE (excluded.observed_at, excluded.replay_id) >= (calls.observed_at, calls.replay_id)""",
        (event["recording_id"], event["title"], observed_at, replay_id),
    )


class StartAt(ConsumerRebalanceListener):
    """Puts the group at a moment, on each partition where it has not committed anything yet."""

    def __init__(self, consumer, moment):
        self.consumer = consumer
        self.moment = moment

    async def on_partitions_revoked(self, revoked):
        """Nothing to do: what is not committed comes again to whoever gets the partition."""

    async def on_partitions_assigned(self, assigned):
        """Called before the first record of these partitions."""
        new = [partition for partition in assigned if await self.consumer.committed(partition) is None]
        if not new:
            return
        found = await self.consumer.offsets_for_times(dict.fromkeys(new, int(self.moment.timestamp() * 1000)))
        for partition in new:
            if found.get(partition):
                self.consumer.seek(partition, found[partition].offset)
            else:  # nothing is that young yet
                await self.consumer.seek_to_end(partition)


async def consume(options):
    """Read, work, commit; in this order, for ever."""
    database = sqlite3.connect(options.database, timeout=30)
    database.executescript(TABLES)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.kafka,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=10_000,
    )
    consumer.subscribe([TOPIC], listener=StartAt(consumer, options.start) if options.start else None)
    async with consumer:
        while True:
            batch = await consumer.getmany(timeout_ms=1000, max_records=100)
            for partition, records in batch.items():
                for record in records:
                    handle(database, record)
                try:
                    await consumer.commit({partition: records[-1].offset + 1})
                except (CommitFailedError, IllegalStateError):
                    break  # the group has dealt its partitions anew; what is not committed comes again, and is known


def moment(text):
    """`beginning`, or a time such as 2026-01-31T09:00:00Z."""
    if text == "beginning":
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def main(options):
    """Consume until Ctrl-C or SIGTERM, then leave the group in order."""
    task = asyncio.create_task(consume(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # raises what went wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Work completed imports of callstream, each once.")
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--database", required=True, help="the SQLite file")
    parser.add_argument("--group", default="my-product", help="the consumer group; one for each product")
    parser.add_argument("--from", dest="start", type=moment, default=None, help="beginning (default), or a time")
    asyncio.run(main(parser.parse_args()))
