"""What the stages of a worker reach the outside through, opened on first use and shared between its agents."""

import asyncio
from collections.abc import Sequence
from typing import Any

from schemas.calls import Call, ImportSkipped
from schemas.settings import Settings
from streams.io import outcomes, recordings, speech_state
from streams.io.batcher import Batcher
from streams.io.store import Pool, open_pool_patiently

PAUSE_SECONDS = 0.025
"""Between two transactions of a kind: under load they hold dozens of calls, and on an idle system nothing waits."""


class Ports:
    """PostgreSQL by batches, and the media store."""

    def __init__(self, settings: Settings, store: Any) -> None:
        self.settings = settings
        self.store = store
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self.store_call: Batcher[Call, recordings.Stored] = Batcher(
            self._store_calls, recordings.key_of, pause=PAUSE_SECONDS
        )
        self.record_skip: Batcher[ImportSkipped, None] = Batcher(
            self._record_skips, lambda skip: skip.key, pause=PAUSE_SECONDS
        )
        self.note_waiting: Batcher[Call, None] = Batcher(self._note_waiting, recordings.key_of)

    async def pool(self) -> Pool:
        """The pool that sees all workspaces; waits for a database that is still starting."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    url = self.settings.database_url
                    self._pool = await open_pool_patiently(url.get_secret_value() if url else "", pipeline=True)
        return self._pool

    async def close(self) -> None:
        """Let go of the database."""
        if self._pool is not None:
            self._pool.terminate()

    async def _store_calls(self, calls: Sequence[Call]) -> Sequence[recordings.Stored]:
        return await recordings.store(await self.pool(), calls)

    async def _record_skips(self, skips: Sequence[ImportSkipped]) -> Sequence[None]:
        return await outcomes.record_skips(await self.pool(), skips)

    async def _note_waiting(self, calls: Sequence[Call]) -> Sequence[None]:
        return await speech_state.waiting(await self.pool(), calls)
