"""`callstream erase`: remove one call everywhere, and say what was removed."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.hub import AsJson
from ops.selecting import InWorkspace, Source
from schemas.faults import ConfigFault
from schemas.settings import load_settings

if TYPE_CHECKING:
    from api.auth import Caller
    from streams.io.erase import Named

erasing = typer.Typer()


@erasing.command()
def erase(
    external_id: Annotated[str, typer.Argument(metavar="EXTERNAL_ID", help="The call, by the id its source gave it.")],
    source: Source = None,
    workspace: InWorkspace = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase one call everywhere, for good: no sync, webhook, upload, retry or replay brings it back."""
    from ops import show

    done = asyncio.run(_erase(external_id, source, workspace, yes=yes))
    if as_json:
        show.print_json(done)
        return
    what = [
        "the call with its transcript" if done["stored"] else "",
        _many(done["files"] or 0, "file"),
        _many(done["failed_imports"], "failed import"),
    ]
    removed = ", ".join(part for part in what if part) or "nothing that was still here"
    typer.echo(f"Erased {done['source_app']} {show.cell(external_id)}: {removed}. It will not be brought back.")
    if done["files"] is None:
        show.say("Its files could not be removed just now. The audit worker removes them as soon as that is possible.")
    show.say("Kafka keeps what it was sent until its topics' retention ends: see docs/erasing.md.")


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


async def _erase(external_id: str, source: str | None, workspace: str | None, *, yes: bool) -> dict[str, Any]:
    from api.erase import erase_named, find_named
    from ops import show, workspaces

    settings = load_settings()
    async with show.hub(settings) as (ports, caller):
        if workspace is not None:
            caller = workspaces.pick(await workspaces.list_workspaces(settings), workspace).caller
        call = _the_one(external_id, await find_named(ports, caller, external_id, source))
        if not yes:
            _ask(call, external_id, caller)
        done, files = await erase_named(ports, caller, call.source_app, external_id)
    return {
        "source_app": call.source_app, "external_id": external_id, "stored": done.stored, "files": files,
        "failed_imports": done.failed_imports, "transcripts": done.transcripts,
    }  # fmt: skip


def _the_one(external_id: str, found: list["Named"]) -> "Named":
    """The call that is meant. Raises `ConfigFault` when there is none, or more than one."""
    if not found:
        raise ConfigFault(
            "unknown_call", f"There is no call {external_id}. Look for it in the library, and give its external id."
        )
    if len(found) > 1:
        names = ", ".join(each.source_app for each in found)
        raise ConfigFault("ambiguous_call", f"Several sources have a call {external_id}: {names}. Say which: --source.")
    return found[0]


def _ask(call: "Named", external_id: str, caller: "Caller") -> None:
    """Ask the person. Raises `ConfigFault` where there is nobody to ask."""
    from ops import show

    if not sys.stdin.isatty():
        raise ConfigFault("not_confirmed", "Nobody is here to be asked. Add --yes to erase the call.")
    title = f" “{show.cell(call.title)}”" if call.title else ""
    again = " It was erased before; what is left of it would be removed." if call.is_erased else ""
    typer.confirm(f"Erase {call.source_app} {external_id}{title} for good?{again}", abort=True, err=True)
