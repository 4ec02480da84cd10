"""Following topics without a group, on a real broker that stops, grows and forgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from ops.local import Local
from ops.topics import create_topics
from schemas.faults import OutageFault
from schemas.settings import Settings
from streams.io import clock, tail
from tests.conftest import Broker
from tests.servers import addresses_of
from tests.stack import new_database
from tests.system.live_harness import Home, instance, new_home, publisher

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


@pytest.fixture
async def admin(broker: Broker) -> AsyncIterator[Any]:
    """Changes topics."""
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def topic(admin: Any) -> AsyncIterator[str]:
    """A topic of one partition."""
    name = f"tail-{clock.new_id()}"
    await admin.create_topics([NewTopic(name, 1, 1)])
    yield name
    await admin.delete_topics([name])


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    """Sends bytes where it is told."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", metadata_max_age_ms=500) as made:
        yield made


async def next_values(batches: Any, positions: tail.Positions) -> list[bytes | None]:
    """The values of the next batch that has records, dealt with."""
    async with asyncio.timeout(60):
        while True:
            batch = await anext(batches)
            for record in batch.records:
                positions[record.place] = record.offset + 1
            if batch.records:
                return [record.value for record in batch.records]


async def test_following_begins_at_the_end_and_goes_on_at_known_positions(
    broker: Broker, topic: str, producer: AIOKafkaProducer
) -> None:
    await producer.send_and_wait(topic, b"before")
    positions: tail.Positions = {}
    async with aclosing(tail.follow(broker.bootstrap, [topic], positions)) as batches:
        assert await anext(batches) == tail.Batch(())
        await producer.send_and_wait(topic, b"one")
        assert await next_values(batches, positions) == [b"one"]
    await producer.send_and_wait(topic, b"two")
    async with aclosing(tail.follow(broker.bootstrap, [topic], positions)) as batches:
        assert await next_values(batches, positions) == [b"two"]


async def test_partitions_that_appear_are_read_from_their_beginning_and_the_others_not_again(
    broker: Broker, topic: str, producer: AIOKafkaProducer, admin: Any
) -> None:
    positions: tail.Positions = {}
    await producer.send_and_wait(topic, b"old")
    async with aclosing(tail.follow(broker.bootstrap, [topic], positions)) as batches:
        await anext(batches)
        await producer.send_and_wait(topic, b"one", partition=0)
        assert await next_values(batches, positions) == [b"one"]
        await admin.create_partitions({topic: NewPartitions(3)})

        async def appeared() -> None:
            while 2 not in await producer.partitions_for(topic):
                await producer.client.force_metadata_update()

        await asyncio.wait_for(appeared(), 60)
        await producer.send_and_wait(topic, b"new", partition=2)
        assert await next_values(batches, positions) == [b"new"]
        await producer.send_and_wait(topic, b"two", partition=0)
        assert await next_values(batches, positions) == [b"two"]
    assert positions == {(topic, 0): 3, (topic, 1): 0, (topic, 2): 1}


async def test_records_that_expired_unread_are_a_gap_and_not_silence(
    broker: Broker, topic: str, producer: AIOKafkaProducer, admin: Any
) -> None:
    for number in range(5):
        await producer.send_and_wait(topic, b"%d" % number)
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    positions = {(topic, 0): 1}
    async with aclosing(tail.follow(broker.bootstrap, [topic], positions)) as batches:
        assert (await anext(batches)).gap
        await producer.send_and_wait(topic, b"next")
        assert await next_values(batches, positions) == [b"next"]


async def test_what_lies_between_two_positions_is_read_once_and_in_order(
    broker: Broker, topic: str, producer: AIOKafkaProducer
) -> None:
    for number in range(10):
        await producer.send_and_wait(topic, b"%d" % number)
    place = (topic, 0)
    assert [r.value async for r in tail.read(broker.bootstrap, {place: 2}, {place: 7})] == [
        b"%d" % n for n in range(2, 7)
    ]
    assert [r async for r in tail.read(broker.bootstrap, {place: 9}, {place: 7})] == []


async def test_what_is_not_there_cannot_be_read(
    broker: Broker, topic: str, producer: AIOKafkaProducer, admin: Any
) -> None:
    for number in range(5):
        await producer.send_and_wait(topic, b"%d" % number)
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=3)})
    place = (topic, 0)
    for start in ({place: 1}, {place: 99}, {place: 4, (topic, 7): 0}):
        with pytest.raises(tail.ExpiredError):
            await anext(aiter(tail.read(broker.bootstrap, start, {place: 5})))


async def test_the_oldest_records_times_are_found(broker: Broker, topic: str, producer: AIOKafkaProducer) -> None:
    for number in range(3):
        await producer.send_and_wait(topic, b"%d" % number, timestamp_ms=1_700_000_000_000 + number)
    assert await tail.first_times(broker.bootstrap, {(topic, 0): 1}) == {(topic, 0): 1_700_000_000_001}
    assert await tail.first_times(broker.bootstrap, {(topic, 0): 3}) == {}


async def test_a_broker_that_is_away_is_an_outage() -> None:
    with pytest.raises(OutageFault):
        await anext(aiter(tail.follow("127.0.0.1:1", ["t"], {})))


async def test_streams_survive_the_brokers_restart_and_lose_nothing(servers: Local, tmp_path: Path) -> None:
    kafka = servers.kafka.bootstrap
    await create_topics(Settings(data_dir=tmp_path / "topics", kafka=kafka, partitions=4))
    _, app_url = new_database(addresses_of(servers))
    home: Home = await new_home(app_url)
    async with (
        instance(tmp_path / "api", kafka, app_url) as made,
        publisher(made) as out,
        made.client(home.key) as client,
    ):
        async with made.reading(home.key) as stream:
            await out.completed(home, "before")
            assert (await stream.next()).data["external_id"] == "before"
            after = stream.last_id
            await asyncio.to_thread(servers.kafka.stop)
            answer = await client.get("/api/events")
            assert (answer.status_code, answer.json()["reason"]) == (503, "broker_away")
            assert (await client.get("/api/imports")).status_code == 200
            await asyncio.to_thread(servers.kafka.start)
            await out.many(home, [f"after-{n}" for n in range(30)])
            heard = [(await stream.next()).data["external_id"] for _ in range(30)]
            assert sorted(heard) == sorted(f"after-{n}" for n in range(30))
        async with made.reading(home.key, after=after) as stream:
            again = [(await stream.next()).data["external_id"] for _ in range(30)]
            assert sorted(again) == sorted(heard)


async def test_an_api_that_starts_without_a_broker_tells_of_events_once_it_is_there(
    servers: Local, tmp_path: Path
) -> None:
    kafka = servers.kafka.bootstrap
    await create_topics(Settings(data_dir=tmp_path / "topics", kafka=kafka, partitions=4))
    _, app_url = new_database(addresses_of(servers))
    home = await new_home(app_url)
    await asyncio.to_thread(servers.kafka.stop)
    try:
        async with instance(tmp_path / "api", kafka, app_url) as made, made.client(home.key) as client:
            assert (await client.get("/api/events")).status_code == 503
            assert made.ports.live._listeners == {}
            assert not made.ports.live._streams
            await asyncio.to_thread(servers.kafka.start)
            while (
                answer := await client.send(client.build_request("GET", "/api/events"), stream=True)
            ).status_code == 503:
                await answer.aclose()
            await answer.aclose()
            async with made.reading(home.key) as stream, publisher(made) as out:
                await out.completed(home, "first")
                assert (await stream.next()).data["external_id"] == "first"
    finally:
        await asyncio.to_thread(servers.kafka.start)
