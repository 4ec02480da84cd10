"""The commands that work with sources: sources, sync. `ops/cli.py` makes them part of `callstream`."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from schemas.faults import ConfigFault, OutageFault
from schemas.settings import load_settings

if TYPE_CHECKING:
    from api.auth import Caller
    from api.jobs import JobDetail
    from api.ports import Ports
    from api.sources import SourceView
    from connectors.contract import Connector
    from ops.source_check import Filled, Finding

OVER: Final = frozenset({"completed", "partial", "failed", "cancelled"})
LOOK_SECONDS: Final = 0.5

sources = typer.Typer(help="Connected accounts: list, connect, pause, resume, backfill, remove.",
                      invoke_without_command=True)  # fmt: skip
sync = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
TheSource = Annotated[str, typer.Argument(metavar="SOURCE", help="Its id, account, or platform.")]
Kind = Annotated[str | None, typer.Option(help="Which way to connect, where a platform has several.")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="NAME=VALUE", help="A field of the form, instead of being asked. May be repeated."),
]
Stdin = Annotated[bool, typer.Option("--stdin", help="Read the fields from standard input, as a JSON object.")]
Time = Annotated[datetime, typer.Option("--from", help="UTC unless it says so.")]
Until = Annotated[datetime | None, typer.Option("--to", help="Default: now.")]


@sources.callback()
def sources_default(context: typer.Context, as_json: AsJson = False) -> None:
    """Connected accounts: list (when nothing else is said), connect, pause, resume, backfill, remove."""
    if context.invoked_subcommand is None:
        list_sources(as_json=as_json)


@sources.command("list")
def list_sources(as_json: AsJson = False) -> None:
    """Connected accounts, each with its state, its last sync and the calls it brought."""
    from ops import show

    async def work() -> list["SourceView"]:
        async with show.hub(load_settings()) as (ports, caller):
            return await _all(ports, caller)

    found = asyncio.run(work())
    if as_json:
        show.print_json({"items": found, "next_cursor": None})
        return
    show.table(
        ("Id", "Platform", "Account", "State", "Last sync", "Calls", "Waiting", "What to do"),
        (
            (each.id, each.platform, each.account, each.state, each.last_sync_at, each.calls_imported,
             each.waiting_calls, each.error_message)
            for each in found
        ),
        empty="No accounts are connected. Connect one with `callstream sources connect PLATFORM`.",
    )  # fmt: skip


@sources.command("connect")
def connect(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM")],
    kind: Kind = None,
    field: Fields = None,
    stdin: Stdin = False,
    as_json: AsJson = False,
) -> None:
    """Connect an account: asks for the form's fields, secrets unseen, checks them with the platform, and begins the
    first sync."""
    from api import sources as doors
    from api.connecting import platform_of
    from ops import show

    connector = platform_of(platform)
    if _needs_sign_in(connector, kind):
        raise ConfigFault(
            "sign_in_needed",
            f"{connector.display_name} is connected by signing in there. Sign in to callstream in a browser "
            f"(`callstream sign-in`), then open /api/oauth/{platform}/start under the same address.",
        )
    filled = fill(connector, kind, field or [], stdin=stdin)

    async def work() -> Any:
        async with show.hub(load_settings()) as (ports, caller):
            wanted = doors.SourceCreate(platform=platform, kind=filled.kind, fields=filled.fields)
            return await doors.connect(ports, caller, wanted)

    made = asyncio.run(work())
    if as_json:
        show.print_json(made)
        return
    typer.echo(f"{'Connected' if made.is_new else 'Connected again'}: {show.cell(made.account)} ({made.id}).")
    if made.job_id:
        typer.echo("The first sync has begun. Follow it with `callstream jobs`.")


def _needs_sign_in(connector: "Connector", kind: str | None) -> bool:
    return kind == "oauth" or all(way.kind == "oauth" for way in connector.auths)


def fill(connector: "Connector", kind: str | None, given: list[str], *, stdin: bool) -> "Filled":
    """The fields of a form: from options, from standard input, or by asking. Secrets are not shown while typed."""
    from api.connecting import way_in
    from ops.source_check import Filled

    way = way_in(connector, kind)
    found = dict(_pair(each) for each in given)
    if stdin:
        try:
            told = json.loads(sys.stdin.read())
        except ValueError:
            told = None
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            raise typer.BadParameter("standard input must be a JSON object of texts.", param_hint="--stdin")
        found |= told
    elif not given:
        if way.instructions:
            typer.echo(way.instructions, err=True)
        for field in way.fields:
            hint = f" ({field.help})" if field.help else ""
            found[field.name] = typer.prompt(
                f"{field.label}{hint}", default=field.default if field.default or not field.required else None,
                hide_input=field.secret, show_default=bool(field.default) and not field.secret, err=True,
            )  # fmt: skip
    return Filled(way.kind, found)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter("must be NAME=VALUE.", param_hint="--field")
    return name, value


@sources.command("pause")
def pause(source: TheSource, as_json: AsJson = False) -> None:
    """No syncs until it is resumed."""
    _set_active(source, as_json, active=False)


@sources.command("resume")
def resume(source: TheSource, as_json: AsJson = False) -> None:
    """Go on, with a sync at once."""
    _set_active(source, as_json, active=True)


def _set_active(source: str, as_json: bool, *, active: bool) -> None:
    from api import sources as doors
    from ops import show

    async def work() -> "SourceView":
        async with show.hub(load_settings()) as (ports, caller):
            found = await find(ports, caller, source)
            return await doors.set_active(ports, caller, found.id, active=active)

    changed = asyncio.run(work())
    show.print_json(changed) if as_json else typer.echo(f"{show.cell(changed.account)} is {changed.state}.")


@sources.command("remove")
def remove(
    source: TheSource,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Disconnect an account. Its credential is deleted, its calls stay."""
    from api import sources as doors
    from ops import show

    async def work() -> "SourceView":
        async with show.hub(load_settings()) as (ports, caller):
            found = await find(ports, caller, source)
            if not yes:
                question = f"Disconnect {found.account} ({found.display_name})? Its calls stay"
                await asyncio.to_thread(typer.confirm, question, abort=True, err=True)
            await doors.disconnect(ports, caller, found.id)
            return found

    gone = asyncio.run(work())
    show.print_json({"id": gone.id, "status": "removed"}) if as_json else typer.echo(
        f"{show.cell(gone.account)} is disconnected. Its calls stay."
    )


