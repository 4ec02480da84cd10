"""Connecting by OAuth 2: the address a person is sent to, a code for a token, an old token for a fresh one.

What is asked and how answers are read is `oauthlib`'s; the requests go the way of all others, but never twice: a
refresh token that rotates is spent by the first try, answered or not.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from connectors.answers import asked_at, broken, fault_of, json_of
from connectors.contract import Answer, Connector, Credential, OAuth
from connectors.wire import exchange, rewrite
from schemas.faults import ConfigFault, Fault, TransientFault
from schemas.settings import OAuthClient

_FIELD = re.compile(r"\{([a-z_]+)\}")
_HOST = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")
_OURS = frozenset({
    "invalid_client", "unauthorized_client", "redirect_uri_mismatch", "unsupported_grant_type", "invalid_scope",
})  # fmt: skip
"""Errors that speak of our registration and not of the person's access."""
_AWAY = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server and our registration with it."""

    http: httpx2.AsyncClient
    connector: Connector
    oauth: OAuth
    ours: OAuthClient
    clock: Callable[[], datetime]
    wait_of: Callable[[str | None, datetime], float | None]
    vendor_origin: str | None = None


def new_verifier() -> str:
    """A PKCE code verifier: to be kept, sealed, until the person comes back."""
    return str(WebApplicationClient("").create_code_verifier(64))


def authorize_address(
    oauth: OAuth, client_id: str, *, redirect_uri: str, state: str, verifier: str | None = None,
    fields: Credential | None = None, vendor_origin: str | None = None,
) -> str:  # fmt: skip
    """Where the browser goes. `verifier` counts where the source knows PKCE; `fields` are what the form brought, for an
    address that names one as `{field}`."""
    client, more = WebApplicationClient(client_id), dict(oauth.extra)
    if oauth.pkce and verifier:
        more["code_challenge"] = client.create_code_challenge(verifier, "S256")
        more["code_challenge_method"] = "S256"
    address = client.prepare_request_uri(
        _filled(oauth.authorize_url, fields or {}), redirect_uri=redirect_uri, scope=list(oauth.scopes) or None,
        state=state, **more,
    )  # fmt: skip
    return rewrite(str(address), vendor_origin)


async def exchange_code(
    server: Server, *, code: str, redirect_uri: str, verifier: str | None = None, fields: Credential | None = None
) -> dict[str, str]:
    """The credential for the code a person came back with, `fields` included."""
    more = {"code_verifier": verifier} if server.oauth.pkce and verifier else {}
    body = WebApplicationClient(server.ours.client_id).prepare_request_body(
        code=code, redirect_uri=redirect_uri, include_client_id=False, **more
    )
    vendor = server.connector.display_name
    sentence = f"{vendor} did not accept the sign-in: it took too long, or its page was opened twice. Connect again."
    return await _credential(server, str(body), dict(fields or {}), ConfigFault("sign_in_refused", sentence))


async def refresh(server: Server, credential: Credential) -> dict[str, str]:
    """The credential with a fresh access token. What the answer does not name stays as it was."""
    vendor = server.connector.display_name
    sentence = f"{vendor} no longer lets callstream in: access was revoked or has expired. Connect the account again."
    revoked = ConfigFault("access_revoked", sentence)
    if not credential.get("refresh_token"):
        raise revoked
    body = WebApplicationClient(server.ours.client_id).prepare_refresh_body(refresh_token=credential["refresh_token"])
    return await _credential(server, str(body), dict(credential), revoked)


async def _credential(server: Server, body: str, before: dict[str, str], refused: ConfigFault) -> dict[str, str]:
    answer = await _post(server, dict(parse_qsl(body, keep_blank_values=True)), before)
    vendor, now = server.connector.display_name, server.clock()
    if answer.status in (408, 425, 429) or answer.status >= 500:
        wait = server.wait_of(answer.headers.get("retry-after"), asked_at(answer, now))
        fault = fault_of(answer.status, vendor, f"{answer.url} answered {answer.status}")
        raise TransientFault(fault.reason, fault.sentence, detail=fault.detail, retry_after=wait)
    told = _read(answer, vendor, refused)
    expires_in = told.get("expires_in")
    found = {name: value for name in server.oauth.keeps if (value := _text(told.get(name))) is not None}
    scope = told.get("scope")
    if isinstance(scope, list) and all(isinstance(one, str) for one in scope):
        found["scope"] = " ".join(scope)
    before.pop("expires_at", None)
    if isinstance(expires_in, int) and expires_in > 0:
        found["expires_at"] = str(int(now.timestamp()) + expires_in)
    if refresh_token := _text(told.get("refresh_token")):
        found["refresh_token"] = refresh_token
    return {**before, **found, "access_token": str(told["access_token"])}


def _read(answer: Answer, vendor: str, refused: ConfigFault) -> Mapping[str, Any]:
    """What the token endpoint said. Errors are told apart by the word of the standard, where there is one; whatever
    else it refuses with (Zoom and HubSpot have words of their own) means that the person must connect again."""
    where = f"{answer.url} answered {answer.status}"
    value = json_of(answer, vendor)
    if not isinstance(value, dict):
        raise broken(vendor, where)
    try:
        told: Mapping[str, Any] = WebApplicationClient("").parse_request_body_response(json.dumps(value))
    except OAuth2Error as error:
        raise _refusal(answer, vendor, str(error.error or ""), refused) from None
    except (ValueError, TypeError, AttributeError, Warning):
        raise broken(vendor, where) from None
    if not isinstance(told.get("access_token"), str) or not 200 <= answer.status < 300:
        raise broken(vendor, where)
    return told


def _refusal(answer: Answer, vendor: str, word: str, refused: ConfigFault) -> Fault:
    detail = f"{answer.url} answered {answer.status} {word[:40] if word in _OURS | _AWAY | {'invalid_grant'} else ''}"
    if word in _AWAY:
        return fault_of(503, vendor, detail)
    if word in _OURS:
        return ConfigFault(
            "oauth_client_refused",
            f"{vendor} does not accept this installation's registration. Compare client id, secret and redirect "
            f"address in CALLSTREAM_OAUTH_CLIENTS with what {vendor} shows.",
            detail=detail,
        )
    if word == "missing_token" and 200 <= answer.status < 300:
        return broken(vendor, detail)
    return ConfigFault(refused.reason, refused.sentence, detail=detail.strip())


async def _post(server: Server, fields: dict[str, str], credential: Credential) -> Answer:
    ours, secret = server.ours, server.ours.client_secret.get_secret_value()
    headers = {"Accept": "application/json"}
    if server.oauth.client_in == "header" and secret:
        pair = base64.b64encode(f"{ours.client_id}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    else:
        fields |= {"client_id": ours.client_id} | ({"client_secret": secret} if secret else {})
    if server.oauth.body == "json":
        headers["Content-Type"], content = "application/json", json.dumps(fields).encode()
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        content = str(httpx2.QueryParams(fields)).encode()
    return await exchange(
        server.http, server.connector, "POST", _filled(server.oauth.token_url, credential), headers=headers,
        content=content, vendor_origin=server.vendor_origin,
    )  # fmt: skip


def _filled(url: str, fields: Credential) -> str:
    """The address with its `{field}` parts put in. A field can only be (part of) a host's name."""

    def value(found: re.Match[str]) -> str:
        text = fields.get(found[1], "")
        if not _HOST.fullmatch(text):
            sentence = f"The field {found[1]} is missing or is no name of a host. Correct it and connect again."
            raise ConfigFault("address_invalid", sentence)
        return text

    return _FIELD.sub(value, url)


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None
