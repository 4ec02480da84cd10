"""The archive as files: out of one workspace, into another, and nothing twice."""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from api.ports import Ports, open_ports
from ops import archiving, importing
from ops.archiving import Import, Target, line_of
from ops.importing import BATCH_LINES, Progress, Sent
from ops.workspaces import home, list_workspaces
from schemas.calls import Placement, RawCall
from schemas.faults import InvalidCall, OutageFault
from schemas.settings import Settings
from schemas.topics import BACKFILL, RAW
from streams.io import clock, media
from streams.io.replays import Selection
from streams.io.secrets import generate_key
from tests.conftest import Broker, Database
from tests.stack import Stack, until

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(300)]


def payload(external_id: str, **fields: Any) -> str:
    """A payload that only survives word for word: spaces, order, escapes and all."""
    call = {"external_id": external_id, "title": "Grüße  \u2028 aus dem Archiv",
            "recording_start_time": "2026-03-02T10:00:00Z"}  # fmt: skip
    return json.dumps({**call, "full_transcript": "Guten Morgen", **fields}, indent=1)


def raw(workspace_id: UUID, external_id: str, **fields: Any) -> RawCall:
    now = clock.now()
    event: dict[str, Any] = {
        "event_id": clock.new_id(), "workspace_id": workspace_id, "source_app": "generic", "external_id": external_id,
        "observed_at": now, "received_at": now, "payload": payload(external_id),
    }  # fmt: skip
    return RawCall(**event | fields)


def write(path: Path, *lines: RawCall | bytes) -> Path:
    made = [line if isinstance(line, bytes) else line_of(line, RAW.name, 0) for line in lines]
    path.write_bytes(b"".join(made))
    return path


# In this process ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def settings(broker: Broker, database: Database, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", kafka=broker.bootstrap, database_url=SecretStr(database.app_url),
        secret_keys=SecretStr(generate_key()),
    )  # fmt: skip


@pytest.fixture
async def ports(settings: Settings) -> AsyncIterator[Ports]:
    async with open_ports(settings) as opened:
        yield opened


