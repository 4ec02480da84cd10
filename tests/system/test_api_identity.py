"""People of an identity provider: tokens in place of API keys, and signing in by browser, over real HTTP."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx2
import jwt
import pytest

from api.tokens import BadToken, Identities, open_identities
from connectors.http import open_http
from schemas.faults import ConfigFault, TransientFault
from schemas.settings import Settings
from streams.io import clock
from tests.conftest import Broker, Database
from tests.fakes.issuer import AUDIENCE, CLIENT_ID, CLIENT_SECRET, Issuer, new_key, start_issuer
from tests.system.api_harness import Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A provider of the test's own."""
    with start_issuer() as running:
        yield running


def told(issuer: Issuer, **changed: Any) -> dict[str, Any]:
    """The settings for it."""
    return {
        "oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET, "oidc_workspace_claim": "tenant", "oidc_role_claim": "realm.roles",
        **changed,
    }  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database, issuer: Issuer) -> AsyncIterator[Api]:
    """The application, which takes that provider's word for workspace and role."""
    async with running_api(tmp_path, broker.bootstrap, database, **told(issuer)) as running:
        issuer.person["tenant"] = "Home"
        yield running


@pytest.fixture
async def plain(tmp_path: Path, broker: Broker, database: Database, issuer: Issuer) -> AsyncIterator[Api]:
    """The application, for a provider that says only who people are."""
    more = told(issuer, oidc_workspace_claim=None, oidc_role_claim=None, oidc_name="Example")
    async with running_api(tmp_path, broker.bootstrap, database, **more) as running:
        yield running


async def ask(api: Api, token: str, path: str = "/api/session", method: str = "GET", **sent: Any) -> httpx2.Response:
    """A request with a token."""
    return await api.anonymous.request(method, path, headers={"Authorization": f"Bearer {token}"}, **sent)


# Tokens ------------------------------------------------------------------------------------------------------------


async def test_a_person_is_made_at_first_sight_and_stays_the_same(api: Api, issuer: Issuer) -> None:
    answers = await asyncio.gather(*(ask(api, issuer.token(email="mila@calls.test")) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["user_id"] for answer in answers}) == 1
    shown = answers[0].json()
    assert (shown["name"], shown["role"], shown["workspace_id"]) == ("Mila Berg", "member", str(api.workspace_id))
    assert shown["scopes"] == ["read", "write", "admin"]
    assert shown["csrf_token"] is None
    assert await api.value("SELECT count(*) FROM banks WHERE personal_of = $1", UUID(shown["user_id"])) == 1
    assert issuer.asked.count("/keys") == 1
    joined = await api.fetch("SELECT target FROM audit_log WHERE action = 'member.joined'")
    assert {row["target"] for row in joined} == {shown["user_id"]}


async def test_role_and_workspace_are_the_providers_to_say_and_may_change(
    api: Api, issuer: Issuer, database: Database
) -> None:
    owner = issuer.token(realm={"roles": ["offline", "owner", "member"]})
    assert (await ask(api, owner)).json()["role"] == "owner"
    assert (await ask(api, owner, "/api/members")).status_code == 200
    assert (await ask(api, issuer.token(realm={"roles": "support"}))).json()["role"] == "support"
    assert (await ask(api, issuer.token(realm={"roles": ["admin"]}))).json()["role"] == "member"
    other = clock.new_id()
    await database.pipeline_pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Acme')", other)
    for place in ("Acme", str(other), str(other).upper()):
        assert (await ask(api, issuer.token(tenant=place))).json()["workspace_id"] == str(other)


async def test_who_belongs_to_no_workspace_is_told_so(api: Api, issuer: Issuer, database: Database) -> None:
    twins = [clock.new_id(), clock.new_id()]
    for each in twins:
        await database.pipeline_pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Twin')", each)
    for place in ("Nowhere", None, "", 7, ["Home"], "a\x00b", "Twin", "home"):
        answer = await ask(api, issuer.token(tenant=place))
        assert (answer.status_code, answer.json()["reason"]) == (403, "no_such_workspace"), place
    assert await api.value("SELECT count(*) FROM users WHERE issuer IS NOT NULL") == 0


