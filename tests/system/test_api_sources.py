"""Sources and imports through the API, with stand-ins for the vendors and real Kafka and PostgreSQL."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api import auth
from streams.io import clock
from tests.conftest import Broker, Database
from tests.fakes.vendors.core import Fault
from tests.system.sources_harness import Office, days_ago, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with stand-ins of three vendors."""
    async with open_office(tmp_path, broker, database, "fathom", "gong", "youtube") as running:
        yield running


async def test_every_platform_says_how_it_is_connected(office: Office) -> None:
    found = {each["platform"]: each for each in (await office.get("/api/platforms"))["items"]}
    assert len(found) >= 14
    fathom = found["fathom"]
    assert (fathom["status"], fathom["supports_historical_import"], fathom["supports_webhook"]) == ("beta", True, True)
    [key, oauth] = fathom["auths"]
    assert (key["kind"], key["available"], key["fields"][0]["name"]) == ("api_key", True, "api_key")
    assert oauth["redirect_url"] == "http://calls.test/api/oauth/fathom/callback"
    assert fathom["webhook"]["setup"]
    assert found["upload"]["auths"] == []
    kept = await office.api.fetch("SELECT source_app, cost_per_call_cents FROM platform_capabilities")
    assert {row["source_app"] for row in kept} == set(found)


async def test_an_account_is_checked_kept_sealed_and_synced_at_once(office: Office) -> None:
    office.seed("fathom", 4)
    made = await office.connect("fathom", account="sam@acme.example")
    assert (made["state"], made["account"], made["is_new"]) == ("active", "sam@acme.example", True)
    assert made["credential"]["kind"] == "api_key"
    assert "fake-fathom-key" not in str(made)
    sealed = await office.api.value("SELECT encrypted_credential FROM import_credentials")
    assert b"fake-fathom-key" not in sealed
    await office.drain()
    job = await office.get(f"/api/imports/{made['job_id']}")
    assert (job["job_type"], job["total_calls"], job["source_id"]) == ("sync", 4, made["id"])
    assert {event["source_id"] for event in await office.api.published()} == {made["id"]}
    [listed] = (await office.get("/api/sources"))["items"]
    assert listed["last_sync_at"]
    assert listed["running_job_id"] is None
    logged = await office.api.fetch("SELECT action FROM audit_log WHERE action LIKE 'source%'")
    assert [row["action"] for row in logged] == ["source.connected"]


async def test_the_same_account_again_is_the_same_source(office: Office) -> None:
    first = await office.connect("fathom", account="sam@acme.example")
    again = await office.connect("fathom", account="sam@acme.example")
    assert (again["id"], again["is_new"], again["job_id"]) == (first["id"], False, first["job_id"])


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({"platform": "fathom", "fields": {}}, "fields.api_key", "missing"),
        ({"platform": "fathom", "fields": {"api_key": "wrong"}}, "fields.api_key", "Fathom"),
        ({"platform": "fathom", "fields": {"api_key": "a b"}}, "fields.api_key", "Copy it again"),
        ({"platform": "fathom", "fields": {"api_key": "é"}}, "fields.api_key", "Copy it again"),
        ({"platform": "fathom", "fields": {"api_key": "x", "odd": "y"}}, "fields.odd", "no field"),
        ({"platform": "fathom", "kind": "basic", "fields": {}}, "kind", "api_key"),
        ({"platform": "fathom", "kind": "oauth", "fields": {}}, "kind", "/api/oauth/fathom/start"),
        ({"platform": "upload", "fields": {}}, "platform", "fathom"),
        ({"platform": "nowhere", "fields": {}}, "platform", "fathom"),
    ],
)
async def test_a_form_that_is_wrong_says_which_field(office: Office, body: Any, field: str, word: str) -> None:
    answer = await office.api.client.post("/api/sources", json=body)
    told = answer.json()
    assert (answer.status_code, told["field"]) == (422, field)
    assert word in told["detail"]
    assert await office.api.value("SELECT count(*) FROM import_sources") == 0


