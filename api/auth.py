"""Who is calling: one-time sign-in links, sessions, API keys. Only hashes are kept; a secret is shown once.

The command line uses these functions too; they take the pool of any login that sees the workspace.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from api.problems import Problem
from schemas.faults import InvalidCall
from streams.io import clock, queries
from streams.io.store import Connection, Pool, in_workspace, outages

SQL = queries.load("auth")

KEY_PREFIX = "csk_"
SESSION_COOKIE = "callstream_session"
SESSION_DAYS = 30
LINK_MINUTES = 60
TOUCH_SECONDS = 60.0
MAX_NAME = 100

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
"""What a key may be made for: looking, changing things, and what concerns the workspace itself."""
ALL_SCOPES = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and in which workspace. `actor` is how the audit log names them."""

    workspace_id: UUID
    user_id: UUID
    role: str
    actor: str
    csrf_token: str | None = None
    """Set for sessions only."""
    scopes: frozenset[str] = ALL_SCOPES
    """What their role allows counts only as far as these go."""

    @property
    def own_only(self) -> UUID | None:
        """The person whose things they may manage; None for an owner, who manages everybody's."""
        return None if self.role == "owner" else self.user_id


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun."""

    token: str
    expires_at: datetime


def digest(token: str) -> bytes:
    """What is kept of a token. Tokens hold 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


async def audit(
    connection: Connection, caller: Caller | None, workspace_id: UUID, action: str, target: str, **detail: Any
) -> None:
    """One line of the audit log, in the transaction of what it tells. No caller: the command line."""
    actor = caller.actor if caller else "command-line"
    await connection.execute(SQL["add_audit"], workspace_id, actor, action, target, detail)


async def create_sign_in_link(pool: Pool, workspace_id: UUID, user_id: UUID) -> str:
    """A path that signs this person in once, within the hour. Put it behind the installation's address."""
    token = secrets.token_urlsafe(32)
    now = clock.now()
    async with in_workspace(pool, workspace_id) as connection:
        await connection.execute(SQL["drop_old_sign_in_links"], workspace_id, now - timedelta(days=1))
        await connection.execute(
            SQL["add_sign_in_link"], digest(token), workspace_id, user_id, now + timedelta(minutes=LINK_MINUTES)
        )
    return f"/sign-in?token={token}"


async def use_sign_in_link(pool: Pool, token: str) -> NewSession | None:
    """A new session for the person the link was made for. None: used before, expired, or never made."""
    with outages():
        row = await pool.fetchrow(SQL["use_sign_in_link"], digest(token))
    if row is None:
        return None
    return await begin_session(pool, row["workspace_id"], row["user_id"], timedelta(days=SESSION_DAYS))


async def begin_session(pool: Pool, workspace_id: UUID, user_id: UUID, lasts: timedelta) -> NewSession:
    """A new session of somebody who has proven who they are."""
    session = NewSession(secrets.token_urlsafe(32), clock.now() + lasts)
    async with in_workspace(pool, workspace_id) as connection:
        await connection.execute(SQL["drop_old_sessions"], workspace_id, clock.now())
        await connection.execute(
            SQL["add_session"],
            digest(session.token),
            workspace_id,
            user_id,
            secrets.token_urlsafe(24),
            session.expires_at,
        )
        await connection.execute(SQL["add_audit"], workspace_id, f"user:{user_id}", "session.created", str(user_id), {})
    return session


async def find_session(pool: Pool, token: str) -> Caller | None:
    """The person behind a session cookie."""
    with outages():
        row = await pool.fetchrow(SQL["find_session"], digest(token))
    if row is None:
        return None
    return Caller(row["workspace_id"], row["user_id"], row["role"], f"user:{row['user_id']}", row["csrf_token"])


async def end_session(pool: Pool, caller: Caller, token: str) -> None:
    """Sign out. Signing out twice is no error."""
    async with in_workspace(pool, caller.workspace_id) as connection:
        await connection.execute(SQL["drop_session"], digest(token))


async def describe(pool: Pool, caller: Caller) -> dict[str, Any]:
    """What a person sees about themselves."""
    async with in_workspace(pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["describe_user"], caller.user_id, caller.workspace_id)
    known = dict(row) if row else {"name": "", "email": None, "workspace_name": ""}
    return {**known, "role": caller.role, "scopes": in_order(caller.scopes)}


