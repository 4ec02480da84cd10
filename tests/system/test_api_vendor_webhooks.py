"""Webhooks of every vendor through the real door: signed by the stand-ins, read, noted or published."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.registry import CONNECTORS
from schemas.faults import OutageFault
from tests.conftest import Broker, Database
from tests.contract.vendors import a_call
from tests.fakes.vendors.core import Posting, modules
from tests.system.api_harness import Api
from tests.system.sources_harness import Office, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database]
HOOKED = tuple(
    name for name, connector in CONNECTORS.items()
    if connector.webhook and connector.pull and hasattr(modules().get(name), "webhook")
)  # fmt: skip


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with all stand-ins."""
    async with open_office(tmp_path, broker, database) as running:
        yield running


async def post(api: Api, posting: Posting) -> Any:
    """Send a posting as the vendor would."""
    parts = urlsplit(posting.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {name: value for name, value in posting.headers.items() if name.lower() != "host"}
    return await api.anonymous.request(posting.method, path, content=posting.body, headers=headers)


async def source_of(office: Office, platform: str) -> Any:
    """A connected account, as a row: how it was connected is no matter here."""
    from streams.io import sources
    from streams.io.store import in_workspace

    kind = modules()[platform].KIND
    async with in_workspace(office.api.ports.pool, office.api.workspace_id) as connection:
        source, _ = await sources.create_or_reconnect(
            connection, office.api.ports.secrets, workspace_id=office.api.workspace_id, user_id=office.api.user_id,
            source_app=platform, account_email="a", kind=kind, credential=office.vendors.credential(platform),
        )  # fmt: skip
    return source


async def endpoint_of(office: Office, platform: str) -> tuple[dict[str, Any], str]:
    """An endpoint of the platform that is set up, and its secret."""
    made = await office.api.endpoint(platform)
    secret = made["secret"]
    if secret is None:
        secret = getattr(modules()[platform], "WEBHOOK_SECRET", "whsec_Y29udHJhY3Qtc3VpdGUtc2VjcmV0LWtleQ==")
        answer = await office.api.client.patch(f"/api/webhook-endpoints/{made['id']}", json={"secret": secret})
        assert answer.status_code == 200, answer.text
    return made, secret


@pytest.mark.parametrize("platform", HOOKED)
async def test_what_a_vendor_signs_reaches_the_call_it_is_about(office: Office, platform: str) -> None:
    source = await source_of(office, platform)
    made, secret = await endpoint_of(office, platform)
    assert made["source_id"] == str(source.source_id)
    assert made["setup"]
    world = office.vendors.world
    call = world.add(platform, a_call(7, world.now() - timedelta(minutes=30)))
    postings = office.vendors.webhook(platform, call, secret, made["url"])
    assert postings
    for posting in postings:
        answer = await post(office.api, posting)
        assert answer.status_code in (200, 202), answer.text
        if answer.status_code == 202:
            assert (await post(office.api, posting)).json()["status"] == "repeated"
    wanted = office.vendors.external_id(platform, call)
    noted = await office.api.fetch("SELECT external_id, from_webhook, source_id FROM waiting_calls")
    published = [event for event in await office.api.published() if event["external_id"] == wanted]
    if published:
        assert {event["source_id"] for event in published} == {str(source.source_id)}
    else:
        assert [tuple(row) for row in noted] == [(wanted, True, source.source_id)]


@pytest.mark.parametrize("platform", HOOKED)
async def test_another_endpoints_secret_opens_nothing(office: Office, platform: str) -> None:
    await source_of(office, platform)
    made, _ = await endpoint_of(office, platform)
    other, secret = await endpoint_of(office, platform)
    world = office.vendors.world
    call = world.add(platform, a_call(8, world.now() - timedelta(minutes=30)))
    for posting in office.vendors.webhook(platform, call, secret, other["url"]):
        moved = Posting(posting.method, posting.url.replace(other["id"], made["id"]), posting.headers, posting.body)
        if made["secret"] is not None or platform in ("gong", "google_meet", "hubspot"):
            assert (await post(office.api, moved)).status_code in (401, 405), posting
        broken = Posting(posting.method, posting.url.split("?")[0], {}, b"{}")
        assert (await post(office.api, broken)).status_code in (401, 404, 405), posting
    assert await office.api.value("SELECT count(*) FROM waiting_calls") == 0


async def test_a_notice_is_committed_before_the_answer_and_nothing_is_said_when_the_broker_is_away(
    office: Office,
) -> None:
    await source_of(office, "fireflies")
    made, secret = await endpoint_of(office, "fireflies")
    world = office.vendors.world
    call = world.add("fireflies", a_call(9, world.now() - timedelta(minutes=30)))
    posting, *_ = office.vendors.webhook("fireflies", call, secret, made["url"])

    async def away(*_: Any, **__: Any) -> None:
        raise OutageFault("broker_away", "Kafka cannot be reached.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.api.ports.bus, "publish", away)
        assert (await post(office.api, posting)).status_code == 503
    answers = await asyncio.gather(*(post(office.api, posting) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert await office.api.value("SELECT count(*) FROM waiting_calls") == 1


async def test_a_notice_without_an_account_says_what_to_do(office: Office) -> None:
    made, secret = await endpoint_of(office, "fireflies")
    assert made["source_id"] is None
    world = office.vendors.world
    call = world.add("fireflies", a_call(10, world.now() - timedelta(minutes=30)))
    posting, *_ = office.vendors.webhook("fireflies", call, secret, made["url"])
    answer = await post(office.api, posting)
    assert (answer.status_code, answer.json()["reason"]) == (409, "source_missing")


async def test_an_endpoint_goes_with_its_account(office: Office) -> None:
    source = await source_of(office, "fireflies")
    made, secret = await endpoint_of(office, "fireflies")
    assert (await office.api.client.delete(f"/api/sources/{source.source_id}")).status_code == 204
    office.api.app.state.door.forget(source.source_id)
    assert (await office.get("/api/webhook-endpoints"))["items"] == []
    answer = await office.api.client.post(
        "/api/webhook-endpoints", json={"platform": "fireflies", "source_id": str(source.source_id)}
    )
    assert (answer.status_code, answer.json()["field"], bool(made), bool(secret)) == (422, "source_id", True, True)


async def test_only_a_question_is_answered_to_a_get(office: Office) -> None:
    made, _ = await endpoint_of(office, "youtube")
    path = urlsplit(made["url"]).path
    asked = {"hub.mode": "subscribe", "hub.challenge": "abc", "hub.topic": "t", "hub.lease_seconds": "432000"}
    answer = await office.api.anonymous.get(path, params=asked)
    assert (answer.status_code, answer.text) == (200, "abc")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    generic = await office.api.endpoint()
    answer = await office.api.anonymous.get(urlsplit(generic["url"]).path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_zooms_challenge_is_answered_with_the_endpoints_own_secret(office: Office) -> None:
    await source_of(office, "zoom")
    made, _ = await endpoint_of(office, "zoom")
    body = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    answer = await office.api.anonymous.post(urlsplit(made["url"]).path, json=body)
    assert (answer.status_code, answer.json()["plainToken"]) == (200, "qgg8vlvZRS6UYooatFL8Aw")
    assert len(answer.json()["encryptedToken"]) == 64


async def test_the_address_of_a_vendor_that_signs_nothing_holds_the_secret_once(office: Office) -> None:
    made, secret = await endpoint_of(office, "grain")
    assert made["url"].endswith(f"?token={secret}")
    [listed] = (await office.get("/api/webhook-endpoints"))["items"]
    assert secret not in str(listed)


async def test_one_video_is_brought_in_by_its_address(office: Office) -> None:
    source = await source_of(office, "youtube")
    world = office.vendors.world
    call = world.add("youtube", a_call(11, world.now() - timedelta(days=2)))
    wanted = office.vendors.external_id("youtube", call)
    path, url = f"/api/sources/{source.source_id}/calls", f"https://www.youtube.com/watch?v={wanted}&t=10s"
    answer = await office.api.client.post(path, json={"url": url})
    assert (answer.status_code, answer.json()) == (202, {"external_id": wanted, "status": "accepted"}), answer.text
    assert [row["external_id"] for row in await office.api.fetch("SELECT external_id FROM waiting_calls")] == [wanted]
    missing = await office.api.client.post(path, json={"url": "https://youtu.be/AAAAAAAAAAA"})
    assert missing.status_code == 404