class Published:
    """What goes to the broker, noted instead of sent, so that tests of one broker do not meet."""

    def __init__(self, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[RawCall] = []
        self.topics: set[str] = set()
        self.faults = 0
        monkeypatch.setattr(ports.bus, "publish", self.publish)
        monkeypatch.setattr(importing, "PAUSE_SECONDS", 0.01)

    async def publish(self, topic: Any, event: Any, **carried: Any) -> None:
        await asyncio.sleep(0)
        if self.faults > 0:
            self.faults -= 1
            raise OutageFault("broker_away", "Kafka cannot be reached.")
        self.topics.add(topic.name)
        self.calls.append(event)


@pytest.fixture
def published(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Published:
    return Published(ports, monkeypatch)


async def bring(ports: Ports, settings: Settings, *paths: Path, **options: Any) -> dict[UUID, Sent]:
    """Import files into the home workspace."""
    found = await list_workspaces(settings)
    target = Target(home(found), {each.workspace_id: each for each in found}, options.pop("keep", False))
    stop = options.pop("stop", asyncio.Event())
    work = Import(ports, target, stop, options.pop("progress", Progress()), **options)
    await work.run(paths)
    return work.sent


async def job_calls(database: Database, workspace_id: UUID | None = None) -> list[tuple[Any, ...]]:
    rows = await database.pipeline_pool.fetch(
        "SELECT external_id, filename, status, reason FROM job_calls WHERE workspace_id = $1 ORDER BY filename",
        workspace_id or database.workspace_id,
    )
    return [tuple(row) for row in rows]


def new_workspace(owner_url: str, name: str) -> UUID:
    """Another workspace with an owner and the owner's bank."""
    workspace_id, user_id, bank_id = clock.new_id(), clock.new_id(), clock.new_id()
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for sql, *values in [
            ("INSERT INTO workspaces (workspace_id, name) VALUES (%s, %s)", workspace_id, name),
            ("INSERT INTO users (user_id, name) VALUES (%s, 'Somebody')", user_id),
            ("INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, 'owner')", workspace_id, user_id),
            ("INSERT INTO banks (bank_id, workspace_id, name, personal_of) VALUES (%s, %s, 'B', %s)",
             bank_id, workspace_id, user_id),
        ]:  # fmt: skip
            connection.execute(sql, values)  # type: ignore[call-overload]
    return workspace_id


async def test_a_line_becomes_the_same_event_here(
    ports: Ports, settings: Settings, database: Database, published: Published, tmp_path: Path
) -> None:
    there = clock.new_id()
    placement = Placement(owner_user_id=database.user_id, bank_id=clock.new_id(), vault_id=clock.new_id())
    call = raw(there, "a", placement=placement, job_id=clock.new_id(), source_id=clock.new_id(), received_via="webhook")
    sent = await bring(ports, settings, write(tmp_path / "calls.jsonl", call))
    [came] = published.calls
    [job_id] = sent[database.workspace_id].jobs
    assert came == call.model_copy(
        update={
            "workspace_id": database.workspace_id, "job_id": job_id, "source_id": None,
            "placement": Placement(owner_user_id=database.user_id),
        }
    )  # fmt: skip
    assert published.topics == {BACKFILL.name}
    [job] = await database.pipeline_pool.fetch("SELECT job_type, total_calls, open_ended, last_error FROM import_jobs")
    assert tuple(job) == ("historical", 1, False, None)
    assert await job_calls(database) == [("a", "calls.jsonl, line 1", "pending", None)]


async def test_a_bad_line_is_told_by_its_number_and_the_others_go_on(
    ports: Ports, settings: Settings, database: Database, published: Published, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archiving, "MAX_LINE", 100_000)
    good = [raw(clock.new_id(), name) for name in ("a", "b")]
    whole = line_of(good[0], RAW.name, 0)
    file = write(
        tmp_path / "calls.jsonl", whole[:-20] + b"\n", payload("x").replace("\n", "").encode() + b"\n", good[0],
        b"\n", whole.replace(b'"version": 1', b'"version": 7'), b"\xff\n", b"{" + b"x" * 200_000 + b"\n", b"[]\n",
        good[1],
    )  # fmt: skip
    sent = (await bring(ports, settings, file))[database.workspace_id]
    assert sorted(call.external_id for call in published.calls) == ["a", "b"]
    told = {name: (status, reason) for _, name, status, reason in await job_calls(database)}
    assert {name for name, (status, _) in told.items() if status == "refused"} == {
        f"calls.jsonl, line {number}" for number in (1, 2, 5, 6, 7, 8)
    }
    for number, words in {
        1: "cut off",
        2: "callstream import",
        5: "version",
        6: "UTF-8",
        7: "longer",
        8: "not a raw",
    }.items():
        assert words in told[f"calls.jsonl, line {number}"][1], number
    assert (sent.calls, sent.duplicates) == (2, 0)


async def test_a_packed_file_that_is_cut_off_brings_what_can_be_read(
    ports: Ports, settings: Settings, database: Database, published: Published, tmp_path: Path
) -> None:
    calls = [raw(clock.new_id(), f"c{number}", payload=payload(str(uuid4()))) for number in range(800)]
    packed = gzip.compress(b"".join(line_of(call, RAW.name, 0) for call in calls))
    path = tmp_path / "calls.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    await bring(ports, settings, path)
    assert 0 < len(published.calls) < 800
    refused = [row for row in await job_calls(database) if row[2] == "refused"]
    assert len(refused) >= 1
    assert any("damaged or cut off" in row[3] for row in refused)


async def test_events_of_one_call_keep_their_order_also_through_an_outage(
    ports: Ports, settings: Settings, published: Published, tmp_path: Path
) -> None:
    here = clock.new_id()
    calls = [raw(here, f"c{number % 3}") for number in range(60)]
    published.faults = 50
    await bring(ports, settings, write(tmp_path / "calls.jsonl", *calls))
    for name in ("c0", "c1", "c2"):
        expected = [call.event_id for call in calls if call.external_id == name]
        assert [call.event_id for call in published.calls if call.external_id == name] == expected


async def test_workspaces_are_kept_apart_only_on_request_and_only_where_they_exist(
    ports: Ports, settings: Settings, database: Database, published: Published, tmp_path: Path
) -> None:
    other = new_workspace(database.owner_url, "Other")
    gone = clock.new_id()
    file = write(
        tmp_path / "calls.jsonl", raw(database.workspace_id, "a"), raw(other, "b"), raw(gone, "c"), raw(other, "d")
    )
    sent = await bring(ports, settings, file, keep=True)
    assert {(call.external_id, call.workspace_id) for call in published.calls} == {
        ("a", database.workspace_id), ("b", other), ("d", other),
    }  # fmt: skip
    assert {workspace: each.calls for workspace, each in sent.items()} == {database.workspace_id: 1, other: 2}
    [refused] = [row for row in await job_calls(database) if row[2] == "refused"]
    assert refused[1] == "calls.jsonl, line 3"
    assert f"{gone}, which does not exist here" in refused[3]
    assert len(await job_calls(database, other)) == 2


async def test_stopped_half_way_the_job_says_so_and_counts_what_was_sent(
    ports: Ports, settings: Settings, database: Database, published: Published, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    calls = [raw(clock.new_id(), f"c{number}") for number in range(3 * BATCH_LINES)]
    progress = Progress(sent=lambda count: stop.set())
    sent = await bring(
        ports, settings, write(tmp_path / "calls.jsonl", *calls), stop=stop, progress=progress, rate=100.0
    )
    assert 0 < sent[database.workspace_id].calls == len(published.calls) < BATCH_LINES
    states = [row[2] for row in await job_calls(database)]
    assert states.count("pending") == len(published.calls)
    assert states.count("refused") == BATCH_LINES - len(published.calls)
    [job] = await database.pipeline_pool.fetch("SELECT open_ended, last_error FROM import_jobs")
    assert tuple(job) == (False, importing.STOPPED)


# Export ------------------------------------------------------------------------------------------------------------


async def exported(settings: Settings, path: Path, **selected: Any) -> tuple[archiving.Exported, list[dict[str, Any]]]:
    """Export into a file, and what is in it."""
    store = media.open_media(settings)
    with archiving.written_to(path) as out:
        done = await archiving.export(settings, store, out, Selection(**selected))
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return done, [json.loads(line) for line in data.splitlines()]


async def test_each_line_stands_by_itself_also_when_the_event_was_too_large_for_kafka(
    ports: Ports, settings: Settings, tmp_path: Path
) -> None:
    name = uuid4().hex
    large = raw(clock.new_id(), name, payload=payload(name, full_transcript="ä" * 700_000))
    await ports.bus.publish(RAW, large)
    done, [line] = await exported(settings, tmp_path / "calls.jsonl.gz", external_id=name)
    assert (done.calls, done.recordings, done.unreadable) == (1, 0, 0)
    assert line["payload"] == large.payload
    assert line["archive"]["topic"] == RAW.name
    assert line["archive"]["timestamp"].endswith("+00:00")
    assert "claim_check" not in line
    assert RawCall.model_validate(line) == large


async def test_what_cannot_be_read_is_told_and_the_rest_is_written(
    ports: Ports, settings: Settings, tmp_path: Path
) -> None:
    name = uuid4().hex
    lost = raw(clock.new_id(), name, payload=payload(name, full_transcript="x" * 700_000))
    await ports.bus.publish(RAW, lost)
    for claim in (settings.data_dir / "media" / "claims").rglob(f"{lost.event_id}*"):
        claim.unlink()
    record = {"kind": "media", "media": {"ref": "uploads/x/y"}}
    upload = raw(lost.workspace_id, name, source_app="upload", payload=json.dumps(record))
    await ports.bus.publish(BACKFILL, upload)
    done, lines = await exported(settings, tmp_path / "calls.jsonl", external_id=name)
    assert [line["event_id"] for line in lines] == [str(upload.event_id)]
    assert (done.calls, done.recordings, done.unreadable) == (1, 1, 1)
    assert "no longer in the media store" in done.failures[0]["reason"]


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("before")

    def break_off() -> None:
        with archiving.written_to(path) as out:
            out.write(b"half")
            raise InvalidCall("stopped", "Stopped.")

    with pytest.raises(InvalidCall):
        break_off()
    assert (path.read_text(), list(tmp_path.iterdir())) == ("before", [path])
    with archiving.written_to(path) as out:
        out.write(b"whole")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("whole", [path])


# Round trip --------------------------------------------------------------------------------------------------------

SEEN = (
    "source_app, external_id, title, full_transcript, segments, participants, original_transcript,"
    " recording_start_time, duration_ms, language, media, source_metadata::text, metadata_quality, event_id,"
    " fingerprint, observed_at, received_at, imported_at, outcome"
)
"""What makes a call for a person, without the ids of the workspace it is in."""


async def callstream(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ops.cli", *arguments],
        env=dict(stack.env), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


async def rows(stack: Stack, workspace_id: UUID, names: Sequence[str], columns: str = SEEN) -> list[dict[str, Any]]:
    sql = f"SELECT {columns} FROM recordings WHERE workspace_id = $1 AND external_id = ANY($2) ORDER BY external_id"
    return [dict(row) for row in await stack.fetch(sql, workspace_id, list(names))]


@pytest.mark.system
async def test_history_moves_and_looks_the_same_there(stack: Stack, tmp_path: Path) -> None:
    mark = uuid4().hex[:8]
    names = [f"{mark}-{kind}" for kind in ("changed", "history", "large", "plain")]
    changed, history, large, plain_one = names
    began = clock.now()
    await stack.publish(
        stack.raw(plain_one, payload(plain_one, participants=[{"name": "Mila"}], metadata={"room": 7})),
        stack.raw(large, payload(large, full_transcript="ö" * 700_000)),
        stack.raw(changed, payload(changed)),
    )
    bus = stack.bus()
    await bus.publish(BACKFILL, stack.raw(history, payload(history)))
    await bus.stop()
    for name in names:
        await stack.wait_recording(name)
    await stack.publish(stack.raw(changed, payload(changed, title="Corrected")))
    await until(lambda: _title(stack, changed, "Corrected"), 60, "the corrected call")

    file = tmp_path / "calls.jsonl.gz"
    out = await callstream(
        stack, "archive", "export", "--workspace", str(stack.workspace_id), "--from", began.isoformat(),
        "--source", "generic", "--output", str(file),
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert "raw calls written to" in out.stderr
    kept = [line for line in gzip.decompress(file.read_bytes()).splitlines() if mark.encode() in line]
    assert len(kept) == 5
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(b"\n".join(kept))

    there = new_workspace(stack.owner_url, f"Other {mark}")
    done = await callstream(stack, "archive", "import", str(mine), "--workspace", f"Other {mark}", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["imported"], summary["failed"], summary["pending"]) == (4, 0, 0)
    assert await rows(stack, there, names) == await rows(stack, stack.workspace_id, names)

    whole = await rows(stack, there, names, "*")
    again = await callstream(stack, "archive", "import", str(mine), "--workspace", str(there))
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("0 imported, 0 updated, 5 duplicates, 0 failed")
    assert await rows(stack, there, names, "*") == whole
    mended = await callstream(stack, "archive", "import", str(mine), "--workspace", str(there), "--again")
    assert mended.returncode == 0, mended.stderr
    assert await rows(stack, there, names, "*") == whole


async def _title(stack: Stack, external_id: str, title: str) -> bool:
    sql = "SELECT count(*) FROM recordings WHERE external_id = $1 AND title = $2"
    return bool(await stack.value(sql, external_id, title))


@pytest.mark.system
async def test_a_recording_that_did_not_come_along_is_a_failed_import_with_a_sentence(
    stack: Stack, tmp_path: Path
) -> None:
    digest = uuid4().hex * 2
    record = {
        "kind": "media", "format": "wav", "filename": "talk.wav",
        "media": {"ref": f"uploads/{uuid4()}/{digest}/talk.wav", "sha256": digest, "size_bytes": 9,
                  "content_type": "audio/wav"},
    }  # fmt: skip
    call = raw(clock.new_id(), digest, source_app="upload", payload=json.dumps(record))
    file = write(tmp_path / "calls.jsonl", call, b"{}\n")
    done = await callstream(stack, "archive", "import", str(file))
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("0 imported, 0 updated, 0 duplicates, 2 failed")
    assert "talk.wav is no longer in the media store" in done.stdout
    assert "calls.jsonl, line 2: This line is not a raw call of an archive" in done.stdout
