"""Live events on real Kafka and PostgreSQL, over sockets, from two instances of the API at the same time."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from api import auth, live, live_events, live_listener
from tests.conftest import Broker, Database
from tests.stack import until
from tests.system.live_harness import Home, Instance, Publisher, instance, new_home, publisher

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(180)]


@pytest.fixture
async def pair(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[tuple[Instance, Instance]]:
    """Two instances on the same servers."""
    async with (
        instance(tmp_path / "one", broker.bootstrap, database.app_url) as one,
        instance(tmp_path / "two", broker.bootstrap, database.app_url) as two,
    ):
        yield one, two


@pytest.fixture
async def one(pair: tuple[Instance, Instance]) -> Instance:
    """One of them."""
    return pair[0]


@pytest.fixture
async def home(database: Database) -> Home:
    """A workspace of the test's own."""
    return await new_home(database.app_url)


@pytest.fixture
async def out(one: Instance) -> AsyncIterator[Publisher]:
    """Outcomes, published as the pipeline does."""
    async with publisher(one) as made:
        yield made


# What is told ----------------------------------------------------------------------------------------------------


async def test_what_happens_to_calls_is_told_in_these_words(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key) as stream:
        stored = await out.completed(home, "c-1")
        event = await stream.next()
        assert event.name == "import.completed"
        assert event.data == {
            "event_id": str(stored.event_id),
            "outcome": "imported",
            "call_id": str(stored.recording_id),
            "source_app": "generic",
            "external_id": "c-1",
            "title": "Call c-1",
            "job_id": None,
            "recording_start_time": stored.model_dump(mode="json")["recording_start_time"],
            "imported_at": stored.model_dump(mode="json")["imported_at"],
        }
        skipped = await out.skipped(home, "c-1")
        event = await stream.next()
        assert (event.name, event.data) == (
            "import.skipped",
            {
                "event_id": str(skipped.event_id),
                "source_app": "generic",
                "external_id": "c-1",
                "job_id": None,
                "reason": "already_imported",
            },
        )
        event_id = await out.failed(home, "c-2", b"no JSON \xff")
        event = await stream.next()
        assert (event.name, event.data) == (
            "import.failed",
            {
                "event_id": str(event_id),
                "source_app": "generic",
                "external_id": "c-2",
                "job_id": None,
                "stage": "normalize",
                "reason": "invalid_field",
                "message": "title is missing.",
            },
        )


async def test_the_events_of_a_call_come_in_their_order(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key, types="completed") as stream:
        for number in range(30):
            await out.completed(home, f"c-{number % 3}", title=str(number))
        seen: dict[str, list[int]] = {}
        for _ in range(30):
            event = await stream.next()
            seen.setdefault(event.data["external_id"], []).append(int(event.data["title"]))
        assert seen == {f"c-{n}": list(range(n, 30, 3)) for n in range(3)}


