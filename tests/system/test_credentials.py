"""Credentials at rest and in use: sealed for their row, refreshed once for everybody, never lost on the way."""

import asyncio
import json
import secrets as random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from connectors import registry
from connectors.contract import Auth, Connector, Limit, OAuth
from ops.migrate import rotate_secrets
from schemas.calls import NormalizedCall
from schemas.faults import ConfigFault, TransientFault
from schemas.settings import OAuthClient, Settings
from streams.io import clock, credentials, sources
from streams.io.secrets import Secrets, generate_key, open_secrets
from streams.io.sources import Source
from streams.io.store import Pool, in_workspace, open_pool
from streams.vendor import finish_sign_in, open_api, open_api_for, sign_in_address
from tests.conftest import Database
from tests.unit.io.raw_server import raw_server, reply

KEYS = Settings(_env_file=None, secret_keys=SecretStr(generate_key()))
SECRETS = open_secrets(KEYS)
OLD = {"access_token": "a1", "refresh_token": "r1", "host": "eu"}


def to_call(payload: dict[str, Any]) -> NormalizedCall:
    raise NotImplementedError


def bearer(credential: Mapping[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential['access_token']}"}


ACME = Connector(
    "acme", "Acme", to_call=to_call, external_id_of=lambda payload: "1", base="https://api.acme.example",
    auths=(Auth("oauth", bearer, oauth=OAuth("https://acme.example/authorize", "https://acme.example/token", ("a",))),),
    limits=(Limit(3, 3600.0),),
)  # fmt: skip


async def connect(database: Database, credential: Mapping[str, str] = OLD, **more: Any) -> Source:
    options: dict[str, Any] = {"source_app": "acme", "account_email": "sam@acme.example", "kind": "oauth"} | more
    async with in_workspace(database.pipeline_pool, database.workspace_id) as connection:
        source, _ = await sources.create_or_reconnect(
            connection, SECRETS, workspace_id=database.workspace_id, user_id=database.user_id, credential=credential,
            **options,
        )  # fmt: skip
    return source


async def stored(database: Database, source: Source, secrets: Secrets = SECRETS) -> dict[str, str]:
    return await credentials.read(database.pipeline_pool, secrets, source.workspace_id, source.source_id)


async def test_a_credential_is_sealed_for_its_row(database: Database) -> None:
    one = await connect(database)
    other = await connect(database, account_email="kim@acme.example")
    assert await stored(database, one) == OLD
    rows = await database.pipeline_pool.fetch("SELECT * FROM import_credentials")
    assert not any(value in repr(row) for row in rows for value in OLD.values() if len(value) > 2)
    sealed = next(row["encrypted_credential"] for row in rows if row["source_id"] == one.source_id)
    await database.pipeline_pool.execute(
        "UPDATE import_credentials SET encrypted_credential = $2 WHERE source_id = $1", other.source_id, sealed
    )
    with pytest.raises(ConfigFault, match="cannot be decrypted"):
        await stored(database, other)


async def test_another_workspace_does_not_see_it(database: Database) -> None:
    source = await connect(database)
    pool = await open_pool(database.app_url)
    try:
        with pytest.raises(ConfigFault, match="no credential for this account"):
            await credentials.read(pool, SECRETS, uuid4(), source.source_id)
        assert await credentials.read(pool, SECRETS, source.workspace_id, source.source_id) == OLD
    finally:
        pool.terminate()


async def test_a_credential_that_was_deleted_must_be_entered_again(database: Database) -> None:
    source = await connect(database, one_off=True)
    await database.pipeline_pool.execute("DELETE FROM import_credentials")
    with pytest.raises(ConfigFault, match="Connect it again"):
        await stored(database, source)


async def test_rotating_the_keys_seals_credentials_again(database: Database) -> None:
    source = await connect(database)
    old = KEYS.secret_keys.get_secret_value() if KEYS.secret_keys else ""
    newest = generate_key()
    both = open_secrets(Settings(_env_file=None, secret_keys=SecretStr(f"{newest},{old}")))
    assert await asyncio.to_thread(rotate_secrets, database.app_url, both) == 1
    assert await asyncio.to_thread(rotate_secrets, database.app_url, both) == 0
    alone = open_secrets(Settings(_env_file=None, secret_keys=SecretStr(newest)))
    assert await stored(database, source, alone) == OLD


# One refresh at a time -----------------------------------------------------------------------------------------------


class Rotating:
    """An authorization server whose refresh tokens are good once. Counts who asks with what."""

    def __init__(self) -> None:
        self.valid, self.asked = "r1", 0
        self.begun = asyncio.Event()
        self.held: asyncio.Event | None = None

    async def refresh(self, kept: Mapping[str, str]) -> dict[str, str]:
        self.asked += 1
        self.begun.set()
        assert kept["refresh_token"] == self.valid, "an old refresh token was used"
        self.valid = f"r{self.asked + 1}"
        fresh = {"access_token": f"a{self.asked + 1}", "refresh_token": self.valid, "expires_at": "1762340400"}
        if self.held is not None:
            await self.held.wait()
        return {**kept, **fresh}


@pytest.fixture
async def workers(database: Database) -> AsyncIterator[list[Pool]]:
    made = [await open_pool(database.app_url, pipeline=True), await open_pool(database.app_url)]
    try:
        yield made
    finally:
        for pool in made:
            pool.terminate()


async def test_of_many_workers_one_refreshes_and_all_get_its_token(database: Database, workers: list[Pool]) -> None:
    source, server = await connect(database), Rotating()

    async def renew(pool: Pool) -> dict[str, str]:
        return await credentials.renew(pool, SECRETS, source.workspace_id, source.source_id, OLD, server.refresh)

    found = await asyncio.gather(*(renew(pool) for pool in workers * 8))
    assert server.asked == 1
    assert all(one == found[0] for one in found)
    assert found[0]["host"] == "eu"
    assert await stored(database, source) == found[0]
    row = await database.pipeline_pool.fetchrow("SELECT expires_at FROM import_credentials")
    assert row is not None
    assert row["expires_at"].timestamp() == 1762340400


async def test_a_rotated_token_is_stored_though_nobody_waits_for_it_any_more(database: Database) -> None:
    source, server = await connect(database), Rotating()
    server.held = asyncio.Event()
    waiting = asyncio.create_task(
        credentials.renew(
            database.pipeline_pool, SECRETS, source.workspace_id, source.source_id, OLD, server.refresh
        )
    )  # fmt: skip
    await server.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    server.held.set()
    await credentials.settled()
    assert (await stored(database, source))["refresh_token"] == "r2"


async def test_a_rotated_token_is_stored_though_the_database_went_away_meanwhile(
    database: Database, workers: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "STORE_AGAIN", (0.0, 0.0, 0.0))
    source, server = await connect(database), Rotating()

    async def refresh(kept: Mapping[str, str]) -> dict[str, str]:
        fresh = await server.refresh(kept)
        await database.pipeline_pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE state = 'idle in transaction' AND datname = current_database()"
        )
        return fresh

    found = await credentials.renew(workers[0], SECRETS, source.workspace_id, source.source_id, OLD, refresh)
    assert server.asked == 1
    assert await stored(database, source) == found