async def test_a_vendor_that_is_away_is_not_taken_for_a_wrong_key(office: Office) -> None:
    office.vendors.world.order("fathom", Fault("503", times=10))
    body = {"platform": "fathom", "fields": office.vendors.credential("fathom")}
    answer = await office.api.client.post("/api/sources", json=body)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_a_source_is_paused_resumed_changed_and_disconnected_while_its_calls_stay(office: Office) -> None:
    office.seed("fathom", 2)
    made = await office.connect("fathom")
    await office.drain()
    path, client = f"/api/sources/{made['id']}", office.api.client
    assert (await client.post(f"{path}/pause")).json()["state"] == "paused"
    assert (await client.post(f"{path}/sync")).json()["reason"] == "source_paused"
    assert (await client.post(f"{path}/resume")).json()["state"] == "active"
    changed = (await client.patch(path, json={"sync_frequency_minutes": 15, "keep_recordings": True})).json()
    assert (changed["sync_frequency_minutes"], changed["keep_recordings"]) == (15, True)
    assert (await client.patch(path, json={"sync_frequency_minutes": 1})).status_code == 422
    before = await office.api.value("SELECT count(*) FROM job_calls")
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert await office.api.value("SELECT count(*) FROM import_credentials") == 0
    assert await office.api.value("SELECT count(*) FROM job_calls") == before == 2


async def test_another_credential_must_be_the_same_accounts(office: Office) -> None:
    made = await office.connect("fathom", account="sam@acme.example")
    key = office.vendors.credential("fathom")["api_key"]
    path, client = f"/api/sources/{made['id']}", office.api.client
    await office.api.execute("UPDATE import_sources SET error_message = 'x', error_reason = 'y'")
    assert (await client.get(path)).json()["state"] == "error"
    other = {"fields": {"api_key": key, "account": "rosa@acme.example"}}
    assert (await client.patch(path, json=other)).json()["reason"] == "another_account"
    good = {"fields": {"api_key": key, "account": "sam@acme.example"}}
    assert (await client.patch(path, json=good)).json()["state"] == "active"


async def test_sync_now_twice_is_one_sync_and_a_source_in_error_is_tried_again(office: Office) -> None:
    made = await office.connect("fathom")
    await office.drain()
    await office.api.execute("UPDATE import_sources SET error_reason = 'refused', error_message = 'Connect it again.'")
    path, client = f"/api/sources/{made['id']}/sync", office.api.client
    first, second = (await client.post(path)).json(), (await client.post(path)).json()
    assert first == second
    assert (await office.get(f"/api/sources/{made['id']}"))["state"] == "active"


async def test_a_revoked_key_turns_the_source_to_error_with_a_sentence(office: Office) -> None:
    made = await office.connect("fathom")
    office.vendors.world.credentials["fathom"] = [{"api_key": "another"}]
    await office.drain()
    found = await office.get(f"/api/sources/{made['id']}")
    assert found["state"] == "error"
    assert found["error_message"].endswith(".")
    job = await office.get(f"/api/imports/{made['job_id']}")
    assert (job["status"], job["last_error"]) == ("failed", found["error_message"])
    answer = await office.api.client.post(
        "/api/imports",
        json={"source_id": made["id"], "date_range": {"from": days_ago(3), "to": days_ago(1)}},
    )
    assert (answer.status_code, answer.json()["detail"]) == (409, found["error_message"])


async def test_nobody_sees_or_changes_the_sources_of_another_workspace(office: Office) -> None:
    made = await office.connect("fathom")
    workspace_id = clock.new_id()
    pool = office.database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'O')", workspace_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", workspace_id, office.api.user_id)
    key = await auth.create_api_key(office.api.ports.pool, workspace_id, office.api.user_id, "other")
    headers, client = {"Authorization": f"Bearer {key}"}, office.api.anonymous
    assert (await client.get("/api/sources", headers=headers)).json()["items"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/sync"), ("POST", "/pause"), ("GET", "/coverage")):
        answer = await client.request(method, f"/api/sources/{made['id']}{path}", headers=headers)
        assert answer.status_code == 404, path
    assert (await client.get("/api/sources")).status_code == 401


async def test_a_member_does_not_change_a_colleagues_source(office: Office) -> None:
    made = await office.connect("fathom")
    headers = {"Authorization": f"Bearer {await _member(office, 'member')}"}
    client = office.api.anonymous
    assert (await client.get(f"/api/sources/{made['id']}", headers=headers)).status_code == 200
    assert (await client.delete(f"/api/sources/{made['id']}", headers=headers)).status_code == 403
    assert (await client.post("/admin/imports", headers=headers, json={})).status_code == 403


async def _member(office: Office, role: str) -> str:
    user_id, pool = clock.new_id(), office.database.pipeline_pool
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'N')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, $3)", office.api.workspace_id, user_id, role)
    return await auth.create_api_key(office.api.ports.pool, office.api.workspace_id, user_id, role)


# Imports -------------------------------------------------------------------------------------------------------------


