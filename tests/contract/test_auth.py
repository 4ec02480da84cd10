"""One suite over the registry: a person signs in at the source, access is renewed in time, and its end is said."""

from urllib.parse import unquote_plus, urlsplit

import pytest

from connectors import oauth
from connectors.contract import Auth, OAuth
from connectors.http import open_http
from connectors.registry import CONNECTORS
from schemas.faults import ConfigFault, TransientFault
from tests.contract.vendors import REDIRECT, Vendor, signed_in, some_calls, vendor_of, ways
from tests.fakes.vendors.core import Vendors

SIGNING_IN = [name for name, kind in ways() if kind == "oauth"]

UNUSED = {"dialpad": "asks for a right to recordings that matters only in webhooks, and one to stay signed in"}


@pytest.fixture(params=SIGNING_IN)
async def vendor(request: pytest.FixtureRequest, fake_vendors: Vendors) -> Vendor:
    """Every connector that people sign in to."""
    return await vendor_of(request.param, "oauth", fake_vendors)


def told_by(vendor: Vendor) -> OAuth:
    assert vendor.auth.oauth is not None
    return vendor.auth.oauth


async def test_an_address_to_sign_in_at_holds_no_secret_and_asks_for_the_declared_rights(vendor: Vendor) -> None:
    address = oauth.authorize_address(
        told_by(vendor), "ours", redirect_uri=REDIRECT, state="s-1", verifier=oauth.new_verifier(),
        fields={field.name: field.default for field in vendor.auth.fields},
    )  # fmt: skip
    assert address.startswith("https://")
    address = unquote_plus(address)
    assert "state=s-1" in address
    assert "secret" not in address
    assert ("code_challenge=" in address) == told_by(vendor).pkce
    assert "code_verifier" not in address
    for scope in told_by(vendor).scopes:
        assert scope in address


async def test_access_that_has_ended_is_renewed_without_a_word(vendor: Vendor) -> None:
    wanted = vendor.add(*some_calls(vendor, 3, 5))
    vendor.world.expire(vendor.name)
    async with vendor.api() as api:
        found = {item.external_id for item in await vendor.items(api, vendor.recent(10))}
        assert api.credential["access_token"] != vendor.credential["access_token"]
        assert api.credential.get("refresh_token")
    assert found == wanted


async def test_what_the_source_said_beside_the_tokens_is_kept(vendor: Vendor) -> None:
    async with open_http() as http:
        renewed = await oauth.refresh(vendor.server(http), vendor.credential)
    assert set(vendor.credential) <= set(renewed)
    assert renewed["access_token"] != vendor.credential["access_token"]
    assert float(renewed["expires_at"]) > vendor.world.now().timestamp()


async def test_a_refresh_may_be_followed_by_another(vendor: Vendor) -> None:
    async with open_http() as http:
        once = await oauth.refresh(vendor.server(http), vendor.credential)
        twice = await oauth.refresh(vendor.server(http), once)
    assert twice["access_token"] != once["access_token"]


async def test_revoked_access_is_said_in_a_sentence(vendor: Vendor) -> None:
    vendor.world.revoke(vendor.name)
    try:
        async with vendor.api() as api:
            with pytest.raises(ConfigFault) as caught:
                await vendor.pull.list_page(api, vendor.recent(5), None)
    finally:
        for name in CONNECTORS:
            vendor.world.restore(name)
    assert "onnect" in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    assert vendor.credential["access_token"] not in f"{caught.value} {caught.value.detail}"


@pytest.mark.parametrize("kind", ["429", "503"])
async def test_trouble_at_the_token_page_passes(vendor: Vendor, kind: str) -> None:
    vendor.order(kind, where=urlsplit(vendor.world.servers[vendor.name]).path)
    async with open_http() as http:
        with pytest.raises(TransientFault):
            await oauth.refresh(vendor.server(http), vendor.credential)
        renewed = await oauth.refresh(vendor.server(http), vendor.credential)
    assert renewed["access_token"] != vendor.credential["access_token"]


async def test_a_right_that_was_not_given_is_named_at_the_latest_when_it_is_needed(vendor: Vendor) -> None:
    rights = told_by(vendor).scopes
    if len(rights) < 2:
        pytest.skip(f"{vendor.name} has no rights to choose from")
    vendor.add(*some_calls(vendor, 1, 5))
    said = ""
    try:
        vendor.world.granted[vendor.name] = frozenset(rights[:1])
        vendor.credential = await signed_in(vendor)
        async with vendor.api() as api:
            assert vendor.connector.validate is not None
            said = " ".join((await vendor.connector.validate(api)).missing)
            for item in await vendor.items(api, vendor.recent(10)):
                await vendor.pull.fetch(api, item)
    except ConfigFault as fault:
        said += fault.sentence
    finally:
        vendor.world.granted.pop(vendor.name, None)
    assert said or vendor.name in UNUSED, f"nothing was said to be missing of {rights[1:]}"


@pytest.mark.parametrize("name", SIGNING_IN)
def test_headers_of_a_credential_hold_its_token_and_nothing_else_of_it(name: str) -> None:
    auth: Auth = next(auth for auth in CONNECTORS[name].auths if auth.kind == "oauth")
    credential = {"access_token": "the-token", "refresh_token": "the-other", "expires_at": "1"}
    headers = auth.headers(credential | {field.name: "a-field" for field in auth.fields})
    said = " ".join(headers.values())
    assert "the-token" in said
    assert "the-other" not in said
