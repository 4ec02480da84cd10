"""The commands about people: members, and the workspaces they are in. `ops/cli.py` makes them part of `callstream`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.plans import workspaces
from schemas.faults import ConfigFault
from schemas.settings import load_settings
from streams.io import clock, queries
from streams.io.store import in_workspace

if TYPE_CHECKING:
    from api.auth import Caller
    from api.members import Member
    from api.ports import Ports

members = typer.Typer(help="The people of a workspace: list, add, role, link, remove.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Within = Annotated[str | None, typer.Option("--workspace", help="Its id or name. Default: the home workspace.")]
Who = Annotated[str, typer.Argument(metavar="PERSON", help="Their id, e-mail address or name.")]
Email = Annotated[str | None, typer.Option(help="What an identity provider knows them by.")]
Role = Literal["owner", "member", "support"]


@asynccontextmanager
async def _opened(workspace: str | None) -> AsyncIterator[tuple["Ports", "Caller"]]:
    from ops import show
    from ops.workspaces import list_workspaces, pick

    settings = load_settings()
    async with show.hub(settings) as (ports, home):
        caller = pick(await list_workspaces(settings), workspace).caller if workspace else home
        yield ports, caller


async def _everybody(ports: "Ports", caller: "Caller") -> list["Member"]:
    from api.members import list_members

    found: list[Member] = []
    cursor = None
    while True:
        page = await list_members(ports, caller, 200, cursor)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


async def _find(ports: "Ports", caller: "Caller", who: str) -> "Member":
    found = await _everybody(ports, caller)
    for fits in (
        [each for each in found if str(each.user_id) == who.lower()],
        [each for each in found if (each.email or "").lower() == who.lower()],
        [each for each in found if each.name == who],
    ):
        if len(fits) == 1:
            return fits[0]
    names = ", ".join(f"{each.name} ({each.email or each.user_id})" for each in found[:10])
    raise ConfigFault("unknown_person", f"There is no one person {who} in this workspace. There are: {names}.")


@members.command("list")
def list_people(workspace: Within = None, as_json: AsJson = False) -> None:
    """The people of a workspace, newest first."""
    from ops import show

    async def work() -> list["Member"]:
        async with _opened(workspace) as (ports, caller):
            return await _everybody(ports, caller)

    found = asyncio.run(work())
    if as_json:
        show.print_json({"items": found, "next_cursor": None})
        return
    show.table(
        ("Id", "Name", "E-mail", "Role", "Since"),
        ((each.user_id, each.name, each.email, each.role, each.created_at) for each in found),
        empty="There is nobody.",
    )


@members.command("add")
def add_person(
    name: Annotated[str, typer.Option(help="Their name.")],
    email: Email = None,
    role: Annotated[Role, typer.Option(help="What they may do.")] = "member",
    workspace: Within = None,
) -> None:
    """Take somebody in. Prints their sign-in link, alone; it works once, within the hour."""
    from api.members import MemberCreate, add_member

    async def work() -> str:
        async with _opened(workspace) as (ports, caller):
            made = await add_member(ports, caller, MemberCreate(name=name, email=email, role=role))
            return made.sign_in_link

    typer.echo(asyncio.run(work()))


@members.command("role")
def change_role(person: Who, role: Annotated[Role, typer.Argument()], workspace: Within = None) -> None:
    """Let a person do more or less."""
    from api.members import set_role

    async def work() -> "Member":
        async with _opened(workspace) as (ports, caller):
            found = await _find(ports, caller, person)
            return await set_role(ports, caller, found.user_id, role)

    typer.echo(f"{asyncio.run(work()).name} is {role} now.")


@members.command("link")
def make_link(person: Who, workspace: Within = None) -> None:
    """Print a new sign-in link for a person, alone. It works once, within the hour."""
    from api.members import new_link

    async def work() -> str:
        async with _opened(workspace) as (ports, caller):
            found = await _find(ports, caller, person)
            return (await new_link(ports, caller, found.user_id)).sign_in_link

    typer.echo(asyncio.run(work()))


@members.command("remove")
def take_out(person: Who, workspace: Within = None) -> None:
    """Take a person out, at once. What they connected and brought in stays."""
    from api.members import remove_member

    async def work() -> str:
        async with _opened(workspace) as (ports, caller):
            found = await _find(ports, caller, person)
            await remove_member(ports, caller, found.user_id)
            return found.name

    typer.echo(f"{asyncio.run(work())} was taken out. What they brought in stays.")


@workspaces.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Every workspace, the home workspace first."""
    from ops import show
    from ops.workspaces import list_workspaces

    found = asyncio.run(list_workspaces(load_settings()))
    if as_json:
        items = [{"id": each.workspace_id, "name": each.name, "is_home": each.is_home} for each in found]
        show.print_json({"items": items, "next_cursor": None})
        return
    rows = ((each.workspace_id, each.name, "home" if each.is_home else None) for each in found)
    show.table(("Id", "Name", ""), rows, empty="There are none. Run `callstream migrate`.")


@workspaces.command("create")
def create(
    name: Annotated[str, typer.Argument()],
    owner: Annotated[str, typer.Option(help="The name of its first owner.")] = "Owner",
    email: Email = None,
) -> None:
    """Make a workspace with its first owner. Prints their sign-in link, alone; it works once, within the hour."""
    from api.auth import Caller, readable
    from api.members import MemberCreate, add_member
    from ops import show
    from ops.workspaces import list_workspaces

    sql = queries.load("members")
    called = readable(name, "A workspace")

    async def work() -> str:
        settings = load_settings()
        async with show.hub(settings) as (ports, home):
            if any(each.name == called for each in await list_workspaces(settings)):
                raise ConfigFault("workspace_exists", f"There is a workspace {called} already. Choose another name.")
            workspace_id = clock.new_id()
            async with in_workspace(ports.pool, workspace_id) as connection:
                await connection.execute(sql["add_workspace"], workspace_id, called)
            caller = Caller(workspace_id, home.user_id, "owner", home.actor)
            return (await add_member(ports, caller, MemberCreate(name=owner, email=email, role="owner"))).sign_in_link

    typer.echo(asyncio.run(work()))
