"""Outgoing webhooks as owners manage them: what is refused, what is shown once, what a test and a resend say."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from ops.migrate import rotate_secrets
from schemas.settings import Settings
from streams.io.deliveries import bound_to
from streams.io.secrets import generate_key, open_secrets
from tests.conftest import Broker, Database
from tests.system.deliveries_harness import Post, open_post

pytestmark = [pytest.mark.broker, pytest.mark.database]
PATH = "/api/webhook-subscriptions"


@pytest.fixture
async def post(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Post]:
    """An application and a receiver."""
    async with open_post(tmp_path, broker, database) as opened:
        yield opened


async def test_the_secret_is_shown_once_and_kept_sealed(post: Post) -> None:
    made = await post.subscribe("/a?b=c", description=" Our CRM ", events=["import.failed", "import.completed"])
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["import.completed", "import.failed"]
    assert (made["url"], made["description"], made["kind"]) == (post.receiver.url("/a?b=c"), "Our CRM", "standard")
    assert (made["active"], made["paused_reason"], made["delivered_24h"], made["last_delivery_at"]) == (
        True,
        None,
        0,
        None,
    )
    shown = await post.get(f"{PATH}/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await post.get(PATH))["items"] == [shown]
    everything = await post.api.fetch("SELECT * FROM webhook_subscriptions")
    everything += await post.api.fetch("SELECT * FROM audit_log")
    assert made["secret"] not in repr(everything)
    assert made["secret"][6:] not in repr(everything)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x", "https://127.0.0.1/x", "https://10.0.0.1/", "https://user:pw@example.com/", "nonsense",
        "https://localhost/",
    ],
)  # fmt: skip
async def test_an_address_that_nothing_may_be_sent_to_is_refused(post: Post, url: str) -> None:
    answer = await post.api.client.post(PATH, json={"url": url})
    assert (answer.status_code, answer.json()["reason"], answer.json()["field"]) == (422, "webhook_url_refused", "url")
    made = await post.subscribe()
    answer = await post.api.client.patch(f"{PATH}/{made['id']}", json={"url": url})
    assert answer.status_code == 422


async def test_what_is_changed_holds_and_what_is_left_out_stays(post: Post) -> None:
    made = await post.subscribe()
    path = f"{PATH}/{made['id']}"
    changed = (await post.api.client.patch(path, json={"events": ["job.completed"], "active": False})).json()
    assert (changed["events"], changed["active"], changed["url"]) == (["job.completed"], False, made["url"])
    assert changed["updated_at"] > made["updated_at"]
    changed = (await post.api.client.patch(path, json={"url": post.receiver.url("/new"), "active": True})).json()
    assert (changed["url"], changed["events"], changed["active"]) == (
        post.receiver.url("/new"),
        ["job.completed"],
        True,
    )
    assert (await post.api.client.patch(path, json={"events": []})).status_code == 422
    assert (await post.api.client.delete(path)).status_code == 204
    assert (await post.api.client.get(path)).status_code == 404


async def test_a_test_is_sent_at_once_and_says_what_came_of_it(post: Post) -> None:
    made = await post.subscribe()
    answer = await post.api.client.post(f"{PATH}/{made['id']}/test")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["event_type"], told["status"], told["attempts"], told["last_status_code"]) == (
        "test",
        "delivered",
        1,
        200,
    )
    [came] = post.receiver.came
    assert Webhook(made["secret"]).verify(came.body, dict(came.headers)) == told["body"]
    post.receiver.answers["/"] = 500
    told = (await post.api.client.post(f"{PATH}/{made['id']}/test")).json()
    assert (told["status"], told["last_error"]) == ("failed", "127.0.0.1 answered 500.")
    again = await post.api.client.post(f"{PATH}/{made['id']}/deliveries/{told['id']}/resend")
    assert again.json()["reason"] == "is_a_test"
    assert await post.api.value("SELECT failing_since FROM webhook_subscriptions") is None, "a test proves nothing bad"


async def test_a_new_secret_signs_from_then_on(post: Post) -> None:
    made = await post.subscribe()
    secret = (await post.api.client.post(f"{PATH}/{made['id']}/secret")).json()["secret"]
    assert secret != made["secret"]
    await post.api.client.post(f"{PATH}/{made['id']}/test")
    Webhook(secret).verify(post.receiver.came[0].body, dict(post.receiver.came[0].headers))
    slack = await post.subscribe("/slack", kind="slack")
    assert (await post.api.client.post(f"{PATH}/{slack['id']}/secret")).json()["reason"] == "nothing_signed"


async def test_deliveries_are_paged_and_found_by_status(post: Post) -> None:
    made = await post.subscribe()
    await post.tell(*(post.completed(f"p{n}") for n in range(5)))
    path = f"{PATH}/{made['id']}/deliveries"
    first = await post.get(f"{path}?limit=3")
    rest = await post.get(f"{path}?limit=3&cursor={first['next_cursor']}")
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [3, 2, None]
    assert len({each["id"] for each in first["items"] + rest["items"]}) == 5
    assert (await post.get(f"{path}?status=delivered"))["items"] == []
    assert len((await post.get(f"{path}?status=pending"))["items"]) == 5
    assert (await post.api.client.get(f"{path}?status=odd")).status_code == 422


async def test_there_is_a_most_and_strangers_find_nothing(post: Post) -> None:
    made = [await post.subscribe() for _ in range(20)]
    answer = await post.api.client.post(PATH, json={"url": post.receiver.url()})
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_many_subscriptions")
    nobody = uuid4()
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/secret"), ("GET", "/deliveries"),
        ("POST", f"/deliveries/{nobody}/resend"),
    ):  # fmt: skip
        answer = await post.api.client.request(method, f"{PATH}/{nobody}{path}", json={} if method == "PATCH" else None)
        assert answer.status_code == 404, (method, path)
    assert (await post.api.client.post(f"{PATH}/{made[0]['id']}/deliveries/{nobody}/resend")).status_code == 404
    await post.api.execute("UPDATE memberships SET role = 'member'")
    assert (await post.api.client.get(PATH)).status_code == 403
    assert (await post.api.client.post(PATH, json={"url": post.receiver.url()})).status_code == 403


async def test_its_secrets_are_encrypted_again_under_the_newest_key(post: Post, database: Database) -> None:
    made = await post.subscribe()
    slack = await post.subscribe("/s3cr3t", kind="slack")
    old = post.api.settings.secret_keys
    assert old is not None
    settings = Settings(_env_file=None, secret_keys=f"{generate_key()},{old.get_secret_value()}")
    assert rotate_secrets(database.app_url, open_secrets(settings)) == 2
    newest = Settings(_env_file=None, secret_keys=str(settings.secret_keys.get_secret_value()).partition(",")[0])  # type: ignore[union-attr]
    rows = await post.api.fetch("SELECT * FROM webhook_subscriptions ORDER BY created_at")
    keys = open_secrets(newest)
    for row, field, value in (
        (rows[0], "encrypted_secret", made["secret"]), (rows[1], "url_secret", post.receiver.url("/s3cr3t")),
    ):  # fmt: skip
        bound = bound_to(post.api.workspace_id, row["subscription_id"], field)
        assert keys.open(bytes(row[field]), **bound) == value
    assert slack["url"] == post.receiver.host
