"""Outgoing webhooks on real Kafka and PostgreSQL: all that happened is told, signed, again if need be, and nobody's
receiver holds up another's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from schemas.topics import COMPLETED
from streams import deliveries
from streams.io import clock
from streams.io import deliveries as rows
from streams.io.facts import fact_of
from tests.conftest import Broker, Database
from tests.fakes.receiver import Came
from tests.stack import until
from tests.system.deliveries_harness import Post, completed_event, going, open_post, record_of

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def post(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Post]:
    """An application and a receiver."""
    async with open_post(tmp_path, broker, database) as opened:
        yield opened


async def settled(post: Post, subscription: dict[str, Any], status: str, count: int = 1) -> list[dict[str, Any]]:
    """The deliveries of a subscription, as soon as so many have a status."""

    async def look() -> list[dict[str, Any]] | None:
        found = [each for each in await post.deliveries(subscription) if each["status"] == status]
        return found if len(found) >= count else None

    return await until(look, 60, f"{count} {status}")


# From the topic to the receiver --------------------------------------------------------------------------------------


async def test_a_stored_call_is_told_in_the_words_of_the_live_events_and_signed(post: Post) -> None:
    made = await post.subscribe()
    event = completed_event(post.api.workspace_id, "c1", title="Größe <b> 💬")
    teller = post.teller()
    async with going(teller.run()):
        await post.settle()
        await post.api.ports.bus.publish(COMPLETED, event)
        [came] = await post.receiver.wait(1)
        [row] = await settled(post, made, "delivered")
    body = Webhook(made["secret"]).verify(came.body, dict(came.headers))
    fact = fact_of(record_of(event))
    assert fact is not None
    assert (body["type"], body["data"]) == ("import.completed", fact.data)
    assert body["data"]["title"] == "Größe <b> 💬"
    assert came.id == row["event_id"] == str(event.event_id)
    assert (row["attempts"], row["last_status_code"], row["last_error"], row["body"]) == (1, 200, None, body)
    shown = await post.get(f"/api/webhook-subscriptions/{made['id']}")
    assert (shown["delivered_24h"], shown["failed_24h"]) == (1, 0)
    assert shown["last_delivery_at"]


async def test_a_reader_that_dies_before_it_keeps_its_place_tells_all_and_nothing_twice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await post.subscribe()
    events = [completed_event(post.api.workspace_id, f"k{n}") for n in range(9)]
    first = post.teller(keep_seconds=1e9)
    async with going(first.read()):
        await post.settle()
        for event in events[:3]:
            await post.api.ports.bus.publish(COMPLETED, event)
        await settled(post, made, "pending", 3)
    for event in events[3:6]:
        await post.api.ports.bus.publish(COMPLETED, event)
    second = post.teller()
    async with going(second.read()):
        for event in events[6:]:
            await post.api.ports.bus.publish(COMPLETED, event)
        found = await settled(post, made, "pending", 9)
    assert sorted(each["event_id"] for each in found) == sorted(str(event.event_id) for event in events)


async def test_two_readers_at_once_write_everything_down_once(post: Post) -> None:
    made = await post.subscribe()
    one, other = post.teller(), post.teller()
    events = [completed_event(post.api.workspace_id, f"t{n}") for n in range(20)]
    async with going(one.read(), other.read()):
        await post.settle()
        await asyncio.gather(*(post.api.ports.bus.publish(COMPLETED, event) for event in events))
        found = await settled(post, made, "pending", 20)
    assert len(found) == 20


async def test_who_subscribes_is_told_of_what_comes_and_not_of_what_was_before(post: Post) -> None:
    teller = post.teller()
    async with going(teller.run()):
        await post.settle()
        for n in range(3):
            await post.tell(post.completed(f"early{n}"), teller=teller)
        made = await post.subscribe()
        event = completed_event(post.api.workspace_id, "late")
        await post.api.ports.bus.publish(COMPLETED, event)

        async def told() -> set[str] | None:
            found = {each["body"]["data"]["external_id"] for each in await post.deliveries(made)}
            return found if "late" in found else None

        assert "early0" not in await until(told, 60, "the call")


def test_a_record_that_concerns_nobody_is_not_decoded() -> None:
    workspace, other = clock.new_id(), clock.new_id()
    unreadable = record_of(completed_event(workspace, "c1"))
    unreadable = type(unreadable)(**{n: getattr(unreadable, n) for n in unreadable.__slots__} | {"value": None})
    stranger = rows.Subscription(clock.new_id(), other, "standard", frozenset(rows.EVENTS), clock.now())
    uninterested = rows.Subscription(clock.new_id(), workspace, "standard", frozenset({rows.JOB}), clock.now())
    assert deliveries.news_of(unreadable, {}) == []
    assert deliveries.news_of(unreadable, {other: [stranger], workspace: [uninterested]}) == []


async def test_what_is_read_twice_is_told_once_and_a_call_that_fails_again_once_more(post: Post) -> None:
    made = await post.subscribe(events=["import.failed"])
    record = post.failed(message="title is missing.")
    await post.tell(record, record, post.completed())
    await post.tell(record)
    [row] = await post.deliveries(made)
    fact = fact_of(record)
    assert fact is not None
    assert row["body"]["data"] == fact.data
    assert row["body"]["data"]["message"] == "title is missing."
    again = type(record)(
        record.topic, 0, 6, record.timestamp_ms, record.key, record.value,
        [(n, b"2" if n == "dead_attempt" else v) for n, v in record.headers],
    )  # fmt: skip
    await post.tell(again)
    assert len(await post.deliveries(made)) == 2


# Sending -------------------------------------------------------------------------------------------------------------


async def test_a_receiver_that_fails_is_asked_again_with_the_same_id_until_it_answers(post: Post) -> None:
    made = await post.subscribe()
    post.receiver.answers["/"] = 500
    await post.tell(post.completed())
    async with going(post.teller().send()):
        await post.receiver.wait(1)

        async def tried() -> dict[str, Any] | None:
            [row] = await post.deliveries(made)
            return row if row["attempts"] else None

        row = await until(tried, 30, "the first try")
        assert (row["status"], row["last_status_code"]) == ("pending", 500)
        assert row["last_error"] == "127.0.0.1 answered 500."
        assert row["next_attempt_at"] > row["created_at"]
        post.receiver.answers["/"] = 204
        await post.make_due()
        [row] = await settled(post, made, "delivered")
    assert row["attempts"] == 2
    assert len({came.id for came in post.receiver.came}) == 1


async def test_after_the_last_try_it_has_failed_and_can_be_sent_again_by_hand(post: Post) -> None:
    made = await post.subscribe()
    post.receiver.answers["/"] = 500
    await post.tell(post.completed())
    async with going(post.teller().send()):
        for tries in range(1, len(rows.RETRY_SECONDS) + 2):
            await post.receiver.wait(tries)
            await until(lambda tries=tries: tried(post, made, tries), 30, f"try {tries}")  # type: ignore[misc]
            await post.make_due()
        [row] = await settled(post, made, "failed")
        assert (row["attempts"], row["next_attempt_at"]) == (10, None)
        post.receiver.answers["/"] = 200
        path = f"/api/webhook-subscriptions/{made['id']}/deliveries/{row['id']}/resend"
        answer = await post.api.client.post(path)
        assert (answer.status_code, answer.json()["status"], answer.json()["attempts"]) == (202, "pending", 0)
        [row] = await settled(post, made, "delivered")
    assert len({came.id for came in post.receiver.came}) == 1


async def tried(post: Post, made: dict[str, Any], tries: int) -> bool | None:
    """Whether so many tries were written down."""
    [row] = await post.deliveries(made)
    return row["attempts"] >= tries or None


async def test_gone_pauses_the_subscription_until_somebody_switches_it_on(post: Post) -> None:
    made = await post.subscribe()
    post.receiver.answers["/"] = 410
    await post.tell(post.completed("a"))
    path = f"/api/webhook-subscriptions/{made['id']}"
    async with going(post.teller().send()):
        await settled(post, made, "failed")

        async def paused() -> dict[str, Any] | None:
            found: dict[str, Any] = await post.get(path)
            return None if found["active"] else found

        assert "410 Gone" in (await until(paused, 30, "the pause"))["paused_reason"]
        await post.tell(post.completed("b"))
        assert len(await post.deliveries(made)) == 1
        post.receiver.answers["/"] = 200
        shown = (await post.api.client.patch(path, json={"active": True})).json()
        assert (shown["active"], shown["paused_reason"]) == (True, None)
        await post.tell(post.completed("c"))
        await settled(post, made, "delivered")
    told = await post.api.fetch("SELECT detail FROM audit_log WHERE action = 'webhook_subscription.paused'")
    assert len(told) == 1


async def test_a_receiver_that_fails_for_days_is_paused_with_its_reason(post: Post) -> None:
    made = await post.subscribe()
    post.receiver.answers["/"] = 503
    await post.tell(post.completed("a"))
    await post.api.execute("UPDATE webhook_subscriptions SET failing_since = now() - interval '5 days 1 minute'")
    async with going(post.teller().send()):

        async def paused() -> dict[str, Any] | None:
            found: dict[str, Any] = await post.get(f"/api/webhook-subscriptions/{made['id']}")
            return None if found["active"] else found

        reason = (await until(paused, 30, "the pause"))["paused_reason"]
    assert reason.startswith("Nothing could be delivered since ")
    assert "answered 503" in reason
    [row] = await post.deliveries(made)
    assert row["status"] == "pending", "it is sent once the subscription is switched on"


async def test_a_redirect_is_not_followed_and_a_slow_receiver_is_given_up(post: Post) -> None:
    there, slow = await post.subscribe("/moved"), await post.subscribe("/slow")
    done = asyncio.Event()

    async def wait(came: Came) -> int:
        await done.wait()
        return 200

    post.receiver.answers |= {"/moved": 307, "/slow": wait}
    await post.tell(post.completed())
    async with going(post.teller(seconds=0.5).send()):
        await until(lambda: tried(post, there, 1), 30, "the redirect")
        await until(lambda: tried(post, slow, 1), 30, "the slow one")
    done.set()
    [moved], [late] = await post.deliveries(there), await post.deliveries(slow)
    assert "a redirect" in moved["last_error"]
    assert "did not answer within" in late["last_error"]
    assert post.receiver.at("/elsewhere") == []


async def test_a_dead_receiver_holds_up_nobody_else(post: Post) -> None:
    dead, alive = await post.subscribe("/dead"), await post.subscribe("/alive")
    done = asyncio.Event()

    async def hang(came: Came) -> int:
        await done.wait()
        return 200

    post.receiver.answers["/dead"] = hang
    await post.tell(*(post.completed(f"f{n}") for n in range(60)))
    async with going(post.teller(seconds=60).send()):
        await settled(post, alive, "delivered", 60)
        assert len(post.receiver.at("/dead")) == deliveries.PLACES
        assert {each["status"] for each in await post.deliveries(dead)} == {"pending"}
        done.set()
        await settled(post, dead, "delivered", 60)


async def test_one_that_does_not_answer_is_asked_for_one_thing_at_a_time(post: Post) -> None:
    await post.subscribe()
    await post.tell(*(post.completed(f"s{n}") for n in range(20)))
    await post.api.execute("UPDATE webhook_subscriptions SET failing_since = now()")
    taken = await rows.take(post.database.pipeline_pool, {}, places=deliveries.PLACES, limit=100)
    assert len(taken) == 1
    assert await rows.take(post.database.pipeline_pool, {taken[0].subscription_id: 1}, places=8, limit=100) == []


async def test_a_sender_that_dies_before_it_notes_the_answer_sends_again_under_the_same_id(post: Post) -> None:
    made = await post.subscribe()
    await post.tell(post.completed())
    pool, teller = post.database.pipeline_pool, post.teller()
    [due] = await rows.take(pool, {}, places=8, limit=10)
    await rows.send(due, teller.secrets, teller.settings, deliveries.sign_standard_webhook, 10)
    assert await rows.take(pool, {}, places=8, limit=10) == [], "nobody else has it as long as the lease runs"
    await post.let_leases_end()
    async with going(teller.send()):
        [row] = await settled(post, made, "delivered")
    assert [came.id for came in post.receiver.came] == [row["event_id"]] * 2
    await rows.note(pool, due, rows.Posted(500, "late news of the dead one"))
    [row] = await post.deliveries(made)
    assert row["status"] == "delivered", "who comes late changes nothing"


async def test_two_senders_at_once_send_everything_once(post: Post) -> None:
    made = await post.subscribe()
    await post.tell(*(post.completed(f"w{n}") for n in range(80)))
    async with going(post.teller().send(), post.teller().send()):
        await settled(post, made, "delivered", 80)
    assert len(post.receiver.came) == len({came.id for came in post.receiver.came}) == 80


async def test_an_answer_that_asks_for_time_gets_it(post: Post) -> None:
    assert rows.next_try(1, 600.0) == 600.0
    assert 5 <= (rows.next_try(1) or 0) <= 5.5
    assert rows.next_try(10) is None


async def test_old_deliveries_are_forgotten(post: Post) -> None:
    made = await post.subscribe()
    await post.tell(post.completed("old"), post.completed("new"))
    await post.api.execute(
        "UPDATE outgoing_deliveries SET created_at = now() - interval '31 days'"
        " WHERE body #>> '{data,external_id}' = 'old'"
    )
    await rows.forget(post.database.pipeline_pool)
    assert [each["body"]["data"]["external_id"] for each in await post.deliveries(made)] == ["new"]


# Jobs ----------------------------------------------------------------------------------------------------------------


async def add_job(post: Post, *calls: str, **columns: Any) -> UUID:
    """A job with calls in these states."""
    job_id = clock.new_id()
    row = {"job_id": job_id, "workspace_id": post.api.workspace_id, "job_type": "sync", "source_app": "zoom"} | columns
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await post.api.execute(f"INSERT INTO import_jobs ({', '.join(row)}) VALUES ({marks})", *row.values())
    for number, status in enumerate(calls):
        await post.api.execute(
            "INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, status, event_id)"
            " VALUES ($1, $2, 'zoom', $3, $4, $2)", post.api.workspace_id, job_id, str(number), status,
        )  # fmt: skip
    return job_id


async def test_the_end_of_a_job_is_told_once_as_the_api_shows_it(post: Post) -> None:
    made = await post.subscribe(events=["job.completed"])
    jobs = {
        await add_job(post, "imported", "skipped"): "completed",
        await add_job(post, "imported", "failed"): "partial",
        await add_job(post, "failed"): "failed",
        await add_job(post, "imported", "pending", cancelled_at=clock.now()): "cancelled",
        await add_job(post, "pending", phase="done", failed_at=clock.now()): "failed",
    }
    open_jobs = [
        await add_job(post, "imported", "pending"),
        await add_job(post, "imported", "waiting"),
        await add_job(post, "imported", open_ended=True, phase="pulling"),
    ]
    teller = post.teller()
    assert await teller.announce_once()
    assert not await teller.announce_once()
    told = {UUID(each["event_id"]): each["body"]["data"] for each in await post.deliveries(made)}
    assert {job: data["status"] for job, data in told.items()} == jobs
    for job, data in told.items():
        shown = await post.get(f"/api/imports/{job}")
        assert data == {name: shown[name] for name in data} | {"last_error": data["last_error"]}
        assert set(data) == set(shown) - {"errors"}
    await post.api.execute("UPDATE job_calls SET status = 'imported' WHERE job_id = $1", open_jobs[0])
    assert await teller.announce_once()
    assert len(await post.deliveries(made)) == len(jobs) + 1


async def test_of_jobs_from_before_nobody_is_told(post: Post) -> None:
    teller = post.teller()
    await add_job(post, "imported")
    assert await teller.announce_once(), "nobody was subscribed when it ended"
    made = await post.subscribe()
    long_ago = clock.now().replace(year=2020)
    await add_job(post, "imported", created_at=long_ago, announced_at=long_ago)
    assert not await teller.announce_once()
    assert await post.deliveries(made) == []


async def test_a_dry_run_is_not_told(post: Post) -> None:
    made = await post.subscribe()
    job = await add_job(post, job_type="replay", source_app="all")
    await post.api.execute(
        "INSERT INTO replays (replay_id, workspace_id, selection, dry_run) VALUES ($1, $2, '{}', true)",
        job, post.api.workspace_id,
    )  # fmt: skip
    assert await post.teller().announce_once()
    assert await post.deliveries(made) == []


# Slack ---------------------------------------------------------------------------------------------------------------


async def test_slack_gets_short_texts_and_its_address_stays_secret(post: Post) -> None:
    made = await post.subscribe("/services/T0/B0/s3cr3t", kind="slack")
    assert (made["secret"], made["url"], made["events"]) == (
        None,
        post.receiver.host,
        ["job.completed", "import.failed"],
    )
    await add_job(post, "imported", "imported", "skipped")
    teller = post.teller()
    await teller.announce_once()
    await post.tell(
        post.completed(), post.failed("a", message="<!channel> is odd in call 12345678."),
        post.failed("b", message="<!channel> is odd in call 87654321."), teller=teller,
    )  # fmt: skip
    async with going(teller.send()):
        rows_there = await settled(post, made, "delivered", 2)
    texts = sorted(came.json["text"] for came in post.receiver.came)
    assert texts[1] == "Sync from Zoom Meetings is done: 2 new, 1 already there."
    assert "&lt;!channel&gt; is odd" in texts[0], "and once for one cause"
    assert all("webhook-signature" not in came.headers for came in post.receiver.came)
    everything = [rows_there, await post.get("/api/webhook-subscriptions")]
    stored = await post.api.fetch("SELECT * FROM webhook_subscriptions")
    assert "s3cr3t" not in repr([everything, stored])
    refused = await post.api.client.post(
        "/api/webhook-subscriptions",
        json={"url": post.receiver.url(), "kind": "slack", "events": ["import.completed"]},
    )
    assert (refused.status_code, refused.json()["reason"]) == (422, "unknown_event")
