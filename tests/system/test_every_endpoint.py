"""Every operation of the API, REST and GraphQL, tried with another workspace's ids: by an owner, a member, and a key
that may only read.

The list comes from /openapi.json, so a new operation is tried without being named here. Two tables say what a program
cannot know: what an operation's body looks like, and which thing a name in a path stands for.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from graphql import GraphQLObjectType, build_schema, get_named_type, is_leaf_type, is_required_argument

from api import auth
from api.deps import SAFE_METHODS, scope_of
from api.graphql.schema import schema
from streams.io import clock
from tests.conftest import Broker, Database
from tests.system.api_harness import VTT, Api, running_api
from tests.system.two_workspaces import WORD, Foreign, plant, state_of

pytestmark = [pytest.mark.broker, pytest.mark.database]

SPAN = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
STREAMS = {"/api/events"}
"""They answer without end, and are tried by tests of their own."""
PUBLIC = {"/health/live", "/health/ready", "/metrics", "/api/sign-in", "/webhooks/{platform}/{endpoint_id}"}
NAMES_ONLY = {"POST /api/failed-imports/retry", "GET /api/failed-imports", "GET /api/imports", "GET /api/calls"}
"""Operations where another's id is a filter: nothing fits it, which is no error."""
SHOWS_NOTHING = {
    "/api/platforms", "/api/usage", "/api/pipeline", "/api/settings", "/api/sources/{source_id}/coverage",
    "/api/failed-imports/retries/{bulk_retry_id}",
}  # fmt: skip
"""Operations under a workspace's own key whose answer holds no text or id of it."""


def bodies(ids: dict[str, str]) -> dict[str, list[Any]]:
    """What each operation with a body is sent, with the other workspace's ids wherever an id may stand."""
    source, key = ids["source_id"], {"platform": "fathom", "fields": {"api_key": "k"}}
    return {
        "POST /api/webhook-endpoints": [{"platform": "generic"}, {"platform": "fathom", "source_id": source}],
        "PATCH /api/webhook-endpoints/{endpoint_id}": [{"secret": "whsec_" + "a" * 32}],
        "POST /api/sources": [key],
        "PATCH /api/sources/{source_id}": [{"active": False}, {"keep_recordings": True}, {"fields": {"api_key": "k"}}],
        "POST /api/sources/{source_id}/backfill": [SPAN],
        "POST /api/sources/{source_id}/calls": [{"external_id": f"{WORD}call"}],
        "POST /api/imports": [
            {"source_id": source, "job_type": "sync"},
            {"source_id": source, "job_type": "historical", "date_range": SPAN},
        ],
        "POST /api/imports/preview": [{"source_id": source, "date_range": SPAN}],
        "POST /api/replays": [{**SPAN, "external_id": "any", "dry_run": True}],
        "POST /api/failed-imports/retry": [
            {}, {"filter": {"job_id": ids["job_id"]}, "dry_run": True}, {"dry_run": True}
        ],
        "POST /api/keys": [{"name": "mine"}, {"name": "mine", "scopes": ["admin"]}],
        "POST /api/members": [{"name": "X", "email": "x@mine.test"}, {"name": "X", "role": "owner"}],
        "PATCH /api/members/{user_id}": [{"role": "member"}],
        "POST /api/webhook-subscriptions": [{"url": "https://mine.test/hook"}],
        "PATCH /api/webhook-subscriptions/{subscription_id}": [{"active": False}, {"url": "https://mine.test/hook"}],
        "PATCH /api/settings": [{"processing_window": None}],
        "POST /admin/imports": [{**key, "customer_id": ids["user_id"], "date_range": SPAN}],
    }  # fmt: skip


