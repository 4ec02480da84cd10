"""The Faust apps, one a role, with the settings that keep Faust sound, and the start of a worker process.

`python -m streams.app ROLE` runs one worker. Its parent restarts it when it exits.
"""

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiokafka
import faust
import mode
import structlog
import uvloop
from faust.sensors.monitor import Monitor

from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings, load_settings
from schemas.topics import CLAIMS_TABLE
from streams.intake import SparingTransport
from streams.logs import set_up_logging
from streams.recovery import SafeTableManager

log = structlog.get_logger("worker")
ROLES = ("pipeline", "dedup", "transcribe", "pull")
RECOVERING = "recovering"
SEVEN_DAYS = 7 * 24 * 3600.0
NICE = 5
"""On a shared machine the doors, Kafka and PostgreSQL come first: what is accepted can wait, its sender cannot."""
CRASH_GRACE = 10.0
"""Seconds a crashed worker has to end by itself."""


class SafeEvent(faust.Event):  # type: ignore[misc]
    """An event that nobody but the runner acknowledges.

    Faust without its compiled parts acknowledges, `noack()` or not, what it skips after a rebalance, and would then
    commit past the same events when they come again.
    """

    def ack(self) -> bool:
        """Faust asks for this, and nothing happens."""
        return False

    def settle(self) -> bool:
        """Acknowledge, for the runner."""
        return bool(super().ack())


class QuietMonitor(Monitor):  # type: ignore[misc]
    """Faust's own statistics without their cost for each record. Ours are in `schemas/metrics.py`.

    The time of the last event stays: Faust's warnings about slow streams look at it.
    """

    logger = logging.getLogger("faust.sensors")

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Not counted."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> dict[str, Any] | None:
        """Only when it was."""
        self.stream_inbound_time[tp] = time.monotonic()
        return None

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Not counted."""

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        """Not counted."""

    def on_table_get(self, table: Any, key: Any) -> None:
        """Not counted."""

    def on_table_set(self, table: Any, key: Any, value: Any) -> None:
        """Not counted."""

    def on_send_initiated(self, producer: Any, topic: str, message: Any, keysize: int, valsize: int) -> Any:
        """Not counted."""

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        """Not counted."""


class SafeApp(faust.App):  # type: ignore[misc]
    """A Faust app that tells the runner which events a rebalance has made void.

    `epoch` grows whenever partitions are taken away. While `open` is False (from the first sign of a rebalance until
    Faust has emptied its queues) nothing may be acknowledged.
    """

    logger = logging.getLogger("faust.app")
    epoch = 0
    open = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closers: list[Callable[[], Awaitable[None]]] = []
        """Called when the app has stopped."""
        self.recovering: Path | None = None
        """Touched while the table is rebuilt; the watchdog looks at it."""

    def _new_transport(self) -> SparingTransport:
        return SparingTransport(self.conf.broker_consumer, self)

    def _crash(self, reason: BaseException) -> None:
        """End the process after a crash, even if Faust waits for ever to commit through a thread that is gone."""
        if not self._crashed.is_set():
            timer = threading.Timer(CRASH_GRACE, _leave)
            timer.daemon = True
            timer.start()
        super()._crash(reason)

    async def on_stop(self) -> None:
        """Stop Faust, then let go of what the stages hold."""
        await super().on_stop()
        for close in self.closers:
            with contextlib.suppress(Exception):
                await close()

    def on_rebalance_start(self) -> None:
        """The first sign of a rebalance; called from the consumer's thread."""
        self.epoch += 1
        self.open = False
        super().on_rebalance_start()

    async def _on_partitions_revoked(self, revoked: Any) -> None:
        await super()._on_partitions_revoked(revoked)
        self.epoch += 1
        self.open = True

    def committed(self, tp: Any) -> int | None:
        """The committed offset of a partition at the last seek or commit: the next record to read."""
        offset: int | None = self.consumer._committed_offset.get(tp)
        return offset

    async def has_records(self, tp: Any, first: int, before: int) -> bool:
        """Whether the broker holds records at offsets `first` up to `before`, asked without Faust."""
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=_bootstrap(self), auto_offset_reset="earliest")
        await consumer.start()
        try:
            partition = aiokafka.TopicPartition(tp.topic, tp.partition)
            consumer.assign([partition])
            consumer.seek(partition, first)
            while (position := await consumer.position(partition)) < before:
                found = await consumer.getmany(partition, timeout_ms=2000)
                if any(record.offset < before for records in found.values() for record in records):
                    return True
                if not found and await consumer.position(partition) == position:
                    ends = await consumer.end_offsets([partition])
                    if position >= ends[partition]:
                        return False
            return False
        finally:
            await consumer.stop()


def _leave() -> None:
    log.critical("crashed_worker_hangs")
    os._exit(70)


def _bootstrap(app: SafeApp) -> str:
    return ",".join(f"{url.host}:{url.port}" for url in app.conf.broker_consumer)


def build_app(role: str, settings: Settings) -> SafeApp:
    """The app of a role. Only dedup has a table, and therefore a changelog, a standby and the mended recovery."""
    with_table = role == "dedup"
    folder = (settings.worker_dir or settings.data_dir / "workers" / (settings.worker_name or role)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    bootstrap = [f"kafka://{address.strip()}" for address in (settings.kafka or "").split(",")]
    app = SafeApp(
        f"{settings.group_prefix}-{role}",
        broker=";".join(bootstrap),
        store="rocksdb://" if with_table else "memory://",
        datadir=str(folder),
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication_factor,
        table_standby_replicas=1 if with_table else 0,
        TableManager=SafeTableManager,
        Event=SafeEvent,
        Monitor=QuietMonitor,
        agent_supervisor=mode.CrashingSupervisor,
        broker_max_poll_interval=SEVEN_DAYS,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_seconds / 5),
        broker_commit_interval=0.5,
        broker_commit_livelock_soft_timeout=3600.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        producer_acks=-1,
        producer_linger=0.1,
        producer_request_timeout=30.0,
        producer_max_request_size=2 * 1024 * 1024,
        producer_compression_type="zstd",
        stream_buffer_maxsize=100 if role in ("transcribe", "pull") else 1000,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.recovering = folder / RECOVERING
    return app


def claims_table(app: SafeApp, settings: Settings) -> Any:
    """The keyed table of the dedup role, kept in RocksDB with small caches: the default is 2 GiB a partition."""
    return app.Table(
        CLAIMS_TABLE,
        partitions=settings.partitions,
        options={
            "driver": "rocksdict",
            "block_cache_size": 16 * 1024 * 1024,
            "block_cache_compressed_size": 4 * 1024 * 1024,
            "write_buffer_size": 4 * 1024 * 1024,
            "max_write_buffer_number": 2,
            "max_open_files": 64,
        },
    )


def run_worker(role: str, settings: Settings) -> None:
    """Run one worker until it is told to stop, or until it crashes; the exit code says which."""
    from streams.wiring import wire

    set_up_logging(settings, role)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    uvloop.install()
    app = build_app(role, settings)
    wire(app, role, settings)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # events come and go in thousands; nearly nothing of them is in a cycle
    worker = faust.Worker(
        app,
        loglevel="WARNING",
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
        loop=asyncio.new_event_loop(),
    )
    worker.spinner = None
    worker.execute_from_commandline()


def main() -> None:
    """`python -m streams.app ROLE`."""
    if len(sys.argv) != 2 or sys.argv[1] not in ROLES:
        sys.exit(f"usage: python -m streams.app {'|'.join(ROLES)}")
    try:
        run_worker(sys.argv[1], load_settings())
    except (ConfigFault, OutageFault) as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
