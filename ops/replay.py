"""`callstream replay`: read raw calls of the archive again, follow it, say what changed; list, show, cancel."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from ops.hub import SLOW_SECONDS, AsJson, Limit
from ops.selecting import ExternalId, From, InWorkspace, Source, To, wanted
from ops.signals import INTERRUPTED, stop_on_signal
from schemas.faults import OutageFault
from schemas.settings import load_settings
from streams.io import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from api.replays import Replay, ReplayCreate
    from ops.workspaces import Workspace

    Started = list[tuple[Workspace, Replay]]

LOOK_SECONDS: Final = 0.5
RUNNING: Final = ("pending", "in_progress")

replay = typer.Typer(invoke_without_command=True)
ReplayId = Annotated[UUID, typer.Argument(metavar="ID")]


@replay.callback()
def start_replay(
    context: typer.Context,
    since: From = None,
    before: To = None,
    source: Source = None,
    workspace: InWorkspace = None,
    external_id: ExternalId = None,
    topic: Annotated[str | None, typer.Option(help="Only this topic of the archive.")] = None,
    rate: Annotated[float | None, typer.Option(help="At most so many events a second, for each workspace.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is through.")] = True,
    as_json: AsJson = False,
) -> None:
    """Import raw calls again, out of the archive, as today's callstream understands them; `list`, `show ID` and
    `cancel ID` are about those that were started. Calls that come out the same stay as they are. Exit code 0, 1 when
    calls failed, 130 after Ctrl-C: the replay goes on then."""
    from ops import show

    selectors = (since, before, source, workspace, external_id, topic)
    if context.invoked_subcommand is not None:
        if any(selectors) or everything:
            raise typer.BadParameter(f"`replay {context.invoked_subcommand}` takes no selection.")
        return
    given, selection = wanted(
        since, before, source, external_id, clock.now(), topic=topic, rate=rate, dry_run=dry_run
    )  # fmt: skip
    if not any(selectors) and not everything:
        raise typer.BadParameter(
            "say what to replay: --from, --to, --source, --workspace, --external-id, --topic, or --all for everything."
        )
    if everything and any(selectors):
        raise typer.BadParameter("give either --all or a selection.", param_hint="--all")
    if not (dry_run or yes) and sys.stdin.isatty() and show.err.is_terminal:
        said = ", ".join(f"{name} {value}" for name, value in selection.as_json().items()) or "everything"
        where = f"the workspace {workspace}" if workspace else "all workspaces"
        typer.confirm(f"Replay {said} of {where}? --dry-run would say first what changes", abort=True, err=True)
    replays, stopped = asyncio.run(_replay(given, workspace, wait=wait))
    if as_json:
        items = [{"workspace_id": owner.workspace_id, **show.plain(each)} for owner, each in replays]
        show.print_json({"items": items, "stopped": stopped})
    else:
        for owner, each in replays:
            print_replay(each, owner.name if len(replays) > 1 else None)
    if stopped:
        for _, each in replays:
            if each.status in RUNNING:
                show.say(
                    f"The replay goes on in the background. `callstream replay show {each.id}` says how far it is, "
                    f"`callstream replay cancel {each.id}` stops it."
                )
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if any(each.failed_calls or each.status == "failed" for _, each in replays) else 0)


async def _replay(given: "ReplayCreate", workspace: str | None, *, wait: bool) -> tuple["Started", bool]:
    from api import replays
    from ops import show, workspaces

    settings = load_settings()
    stop = asyncio.Event()
    stop_on_signal(stop)
    async with show.hub(settings) as (ports, _):
        found = await workspaces.list_workspaces(settings)
        chosen = [workspaces.pick(found, workspace)] if workspace else found
        for each in chosen:
            if each.user_id is None:
                show.say(f"The workspace {each.name} has no owner and is left out.")
        chosen = [each for each in chosen if each.user_id is not None]
        started = [(each, await replays.create(ports, each.caller, given)) for each in chosen]
        if not await audit_works(ports):
            show.say(
                "No audit worker is running, and it is the one that replays. The replay waits for it: start "
                "`callstream up`, or `callstream worker audit`."
            )
        if not wait:
            return started, False
        return await _follow(ports, started, stop), stop.is_set()


async def audit_works(ports: Any) -> bool:
    """Whether a worker of the role that replays has said lately that it is ready."""
    from api.health import readiness

    checks = (await readiness(ports)).checks
    return any(check.name == "worker:audit" and check.status == "ok" for check in checks)


async def _follow(ports: Any, started: "Started", stop: asyncio.Event) -> "Started":
    """The replays once they are over, or when told to stop."""
    from api import replays
    from ops import show

    loop = asyncio.get_running_loop()
    moved_at, before, said = loop.time(), -1.0, False
    with share_bar(show.err) as bar:
        while True:
            try:
                started = [(where, await replays.get(ports, where.caller, each.id)) for where, each in started]
            except OutageFault as fault:
                bar.update(bar.task_ids[0], description=fault.sentence)
            else:
                done = sum(each.progress for _, each in started) / max(1, len(started))
                bar.update(bar.task_ids[0], completed=done, description=described(started))
                if done > before:
                    moved_at, before, said = loop.time(), done, False
            if stop.is_set() or all(each.status not in RUNNING for _, each in started):
                return started
            if loop.time() - moved_at > SLOW_SECONDS and not said:
                said = True
                show.say(
                    "Nothing has moved for a while; nothing is lost. `callstream doctor` says whether the workers run; "
                    "Ctrl-C leaves the replay to the background."
                )
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue


def share_bar(console: "Console") -> "Progress":
    """A progress bar of what is done, from 0 to 1, with the time that is left; nothing where no person looks."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task("Replaying", total=1.0)
    return progress


