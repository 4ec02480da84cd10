"""The fake Five9: a real SFTP server with the calls as files, and the report API over SOAP.

A call lies at `/recordings/<campaign>/<m_d_yyyy>/<name>.wav`; every second one has a file beside it. While
`transcript_at` is still to come, its file is being written: half as long, and changed just now. `start` and `stop` are
called with the world; the port stands in `CREDENTIAL` then.

Faults on order reach SFTP under paths like `sftp:/recordings`: `bad_token` refuses the password, `forbidden` the
folder; `cut_json`, `429`, `500` and `503` hang up.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import stat
import threading
import time
import zlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import asyncssh
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes import audio
from tests.fakes.vendors.media import SECONDS, recording_of
from tests.fakes.vendors.shapes import FakeCall, Posting, Rate, Seen
from tests.fakes.vendors.world import World, guard

SOURCE, KIND = "five9", "password"
KEY = asyncssh.generate_private_key("ssh-ed25519")
CREDENTIAL = {
    "report_user": "reports@acme.example", "report_password": "five9-fake-report",
    "host": "127.0.0.1", "port": "0", "username": "callstream", "password": "five9-fake-password",
    "host_key": KEY.get_fingerprint("sha256"), "folder": "/recordings",
    "pattern": "{agent}__{dnis}__{date:%m_%d_%Y}__{time:%H_%M_%S}__{guid}__{campaign}__{disposition}__{session_id}",
    "zone": "America/Los_Angeles", "report": "Shared/Recordings", "region": "api.five9.com",
}  # fmt: skip
ZONE = ZoneInfo("America/Los_Angeles")
CAMPAIGNS = ("Outbound West", "Support", "Renewals")
DISPOSITIONS = ("Interested", "Call back", "No answer", "Resolved")
LIMITS = tuple(
    Rate(count, seconds, bucket, retry_after="")
    for bucket, counts in {"query": (450, 15_000, 172_800), "report": (16, 120, 800), "result": (20, 200, 1000)}.items()
    for count, seconds in zip(counts, (60.0, 3600.0, 86_400.0), strict=True)
)
BUCKETS = {"runReport": "report", "getReportResultCsv": "result"}
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def campaign_of(call: FakeCall) -> str:
    """The campaign, which is also the outer folder."""
    return CAMPAIGNS[zlib.crc32(call.id.encode()) % len(CAMPAIGNS)]


def folder_of(call: FakeCall) -> str:
    """The folder below the root."""
    local = call.started_at.astimezone(ZONE)
    return f"{campaign_of(call)}/{local.month}_{local.day}_{local.year}"


def session_of(call: FakeCall) -> str:
    """Five9's long number of the call."""
    return "3" + re.sub(r"\W", "", call.id).rjust(14, "0")


def name_of(call: FakeCall) -> str:
    """The name of the recording."""
    crc, local = zlib.crc32(call.id.encode()), call.started_at.astimezone(ZONE)
    parts = (
        agent_of(call), dnis_of(call), f"{local:%m_%d_%Y}", f"{local:%H_%M_%S}", f"{crc:08X}", campaign_of(call),
        DISPOSITIONS[crc % len(DISPOSITIONS)], session_of(call),
    )  # fmt: skip
    return "__".join(parts) + ".wav"


def agent_of(call: FakeCall) -> str:
    """Whoever of ours was on the call, as a name that a file can have."""
    email = (call.people[0].email if call.people else None) or "nobody@acme.example"
    return re.sub(r"[^\w@.+-]", "-", email.replace("__", "_"))


def dnis_of(call: FakeCall) -> str:
    """The number that was rung."""
    phone = call.people[1].phone if len(call.people) > 1 else None
    return re.sub(r"\D", "", phone or "")[-10:] or "4155550143"


def external_id(call: FakeCall) -> str:
    """As callstream must report it."""
    return f"{session_of(call)}/{name_of(call)}"


