"""What creates happens once a key; and what support sees and does for a customer. With stand-ins for the vendors."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Broker, Database
from tests.system.sources_harness import Office, days_ago, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database]
KEY = {"Idempotency-Key": "only-once"}
SPAN = {"from": days_ago(20), "to": days_ago(0)}


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with a stand-in of one vendor."""
    async with open_office(tmp_path, broker, database, "fathom") as running:
        yield running


def account(office: Office) -> dict[str, Any]:
    """An account to connect."""
    return {"platform": "fathom", "fields": office.vendors.credential("fathom")}


def customer(office: Office) -> dict[str, Any]:
    """An import for a customer."""
    return {**account(office), "customer_id": str(office.api.user_id), "date_range": SPAN}


async def test_what_creates_happens_once_a_key(office: Office) -> None:
    office.seed("fathom", 2)
    source = await office.connect("fathom")
    for path, body, other in (
        (f"/api/sources/{source['id']}/backfill", SPAN, {**SPAN, "from": days_ago(10)}),
        ("/admin/imports", customer(office), {**customer(office), "keep_recordings": True}),
    ):
        first = await office.api.client.post(path, json=body, headers=KEY)
        assert first.status_code == 202, first.text
        again = await office.api.client.post(path, json=body, headers=KEY)
        assert (again.status_code, again.json()) == (202, first.json())
        reused = await office.api.client.post(path, json=other, headers=KEY)
        assert (reused.status_code, reused.json()["reason"]) == (409, "idempotency_key_reused")
        await office.api.execute("DELETE FROM idempotency_keys")
    assert await office.api.value("SELECT count(*) FROM import_jobs") == 3


async def test_an_account_is_connected_once_a_key(office: Office) -> None:
    answers = await asyncio.gather(
        *(office.api.client.post("/api/sources", json=account(office), headers=KEY) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await office.api.client.post("/api/sources", json=account(office), headers=KEY)
    assert (again.status_code, again.json()["is_new"]) == (201, True), "the first answer, word for word"
    assert await office.api.value("SELECT count(*) FROM audit_log WHERE action = 'source.connected'") == 1
    other = {**account(office), "fields": {"api_key": "another"}}
    assert (await office.api.client.post("/api/sources", json=other, headers=KEY)).status_code == 409
    kept = await office.api.value("SELECT request_hash || coalesce(response::text, '') FROM idempotency_keys")
    assert "fake-fathom-key" not in kept
    bad = {**account(office), "fields": {"api_key": "wrong"}}
    refused = {"Idempotency-Key": "refused-first"}
    assert (await office.api.client.post("/api/sources", json=bad, headers=refused)).status_code == 422
    assert (await office.api.client.post("/api/sources", json=account(office), headers=refused)).status_code == 201


async def test_support_sees_for_whom_an_import_is_and_how_far(office: Office) -> None:
    office.seed("fathom", 3)
    person = (await office.api.client.post("/api/members", json={"name": "Cleo", "email": "cleo@acme.example"})).json()
    wanted = {**customer(office), "customer_id": person["user_id"]}
    job_id = (await office.api.client.post("/admin/imports", json=wanted)).json()["job_id"]
    await office.drain()
    [shown] = (await office.get("/admin/imports"))["items"]
    assert (shown["job_id"], shown["customer_name"], shown["customer_email"]) == (job_id, "Cleo", "cleo@acme.example")
    assert (shown["platform"], shown["total_calls"], shown["failed_calls"]) == ("fathom", 3, 0)
    assert shown["account"]
    job = await office.get(f"/api/imports/{job_id}")
    assert (shown["status"], shown["processed_calls"]) == (job["status"], job["processed_calls"])
    calls = (await office.get(f"/admin/imports/{job_id}/calls"))["items"]
    assert len(calls) == 3
    page = await office.get(f"/admin/imports/{job_id}/calls?limit=2")
    assert len(page["items"]) == 2
    assert page["next_cursor"]
    assert (await office.api.client.delete(f"/api/members/{person['user_id']}")).status_code == 204
    [shown] = (await office.get("/admin/imports"))["items"]
    assert (shown["customer_id"], shown["customer_name"]) == (person["user_id"], None)


async def test_support_retries_what_failed_in_imports_of_its_own_and_no_others(office: Office) -> None:
    office.seed("fathom", 2)
    job_id = (await office.api.client.post("/admin/imports", json=customer(office))).json()["job_id"]
    await office.drain()
    failing = await office.api.value("SELECT external_id FROM job_calls WHERE job_id = $1 LIMIT 1", UUID(job_id))
    await office.api.execute("UPDATE job_calls SET status = 'failed' WHERE external_id = $1", failing)
    await office.api.add_failed(failing, job_id=UUID(job_id), source_app="fathom", retryable=True)
    answer = await office.api.client.post(f"/admin/imports/{job_id}/retry")
    assert (answer.status_code, answer.json()) == (202, {"retried_count": 1})
    mine = await office.connect("fathom")
    for path in (f"/admin/imports/{mine['job_id']}/retry", f"/admin/imports/{mine['job_id']}/calls"):
        method = "POST" if path.endswith("retry") else "GET"
        assert (await office.api.client.request(method, path)).status_code == 404, "an import of the page's own"
