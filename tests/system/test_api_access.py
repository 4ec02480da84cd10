"""Keys, sessions, the page, and what garbage gets: never a 500."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from api import auth
from tests.conftest import Broker, Database
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def signed_in(api: Api) -> httpx2.AsyncClient:
    """The anonymous client with a session."""
    path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    token = path.partition("token=")[2]
    answer = await api.anonymous.post("/sign-in", data={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return api.anonymous


async def test_a_link_survives_previews_and_works_once(api: Api) -> None:
    path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    for _ in range(3):
        page = await api.anonymous.get(path)
        assert page.status_code == 200
        assert "set-cookie" not in page.headers
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token is not None
    answers = await asyncio.gather(*(api.anonymous.post("/sign-in", data={"token": token[1]}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410, 410]


async def test_the_cookie_is_kept_from_scripts_and_other_sites(api: Api) -> None:
    path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    answer = await api.anonymous.post("/sign-in", data={"token": path.partition("token=")[2]})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("callstream_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    token = cookie.partition("=")[2].partition(";")[0]
    assert await api.value("SELECT count(*) FROM sessions WHERE token_hash = $1", token.encode()) == 0


async def test_https_makes_the_cookie_secure(tmp_path: Path, broker: Broker, database: Database) -> None:
    async with running_api(tmp_path, broker.bootstrap, database, public_url="https://calls.test") as api:
        path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
        answer = await api.anonymous.post("/sign-in", data={"token": path.partition("token=")[2]})
        assert "Secure" in answer.headers["set-cookie"]


async def test_an_expired_link_is_gone(api: Api) -> None:
    path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    await api.execute("UPDATE sign_in_links SET expires_at = now() - interval '1 second'")
    answer = await api.anonymous.post("/sign-in", data={"token": path.partition("token=")[2]})
    assert answer.status_code == 410


async def test_a_session_needs_the_token_or_our_own_origin_to_change_things(api: Api) -> None:
    client = await signed_in(api)
    csrf = (await client.get("/api/session")).json()["csrf_token"]
    body = {"name": "mine"}

    async def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.post("/api/keys", json=body, headers=named)).status_code

    assert await status() == 403
    assert await status(x_csrf_token="wrong") == 403
    assert await status(origin="http://evil.test") == 403
    assert await status(origin="null") == 403
    assert await status(origin="http://calls.test", x_csrf_token="wrong") == 403
    assert await status(x_csrf_token=csrf) == 201
    assert await status(origin="http://calls.test") == 201
    assert (await client.get("/api/keys")).status_code == 200


async def test_sign_out_ends_the_session(api: Api) -> None:
    client = await signed_in(api)
    csrf = (await client.get("/api/session")).json()["csrf_token"]
    kept = dict(client.cookies)
    assert (await client.post("/api/session/sign-out", headers={"X-CSRF-Token": csrf})).status_code == 204
    client.cookies.update(kept)
    assert (await client.get("/api/session")).status_code == 401


async def test_another_site_cannot_sign_a_person_in(api: Api) -> None:
    path = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    data = {"token": path.partition("token=")[2]}
    answer = await api.anonymous.post("/sign-in", data=data, headers={"Origin": "http://evil.test"})
    assert answer.status_code == 403


async def test_a_key_is_shown_once_listed_by_its_beginning_and_revoked_at_once(api: Api) -> None:
    made = (await api.client.post("/api/keys", json={"name": "script"})).json()
    key = made["key"]
    assert re.fullmatch(r"csk_[A-Za-z0-9_-]{43}", key)
    mine = {"Authorization": f"Bearer {key}"}
    assert (await api.anonymous.get("/api/session", headers=mine)).status_code == 200
    listed = (await api.client.get("/api/keys")).json()["items"]
    assert [item["name"] for item in listed] == ["script", "tests"]
    assert key not in str(listed)
    assert listed[0]["last_used_at"] is not None
    assert (await api.client.delete(f"/api/keys/{made['id']}")).status_code == 204
    assert (await api.anonymous.get("/api/session", headers=mine)).status_code == 401
    assert (await api.client.delete(f"/api/keys/{made['id']}")).status_code == 404
    logged = await api.fetch("SELECT action FROM audit_log WHERE target = $1 ORDER BY audit_id", made["id"])
    assert [row["action"] for row in logged] == ["key.created", "key.revoked"]


async def test_a_wrong_key_is_not_made_good_by_a_cookie(api: Api) -> None:
    client = await signed_in(api)
    for header in ("Bearer csk_wrong", "Basic abc", "", "Bearer"):
        answer = await client.get("/api/session", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_member_manages_only_their_own_keys(api: Api, database: Database) -> None:
    user_id = uuid4()
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Member')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'member')", api.workspace_id, user_id)
    key = await auth.create_api_key(api.ports.pool, api.workspace_id, user_id, "member's")
    headers = {"Authorization": f"Bearer {key}"}
    items = (await api.anonymous.get("/api/keys", headers=headers)).json()["items"]
    assert [item["name"] for item in items] == ["member's"]
    theirs = next(k for k in await auth.list_api_keys(api.ports.pool, api.workspace_id) if k["name"] == "tests")
    answer = await api.anonymous.delete(f"/api/keys/{theirs['api_key_id']}", headers=headers)
    assert answer.status_code == 404


async def test_the_page_runs_nothing_but_our_own_files(api: Api) -> None:
    page = await api.anonymous.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"https?://(?!127)", page.text.replace("http://www.w3.org", ""))
    assert "<script>" not in page.text
    assert " style=" not in page.text
    files = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', page.text)
    assert len(files) >= 4
    for path in files:
        assert (await api.anonymous.get(path)).status_code == 200


async def test_the_token_in_the_sign_in_page_is_escaped(api: Api) -> None:
    page = await api.anonymous.get("/sign-in", params={"token": '"><script>alert(1)</script>\x00'})
    assert page.status_code == 200
    assert "<script>" not in page.text


async def test_every_route_needs_a_caller_but_for_the_open_ones(api: Api) -> None:
    paths = (await api.anonymous.get("/openapi.json")).json()["paths"]
    open_ones = {"/health/live", "/health/ready", "/metrics", "/api/sign-in", "/webhooks/{platform}/{endpoint_id}"}
    for path, methods in paths.items():
        for method, described in methods.items():
            assert described.get("description"), f"{method} {path} says nothing"
            if path not in open_ones:
                answer = await api.anonymous.request(method, re.sub(r"\{\w+\}", str(uuid4()), path))
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.headers["content-type"] == "application/problem+json"


GARBAGE = (
    "%00", "a%00b", "%ff%fe", "%ed%a0%80", "%F0%9F%98%80", "'; DROP TABLE users; --", "99999999999999999999999999",
    "-1", "1e309", "NaN", "null", "%22", "a&a&a", "%25", "((((", "0001-01-01T00:00:00-23:59",
    "9999-12-31T23:59:59-23:59", "AAAA", "W10", "WzEsMl0", "WyIyMDI2IiwgImEiXQ", "x" * 1000, "ا" * 50, "|&!:*<->", "\\",
)  # fmt: skip


async def test_garbage_in_a_query_is_never_a_500(api: Api) -> None:
    paths = (await api.anonymous.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        if "get" not in methods or path in {"/metrics", "/health/ready", "/api/events"}:  # the last: see test_fuzz
            continue
        names = [p["name"] for p in methods["get"].get("parameters", []) if p["in"] == "query"]
        for name in names:
            for garbage in GARBAGE:
                url = httpx2.URL(f"http://calls.test{re.sub(r'{[^}]+}', str(uuid4()), path)}?{name}={garbage}")
                answer = await api.client.get(url)
                assert answer.status_code < 500, f"{url}: {answer.text}"


async def test_garbage_in_a_path_is_never_a_500(api: Api) -> None:
    paths = (await api.anonymous.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        beginning, brace, _ = path.partition("{")
        for garbage in GARBAGE if brace else ():
            tail = path[path.rindex("}") + 1 :]
            url = httpx2.URL(f"http://calls.test{beginning}{garbage}{tail}")
            for method in methods:
                answer = await api.client.request(method, url)
                assert answer.status_code < 500, f"{method} {url}: {answer.text}"


BODIES = (
    b"", b"{", b"null", b"[]", b"1", b'"a"', b"\xff\xfe", b"{}", b'{"name": "\\ud800"}', b'{"name": "a\\u0000"}',
    b'{"name": 1e999}', b'{"name": NaN}', b"[" * 100_000, b"1" * 10_000, b'{"rate": 1e400}', b'{"rate": NaN}',
    b'{"filter": {"stage": "\\u0000"}}', b'{"filter": {"job_id": "x"}}', b'{"filter": {"status": []}}',
    b'{"secret": "\\udfff"}', b'{"platform": "generic", "secret": "\\u0000"}', b'{"platform": 7}', b"a" * 2_000_000,
)  # fmt: skip


async def test_garbage_in_a_body_is_never_a_500(api: Api) -> None:
    paths = (await api.anonymous.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        for method in set(methods) & {"post", "patch"}:
            for body in BODIES:
                for kind in (
                    "application/json",
                    "multipart/form-data; boundary=x",
                    "multipart/form-data",
                    "a/b; c=\xff",
                ):
                    headers = {"Content-Type": kind.encode("latin-1")}
                    url = re.sub(r"\{\w+\}", str(uuid4()), path)
                    answer = await api.client.request(method, url, content=body, headers=headers)
                    assert answer.status_code < 500, f"{method} {path} {body[:60]!r} {kind}: {answer.text}"


async def test_problems_are_problem_json_with_a_word_and_a_sentence(api: Api) -> None:
    for path, status in (("/api/nope", 404), ("/api/calls/x", 422), ("/api/calls?cursor=x", 422)):
        answer = await api.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert {"type", "title", "status", "detail", "reason"} <= set(problem)
        assert problem["status"] == status
    assert (await api.client.delete("/api/calls")).status_code == 405


async def test_every_answer_carries_the_safe_headers(api: Api) -> None:
    for path in ("/", "/api/calls", "/api/nope", "/static/app.css"):
        answer = await api.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