async def test_a_refresh_that_fails_leaves_the_credential_as_it_was(database: Database) -> None:
    source = await connect(database)

    async def refresh(kept: Mapping[str, str]) -> dict[str, str]:
        raise TransientFault("vendor_failing", "Not now.")

    with pytest.raises(TransientFault):
        await credentials.renew(database.pipeline_pool, SECRETS, source.workspace_id, source.source_id, OLD, refresh)
    assert await stored(database, source) == OLD


async def test_a_credential_that_was_entered_anew_meanwhile_is_not_refreshed(database: Database) -> None:
    source, server = await connect(database), Rotating()
    newer = OLD | {"access_token": "entered anew"}
    assert (await connect(database, newer)).source_id == source.source_id
    found = await credentials.renew(
        database.pipeline_pool, SECRETS, source.workspace_id, source.source_id, OLD, server.refresh
    )
    assert (found, server.asked) == (newer, 0)


# Through the door ----------------------------------------------------------------------------------------------------


class Vendor:
    """A source and its authorization server, over HTTP."""

    def __init__(self) -> None:
        self.access, self.refresh, self.refreshed, self.requests = "a1", "r1", 0, 0
        self.revoked = False
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    async def answer(self, request: bytes) -> bytes:
        text = request.decode()
        if text.startswith("POST /acme.example/token"):
            self.asked.set()
            await self.goes_on.wait()
            if self.revoked or ("grant_type=refresh" in text and f"refresh_token={self.refresh}&" not in text + "&"):
                return reply(400, b'{"error": "invalid_grant"}')
            self.refreshed += 1
            self.access, self.refresh = random.token_hex(8), random.token_hex(8)
            told = {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 3600}
            return reply(200, json.dumps(told).encode())
        self.requests += 1
        return reply(200, b'{"ok": true}') if f"Bearer {self.access}" in text else reply(401)


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[Vendor, Settings]]:
    fake = Vendor()
    async with raw_server(fake.answer) as server:
        yield fake, Settings(
            _env_file=None, vendor_origin=f"http://127.0.0.1:{server.port}",
            oauth_clients={"acme": OAuthClient(client_id="c", client_secret=SecretStr("s"))},
        )  # fmt: skip


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of the tests' own."""
    monkeypatch.setitem(registry.CONNECTORS, "acme", ACME)


