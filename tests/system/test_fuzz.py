"""Every operation of the REST API, asked with whatever its description allows and forbids: no answer is a 5xx, and each
is what the description says. On a live server with real PostgreSQL and Kafka, as an owner, in a workspace that is full.

The same requests each time. More of them: CALLSTREAM_FUZZ_EXAMPLES=500 pytest tests/system/test_fuzz.py
"""

import asyncio
import os
import socket
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.auth import create_api_key
from ops.api_server import ApiServer
from ops.migrate import ensure_home
from schemas.settings import Settings
from streams.io import clock
from streams.io.secrets import generate_key
from streams.io.store import open_pool
from tests.conftest import Broker
from tests.servers import shared_servers
from tests.system.api_harness import Api
from tests.system.test_api_access import GARBAGE
from tests.system.two_workspaces import plant

pytestmark = [pytest.mark.broker, pytest.mark.database]

EXAMPLES = int(os.environ.get("CALLSTREAM_FUZZ_EXAMPLES", "25"))
AWAY = {"vendor_unreachable", "identity_provider_away"}
"""Why an answer may be a 503 here: somebody else is not there. Our own parts are."""
ENDLESS = "/api/events"

CHECKS: list[Any] = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip

described = create_app(Settings(secret_keys=generate_key())).openapi()
schema = schemathesis.openapi.from_dict(described).exclude(path=ENDLESS)


@dataclass
class Served:
    """The running application, and what there is in it."""

    url: str
    session: requests.Session
    ids: dict[str, str]


@pytest.fixture(scope="module")
def served(template_database: str, broker: Broker) -> Iterator[Served]:
    """A live server on a database of its own, full of things. Vendors are nobody."""
    servers, name = shared_servers(), "fuzz_" + uuid4().hex[:12]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner TEMPLATE "{template_database}"')
    owner_url, app_url = (servers[which].rsplit("/", 1)[0] + "/" + name for which in ("owner_url", "app_url"))
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        whole: Any = Settings(
            data_dir=Path(folder), kafka=broker.bootstrap, database_url=app_url, secret_keys=generate_key(),
            port=port, vendor_origin="http://127.0.0.1:9",
        )  # fmt: skip
        app = create_app(whole)
        server = ApiServer(uvicorn.Config(app, log_config=None, access_log=False, ws="none"), app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{port}"
            _await(lambda: requests.get(url + "/health/live", timeout=5).ok)
            with ThreadPoolExecutor(1) as own_loop:
                key, ids = own_loop.submit(asyncio.run, _filled(whole, app, owner_url)).result()
            session = requests.Session()
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {key}"
            yield Served(url, session, ids)
        finally:
            server.should_exit = True
            thread.join(30)
            with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _await(ready: Callable[[], bool]) -> None:
    for _ in range(600):
        try:
            if ready():
                return
        except requests.ConnectionError:
            pass
        threading.Event().wait(0.05)
    pytest.fail("the server did not start")


async def _filled(whole: Settings, app: Any, owner_url: str) -> tuple[str, dict[str, str]]:
    """A key of the owner's, and the ids of the things that are there."""
    workspace_id, user_id = await asyncio.to_thread(ensure_home, owner_url)
    url: Any = whole.database_url
    pool = await open_pool(url.get_secret_value(), size=1)
    owner = await asyncpg.connect(owner_url)
    try:
        key = await create_api_key(pool, workspace_id, user_id, "fuzz")
        nobody: Any = None
        api = Api(app, whole, workspace_id, user_id, key, nobody, nobody, clock.now())
        return key, (await plant(api, owner)).ids
    finally:
        await owner.close()
        await pool.close()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_request_is_answered_by_a_fault_of_ours(case: schemathesis.Case, served: Served) -> None:
    if zlib.crc32(repr(case.path_parameters).encode()) % 2:  # at a thing that is there, rather than at a random id
        for name in set(case.path_parameters or {}) & served.ids.keys():
            case.path_parameters[name] = served.ids[name]
    answer = case.call(base_url=served.url, session=served.session, timeout=60)
    if answer.status_code >= 500:
        assert answer.status_code == 503, answer.text
        assert answer.json()["reason"] in AWAY, answer.text
    case.validate_response(answer, checks=CHECKS)


def test_garbage_for_the_stream_without_end_is_never_a_500(served: Served) -> None:
    named = {each["name"]: each["in"] for each in described["paths"][ENDLESS]["get"]["parameters"]}
    assert set(named.values()) == {"query", "header"}
    for name, place in named.items():
        for garbage in GARBAGE:
            sent: Any = {"headers": {name: garbage.encode("utf-8")}} if place == "header" else {}
            query = f"?{name}={garbage}" if place == "query" else ""
            with served.session.get(f"{served.url}{ENDLESS}{query}", stream=True, timeout=60, **sent) as answer:
                assert answer.status_code < 500, f"{name}={garbage}"


def test_the_description_names_every_operation_and_every_operation_is_tried() -> None:
    tried = {operation.ok().label for operation in schema.get_all_operations()}
    named = {f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods}
    assert named - tried == {f"GET {ENDLESS}"}
