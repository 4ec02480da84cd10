"""People of an identity provider: who a token's owner is here, and signing in by browser (code, PKCE and nonce).

A person is issuer and subject, never an address: an address can be given to somebody else. It counts for one thing,
once: where the provider says that it has verified it, it takes up an invitation to that address.
"""

import hmac
import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from oauthlib.oauth2 import WebApplicationClient

from api import auth
from api.auth import Caller, NewSession
from api.ports import Ports
from api.problems import Problem, not_found
from api.tokens import BadToken, Identities, text_of
from schemas.faults import ConfigFault, TransientFault
from streams.io import clock, queries
from streams.io.store import Pool, in_workspace, outages

__all__ = ["BadToken", "caller_of_token", "finish", "start"]

SQL = queries.load("members")
ROLES = ("owner", "support", "member")
COOKIE = "callstream_sign_in"
CALLBACK = "/sign-in/oidc/callback"
MINUTES = 10
SESSION = timedelta(hours=12)
"""Shorter than with a link: whoever the provider no longer knows is out by then."""
SCOPES = "openid profile email"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where to send the browser, and what it must bring back."""

    address: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Back:
    """What the browser brought back."""

    cookie: str
    state: str
    code: str
    error: str
    issuer: str | None


async def caller_of_token(pool: Pool, identities: Identities, token: str) -> Caller:
    """Whoever a token is of, with what their role allows. Raises `BadToken`; a 403 problem for people of no workspace;
    `TransientFault` where the provider must be asked and is away."""
    claims = await identities.claims(token, identities.audience)
    workspace_id, user_id, role = await person_of(pool, identities, claims)
    return Caller(workspace_id, user_id, role, f"user:{user_id}")


async def person_of(pool: Pool, identities: Identities, claims: Mapping[str, Any]) -> tuple[UUID, UUID, str]:
    """Workspace, person and role. A person seen for the first time is made."""
    place, claimed = _place_of(identities, claims), _role_of(identities, claims)
    with outages():
        rows = await pool.fetch(SQL["find_identity"], identities.issuer, claims["sub"], place)
    if len(rows) != 1:  # none, or several of that name
        sentence = f"Your identity provider names a workspace that there is not here: {place!r:.80}. Ask its operator."
        raise Problem(403, "no_such_workspace", sentence)
    [row] = rows
    if row["user_id"] is not None and claimed in (None, row["role"]):
        return row["workspace_id"], row["user_id"], row["role"]
    mail, name = _clean(claims.get("email"), 320), _name_of(claims)
    async with in_workspace(pool, row["workspace_id"]) as connection:
        entered = await connection.fetchrow(
            SQL["enter_by_identity"], row["workspace_id"], identities.issuer, claims["sub"], clock.new_id(), name,
            mail, claims.get("email_verified") is True and mail is not None, claimed,
        )  # fmt: skip
        if entered is None:
            sentence = "You were taken out of this workspace. An owner can invite you to your e-mail address again."
            raise Problem(403, "removed", sentence)
        action = "member.role_changed" if row["user_id"] else "member.joined"
        caller = Caller(row["workspace_id"], entered["user_id"], entered["role"], f"user:{entered['user_id']}")
        await auth.audit(
            connection, caller, caller.workspace_id, action, str(caller.user_id), role=caller.role,
            issuer=identities.issuer,
        )  # fmt: skip
    return caller.workspace_id, caller.user_id, caller.role


def _place_of(identities: Identities, claims: Mapping[str, Any]) -> str | None:
    """What the token says of the workspace. None: nobody asks, so it is the home workspace."""
    if identities.workspace_claim is None:
        return None
    place = _claim(claims, identities.workspace_claim)
    if not isinstance(place, str) or not place.strip() or not place.isprintable():
        sentence = f"Your token does not say which workspace you belong to ({identities.workspace_claim})."
        raise Problem(403, "no_such_workspace", f"{sentence} Ask the operator of your identity provider.")
    return place.strip()


def _role_of(identities: Identities, claims: Mapping[str, Any]) -> str | None:
    """What the token says of the role; where it should and says none that there is, the smallest. None: nobody asks."""
    if identities.role_claim is None:
        return None
    told = _claim(claims, identities.role_claim)
    named = told if isinstance(told, list) else [told]
    return next((role for role in ROLES if role in named), "member")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by its path where it lies within others (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _name_of(claims: Mapping[str, Any]) -> str:
    found = (_clean(claims.get(claim), auth.MAX_NAME) for claim in ("name", "preferred_username", "email", "sub"))
    return next((name for name in found if name), "Somebody")


def _clean(value: Any, longest: int) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(char for char in value if char.isprintable()).strip()[:longest] or None


# By browser ----------------------------------------------------------------------------------------------------------


def _provider(ports: Ports) -> tuple[Identities, str]:
    if ports.identities is None or ports.identities.client_id is None:
        raise not_found("way to sign in: this installation has no identity provider")
    return ports.identities, ports.identities.client_id


async def start(ports: Ports) -> SignIn:
    """Begin to sign in. Nothing is kept here: what belongs to it travels sealed in the browser's cookie."""
    identities, client_id = _provider(ports)
    document = await identities.document()
    client = WebApplicationClient(client_id)
    state, nonce, verifier = random.token_urlsafe(32), random.token_urlsafe(32), client.create_code_verifier(64)
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": ports.base_url + CALLBACK, "scope": SCOPES,
        "state": state, "nonce": nonce, "code_challenge_method": "S256",
        "code_challenge": client.create_code_challenge(verifier, "S256"),
    }  # fmt: skip
    there = text_of(document, "authorization_endpoint")
    address = there + ("&" if "?" in there else "?") + urlencode(asked)
    ends = clock.unix_now() + MINUTES * 60
    kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "ends": ends})
    return SignIn(address, ports.secrets.seal(kept, **_sealed_for()).hex())