async def test_a_token_that_ends_soon_is_refreshed_before_it_is_used(database: Database) -> None:
    soon = str(int((clock.now() + timedelta(seconds=20)).timestamp()))
    source = await connect(database, OLD | {"expires_at": soon})
    async with vendor() as (fake, settings):
        async with open_api(settings, database.pipeline_pool, SECRETS, source) as api:
            assert await api.get("/calls") == {"ok": True}
        assert (fake.refreshed, fake.requests) == (1, 1)
        assert (await stored(database, source))["access_token"] == fake.access
        async with open_api(settings, database.pipeline_pool, SECRETS, source) as api:
            assert await api.get("/calls") == {"ok": True}
        assert fake.refreshed == 1


async def test_two_workers_with_a_token_that_died_refresh_it_once(database: Database, workers: list[Pool]) -> None:
    source = await connect(database)
    async with vendor() as (fake, settings):
        fake.access = "another"

        async def work(pool: Pool) -> Any:
            async with open_api(settings, pool, SECRETS, source) as api:
                return await api.get("/calls", bucket="free")

        assert await asyncio.gather(*(work(pool) for pool in workers * 4)) == [{"ok": True}] * 8
        assert fake.refreshed == 1


async def test_a_token_that_was_asked_for_is_kept_though_the_worker_was_stopped(database: Database) -> None:
    source = await connect(database)
    async with vendor() as (fake, settings):
        fake.access = "another"
        fake.goes_on.clear()

        async def work() -> None:
            async with open_api(settings, database.pipeline_pool, SECRETS, source) as api:
                await api.get("/calls")

        working = asyncio.create_task(work())
        await fake.asked.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        fake.goes_on.set()
        await credentials.settled()
        assert (await stored(database, source))["refresh_token"] == fake.refresh != "r1"


async def test_revoked_access_is_a_fault_that_says_what_to_do(database: Database) -> None:
    source = await connect(database)
    async with vendor() as (fake, settings):
        fake.access, fake.revoked = "another", True
        async with open_api(settings, database.pipeline_pool, SECRETS, source) as api:
            with pytest.raises(ConfigFault, match="access was revoked or has expired"):
                await api.get("/calls")
    assert await stored(database, source) == OLD


async def test_all_sources_of_an_account_share_its_limits(database: Database) -> None:
    one = await connect(database, account_id="77")
    other = await connect(database, account_email="kim@acme.example", account_id="77")
    async with vendor() as (fake, settings):
        async with open_api(settings, database.pipeline_pool, SECRETS, one) as api:
            await api.get("/calls", cost=2)
        async with open_api(settings, database.pipeline_pool, SECRETS, other) as api:
            with pytest.raises(TransientFault, match="Acme allows no more requests until") as caught:
                await api.get("/calls", cost=2)
        async with open_api_for(settings, ACME, "oauth", OLD, account=one.account, pool=database.pipeline_pool) as api:
            await api.get("/calls", cost=1)
            with pytest.raises(TransientFault):
                await api.get("/calls", cost=1)
        assert fake.requests == 2
    assert 3500 < (caught.value.retry_after or 0) < 3900


async def test_a_code_becomes_a_credential(database: Database) -> None:
    async with vendor() as (fake, settings):
        address = sign_in_address(settings, ACME, redirect_uri="https://x/cb", state="s", verifier="v" * 43)
        assert address.startswith(f"{settings.vendor_origin}/acme.example/authorize?")
        found = await finish_sign_in(
            settings, ACME, code="c", redirect_uri="https://x/cb", verifier="v" * 43, fields={"env": "eu"}
        )
        assert (found["access_token"], found["env"]) == (fake.access, "eu")
        async with open_api_for(settings, ACME, "oauth", found) as api:
            assert await api.get("/calls") == {"ok": True}


async def test_an_installation_without_a_registration_says_where_it_belongs(database: Database) -> None:
    settings = Settings(_env_file=None)
    with pytest.raises(ConfigFault, match="CALLSTREAM_OAUTH_CLIENTS") as caught:
        sign_in_address(settings, ACME, redirect_uri="https://x/cb", state="s", verifier="v" * 43)
    assert caught.value.reason == "oauth_client_missing"


async def test_a_source_whose_credential_is_gone_cannot_be_opened(database: Database) -> None:
    source = await connect(database, one_off=True)
    settings = Settings(_env_file=None)
    with pytest.raises(ConfigFault, match="Connect the account again"):
        async with open_api(settings, database.pipeline_pool, SECRETS, replace(source, credential_type=None)):
            pass
    with pytest.raises(ConfigFault, match="no source called"):
        async with open_api(settings, database.pipeline_pool, SECRETS, replace(source, source_app="acme2")):
            pass