def forms(ids: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """The same for forms with a file."""
    return {"POST /api/uploads": [{"bank_id": ids["bank_id"]}, {"vault_id": ids["vault_id"]}]}


def queries(ids: dict[str, str]) -> dict[str, str]:
    """What query parameters of a kind of their own are sent. Other texts get the word that only they have."""
    return {**ids, "status": "failed", "job_type": "upload", "types": "job", "format": "txt", "which": "ours",
            "source_app": "generic", "platform": "generic", "stage": "s", "reason": "r"}  # fmt: skip


@dataclass
class Two:
    """The application, the workspace that is full, and callers of the other one."""

    api: Api
    foreign: Foreign
    owner: asyncpg.Connection
    callers: dict[str, dict[str, str]]


@pytest.fixture
async def two(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Two]:
    """Two workspaces. Vendors are nobody: what is sent to them is refused at once."""
    owner = await asyncpg.connect(database.owner_url)
    async with running_api(tmp_path, broker.bootstrap, database, vendor_origin="http://127.0.0.1:9") as api:
        foreign = await plant(api, owner)
        other = clock.new_id()
        await owner.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", other)
        callers = {
            "owner": await _key(api, owner, other, "owner"),
            "member": await _key(api, owner, other, "member"),
            "read-only": await _key(api, owner, other, "owner", "read"),
        }
        yield Two(api, foreign, owner, callers)
    await owner.close()


async def _key(api: Api, owner: asyncpg.Connection, workspace_id: UUID, role: str, *scopes: str) -> dict[str, str]:
    user_id = clock.new_id()
    await owner.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Me')", user_id)
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, $3)", workspace_id, user_id, role)
    key = await auth.create_api_key(api.ports.pool, workspace_id, user_id, "mine", scopes=scopes or None)
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Request:
    """One request for an operation."""

    operation: str
    pattern: str
    method: str
    path: str
    sent: dict[str, Any]

    @property
    def words(self) -> str:
        """All that the caller said themselves."""
        return f"{self.path} {json.dumps(self.sent, default=repr)}"


