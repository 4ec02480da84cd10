"""`Idempotency-Key`: the same key with the same content gets the same answer, however often it is sent.

A key is taken when the whole request has been read, because its content is part of the promise. Kept for a day. A
request that dies half-way (kill -9) frees its key after a minute, because a living one keeps saying that it runs.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header

from api.auth import Caller
from api.problems import Problem
from schemas.faults import OutageFault
from streams.io import queries
from streams.io.store import Pool, in_workspace

SQL = queries.load("uploads")
Key = Annotated[str | None, Header(description="The same key with the same content gets the same answer.")]
"""The header, as a parameter of a route."""
STILL_RUNNING_SECONDS = 15.0
"""How often a running request says so; `forget_idempotency_key` gives it up after 60 s of silence."""


def checked_key(key: str | None) -> str | None:
    """The header's value, or None. Raises a 422 problem for one that is no key."""
    if key is not None and not re.fullmatch(r"[\x20-\x7e]{1,255}", key):
        raise Problem(422, "bad_idempotency_key", "Idempotency-Key must be 1 to 255 plain characters.")
    return key


def content_of(what: str, caller: Caller, wanted: Any) -> str:
    """A hash of a request: what was asked for, by whom, with which words."""
    return hashlib.sha256(json.dumps([what, str(caller.user_id), wanted], sort_keys=True).encode()).hexdigest()


async def content_with_secrets(what: str, caller: Caller, wanted: Any, key: str | None) -> str:
    """The same for a request that holds a credential: slow to compute, so that nobody finds a weak one by its hash."""
    if key is None:
        return ""
    plain = content_of(what, caller, wanted).encode()
    return (await asyncio.to_thread(hashlib.scrypt, plain, salt=key.encode(), n=2**14, r=8, p=1)).hex()


async def once(
    pool: Pool, workspace_id: UUID, key: str | None, content: str, work: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Do `work`, or give back what it answered before. 409 for another content and while the first is still running.

    `content` is a hash of everything that matters in the request. When `work` raises, the key is free again.
    """
    if key is None:
        return await work()
    known = await _take(pool, workspace_id, key, content)
    if known is not None:
        return known
    try:
        async with _still_running(pool, workspace_id, key):
            answer = await work()
        async with in_workspace(pool, workspace_id) as connection:
            await connection.execute(SQL["answer_idempotency_key"], workspace_id, key, answer)
    except BaseException:
        with suppress(OutageFault):
            async with in_workspace(pool, workspace_id) as connection:
                await connection.execute(SQL["drop_idempotency_key"], workspace_id, key)
        raise
    return answer


async def _take(pool: Pool, workspace_id: UUID, key: str, content: str) -> dict[str, Any] | None:
    async with in_workspace(pool, workspace_id) as connection:
        await connection.execute(SQL["forget_idempotency_key"], workspace_id, key)
        if await connection.fetchval(SQL["take_idempotency_key"], workspace_id, key, content):
            return None
        row = await connection.fetchrow(SQL["find_idempotency_key"], workspace_id, key)
    if row is not None and row["request_hash"] != content:
        sentence = "This Idempotency-Key was used for another request. Use a new key for new content."
        raise Problem(409, "idempotency_key_reused", sentence)
    if row is None or row["response"] is None:
        sentence = "A request with this Idempotency-Key is still running. Ask again in a moment."
        raise Problem(409, "still_running", sentence, headers={"Retry-After": "5"})
    response: dict[str, Any] = row["response"]
    return response


@asynccontextmanager
async def _still_running(pool: Pool, workspace_id: UUID, key: str) -> AsyncIterator[None]:
    async def say() -> None:
        while True:
            await asyncio.sleep(STILL_RUNNING_SECONDS)
            with suppress(OutageFault):
                async with in_workspace(pool, workspace_id) as connection:
                    await connection.execute(SQL["keep_idempotency_key"], workspace_id, key)

    task = asyncio.create_task(say())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