def sidecar_of(call: FakeCall) -> bytes | None:
    """What lies beside every second recording."""
    if zlib.crc32(call.id.encode()) % 2:
        return None
    person = call.people[0] if call.people else None
    told = {
        "call_id": session_of(call), "start": call.started_at.astimezone(ZONE).isoformat(),
        "duration_seconds": int(call.duration_s), "direction": "Outbound",
        "agent": {"email": agent_of(call), "name": person.name if person else None}, "dnis": dnis_of(call),
        "campaign": campaign_of(call),
    }  # fmt: skip
    return json.dumps(told).encode()


@dataclass
class Tree:
    """The world's calls as folders and files, made anew when calls were added."""

    world: World
    stamp: object = None
    folders: dict[str, dict[str, FakeCall | None]] = field(default_factory=dict)

    def fresh(self) -> dict[str, dict[str, FakeCall | None]]:
        """Each folder with what is in it: a call for a file, None for a folder."""
        calls = list(self.world.calls[SOURCE])
        stamp = (len(calls), id(calls[0]), id(calls[-1])) if calls else None
        if stamp != self.stamp or not self.folders:
            self.stamp, self.folders = stamp, {"/": {"recordings": None}, "/recordings": {}}
            for call in calls:
                campaign, _, day = folder_of(call).partition("/")
                self.folders["/recordings"][campaign] = None
                self.folders.setdefault(f"/recordings/{campaign}", {})[day] = None
                files = self.folders.setdefault(f"/recordings/{campaign}/{day}", {})
                files[name_of(call)] = call
                if sidecar_of(call) is not None:
                    files[name_of(call).replace(".wav", ".json")] = call
        return self.folders

    def content(self, name: str, call: FakeCall) -> bytes:
        """The bytes of a file by now."""
        if name.endswith(".json"):
            return sidecar_of(call) or b""
        whole = recording_of(call, "wav")
        return whole[: len(whole) // 2] if self.growing(call) else whole

    def size(self, name: str, call: FakeCall) -> int:
        """Of a file by now, without making it: a header and two bytes for each of the samples."""
        if name.endswith(".json"):
            return len(sidecar_of(call) or b"")
        whole = 44 + 2 * round(audio.RATE * max(min(call.duration_s, SECONDS), 0.2))
        return whole // 2 if self.growing(call) else whole

    def growing(self, call: FakeCall) -> bool:
        """Whether Five9 is still writing it."""
        return call.transcript_at is not None and call.transcript_at > self.world.now()

    def is_there(self, call: FakeCall) -> bool:
        """Whether it was delivered by now."""
        return call.appears_at is None or call.appears_at <= self.world.now()

    def attrs(self, name: str, call: FakeCall | None) -> asyncssh.SFTPAttrs:
        """As `stat` shows it."""
        if call is None:
            written, mode, size = NEVER, stat.S_IFDIR | 0o755, 0
        else:
            times = (call.ended_at, call.appears_at, call.changed_at, call.transcript_at)
            written = self.world.now() if self.growing(call) else max(time for time in times if time)
            mode, size = stat.S_IFREG | 0o644, self.size(name, call)
        moment = int(written.timestamp())
        return asyncssh.SFTPAttrs(size=size, uid=0, gid=0, permissions=mode, atime=moment, mtime=moment)


class Files(asyncssh.SFTPServer):
    """The tree over SFTP, for reading."""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], tree: Tree) -> None:
        super().__init__(chan)
        self.tree, self.world = tree, tree.world

    async def trouble(self, path: str) -> None:
        """What was ordered for this request, and an entry in the log."""
        seen = Seen("SFTP", f"sftp:{path}", {}, time.time(), source=SOURCE, account="1", status=200)
        self.world.requests.append(seen)
        fault = self.world.take(SOURCE, seen.path, ("429", "500", "503", "cut_json", "slow", "forbidden", "bad_token"))
        if fault is None:
            return
        seen.fault, seen.status = fault.kind, 500
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "forbidden":
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        else:
            self.connection.abort()
            raise asyncssh.SFTPConnectionLost("gone")

    def found(self, path: bytes) -> tuple[str, FakeCall | None]:
        """The file or folder at a path."""
        text = "/" + path.decode().strip("/")
        folder, _, name = text.rpartition("/")
        folders = self.tree.fresh()
        if text in folders:
            return "", None
        call = folders.get(folder or "/", {}).get(name)
        if call is None or not self.tree.is_there(call):
            raise asyncssh.SFTPNoSuchFile("No such file")
        return name, call

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.sftp.SFTPName]:
        """Like the parent's."""
        folder = "/" + path.decode().strip("/")
        await self.trouble(folder)
        if folder not in self.tree.fresh():
            raise asyncssh.SFTPNoSuchFile("No such file")
        inner = list(self.tree.fresh()[folder].items())
        if self.world.take(SOURCE, f"sftp:{folder}", ("reorder_page", "repeat_page", "empty_page")):
            inner.reverse()
        for name, call in inner:
            if call is None or self.tree.is_there(call):
                yield asyncssh.sftp.SFTPName(name.encode(), attrs=self.tree.attrs(name, call))

    async def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Like the parent's."""
        await self.trouble(path.decode())
        return self.tree.attrs(*self.found(path))

    stat = lstat

    async def realpath(self, path: bytes) -> bytes:
        """Like the parent's."""
        return b"/" + path.strip(b"/")

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Like the parent's. Nobody writes here."""
        name, call = self.found(path)
        if call is None or pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        return path.decode(), self.tree.content(name, call)

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        """Like the parent's."""
        path, content = file_obj
        if offset == 0:
            await self.trouble(path)
        part: bytes = content[offset : offset + size]
        return part

    async def fstat(self, file_obj: Any) -> asyncssh.SFTPAttrs:
        """Like the parent's."""
        return self.tree.attrs(*self.found(file_obj[0].encode()))

    def close(self, file_obj: object) -> None:
        """Nothing is open."""


