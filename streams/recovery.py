"""Faust's table recovery in an order that loses nothing.

Stock faust-streaming 0.15.3 resumes the source partitions before it seeks to the committed offsets, while the flow is
open for the changelog. Events fetched in between reach the stream queues, are cleared, and the hole they leave is taken
for a compaction gap and committed over. Here the flow is closed first, and opened last.
"""

import asyncio
import logging
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from mode import Service

SIGN_SECONDS = 2.0
PAUSE = 0.1
"""Seconds for fetches that are under way to come in, so that the seek throws them away."""


class SafeRecovery(Recovery):  # type: ignore[misc]
    """Recovery whose last step closes the flow before it touches the source partitions."""

    logger = logging.getLogger("faust.recovery")

    @Service.task  # type: ignore[untyped-decorator]
    async def _say_it_goes_on(self) -> None:
        """For as long as the table grows, touch a file: a rebuild may take longer than a stall, and is none."""
        before = 0
        while not self.should_stop:
            read = sum(self.active_offsets.values())
            if self.in_recovery and read != before and self.app.recovering is not None:
                self.app.recovering.touch()
            before = read
            await self.sleep(SIGN_SECONDS)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Close the flow, run the tables' callbacks, seek, and only then resume."""
        app, consumer = self.app, self.app.consumer
        app.flow_control.suspend()
        consumer.stop_flow()
        await asyncio.sleep(PAUSE)
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        for table in self.tables.values():
            await table.on_recovery_completed(self.actives_for_table[table], self.standbys_for_table[table])
        if app.consumer_generation_id != generation_id:
            self.log.warning("Rebalancing again before recovery was over")
            return
        assignment = consumer.assignment()
        if assignment:
            await self._wait(consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()


class SafeTableManager(TableManager):  # type: ignore[misc]
    """A table manager that recovers with `SafeRecovery`."""

    logger = logging.getLogger("faust.tables")
    _recovery: Any

    @property
    def recovery(self) -> Any:
        """The recovery service, made on first use."""
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
