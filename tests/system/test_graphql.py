"""The GraphQL door: who comes in, what an error looks like, how much may be asked, and that nobody sees another's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn
import websockets
from graphql import build_client_schema, get_introspection_query, lexicographic_sort_schema, print_schema

from api import auth
from api.graphql import watching
from ops import graphql_doc
from ops.api_server import ApiServer
from streams.io import clock
from tests.conftest import Broker, Database
from tests.fakes.vendors.core import Fault
from tests.graphql_client import Client, connected, operation, published, receive, send
from tests.stack import until
from tests.system.api_harness import Api
from tests.system.sources_harness import Office, days_ago, open_office
from tests.system.test_api_hub import add_job

pytestmark = [pytest.mark.broker, pytest.mark.database]
NOBODY = "00000000-0000-0000-0000-000000000000"
PAST = {"dateRangeStart": days_ago(25), "dateRangeEnd": days_ago(10)}


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with stand-ins of some vendors."""
    async with open_office(tmp_path, broker, database, "fathom", "gong", "zoom") as running:
        yield running


@pytest.fixture
def client(office: Office) -> Client:
    """A client with the owner's key."""
    return Client(office.api.client)


async def key_of(office: Office, workspace_id: Any, scopes: list[str] | None = None, user_id: Any = None) -> Client:
    """A client with a key of its own."""
    key = await auth.create_api_key(
        office.api.ports.pool, workspace_id, user_id or office.api.user_id, "other", scopes=scopes
    )
    transport = httpx2.ASGITransport(app=office.api.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    return Client(httpx2.AsyncClient(transport=transport, base_url="http://calls.test", headers=headers))


async def stranger(office: Office) -> Client:
    """The owner of another workspace."""
    workspace_id, user_id, pool = clock.new_id(), clock.new_id(), office.database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'w')", workspace_id)
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'N')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", workspace_id, user_id)
    return await key_of(office, workspace_id, user_id=user_id)


async def session_of(api: Api) -> str:
    """The cookie of a signed-in browser."""
    link = await auth.create_sign_in_link(api.ports.pool, api.workspace_id, api.user_id)
    session = await auth.use_sign_in_link(api.ports.pool, parse_qs(urlsplit(link).query)["token"][0])
    assert session is not None
    return session.token


@asynccontextmanager
async def listening(api: Api) -> AsyncIterator[str]:
    """The same application behind a real server, for WebSockets. Its address."""
    config = uvicorn.Config(api.app, host="127.0.0.1", port=0, lifespan="off", log_level="warning", log_config=None)
    server = ApiServer(config, api.app)
    running = asyncio.create_task(server._serve())
    try:
        await until(lambda: _started(server), 10, "the server")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def _started(server: uvicorn.Server) -> bool:
    return server.started


# The schema ------------------------------------------------------------------------------------------------------


def test_the_published_schema_is_the_one_that_is_served() -> None:
    assert graphql_doc.stale() == []


def test_a_published_schema_that_is_old_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "schema.graphql"
    monkeypatch.setattr(graphql_doc, "DOCUMENT", old)
    assert graphql_doc.main(["--check"]) == 1
    assert graphql_doc.main([]) == 0
    assert graphql_doc.main(["--check"]) == 0
    old.write_text(old.read_text().replace("importJob(", "importJobs2("))
    assert graphql_doc.main(["--check"]) == 1