async def test_an_import_is_counted_estimated_started_once_and_brings_its_calls(office: Office) -> None:
    office.seed("gong", 7)
    made = await office.connect("gong")
    await office.drain()
    body = {"source_id": made["id"], "job_type": "historical", "date_range": {"from": days_ago(20), "to": days_ago(0)}}
    preview = (await office.api.client.post("/api/imports/preview", json=_of(body))).json()
    assert (preview["call_count"], preview["at_least"]) == (7, False)
    assert preview["estimated_duration_seconds"] > 0
    assert preview["pricing"]["billable_calls"] == 7
    headers = {"Idempotency-Key": "one"}
    first = await office.api.client.post("/api/imports", json=body, headers=headers)
    assert first.status_code == 202, first.text
    assert first.json()["estimated_calls"] == 7
    assert first.json()["estimated_duration_seconds"] > 0
    again = await office.api.client.post("/api/imports", json=body, headers=headers)
    assert again.json() == first.json()
    other = await office.api.client.post("/api/imports", json=body | {"job_type": "backfill"}, headers=headers)
    assert other.status_code == 409
    job = await office.get(f"/api/imports/{first.json()['job_id']}")
    assert (job["status"], job["total_calls"], job["processed_calls"]) == ("pending", 7, 0)
    assert job["estimated_completion_at"]
    await office.drain()
    job = await office.get(f"/api/imports/{first.json()['job_id']}")
    assert job["total_calls"] == 7


def _of(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("source_id", "date_range")}