@dataclass
class Door(asyncssh.SSHServer):
    """Who may come in."""

    world: World

    def begin_auth(self, username: str) -> bool:
        """Nobody without a password."""
        return True

    def password_auth_supported(self) -> bool:
        """By password only."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """As the world says."""
        self.world.notes.setdefault("five9 passwords", []).append(password)
        refused = self.world.take(SOURCE, "sftp:password", ("bad_token",)) or SOURCE in self.world.revoked
        known = [(given["username"], given["password"]) for given in self.world.credentials[SOURCE]]
        return not refused and (username, password) in known


@dataclass
class Sftp:
    """The server and the thread it runs in."""

    world: World
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    acceptor: asyncssh.SSHAcceptor | None = None
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)

    def start(self) -> int:
        """The port it listens on."""
        self.thread = threading.Thread(target=self.loop.run_forever, name="fake-five9", daemon=True)
        self.thread.start()
        self.acceptor = self.wait(self.listen())
        return self.acceptor.get_port()

    async def listen(self) -> asyncssh.SSHAcceptor:
        """On loopback."""
        tree = Tree(self.world)
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[KEY], server_factory=lambda: Door(self.world), config=None,
            sftp_factory=lambda chan: Files(chan, tree), allow_scp=False, acceptor=self.connections.add,
        )  # fmt: skip

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Its result, out of the thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def hang_up(self) -> None:
        """Let go of everybody."""
        if self.acceptor:
            self.acceptor.close()
        for connection in self.connections:
            connection.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in self.connections))
        await asyncio.sleep(0)

    def stop(self) -> None:
        """End the thread, too."""
        self.wait(self.hang_up())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def start(world: World) -> None:
    """Open the SFTP server and write its port into the credential."""
    server = world.notes["five9 sftp"] = Sftp(world)
    world.notes["five9 passwords"] = []
    CREDENTIAL["port"] = str(server.start())


def stop(world: World) -> None:
    """Close it."""
    world.notes.pop("five9 sftp").stop()


def webhook(world: World, call: FakeCall, secret: str, url: str) -> list[Posting]:
    """Five9 tells nobody."""
    return []


def routes(world: World) -> list[Route]:
    """The report API."""
    runs: dict[str, tuple[datetime, datetime]] = world.notes.setdefault("five9 runs", {})
    polled: set[str] = set()

    async def service(request: Request) -> Response:
        body = fromstring(await request.body())[1][0]
        operation = body.tag.rpartition("}")[2]
        values = {element.tag: element.text or "" for element in body.iter()}
        if (no := await guard(world, SOURCE, request, BUCKETS.get(operation, "query"))) is not None:
            return _refusal(no.status_code)
        match operation:
            case "runReport":
                if f"{values['folderName']}/{values['reportName']}" != CREDENTIAL["report"]:
                    return _fault("Report with such name is not found", "ObjectNotFoundException")
                identifier = f"{len(runs):016x}"
                runs[identifier] = datetime.fromisoformat(values["start"]), datetime.fromisoformat(values["end"])
                return _answer(operation, identifier)
            case "isReportRunning":
                running = values["identifier"] not in polled
                polled.add(values["identifier"])
                return _answer(operation, "true" if running else "false")
            case "getReportResultCsv":
                if values["identifier"] not in polled:
                    return _fault("The result is not ready", "ResultIsNotReadyException")
                return _answer(operation, report(world, *runs[values["identifier"]]))
        return _fault(f"Unknown operation {operation}", "Client")

    return [Route("/api.five9.com/wsadmin/v13/AdminWebService", service, methods=["POST"])]


def report(world: World, since: datetime, until: datetime) -> str:
    """The report of a time, as CSV."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(
        ["CALL ID", "TIMESTAMP", "CAMPAIGN", "CALL TYPE", "AGENT", "AGENT NAME", "DISPOSITION", "ANI", "DNIS",
         "CALL TIME", "RECORDINGS"]
    )  # fmt: skip
    for call in world.listed(SOURCE, since, until):
        local, crc = call.started_at.astimezone(ZONE), zlib.crc32(call.id.encode())
        person = call.people[0] if call.people else None
        rows.writerow(
            [session_of(call), f"{local:%a, %d %b %Y %H:%M:%S}", campaign_of(call), "Outbound", agent_of(call),
             (person.name if person else "") or "", DISPOSITIONS[crc % len(DISPOSITIONS)], "4155550100", dnis_of(call),
             str(timedelta(seconds=int(call.duration_s))), "1"]
        )  # fmt: skip
    return text.getvalue()