def test_every_promised_name_is_there() -> None:
    schema = published()
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    arguments = {name: set(field.args) for root in roots if root for name, field in root.fields.items()}
    promised: dict[str, set[str]] = {
        "importPlatforms": set(), "importCredentials": set(), "importJobs": {"status", "limit"}, "importJob": {"id"},
        "importPreview": {"credentialId", "dateRangeStart", "dateRangeEnd"},
        "createImportCredential": {"platform", "apiKey"}, "initiateOAuthImport": {"platform"},
        "completeOAuthImport": {"platform", "code", "state"}, "verifyImportCredential": {"credentialId"},
        "startImportJob": {"credentialId", "jobType", "dateRangeStart", "dateRangeEnd"},
        "cancelImportJob": {"jobId"}, "configureImportSync": {"credentialId", "enabled", "syncFrequencyMinutes"},
        "deleteImportCredential": {"credentialId"}, "importJobProgress": {"jobId"},
    }  # fmt: skip
    for name, wanted in promised.items():
        assert wanted <= arguments[name], name
    fields: dict[str, str] = {
        "ImportJob": "id platform jobType status totalCalls processedCalls failedCalls startedAt completedAt"
        " estimatedCompletionAt lastError createdAt",
        "ImportCredential": "id platform credentialType isValid expiresAt lastVerifiedAt createdAt",
        "ImportPreview": "callCount dateRange estimatedDurationMinutes pricing",
        "ImportPricing": "freeCallsIncluded billableCalls costPerCallCents totalCostCents",
        "PlatformCapability": "platform displayName logoUrl supportsHistoricalImport supportsOngoingSync authType"
        " authInstructions status",
    }
    for name, words in fields.items():
        assert set(words.split()) <= set(schema.type_map[name].fields), name  # type: ignore[attr-defined]
    for name, values in {
        "PlatformStatus": "SUPPORTED BETA COMING_SOON NOT_PLANNED",
        "ImportJobStatus": "PENDING COUNTING IN_PROGRESS COMPLETED FAILED CANCELLED",
        "ImportJobType": "HISTORICAL SYNC", "ImportCredentialType": "API_KEY OAUTH",
    }.items():  # fmt: skip
        assert set(values.split()) <= set(schema.type_map[name].values), name  # type: ignore[attr-defined]


async def test_introspection_says_the_same(client: Client) -> None:
    answer = await client.post(get_introspection_query(specified_by_url=True))
    assert "errors" not in answer
    served = build_client_schema(answer["data"])
    assert set(served.type_map) == set(client.schema.type_map)
    one, other = (print_schema(lexicographic_sort_schema(each)) for each in (served, client.schema))
    assert one == other


async def test_every_platform_has_a_picture_that_is_there(office: Office, client: Client) -> None:
    platforms = await client.query("importPlatforms")
    assert len(platforms) > 10
    for each in platforms:
        path = urlsplit(each["logoUrl"]).path
        answer = await office.api.anonymous.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml"), path
        assert "no-store" not in answer.headers["cache-control"]
    assert (await office.api.anonymous.get("/logos/nobody.svg")).status_code == 404


# Errors ----------------------------------------------------------------------------------------------------------


