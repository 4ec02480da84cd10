"""`make demo`: all that `callstream up` runs, with sources that look real, and calls that arrive while one watches.

The sources talk to stand-ins on this machine, which tests use as well (`tests/fakes`), and recordings are turned into
made-up words by another one: nothing leaves the machine, nothing costs anything. Data is in a folder of its own, which
every start begins anew.
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from api.auth import Caller
from api.endpoints import create_endpoint
from api.ports import Ports
from connectors.registry import CONNECTORS
from ops.local import lock_data_dir
from ops.show import hub
from ops.supervise import show_on_stdout
from ops.up import Show, ask_ready, up
from schemas.faults import ConfigFault, Fault
from schemas.settings import INSTANCE_FILE, Settings, load_settings
from streams import vendor
from streams.io import sources
from streams.io.sources import Source
from streams.io.store import in_workspace

ROOT: Final = Path(__file__).parents[1]
DATA_DIR: Final = ".callstream-demo"
MARK: Final = "made-by-make-demo"
"""Lies in a data directory that may be emptied."""
ACCOUNTS: Final = {
    "fathom": "mila@acme.example", "zoom": "it@acme.example", "zoom_phone": "phones@acme.example",
    "youtube": "Acme Talks", "grain": "noor@acme.example", "fireflies": "sam@acme.example",
    "gong": "revenue@acme.example", "ringcentral": "service@acme.example", "dialpad": "support@acme.example",
    "hubspot": "sales@acme.example", "google_meet": "team@acme.example", "five9": "contact-center@acme.example",
}  # fmt: skip
CLIENT: Final = {"client_id": "fake-client", "client_secret": "fake-secret"}
"""Our registration with every stand-in's authorization server."""
SIGNS_WITH: Final = "whsec_ZGVtby1zZWNyZXQtbm9ib2R5LW5lZWRz"
"""What a stand-in signs its webhooks with, where the source makes the secret."""
FAILING: Final = "hubspot"
SYNC_EVERY: Final = 4.0
"""Seconds between two syncs, of one source after the other."""
FIRST_SYNC_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class StandIns:
    """The processes beside us. Both end when we do, however we end."""

    vendors: subprocess.Popen[str]
    introduction: Mapping[str, Any]
    speech: subprocess.Popen[str]
    speech_url: str

    def tell(self, **order: Any) -> None:
        """Give the vendors an order."""
        if self.vendors.stdin is not None:
            with suppress(OSError):
                self.vendors.stdin.write(json.dumps(order) + "\n")
                self.vendors.stdin.flush()


@dataclass(frozen=True, slots=True)
class Told:
    """What the conductor of the demo knows."""

    stand_ins: StandIns
    ended: threading.Event
    fails_after: float
    fails_for: float
    show: Show = show_on_stdout


def main(argv: list[str]) -> int:
    """Run the demo until Ctrl-C."""
    options = argparse.ArgumentParser(prog="make demo")
    options.add_argument("--fails-after", type=float, default=45.0, help="seconds until a source fails")
    options.add_argument("--fails-for", type=float, default=90.0, help="seconds until it recovers")
    given = options.parse_args(argv)
    os.environ.setdefault("CALLSTREAM_DATA_DIR", DATA_DIR)
    empty(Path(os.environ["CALLSTREAM_DATA_DIR"]).absolute())
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)  # at the end it wonders where PostgreSQL has gone
    with stand_ins() as started:
        os.environ.update(environment(started))
        settings = Settings()
        ended = threading.Event()
        told = Told(started, ended, given.fails_after, given.fails_for)
        conductor = threading.Thread(target=conduct, args=[settings, told], daemon=True)
        conductor.start()
        try:
            return up(settings)
        finally:
            ended.set()
            conductor.join(10)


def empty(data_dir: Path) -> None:
    """Forget the last demo. Raises `ConfigFault` for a folder that is not a demo's, `DataDirBusy` for one in use."""
    if data_dir.exists() and any(data_dir.iterdir()) and not (data_dir / MARK).exists():
        raise ConfigFault(
            "not_a_demo",
            f"{data_dir} holds something else than a demo, and a demo begins by emptying its folder. Set "
            "CALLSTREAM_DATA_DIR to another one.",
        )
    with lock_data_dir(data_dir) as lock:
        for path in data_dir.iterdir():
            if path.name != Path(lock.name).name:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (data_dir / MARK).touch()


@contextmanager
def stand_ins() -> Iterator[StandIns]:
    """Start the vendors and the speech service; they end with the block."""
    vendors, speech = _start("tests.fakes.vendors.demo"), _start("tests.fakes.openai_server", "--port", "0")
    try:
        yield StandIns(vendors, _first_line(vendors), speech, str(_first_line(speech)["base_url"]))
    finally:
        for process in (vendors, speech):
            _end(process)


