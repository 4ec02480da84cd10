"""The commands that work with calls: import, jobs, tail, failed. `ops/cli.py` makes them part of `callstream`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer
from pydantic import ValidationError

from ops.signals import INTERRUPTED, stop_on_signal
from schemas.settings import load_settings

if TYPE_CHECKING:
    from api.failed_imports import FailedFilter
    from ops.importing import Sent
    from ops.show import Summary

SLOW_SECONDS: Final = 15.0

hub = typer.Typer()
failed = typer.Typer(help="Failed imports: list, retry, discard.", invoke_without_command=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Audio, video, transcripts, or JSON Lines of raw calls.")
]


@hub.command("import")
def import_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Audio, video, transcripts, or JSON Lines of raw calls.")
    ],
    title: Annotated[str | None, typer.Option(help="The title of the call, instead of the file's name.")] = None,
    recorded_at: Annotated[datetime | None, typer.Option(help="When it was recorded; UTC unless it says so.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every call has an outcome.")] = True,
    as_json: AsJson = False,
) -> None:
    """Import files, and say what became of each call. Exit code 0 when none failed."""
    from ops import show

    for path in files:
        if not path.is_file():
            raise typer.BadParameter(f"{path} is not a file that can be read.", param_hint="FILE")
    recorded_at = recorded_at.replace(tzinfo=UTC) if recorded_at and not recorded_at.tzinfo else recorded_at
    summary, sent, stopped = asyncio.run(_import(files, title, recorded_at, wait=wait))
    if as_json:
        show.print_json({**vars(summary), "sent": sent.calls, "stopped": stopped})
    else:
        print_summary(summary, sent, waited=wait and not stopped)
    if stopped:
        show.say(
            f"Stopped. {sent.calls} calls were sent and go on in the background; see `callstream jobs`. "
            "Sending the same file again is safe: what is known is skipped."
        )
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary.failed else 0)


async def _import(
    files: list[Path], title: str | None, recorded_at: datetime | None, *, wait: bool
) -> tuple["Summary", "Sent", bool]:
    from api.intake import Given, Sender
    from ops import importing, show

    stop = asyncio.Event()
    stop_on_signal(stop)
    async with show.hub(load_settings()) as (ports, caller):
        sender = Sender(caller.workspace_id, caller.user_id)
        with show.byte_bar("Sending", importing.size_of(files)) as bar:
            task = bar.task_ids[0]
            progress = importing.Progress(
                read=lambda count: bar.update(task, completed=count),
                sent=lambda count: bar.update(task, description=f"Sending · {count} calls"),
                say=show.say,
            )
            sent = await importing.send(ports, sender, files, Given(title, recorded_at), stop, progress)
        if not wait or stop.is_set():
            summary = await show.look(ports, caller, sent)
        else:
            summary = await follow(ports, caller, sent, stop)
        await show.first_failures(ports, caller, sent, summary)
    return summary, sent, stop.is_set()


async def follow(ports: Any, caller: Any, sent: "Sent", stop: asyncio.Event) -> "Summary":
    """Wait for the outcomes of an import with a progress bar; say when nobody works on it."""
    from ops import show

    loop = asyncio.get_running_loop()
    last = {"pending": -1, "at": loop.time(), "said": False}
    with show.bar("Importing", sent.calls) as bar:

        def on_look(summary: "Summary") -> None:
            bar.update(bar.task_ids[0], completed=max(0, sent.calls - summary.pending))
            if summary.pending != last["pending"]:
                last.update(pending=summary.pending, at=loop.time(), said=False)
            elif loop.time() - float(last["at"]) > SLOW_SECONDS and not last["said"]:
                last["said"] = True
                show.say(
                    f"{summary.pending} calls are safe in Kafka and wait for a worker. `callstream doctor` says "
                    "whether one runs; Ctrl-C leaves them to the background."
                )

        return await show.wait_for_outcomes(ports, caller, sent, stop, on_look)


def print_summary(summary: "Summary", sent: "Sent", *, waited: bool) -> None:
    """What became of an import, for a person."""
    from ops import show

    counts = [
        f"{summary.imported} imported", f"{summary.updated} updated", f"{summary.duplicates} duplicates",
        f"{summary.failed} failed",
    ]  # fmt: skip
    if not waited and summary.pending:
        counts.append(f"{summary.pending} on their way")
    typer.echo(", ".join(counts))
    for failure in summary.failures:
        typer.echo(f"  {show.cell(failure['name'])}: {failure['reason']}")
    if summary.failed > len(summary.failures):
        typer.echo(f"  … and {summary.failed - len(summary.failures)} more; see `callstream failed`")


@hub.command("jobs")
def list_jobs(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The newest import jobs, each with how far it is."""
    from ops import show

    found = asyncio.run(show.list_jobs(load_settings(), limit))
    if as_json:
        show.print_json({"items": found, "next_cursor": None})
    else:
        show.print_jobs(found)


