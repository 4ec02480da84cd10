"""The `callstream` command. Every expected fault ends in one sentence and exit code 1; wrong usage in exit code 2.

Each command imports what it needs when it runs, so that `--help` is fast and a worker starts without the rest.
"""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError

from ops.archive import archive
from ops.erasing import erasing
from ops.hub import failed, hub
from ops.members import members
from ops.plans import workspaces
from ops.replay import replay
from ops.signals import INTERRUPTED
from ops.sources import Fields, Kind, Stdin, sources, sync
from ops.usage import usage
from schemas.faults import ConfigFault, Fault
from schemas.settings import Settings, load_settings

T = TypeVar("T")

app = typer.Typer(
    name="callstream",
    help="Bring recorded calls into one place: no accepted call is lost, and each call is stored once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="API keys, and the keys that protect stored secrets.", no_args_is_help=True)
webhooks = typer.Typer(help="Addresses that vendors post to.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(webhooks, name="webhooks")
app.add_typer(hub)
app.add_typer(erasing)
app.add_typer(usage)
app.add_typer(sync)
app.add_typer(sources, name="sources")
app.add_typer(failed, name="failed")
app.add_typer(members, name="members")
app.add_typer(workspaces, name="workspaces")
app.add_typer(replay, name="replay", short_help="Read the archive of raw calls again, or say what that would change.")
app.add_typer(archive, name="archive")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """Run the command line. The entry point of the `callstream` script."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say comes as a fault
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"callstream: {sentence}\n")
        if isinstance(error, Fault) and error.detail:
            sys.stderr.write(f"  ({error.detail.strip()})\n")
        sys.exit(2 if isinstance(error, ValidationError) else 1)


def sentence_of(error: Exception) -> str | None:
    """What to tell a person about a fault that can be expected. None: it is a bug, and its trace is wanted."""
    if isinstance(error, Fault):
        return str(error)
    if isinstance(error, ValidationError) and error.title == "Settings":
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]).upper()
        name = name if name.startswith(("OPENAI_", "CALLSTREAM_")) else f"CALLSTREAM_{name}"
        return f"The setting {name} cannot be used: {first['msg']}."
    from api.problems import Problem
    from ops.jars import JarRefused
    from ops.local import DataDirBusy
    from ops.processes import ServerFailed
    from ops.system_user import NoSystemUser

    return str(error) if isinstance(error, Problem | JarRefused | DataDirBusy | ServerFailed | NoSystemUser) else None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end."""
    return asyncio.run(work)


# Running it ----------------------------------------------------------------------------------------------------


@app.command()
def up() -> None:
    """Run everything on this machine, in the foreground, until Ctrl-C."""
    from ops import up as everything

    raise typer.Exit(everything.up(Settings()))


@app.command()
def api() -> None:
    """Run the HTTP server alone."""
    from api.app import create_app
    from ops.api_server import serve
    from ops.up import refuse_taken_port
    from streams.logs import set_up_logging

    settings = load_settings()
    refuse_taken_port(settings)
    set_up_logging(settings, "api")
    served = create_app(settings)
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # a full collection would hold up every request of that moment
    serve(served, settings)


@app.command()
def worker(
    role: Annotated[str, typer.Argument(help="pipeline, dedup, transcribe, pull or audit")],
    instances: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
    bare: Annotated[
        bool, typer.Option("--bare", help="Without supervisor and watchdog, for one that brings its own.")
    ] = False,
) -> None:
    """Run one role, restarted when it ends or stands still."""
    from ops.supervise import WORKERS, command_of

    if role not in WORKERS:
        raise typer.BadParameter(f"there is no role {role!r}; the roles are {', '.join(WORKERS)}.", param_hint="ROLE")
    settings = load_settings()
    if settings.kafka is None or settings.database_url is None:
        raise ConfigFault(
            "nothing_running",
            "A worker needs Kafka and PostgreSQL. Start `callstream up`, or set CALLSTREAM_KAFKA and "
            "CALLSTREAM_DATABASE_URL.",
        )
    if bare:
        command = list(command_of(role))
        os.execv(command[0], command)  # noqa: S606
    from ops.watchdog import keep_working

    run(keep_working(settings, role, instances))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema, and make the home workspace."""
    from ops import migrate as migrations

    url = migrations.owner_url(load_settings())
    for name in migrations.migrate(url):
        typer.echo(f"applied   {name}")
    migrations.ensure_home(url)
    typer.echo("The database is up to date.")


@app.command()
def topics() -> None:
    """Create the topics, and mend the settings of those that are there."""
    from ops.topics import create_topics, print_changes

    typer.echo(print_changes(run(create_topics(load_settings()))))


@app.command()
def doctor(
    as_json: AsJson = False,
    speech: Annotated[
        bool,
        typer.Option("--speech/--no-speech", help="Have a second of audio transcribed; it costs a cent's fraction."),
    ] = True,
    platform: Annotated[
        str | None, typer.Option(help="Check this platform live instead: list and read a call, store nothing.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="With --platform: through this connected account.")] = None,
    kind: Kind = None,
    field: Fields = None,
    stdin: Stdin = False,
) -> None:
    """Say what each setting is and where it comes from, and what is wrong, in plain words."""
    from ops import doctor as checks
    from ops import show

    if platform is not None:
        from ops.sources import print_check

        raise typer.Exit(print_check(platform, source, kind, field or [], stdin=stdin, as_json=as_json))
    settings = load_settings()
    shown = checks.shown_settings(settings, os.environ, checks.read_dotenv(), checks.read_instance(settings))
    findings = run(checks.examine(settings, speech=speech))
    if as_json:
        show.print_json(
            {
                "settings": [{"name": each.name, "value": each.value, "origin": each.origin} for each in shown],
                "checks": [{"check": each.check, "ok": each.ok, "sentence": each.sentence} for each in findings],
            }
        )
    else:
        show.table(("Setting", "Value", "From"), ((s.name, s.value, s.origin) for s in shown), empty="")
        typer.echo("")
        for each in findings:
            typer.echo(f"{'OK' if each.ok else '!!'}  {each.check:<15} {each.sentence}")
    raise typer.Exit(0 if all(each.ok for each in findings) else 1)


@app.command("sign-in")
def sign_in() -> None:
    """Print a new sign-in link, alone. It works once, within the hour."""
    from api.auth import create_sign_in_link
    from ops.show import hub

    async def work() -> str:
        async with hub(load_settings()) as (ports, caller):
            path = await create_sign_in_link(ports.pool, caller.workspace_id, caller.user_id)
            return ports.base_url.rstrip("/") + path

    typer.echo(run(work()))


# Keys and webhooks ---------------------------------------------------------------------------------------------


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or admin; may be repeated. Default: all of them.")
    ] = None,
) -> None:
    """Make an API key for the owner of this installation. It is printed once, alone, and kept nowhere."""
    from api.auth import create_api_key
    from ops.show import hub

    async def work() -> str:
        async with hub(load_settings()) as (ports, caller):
            return await create_api_key(ports.pool, caller.workspace_id, caller.user_id, name, scopes=scope or None)

    typer.echo(run(work()))


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """API keys in use, newest first."""
    from api.auth import list_api_keys
    from ops import show

    async def work() -> list[dict[str, Any]]:
        async with show.hub(load_settings()) as (ports, caller):
            return await list_api_keys(ports.pool, caller.workspace_id)

    found = [{"id": key.pop("api_key_id"), **key} for key in run(work())]
    if as_json:
        show.print_json({"items": found, "next_cursor": None})
        return
    show.table(
        ("Id", "Name", "Begins with", "May", "Created", "Last used"),
        (
            (key["id"], key["name"], key["prefix"], ", ".join(key["scopes"]), key["created_at"], key["last_used_at"])
            for key in found
        ),
        empty="There are no API keys. Make one with `callstream keys create --name NAME`.",
    )


@keys.command("revoke")
def revoke_key(key_id: Annotated[UUID, typer.Argument(metavar="ID")]) -> None:
    """Close an API key for good, at once."""
    from api.auth import revoke_api_key
    from ops.show import hub

    async def work() -> bool:
        async with hub(load_settings()) as (ports, caller):
            return await revoke_api_key(ports.pool, caller.workspace_id, key_id)

    if not run(work()):
        raise ConfigFault("unknown_key", f"There is no key {key_id} in use. See `callstream keys list`.")
    typer.echo(f"Revoked {key_id}.")


@keys.command("generate-secret")
def generate_secret() -> None:
    """Make a key for CALLSTREAM_SECRET_KEYS. It is printed alone and kept nowhere."""
    from streams.io.secrets import generate_key

    typer.echo(generate_key())


@keys.command("rotate-secrets")
def rotate_secrets() -> None:
    """Encrypt every stored secret under the newest of CALLSTREAM_SECRET_KEYS. The older ones may go afterwards."""
    from ops.migrate import rotate_secrets as rotate
    from streams.io.secrets import open_secrets

    settings = load_settings()
    if settings.database_url is None:
        raise ConfigFault(
            "database_unset", "No database is known here. Start `callstream up`, or set CALLSTREAM_DATABASE_URL."
        )
    secrets = open_secrets(settings)
    done = rotate(settings.database_url.get_secret_value(), secrets)
    typer.echo(f"{done} secrets were encrypted again; all are under the key {secrets.newest} now.")


@webhooks.command("create")
def create_webhook(
    platform: Annotated[str, typer.Option(help="The platform that will post, or `generic`.")],
    secret: Annotated[
        str | None,
        typer.Option(envvar="CALLSTREAM_WEBHOOK_SECRET", help="The platform's signing secret, if it makes it."),
    ] = None,
    source: Annotated[
        UUID | None, typer.Option(help="The connected account whose calls it brings, if there are several.")
    ] = None,
) -> None:
    """Make an address a vendor can post to. Prints JSON; the secret is shown this once."""
    from api.endpoints import create_endpoint
    from ops import show

    async def work() -> Any:
        async with show.hub(load_settings()) as (ports, caller):
            return await create_endpoint(
                ports.pool, ports.secrets, ports.base_url, workspace_id=caller.workspace_id, user_id=caller.user_id,
                platform=platform, secret=secret, source_id=source,
            )  # fmt: skip

    made = run(work())
    show.print_json({"url": made.url, "secret": made.secret, "id": made.id, "setup": made.setup})


if __name__ == "__main__":
    main()