def _start(module: str, *arguments: str) -> subprocess.Popen[str]:
    # A session of its own: Ctrl-C in the terminal is for us, and they end when we close their standard input.
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def _first_line(process: subprocess.Popen[str]) -> Mapping[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise ConfigFault(
            "no_stand_ins", "The stand-ins of the demo did not start. Run `make demo` where the tests are."
        )
    found: Mapping[str, Any] = json.loads(line)
    return found


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def environment(started: StandIns) -> dict[str, str]:
    """The settings that lead to the stand-ins."""
    origin = str(started.introduction["origin"])
    clients = {name: CLIENT for name, connector in CONNECTORS.items() if any(auth.oauth for auth in connector.auths)}
    return {
        "CALLSTREAM_VENDOR_ORIGIN": origin,
        "CALLSTREAM_MEDIA_ALLOW_HOSTS": urlsplit(origin).netloc,
        "CALLSTREAM_OAUTH_CLIENTS": json.dumps(clients),
        "CALLSTREAM_FIRST_SYNC_DAYS": str(FIRST_SYNC_DAYS),
        "OPENAI_BASE_URL": started.speech_url,
        "OPENAI_API_KEY": "sk-fake",
    }


# What happens while one watches -----------------------------------------------------------------------------------


def conduct(settings: Settings, told: Told) -> None:
    """Connect the sources as soon as everything is up, then keep things happening. A thread of its own."""
    while not _is_up(settings):
        if told.ended.wait(0.5):
            return
    try:
        asyncio.run(_play(load_settings(), told))
    except Exception as error:
        if not ask_ready(settings.host, settings.port):  # else everything is being stopped, and that is no news
            told.show(f"The demo has lost its thread: {error!r}")


def _is_up(settings: Settings) -> bool:
    return (settings.data_dir / INSTANCE_FILE).exists() and not ask_ready(settings.host, settings.port)


async def _play(settings: Settings, told: Told) -> None:
    async with hub(settings) as (ports, caller):
        connected = [source for name in ACCOUNTS if (source := await connect(ports, caller, told, name))]
        told.show(f"Connected {len(connected)} sources. Their first syncs run, and new calls arrive all the time.")
        story = asyncio.create_task(_fail_and_recover(ports, caller, told, connected))
        try:
            while connected and not told.ended.is_set():
                for source in connected:
                    await asyncio.sleep(SYNC_EVERY)
                    if told.ended.is_set():
                        break
                    async with in_workspace(ports.pool, caller.workspace_id) as connection:
                        await sources.sync_now(connection, source.source_id)
        finally:
            story.cancel()


async def connect(ports: Ports, caller: Caller, told: Told, name: str) -> Source | None:
    """Connect one source as a person would, with its credential checked, and its webhook set up on both sides."""
    given = told.stand_ins.introduction["sources"].get(name)
    connector = CONNECTORS.get(name)
    if given is None or connector is None or connector.validate is None:
        return None
    kind, credential = given["kind"], given["credential"]
    try:
        async with vendor.open_api_for(ports.settings, connector, kind, credential) as api:
            account = await connector.validate(api)
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            source, _ = await sources.create_or_reconnect(
                connection, ports.secrets, workspace_id=caller.workspace_id, user_id=caller.user_id, source_app=name,
                account_email=ACCOUNTS[name], account_id=account.account_id, kind=kind, credential=credential,
            )  # fmt: skip
        if connector.webhook is not None:
            await _hook(ports, caller, told.stand_ins, source, given["webhook_secret"])
    except Fault as fault:
        told.show(f"{connector.display_name} could not be connected: {fault}")
        return None
    return source


async def _hook(ports: Ports, caller: Caller, started: StandIns, source: Source, secret: str | None) -> None:
    webhook = CONNECTORS[source.source_app].webhook
    if secret is None and webhook is not None and webhook.key_from == "source":
        secret = SIGNS_WITH
    made = await create_endpoint(
        ports.pool, ports.secrets, ports.base_url, workspace_id=caller.workspace_id, user_id=caller.user_id,
        platform=source.source_app, secret=secret, source_id=source.source_id,
    )  # fmt: skip
    if made.secret is not None:
        started.tell(hook=source.source_app, url=made.url, secret=made.secret)


async def _fail_and_recover(ports: Ports, caller: Caller, told: Told, connected: list[Source]) -> None:
    """One source loses a right for a while, as when an administrator takes it away at the vendor."""
    source = next((source for source in connected if source.source_app == FAILING), None)
    if source is None:
        return
    name = CONNECTORS[FAILING].display_name
    await asyncio.sleep(told.fails_after)
    told.stand_ins.tell(order=FAILING, kind="forbidden")
    told.show(f"{name} takes a right away now: its card turns to an error with a sentence. The others go on.")
    await asyncio.sleep(told.fails_for)
    told.stand_ins.tell(calm=FAILING)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await sources.resume(connection, caller.workspace_id, source.source_id)
    told.show(f"{name} gives the right back, and somebody presses Resume: it goes on where it stopped.")


if __name__ == "__main__":
    from ops.cli import sentence_of

    try:
        sys.exit(main(sys.argv[1:]))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.exit(f"callstream: {sentence}")
