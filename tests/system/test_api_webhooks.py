"""The webhook door, on real Kafka and PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from api import endpoints, webhooks
from api.webhooks import Door
from schemas.faults import OutageFault
from streams.io import clock
from tests.conftest import Broker, Database
from tests.stack import until
from tests.system.api_harness import GENERIC, Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]
BODY = json.dumps(GENERIC).encode()


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def test_a_signed_delivery_is_published_word_for_word(api: Api) -> None:
    endpoint = await api.endpoint()
    answer = await api.deliver(endpoint, BODY)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "calls": 1})
    [event] = await api.published()
    assert event["payload"] == BODY.decode()
    assert (event["source_app"], event["external_id"]) == ("generic", "call-1")
    assert event["received_via"] == "webhook"
    assert event["placement"]["owner_user_id"] == str(api.user_id)


async def test_what_the_official_library_signs_is_accepted(api: Api) -> None:
    endpoint = await api.endpoint()
    now = clock.now()
    signature = Webhook(endpoint["secret"]).sign("msg_1", now, BODY.decode())
    headers = {
        "webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature,
    }  # fmt: skip
    path = endpoint["url"].removeprefix("http://calls.test")
    assert (await api.anonymous.post(path, content=BODY, headers=headers)).status_code == 202


async def test_the_same_delivery_again_is_a_no_op_and_another_one_is_not(api: Api) -> None:
    endpoint = await api.endpoint()
    await api.deliver(endpoint, BODY, delivery="d-1")
    again = await api.deliver(endpoint, BODY, delivery="d-1", age=5)
    assert (again.status_code, again.json()["status"]) == (202, "repeated")
    assert (await api.deliver(endpoint, BODY, delivery="d-2")).json()["status"] == "accepted"
    assert len(await api.published()) == 2


async def test_a_delivery_is_only_remembered_after_the_broker_has_it(api: Api) -> None:
    endpoint = await api.endpoint()

    async def away(*_: Any, **__: Any) -> None:
        raise OutageFault("broker_away", "Kafka cannot be reached.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.ports.bus, "publish", away)
        answer = await api.deliver(endpoint, BODY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert (await api.deliver(endpoint, BODY)).json()["status"] == "accepted"


async def test_a_broker_that_hangs_is_said_within_the_limit(api: Api) -> None:
    endpoint = await api.endpoint()

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.ports.bus, "publish", hang)
        patch.setattr(webhooks, "BROKER_SECONDS", 0.2)
        assert (await api.deliver(endpoint, BODY)).status_code == 503
    assert await api.value("SELECT count(*) FROM webhook_deliveries") == 0


async def test_trouble_with_the_note_after_the_ack_does_not_make_the_vendor_send_again(api: Api) -> None:
    endpoint = await api.endpoint()
    real = webhooks.in_workspace
    calls = 0

    def once_well(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OutageFault("database_away", "PostgreSQL cannot be reached.")
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks, "in_workspace", once_well)
        assert (await api.deliver(endpoint, BODY)).status_code == 202
    assert len(await api.published()) == 1


async def test_many_calls_in_one_delivery_are_all_published(api: Api) -> None:
    endpoint = await api.endpoint()
    body = json.dumps([{**GENERIC, "external_id": f"call-{number}"} for number in range(300)]).encode()
    assert (await api.deliver(endpoint, body)).json() == {"status": "accepted", "calls": 300}
    assert len({event["external_id"] for event in await api.published()}) == 300


async def test_deliveries_at_the_same_time_share_their_round_trips(api: Api) -> None:
    endpoint = await api.endpoint()
    answers = await asyncio.gather(*(api.deliver(endpoint, BODY, delivery=f"d-{n % 25}") for n in range(50)))
    assert {answer.status_code for answer in answers} == {202}

    async def written_down() -> bool:
        return bool(await api.value("SELECT count(*) FROM webhook_deliveries") == 25)

    assert await until(written_down, 30, "25 deliveries, each written down once behind the answers")


async def test_the_secret_is_shown_once_and_kept_sealed(api: Api) -> None:
    made = await api.endpoint()
    assert made["url"] == f"http://calls.test/webhooks/generic/{made['id']}"
    assert made["secret"].startswith("whsec_")
    [listed] = (await api.client.get("/api/webhook-endpoints")).json()["items"]
    assert "secret" not in listed
    sealed = await api.value("SELECT encrypted_secret FROM webhook_endpoints")
    assert made["secret"].encode() not in sealed
    assert made["secret"].removeprefix("whsec_").encode() not in sealed
    logged = await api.fetch("SELECT action, actor FROM audit_log WHERE action LIKE 'webhook%'")
    assert [tuple(row) for row in logged] == [("webhook_endpoint.created", "key:tests")]


async def test_a_closed_endpoint_is_404_at_once_here_and_soon_elsewhere(api: Api) -> None:
    endpoint = await api.endpoint()
    assert (await api.deliver(endpoint, BODY)).status_code == 202
    elsewhere = Door(api.ports)
    assert await elsewhere.endpoint("generic", endpoint["id"])
    assert (await api.client.delete(f"/api/webhook-endpoints/{endpoint['id']}")).status_code == 204
    assert (await api.deliver(endpoint, BODY, delivery="d-2")).status_code == 404
    assert (await api.client.delete(f"/api/webhook-endpoints/{endpoint['id']}")).status_code == 404
    assert webhooks.CACHE_SECONDS < 5


async def test_fathom_is_closed_until_its_secret_is_set(api: Api) -> None:
    endpoint = await api.endpoint("fathom")
    assert endpoint["secret"] is None
    secret = endpoints.new_secret()
    body = json.dumps({"recording_id": 7, "title": "Demo"}).encode()
    assert (await api.deliver({**endpoint, "secret": secret}, body)).status_code == 401
    changed = await api.client.patch(f"/api/webhook-endpoints/{endpoint['id']}", json={"secret": secret})
    assert changed.status_code == 200
    assert "secret" not in changed.json()
    assert (await api.deliver({**endpoint, "secret": secret}, body)).status_code == 202
    [event] = await api.published()
    assert (event["source_app"], event["external_id"]) == ("fathom", "7")


async def test_odd_secrets_and_platforms_are_refused(api: Api) -> None:
    for body in ({"platform": "five9"}, {"platform": "upload"}, {"platform": "fathom", "secret": "whsec_!!"}):
        answer = await api.client.post("/api/webhook-endpoints", json=body)
        assert answer.status_code == 422, body
        assert "whsec_!!" not in answer.text


async def test_another_workspace_cannot_close_or_change_it(api: Api, database: Database) -> None:
    from api import auth

    endpoint = await api.endpoint()
    workspace_id = clock.new_id()
    await database.pipeline_pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'O')", workspace_id)
    await database.pipeline_pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", workspace_id, api.user_id)
    key = await auth.create_api_key(api.ports.pool, workspace_id, api.user_id, "other")
    headers = {"Authorization": f"Bearer {key}"}
    path = f"/api/webhook-endpoints/{endpoint['id']}"
    assert (await api.anonymous.delete(path, headers=headers)).status_code == 404
    answer = await api.anonymous.patch(path, headers=headers, json={"secret": endpoints.new_secret()})
    assert answer.status_code == 404
    assert (await api.deliver(endpoint, BODY)).status_code == 202