async def test_only_the_wanted_types_are_told(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key, types="skipped, failed") as stream:
        await out.many(home, [f"c-{n}" for n in range(9)])
        assert sorted([(await stream.next()).name for _ in range(6)]) == ["import.failed"] * 3 + ["import.skipped"] * 3
    async with one.client(home.key) as client:
        answer = await client.get("/api/events", params={"types": "job,gossip"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_types")


async def test_workspaces_hear_nothing_of_each_other(
    one: Instance, database: Database, home: Home, out: Publisher
) -> None:
    other = await new_home(database.app_url)
    async with one.reading(home.key) as ours, one.reading(other.key) as theirs:
        await out.many(home, [f"ours-{n}" for n in range(9)])
        await out.many(other, [f"theirs-{n}" for n in range(9)])
        await out.completed(home, "ours-end")
        await out.completed(other, "theirs-end")
        for stream, whose in ((ours, "ours"), (theirs, "theirs")):
            heard = {(await stream.next()).data["external_id"] for _ in range(10)}
            assert heard == {f"{whose}-{n}" for n in range(9)} | {f"{whose}-end"}


async def test_garbage_on_the_topics_disturbs_nobody(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key) as stream:
        key = f"{home.workspace_id}:generic:x".encode()
        for topic in (live_events.OUTCOMES[0], live_events.OUTCOMES[1]):
            for value in (b"", b"{", b"[]", b'{"version": 2}', b"[" * 5000):
                await out.bus.send(topic, key, value, [])
        await out.bus.send(live_events.OUTCOMES[2], b"\xff", b"", [])
        await out.completed(home, "good")
        # A pipeline that runs on the same broker may give garbage a dead letter of its own, which is told as well.
        told = await stream.until("import.completed")
        assert told.data["external_id"] == "good"


# Coming back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_a_stream_that_is_cut_goes_on_where_it_was_on_any_instance(
    pair: tuple[Instance, Instance], home: Home, database: Database, out: Publisher, seed: int
) -> None:
    chance, neighbour = random.Random(seed), await new_home(database.app_url)
    names = [f"c-{n}" for n in range(120)]
    async with pair[0].reading(home.key, types="completed,skipped,failed") as stream:
        after = stream.last_id

    async def publish() -> None:
        for first in range(0, len(names), 6):
            await out.many(home, names[first : first + 6])
            await out.many(neighbour, names[first : first + 3])

    publishing = asyncio.create_task(publish())
    heard: list[str] = []
    while len(heard) < len(names):
        async with chance.choice(pair).reading(home.key, after=after, types="completed,skipped,failed") as stream:
            for _ in range(chance.randint(0, 30)):
                if len(heard) < len(names):
                    event = await stream.next()
                    assert event.name != "reset"
                    heard.append(event.data["external_id"])
                    after = event.id
    await publishing
    assert sorted(heard) == sorted(names)
    async with pair[1].reading(home.key, after=after) as stream:
        await out.completed(home, "afterwards")
        assert (await stream.until("import.completed")).data["external_id"] == "afterwards"


async def test_what_another_instance_has_told_already_is_not_told_again(
    one: Instance, home: Home, out: Publisher
) -> None:
    """The id may be ahead of the instance that is asked next."""
    listener = await one.ports.live.open(home.workspace_id, ("completed",))
    try:
        listener.floor = {place: offset + 1 for place, offset in one.ports.live.positions.items()}
        for title in ("known", "new"):
            await out.completed(home, "c-1", title=title)
        told = await listener.take(60)
        assert told is not None
        assert told[1]["title"] == "new"
        mark = live_events.unseal(told[2], one.ports.secrets, home.workspace_id)
        assert mark is not None
        assert all(offset >= listener.floor[place] for place, offset in mark.positions.items())
        assert sum(mark.positions.values()) == sum(listener.floor[place] for place in mark.positions) + 1
    finally:
        listener.close()


async def test_whoever_was_away_too_long_is_told_to_read_again(one: Instance, home: Home, out: Publisher) -> None:
    async with one.reading(home.key) as stream:
        after = stream.last_id
    before = sum(one.ports.live.positions.values())
    for _ in range(6):
        await asyncio.gather(*(out.skipped(home, f"c-{n}") for n in range(live.MAX_BEHIND // 5)))

    async def all_read() -> bool | None:
        return sum(one.ports.live.positions.values()) > before + live.MAX_BEHIND or None

    await until(all_read, 60, "the instance to have read them")
    async with one.reading(home.key, after=after, types="skipped") as stream:
        assert (await stream.next()).name == "reset"
        await out.skipped(home, "now")
        assert (await stream.next()).data["external_id"] == "now"


@pytest.mark.parametrize("broken", ["x", "AAAA", "%00", "e" * 40_000])
async def test_an_id_that_is_none_means_read_again(one: Instance, home: Home, broken: str) -> None:
    async with one.reading(home.key, after=broken) as stream:
        assert (await stream.next()).name == "reset"


async def test_an_id_of_another_workspace_says_nothing(one: Instance, home: Home, database: Database) -> None:
    other = await new_home(database.app_url)
    async with one.reading(other.key) as stream:
        after = stream.last_id
    async with one.reading(home.key, after=after) as stream:
        assert (await stream.next()).name == "reset"


# Limits ----------------------------------------------------------------------------------------------------------


async def test_a_slow_listener_is_told_reset_and_holds_no_memory(one: Instance, home: Home, out: Publisher) -> None:
    slow = await one.ports.live.open(home.workspace_id, ("completed",))
    quick = await one.ports.live.open(home.workspace_id, ("completed",))
    try:
        for first in range(0, live_listener.MAX_WAITING + 200, 100):
            await asyncio.gather(*(out.completed(home, f"c-{first + n}") for n in range(100)))
            for _ in range(100):
                told = await quick.take(60)
                assert told is not None
                assert told[0] == "import.completed"
        assert len(slow._waiting) <= live_listener.MAX_WAITING
        told = await slow.take(60)
        assert told is not None
        assert told[0] == "reset"
        known = live_events.unseal(told[2], one.ports.secrets, home.workspace_id)
        assert known is not None
        rest = 0
        while slow.place() is None:
            await slow.take(60)
            rest += 1
        assert 0 < rest < 300
    finally:
        slow.close()
        quick.close()


async def test_a_caller_has_so_many_streams_and_no_more(one: Instance, home: Home, database: Database) -> None:
    other = await new_home(database.app_url)
    async with AsyncExitStack() as streams:
        for _ in range(live.MAX_STREAMS):
            await streams.enter_async_context(one.reading(home.key))
        async with one.client(home.key) as client:
            answer = await client.get("/api/events")
            assert (answer.status_code, answer.json()["reason"]) == (429, "too_many_streams")
        async with one.reading(other.key):
            pass

    async def all_gone() -> bool | None:
        return not one.ports.live._streams or None

    await until(all_gone, 60, "the end of all streams")  # noticed without anything being said to them
    assert one.ports.live._listeners == {}
    assert one.ports.live._followers == {}
    async with one.reading(home.key):
        pass


async def test_nobody_listens_without_signing_in(one: Instance) -> None:
    async with one.client() as client:
        assert (await client.get("/api/events")).status_code == 401


async def test_a_revoked_key_and_an_ended_session_hear_nothing_more(
    one: Instance, home: Home, database: Database
) -> None:
    one.ports.live.ping_seconds = 0.1
    pool = one.ports.pool
    link = await auth.create_sign_in_link(pool, home.workspace_id, home.user_id)
    session = await auth.use_sign_in_link(pool, link.partition("token=")[2])
    assert session is not None
    cookie = {"Cookie": f"{auth.SESSION_COOKIE}={session.token}"}
    async with one.reading(home.key) as by_key, one.reading("", headers=cookie) as by_session:
        for stream in (by_key, by_session):
            await stream.come_to(lambda stream=stream: stream.comments > 2)
        caller = await auth.find_session(pool, session.token)
        assert caller is not None
        await auth.end_session(pool, caller, session.token)
        assert await by_session.next_or_end() is None
        before = by_key.comments
        await by_key.come_to(lambda: by_key.comments > before + 1)
        [key] = [each for each in await auth.list_api_keys(pool, home.workspace_id) if each["name"] == "tests"]
        await auth.revoke_api_key(pool, home.workspace_id, key["api_key_id"])
        assert await by_key.next_or_end() is None


async def test_a_stop_does_not_wait_for_open_streams(tmp_path: Path, broker: Broker, database: Database) -> None:
    home = await new_home(database.app_url)
    async with instance(tmp_path, broker.bootstrap, database.app_url) as made, made.reading(home.key) as stream:
        watching = asyncio.create_task(anext(aiter(made.ports.live.listen(home.workspace_id)), None))
        await made.stop()
        assert await stream.next_or_end() is None
        assert await watching is None


def test_ids_are_opaque_and_fit_into_a_header(pair: tuple[Instance, Instance], home: Home) -> None:
    mark = live_events.Mark(
        {(topic, n): 2**40 + n for topic in live_events.OUTCOMES for n in range(8)}, 1_700_000_000_000
    )
    secrets = pair[0].ports.secrets
    sealed = live_events.seal(mark, secrets, home.workspace_id)
    assert len(sealed) < 1_000
    assert live_events.unseal(sealed, pair[1].ports.secrets, home.workspace_id) == mark
    assert str(2**40) not in json.dumps(sealed)