async def requests(two: Two) -> list[Request]:
    """Every operation, with everything it can be asked."""
    described = (await two.api.anonymous.get("/openapi.json")).json()
    ids, found = two.foreign.ids, []
    for pattern, methods in described["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {pattern}"
            if pattern in STREAMS:
                continue
            try:
                path = two.foreign.path(pattern)
            except KeyError as missing:
                pytest.fail(f"{name}: say in `plant` of two_workspaces.py which thing {missing} stands for.")
            for sent in _sent(name, operation, ids):
                found.append(Request(name, pattern, method.upper(), path, sent))
    return found


def _sent(name: str, operation: dict[str, Any], ids: dict[str, str]) -> list[dict[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        if name not in bodies(ids):
            pytest.fail(f"{name} takes a body: say in `bodies` what it looks like.")
        return [{"json": body} for body in bodies(ids)[name]]
    if content:
        if name not in forms(ids):
            pytest.fail(f"{name} takes a form: say in `forms` what it looks like.")
        return [{"data": form, "files": {"file": ("a.vtt", VTT)}} for form in forms(ids)[name]]
    asked = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    texts = [each for each in asked if each not in ("limit", "cursor", "from", "to", "group", "download")]
    known = queries(ids)
    return [{}, *({"params": {each: known.get(each, WORD)}} for each in texts)]


async def send(two: Two, request: Request, headers: dict[str, str]) -> httpx2.Response:
    """Send it, under an idempotency key of the other workspace where it creates something."""
    key = {"Idempotency-Key": two.foreign.idempotency_key} if request.method == "POST" else {}
    return await two.api.anonymous.request(request.method, request.path, headers={**headers, **key}, **request.sent)


def is_foreign(two: Two, request: Request) -> bool:
    """Whether a request names something of the other workspace that it must not find."""
    ids = [each for each in (*two.foreign.ids.values(), two.foreign.admin_job_id) if len(each) == 36]
    return request.operation not in NAMES_ONLY and any(each in request.words for each in ids)


# GraphQL, whose operations are in its own schema ---------------------------------------------------------------------


def arguments(two: Two) -> dict[str, Any]:
    """What each argument is given, by its name."""
    ids = two.foreign.ids
    return {
        "id": ids["job_id"], "jobId": ids["job_id"], "credentialId": ids["source_id"], "platform": "fathom",
        "apiKey": "k", "code": "c", "state": "s", "enabled": False, "dateRangeStart": SPAN["from"],
        "dateRangeEnd": SPAN["to"], "idempotencyKey": two.foreign.idempotency_key,
    }  # fmt: skip


def operations(two: Two, kind: str) -> dict[str, str]:
    """Every query or mutation as a document that asks for all there is, by its name."""
    known, found = arguments(two), {}
    root = build_schema(schema.as_str()).get_type(kind)
    assert isinstance(root, GraphQLObjectType)
    for name, described in root.fields.items():
        for each, argument in described.args.items():
            if is_required_argument(argument) and each not in known:
                pytest.fail(f"{kind}.{name}: say in `arguments` what {each} is given.")
        given = ", ".join(f"{each}: {json.dumps(known[each])}" for each in described.args if each in known)
        wanted = _all_of(get_named_type(described.type))
        found[name] = f"{kind.lower()} {{ {name}{f'({given})' if given else ''} {wanted} }}"
    return found


def _all_of(kind: Any, depth: int = 0) -> str:
    if not isinstance(kind, GraphQLObjectType):
        return ""
    inner = {name: get_named_type(each.type) for name, each in kind.fields.items()}
    taken = [f"{name} {_all_of(each, depth + 1)}" for name, each in inner.items() if is_leaf_type(each) or depth < 2]
    return "{ " + " ".join(taken) + " }"


async def test_nobody_of_another_workspace_sees_or_changes_anything_by_graphql(two: Two) -> None:
    before = await state_of(two.owner, two.foreign.workspace_id)
    for who in ("read-only", "member", "owner"):
        for kind in ("Query", "Mutation"):
            for name, document in operations(two, kind).items():
                sent = {"json": {"query": document}}
                answer = await two.api.anonymous.post("/graphql", headers=two.callers[who], **sent)
                told = f"{who}: {document} -> {answer.status_code} {answer.text[:500]}"
                assert answer.status_code == 200, told
                assert two.foreign.leaks(answer.content, document) == [], told
                found = (answer.json()["data"] or {}).get(name)
                refused = "errors" in answer.json() or (isinstance(found, dict) and found.get("error"))
                if kind == "Mutation":
                    assert refused, told
                    assert who != "read-only" or "scope_missing" in answer.text, told
                elif any(each in document for each in two.foreign.ids.values() if len(each) == 36):
                    assert refused or found in (None, []), told
    assert await state_of(two.owner, two.foreign.workspace_id) == before


# The proof -----------------------------------------------------------------------------------------------------------


async def test_nobody_of_another_workspace_sees_or_changes_anything(two: Two) -> None:
    before = await state_of(two.owner, two.foreign.workspace_id)
    assert all(count for table, (count, _) in before.items()), "every kind of thing is there"
    tried = await requests(two)
    assert len({each.operation for each in tried}) > 60
    for who in ("read-only", "member", "owner"):
        for each in tried:
            answer = await send(two, each, two.callers[who])
            told = f"{who}: {each.operation} {each.sent} -> {answer.status_code} {answer.text[:300]}"
            assert answer.status_code < 500 or answer.status_code == 503, told
            heard = answer.content + repr(answer.headers.multi_items()).encode()
            assert two.foreign.leaks(heard, each.words) == [], told
            if is_foreign(two, each):
                assert answer.status_code >= 400, told
    assert await state_of(two.owner, two.foreign.workspace_id) == before
    assert await two.api.published() == [], "nothing of theirs was sent on its way"


async def test_a_read_only_key_changes_nothing_and_sees_no_keys(two: Two) -> None:
    mine = await two.owner.fetchval("SELECT workspace_id FROM workspaces WHERE name = 'Other'")
    await send(two, (await requests(two))[0], two.callers["read-only"])  # its last use is written down
    await two.api.anonymous.get("/api/session", headers=two.callers["read-only"])
    before = await state_of(two.owner, mine)
    for each in await requests(two):
        if each.pattern in PUBLIC or each.pattern.startswith("/api/session"):
            continue
        answer = await send(two, each, two.callers["read-only"])
        if scope_of(each.method, each.path) != "read":
            assert (answer.status_code, answer.json()["reason"]) == (403, "scope_missing"), each.operation
        else:
            assert each.method in SAFE_METHODS
    assert await state_of(two.owner, mine) == before


async def test_the_workspaces_own_key_sees_what_the_others_do_not(two: Two) -> None:
    """The counter-proof: the walk above would find what leaks, because here it is found."""
    seen = set()
    for each in await requests(two):
        if each.method != "GET" or each.pattern in PUBLIC or each.sent or "{platform}" in each.pattern:
            continue
        answer = await send(two, each, {"Authorization": f"Bearer {two.api.key}"})
        assert answer.status_code == 200, f"{each.operation} -> {answer.text[:500]}"
        if two.foreign.leaks(answer.content, each.words):
            seen.add(each.pattern)
        else:
            assert each.pattern in SHOWS_NOTHING, f"{each.operation} shows nothing: {answer.text[:500]}"
    assert len(seen) > 20
