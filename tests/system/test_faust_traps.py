"""The traps of Faust that we rely on avoiding, each on a real broker with workers as processes (faust.md §1-§3).

Each test shows that our way is right. Two also show, without a broker, that the stock way is still wrong; when one of
those passes, Faust has been mended and a workaround of ours may go.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import aiokafka
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import GroupCoordinatorNotAvailableError
from faust.transport.consumer import Consumer as FaustConsumer
from obstore.store import MemoryStore
from yarl import URL

from ops.topics import MAX_MESSAGE_BYTES
from schemas.calls import Call, RawCall
from schemas.topics import NORMALIZED, READY, Topic
from streams.app import SafeApp
from streams.io import clock
from streams.io.bus import Bus, header
from tests.stack import until

pytestmark = [pytest.mark.system, pytest.mark.broker, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
HANG = 60.0
COMMITS = 2.0
"""Seconds in which a worker commits four times: what is not committed by then is not going to be."""
SESSION = 6
"""The shortest session the broker allows, in seconds."""
WORKSPACE = UUID(int=1)
Line = dict[str, Any]


class Worker:
    """A worker process and what it says."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        self.lines: list[Line] = []
        with log.open("ab") as errors:
            self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with suppress(ValueError):
                    self.lines.append(json.loads(line))

    def said(self, what: str, name: str | None = None, **fields: Any) -> list[Line]:
        """Its lines of that kind, about that event."""
        wanted = fields | {"what": what} | ({"name": name} if name is not None else {})
        return [line for line in list(self.lines) if wanted.items() <= line.items()]

    async def says(self, what: str, name: str | None = None, **fields: Any) -> Line:
        """Wait until it says so."""
        await holds(lambda: bool(self.said(what, name, **fields)), self, f"{what} {name or ''} {fields or ''}")
        return self.said(what, name, **fields)[0]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self, timeout: float = 30) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def close(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        if self.process.poll() is None:
            self.kill()
        self._reader.join()

    def trouble(self) -> str:
        """The end of its log, for a failing test."""
        return f"exit code {self.process.poll()}\n{self.log.read_text(errors='replace')[-3000:]}"


async def holds(condition: Callable[[], bool], worker: Worker, what: str) -> None:
    async def asked() -> bool:
        return condition()

    try:
        await until(asked, HANG, what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{worker.trouble()}") from None


@dataclass
class Corner:
    """A test's own topics, group and folders on the session's broker."""

    bootstrap: str
    folder: Path
    role: str = "pipeline"
    prefix: str = field(default_factory=lambda: "t" + uuid4().hex[:8])
    workers: list[Worker] = field(default_factory=list)
    store: Any = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.gates = self.folder / "gates"
        self.gates.mkdir(parents=True)
        self.bus = Bus(self.bootstrap, self.store, source="test")

    @property
    def group(self) -> str:
        return f"{self.prefix}-{self.role}"

    def name(self, word: str) -> str:
        return f"{self.prefix}.{word}"

    async def create(self, *words: str, partitions: int = 1, **config: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            names = [word if word.startswith(self.prefix) else self.name(word) for word in words]
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name in names])
            await self._have_leaders(admin, names)
        finally:
            await admin.close()

    async def trim(self, word: str, before: int) -> None:
        """Delete the oldest records of partition 0, as retention does."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_records({aiokafka.TopicPartition(self.name(word), 0): RecordsToDelete(before)})
        finally:
            await admin.close()

    async def _have_leaders(self, admin: AIOKafkaAdminClient, names: list[str]) -> None:
        async def led() -> bool:
            found = [topic for topic in await admin.describe_topics() if topic["topic"] in names]
            leaders = [partition["leader"] for topic in found for partition in topic["partitions"]]
            return len(found) == len(names) and min(leaders) >= 0

        await until(led, HANG, f"leaders of {names}")

    def start(self, *words: str, worker: str = "a", partitions: int = 1, **more: Any) -> Worker:
        """Start a worker process that reads these topics."""
        plan = {
            "role": self.role, "topics": [self.name(word) for word in words], "gates": str(self.gates),
            **{word: self.name(word) for word in ("out", "dead", "ready", "unique", "skipped")}, **more,
        }  # fmt: skip
        env = {
            **os.environ, "CALLSTREAM_KAFKA": self.bootstrap, "CALLSTREAM_GROUP_PREFIX": self.prefix,
            "CALLSTREAM_DATA_DIR": str(self.folder), "CALLSTREAM_WORKER_DIR": str(self.folder / worker),
            "CALLSTREAM_PARTITIONS": str(partitions), "CALLSTREAM_SESSION_TIMEOUT_SECONDS": str(SESSION),
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.system.faust_apps.worker", json.dumps(plan)]
        started = Worker(command, env, self.folder / f"{worker}.log")
        self.workers.append(started)
        return started

    async def order(self, word: str, *names: str, key: bytes = b"k", **order: Any) -> None:
        """Send events, one after the other, that tell the worker's stage what to do."""
        for name in names:
            await self.bus.send(self.name(word), key, *self.event(name, **order))

    def event(self, name: str, **order: Any) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers of such an event."""
        now = clock.now()
        call = RawCall(
            event_id=clock.new_id(), workspace_id=WORKSPACE, source_app="generic", external_id=name,
            observed_at=now, received_at=now, payload=json.dumps(order),
        )  # fmt: skip
        return call.model_dump_json().encode(), [("ce_id", str(call.event_id).encode())]

    def let_go(self, number: int, *names: str) -> None:
        """Let the deliveries with this number go on: 0 is an event's first."""
        for name in names:
            (self.gates / f"{name}.{number}.go").touch()

    async def committed(self, word: str) -> int | None:
        """The committed offset of partition 0, as the broker has it."""
        return (await self.offsets(word)).get(0)

    async def offsets(self, word: str) -> dict[int, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.group)
        except GroupCoordinatorNotAvailableError:
            return {}  # the broker makes the topic of committed offsets when it is first asked
        finally:
            await admin.close()
        return {tp.partition: at.offset for tp, at in found.items() if tp.topic == self.name(word)}

    async def commits(self, word: str, offset: int) -> None:
        """Wait until the offset of partition 0 is committed."""

        async def there() -> bool:
            return (await self.committed(word) or 0) >= offset

        try:
            await until(there, HANG, f"offset {offset}")
        except AssertionError as error:
            trouble = "\n".join(worker.trouble() for worker in self.workers)
            raise AssertionError(f"{error}, there is {await self.committed(word)}\n{trouble}") from None
        assert await self.committed(word) == offset

    async def read(self, word: str) -> list[Any]:
        """All records of a topic, in the order of their partitions."""
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=8_000_000
        )
        await consumer.start()
        try:
            await consumer._client.add_topic(self.name(word))
            numbers = consumer.partitions_for_topic(self.name(word)) or ()
            parts = [aiokafka.TopicPartition(self.name(word), number) for number in sorted(numbers)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            records = []
            while any([await consumer.position(tp) < ends[tp] for tp in parts]):
                for found in (await consumer.getmany(timeout_ms=500)).values():
                    records += found
            return records
        finally:
            await consumer.stop()

    async def close(self) -> None:
        for worker in self.workers:
            worker.close()
        await self.bus.stop()


@pytest.fixture
async def corner(broker: Any, tmp_path: Path) -> AsyncIterator[Corner]:
    made = Corner(broker.bootstrap, tmp_path)
    try:
        yield made
    finally:
        await made.close()


@dataclass
class Shared:
    """One worker that many tests use, each with a topic of its own."""

    corner: Corner
    worker: Worker


SHARED = ("bug", "order", "poison", "publish", "away", "rejected", "slow", "trimmed")


@pytest.fixture(scope="module")
async def shared(broker: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    corner = Corner(broker.bootstrap, tmp_path_factory.mktemp("shared"))
    try:
        await corner.create(*SHARED, "out", "dead")
        # Something that lasts longer than several sessions; the last test asks what became of it.
        await corner.order("slow", "slow", do="sleep", seconds=3 * SESSION + 2)
        await corner.order("trimmed", *(f"t{n}" for n in range(5)), do="echo")
        await corner.trim("trimmed", 3)
        yield Shared(corner, corner.start(*SHARED))
    finally:
        await corner.close()


# b. Order of acknowledgements


async def test_an_event_in_flight_is_never_committed_past(shared: Shared) -> None:
    corner, worker = shared.corner, shared.worker
    before, held, after = [f"b{n}" for n in range(3)], "b-held", [f"b{n}" for n in range(4, 9)]
    await corner.order("order", *before, do="echo")
    await corner.commits("order", 3)
    await corner.order("order", held, do="wait")
    await corner.order("order", *after, do="echo")
    await worker.says("end", after[-1])
    await asyncio.sleep(COMMITS)
    assert await corner.committed("order") == 3, "committed past an event in flight"
    corner.let_go(0, held)
    await corner.commits("order", 9)


def _stock_commit(committed: int, acked: list[int]) -> int | None:
    """The offset that Faust's own consumer would commit."""
    tp = "tp"
    consumer = SimpleNamespace(
        _acked=defaultdict(list, {tp: list(acked)}), _gap=defaultdict(list), _committed_offset={tp: committed},
        _acked_index=defaultdict(set),
    )  # fmt: skip
    offset: int | None = FaustConsumer._new_offset(consumer, tp)
    return offset


def test_stock_commits_in_order_acks_rightly() -> None:
    assert _stock_commit(2585, [2585, 2586]) == 2587
    assert _stock_commit(2585, [2587, 2588]) is None


@pytest.mark.xfail(strict=False, reason="Faust commits past one event in flight; XPASS: the trap is gone")
def test_stock_faust_does_not_commit_past_an_event_in_flight() -> None:
    assert _stock_commit(2585, [2586, 2587, 2588, 2589]) is None


def _acked_of_skipped(tmp_path: Path, which: str) -> list[int]:
    """What Faust without its compiled parts acknowledges of two events of before a rebalance."""
    env = {**os.environ, "NO_CYTHON": "1", "CALLSTREAM_KAFKA": "nowhere:1", "CALLSTREAM_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.system.faust_apps.skip_events", which]
    found: dict[str, list[int]] = json.loads(
        subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    )
    assert found["passed"] == [7]
    return found["acked"]


def test_events_of_before_a_rebalance_are_skipped_without_an_ack(tmp_path: Path) -> None:
    assert _acked_of_skipped(tmp_path, "ours") == []


@pytest.mark.xfail(strict=False, reason="Faust without Cython acks what it skips; XPASS: the trap is gone")
def test_stock_faust_skips_without_an_ack(tmp_path: Path) -> None:
    assert _acked_of_skipped(tmp_path, "stock") == []


# a. Bugs, and processes that die


async def test_a_bug_in_a_stage_is_a_dead_letter_and_the_stream_goes_on(shared: Shared) -> None:
    corner = shared.corner
    await corner.order("bug", "a0", "a1", do="echo")
    await corner.order("bug", "a-bug", do="bug")
    await corner.order("bug", "a2", "a3", do="echo")
    await corner.commits("bug", 5)
    letters = [r for r in await corner.read("dead") if header(r.headers, "dead_topic") == corner.name("bug")]
    assert [(header(r.headers, "dead_kind"), header(r.headers, "dead_offset")) for r in letters] == [("bug", "2")]
    assert "ZeroDivisionError" in (header(letters[0].headers, "dead_detail") or "")
    original = (await corner.read("bug"))[2]
    assert (letters[0].key, letters[0].value) == (original.key, original.value)
    out = [RawCall.model_validate_json(r.value).external_id for r in await corner.read("out")]
    assert sorted(name for name in out if name.startswith("a")) == ["a0", "a1", "a2", "a3"]


async def test_a_run_of_bugs_ends_the_process_even_if_faust_hangs_and_nothing_is_lost(
    corner: Corner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust's consumer may wait for ever to commit through its thread, which the crash has ended already."""
    await corner.create("bugs", "out", "dead")
    monkeypatch.setenv("CALLSTREAM_BREAKER", "3")
    worker = corner.start("bugs", hangs=True)
    await corner.order("bugs", "b0", "b1", "b2", do="bug")
    await holds(lambda: worker.process.poll() is not None, worker, "the end of the process")
    assert worker.process.returncode == 70, worker.trouble()
    assert (await corner.committed("bugs") or 0) <= 2, "the event that tripped the breaker comes again"
    letters = {header(r.headers, "dead_offset") for r in await corner.read("dead")}
    assert letters == {"0", "1", "2"}


async def test_events_in_flight_come_again_after_kill_and_after_an_orderly_end(corner: Corner) -> None:
    await corner.create("orders", "out", "dead")
    first = corner.start("orders")
    await corner.order("orders", "done", do="echo")
    await corner.commits("orders", 1)
    await corner.order("orders", "x", "y", do="wait")
    await corner.order("orders", "z", do="echo")
    await first.says("end", "z")
    first.kill()
    assert await corner.committed("orders") == 1

    second = corner.start("orders", worker="b")
    for name in ("x", "y"):
        await second.says("begin", name, number=1)
    assert second.said("begin", "done") == [], "what was committed does not come again"
    corner.let_go(1, "x")
    await second.says("end", "x")
    assert second.end() == 0, second.trouble()
    assert not second.said("end", "y")
    assert await corner.committed("orders") == 2, "what was done in order is committed on the way out"

    third = corner.start("orders", worker="c")
    await third.says("begin", "y", number=2)
    corner.let_go(2, "y")
    await corner.commits("orders", 4)
    assert third.said("begin", "x") == []
    assert third.end() == 0, third.trouble()


# c. Records that cannot be decoded


async def test_whatever_lies_on_a_topic_the_stream_goes_on_and_the_bytes_are_kept(shared: Shared) -> None:
    corner = shared.corner
    good, headers = corner.event("c-good", do="echo")
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"k", b"\xff\xfe\x00 not JSON", []),
        (None, good, headers),
        (b"k", None, headers),
        (b"k", b"", []),
        (b"\xc3\x28", b"[]", [("odd", b"\xff\x00")]),
        (b"k", good, [("ce_type", b"io.callstream.call.raw.v9"), ("twice", b"1"), ("twice", b"2")]),
        (b"k", good.replace(b'"version":1', b'"version":77'), []),
        (b"k", b"[" * 50_000, []),
        (b"k", good, headers),
    ]
    for key, value, head in records:
        await corner.bus.send(corner.name("poison"), key, value, head)
    await corner.commits("poison", len(records))
    letters = [r for r in await corner.read("dead") if header(r.headers, "dead_topic") == corner.name("poison")]
    assert sorted((header(r.headers, "dead_offset"), header(r.headers, "dead_reason")) for r in letters) == [
        ("0", "undecodable"), ("1", "no_key"), ("2", "empty_event"), ("3", "empty_event"), ("4", "wrong_shape"),
        ("5", "unknown_type"), ("6", "unknown_version"), ("7", "undecodable"),
    ]  # fmt: skip
    for letter in letters:
        key, value, head = records[int(header(letter.headers, "dead_offset") or "")]
        kept = [(name, data) for name, data in letter.headers if not name.startswith("dead_")]
        assert (letter.key, letter.value, kept) == (key, value, head)
    out = [RawCall.model_validate_json(r.value).external_id for r in await corner.read("out")]
    assert out.count("c-good") == 1


async def test_a_record_too_large_to_be_sent_again_does_not_stop_the_stream(corner: Corner) -> None:
    await corner.create("large", "out", "dead", **{"max.message.bytes": str(MAX_MESSAGE_BYTES)})
    worker = corner.start("large")
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=corner.bootstrap, max_request_size=2**26, max_batch_size=2**26, compression_type="gzip"
    )
    await producer.start()
    try:
        await producer.send_and_wait(corner.name("large"), b"\xff" * (5 * 1024 * 1024), key=b"k")
    finally:
        await producer.stop()
    await corner.order("large", "after", do="echo")
    await corner.commits("large", 2)
    letter = (await corner.read("dead"))[0]
    assert (letter.key, header(letter.headers, "dead_reason")) == (b"k", "undecodable")
    assert header(letter.headers, "dead_offset") == "0"
    assert worker.process.poll() is None


