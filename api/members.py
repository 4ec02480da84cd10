"""The people of a workspace: invited by name or address, signed in by a link or their identity provider, taken out."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import auth
from api.auth import Caller
from api.paging import Items, Storable, cursor_id, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from streams.io import clock, queries
from streams.io.store import Connection, in_workspace

SQL = queries.load("members")

Role = Literal["owner", "member", "support"]


class Member(BaseModel):
    """A person of the workspace. A member sees everything and manages what is theirs; support may also replay, import
    for others and see the audit log; an owner decides about everything."""

    user_id: UUID
    name: str
    email: str | None
    role: Role
    created_at: datetime | None


class MemberCreate(BaseModel):
    """Somebody to take in. Where people sign in with an identity provider, `email` is what it knows them by: whoever
    has it verified there becomes this person."""

    model_config = ConfigDict(extra="forbid")

    name: Storable = Field(min_length=1, max_length=auth.MAX_NAME)
    email: Storable | None = Field(None, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")
    role: Role = "member"


class MemberChange(BaseModel):
    """What they may do from now on."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class SignInLink(BaseModel):
    """An address that signs them in once, within the hour. It is shown this once."""

    sign_in_link: str


class NewMember(Member, SignInLink):
    """The person just taken in, and the link to send to them."""


async def list_members(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[Member]:
    """The people of the workspace, newest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["list_members"], caller.workspace_id, None, *after, limit + 1)
    return page(rows, limit, lambda row: Member(**dict(row)), lambda row: (row["created_at"], row["user_id"]))


async def add_member(ports: Ports, caller: Caller, wanted: MemberCreate) -> NewMember:
    """Take somebody in, with a link to send to them. 409 where the address is a member's already."""
    name, user_id = auth.readable(wanted.name, "A person"), clock.new_id()
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await connection.fetch(SQL["lock_owners"], caller.workspace_id)  # so that nobody is invited twice at once
        if wanted.email and await connection.fetchval(SQL["member_by_email"], caller.workspace_id, wanted.email):
            raise Problem(409, "already_member", "Somebody with this address is in this workspace.", field="email")
        if wanted.email:
            await connection.execute(SQL["welcome_back"], caller.workspace_id, wanted.email)
        await connection.execute(SQL["add_member"], user_id, name, wanted.email, wanted.role)
        await auth.audit(
            connection, caller, caller.workspace_id, "member.added", str(user_id), name=name, role=wanted.role
        )
        member = await _find(connection, caller, user_id)
    return NewMember(**member.model_dump(), sign_in_link=await _link(ports, caller, user_id))


async def set_role(ports: Ports, caller: Caller, user_id: UUID, role: Role) -> Member:
    """Let a person do more or less. 409 for the last owner."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        before = await _find(connection, caller, user_id, others_own=role == "owner")
        if before.role != role:
            await connection.execute(SQL["set_role"], caller.workspace_id, user_id, role)
            await auth.audit(
                connection, caller, caller.workspace_id, "member.role_changed", str(user_id), role=role,
                before=before.role,
            )  # fmt: skip
        return await _find(connection, caller, user_id)


async def remove_member(ports: Ports, caller: Caller, user_id: UUID) -> None:
    """Take a person out, at once: their keys, sessions and links end. What they connected and brought in stays, in the
    owners' hands. 409 for the last owner."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        member = await _find(connection, caller, user_id, others_own=False)
        await connection.execute(SQL["bar_identity"], caller.workspace_id, user_id, caller.actor)
        await connection.execute(SQL["remove_member"], caller.workspace_id, user_id)
        for name in ("revoke_keys_of", "drop_sessions_of", "drop_sign_in_links_of"):
            await connection.execute(SQL[name], caller.workspace_id, user_id)
        await auth.audit(
            connection, caller, caller.workspace_id, "member.removed", str(user_id), name=member.name, role=member.role
        )


async def new_link(ports: Ports, caller: Caller, user_id: UUID) -> SignInLink:
    """Another sign-in link for a person, for one that was lost or has run out."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await _find(connection, caller, user_id)
        await auth.audit(connection, caller, caller.workspace_id, "member.sign_in_link_made", str(user_id))
    return SignInLink(sign_in_link=await _link(ports, caller, user_id))


async def _link(ports: Ports, caller: Caller, user_id: UUID) -> str:
    return ports.base_url + await auth.create_sign_in_link(ports.pool, caller.workspace_id, user_id)


async def _find(connection: Connection, caller: Caller, user_id: UUID, *, others_own: bool = True) -> Member:
    """A person of the workspace. `others_own` false: afterwards they will be no owner, so somebody else must be one."""
    if not others_own:
        owners: list[Any] = await connection.fetch(SQL["lock_owners"], caller.workspace_id)
        if [row["user_id"] for row in owners] == [user_id]:
            sentence = "This person is the only owner of the workspace. Make somebody else an owner first."
            raise Problem(409, "last_owner", sentence)
    row = await connection.fetchrow(SQL["list_members"], caller.workspace_id, user_id, None, None, 1)
    if row is None:
        raise not_found("person in this workspace")
    return Member(**dict(row))