def described(started: "Started") -> str:
    """How far replays are, in a line."""
    found = [each for _, each in started]
    total = sum(each.total_events or 0 for each in found)
    words = [f"{sum(each.read_events for each in found)} of {total} events read"]
    if not all(each.dry_run for each in found):
        words += [
            f"{sum(each.processed_calls for each in found)} of {sum(each.total_calls for each in found)} calls",
            f"{sum(each.changed_calls for each in found)} changed",
            f"{sum(each.failed_calls for each in found)} failed",
        ]
    return ("Counting · " if all(each.dry_run for each in found) else "Replaying · ") + ", ".join(words)


# What is said ------------------------------------------------------------------------------------------------------


def print_replay(each: "Replay", workspace: str | None = None) -> None:
    """A replay and what it did, or would do, for a person."""
    where = f"{plain(workspace)}: " if workspace else ""
    if each.dry_run and each.status == "completed":
        _print_report(each, where)
        return
    counts = [
        f"{each.imported_calls} imported", f"{each.updated_calls} updated", f"{each.skipped_calls} unchanged",
        f"{each.failed_calls} failed",
    ]  # fmt: skip
    open_calls = each.total_calls - each.processed_calls
    if open_calls:
        counts.append(f"{open_calls} on their way")
    typer.echo(f"{where}{', '.join(counts)}")
    if each.status not in ("completed", "partial"):
        state = each.status.replace("_", " ")
        typer.echo(f"  {state}, {each.progress:.0%} done, replay {each.id}")
    if each.last_error:
        typer.echo(f"  {plain(each.last_error)}")
    if each.failed_calls:
        typer.echo(f"  Why calls failed: `callstream failed list --job {each.id}`")


