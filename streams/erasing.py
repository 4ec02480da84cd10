"""What erased calls have left outside the database is removed, however often the media store or the broker was away.

Runs beside the audit, in the same process and under the same lock. Whoever erases a call removes it at once; this is
for what could not be removed then, and for what came once more of a call that was erased.
"""

import asyncio
from typing import Final

import structlog
from obstore.store import ObjectStore

from schemas.faults import OutageFault
from streams.io import erase
from streams.io.bus import Bus
from streams.io.store import Pool

log = structlog.get_logger("erasing")
ROUND_SECONDS: Final = 5.0


async def round_of(pool: Pool, store: ObjectStore, bus: Bus, *, after_seconds: float = erase.SETTLED_SECONDS) -> int:
    """Finish what is unfinished; how many calls that were. One that cannot be finished keeps no other from its turn."""
    calls = await erase.unfinished(pool, after_seconds=after_seconds)
    for call in calls:
        try:
            await erase.finish(pool, store, bus, call)
        except OutageFault as fault:
            log.warning("erasing_waits", source=call[1], detail=fault.detail)
        except Exception as bug:  # the other calls go on
            log.error("erasing_failed", source=call[1], exc_info=bug)
    return len(calls)


async def run(pool: Pool, store: ObjectStore, bus: Bus) -> None:
    """Finish what is unfinished, until cancelled. Never ends by itself: it is no reason for the audit to stop."""
    while True:
        try:
            await round_of(pool, store, bus)
        except OutageFault as fault:
            log.warning("erasing_waits", detail=fault.detail)
        except Exception as bug:  # the audit goes on without us
            log.error("erasing_stopped", exc_info=bug)
        await asyncio.sleep(ROUND_SECONDS)