@hub.command()
def tail(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    since: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="beginning, now, or a time: 2026-01-31T09:00:00Z.")
    ] = "now",
    workspace: Annotated[UUID | None, typer.Option(help="Only this workspace.")] = None,
    as_json: AsJson = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
) -> None:
    """Follow completed imports as they happen, or from a time on, until Ctrl-C."""
    from ops import tail as tailing

    try:
        start = tailing.read_start(since)
    except ValueError:
        raise typer.BadParameter(
            f"{since!r} is neither `beginning` nor `now` nor a time such as 2026-01-31T09:00:00Z.", param_hint="--from"
        ) from None
    wanted = tailing.Wanted(source, workspace)
    shown = tailing.json_of if as_json else tailing.line_of
    asyncio.run(tailing.show_events(load_settings(), start, wanted, count, lambda seen: typer.echo(shown(seen))))


@failed.callback()
def failed_default(context: typer.Context, as_json: AsJson = False) -> None:
    """Failed imports: list (when nothing else is said), retry, discard."""
    if context.invoked_subcommand is None:
        list_failed(as_json=as_json)


Status = Annotated[list[str] | None, typer.Option(help="open, retrying, parked, resolved, discarded. May be repeated.")]
Stage = Annotated[str | None, typer.Option(help="Only of this stage.")]
Reason = Annotated[str | None, typer.Option(help="Only with this reason.")]
Source = Annotated[str | None, typer.Option(help="Only of this source.")]
Job = Annotated[UUID | None, typer.Option(help="Only of this job.")]
Like = Annotated[str | None, typer.Option("--all-like", help="All of this group (its fingerprint).")]


@failed.command("list")
def list_failed(
    status: Status = None,
    stage: Stage = None,
    reason: Reason = None,
    source: Source = None,
    job: Job = None,
    all_like: Like = None,
    group: Annotated[bool, typer.Option("--group", help="One row a cause.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Failed imports that are not resolved yet, the latest first."""
    from ops import show

    wanted = _filter(status, stage, reason, source, job, all_like)
    settings = load_settings()
    if group:
        groups = asyncio.run(show.group_failed(settings, wanted, limit))
        show.print_json({"items": groups, "next_cursor": None}) if as_json else show.print_groups(groups)
    else:
        found = asyncio.run(show.list_failed(settings, wanted, limit))
        show.print_json({"items": found, "next_cursor": None}) if as_json else show.print_failed(found)


@failed.command("retry")
def retry_failed(
    failed_import_id: Annotated[UUID | None, typer.Argument(metavar="[ID]")] = None,
    all_like: Like = None,
    stage: Stage = None,
    reason: Reason = None,
    source: Source = None,
    job: Job = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are not resolved.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="At most so many a second.")] = 50.0,
    as_json: AsJson = False,
) -> None:
    """Send one failed import, or all that fit, on their way again, from the stage that failed."""
    from ops import show

    settings = load_settings()
    filters = (all_like, stage, reason, source, job)
    if failed_import_id is not None:
        if any(filters) or everything or dry_run:
            raise typer.BadParameter("give either an ID or a filter.", param_hint="ID")
        answer = asyncio.run(show.retry_one(settings, failed_import_id))
        show.print_json(answer) if as_json else typer.echo(f"{answer.id} is on its way again.")
        return
    if not any(filters) and not everything:
        raise typer.BadParameter("give an ID, a filter such as --all-like, or --all.", param_hint="ID")
    result = asyncio.run(
        show.retry_many(settings, _filter(None, stage, reason, source, job, all_like), rate=rate, dry_run=dry_run)
    )
    if as_json:
        show.print_json(result)
        return
    if dry_run:
        show.print_groups(result["groups"])
    typer.echo(f"{result['retry_count']} failed imports {'would be retried' if dry_run else 'are on their way again'}.")


@failed.command("discard")
def discard_failed(failed_import_id: Annotated[UUID, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Let a failed import go. The same call may come again later, as a new one."""
    from ops import show

    answer = asyncio.run(show.discard_one(load_settings(), failed_import_id))
    show.print_json(answer) if as_json else typer.echo(f"{answer.id} is discarded.")


def _filter(
    status: list[str] | None,
    stage: str | None,
    reason: str | None,
    source: str | None,
    job: UUID | None,
    like: str | None,
) -> "FailedFilter":
    from api.failed_imports import FailedFilter

    given = {"stage": stage, "reason": reason, "source_app": source, "job_id": job, "fingerprint": like}
    try:
        return FailedFilter.model_validate({"status": status, **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
