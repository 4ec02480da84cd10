"""`callstream archive`: the raw calls of an installation into a file, and out of a file into another installation."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from ops.hub import AsJson, follow, print_summary
from ops.selecting import ExternalId, From, InWorkspace, Source, To, wanted
from ops.signals import INTERRUPTED, stop_on_signal
from schemas.settings import load_settings
from streams.io import clock

if TYPE_CHECKING:
    from ops.archiving import Exported
    from ops.show import Summary
    from streams.io.replays import Selection

STDOUT: Final = Path("-")

archive = typer.Typer(help="The archive of raw calls: export it to a file, import a file.", no_args_is_help=True)


@archive.command("export")
def export_archive(
    since: From = None,
    before: To = None,
    source: Source = None,
    external_id: ExternalId = None,
    workspace: InWorkspace = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; packed if it ends in .gz. - is standard output.")
    ] = None,
) -> None:
    """Write raw calls as JSON Lines, each as it was accepted. Recordings are named in it and not part of it."""
    from ops import show

    _, selection = wanted(since, before, source, external_id, clock.now())
    if output is None and sys.stdout.isatty():
        raise typer.BadParameter("say where the calls shall go: a file, or - for standard output.", param_hint="FILE")
    path = None if output in (None, STDOUT) else output
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise typer.BadParameter(f"{path} cannot be written: there is no such folder, or it is one.", param_hint="FILE")
    done = asyncio.run(_export(path, selection, workspace))
    where = "standard output" if path is None else str(path)
    show.say(f"{done.calls} raw calls written to {where}.")
    if done.recordings:
        show.say(
            f"{done.recordings} of them name a recording in the media store, which is not part of the file. Copy the "
            "media store as well if the recordings shall go with them."
        )
    for failure in done.failures:
        show.say(f"  {failure['name']}: {failure['reason']}")
    if done.unreadable:
        show.say(f"{done.unreadable} records could not be read and are not in the file.")
        raise typer.Exit(1)


async def _export(path: Path | None, selection: "Selection", workspace: str | None) -> "Exported":
    from ops import archiving, show, workspaces
    from streams.io import media

    settings = load_settings()
    only: UUID | None = None
    if workspace is not None:
        only = workspaces.pick(await workspaces.list_workspaces(settings), workspace).workspace_id
    if settings.kafka is None:
        raise workspaces.nothing_running()
    with archiving.written_to(path) as out, show.bar("Exporting") as bar:
        task = bar.task_ids[0]
        return await archiving.export(
            settings, media.open_media(settings), out, selection, workspace_id=only,
            on_bounds=lambda total: bar.update(task, total=total),
            on_read=lambda read: bar.update(task, completed=read),
            say=show.say,
        )  # fmt: skip


@archive.command("import")
def import_archive(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="What `callstream archive export` wrote.")],
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Into this workspace, by name or id; default: the home workspace.")
    ] = None,
    keep_workspaces: Annotated[
        bool, typer.Option("--keep-workspaces", help="Each call into the workspace it came from, which must be here.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.01, max=100_000, help="At most so many a second.")] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Send also what the library holds already, to mend a lost archive."),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every call has an outcome.")] = True,
    as_json: AsJson = False,
) -> None:
    """Bring raw calls in again, word for word, and say what became of each. Exit code 0 when none failed."""
    from ops import show

    for path in files:
        if not path.is_file():
            raise typer.BadParameter(f"{path} is not a file that can be read.", param_hint="FILE")
    if workspace is not None and keep_workspaces:
        raise typer.BadParameter("give either --workspace or --keep-workspaces.", param_hint="--workspace")
    summary, sent, stopped = asyncio.run(_import(files, workspace, keep_workspaces, rate, again=again, wait=wait))
    if as_json:
        show.print_json({**vars(summary), "sent": sent.calls, "stopped": stopped})
    else:
        print_summary(summary, sent, waited=wait and not stopped)
    if stopped:
        show.say(
            f"Stopped. {sent.calls} calls were sent and go on in the background; see `callstream jobs`. "
            "Importing the same file again is safe: what is known is skipped."
        )
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary.failed else 0)


async def _import(
    files: list[Path], wanted_workspace: str | None, keep: bool, rate: float | None, *, again: bool, wait: bool
) -> tuple["Summary", Any, bool]:
    from ops import archiving, importing, show, workspaces

    settings = load_settings()
    stop = asyncio.Event()
    stop_on_signal(stop)
    async with show.hub(settings) as (ports, _):
        found = await workspaces.list_workspaces(settings)
        into = workspaces.pick(found, wanted_workspace) if wanted_workspace else workspaces.home(found)
        target = archiving.Target(into, {each.workspace_id: each for each in found}, keep)
        with show.byte_bar("Sending", importing.size_of(files)) as bar:
            task = bar.task_ids[0]
            progress = importing.Progress(
                read=lambda count: bar.update(task, completed=count),
                sent=lambda count: bar.update(task, description=f"Sending · {count} calls"),
                say=show.say,
            )
            work = archiving.Import(ports, target, stop, progress, rate, again)
            await work.run(files)
        whole, all_sent = show.Summary([]), importing.Sent()
        for workspace_id, sent in work.sent.items():
            caller = target.known[workspace_id].caller
            if not wait or stop.is_set():
                summary = await show.look(ports, caller, sent)
            else:
                summary = await follow(ports, caller, sent, stop)
            await show.first_failures(ports, caller, sent, summary)
            _add(whole, summary)
            all_sent.jobs += sent.jobs
            all_sent.calls += sent.calls
    return whole, all_sent, stop.is_set()


def _add(whole: "Summary", part: "Summary") -> None:
    from ops.show import SHOWN_FAILURES

    whole.jobs += part.jobs
    whole.failures = (whole.failures + part.failures)[:SHOWN_FAILURES]
    for name in ("imported", "updated", "duplicates", "failed", "pending"):
        setattr(whole, name, getattr(whole, name) + getattr(part, name))
