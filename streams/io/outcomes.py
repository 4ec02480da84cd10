"""What the database learns from outcomes that stored nothing: skipped calls of jobs, and heartbeats of workers."""

from collections.abc import Sequence

import asyncpg

from schemas.calls import ImportSkipped
from streams.io import queries
from streams.io.erase import ERASED
from streams.io.recordings import close_books, key_of, lock_job_calls, raise_observed
from streams.io.store import outages

SQL = queries.load("outcomes")
SENTENCES = {
    "already_imported": "This call is already in your library.",
    "older_than_stored": "A newer version of this call is already in your library.",
    "erased": ERASED,
}


async def record_skips(pool: asyncpg.Pool, skips: Sequence[ImportSkipped]) -> list[None]:
    """Count duplicates in their jobs, resolve the failed imports of retried duplicates. Idempotent.

    Rows are locked in the order in which `recordings.store` locks them: recordings, calls of jobs, failed imports.
    """
    jobs = [(job, skip) for skip in skips if (job := skip.replay_id or skip.job_id)]
    with outages():
        async with pool.acquire() as connection, connection.transaction():
            await raise_observed(connection, [s for s in skips if s.reason == "already_imported"])
            if jobs:
                await lock_job_calls(connection, jobs)
                await connection.execute(
                    SQL["skip_job_calls"],
                    [s.workspace_id for _, s in jobs],
                    [job for job, _ in jobs],
                    [s.source_app for _, s in jobs],
                    [s.external_id for _, s in jobs],
                    [_sentence(s) for _, s in jobs],
                    [str(s.owner_event_id) for _, s in jobs],
                    ERASED,
                )
            await connection.execute(SQL["resolve_skipped"], [str(s.event_id) for s in skips])
            await close_books(connection, [key_of(s) for s in skips])
    return [None] * len(skips)


def _sentence(skip: ImportSkipped) -> str:
    if skip.replay_id and skip.reason == "already_imported":
        return "Unchanged: your library holds exactly this."
    return SENTENCES[skip.reason]


async def beat(pool: asyncpg.Pool, worker: str, role: str, *, ready: bool, detail: str) -> None:
    """A worker says that it lives, whether it is ready, and if not, what it waits for."""
    with outages():
        await pool.execute(SQL["beat"], worker, role, ready, detail)


async def unbeat(pool: asyncpg.Pool, worker: str) -> None:
    """A worker says good-bye, so that nobody looks for it."""
    with outages():
        await pool.execute(SQL["unbeat"], worker)
