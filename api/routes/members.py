"""The people of a workspace."""

from uuid import UUID

from fastapi import APIRouter, Response

from api import members
from api.deps import TheOperator, TheOwner, ThePorts
from api.members import Member, MemberChange, MemberCreate, NewMember, SignInLink
from api.paging import Cursor, Items, Limit

router = APIRouter(prefix="/api/members", tags=["members"])


@router.get("")
async def list_members(caller: TheOperator, ports: ThePorts, limit: Limit = 50, cursor: Cursor = None) -> Items[Member]:
    """The people of your workspace, newest first. For owners and support."""
    return await members.list_members(ports, caller, limit, cursor)


@router.post("", status_code=201)
async def add_member(body: MemberCreate, caller: TheOwner, ports: ThePorts) -> NewMember:
    """Take somebody in. Send them `sign_in_link`: it works once, within the hour. 409 where their address is a member's
    already. For owners."""
    return await members.add_member(ports, caller, body)


@router.patch("/{user_id}")
async def change_member(user_id: UUID, body: MemberChange, caller: TheOwner, ports: ThePorts) -> Member:
    """Let a person do more or less. 409 for the only owner. For owners."""
    return await members.set_role(ports, caller, user_id, body.role)


@router.delete("/{user_id}", status_code=204)
async def remove_member(user_id: UUID, caller: TheOwner, ports: ThePorts) -> Response:
    """Take a person out: their keys, sessions and links end at once, what they brought in stays. 409 for the only
    owner. For owners."""
    await members.remove_member(ports, caller, user_id)
    return Response(status_code=204)


@router.post("/{user_id}/sign-in-link")
async def make_sign_in_link(user_id: UUID, caller: TheOwner, ports: ThePorts) -> SignInLink:
    """Another sign-in link for a person. It works once, within the hour. For owners."""
    return await members.new_link(ports, caller, user_id)
