"""Results of speech to text and the leases that guard them, in PostgreSQL.

Leases run by the database's clock, so the clocks of the workers do not matter. The pool must see all workspaces
(`open_pool(…, pipeline=True)`). Every method raises `OutageFault` when the database is away.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from schemas.faults import InvalidCall
from streams.io.queries import load
from streams.io.store import outages

SQL = load("transcripts")


@dataclass(frozen=True, slots=True)
class TranscriptStore:
    """Rows of `transcripts`, `transcript_chunks` and `transcription_leases`.

    The key is workspace, sha256 of the audio, model, language.
    """

    pool: asyncpg.Pool

    async def get(self, workspace_id: UUID, audio_sha256: str, model: str, language: str) -> Mapping[str, Any] | None:
        """The stored result."""
        found = await self._value("transcript_get", workspace_id, audio_sha256, model, language)
        return None if found is None else json.loads(found)

    async def put(
        self,
        workspace_id: UUID,
        audio_sha256: str,
        model: str,
        language: str,
        *,
        result: Mapping[str, Any],
        seconds: float | None,
    ) -> None:
        """Store a result; the first one stays."""
        length = None if seconds is None else Decimal(str(seconds))
        await self._value(
            "transcript_put", workspace_id, audio_sha256, model, language, json.dumps(dict(result)), length
        )

    async def chunks(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str
    ) -> Mapping[tuple[int, int], Mapping[str, Any]]:
        """The answers that were paid for, by start and end in milliseconds; (0, 0) is the whole in one piece."""
        with outages():
            rows = await self.pool.fetch(SQL["chunks_get"], workspace_id, audio_sha256, model, language)
        return {(row["start_ms"], row["end_ms"]): json.loads(row["result"]) for row in rows}

    async def put_chunk(
        self,
        workspace_id: UUID,
        audio_sha256: str,
        model: str,
        language: str,
        *,
        start_ms: int,
        end_ms: int,
        result: Mapping[str, Any],
        seconds: float,
        cost_micros: int | None,
    ) -> None:
        """Store an answer that was paid for; the first one stays."""
        key = (workspace_id, audio_sha256, model, language, start_ms, end_ms)
        length = Decimal(str(round(seconds, 3)))
        await self._value("chunk_put", *key, json.dumps(dict(result)), length, cost_micros)

    async def take_lease(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Take a lease that is free or has run out. False: another holder has it.

        Raises `InvalidCall` when the workspace is gone: nobody would read what is paid for.
        """
        try:
            taken = await self._value("lease_take", workspace_id, audio_sha256, model, language, holder, seconds)
        except asyncpg.ForeignKeyViolationError as error:
            raise InvalidCall(
                "workspace_gone", "The workspace of this call is no longer there.", field="workspace_id"
            ) from error
        return taken is not None

    async def renew(
        self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID, seconds: float
    ) -> bool:
        """Lengthen the holder's lease. False: it is the holder's no more."""
        kept = await self._value("lease_renew", workspace_id, audio_sha256, model, language, holder, seconds)
        return kept is not None

    async def release(self, workspace_id: UUID, audio_sha256: str, model: str, language: str, *, holder: UUID) -> None:
        """Give the lease back, if it is still the holder's."""
        await self._value("lease_release", workspace_id, audio_sha256, model, language, holder)

    async def _value(self, query: str, *arguments: object) -> Any:
        with outages():
            return await self.pool.fetchval(SQL[query], *arguments)
