"""`imports.completed.v1` as a public contract: the documented examples and `callstream tail`, on the real stack."""

import asyncio
import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ops.local import Local
from ops.topics import create_topics
from schemas.calls import ImportCompleted
from schemas.settings import Settings
from schemas.topics import COMPLETED
from streams.io import clock, media
from streams.io.bus import Bus, headers_of
from tests.consumers import (
    PYTHON_EXAMPLE,
    Example,
    committed_offsets,
    completed,
    completed_records,
    install_node_example,
    read_table,
    start_tail,
)
from tests.stack import Stack, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WAVE = 30
Starter = Callable[[], Example]


@dataclass
class Calls:
    """Calls that went through the pipeline in two waves, and the completed events that came of them."""

    early: list[Any]
    late: list[Any]

    @property
    def since(self) -> datetime:
        """A moment between the waves, and no later than the first event of the second."""
        return datetime.fromtimestamp(min(record.timestamp for record in self.late) / 1000, UTC)


@pytest.fixture(scope="module")
async def calls(stack: Stack) -> Calls:
    async def wave(prefix: str) -> list[Any]:
        names = [f"{prefix}-{number}" for number in range(WAVE)]
        await stack.publish(*(stack.raw(name, content(name)) for name in names))

        async def announced() -> list[Any] | None:
            found = await completed_records(stack.settings.kafka or "", prefix)
            return found if len(found) == WAVE else None

        return await until(announced, 90, "the completed events", pause=0.5)

    run = uuid4().hex[:8]
    return Calls(await wave(f"early-{run}"), await wave(f"late-{run}"))


def content(name: str) -> str:
    """A call that needs no speech to text."""
    segments = [{"speaker": "Mila", "text": "Good morning.", "start_ms": 0, "end_ms": 1200}]
    began = "2026-03-02T10:00:00Z"
    return json.dumps(
        {"external_id": name, "title": f"Call {name}", "recording_start_time": began, "segments": segments}
    )


def names_of(records: list[Any]) -> set[str]:
    return {json.loads(record.value)["external_id"] for record in records}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return {"python": PYTHON_EXAMPLE, "node": install_node_example(tmp_path_factory.mktemp("node"))}


@pytest.fixture(params=["python", "node"])
def example(
    request: pytest.FixtureRequest, commands: dict[str, list[str]], stack: Stack, tmp_path: Path
) -> Iterator[Example]:
    """A documented example that has not been started yet."""
    name = request.param
    made = Example(
        commands[name], stack.settings.kafka or "", tmp_path / "calls.sqlite", f"{name}-{uuid4()}", tmp_path / "log"
    )
    yield made
    if made.process and made.process.poll() is None:
        made.end(signal.SIGKILL)


async def wait_worked(example: Example, wanted: set[str]) -> list[dict[str, Any]]:
    """The example's journal, as soon as it holds these calls."""

    async def worked() -> list[dict[str, Any]] | None:
        rows = example.rows("journal")
        return rows if wanted <= {row["external_id"] for row in rows} else None

    return await until(worked, 90, "the example to work its events")


async def test_a_consumer_that_comes_late_starts_at_the_beginning(example: Example, calls: Calls) -> None:
    example.start()
    wanted = names_of(calls.early + calls.late)
    rows = await wait_worked(example, wanted)
    assert {row["outcome"] for row in rows if row["external_id"] in wanted} == {"imported"}
    assert example.end() == 0, example.log.read_text()


async def test_a_consumer_that_comes_late_starts_at_a_time_and_goes_on_where_it_was(
    example: Example, calls: Calls, stack: Stack
) -> None:
    example.start("--from", calls.since.isoformat())
    rows = await wait_worked(example, names_of(calls.late))
    assert not names_of(calls.early) & {row["external_id"] for row in rows}
    assert example.end() == 0, example.log.read_text()
    name = f"between-{uuid4()}"
    await send(stack, completed(stack.workspace_id, name))
    example.start("--from", (clock.now() + timedelta(days=1)).isoformat())  # says nothing to a group that has a place
    rows = await wait_worked(example, {name})
    assert len(rows) == len({row["event_id"] for row in rows})