def _print_report(each: "Replay", where: str) -> None:
    from api.replays import Report

    report = each.report or Report()
    typer.echo(
        f"{where}{report.would_import} would be imported, {report.would_change} would change, "
        f"{report.unchanged} unchanged, {report.older} older than what is stored, {report.would_fail} would fail"
    )
    for change in report.sample:
        typer.echo(f"\n  {plain(change.source_app)} {plain(change.external_id)}")
        for name in [*change.before, *(name for name in change.after if name not in change.before)]:
            before, after = (plain(side.get(name)) for side in (change.before, change.after))
            typer.echo(f"    {plain(name)}\n      - {before}\n      + {after}")
    if report.would_change > len(report.sample) > 0:
        typer.echo(f"\n  … and {report.would_change - len(report.sample)} more that would change")
    if report.failures:
        typer.echo("")
    for failure in report.failures:
        typer.echo(f"  {plain(failure.source_app)} {plain(failure.external_id)} would fail: {plain(failure.message)}")
    if report.would_fail > len(report.failures) > 0:
        typer.echo(f"  … and {report.would_fail - len(report.failures)} more that would fail")


def plain(value: Any) -> str:
    """A value in one line, which cannot give orders to the terminal."""
    import json

    from ops.show import NOTHING, one_line

    if value is None or value == "":
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return one_line("".join(char if char.isprintable() else " " for char in text), 300)


# Those that were started -------------------------------------------------------------------------------------------


@replay.command("list")
def list_replays(workspace: InWorkspace = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Replays, newest first."""
    from ops import show

    found = asyncio.run(_list(workspace, limit))
    if as_json:
        items = [{"workspace_id": where.workspace_id, **show.plain(each)} for where, each in found]
        show.print_json({"items": items, "next_cursor": None})
        return
    show.table(
        ("Replay", "Workspace", "What", "Status", "Events", "Calls", "Changed", "Unchanged", "Failed", "Started"),
        (
            (
                each.id, where.name, said(each), each.status, f"{each.read_events} of {each.total_events or 0}",
                f"{each.processed_calls} of {each.total_calls}", each.changed_calls, each.skipped_calls,
                each.failed_calls, each.created_at,
            )
            for where, each in found
        ),
        empty="There are no replays yet.",
    )  # fmt: skip


def said(each: "Replay") -> str:
    """What a replay reads, in words."""
    parts = ", ".join(f"{name} {value}" for name, value in each.selection.items()) or "everything"
    return f"dry run: {parts}" if each.dry_run else parts


async def _list(workspace: str | None, limit: int) -> "Started":
    from api import replays
    from ops import show, workspaces

    settings = load_settings()
    async with show.hub(settings) as (ports, _):
        found = await workspaces.list_workspaces(settings)
        rows: Started = []
        for where in [workspaces.pick(found, workspace)] if workspace else found:
            if where.user_id is None:
                continue
            caller = where.caller
            pages = await show.pages(lambda n, at, c=caller: replays.list_replays(ports, c, n, at), limit)
            rows += [(where, each) for each in pages]
    return sorted(rows, key=lambda row: (row[1].created_at, row[1].id), reverse=True)[:limit]


@replay.command("show")
def show_replay(replay_id: ReplayId, as_json: AsJson = False) -> None:
    """How far a replay is, and what it changed or, of a dry run, would change."""
    _print(asyncio.run(_one(replay_id, cancel=False)), as_json=as_json)


@replay.command("cancel")
def cancel_replay(replay_id: ReplayId, as_json: AsJson = False) -> None:
    """Stop a replay. What it has published already still arrives."""
    _print(asyncio.run(_one(replay_id, cancel=True)), as_json=as_json)


def _print(each: "Replay", *, as_json: bool) -> None:
    from ops import show

    if as_json:
        show.print_json(each)
    else:
        typer.echo(f"{each.status.replace('_', ' ')}: {said(each)}")
        print_replay(each)


async def _one(replay_id: UUID, *, cancel: bool) -> "Replay":
    from api import replays
    from ops import show, workspaces

    settings = load_settings()
    async with show.hub(settings) as (ports, _):
        where = await workspaces.find_replay(settings, replay_id)
        work = replays.cancel if cancel else replays.get
        return await work(ports, where.caller, replay_id)