# d. Publishing that fails


async def test_an_event_is_not_acked_before_what_follows_is_on_the_broker(shared: Shared) -> None:
    corner, worker = shared.corner, shared.worker
    target = corner.name("late")
    await corner.order("publish", "d0", do="echo")
    await corner.order("publish", "d-late", do="echo to", topic=target)
    await corner.order("publish", "d1", do="echo")
    await worker.says("end", "d1")
    await corner.commits("publish", 1)
    await asyncio.sleep(COMMITS)
    assert await corner.committed("publish") == 1, "acked although the topic is not there"
    await corner.create(target)
    await corner.commits("publish", 3)
    assert [RawCall.model_validate_json(r.value).external_id for r in await corner.read("late")] == ["d-late"]


async def test_an_outage_is_waited_for_and_what_can_never_be_is_let_go(shared: Shared) -> None:
    corner = shared.corner
    await corner.order("away", "w", do="away", tries=4)
    await corner.order("rejected", "r", do="reject")
    await corner.order("rejected", "l", do="limited")
    await corner.commits("away", 1)
    await corner.commits("rejected", 2)
    letters = await corner.read("dead")
    reasons = {(header(r.headers, "dead_topic"), header(r.headers, "dead_reason")) for r in letters}
    assert (corner.name("rejected"), "refused") in reasons
    assert (corner.name("rejected"), "busy") in reasons
    assert corner.name("away") not in {topic for topic, _ in reasons}