async def test_what_goes_wrong_in_a_mutation_is_data(office: Office, client: Client) -> None:
    async def error(name: str, **variables: Any) -> dict[str, Any]:
        found = await client.mutate(name, **variables)
        assert all(value is None for key, value in found.items() if key not in ("error", "credential"))
        told: dict[str, Any] = found["error"]
        assert told["message"][-1] in ".…"
        return told

    create = "createImportCredential"
    unknown = await error(create, platform="nobody", apiKey="x")
    assert (unknown["field"], unknown["reason"]) == ("platform", "unknown_platform")
    refused = await error(create, platform="fathom", apiKey="wrong")
    assert refused["field"] == "apiKey"
    assert (await error(create, platform="fathom", apiKey="two words"))["field"] == "apiKey"
    missing = await error(create, platform="gong", apiKey="x")
    assert missing["reason"] == "invalid_fields"
    odd = await error(create, platform="fathom", apiKey="x", fields=[{"name": "nose", "value": "y"}])
    assert odd["field"] == "fields.nose"
    for name in ("verifyImportCredential", "deleteImportCredential"):
        for credential_id in (NOBODY, "", "\u0000", "odd"):
            told = await error(name, credentialId=credential_id)
            assert (told["reason"], told["message"]) == ("not_found", told["message"])
    assert (await error("configureImportSync", credentialId=NOBODY, enabled=True))["reason"] == "not_found"
    assert (await error("cancelImportJob", jobId=NOBODY))["reason"] == "not_found"
    assert (await error("cancelImportJob", jobId="odd"))["field"] == "jobId"
    over = await add_job(office.api, "imported")
    assert (await error("cancelImportJob", jobId=str(over)))["reason"] == "already_over"
    assert (await error("initiateOAuthImport", platform="nobody"))["field"] == "platform"
    assert (await error("initiateOAuthImport", platform="fireflies"))["reason"] == "no_sign_in"
    used = await error("completeOAuthImport", platform="zoom", code="x", state="y")
    assert used["reason"] == "sign_in_over"

    made = await client.mutate(create, platform="FATHOM", apiKey=office.vendors.credential("fathom")["api_key"])
    mine = {"credentialId": made["credential"]["id"]}
    assert (await error("startImportJob", **mine, jobType="HISTORICAL"))["field"] == "dateRangeStart"
    half = await error("startImportJob", **mine, dateRangeStart=PAST["dateRangeStart"])
    assert half["field"] == "dateRangeEnd"
    swapped = {"dateRangeStart": PAST["dateRangeEnd"], "dateRangeEnd": PAST["dateRangeStart"]}
    assert (await error("startImportJob", **mine, **swapped))["reason"] == "empty_period"
    assert (await error("startImportJob", **mine, jobType="UPLOAD"))["field"] == "jobType"
    assert (await error("startImportJob", **mine, jobType="SYNC", **PAST))["field"] == "dateRangeStart"
    wrong = [{"name": "colour", "value": "red"}]
    assert (await error("startImportJob", **mine, **PAST, filters=wrong))["reason"] == "unknown_filter"
    for minutes in (0, 4, 10081, -1):
        told = await error("configureImportSync", **mine, enabled=True, syncFrequencyMinutes=minutes)
        assert told["field"] == "syncFrequencyMinutes", minutes


async def test_what_goes_wrong_in_a_query_says_why_beside_the_sentence(office: Office, client: Client) -> None:
    [error] = await client.errors("query", "importPreview", credentialId=NOBODY, **PAST)
    assert error["extensions"] == {"reason": "not_found", "status": 404}
    assert error["path"] == ["importPreview"]
    for limit in (0, -1, 201, 10**6):
        [error] = await client.errors("query", "importJobs", limit=limit)
        assert error["extensions"]["field"] == "limit"
    [error] = await client.errors("query", "importJobs", after="odd")
    assert error["extensions"]["field"] == "after"
    [error] = await client.errors(
        "query", "importPreview", credentialId=NOBODY, dateRangeStart="soon", dateRangeEnd="2026-01-01"
    )
    assert "A time must look like" in error["message"]
    assert await client.query("importJob", id="odd") is None
    assert await client.query("importJob", id=NOBODY) is None