async def test_a_consumer_killed_between_work_and_commit_works_every_event_once(
    example: Example, calls: Calls, stack: Stack
) -> None:
    wanted = names_of(calls.late)
    places = {record.key: (record.partition, record.offset) for record in calls.late}
    of_event = {json.loads(record.value)["event_id"]: places[record.key] for record in calls.late}
    since = calls.since.isoformat()

    async def began() -> bool:
        return any(row["event_id"] in of_event for row in example.rows("journal"))

    for _ in range(30):  # until it was hit between the two
        example.start("--from", since)
        await until(began, 90, "the first event", pause=0.001)
        example.end(signal.SIGKILL)
        committed = await committed_offsets(example.kafka, example.group)
        worked = [of_event[row["event_id"]] for row in read_table(example.database, "journal")
                  if row["event_id"] in of_event]  # fmt: skip
        if any(offset >= committed.get(partition, 0) for partition, offset in worked):
            break
        example.database.unlink()
        example.group += "-"
    else:
        pytest.fail("thirty times it had committed all of its work before it was killed")
    example.start("--from", since)
    await wait_worked(example, wanted)
    last = f"last-{uuid4()}"  # on every partition, so that all that came twice has been read
    keys = {record.partition: record.key for record in calls.late}
    for partition, key in keys.items():
        await send(stack, completed(stack.workspace_id, f"{last}-{partition}"), key=key)
    rows = await wait_worked(example, {f"{last}-{partition}" for partition in keys})
    assert sorted(row["external_id"] for row in rows if row["external_id"] in wanted) == sorted(wanted)


async def test_a_consumer_sees_an_event_twice_a_replay_and_what_it_does_not_know(
    example: Example, stack: Stack
) -> None:
    now = clock.now()
    name = f"twice-{uuid4()}"
    event = completed(stack.workspace_id, name)
    example.start("--from", (now - timedelta(seconds=1)).isoformat())
    key = event.key
    replayed = event.model_copy(update={"replay_id": clock.new_id(), "outcome": "updated", "title": "Mapped anew"})
    older = event.model_copy(
        update={"event_id": clock.new_id(), "observed_at": now - timedelta(days=1), "title": "Older"}
    )
    last = completed(stack.workspace_id, f"last-{uuid4()}")
    unknown = [(k, b"io.callstream.call.erased.v1" if k == "ce_type" else v) for k, v in headers(event)]
    bus = stack.bus()
    try:
        for _ in range(2):
            await bus.send(COMPLETED.name, key, event.model_dump_json().encode(), headers(event))
        await bus.send(COMPLETED.name, key, b"\x00 no json", unknown)
        more = json.dumps({**event.model_dump(mode="json"), "a_field_of_tomorrow": {"x": [1]}}).encode()
        await bus.send(COMPLETED.name, key, more, headers(event))
        for each in (replayed, replayed, older):
            await bus.send(COMPLETED.name, key, each.model_dump_json().encode(), headers(each))
        await bus.send(COMPLETED.name, key, last.model_dump_json().encode(), headers(last))
    finally:
        await bus.stop()
    rows = await wait_worked(example, {last.external_id})
    assert [(row["event_id"], row["replay_id"], row["outcome"]) for row in rows if row["external_id"] == name] == [
        (str(event.event_id), "", "imported"),
        (str(event.event_id), str(replayed.replay_id), "updated"),
        (str(older.event_id), "", "imported"),
    ]
    (call,) = [row for row in example.rows("calls") if row["recording_id"] == str(event.recording_id)]
    assert (call["title"], call["replay_id"]) == ("Mapped anew", str(replayed.replay_id))


def headers(event: ImportCompleted) -> list[tuple[str, bytes]]:
    return headers_of(COMPLETED, event, "test")


async def send(stack: Stack, event: ImportCompleted, key: bytes | None = None) -> None:
    """Publish a completed event, on the partition of another call if a key is given."""
    bus = stack.bus()
    try:
        await bus.send(COMPLETED.name, key or event.key, event.model_dump_json().encode(), headers(event))
    finally:
        await bus.stop()


# callstream tail -----------------------------------------------------------------------------------------------------