# Holes in the offsets


async def test_what_retention_has_deleted_is_no_hole(shared: Shared) -> None:
    await shared.corner.commits("trimmed", 5)
    ended = shared.worker.said("end", topic=shared.corner.name("trimmed"))
    assert sorted(line["name"] for line in ended) == ["t3", "t4"]


async def test_the_broker_is_asked_whether_a_hole_holds_records(corner: Corner) -> None:
    await corner.create("holes")
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=corner.bootstrap, transactional_id=corner.name("id"))
    await producer.start()
    try:
        for _ in range(3):  # a record and the mark of its transaction: offsets 0 and 1, 2 and 3, 4 and 5
            async with producer.transaction():
                await producer.send_and_wait(corner.name("holes"), b"v")
    finally:
        await producer.stop()
    await corner.trim("holes", 2)
    app: Any = SimpleNamespace(conf=SimpleNamespace(broker_consumer=[URL(f"kafka://{corner.bootstrap}")]))
    tp = aiokafka.TopicPartition(corner.name("holes"), 0)
    asked = [(0, 2), (0, 3), (3, 4), (2, 3), (3, 6), (5, 6), (6, 9)]
    found = await asyncio.gather(*(SafeApp.has_records(app, tp, first, before) for first, before in asked))
    assert found == [False, True, False, True, True, False, False]