def _answer(operation: str, text: str) -> Response:
    kept = "".join(character for character in text if character in "\r\n\t" or character >= " ")
    return _xml(
        f'<ns2:{operation}Response xmlns:ns2="http://service.admin.ws.five9.com/"><return>{escape(kept)}</return>'
        f"</ns2:{operation}Response>"
    )


def _fault(sentence: str, detail: str) -> Response:
    return _xml(
        f"<env:Fault><faultcode>env:Server</faultcode><faultstring>{escape(sentence)}</faultstring><detail>"
        f'<ns2:{detail} xmlns:ns2="http://service.admin.ws.five9.com/"/></detail></env:Fault>', 500
    )  # fmt: skip


def _refusal(status: int) -> Response:
    match status:
        case 429:
            return _fault("API limit exceeded for this operation", "LimitExceededException")
        case 403:
            return _fault("The user does not have permission for this operation", "PermissionDeniedException")
        case _:
            return Response("", status)


def _xml(body: str, status: int = 200) -> Response:
    space = "http://schemas.xmlsoap.org/soap/envelope/"
    text = f'<env:Envelope xmlns:env="{space}"><env:Body>{body}</env:Body></env:Envelope>'
    return Response(text.encode("utf-8", "replace"), status, media_type="text/xml; charset=utf-8")