@sources.command("backfill")
def backfill(source: TheSource, since: Time, until: Until = None, as_json: AsJson = False) -> None:
    """Import a time again, mostly a gap of the coverage. What is stored unchanged is skipped."""
    from api import imports
    from api.sources import Span
    from ops import show
    from streams.io import clock

    span = Span(since=_utc(since), until=_utc(until) if until else clock.now())

    async def work() -> UUID:
        async with show.hub(load_settings()) as (ports, caller):
            found = await find(ports, caller, source)
            return (await imports.backfill(ports, caller, found.id, span)).job_id

    job_id = asyncio.run(work())
    show.print_json({"job_id": job_id}) if as_json else typer.echo(f"The import {job_id} has begun.")


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@sync.command("sync")
def sync_now(
    source: TheSource,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Sync a source now, and follow it. Exit code 0 when no call failed."""
    from api import jobs
    from api import sources as doors
    from ops import show

    async def work() -> "JobDetail":
        async with show.hub(load_settings()) as (ports, caller):
            found = await find(ports, caller, source)
            begun = await doors.sync(ports, caller, found.id)
            if not wait:
                return await jobs.get_job(ports, caller, begun.job_id)
            return await follow(ports, caller, begun.job_id, found.account)

    job = asyncio.run(work())
    if as_json:
        show.print_json(job)
    else:
        typer.echo(sentence_of(job))
    raise typer.Exit(1 if job.status == "failed" or job.failed_calls else 0)


async def follow(ports: "Ports", caller: "Caller", job_id: UUID, account: str) -> "JobDetail":
    """The job when it is over, or when it only waits for its source; with a progress bar."""
    from api import jobs
    from ops import show

    with show.bar(f"Syncing {account}", None) as bar:
        task = bar.task_ids[0]
        while True:
            try:
                job = await jobs.get_job(ports, caller, job_id)
            except OutageFault:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            bar.update(task, total=job.total_calls or None, completed=job.processed_calls)
            if job.status in OVER or job.status == "waiting":
                return job
            await asyncio.sleep(LOOK_SECONDS)


def sentence_of(job: "JobDetail") -> str:
    """What became of a sync, for a person."""
    counts = (
        f"{job.imported_calls} imported, {job.updated_calls} updated, {job.skipped_calls} skipped, "
        f"{job.failed_calls} failed"
    )
    if job.status == "waiting":
        when = job.resume_at or job.estimated_completion_at
        goes_on = f" It goes on by itself at {when.astimezone():%Y-%m-%d %H:%M}." if when else ""
        return f"{counts}, {job.waiting_calls} waiting for their source.{goes_on}"
    if job.status not in OVER:
        return f"The sync {job.id} has begun."
    return counts + (f". {job.last_error}" if job.last_error else "")


async def find(ports: "Ports", caller: "Caller", wanted: str) -> "SourceView":
    """A source by its id, its account or its platform. Raises `ConfigFault` when it is none or one of several."""
    found = [
        each for each in await _all(ports, caller)
        if wanted.casefold() in (str(each.id), each.account.casefold(), each.platform)
    ]  # fmt: skip
    if len(found) == 1:
        return found[0]
    what = "several accounts fit" if found else "no account fits"
    raise ConfigFault("unknown_source", f"{wanted!r}: {what}. `callstream sources` lists them with their ids.")


async def _all(ports: "Ports", caller: "Caller") -> list["SourceView"]:
    from api import sources as doors
    from ops import show

    return await show.pages(lambda size, cursor: doors.list_sources(ports, caller, size, cursor), 100_000)


def check(platform: str, source: str | None, kind: str | None, field: list[str], *, stdin: bool) -> list["Finding"]:
    """The live check of a platform, through a connected account or with a credential for this check alone."""
    from api.connecting import platform_of
    from ops import show
    from ops.source_check import examine
    from streams.io import sources as store
    from streams.io.store import in_workspace

    connector = platform_of(platform)
    filled = fill(connector, kind, field, stdin=stdin) if field or stdin else None

    async def stored() -> list["Finding"] | None:
        async with show.hub(load_settings()) as (ports, caller):
            if filled is not None:
                return await examine(ports, caller, connector, filled)
            if source is None and not any(each.platform == platform for each in await _all(ports, caller)):
                return None
            found = await find(ports, caller, source or platform)
            async with in_workspace(ports.pool, caller.workspace_id) as connection:
                given = await store.get(connection, caller.workspace_id, found.id)
            if given is None or given.source_app != platform:
                raise ConfigFault("unknown_source", f"{found.account} is no account of {connector.display_name}.")
            return await examine(ports, caller, connector, given)

    async def typed(given: "Filled") -> list["Finding"]:
        async with show.hub(load_settings()) as (ports, caller):
            return await examine(ports, caller, connector, given)

    findings = asyncio.run(stored())
    if findings is not None:
        return findings
    if _needs_sign_in(connector, kind):
        raise ConfigFault("sign_in_needed", f"Connect an account of {connector.display_name} first, by signing in.")
    return asyncio.run(typed(fill(connector, kind, [], stdin=False)))


def print_check(
    platform: str, source: str | None, kind: str | None, field: list[str], *, stdin: bool, as_json: bool
) -> int:
    """The same, shown. 0 when everything worked."""
    from ops import show

    tried = check(platform, source, kind, field, stdin=stdin)
    if as_json:
        shown = [{"check": each.check, "ok": each.ok, "sentence": each.sentence} for each in tried]
        show.print_json({"platform": platform, "checks": shown})
    else:
        for each in tried:
            typer.echo(f"{'OK' if each.ok else '!!'}  {each.check:<15} {show.cell(each.sentence)}")
    return 0 if all(each.ok for each in tried) else 1