# f. and g. What a worker must not do, and how it is set up


async def test_a_worker_listens_on_no_port(shared: Shared) -> None:
    await shared.worker.says("assigned")
    listening = [
        connection
        for connection in psutil.Process(shared.worker.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == []


def test_every_role_is_set_up_as_faust_needs_it(tmp_path: Path) -> None:
    env = {**os.environ, "CALLSTREAM_KAFKA": "one:1,two:2", "CALLSTREAM_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.system.faust_apps.show_settings"]
    found = json.loads(subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    assert min(found.pop("loggers").values()) >= 30
    table = found["dedup"].pop("table")
    assert table["driver"] == "rocksdict"
    assert int(table["block_cache_size"]) <= 64 * 1024**2, "the default is 2 GiB a partition"
    assert int(table["write_buffer_size"]) <= 16 * 1024**2
    assert int(table["max_open_files"]) <= 256
    assert set(found) == {"pipeline", "dedup", "transcribe", "pull"}
    for role, settings in found.items():
        one = {name: settings[name] for name in settings}
        assert one["id"] == f"callstream-{role}"
        assert one["agent_supervisor"] == "<class 'mode.supervisors.CrashingSupervisor'>"
        assert one["recovery"] == "SafeRecovery"
        assert one["processing_guarantee"] == "ProcessingGuarantee.AT_LEAST_ONCE"
        assert one["web_enabled"] == one["stream_wait_empty"] == one["topic_allow_declare"] == "False"
        assert one["topic_disable_leader"] == "True"
        assert float(one["broker_max_poll_interval"]) == 7 * 24 * 3600
        assert 15 <= float(one["broker_session_timeout"]) <= 20
        assert float(one["broker_heartbeat_interval"]) <= 3
        assert 0.5 <= float(one["broker_commit_interval"]) <= 1
        assert 100 <= int(one["stream_buffer_maxsize"]) <= (500 if role in ("transcribe", "pull") else 5000)
        assert 0.02 <= float(one["producer_linger"]) <= 0.1, "only the changelog goes this way, and nobody waits for it"
        assert 30 <= float(one["producer_request_timeout"]) <= 60
        assert one["producer_acks"] == "-1"
        assert int(one["consumer_max_fetch_size"]) > int(one["producer_max_request_size"])
        assert one["consumer_auto_offset_reset"] == "earliest"
        assert one["store"] == ("rocksdb:" if role == "dedup" else "memory:")
        assert one["table_standby_replicas"] == ("1" if role == "dedup" else "0")
        assert Path(one["datadir"]).is_dir()
    assert len({settings["datadir"] for settings in found.values()}) == 4


# j. Rebalances


async def test_work_of_before_a_rebalance_commits_nothing_of_what_comes_again(corner: Corner) -> None:
    await corner.create("calls", "out", "dead", partitions=2)
    first = corner.start("calls", worker="a", partitions=2)
    names = [f"j{n}" for n in range(12)]
    for n, name in enumerate(names):
        await corner.order("calls", name, key=b"k%d" % n, do="wait")
    for name in names:
        await first.says("begin", name, number=0)
    assert await corner.offsets("calls") == {}

    second = corner.start("calls", worker="b", partitions=2)
    for name in names:
        again = lambda name=name: bool(first.said("begin", name, number=1) or second.said("begin", name, number=1))  # noqa: E731
        await holds(again, second, f"the second delivery of {name}")
    corner.let_go(0, *names)
    for name in names:
        await first.says("end", name, number=0)
    await asyncio.sleep(COMMITS)
    assert set((await corner.offsets("calls")).values()) <= {0}, "stale acks were committed"

    corner.let_go(1, *names)
    corner.let_go(2, *names)
    ends = {0: 0, 1: 0}
    for record in await corner.read("calls"):
        ends[record.partition] = record.offset + 1

    async def all_committed() -> bool:
        return await corner.offsets("calls") == {n: end for n, end in ends.items() if end}

    await until(all_committed, HANG, f"{ends}\n{first.trouble()}\n{second.trouble()}")
    assert (first.process.poll(), second.process.poll()) == (None, None), "neither ended by itself"


# i. The table of claims


async def test_claims_survive_kill_and_the_loss_of_the_workers_disk(broker: Any, tmp_path: Path) -> None:
    corner = Corner(broker.bootstrap, tmp_path, role="dedup")
    normalized = Topic(corner.name("calls"), NORMALIZED.models, 0, "")
    now = clock.now()

    def call(n: int) -> Call:
        return Call(
            event_id=clock.new_id(), workspace_id=WORKSPACE, source_app="generic", external_id=f"i{n}",
            observed_at=now, received_at=now, title="A call", full_transcript="Hello.", fingerprint="f",
        )  # fmt: skip

    async def publish(calls: list[Call]) -> None:
        await asyncio.gather(*(corner.bus.publish(normalized, call) for call in calls))

    async def outcomes(count: int) -> tuple[dict[str, set[str]], set[str]]:
        """The owners of each call, and the events that were skipped, once `count` events have an outcome."""

        async def all_there() -> tuple[dict[str, set[str]], set[str]] | None:
            owners: dict[str, set[str]] = defaultdict(set)
            for record in await corner.read("ready"):
                made = dict(READY.models)[header(record.headers, "ce_type") or ""].model_validate_json(record.value)
                owners[made.external_id].add(str(made.event_id))
            skips = {header(record.headers, "ce_id") or "" for record in await corner.read("skipped")}
            enough = len(set().union(*owners.values(), skips)) >= count
            return (owners, skips) if enough else None

        trouble = "\n".join(worker.trouble() for worker in corner.workers)
        return await until(all_there, HANG, f"{count} outcomes\n{trouble}")

    try:
        await corner.create("calls", "ready", "unique", "skipped", "dead", partitions=2)
        await corner.create(f"{corner.prefix}-dedup-claims-changelog", partitions=2, **{"cleanup.policy": "compact"})
        settled, hurried = [call(n) for n in range(100)], [call(n) for n in range(100, 400)]
        first = corner.start("calls", worker="a", partitions=2, claims=True)
        await publish(settled)
        await outcomes(100)
        await asyncio.sleep(1)  # the changelog is sent with a linger of 20 ms
        hurry = asyncio.ensure_future(publish(hurried))
        await outcomes(120)
        first.kill()
        await hurry
        second = corner.start("calls", worker="b", partitions=2, claims=True)  # with an empty disk
        await publish([call(n) for n in range(400)])
        owners, skips = await outcomes(800)
        assert set(owners) == {f"i{n}" for n in range(400)}, "every call has an owner"
        twice = {name for name, events in owners.items() if len(events) > 1}
        assert not twice & {c.external_id for c in settled}, "a claim that was written before the kill is gone"
        assert len(twice) <= 30, "more than the kill can explain; the unique index would have to catch them all"
        assert len(skips) >= 400 - len(twice)
        assert await corner.read("dead") == []
        assert second.end() == 0, second.trouble()
    finally:
        await corner.close()


# e. Slow stages; last, because it began first


async def test_an_event_slower_than_several_sessions_causes_no_rebalance(shared: Shared) -> None:
    corner, worker = shared.corner, shared.worker
    ended = await worker.says("end", "slow")
    begun = worker.said("begin", "slow")
    assert [line["number"] for line in begun] == [0], "delivered once"
    assert ended["generation"] == begun[0]["generation"], "a rebalance came in between"
    assert len(worker.said("assigned")) == 1
    await corner.commits("slow", 1)


async def test_a_worker_with_nothing_in_flight_ends_at_once_and_cleanly(shared: Shared) -> None:
    assert shared.worker.end() == 0, shared.worker.trouble()