def in_order(scopes: Iterable[str]) -> list[str]:
    """Scopes, each once, the smallest first."""
    wanted = set(scopes)
    return [scope for scope in SCOPES if scope in wanted]


def readable(name: str, what: str) -> str:
    """A name without space around it. Raises `InvalidCall` for one nobody could read."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name):
        sentence = f"{what} needs a name of 1 to {MAX_NAME} readable characters."
        raise InvalidCall("invalid_name", sentence, field="name")
    return name


async def create_api_key(
    pool: Pool, workspace_id: UUID, user_id: UUID, name: str, *, scopes: Iterable[str] | None = None,
    caller: Caller | None = None,
) -> str:  # fmt: skip
    """A new key, `csk_…`, to be shown once. Raises `InvalidCall` for a name nobody could read."""
    plaintext, _ = await add_api_key(pool, workspace_id, user_id, name, scopes=scopes, caller=caller)
    return plaintext


async def add_api_key(
    pool: Pool, workspace_id: UUID, user_id: UUID, name: str, *, scopes: Iterable[str] | None = None,
    caller: Caller | None = None,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """The same, with what is kept of the key. By default it may do what `caller` may. Raises `InvalidCall` for scopes
    that there are not, and a 403 problem for one that `caller` has not."""
    name = readable(name, "A key")
    limits = caller.scopes if caller else ALL_SCOPES
    wanted = limits if scopes is None else frozenset(scopes)
    if not wanted or wanted - ALL_SCOPES:
        sentence = f"A key has at least one of the scopes {', '.join(SCOPES)}, and no others."
        raise InvalidCall("invalid_scopes", sentence, field="scopes")
    if more := in_order(wanted - limits):
        sentence = f"You cannot give a key the scope {more[0]}, because your own key has not got it. Leave it out."
        raise Problem(403, "scope_missing", sentence, field="scopes")
    plaintext = KEY_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    prefix = plaintext[: len(KEY_PREFIX) + 6]
    async with in_workspace(pool, workspace_id) as connection:
        row = await connection.fetchrow(
            SQL["add_api_key"], clock.new_id(), workspace_id, user_id, name, prefix, digest(plaintext), in_order(wanted)
        )
        kept = dict(row or {})
        await audit(
            connection, caller, workspace_id, "key.created", str(kept["api_key_id"]), name=name, scopes=in_order(wanted)
        )
    return plaintext, kept


async def list_api_keys(
    pool: Pool,
    workspace_id: UUID,
    *,
    user_id: UUID | None = None,
    after: tuple[datetime | None, UUID | None] = (None, None),
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Keys in use, newest first: api_key_id, name, prefix, scopes, created_at, last_used_at."""
    async with in_workspace(pool, workspace_id) as connection:
        rows = await connection.fetch(SQL["list_api_keys"], workspace_id, user_id, *after, limit)
    return [dict(row) for row in rows]


async def revoke_api_key(
    pool: Pool, workspace_id: UUID, api_key_id: UUID, *, user_id: UUID | None = None, caller: Caller | None = None
) -> bool:
    """Close a key for good, at once. False: there was none in use (or it is not `user_id`'s)."""
    async with in_workspace(pool, workspace_id) as connection:
        name = await connection.fetchval(SQL["revoke_api_key"], workspace_id, api_key_id, user_id)
        if name is not None:
            await audit(connection, caller, workspace_id, "key.revoked", str(api_key_id), name=name)
    return name is not None


_touched: dict[UUID, float] = {}


async def find_key_owner(pool: Pool, key: str) -> Caller | None:
    """The owner of an API key. When it was last used is written down at most once a minute."""
    if not key.startswith(KEY_PREFIX) or len(key) > 200:
        return None
    with outages():
        row = await pool.fetchrow(SQL["find_api_key"], digest(key))
    if row is None:
        return None
    key_id, now = row["api_key_id"], clock.unix_now()
    if now - _touched.get(key_id, 0.0) > TOUCH_SECONDS:
        _touched[key_id] = now
        async with in_workspace(pool, row["workspace_id"]) as connection:
            await connection.execute(SQL["touch_api_key"], key_id)
    scopes = frozenset(row["scopes"])
    return Caller(row["workspace_id"], row["user_id"], row["role"], f"key:{row['name']}", scopes=scopes)