async def test_tail_shows_a_call_a_line_from_a_time_on_and_ends_with_ctrl_c(
    stack: Stack, calls: Calls, tmp_path: Path
) -> None:
    tail = await start_tail(stack.settings.kafka or "", tmp_path, "--from", calls.since.isoformat())
    missing = names_of(calls.late)
    while missing:
        when, outcome, source, name, quality, title = (await tail.line("")).split("  ")
        assert name not in names_of(calls.early)
        if name in missing:
            assert (outcome, source, title) == ("imported", "generic", f"Call {name}")
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
            assert quality in {"full", "partial", "minimal"}
            missing.remove(name)
    code, _, err = await tail.interrupt()
    assert (code, err) == (130, "")


async def test_tail_shows_so_many_events_from_the_beginning_as_json(stack: Stack, calls: Calls, tmp_path: Path) -> None:
    count = len(calls.early) + len(calls.late)
    tail = await start_tail(
        stack.settings.kafka or "", tmp_path,
        "--from", "beginning", "--json", "--source", "generic", "--workspace", str(stack.workspace_id),
        "--count", str(count),
    )  # fmt: skip
    out, _ = await asyncio.wait_for(tail.process.communicate(), 60)
    assert tail.process.returncode == 0
    events = [ImportCompleted.model_validate_json(line) for line in out.splitlines()]
    assert len(events) == count
    assert {(event.source_app, event.workspace_id) for event in events} == {("generic", stack.workspace_id)}


async def test_tail_from_now_shows_only_what_comes_and_passes_over_what_it_does_not_know(
    stack: Stack, calls: Calls, tmp_path: Path
) -> None:
    mine, other = clock.new_id(), clock.new_id()
    tail = await start_tail(stack.settings.kafka or "", tmp_path, "--workspace", str(mine))
    bus = stack.bus()

    async def publish() -> None:
        while True:
            event = completed(mine, "now", title="\x1b]0;gotcha\x07 \x9b31m \u202efdp.exe\r\nplain")
            unknown = [(k, b"unknown" if k == "ce_type" else v) for k, v in headers(event)]
            await bus.send(COMPLETED.name, event.key, event.model_dump_json().encode(), unknown)
            await bus.send(COMPLETED.name, event.key, b"{}", headers(event))
            await bus.publish(COMPLETED, completed(other, "somebody else's"))
            await bus.publish(COMPLETED, event)
            await asyncio.sleep(0.2)  # it does not say from when on it listens

    publishing = asyncio.create_task(publish())
    try:
        lines = [await tail.line("") for _ in range(2)]
    finally:
        publishing.cancel()
        await asyncio.wait([publishing])
        await bus.stop()
    code, rest, err = await tail.interrupt()
    assert (code, err) == (130, "")
    for line in (*lines, *rest.splitlines()):
        assert line.isprintable()
        assert line.split("  ")[1:] == ["imported", "generic", "now", "full", "]0;gotcha 31m fdp.exe plain"]


async def test_tail_waits_for_a_broker_that_is_away_and_shows_nothing_twice(servers: Local, tmp_path: Path) -> None:
    kafka = servers.kafka.bootstrap
    settings = Settings(data_dir=tmp_path / "data", kafka=kafka, partitions=4)
    await create_topics(settings)
    workspace = clock.new_id()
    bus = Bus(kafka, media.open_media(settings), source="test")
    tail = await start_tail(kafka, tmp_path, "--from", "beginning", "--workspace", str(workspace))
    try:
        await bus.publish(COMPLETED, completed(workspace, "before"))
        await tail.line("  before  ")
        await asyncio.to_thread(servers.kafka.stop)
        said = await tail.line("", of_errors=True)
        assert said == f"Kafka at {kafka} cannot be reached. Waiting for it; no event is lost. Ctrl-C stops."
        await asyncio.to_thread(servers.kafka.start)
        assert await tail.line("", of_errors=True) == f"Kafka at {kafka} is back."
        await bus.publish(COMPLETED, completed(workspace, "after"))
        assert "  after  " in await tail.line("")
    finally:
        code, rest, _ = await tail.interrupt()
        await bus.stop()
    assert (code, rest) == (130, "")
