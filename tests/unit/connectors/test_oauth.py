"""OAuth: what the authorization server is asked, and what becomes of its answers."""

import base64
import json
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from connectors.contract import Connector, OAuth
from connectors.http import open_http
from connectors.oauth import Server, authorize_address, exchange_code, new_verifier, refresh
from schemas.calls import NormalizedCall
from schemas.faults import ConfigFault, Fault, TransientFault
from schemas.settings import OAuthClient
from streams.io.retry_after import retry_after
from tests.unit.io.raw_server import RawServer, raw_server, reply

NOW = datetime(2025, 11, 5, 10, 0, tzinfo=UTC)
SECRET = "cl1ent-s3cret"
REDIRECT = "https://calls.example/api/oauth/acme/callback"
OLD = {"access_token": "old", "refresh_token": "r1", "expires_at": "1", "api_base": "https://eu.acme.example"}


def to_call(payload: dict[str, Any]) -> NormalizedCall:
    raise NotImplementedError


ACME = Connector("acme", "Acme", to_call=to_call, external_id_of=lambda payload: "1")


def oauth(**more: Any) -> OAuth:
    return OAuth(
        "https://acme.example/authorize?kind=app", "https://acme.example/token", **{"scopes": ("a", "b")} | more
    )


@asynccontextmanager
async def server(
    answer: bytes | list[bytes], told: OAuth | None = None, secret: str = SECRET
) -> AsyncIterator[tuple[Server, RawServer]]:
    answers = answer if isinstance(answer, list) else [answer]
    async with raw_server(lambda request: answers.pop(0)) as raw, open_http() as http:
        yield (
            Server(
                http, ACME, told or oauth(), OAuthClient(client_id="client 1", client_secret=SecretStr(secret)),
                lambda: NOW, retry_after, f"http://127.0.0.1:{raw.port}",
            ),
            raw,
        )  # fmt: skip


def tokens(**values: Any) -> bytes:
    return reply(200, json.dumps({"access_token": "new", "token_type": "bearer", "expires_in": 3600} | values).encode())


