"""Connecting by signing in at the platform: there with a state, back with a code.

A state is 32 random bytes of which only the hash is kept. It works once, for ten minutes, for the person who began,
and where a browser began, only in that browser's session.
"""

import hmac
import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from api import auth, connecting, platforms
from api.auth import Caller
from api.connecting import Connected
from api.ports import Ports
from api.problems import Problem
from connectors import oauth
from connectors.contract import Auth, Connector
from streams import vendor
from streams.io import clock, queries, sources
from streams.io.store import in_workspace, outages

SQL = queries.load("connections")
STATE_MINUTES = 10
MAX_CODE = 4096


class SignIn(BaseModel):
    """Where the person goes to sign in, until when, and the state they come back with."""

    authorize_url: str
    state: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Back:
    """What the browser brought back."""

    state: str
    code: str | None = None
    error: str | None = None


def sealed_for(workspace_id: UUID, state: str) -> dict[str, Any]:
    """What the sealed part of a state is bound to."""
    return {"workspace_id": workspace_id, "row": f"oauth_states/{auth.digest(state).hex()}", "field": "encrypted_state"}


def way_in(connector: Connector) -> Auth:
    """The way by signing in. Raises a 422 problem where there is none."""
    for each in connector.auths:
        if each.kind == "oauth":
            return each
    able = ", ".join(each.kind for each in connector.auths)
    raise Problem(422, "no_sign_in", f"{connector.display_name} has no sign-in for this. Connect it by: {able}.")


async def start(
    ports: Ports, caller: Caller, platform: str, fields: Mapping[str, str], *, session: str | None,
    source_id: UUID | None = None,
) -> SignIn:  # fmt: skip
    """Where to send the person. `session`: the token of the browser's session that must bring them back.

    `source_id` connects a source again. Raises a `ConfigFault` where this installation is not registered with the
    platform.
    """
    connector = connecting.platform_of(platform)
    told = connecting.credential_of(way_in(connector), fields)
    state, verifier = random.token_urlsafe(32), oauth.new_verifier()
    redirect_uri = platforms.redirect_url(ports.base_url, platform)
    address = vendor.sign_in_address(
        ports.settings, connector, redirect_uri=redirect_uri, state=state, verifier=verifier, fields=told
    )
    kept = {
        "verifier": verifier, "redirect_uri": redirect_uri, "fields": told,
        "session": auth.digest(session).hex() if session else None, "source_id": str(source_id) if source_id else None,
    }  # fmt: skip
    sealed = ports.secrets.seal(json.dumps(kept), **sealed_for(caller.workspace_id, state))
    expires_at = clock.now() + timedelta(minutes=STATE_MINUTES)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if source_id is not None:
            source = await sources.get(connection, caller.workspace_id, source_id)
            if source is None or source.source_app != platform or source.one_off:
                raise Problem(404, "not_found", "There is no such source.")
        await connection.execute(
            SQL["add_oauth_state"],
            auth.digest(state),
            caller.workspace_id,
            caller.user_id,
            platform,
            sealed,
            expires_at,
        )
    return SignIn(authorize_url=address, state=state, expires_at=expires_at)


async def finish(ports: Ports, caller: Caller | None, platform: str, back: Back, *, session: str | None) -> Connected:
    """The account of whoever came back: checked, kept, and its first sync begun. Raises problems and faults whose
    sentences say what to do."""
    connector = connecting.platform_of(platform)
    with outages():
        row = await ports.pool.fetchrow(SQL["use_oauth_state"], auth.digest(back.state))
    again = f"Begin again: open callstream at {ports.base_url} and connect {connector.display_name} from there."
    if row is None or row["source_app"] != platform:
        raise Problem(
            410, "sign_in_over", f"This sign-in took longer than {STATE_MINUTES} minutes or was used before. {again}"
        )
    kept = json.loads(ports.secrets.open(bytes(row["encrypted_state"]), **sealed_for(row["workspace_id"], back.state)))
    mine = caller is not None and (caller.user_id, caller.workspace_id) == (row["user_id"], row["workspace_id"])
    here = kept["session"] is None or (
        session is not None and hmac.compare_digest(kept["session"], auth.digest(session).hex())
    )
    if caller is None or not mine or not here:
        sentence = "This sign-in was begun by somebody else, in another browser, or under another address."
        raise Problem(403, "sign_in_elsewhere", f"{sentence} {again}")
    if back.error or not back.code:
        raise _refused(connector, back.error, again)
    way = way_in(connector)
    credential = await vendor.finish_sign_in(
        ports.settings, connector, code=back.code[:MAX_CODE], redirect_uri=kept["redirect_uri"],
        verifier=kept["verifier"], fields=kept["fields"],
    )  # fmt: skip
    account = await connecting.check(ports.settings, connector, way, credential)
    if kept["source_id"]:
        return await _again(ports, caller, UUID(kept["source_id"]), credential, account)
    return await connecting.connect(
        ports, connector, "oauth", credential, account, workspace_id=row["workspace_id"], user_id=row["user_id"],
        caller=caller,
    )  # fmt: skip


async def _again(
    ports: Ports, caller: Caller, source_id: UUID, credential: Mapping[str, str], account: Any
) -> Connected:
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await sources.get(connection, caller.workspace_id, source_id)
    if source is None:
        raise Problem(404, "not_found", "This source was disconnected meanwhile. Connect the account as a new one.")
    await connecting.change_credential(ports, caller, source, "oauth", credential, account)
    return Connected(source, False, None)


def _refused(connector: Connector, error: str | None, again: str) -> Problem:
    name = connector.display_name
    if error == "access_denied":
        sentence = f"Access was not granted at {name}, so nothing was connected. {again}"
    elif error in ("temporarily_unavailable", "server_error"):
        sentence = f"{name} has trouble at the moment. Try again in a few minutes."
    elif error in ("invalid_scope", "unauthorized_client", "redirect_uri_mismatch", "invalid_client"):
        sentence = (
            f"{name} does not accept this installation's registration ({error}). Compare its rights and its redirect "
            f"address at {name} with what GET /api/platforms shows."
        )
    else:
        sentence = f"{name} ended the sign-in without a reason that callstream knows. {again}"
    return Problem(403, "access_denied" if error == "access_denied" else "sign_in_refused", sentence)