async def test_no_token_but_a_good_one_is_taken(api: Api, issuer: Issuer) -> None:
    [key] = issuer.keys
    now = int(time.time())
    claims = issuer.claims()
    foreign, elliptic = new_key(key.kid), new_key(key.kid, "ES256")
    good = issuer.token()
    head, body, signature = good.split(".")
    bad = {
        "none": jwt.encode(claims, None, "none", headers={"kid": key.kid}),
        "public key as secret": _by_public_key(claims, key.pem, key.kid),
        "another's key": issuer.token(foreign),
        "another kind of key": issuer.token(elliptic),
        "unknown kid": issuer.token(new_key("unknown")),
        "wrong audience": issuer.token(aud="https://other.test"),
        "for signing in only": issuer.token(aud=CLIENT_ID),
        "no audience": issuer.token(aud=None),
        "wrong issuer": issuer.token(iss=issuer.url + "/"),
        "ended": issuer.token(exp=now - 61),
        "no end": issuer.token(exp=None),
        "end is no time": issuer.token(exp="tomorrow"),
        "not yet": issuer.token(nbf=now + 120),
        "no subject": issuer.token(sub=None),
        "empty subject": issuer.token(sub=""),
        "control characters": issuer.token(sub="a\x00b"),
        "long subject": issuer.token(sub="a" * 256),
        "huge": issuer.token(more="x" * 20_000),
        "changed": f"{head}.{body[:-2]}AA.{signature}",
        "unsigned": f"{head}.{body}.",
        "cut": good[:-3],
        "unknown critical header": jwt.encode(claims, key.private, "RS256", headers={"kid": key.kid, "crit": ["x"]}),
        "kid is no text": _part(b'{"alg":"RS256","kid":7}') + f".{body}.{signature}",
        "deep": _part(b"[" * 9000) + f".{body}.{signature}",
        "words": "not-a-token",
        "dots": "...",
    }
    for name, token in bad.items():
        answer = await ask(api, token)
        assert answer.status_code == 401, f"{name}: {answer.text}"
        assert answer.json()["reason"] == "not_signed_in"
    assert (await ask(api, good)).status_code == 200
    assert (await ask(api, issuer.token(exp=now - 30, nbf=now + 30))).status_code == 200, "clocks differ by a minute"
    assert issuer.asked.count("/keys") == 1, "unknown keys are asked for once a minute"


def _by_public_key(claims: dict[str, Any], pem: bytes, kid: str) -> str:
    """The old trick: the public key as if it were a shared secret. The library refuses to sign so: done by hand."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid}).encode(), json.dumps(claims).encode()]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mark = base64.urlsafe_b64encode(hmac.digest(pem, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + mark).decode()


def _part(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def test_an_api_key_goes_on_working_beside_the_provider(api: Api, issuer: Issuer) -> None:
    issuer.away = True
    assert (await api.client.get("/api/session")).status_code == 200
    assert (await ask(api, "csk_wrong")).status_code == 401
    assert issuer.asked == []


async def test_while_the_provider_is_away_known_keys_go_on_and_others_get_503(api: Api, issuer: Issuer) -> None:
    later = Later(api)
    issuer.away = True
    first = await ask(api, issuer.token())
    assert (first.status_code, first.json()["reason"]) == (503, "identity_provider_away")
    assert int(first.headers["retry-after"]) > 0
    issuer.away = False
    later.seconds = 6
    assert (await ask(api, issuer.token())).status_code == 200
    issuer.away = True
    later.seconds = 7200
    assert (await ask(api, issuer.token(exp=int(time.time()) + 9000))).status_code == 200, "kept keys go on"
    stranger = issuer.token(new_key("new"), exp=int(time.time()) + 9000)
    assert (await ask(api, stranger)).status_code == 503


class Later:
    """A clock that can be put forward. The application's view of the provider goes by it."""

    def __init__(self, api: Api) -> None:
        self.seconds = 0.0
        api.ports.identities = Identities(api.settings, lambda: clock.unix_now() + self.seconds)


