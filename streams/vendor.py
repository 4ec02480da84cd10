"""The way to a source: its connector, its account's credential and limits, put together into an `Api`.

A `ConfigFault` that comes out of it says that a person must act; what becomes of the source then is the caller's to
decide.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import httpx2

from connectors import oauth
from connectors.budget import NoBudget
from connectors.contract import Auth, AuthKind, Connector, Credential
from connectors.http import Client, Refresh, open_http
from connectors.pacing import until_midnight
from connectors.registry import CONNECTORS
from schemas.faults import ConfigFault
from schemas.settings import OAuthClient, Settings
from streams.io import clock, credentials
from streams.io.budgets import AccountBudget
from streams.io.reach import reach
from streams.io.retry_after import retry_after
from streams.io.secrets import Secrets
from streams.io.sources import Source
from streams.io.store import Pool


@asynccontextmanager
async def open_api(settings: Settings, pool: Pool, secrets: Secrets, source: Source) -> AsyncIterator[Client]:
    """The `Api` of a connected account, with a credential that has not ended. `pool` may be the pipeline's or not."""
    connector = connector_of(source.source_app)
    auth = auth_of(connector, source.credential_type)
    credential = await credentials.read(pool, secrets, source.workspace_id, source.source_id)

    async def refreshed(kept: Credential) -> Credential:
        async with open_http() as http:  # of its own: it goes on when whoever began it is gone
            return await oauth.refresh(server_of(settings, connector, http), kept)

    async def renew(stale: Credential) -> Credential:
        return await credentials.renew(pool, secrets, source.workspace_id, source.source_id, stale, refreshed)

    renews = auth.kind == "oauth"
    async with open_http() as http:
        if renews and credentials.ends_soon(credential, clock.now()):
            credential = dict(await renew(credential))
        budget = budget_of(pool, connector, source.account)
        client = _client(settings, connector, auth, credential, http, budget, renew if renews else None)
        async with client.kept:
            yield client


@asynccontextmanager
async def open_api_for(
    settings: Settings, connector: Connector, kind: AuthKind, credential: Credential, *, account: str = "",
    pool: Pool | None = None,
) -> AsyncIterator[Client]:  # fmt: skip
    """The `Api` for a credential that is not kept (yet): nothing is refreshed. Its requests are counted under `account`
    (`Source.account`) where `pool` is given, too."""
    budget = budget_of(pool, connector, account) if pool is not None and account else None
    async with open_http() as http:
        client = _client(settings, connector, auth_of(connector, kind), credential, http, budget, None)
        async with client.kept:
            yield client


def _client(
    settings: Settings, connector: Connector, auth: Auth, credential: Credential, http: httpx2.AsyncClient,
    budget: AccountBudget | None, renew: Refresh | None,
) -> Client:  # fmt: skip
    return Client(
        connector=connector, auth=auth, credential=credential, http=http, clock=clock.now, wait_of=retry_after,
        budget=budget or NoBudget(), refresh=renew, vendor_origin=settings.vendor_origin,
        reach=partial(reach, settings=settings),
    )  # fmt: skip


def budget_of(pool: Pool, connector: Connector, account: str) -> AccountBudget:
    """What is spent of an account's limits."""
    return AccountBudget(pool, account, connector.limits, until_midnight)


def connector_of(source_app: str) -> Connector:
    """The connector of a source. Raises `ConfigFault`."""
    connector = CONNECTORS.get(source_app)
    if connector is None:
        sentence = f'callstream has no source called "{source_app[:60]}". It may need a newer version of callstream.'
        raise ConfigFault("unknown_source", sentence)
    return connector


def auth_of(connector: Connector, kind: str | None) -> Auth:
    """One of the ways to connect an account. Raises `ConfigFault` for one that there is not (any more)."""
    for auth in connector.auths:
        if auth.kind == kind:
            return auth
    raise ConfigFault(
        "credential_missing",
        f"There is no credential that {connector.display_name} could be asked with. Connect the account again.",
    )


def server_of(settings: Settings, connector: Connector, http: httpx2.AsyncClient) -> oauth.Server:
    """The authorization server of a source, and our registration there. Raises `ConfigFault` without one."""
    told = auth_of(connector, "oauth").oauth
    assert told is not None  # noqa: S101 - the contract tests look at every connector
    return oauth.Server(
        http=http, connector=connector, oauth=told, ours=registration_of(settings, connector), clock=clock.now,
        wait_of=retry_after, vendor_origin=settings.vendor_origin,
    )  # fmt: skip


def registration_of(settings: Settings, connector: Connector) -> OAuthClient:
    """This installation's client at the source. Raises `ConfigFault` when there is none."""
    ours = settings.oauth_clients.get(connector.source_app)
    if ours is None:
        raise ConfigFault(
            "oauth_client_missing",
            f"This installation is not registered with {connector.display_name}. Register it there, and put client id "
            f'and secret into CALLSTREAM_OAUTH_CLIENTS under "{connector.source_app}".',
        )
    return ours


def sign_in_address(
    settings: Settings, connector: Connector, *, redirect_uri: str, state: str, verifier: str,
    fields: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Where a person's browser goes to connect an account; `verifier` is an `oauth.new_verifier()` that is kept."""
    told = auth_of(connector, "oauth").oauth
    assert told is not None  # noqa: S101 - the contract tests look at every connector
    return oauth.authorize_address(
        told, registration_of(settings, connector).client_id, redirect_uri=redirect_uri, state=state,
        verifier=verifier, fields=fields, vendor_origin=settings.vendor_origin,
    )  # fmt: skip


async def finish_sign_in(
    settings: Settings, connector: Connector, *, code: str, redirect_uri: str, verifier: str,
    fields: Mapping[str, str] | None = None,
) -> dict[str, str]:  # fmt: skip
    """The credential for the code that the browser brought back, with the form's `fields`. To be checked and kept."""
    async with open_http() as http:
        return await oauth.exchange_code(
            server_of(settings, connector, http), code=code, redirect_uri=redirect_uri, verifier=verifier,
            fields=fields,
        )  # fmt: skip
