"""Create every topic as `schemas/topics.py` says, and mend the settings of those that are there. Safe to repeat."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from schemas.topics import CLAIMS_TABLE, TOPICS
from streams.io.sender import MAX_REQUEST

MAX_MESSAGE_BYTES: Final = MAX_REQUEST + 1024 * 1024  # room for what Kafka puts around the largest event we send
REQUEST_MS: Final = 15_000
LEADER_SECONDS: Final = 20.0
SET_ON_TOPIC: Final = 1  # Kafka's number for "this value was set on the topic itself"

Change = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be."""

    name: str
    partitions: int
    config: Mapping[str, str]


def changelog_of(group_prefix: str) -> str:
    """The name Faust gives the changelog of the dedup table."""
    return f"{group_prefix}-dedup-{CLAIMS_TABLE}-changelog"


def wanted_topics(settings: Settings) -> list[Wanted]:
    """Every topic callstream needs. All have the same partition count, for the key stays the same all the way down."""
    common = {"compression.type": "producer", "max.message.bytes": str(MAX_MESSAGE_BYTES)}
    topics = [
        Wanted(
            topic.name,
            settings.partitions,
            {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms), **common},
        )
        for topic in TOPICS
    ]
    changelog = Wanted(
        changelog_of(settings.group_prefix), settings.partitions, {"cleanup.policy": "compact", **common}
    )
    return [*topics, changelog]


async def create_topics(settings: Settings) -> dict[str, Change]:
    """Create what is missing, mend what differs, and say per topic which it was. Returns when all can be written to.

    Raises `ConfigFault` when a topic has another partition count than the settings, before anything is changed:
    Kafka would send the same call to another partition than before, and dedup would no longer meet its own memory.
    """
    wanted = wanted_topics(settings)
    async with admin_client(settings) as admin:
        found = await partition_counts(admin)
        if wrong := wrong_counts(wanted, found):
            raise ConfigFault("partition_mismatch", mismatch_sentence(wrong, found))
        missing = [topic for topic in wanted if topic.name not in found]
        await _create(admin, missing, settings.replication_factor)
        await _wait_for_leaders(admin, wanted)
        updated = await _update(admin, [topic for topic in wanted if topic.name in found])
    created = {topic.name for topic in missing}
    return {
        topic.name: "created" if topic.name in created else "updated" if topic.name in updated else "unchanged"
        for topic in wanted
    }


def wrong_counts(wanted: Sequence[Wanted], found: Mapping[str, int]) -> list[Wanted]:
    """The topics that exist with another partition count than wanted."""
    return [topic for topic in wanted if topic.name in found and found[topic.name] != topic.partitions]


def mismatch_sentence(wrong: Sequence[Wanted], found: Mapping[str, int]) -> str:
    """What to tell the person whose topics have another partition count than the settings."""
    listed = ", ".join(f"{topic.name} has {found[topic.name]}" for topic in wrong)
    counts = {found[topic.name] for topic in wrong}
    way_out = (
        f"Set CALLSTREAM_PARTITIONS={counts.pop()} to keep them"
        if len(counts) == 1
        else "Give all of them the same count"
    )
    return (
        f"CALLSTREAM_PARTITIONS is {wrong[0].partitions}, but {listed} partitions. {way_out}; the count of a topic "
        "that holds calls cannot be changed without a replay."
    )


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client. Kafka's own errors become `OutageFault`."""
    if settings.kafka is None:
        raise ConfigFault("kafka_unset", "No Kafka is set. Start `callstream up` first, or set CALLSTREAM_KAFKA.")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise OutageFault("broker_away", f"Kafka at {settings.kafka} cannot be reached.", detail=repr(error)) from error
    finally:
        await admin.close()


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """How many partitions each topic of the cluster has."""
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Wanted], replicas: int) -> None:
    if not topics:
        return
    new = [NewTopic(topic.name, topic.partitions, replicas, topic_configs=dict(topic.config)) for topic in topics]
    response = await admin.create_topics(new)
    for name, code, message, *_ in response.topic_errors:
        if code and for_code(code).message != "TOPIC_ALREADY_EXISTS":  # somebody else was faster: as good
            raise ConfigFault("topic_refused", f"Kafka refuses to create the topic {name}: {message or for_code(code)}")


async def _wait_for_leaders(admin: AIOKafkaAdminClient, topics: Sequence[Wanted]) -> None:
    wanted = {topic.name for topic in topics}
    deadline = asyncio.get_running_loop().time() + LEADER_SECONDS
    while True:
        described = [topic for topic in await admin.describe_topics() if topic["topic"] in wanted]
        leaders = [partition["leader"] for topic in described for partition in topic["partitions"]]
        if len(leaders) == sum(topic.partitions for topic in topics) and min(leaders) >= 0:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise OutageFault("no_leader", "Kafka has the topics but no broker leads all of their partitions yet.")
        await asyncio.sleep(0.1)


async def _update(admin: AIOKafkaAdminClient, topics: Sequence[Wanted]) -> set[str]:
    """Set what differs and return the names of the topics changed. What an operator set besides stays."""
    if not topics:
        return set()
    found = await topic_configs(admin, [topic.name for topic in topics])
    changes = []
    for topic in topics:
        every, on_topic = found[topic.name]
        if any(every.get(name) != value for name, value in topic.config.items()):
            # This request replaces all that is set on the topic, so what is there goes along.
            merged = {**on_topic, **topic.config}
            changes.append(ConfigResource(ConfigResourceType.TOPIC, topic.name, merged))
    if not changes:
        return set()
    for response in await admin.alter_configs(changes):
        for code, message, _, name in response.resources:
            if code:
                raise ConfigFault(
                    "topic_refused", f"Kafka refuses to change the topic {name}: {message or for_code(code)}"
                )
    return {change.name for change in changes}


async def topic_configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Per topic: every setting in force, and those of them that were set on the topic itself."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for response in await admin.describe_configs(resources):
        for _code, _message, _type, name, entries in response.resources:
            every, on_topic = {}, {}
            for key, value, _read_only, source, *_ in entries:
                every[key] = value
                if source == SET_ON_TOPIC:
                    on_topic[key] = value
            found[name] = (every, on_topic)
    return found


def print_changes(changes: Mapping[str, Any]) -> str:
    """One line a topic, for a terminal."""
    return "\n".join(f"{change:<9} {name}" for name, change in changes.items())
