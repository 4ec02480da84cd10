"""Connecting by signing in at a vendor: a real redirect flow against the stand-ins' authorization servers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from api import auth
from schemas.settings import OAuthClient
from streams.io import clock
from tests.conftest import Broker, Database
from tests.fakes.vendors.core import Fault
from tests.system.sources_harness import OAUTH, Office, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database]
PAGE = {"Accept": "text/html"}


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with all stand-ins."""
    async with open_office(tmp_path, broker, database, *OAUTH) as running:
        yield running


async def sign_in(office: Office, user_id: Any = None) -> httpx2.AsyncClient:
    """A browser of somebody who is signed in here."""
    pool = office.api.ports.pool
    link = await auth.create_sign_in_link(pool, office.api.workspace_id, user_id or office.api.user_id)
    session = await auth.use_sign_in_link(pool, parse_qs(urlsplit(link).query)["token"][0])
    assert session is not None
    transport = httpx2.ASGITransport(app=office.api.app, raise_app_exceptions=False)
    cookies = {auth.SESSION_COOKIE: session.token}
    return httpx2.AsyncClient(transport=transport, base_url="http://calls.test", cookies=cookies, headers=PAGE)


async def at_the_vendor(address: str) -> str:
    """What the vendor's page sends the browser back to."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(address)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].removeprefix("http://calls.test")


async def begin(browser: httpx2.AsyncClient, platform: str, **fields: str) -> str:
    """Begin, and come back from the vendor."""
    answer = await browser.get(f"/api/oauth/{platform}/start", params=fields)
    assert answer.status_code == 303, answer.text
    return await at_the_vendor(answer.headers["location"])


@pytest.mark.parametrize("platform", OAUTH)
async def test_an_account_is_connected_by_signing_in_at_the_vendor(office: Office, platform: str) -> None:
    browser = await sign_in(office)
    back = await begin(browser, platform)
    ended = await browser.get(back)
    assert ended.status_code == 303, ended.text
    [made] = (await office.get("/api/sources"))["items"]
    assert ended.headers["location"] == f"/?connected={made['id']}#sources"
    assert (made["platform"], made["state"], made["credential"]["kind"]) == (platform, "active", "oauth")
    assert made["credential"]["expires_at"]
    assert made["running_job_id"]
    again = await browser.get(back)
    assert (again.status_code, "used before" in again.text) == (410, True)
    assert len((await office.get("/api/sources"))["items"]) == 1


async def test_a_program_gets_the_address_and_a_signed_in_person_comes_back(office: Office) -> None:
    told = await office.get("/api/oauth/zoom/start")
    assert told["expires_at"] > clock.now().isoformat()
    back = await at_the_vendor(told["authorize_url"])
    nobody = await office.api.anonymous.get(back)
    assert (nobody.status_code, nobody.json()["reason"]) == (403, "sign_in_elsewhere")
    told = await office.get("/api/oauth/zoom/start")
    ended = await office.api.client.get(await at_the_vendor(told["authorize_url"]))
    assert (ended.status_code, ended.json()["is_new"]) == (200, True)


async def test_a_state_is_kept_as_a_hash_and_what_is_beside_it_is_sealed(office: Office) -> None:
    told = await office.get("/api/oauth/zoom/start")
    [row] = await office.api.fetch("SELECT * FROM oauth_states")
    assert row["state_hash"] == auth.digest(told["state"])
    assert b"verifier" not in row["encrypted_state"]
    assert told["state"] not in str(dict(row))
    assert len(told["state"]) >= 43


async def test_only_the_browser_that_began_may_end_it(office: Office) -> None:
    one, other = await sign_in(office), await sign_in(office)
    back = await begin(one, "zoom")
    answer = await other.get(back)
    assert answer.status_code == 403
    assert "another browser" in answer.text
    assert (await one.get(back)).status_code == 410, "it was used up"
    assert (await office.get("/api/sources"))["items"] == []


async def test_another_person_may_not_end_it(office: Office) -> None:
    user_id, pool = clock.new_id(), office.database.pipeline_pool
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'N')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", office.api.workspace_id, user_id)
    stranger = await sign_in(office, user_id)
    told = await office.get("/api/oauth/zoom/start")
    assert (await stranger.get(await at_the_vendor(told["authorize_url"]))).status_code == 403
    assert (await office.get("/api/sources"))["items"] == []


async def test_a_state_ends_after_ten_minutes_and_holds_for_its_platform_only(office: Office) -> None:
    browser = await sign_in(office)
    back = await begin(browser, "zoom")
    await office.api.execute("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    assert (await browser.get(back)).status_code == 410
    back = await begin(browser, "zoom")
    assert (await browser.get(back.replace("/zoom/", "/hubspot/"))).status_code == 410
    for odd in ("", "?state=", "?state=%00", "?state=x&code=y"):
        assert (await browser.get(f"/api/oauth/zoom/callback{odd}")).status_code == 410, odd


async def test_who_refuses_at_the_vendor_reads_what_that_means(office: Office) -> None:
    browser = await sign_in(office)
    office.vendors.world.order("zoom", Fault("deny"))
    ended = await browser.get(await begin(browser, "zoom"))
    assert ended.status_code == 403
    assert "Access was not granted at Zoom" in ended.text
    for error, word in (("server_error", "trouble"), ("invalid_scope", "registration"), ("<script>", "without")):
        back = (await begin(browser, "zoom")).partition("code=")[0]
        state = parse_qs(urlsplit(await begin(browser, "zoom")).query)["state"][0]
        ended = await browser.get(f"/api/oauth/zoom/callback?state={state}&error={error}")
        assert word in ended.text, back
        assert "<script>" not in ended.text


async def test_a_right_that_was_not_granted_is_named(office: Office) -> None:
    browser = await sign_in(office)
    office.vendors.world.granted["google_meet"] = frozenset({"openid", "email"})
    ended = await browser.get(await begin(browser, "google_meet"))
    assert ended.status_code == 422, ended.text
    assert "meetings.space.readonly" in ended.text
    assert (await office.get("/api/sources"))["items"] == []


async def test_signing_in_again_mends_a_source_and_a_stranger_account_does_not(office: Office) -> None:
    browser = await sign_in(office)
    await browser.get(await begin(browser, "zoom"))
    [made] = (await office.get("/api/sources"))["items"]
    await office.api.execute("UPDATE import_sources SET error_reason = 'r', error_message = 'Connect it again.'")
    ended = await browser.get(await begin(browser, "zoom", source_id=made["id"]))
    assert ended.status_code == 303, ended.text
    [mended] = (await office.get("/api/sources"))["items"]
    assert (mended["id"], mended["state"]) == (made["id"], "active")
    await office.api.execute("UPDATE import_sources SET account_id = 'other', account_email = 'other'")
    ended = await browser.get(await begin(browser, "zoom", source_id=made["id"]))
    assert (ended.status_code, "source of its own" in ended.text) == (422, True)


async def test_without_a_registration_the_operator_is_told_what_to_set(office: Office) -> None:
    settings = office.api.settings.model_copy(update={"oauth_clients": {"zoom": OAuthClient(client_id="x")}})
    office.api.ports.settings = settings
    answer = await office.api.client.get("/api/oauth/hubspot/start")
    assert (answer.status_code, answer.json()["reason"]) == (409, "oauth_client_missing")
    assert "CALLSTREAM_OAUTH_CLIENTS" in answer.json()["detail"]
    assert (await office.api.client.get("/api/oauth/grain/start")).status_code in (409, 422)
    assert (await office.api.client.get("/api/oauth/upload/start")).status_code == 422
    assert (await office.api.anonymous.get("/api/oauth/zoom/start")).status_code == 401