async def test_a_source_that_does_not_count_is_counted_by_its_first_pages(office: Office) -> None:
    office.seed("fathom", 13)
    made = await office.connect("fathom")
    body = {"source_id": made["id"], "date_range": {"from": days_ago(20), "to": days_ago(0)}}
    preview = (await office.api.client.post("/api/imports/preview", json=body)).json()
    assert (preview["call_count"], preview["at_least"]) == (13, False)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"date_range": None}, "date_range"),
        ({"date_range": {"from": "2026-01-02", "to": "2026-01-01"}}, "date_range.from"),
        ({"date_range": {"from": "2999-01-01", "to": "2999-01-02"}}, "date_range.from"),
        ({"filters": {"nonsense": "x"}}, "filters"),
        ({"job_type": "sync"}, "date_range"),
        ({"job_type": "upload"}, "job_type"),
        ({"odd": 1}, "odd"),
    ],
)
async def test_an_import_that_makes_no_sense_is_refused(office: Office, changed: Any, field: str) -> None:
    made = await office.connect("fathom")
    body = {"source_id": made["id"], "date_range": {"from": "2026-01-01", "to": "2026-01-02"}} | changed
    answer = await office.api.client.post("/api/imports", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_coverage_shows_the_gap_and_a_backfill_closes_it(office: Office) -> None:
    office.seed("fathom", 3)
    made = await office.connect("fathom")
    await office.drain()
    query = f"from={days_ago(60)}&to={days_ago(0.1)}".replace("+", "%2B")
    path = f"/api/sources/{made['id']}/coverage"
    before = await office.get(f"{path}?{query}")
    assert len(before["covered"]) == 1
    [gap] = before["gaps"]
    assert gap["from"] == before["from"]
    answer = await office.api.client.post(f"/api/sources/{made['id']}/backfill", json=gap)
    assert answer.status_code == 202
    await office.drain()
    assert (await office.get(f"{path}?{query}"))["gaps"] == []
    assert (await office.get(path))["gaps"] == []


async def test_a_job_that_rests_says_until_when_and_is_cancelled_within_a_page(office: Office) -> None:
    office.seed("fathom", 25)
    made = await office.connect("fathom")
    resume_at = clock.now().replace(year=clock.now().year + 1)
    await office.api.execute(
        "UPDATE import_jobs SET resume_at = $1, last_error = 'Fathom allows no more requests.'", resume_at
    )
    job = await office.get(f"/api/imports/{made['job_id']}")
    assert (job["status"], job["last_error"]) == ("waiting", "Fathom allows no more requests.")
    assert job["estimated_completion_at"] is None or job["estimated_completion_at"] >= job["resume_at"]
    await office.api.execute("UPDATE import_jobs SET estimated_calls = 25")
    job = await office.get(f"/api/imports/{made['job_id']}")
    assert job["estimated_completion_at"] >= job["resume_at"]
    assert (await office.api.client.delete(f"/api/imports/{made['job_id']}")).json()["status"] == "cancelled"
    await office.books()
    await office.drain()
    assert await office.api.published() == []


async def test_a_call_that_is_not_ready_says_what_it_waits_for_and_when_it_is_tried(office: Office) -> None:
    office.seed("fathom", 1)
    call = office.vendors.world.calls["fathom"][0]
    call.started_at, call.transcript_at = office.vendors.world.now(), clock.now().replace(year=2999)
    made = await office.connect("fathom")
    await office.api.execute("UPDATE import_jobs SET date_to = now() + interval '1 hour'")
    await office.drain()
    job = await office.get(f"/api/imports/{made['job_id']}")
    assert (job["status"], job["waiting_calls"]) == ("waiting", 1)
    assert job["estimated_completion_at"]
    [shown] = (await office.get(f"/api/imports/{made['job_id']}/calls"))["items"]
    assert shown["status"] == "waiting"
    assert shown["detail"].startswith("Fathom is still writing the transcript. Next try ")
    assert shown["next_retry_at"]
    assert (await office.api.client.delete(f"/api/imports/{made['job_id']}")).json()["status"] == "cancelled"
    assert await office.api.value("SELECT count(*) FROM waiting_calls") == 0


# One call ------------------------------------------------------------------------------------------------------------


async def test_one_call_is_read_by_its_id(office: Office) -> None:
    office.seed("fathom", 3, days=60)
    made = await office.connect("fathom")
    await office.drain()
    before = Counter(event["external_id"] for event in await office.api.published())
    wanted = office.vendors.external_id("fathom", office.vendors.world.calls["fathom"][0])
    answer = await office.api.client.post(f"/api/sources/{made['id']}/calls", json={"external_id": wanted})
    assert (answer.status_code, answer.json()["external_id"]) == (202, wanted)
    await office.look_at_waiting(made)
    after = Counter(event["external_id"] for event in await office.api.published())
    assert list((after - before).elements()) == [wanted]
    for body in ({}, {"external_id": " "}, {"external_id": "a", "url": "b"}):
        assert (await office.api.client.post(f"/api/sources/{made['id']}/calls", json=body)).status_code == 422
    answer = await office.api.client.post(f"/api/sources/{made['id']}/calls", json={"external_id": "1"})
    assert answer.status_code == 404


# On behalf of a customer ---------------------------------------------------------------------------------------------


def _admin(office: Office, **changed: Any) -> dict[str, Any]:
    body = {
        "customer_id": str(office.api.user_id), "platform": "fathom", "fields": office.vendors.credential("fathom"),
        "date_range": {"from": days_ago(20), "to": days_ago(0)},
    }  # fmt: skip
    return body | changed


async def test_the_credential_of_an_admin_import_is_gone_when_it_is_over(office: Office) -> None:
    office.seed("fathom", 3)
    headers = {"Authorization": f"Bearer {await _member(office, 'support')}"}
    answer = await office.api.anonymous.post("/admin/imports", json=_admin(office), headers=headers)
    assert answer.status_code == 202, answer.text
    path = f"/admin/imports/{answer.json()['job_id']}"
    assert (await office.get("/api/sources"))["items"] == []
    await office.books()
    assert (await office.get(path))["credential_kept"] is True
    await office.drain()
    await office.books()
    found = await office.get(path)
    assert (found["credential_kept"], found["customer_id"]) == (False, str(office.api.user_id))
    assert await office.api.value("SELECT count(*) FROM import_credentials") == 0
    assert found["job"]["total_calls"] == 3


async def test_the_credential_of_a_cancelled_admin_import_is_gone_too(office: Office) -> None:
    started = (await office.api.client.post("/admin/imports", json=_admin(office))).json()
    path = f"/admin/imports/{started['job_id']}"
    assert (await office.api.client.delete(path)).json()["job"]["status"] == "cancelled"
    await office.books()
    assert (await office.get(path))["credential_kept"] is False
    assert await office.api.value("SELECT count(*) FROM import_credentials") == 0


async def test_an_admin_import_of_a_stranger_or_with_a_wrong_key_keeps_nothing(office: Office) -> None:
    for changed in ({"customer_id": str(uuid4())}, {"fields": {"api_key": "wrong"}}):
        answer = await office.api.client.post("/admin/imports", json=_admin(office, **changed))
        assert answer.status_code == 422, answer.text
    assert await office.api.value("SELECT count(*) FROM import_credentials") == 0
    assert (await office.api.client.get(f"/admin/imports/{uuid4()}")).status_code == 404