async def test_a_fault_of_ours_is_masked_and_logged(
    office: Office, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("geheim: postgres://user:password@host")

    monkeypatch.setattr("api.jobs.list_jobs", broken)
    monkeypatch.setattr("api.sources.disconnect", broken)
    [error] = await client.errors("query", "importJobs")
    assert error["message"].startswith("Something went wrong here")
    [error] = await client.errors("mutation", "deleteImportCredential", credentialId=NOBODY)
    assert "geheim" not in json.dumps(error)
    assert capsys.readouterr().out.count("geheim") >= 2


async def test_a_platform_that_is_down_says_so_and_changes_nothing(office: Office, client: Client) -> None:
    key = office.vendors.credential("fathom")["api_key"]
    made = (await client.mutate("createImportCredential", platform="fathom", apiKey=key))["credential"]
    office.vendors.world.order("fathom", Fault("503", times=100))
    told = await client.mutate("verifyImportCredential", credentialId=made["id"])
    assert told["credential"] is None
    assert "Fathom" in told["error"]["message"]
    [now] = await client.query("importCredentials")
    assert (now["isValid"], now["problem"]) == (True, None)


async def test_a_credential_that_was_revoked_is_found_by_verifying_and_mended_by_connecting(
    office: Office, client: Client
) -> None:
    key = office.vendors.credential("fathom")["api_key"]
    made = (await client.mutate("createImportCredential", platform="fathom", apiKey=key))["credential"]
    office.vendors.world.order("fathom", Fault("bad_token", times=1))
    told = await client.mutate("verifyImportCredential", credentialId=made["id"])
    assert told["credential"]["isValid"] is False
    assert told["error"]["message"] == told["credential"]["problem"]
    [error] = await client.errors("query", "importPreview", credentialId=made["id"], **PAST)
    assert error["extensions"]["status"] == 409
    assert (await client.mutate("verifyImportCredential", credentialId=made["id"]))["credential"]["isValid"] is True
    again = (await client.mutate("createImportCredential", platform="fathom", apiKey=key))["credential"]
    assert (again["id"], again["problem"]) == (made["id"], None)


# Connecting by signing in ----------------------------------------------------------------------------------------


async def test_an_account_is_connected_by_signing_in(office: Office, client: Client) -> None:
    begun = await client.mutate("initiateOAuthImport", platform="zoom")
    async with httpx2.AsyncClient(trust_env=False) as http:
        back = (await http.get(begun["authorizationUrl"])).headers["location"]
    told = parse_qs(urlsplit(back).query)
    assert told["state"] == [begun["state"]]
    given = {"platform": "zoom", "code": told["code"][0], "state": begun["state"]}
    made = await client.mutate("completeOAuthImport", **given)
    assert (made["error"], made["credential"]["credentialType"]) == (None, "OAUTH")
    assert made["job"]["jobType"] == "SYNC"
    assert (await client.mutate("completeOAuthImport", **given))["error"]["reason"] == "sign_in_over"


async def test_the_same_idempotency_key_starts_one_import(office: Office, client: Client) -> None:
    key = office.vendors.credential("fathom")["api_key"]
    made = (await client.mutate("createImportCredential", platform="fathom", apiKey=key))["credential"]
    wanted = {"credentialId": made["id"], **PAST, "idempotencyKey": "k-1"}
    first, second = [await client.mutate("startImportJob", **wanted) for _ in range(2)]
    assert first["job"]["id"] == second["job"]["id"]
    other = await client.mutate("startImportJob", **{**wanted, "dateRangeEnd": days_ago(9)})
    assert other["error"]["field"] == "idempotencyKey"


async def test_imports_are_paged_and_found_by_state(office: Office, client: Client) -> None:
    ids = [str(await add_job(office.api, "imported" if number % 2 else "pending")) for number in range(7)][::-1]
    assert [each["id"] for each in await client.query("importJobs")] == ids
    found: list[str] = []
    after = None
    while page := await client.query("importJobs", limit=3, after=after):
        found += [each["id"] for each in page]
        after = page[-1]["cursor"]
    assert found == ids
    done = await client.query("importJobs", status="COMPLETED", limit=200)
    assert [each["id"] for each in done] == ids[1::2]


# Who comes in ----------------------------------------------------------------------------------------------------


async def test_nobody_comes_in_without_a_key(office: Office) -> None:
    body = {"query": "{ importJobs { id } }"}
    assert (await office.api.anonymous.post("/graphql", json=body)).status_code == 401
    wrong = {"Authorization": "Bearer csk_wrong"}
    assert (await office.api.anonymous.post("/graphql", json=body, headers=wrong)).status_code == 401
    assert (await office.api.client.get("/graphql", params=body)).status_code in (404, 405)


async def test_a_browser_comes_in_from_our_own_page_only(office: Office) -> None:
    api = office.api
    cookie = {"Cookie": f"{auth.SESSION_COOKIE}={await session_of(api)}"}
    body = {"query": "{ importJobs { id } }"}
    for headers, status in (
        ({}, 403), ({"Origin": "http://evil.test"}, 403), ({"X-CSRF-Token": "odd"}, 403),
        ({"Origin": "http://calls.test"}, 200),
    ):  # fmt: skip
        answer = await api.anonymous.post("/graphql", json=body, headers={**cookie, **headers})
        assert answer.status_code == status, headers
    form = await api.anonymous.post("/graphql", data=body, headers={**cookie, "Origin": "http://calls.test"})
    assert form.status_code == 422


async def test_a_key_that_may_only_look_changes_nothing(office: Office) -> None:
    reader = await key_of(office, office.api.workspace_id, ["read"])
    assert await reader.query("importJobs") == []
    job_id = await add_job(office.api, "pending")
    told = await reader.mutate("cancelImportJob", jobId=str(job_id))
    assert told["error"]["reason"] == "scope_missing"
    assert (await reader.query("importJob", id=str(job_id)))["status"] == "PENDING"
    writer = await key_of(office, office.api.workspace_id, ["write"])
    answer = await writer.http.post("/graphql", json={"query": "{ importJobs { id } }"})
    assert answer.status_code == 403


async def test_two_workspaces_see_nothing_of_each_other(office: Office, client: Client) -> None:
    key = office.vendors.credential("fathom")["api_key"]
    made = await client.mutate("createImportCredential", platform="fathom", apiKey=key)
    credential, job = {"credentialId": made["credential"]["id"]}, {"jobId": made["job"]["id"]}
    other = await stranger(office)
    assert await other.query("importCredentials") == []
    assert await other.query("importJobs") == []
    assert await other.query("importJobs", after=made["job"]["cursor"]) == []
    assert await other.query("importJob", id=job["jobId"]) is None
    [error] = await other.errors("query", "importPreview", **credential, **PAST)
    assert error["extensions"]["reason"] == "not_found"
    for name, variables in (
        ("verifyImportCredential", credential), ("startImportJob", credential | PAST), ("cancelImportJob", job),
        ("configureImportSync", {**credential, "enabled": False}), ("deleteImportCredential", credential),
    ):  # fmt: skip
        told = await other.mutate(name, **variables)
        assert told["error"]["reason"] == "not_found", name
        assert "fathom" not in json.dumps(told).lower()
    async with listening(office.api) as address:
        other.url = address
        with pytest.raises(AssertionError, match="There is no such import"):
            [each async for each in other.follow("importJobProgress", **job)]
    [mine] = await client.query("importCredentials")
    assert (mine["syncEnabled"], mine["isValid"]) == (True, True)


# WebSockets ------------------------------------------------------------------------------------------------------


async def test_a_connection_is_opened_by_key_or_by_a_session_of_our_own_page(office: Office) -> None:
    key, cookie = f"Bearer {office.api.key}", f"{auth.SESSION_COOKIE}={await session_of(office.api)}"
    init: dict[str, Any]
    headers: dict[str, str]
    async with listening(office.api) as address:
        own = "http://calls.test"
        for init, headers in (
            ({"Authorization": key}, {}), ({"authorization": key}, {}), ({}, {"Authorization": key}),
            ({}, {"Cookie": cookie, "Origin": own}), ({}, {"Cookie": cookie, "Origin": address}),
            ({"Authorization": key}, {"Origin": "http://elsewhere.test"}),
        ):  # fmt: skip
            async with connected(address, init=init, headers=headers):
                pass
        for init, headers in (
            ({}, {}), ({"Authorization": "Bearer csk_x"}, {}), ({"Authorization": 7}, {}), ({}, {"Cookie": cookie}),
            ({}, {"Cookie": cookie, "Origin": "http://evil.test"}), ({}, {"Cookie": cookie, "Origin": "null"}),
            ({}, {"Cookie": f"{auth.SESSION_COOKIE}=odd", "Origin": own}),
            ({"Authorization": "Bearer csk_x"}, {"Cookie": cookie, "Origin": own}),
        ):  # fmt: skip
            with pytest.raises(websockets.ConnectionClosed) as refused:
                async with connected(address, init=init, headers=headers):
                    pass
            assert refused.value.rcvd is not None
            assert refused.value.rcvd.code == 4403, (init, headers)


async def test_a_session_that_ends_ends_its_streams(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "CHECK_SECONDS", 0.1)
    api, job_id = office.api, await add_job(office.api, "pending")
    cookie = await session_of(api)
    headers = {"Cookie": f"{auth.SESSION_COOKIE}={cookie}", "Origin": "http://calls.test"}
    variables = {"jobId": str(job_id)}
    query = operation(published(), "subscription", "importJobProgress", variables)
    async with listening(api) as address, connected(address, headers=headers) as socket:
        await send(socket, type="subscribe", id="1", payload={"query": query, "variables": variables})
        said = await receive(socket)
        assert said["payload"]["data"]["importJobProgress"]["status"] == "PENDING"
        await api.execute("DELETE FROM sessions")
        said = await receive(socket)
        assert said["payload"]["errors"][0]["extensions"]["reason"] == "not_signed_in"
        assert (await receive(socket))["type"] == "complete"


async def test_a_connection_does_no_more_for_a_key_that_was_revoked(office: Office) -> None:
    api, job_id = office.api, await add_job(office.api, "pending")
    change = operation(published(), "mutation", "cancelImportJob", {"jobId": str(job_id)})
    payload = {"query": change, "variables": {"jobId": str(job_id)}}
    async with listening(api) as address, connected(address, init={"Authorization": f"Bearer {api.key}"}) as socket:
        await send(socket, type="subscribe", id="1", payload={"query": "{ importJobs { status } }"})
        said = await receive(socket)
        assert said["payload"]["data"] == {"importJobs": [{"status": "PENDING"}]}
        await receive(socket)
        await api.execute("UPDATE api_keys SET revoked_at = now()")
        await send(socket, type="subscribe", id="2", payload=payload)
        said = await receive(socket)
        assert "not known here" in json.dumps(said)
    assert await api.value("SELECT cancelled_at FROM import_jobs") is None


async def test_a_server_that_stops_does_not_wait_for_who_listens(office: Office) -> None:
    variables = {"jobId": str(await add_job(office.api, "pending"))}
    payload = {"query": operation(published(), "subscription", "importJobProgress", variables), "variables": variables}
    init = {"Authorization": f"Bearer {office.api.key}"}
    async with asyncio.timeout(20):
        async with listening(office.api) as address:
            opened = connected(address, init=init)
            socket = await opened.__aenter__()
            await send(socket, type="subscribe", id="1", payload=payload)
            await receive(socket)
        said = [json.loads(message) async for message in _until_closed(socket)]
    assert socket.close_code == 1012
    assert said == [] or said[0]["payload"]["errors"][0]["extensions"]["reason"] == "stopping", "never just complete"


async def _until_closed(socket: Any) -> AsyncIterator[str]:
    with suppress(websockets.ConnectionClosed):
        while True:
            yield await socket.recv()


async def test_one_person_has_only_so_many_connections_and_subscriptions(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MAX_CONNECTIONS", 2)
    key = {"Authorization": f"Bearer {office.api.key}"}
    variables = {"jobId": str(await add_job(office.api, "pending"))}
    query = operation(published(), "subscription", "importJobProgress", variables)
    async with listening(office.api) as address:
        for _ in range(3):  # whoever leaves makes room
            async with connected(address, init=key) as socket, connected(address, init=key):
                with pytest.raises(websockets.ConnectionClosed):
                    async with connected(address, init=key):
                        pass
                for number in range(watching.MAX_SUBSCRIPTIONS + 1):
                    payload = {"query": query, "variables": variables}
                    await send(socket, type="subscribe", id=str(number), payload=payload)
                kinds = [(await receive(socket))["type"] for _ in range(watching.MAX_SUBSCRIPTIONS + 1)]
                assert sorted(kinds) == ["error", *["next"] * watching.MAX_SUBSCRIPTIONS]


async def test_a_subscription_by_post_is_refused_with_a_sentence(client: Client) -> None:
    variables = {"jobId": NOBODY}
    answer = await client.post(operation(client.schema, "subscription", "importJobProgress", variables), variables)
    assert "WebSocket" in answer["errors"][0]["message"]


# How much may be asked -------------------------------------------------------------------------------------------

JOB = "id status jobType totalCalls"
TOO_MUCH = {
    "many lists": "{" + " ".join(f"a{n}: importJobs(limit: 200) {{ {JOB} }}" for n in range(20)) + "}",
    "a limit in a variable": "query($l: Int) {" + " ".join(
        f"a{n}: importJobs(limit: $l) {{ {JOB} }}" for n in range(20)) + "}",
    "many previews": "{" + " ".join(
        f'a{n}: importPreview(credentialId: "x", dateRangeStart: "2026-01-01", dateRangeEnd: "2026-01-02")'
        " { callCount }"
        for n in range(12)) + "}",
    "many changes": "mutation {" + " ".join(
        f'a{n}: cancelImportJob(jobId: "x") {{ error {{ message }} }}' for n in range(12)) + "}",
    "many changes in a fragment": "mutation { ...F } fragment F on Mutation {" + " ".join(
        f'a{n}: cancelImportJob(jobId: "x") {{ error {{ message }} }}' for n in range(12)) + "}",
    "fragments of fragments": "{ importJobs(limit: 200) { ...F0 } } " + " ".join(
        f"fragment F{n} on ImportJob {{ ...F{n + 1} ...F{n + 1} ...F{n + 1} }}" for n in range(60)
    ) + " fragment F60 on ImportJob { a: id }",
    "many tokens": "{ importJobs { " + "id " * 3000 + "} }",
    "deep": "{" + "a {" * 600 + "b" + "}" * 600 + "}",
    "deep inline": "{ importJobs {" + "... {" * 300 + "id" + "}" * 300 + "} }",
    "deep values": "{ importJob(id: " + "[" * 900 + "]" * 900 + ") { id } }",
    "the schema in circles": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
}  # fmt: skip


@pytest.mark.parametrize("what", TOO_MUCH)
async def test_what_asks_too_much_is_refused_before_anything_is_looked_up(
    what: str, office: Office, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_up(*_: Any) -> Any:
        raise AssertionError("something was looked up")

    monkeypatch.setattr("api.jobs.list_jobs", looked_up)
    monkeypatch.setattr("api.jobs.cancel", looked_up)
    async with asyncio.timeout(20):
        answer = await client.post(TOO_MUCH[what], {"l": 200})
    assert answer["data"] is None
    assert not any(error["message"].startswith("Something went wrong") for error in answer["errors"]), answer


async def test_what_a_page_needs_is_not_too_much(office: Office, client: Client) -> None:
    await add_job(office.api, "imported")
    assert len(await client.query("importJobs", limit=200)) == 1
    assert await client.query("importCredentials", limit=200) == []
    both = await client.post("{ importPlatforms { platform } importJobs(limit: 200) { id } importCredentials { id } }")
    assert "errors" not in both


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b'{"query": 7}', b'{"query": "{ x"}', b"{", b"[" * 100_000,
        b'{"query": "{importJobs{id}}", "variables": []}', b'[{"query": "{importJobs{id}}"}]',
        b'{"query": "\\ud800"}', b'{"query": "{importJobs{id}}", "operationName": "x"}',
        b'{"query": "query($i: ID!) {importJob(id: $i) {id}}", "variables": {"i": "\\ud800"}}',
        b'{"query": "mutation($i: String!) {createImportCredential(platform: $i) {error {message}}}", '
        b'"variables": {"i": "\\ud800"}}',
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_read_is_the_clients_fault(body: bytes, office: Office) -> None:
    answer = await office.api.client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 422)
    assert "Something went wrong" not in answer.text
    too_large = await office.api.client.post(
        "/graphql", content=b" " * 1_100_000, headers={"Content-Type": "application/json"}
    )
    assert too_large.status_code == 413


async def test_a_broker_that_is_away_is_said(tmp_path: Path, database: Database) -> None:
    async with open_office(tmp_path, Broker("127.0.0.1:1"), database, "fathom") as office:
        client = Client(office.api.client)
        assert await client.query("importJobs") == []
        assert len(await client.query("importPlatforms")) > 10


async def test_times_are_read_in_every_usual_form(client: Client) -> None:
    for time in ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00+02:00", "2026-01-31", "2026-01-31T09:00"):
        given = {"dateRangeStart": time, "dateRangeEnd": "2026-02-01T00:00:00.5Z"}
        [error] = await client.errors("query", "importPreview", credentialId=NOBODY, **given)
        assert error["extensions"]["reason"] == "not_found", time
