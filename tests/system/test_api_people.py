"""Who may do what: members and their roles, keys and their scopes, the audit log, and creates that happen once."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi.routing import APIRoute

from api import auth, deps, routes
from tests.conftest import Broker, Database
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application on a database of its own."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def member(api: Api, role: str = "member", **more: Any) -> dict[str, Any]:
    """Somebody who was just taken in."""
    answer = await api.client.post("/api/members", json={"name": f"The {role}", "role": role, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def key_of(api: Api, person: dict[str, Any], *scopes: str) -> dict[str, str]:
    """The headers of a key of theirs."""
    key = await auth.create_api_key(
        api.ports.pool, api.workspace_id, person["user_id"], "theirs", scopes=scopes or None
    )
    return {"Authorization": f"Bearer {key}"}


async def ask(api: Api, headers: dict[str, str], method: str, path: str, **sent: Any) -> httpx2.Response:
    """A request by somebody else than the owner."""
    return await api.anonymous.request(method, path, headers=headers, **sent)


# Members -----------------------------------------------------------------------------------------------------------


async def test_a_person_is_invited_signs_in_and_is_taken_out(api: Api) -> None:
    made = await member(api, email="new@calls.test")
    token = made["sign_in_link"].partition("token=")[2]
    assert made["sign_in_link"].startswith("http://calls.test/sign-in?token=")
    assert (await api.anonymous.post("/sign-in", data={"token": token})).status_code == 303
    session = (await api.anonymous.get("/api/session")).json()
    assert (session["user_id"], session["role"], session["email"]) == (made["user_id"], "member", "new@calls.test")
    headers = await key_of(api, made)
    spare = (await api.client.post(f"/api/members/{made['user_id']}/sign-in-link")).json()["sign_in_link"]
    assert (await api.client.delete(f"/api/members/{made['user_id']}")).status_code == 204
    assert (await api.anonymous.get("/api/session")).status_code == 401
    assert (await ask(api, headers, "GET", "/api/calls")).status_code == 401
    used = await api.anonymous.post("/sign-in", data={"token": spare.partition("token=")[2]})
    assert used.status_code == 410
    assert (await api.client.delete(f"/api/members/{made['user_id']}")).status_code == 404
    assert [each["role"] for each in (await api.client.get("/api/members")).json()["items"]] == ["owner"]
    done = await api.fetch("SELECT action FROM audit_log WHERE target = $1 ORDER BY audit_id", made["user_id"])
    assert [row["action"] for row in done if row["action"].startswith("member.")] == [
        "member.added", "member.sign_in_link_made", "member.removed",
    ]  # fmt: skip


async def test_a_workspace_always_keeps_an_owner(api: Api) -> None:
    me = str(api.user_id)
    for method, sent in (("DELETE", {}), ("PATCH", {"json": {"role": "member"}})):
        answer = await api.client.request(method, f"/api/members/{me}", **sent)
        assert (answer.status_code, answer.json()["reason"]) == (409, "last_owner")
    other = (await member(api, "owner"))["user_id"]
    headers = await key_of(api, {"user_id": api.user_id})
    answers = await asyncio.gather(
        ask(api, headers, "PATCH", f"/api/members/{me}", json={"role": "member"}),
        ask(api, headers, "PATCH", f"/api/members/{other}", json={"role": "member"}),
        ask(api, headers, "DELETE", f"/api/members/{other}"),
    )
    owners = await api.value("SELECT count(*) FROM memberships WHERE role = 'owner'")
    assert owners == 1, [answer.status_code for answer in answers]


async def test_a_person_needs_a_readable_name_and_a_real_role(api: Api) -> None:
    for body in (
        {"name": " "}, {"name": "a\nb"}, {"name": "x" * 101}, {"name": "A", "role": "admin"},
        {"name": "A", "email": "a"}, {"name": "A", "extra": 1}, {},
    ):  # fmt: skip
        assert (await api.client.post("/api/members", json=body)).status_code == 422, body
    assert (await api.client.patch(f"/api/members/{uuid4()}", json={"role": "owner"})).status_code == 404
    assert (await api.client.post(f"/api/members/{uuid4()}/sign-in-link")).status_code == 404


async def test_the_same_address_invited_twice_at_once_is_one_person(api: Api) -> None:
    body = {"name": "Twice", "email": "twice@calls.test"}
    answers = await asyncio.gather(*(api.client.post("/api/members", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_members_are_listed_page_by_page(api: Api) -> None:
    for _ in range(4):
        await member(api)
    seen, cursor = [], None
    while True:
        page = (
            await api.client.get("/api/members", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [each["user_id"] for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 5


OWNERS = [
    ("POST", "/api/members", {"name": "A"}),
    ("PATCH", "/api/members/{id}", {"role": "member"}),
    ("DELETE", "/api/members/{id}", None),
    ("POST", "/api/members/{id}/sign-in-link", None),
]
OPERATORS = [("GET", "/api/members", None), ("GET", "/api/audit", None), ("GET", "/admin/imports", None)]


async def test_each_role_may_do_what_is_said_of_it(api: Api) -> None:
    people = {role: await member(api, role) for role in ("member", "support")}
    for role, person in people.items():
        headers = await key_of(api, person)
        for method, path, body in OWNERS:
            answer = await ask(api, headers, method, path.format(id=person["user_id"]), json=body)
            assert (answer.status_code, answer.json()["reason"]) == (403, "not_allowed"), (role, method, path)
        for method, path, _ in OPERATORS:
            answer = await ask(api, headers, method, path)
            assert answer.status_code == (200 if role == "support" else 403), (role, path)
    unchanged = (await api.client.get("/api/members")).json()["items"]
    assert {each["user_id"]: each["role"] for each in unchanged} == {
        str(api.user_id): "owner", **{person["user_id"]: role for role, person in people.items()}
    }  # fmt: skip


# Keys and scopes -----------------------------------------------------------------------------------------------------


async def test_a_key_may_do_what_its_scopes_say(api: Api) -> None:
    me = {"user_id": api.user_id}
    read, write, admin = [await key_of(api, me, scope) for scope in ("read", "write", "admin")]
    takes = [
        ("read", "GET", "/api/calls"), ("read", "GET", "/api/imports"), ("read", "GET", "/api/usage"),
        ("write", "POST", "/api/imports/preview"), ("write", "POST", f"/api/failed-imports/{uuid4()}/discard"),
        ("write", "DELETE", f"/api/sources/{uuid4()}"), ("write", "POST", "/api/uploads"),
        ("write", "GET", "/api/oauth/zoom/start"), ("admin", "GET", "/api/keys"), ("admin", "GET", "/api/members"),
        ("admin", "GET", "/api/audit"), ("admin", "POST", "/api/replays"), ("admin", "GET", "/admin/imports"),
        ("admin", "DELETE", f"/api/keys/{uuid4()}"),
    ]  # fmt: skip
    for scope, method, path in takes:
        for name, headers in (("read", read), ("write", write), ("admin", admin)):
            answer = await ask(api, headers, method, path)
            refused = answer.status_code == 403 and answer.json()["reason"] == "scope_missing"
            assert refused == (name != scope), (name, method, path, answer.text)
            if refused:
                assert answer.json()["scope"] == scope
                assert f"`{scope}`" in answer.json()["detail"]
    for headers in (read, write, admin):
        assert (await ask(api, headers, "GET", "/api/session")).status_code == 200
    assert (await ask(api, read, "GET", "/api/session")).json()["scopes"] == ["read"]


async def test_a_scope_is_asked_for_however_the_address_is_written(api: Api) -> None:
    headers = await key_of(api, {"user_id": api.user_id}, "read")
    for path in ("/api/keys", "/api/%6Beys", "/api/keys?x=/api/calls", "/api/keys#/api/calls"):
        for host in ("calls.test", "calls.test/x", "calls.test/api/calls?", "calls.test#"):
            answer = await ask(api, {**headers, "Host": host}, "GET", path)
            assert (answer.status_code, answer.json()["reason"]) == (403, "scope_missing"), (host, path)
    assert (await ask(api, headers, "GET", "/api//keys")).status_code in (403, 404)


async def test_a_key_never_has_more_than_its_maker(api: Api) -> None:
    headers = await key_of(api, {"user_id": api.user_id}, "admin", "read")
    made = (await ask(api, headers, "POST", "/api/keys", json={"name": "child"})).json()
    assert made["scopes"] == ["read", "admin"]
    more = await ask(api, headers, "POST", "/api/keys", json={"name": "child", "scopes": ["read", "write"]})
    assert (more.status_code, more.json()["reason"]) == (403, "scope_missing")
    less = await ask(api, headers, "POST", "/api/keys", json={"name": "child", "scopes": ["read", "read"]})
    assert less.json()["scopes"] == ["read"]
    for scopes in ([], ["all"], "read", [None]):
        answer = await ask(api, headers, "POST", "/api/keys", json={"name": "child", "scopes": scopes})
        assert answer.status_code == 422, scopes
    person = await member(api)
    theirs = {"Authorization": f"Bearer {(await _own_key(api, person))['key']}"}
    assert (await ask(api, theirs, "GET", "/api/members")).status_code == 403, "a member's key is a member's"


async def _own_key(api: Api, person: dict[str, Any]) -> dict[str, Any]:
    answer = await ask(api, await key_of(api, person), "POST", "/api/keys", json={"name": "mine"})
    assert answer.json()["scopes"] == ["read", "write", "admin"]
    made: dict[str, Any] = answer.json()
    return made


async def test_a_key_loses_what_its_person_loses(api: Api) -> None:
    person = await member(api, "support")
    headers = await key_of(api, person)
    assert (await ask(api, headers, "GET", "/api/audit")).status_code == 200
    await api.client.patch(f"/api/members/{person['user_id']}", json={"role": "member"})
    assert (await ask(api, headers, "GET", "/api/audit")).status_code == 403


def test_what_only_operators_may_takes_the_admin_scope() -> None:
    """A route that asks for a role and is not in the table would take `read` or `write` as well as `admin`."""
    asks = {deps.get_operator, deps.get_owner}
    modules = [importlib.import_module(f"api.routes.{each.name}") for each in pkgutil.iter_modules(routes.__path__)]
    found = [
        route
        for module in modules
        for route in module.router.routes
        if isinstance(route, APIRoute) and any(each.call in asks for each in route.dependant.dependencies)
    ]
    assert len(found) > 10
    for route in found:
        for method in route.methods:
            assert deps.scope_of(method, route.path) == "admin", f"{method} {route.path}"


# The audit log -------------------------------------------------------------------------------------------------------


async def test_the_audit_log_says_who_did_what(api: Api) -> None:
    person = await member(api, "owner")
    await ask(api, await key_of(api, person), "POST", "/api/keys", json={"name": "made by a key"})
    token = person["sign_in_link"].partition("token=")[2]
    await api.anonymous.post("/sign-in", data={"token": token})
    csrf = (await api.anonymous.get("/api/session")).json()["csrf_token"]
    made = await api.anonymous.post("/api/keys", json={"name": "by hand"}, headers={"X-CSRF-Token": csrf})
    entries = (await api.client.get("/api/audit")).json()["items"]
    assert [each["id"] for each in entries] == sorted((each["id"] for each in entries), reverse=True)
    newest = entries[0]
    assert (newest["action"], newest["target"]) == ("key.created", made.json()["id"])
    assert (newest["actor"], newest["actor_name"]) == (f"user:{person['user_id']}", "The owner")
    assert newest["detail"] == {"name": "by hand", "scopes": ["read", "write", "admin"]}
    names = {each["actor_name"] for each in entries}
    assert {"API key tests", "API key theirs", "Command line", "The owner"} <= names
    only = (await api.client.get("/api/audit", params={"action": "member"})).json()["items"]
    assert {each["action"] for each in only} == {"member.added"}
    exact = (await api.client.get("/api/audit", params={"action": "key.created", "limit": 1})).json()
    assert (len(exact["items"]), exact["next_cursor"] is None) == (1, False)
    rest = (await api.client.get("/api/audit", params={"action": "key.created", "cursor": exact["next_cursor"]})).json()
    assert exact["items"][0]["id"] not in {each["id"] for each in rest["items"]}
    at = entries[-1]["at"]
    assert (await api.client.get("/api/audit", params={"to": at})).json()["items"] == []
    assert len((await api.client.get("/api/audit", params={"from": at})).json()["items"]) == len(entries)
    assert (await api.client.get("/api/audit", params={"action": "key.creat"})).json()["items"] == []