def asked(raw: RawServer) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers (lower case) and fields of the last request."""
    head, body = raw.requests[-1].decode().split("\r\n\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head.split("\r\n")[1:])}
    is_json = headers["content-type"] == "application/json"
    return headers, json.loads(body) if is_json else dict(parse_qsl(body, strict_parsing=True))


# The browser's way ---------------------------------------------------------------------------------------------------


def query_of(address: str) -> Mapping[str, list[str]]:
    return parse_qs(urlsplit(address).query, strict_parsing=True)


def test_the_address_asks_for_a_code_with_state_and_scopes() -> None:
    told = oauth(extra={"access_type": "offline", "prompt": "consent"})
    address = authorize_address(told, "client 1", redirect_uri=REDIRECT, state="s1", verifier="v" * 64)
    assert address.startswith("https://acme.example/authorize?")
    assert query_of(address) == {
        "kind": ["app"], "response_type": ["code"], "client_id": ["client 1"], "redirect_uri": [REDIRECT],
        "scope": ["a b"], "state": ["s1"], "access_type": ["offline"], "prompt": ["consent"],
    }  # fmt: skip


def test_pkce_is_used_where_the_source_knows_it() -> None:
    # The verifier and challenge of RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    address = authorize_address(oauth(pkce=True), "c", redirect_uri=REDIRECT, state="s", verifier=verifier)
    assert query_of(address)["code_challenge"] == ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]
    assert query_of(address)["code_challenge_method"] == ["S256"]
    assert 43 <= len(new_verifier()) <= 128
    assert new_verifier() != new_verifier()


def test_a_field_of_the_form_can_name_the_server_and_nothing_else() -> None:
    told = OAuth("https://{host}.acme.example/authorize", "https://{host}.acme.example/token", scopes=())
    good = authorize_address(told, "c", redirect_uri=REDIRECT, state="s", fields={"host": "eu-1"})
    assert good.startswith("https://eu-1.acme.example/authorize?")
    assert "scope" not in query_of(good)
    for bad in ("", "evil.example/x", "a@b", "a?b", "a#", "..", "a\n"):
        with pytest.raises(ConfigFault, match="The field host"):
            authorize_address(told, "c", redirect_uri=REDIRECT, state="s", fields={"host": bad})


def test_the_address_goes_to_the_fake_vendors_when_there_are_some() -> None:
    address = authorize_address(oauth(), "c", redirect_uri=REDIRECT, state="s", vendor_origin="http://127.0.0.1:5")
    assert address.startswith("http://127.0.0.1:5/acme.example/authorize?kind=app&")


# A code for a token --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["form", "json"])
@pytest.mark.parametrize("client_in", ["header", "body"])
async def test_the_code_is_exchanged_as_the_source_wants_it(body: Any, client_in: Any) -> None:
    async with server(tokens(refresh_token="r1"), oauth(body=body, client_in=client_in, pkce=True)) as (ours, raw):
        found = await exchange_code(ours, code="c/1", redirect_uri=REDIRECT, verifier="v" * 43, fields={"env": "eu"})
    headers, sent = asked(raw)
    expected = {"grant_type": "authorization_code", "code": "c/1", "redirect_uri": REDIRECT, "code_verifier": "v" * 43}
    if client_in == "body":
        expected |= {"client_id": "client 1", "client_secret": SECRET}
        assert "authorization" not in headers
    else:
        assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f"client 1:{SECRET}"
    assert sent == expected
    assert found == {
        "env": "eu", "access_token": "new", "refresh_token": "r1", "expires_at": str(int(NOW.timestamp()) + 3600),
    }  # fmt: skip


async def test_a_public_client_names_itself_and_no_secret() -> None:
    async with server(tokens(), oauth(client_in="header", pkce=True), secret="") as (ours, raw):
        await exchange_code(ours, code="c", redirect_uri=REDIRECT, verifier="v" * 43)
    headers, sent = asked(raw)
    assert "authorization" not in headers
    assert (sent["client_id"], "client_secret" in sent) == ("client 1", False)


async def test_what_the_source_keeps_beside_the_token_is_kept_as_text() -> None:
    told = oauth(keeps=("api_base", "owner_id", "odd", "gone"))
    answer = tokens(api_base="https://x.acme.example", owner_id=42, odd={"a": 1}, scope="a b c", other="no")
    async with server(answer, told) as (ours, _):
        found = await exchange_code(ours, code="c", redirect_uri=REDIRECT)
    assert found["api_base"] == "https://x.acme.example"
    assert found["owner_id"] == "42"
    assert found["scope"] == "a b c"
    assert not {"odd", "gone", "other"} & set(found)


# A fresh token -------------------------------------------------------------------------------------------------------


async def test_a_rotated_refresh_token_takes_the_place_of_the_old_one() -> None:
    async with server(tokens(refresh_token="r2")) as (ours, raw):
        found = await refresh(ours, OLD)
    assert asked(raw)[1] == {
        "grant_type": "refresh_token", "refresh_token": "r1", "client_id": "client 1", "client_secret": SECRET,
    }  # fmt: skip
    assert found == OLD | {
        "access_token": "new", "refresh_token": "r2", "expires_at": str(int(NOW.timestamp()) + 3600)
    }  # fmt: skip


async def test_an_answer_without_a_refresh_token_leaves_the_old_one() -> None:
    async with server(tokens(expires_in=None)) as (ours, _):
        found = await refresh(ours, OLD)
    assert (found["refresh_token"], "expires_at" in found) == ("r1", False)


async def test_a_scope_that_changed_is_no_fault() -> None:
    async with server(tokens(scope="other")) as (ours, _):
        assert (await refresh(ours, OLD))["scope"] == "other"


async def test_a_length_of_life_in_a_text_counts() -> None:
    async with server(tokens(expires_in="1800")) as (ours, _):
        assert (await refresh(ours, OLD))["expires_at"] == str(int(NOW.timestamp()) + 1800)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant", "error_description": "Token r1 has been revoked."}),
        (401, {"error": "invalid_grant"}),
        (400, {"reason": "Invalid Token!", "error": "invalid_request"}),
        (400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}),
        (403, {"message": "no"}),
        (200, {"error": "invalid_grant"}),
    ],
)
async def test_revoked_access_is_a_sentence_that_says_to_connect_again(status: int, body: Any) -> None:
    fault = await fault_of(reply(status, json.dumps(body).encode()))
    assert isinstance(fault, ConfigFault)
    assert fault.reason == "access_revoked"
    assert fault.sentence == (
        "Acme no longer lets callstream in: access was revoked or has expired. Connect the account again."
    )


async def fault_of(*answers: bytes) -> Fault:
    async with server(list(answers)) as (ours, raw):
        with pytest.raises(Fault) as caught:
            await refresh(ours, OLD)
        assert len(raw.requests) == 1, "a refresh token that rotates is spent by the first try"
    text = "".join(traceback.format_exception(caught.value)) + caught.value.detail
    assert not any(secret in text for secret in (SECRET, "r1", "Basic"))
    return caught.value


async def test_without_a_refresh_token_there_is_nothing_to_ask_with() -> None:
    async with server(tokens()) as (ours, raw):
        with pytest.raises(ConfigFault, match="access was revoked or has expired"):
            await refresh(ours, {"access_token": "static"})
    assert raw.requests == []


@pytest.mark.parametrize("word", ["invalid_client", "unauthorized_client", "redirect_uri_mismatch"])
async def test_a_wrong_registration_is_ours_to_mend(word: str) -> None:
    fault = await fault_of(reply(401, json.dumps({"error": word}).encode()))
    assert fault.reason == "oauth_client_refused"
    assert "CALLSTREAM_OAUTH_CLIENTS" in fault.sentence


@pytest.mark.parametrize(
    ("answer", "reason", "wait"),
    [
        (reply(503), "vendor_failing", None),
        (reply(429, Retry_After="60"), "rate_limited", 60.0),
        (reply(400, b'{"error": "temporarily_unavailable"}'), "vendor_failing", None),
        (reply(200, b'{"access_token": "ne'), "vendor_answer_broken", None),
        (reply(200, b"<html>"), "vendor_answer_broken", None),
        (reply(200, b"[]"), "vendor_answer_broken", None),
        (reply(200, b"{}"), "vendor_answer_broken", None),
        (reply(200, b'{"access_token": 7}'), "vendor_answer_broken", None),
        (reply(200, b'{"access_token": "x", "expires_in": "soon"}'), "vendor_answer_broken", None),
        (b"", "vendor_unreachable", None),
    ],
)
async def test_a_server_in_trouble_is_asked_again_later(answer: bytes, reason: str, wait: float | None) -> None:
    fault = await fault_of(answer)
    assert isinstance(fault, TransientFault)
    assert (fault.reason, fault.retry_after) == (reason, wait)


async def test_a_code_that_is_refused_is_a_sign_in_to_repeat() -> None:
    async with server(reply(400, b'{"error": "invalid_grant"}')) as (ours, _):
        with pytest.raises(ConfigFault, match="did not accept the sign-in") as caught:
            await exchange_code(ours, code="c", redirect_uri=REDIRECT)
    assert caught.value.reason == "sign_in_refused"
