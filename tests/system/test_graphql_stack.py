"""GraphQL on the whole of callstream, by a client that has read only the published schema: connect, preview, import,
follow to the end, cancel, change the schedule, disconnect."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from streams.io import clock
from tests.fakes.vendors.core import Vendors, start_fake_vendors
from tests.graphql_client import Client
from tests.servers import Servers
from tests.stack import Stack, start_stack, until

pytestmark = pytest.mark.system
CALLS = 12


@pytest.fixture(scope="module")
def vendors() -> Any:
    """The fake vendors."""
    with start_fake_vendors("fathom") as running:
        yield running


@pytest.fixture(scope="module")
async def stack(
    quiet: Servers, vendors: Vendors, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:  # fmt: skip
    """callstream, with its sources turned to the fakes."""
    running = await asyncio.to_thread(
        lambda: start_stack(
            tmp_path_factory.mktemp("graphql"), quiet["kafka"], servers=quiet, vendor_origin=vendors.origin
        )
    )
    try:
        yield running
    finally:
        await running.close_pools()
        await asyncio.to_thread(running.stop)


async def test_an_account_is_connected_imported_followed_and_disconnected(stack: Stack, vendors: Vendors) -> None:
    now = vendors.world.now()
    vendors.world.seed("fathom", CALLS, now - timedelta(days=20), now - timedelta(days=15), Random(1))
    span = {
        "dateRangeStart": (clock.now() - timedelta(days=25)).isoformat(),
        "dateRangeEnd": (clock.now() - timedelta(days=10)).isoformat(),
    }
    async with stack.client() as http:
        client = Client(http, stack.api_url)
        [fathom] = [each for each in await client.query("importPlatforms") if each["displayName"] == "Fathom"]
        assert "API_KEY" in [way["type"] for way in fathom["auths"]]
        assert (await http.get(fathom["logoUrl"])).headers["content-type"] == "image/svg+xml"

        key = vendors.credential("fathom")["api_key"]
        made = await client.mutate("createImportCredential", platform=fathom["platform"], apiKey=key)
        assert made["error"] is None
        credential = made["credential"]
        assert (credential["isValid"], credential["credentialType"]) == (True, "API_KEY")
        mine = {"credentialId": credential["id"]}
        assert [each["id"] for each in await client.query("importCredentials")] == [credential["id"]]

        preview = await client.query("importPreview", **mine, **span)
        assert preview["callCount"] == CALLS
        assert preview["pricing"]["billableCalls"] == CALLS

        started = await client.mutate("startImportJob", **mine, jobType="HISTORICAL", **span)
        assert started["error"] is None
        job = started["job"]
        seen = [each async for each in client.follow("importJobProgress", jobId=job["id"])]
        assert {each["id"] for each in seen} == {job["id"]}
        assert [each["processedCalls"] for each in seen] == sorted(each["processedCalls"] for each in seen)
        last = seen[-1]
        assert (last["status"], last["totalCalls"], last["processedCalls"]) == ("COMPLETED", CALLS, CALLS)
        assert last["completedAt"] is not None
        assert await client.query("importJob", id=job["id"]) == last
        assert job["id"] in [each["id"] for each in await client.query("importJobs", status="COMPLETED")]
        over = await client.mutate("cancelImportJob", jobId=job["id"])
        assert (over["job"], over["error"]["reason"]) == (None, "already_over")

        stack.pause("pull")
        again = (await client.mutate("startImportJob", **mine, jobType="BACKFILL", **span))["job"]
        ended = asyncio.create_task(_last(client, again["id"]))
        cancelled = await client.mutate("cancelImportJob", jobId=again["id"])
        stack.resume("pull")
        assert cancelled["job"]["status"] == "CANCELLED"
        assert (await ended)["status"] == "CANCELLED"

        told = await client.mutate("configureImportSync", **mine, enabled=False, syncFrequencyMinutes=360)
        assert (told["credential"]["syncEnabled"], told["credential"]["syncFrequencyMinutes"]) == (False, 360)
        assert (await client.mutate("verifyImportCredential", **mine))["error"] is None
        gone = await client.mutate("deleteImportCredential", **mine)
        assert gone == {"deletedCredentialId": credential["id"], "error": None}
        assert await client.query("importCredentials") == []
        assert (await client.mutate("deleteImportCredential", **mine))["error"]["reason"] == "not_found"
    assert await stack.value("SELECT count(*) FROM recordings WHERE source_app = 'fathom'") == CALLS


async def _last(client: Client, job_id: str) -> Any:
    return [each async for each in client.follow("importJobProgress", jobId=job_id)][-1]


async def test_a_subscription_goes_on_although_the_workers_die(stack: Stack, vendors: Vendors) -> None:
    now = vendors.world.now()
    vendors.world.seed("fathom", CALLS, now - timedelta(days=50), now - timedelta(days=45), Random(2))
    async with stack.client() as http:
        client = Client(http, stack.api_url)
        key = vendors.credential("fathom")["api_key"]
        made = await client.mutate("createImportCredential", platform="fathom", apiKey=key)
        begun = await client.mutate(
            "startImportJob",
            credentialId=made["credential"]["id"],
            dateRangeStart=(clock.now() - timedelta(days=55)).isoformat(),
            dateRangeEnd=(clock.now() - timedelta(days=40)).isoformat(),
        )
        ended = asyncio.create_task(_last(client, begun["job"]["id"]))
        stack.kill("pipeline")
        last = await asyncio.wait_for(ended, 120)
        assert (last["status"], last["processedCalls"]) == ("COMPLETED", CALLS)
        await until(lambda: _gone(client, made["credential"]["id"]), 30, "the end of the account")


async def _gone(client: Client, credential_id: str) -> bool:
    return (await client.mutate("deleteImportCredential", credentialId=credential_id))["error"] is None