async def test_rotated_keys_are_found_within_a_minute(api: Api, issuer: Issuer) -> None:
    later = Later(api)
    assert (await ask(api, issuer.token())).status_code == 200
    old = issuer.keys[0]
    issuer.rotate()
    assert (await ask(api, issuer.token())).status_code == 401
    later.seconds = 61
    answers = await asyncio.gather(*(ask(api, issuer.token()) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert issuer.asked.count("/keys") == 2, "one request for all of them"
    assert (await ask(api, issuer.token(old))).status_code == 401


async def test_a_request_that_is_broken_off_says_nothing_about_the_provider(issuer: Issuer) -> None:
    identities = open_identities(Settings(**told(issuer)))
    assert identities is not None
    waiting = asyncio.create_task(identities.claims(issuer.token(), AUDIENCE))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await identities.claims(issuer.token(), AUDIENCE))["sub"] == "person-1"


async def test_a_provider_that_answers_nonsense_is_away(issuer: Issuer) -> None:
    for path in ("/token", "/authorize/..", "/nothing"):
        identities = open_identities(Settings(**told(issuer, oidc_jwks_url=issuer.url + path)))
        assert identities is not None
        with pytest.raises(TransientFault, match="cannot be reached"):
            await identities.claims(issuer.token(), AUDIENCE)
    other = open_identities(Settings(**told(issuer, oidc_issuer=issuer.url + "/")))
    assert other is not None
    with pytest.raises(TransientFault):
        await other.document()


def test_settings_that_cannot_work_are_refused_at_the_start(issuer: Issuer) -> None:
    for changed in (
        {"oidc_issuer": "http://provider.test"},
        {"oidc_jwks_url": "http://provider.test/keys"},
        {"oidc_audience": None, "oidc_client_id": None},
    ):
        with pytest.raises(ConfigFault, match="CALLSTREAM_OIDC_"):
            open_identities(Settings(**told(issuer, **changed)))
    assert open_identities(Settings()) is None


# Invitations and removals -------------------------------------------------------------------------------------------


async def test_a_verified_address_takes_up_its_invitation_and_nothing_else(plain: Api, issuer: Issuer) -> None:
    invited = {"name": "Mila", "email": "Mila@calls.test", "role": "support"}
    member = (await plain.client.post("/api/members", json=invited)).json()
    for claims in (
        {"email": "mila@calls.test"}, {"email": "mila@calls.test", "email_verified": "true"},
        {"email": "other@calls.test", "email_verified": True}, {"email_verified": True},
    ):  # fmt: skip
        issuer.person["sub"] = f"stranger-{claims}"[:200]
        shown = (await ask(plain, issuer.token(**claims))).json()
        assert (shown["user_id"] != member["user_id"], shown["role"]) == (True, "member"), claims
    issuer.person["sub"] = "mila"
    shown = (await ask(plain, issuer.token(email="mila@calls.test", email_verified=True))).json()
    assert (shown["user_id"], shown["role"]) == (member["user_id"], "support")
    assert (await ask(plain, issuer.token())).json()["user_id"] == member["user_id"], "from then on by subject alone"
    issuer.person["sub"] = "thief"
    shown = (await ask(plain, issuer.token(email="mila@calls.test", email_verified=True))).json()
    assert shown["user_id"] != member["user_id"], "an invitation is taken up once"


async def test_the_role_an_owner_gave_stays_where_the_provider_says_none(plain: Api, issuer: Issuer) -> None:
    user_id = (await ask(plain, issuer.token())).json()["user_id"]
    assert (await plain.client.patch(f"/api/members/{user_id}", json={"role": "owner"})).status_code == 200
    assert (await ask(plain, issuer.token())).json()["role"] == "owner"


async def test_who_was_taken_out_comes_back_only_when_invited(plain: Api, issuer: Issuer) -> None:
    mail = {"email": "mila@calls.test", "email_verified": True}
    user_id = (await ask(plain, issuer.token(**mail))).json()["user_id"]
    assert (await plain.client.delete(f"/api/members/{user_id}")).status_code == 204
    answer = await ask(plain, issuer.token(**mail))
    assert (answer.status_code, answer.json()["reason"]) == (403, "removed")
    invited = {"name": "Mila", "email": "mila@calls.test", "role": "support"}
    assert (await plain.client.post("/api/members", json=invited)).status_code == 201
    shown = (await ask(plain, issuer.token(**mail))).json()
    assert (shown["user_id"], shown["role"]) == (user_id, "support")
    people = (await plain.client.get("/api/members")).json()["items"]
    assert [each["email"] for each in people].count("mila@calls.test") == 1, "the invitation is used up"


async def test_two_workspaces_may_invite_the_same_address(plain: Api, database: Database) -> None:
    other, stranger = clock.new_id(), clock.new_id()
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Acme')", other)
    await pool.execute("INSERT INTO users (user_id, name, email) VALUES ($1, 'Secret', 'x@calls.test')", stranger)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", other, stranger)
    answer = await plain.client.post("/api/members", json={"name": "X", "email": "x@calls.test"})
    assert answer.status_code == 201
    assert "Secret" not in (await plain.client.get("/api/members")).text
    again = await plain.client.post("/api/members", json={"name": "X", "email": "X@calls.test"})
    assert (again.status_code, again.json()["reason"]) == (409, "already_member")


# By browser ---------------------------------------------------------------------------------------------------------


async def led(api: Api) -> tuple[httpx2.Response, str]:
    """The first step, and where the provider sends the browser back to."""
    begun = await api.anonymous.get("/sign-in/oidc")
    assert begun.status_code == 303
    async with open_http() as browser:
        back = await browser.get(begun.headers["location"])
    assert back.status_code == 302
    return begun, back.headers["location"].removeprefix("http://calls.test")


async def test_a_browser_is_signed_in_by_the_provider(plain: Api, issuer: Issuer) -> None:
    assert (await plain.anonymous.get("/api/sign-in")).json() == {"oidc": True, "name": "Example"}
    begun, back = await led(plain)
    cookie = begun.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/sign-in/oidc/callback", "Max-Age=600"))
    for hidden in ("state", "nonce"):
        assert parse_qs(urlsplit(begun.headers["location"]).query)[hidden][0] not in cookie
    done = await plain.anonymous.get(back)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    session = (await plain.anonymous.get("/api/session")).json()
    assert (session["name"], session["role"]) == ("Mila Berg", "member")
    assert session["csrf_token"]
    ends = await plain.value("SELECT max(expires_at) - now() FROM sessions")
    assert 11 * 3600 < ends.total_seconds() <= 12 * 3600
    again = await plain.anonymous.get(back)
    assert again.status_code == 403, "a sign-in is used once"


async def test_nobody_is_signed_in_by_somebody_elses_sign_in(plain: Api, issuer: Issuer) -> None:
    _, theirs = await led(plain)
    plain.anonymous.cookies.clear()
    assert (await plain.anonymous.get(theirs)).status_code == 403, "no cookie: begun in another browser"
    _, mine = await led(plain)
    assert (await plain.anonymous.get(theirs)).status_code == 403, "another sign-in's answer"
    assert "callstream_session" not in plain.anonymous.cookies
    _, mine = await led(plain)
    forged = mine.replace("iss=", "iss=http%3A%2F%2Fevil.test")
    assert (await plain.anonymous.get(forged)).status_code == 403
    for cookie in ("", "zz", "00ff", "0" * 400):
        plain.anonymous.cookies.clear()
        answer = await plain.anonymous.get(mine, headers={"Cookie": f"callstream_sign_in={cookie}"})
        assert answer.status_code == 403, cookie
        assert "You are not signed in" in answer.text
    assert (await plain.anonymous.get("/api/session")).status_code == 401


@pytest.mark.parametrize(
    "changed",
    [{"nonce": "another"}, {"nonce": None}, {"aud": "other"}, {"aud": [CLIENT_ID, "other"]}, {"azp": "other"},
     {"exp": 1}, {"iss": "http://evil.test"}],
    ids=str,
)  # fmt: skip
async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    plain: Api, issuer: Issuer, changed: dict[str, Any]
) -> None:
    issuer.changed_claims = changed
    _, back = await led(plain)
    answer = await plain.anonymous.get(back)
    assert answer.status_code == 403
    assert "callstream_session" not in plain.anonymous.cookies