async def finish(ports: Ports, back: Back) -> NewSession:
    """A session for whoever comes back to the browser that began. Raises problems and faults with a way out."""
    identities, client_id = _provider(ports)
    kept = _kept(ports, back.cookie)
    if kept is None or not hmac.compare_digest(kept["state"].encode(), back.state.encode("utf-8", "replace")):
        sentence = f"This sign-in took longer than {MINUTES} minutes, or was begun in another browser. Begin again."
        raise Problem(403, "sign_in_over", sentence)
    if back.issuer not in (None, identities.issuer):
        raise Problem(403, "sign_in_refused", "Somebody else than your identity provider sent you here. Begin again.")
    if back.error or not back.code:
        raise Problem(
            403, "sign_in_refused", f"{identities.name} did not sign you in. Begin again, or ask its operator."
        )
    token = await _exchange(ports, identities, client_id, back.code, kept["verifier"])
    try:
        claims = await identities.claims(token, client_id)
    except BadToken as error:
        raise Problem(403, "sign_in_refused", f"{error} Begin again.") from None
    nonce = claims.get("nonce")
    meant = isinstance(nonce, str) and hmac.compare_digest(nonce.encode("utf-8", "replace"), kept["nonce"].encode())
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if not meant or claims.get("azp", None if several else client_id) != client_id:
        raise Problem(
            403, "sign_in_refused", "What your identity provider sent belongs to another sign-in. Begin again."
        )
    workspace_id, user_id, _ = await person_of(ports.pool, identities, claims)
    return await auth.begin_session(ports.pool, workspace_id, user_id, SESSION)


async def _exchange(ports: Ports, identities: Identities, client_id: str, code: str, verifier: str) -> str:
    document = await identities.document()
    secret = identities.client_secret.get_secret_value() if identities.client_secret else None
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": ports.base_url + CALLBACK,
        "code_verifier": verifier,
    }  # fmt: skip
    sent: dict[str, Any] = {"data": form}
    able = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if secret and "client_secret_basic" in able:
        sent["auth"] = (quote(client_id, safe=""), quote(secret, safe=""))
    else:
        form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
    try:
        answer = await identities.ask("POST", text_of(document, "token_endpoint"), **sent)
    except TransientFault as fault:
        if "answered 4" not in fault.detail:
            raise
        sentence = f"{identities.name} did not accept this sign-in, or this installation's registration. Begin again."
        raise Problem(403, "sign_in_refused", sentence) from None
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise Problem(403, "sign_in_refused", f"{identities.name} did not say who you are. Ask its operator.")
    return token


def _kept(ports: Ports, cookie: str) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(ports.secrets.open(bytes.fromhex(cookie), **_sealed_for()))
    except (ConfigFault, ValueError):
        return None
    return kept if clock.unix_now() < kept["ends"] else None


def _sealed_for() -> dict[str, Any]:
    """What the cookie's content is bound to: nothing else that was sealed here opens as it."""
    return {"workspace_id": UUID(int=0), "row": "sign_in", "field": "cookie"}