async def test_a_refusal_and_an_outage_are_said_in_a_sentence(plain: Api, issuer: Issuer) -> None:
    issuer.denies = True
    _, back = await led(plain)
    refused = await plain.anonymous.get(back)
    assert (refused.status_code, "Example did not sign you in" in refused.text) == (403, True)
    issuer.denies = False
    _, back = await led(plain)
    issuer.codes.clear()
    refused = await plain.anonymous.get(back)
    assert (refused.status_code, "did not accept this sign-in" in refused.text) == (403, True)
    _, back = await led(plain)
    issuer.away = True
    away = await plain.anonymous.get(back)
    assert (away.status_code, "cannot be reached" in away.text) == (503, True)


async def test_without_a_provider_there_is_no_such_way_in(tmp_path: Path, broker: Broker, database: Database) -> None:
    async with running_api(tmp_path, broker.bootstrap, database) as api:
        assert (await api.anonymous.get("/api/sign-in")).json() == {"oidc": False, "name": None}
        assert (await api.anonymous.get("/sign-in/oidc")).status_code == 404
        assert (await api.anonymous.get("/sign-in/oidc/callback?state=a&code=b")).status_code == 404
        assert (await ask(api, "a.b.c")).status_code == 401


async def test_a_bad_token_says_why_and_never_what_it_was(issuer: Issuer) -> None:
    identities = open_identities(Settings(**told(issuer)))
    assert identities is not None
    token = issuer.token(aud="elsewhere", secret="hidden")
    with pytest.raises(BadToken) as caught:
        await identities.claims(token, AUDIENCE)
    assert token not in str(caught.value)
