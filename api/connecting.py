"""Connecting an account: the form's fields become a credential, the vendor is asked at once, and the first sync begins.

Whoever connects (page, OAuth, support, command line) comes through here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api import auth
from api.auth import Caller
from api.ports import Ports
from api.problems import Problem
from connectors.contract import Account, Auth, AuthKind, Connector
from connectors.registry import CONNECTORS
from schemas.faults import ConfigFault, InvalidCall, MissingFault
from schemas.settings import Settings
from streams import vendor
from streams.io import credentials, pulls, queries, sources
from streams.io.sources import Source
from streams.io.store import Connection, in_workspace

SQL = queries.load("connections")
MAX_FIELD = 20_000
KEY = re.compile(r"[!-~]+")
MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Connected:
    """An account that was just connected, and its first sync."""

    source: Source
    is_new: bool
    job_id: UUID | None


def platform_of(name: str) -> Connector:
    """The connector of a platform that accounts can be connected of. Raises a 422 problem."""
    connector = CONNECTORS.get(name)
    if connector is None or not connector.auths:
        able = ", ".join(sorted(each.source_app for each in CONNECTORS.values() if each.auths))
        sentence = f"No accounts of this platform can be connected. Those that can: {able}."
        raise Problem(422, "unknown_platform", sentence, field="platform")
    return connector


def way_in(connector: Connector, kind: str | None) -> Auth:
    """One way to connect an account by a form; by default the first. Raises a 422 problem."""
    ways = [each for each in connector.auths if each.kind != "oauth"]
    for each in ways:
        if kind is None or each.kind == kind:
            return each
    if kind == "oauth" or not ways:
        name = connector.source_app
        sentence = f"{connector.display_name} is connected by signing in there: open /api/oauth/{name}/start."
        raise Problem(422, "sign_in_needed", sentence, field="kind")
    able = ", ".join(each.kind for each in ways)
    raise Problem(422, "unknown_kind", f"{connector.display_name} cannot be connected that way, but by: {able}.",
                  field="kind")  # fmt: skip


def credential_of(way: Auth, fields: Mapping[str, str]) -> dict[str, str]:
    """The filled-in form. Raises a 422 problem that says what is wrong with each field."""
    errors: list[tuple[str, str]] = []
    known = {field.name: field for field in way.fields}
    found: dict[str, str] = {}
    for name in fields.keys() - known.keys():
        errors.append((name, "is no field of this form"))
    for name, field in known.items():
        value = fields.get(name, "").strip() or field.default
        if not value:
            if field.required:
                errors.append((name, f"is missing: {field.label}. {field.help}".strip()))
            continue
        if len(value) > MAX_FIELD or "\x00" in value:
            errors.append((name, "is too long, or holds characters that cannot be kept"))
        elif field.secret and way.kind in ("api_key", "oauth") and not KEY.fullmatch(value):
            errors.append((name, "holds spaces or other characters that no key has. Copy it again"))
        found[name] = value
    if errors:
        raise refused_fields("invalid_fields", errors)
    return found


def refused_fields(reason: str, errors: list[tuple[str, str]]) -> Problem:
    """422: what is wrong with which field."""
    shown = [{"field": f"fields.{name}"[:200], "message": message[:500]} for name, message in errors]
    sentence = " ".join(f"{name[:100]} {message.rstrip('.')}." for name, message in errors[:5])
    return Problem(422, reason, sentence, field=shown[0]["field"], errors=shown[:50])


async def check(settings: Settings, connector: Connector, way: Auth, credential: Mapping[str, str]) -> Account:
    """Ask the vendor whose the credential is. A 422 problem says what is wrong with it, or which right is missing.

    Raises `TransientFault` when the vendor does not answer.
    """
    assert connector.validate is not None  # noqa: S101 - the contract tests look at every connector with auths
    field = next((each.name for each in way.fields if each.secret), "")
    try:
        async with vendor.open_api_for(settings, connector, way.kind, credential) as api:
            account = await connector.validate(api)
    except (ConfigFault, MissingFault, InvalidCall) as fault:
        where: dict[str, Any] = {"field": f"fields.{field}"} if field else {}
        raise Problem(422, fault.reason, fault.sentence, **where) from None
    return must_have_rights(connector, account)


def must_have_rights(connector: Connector, account: Account) -> Account:
    """The account, whose credential has every right that is needed. Raises a 422 problem that names the others."""
    if account.missing:
        rights = ", ".join(account.missing)
        sentence = (
            f"{connector.display_name} accepts this, but it lacks a right that callstream needs: {rights}. "
            f"Grant it at {connector.display_name} and connect the account again."
        )
        raise Problem(422, "rights_missing", sentence, missing=list(account.missing))
    return account


async def connect(
    ports: Ports, connector: Connector, kind: AuthKind, credential: Mapping[str, str], account: Account, *,
    workspace_id: UUID, user_id: UUID, caller: Caller | None, keep_recordings: bool = False,
    sync_minutes: int | None = None, auto_sync: bool = True,
) -> Connected:  # fmt: skip
    """Keep an account whose credential was just checked, and begin its first sync."""
    async with in_workspace(ports.pool, workspace_id) as connection:
        source, is_new = await sources.create_or_reconnect(
            connection, ports.secrets, workspace_id=workspace_id, user_id=user_id, source_app=connector.source_app,
            account_email=label_of(account), kind=kind, credential=credential, account_id=account.account_id,
            scopes=scopes_of(credential), sync_minutes=sync_minutes or ports.settings.sync_minutes,
            sync_enabled=auto_sync, keep_recordings=keep_recordings,
        )  # fmt: skip
        job_id = await begin_sync(connection, ports.settings, source)
        await auth.audit(
            connection, caller, workspace_id, "source.connected" if is_new else "source.reconnected",
            str(source.source_id), platform=connector.source_app, account=source.account_email,
        )  # fmt: skip
    if job_id is not None:
        await pulls.start(ports.pool, ports.bus, workspace_id, job_id)
    return Connected(source, is_new, job_id)


async def change_credential(
    ports: Ports, caller: Caller, source: Source, kind: AuthKind, credential: Mapping[str, str], account: Account
) -> None:
    """Another credential for the same account. Raises a 422 problem when it is another account's."""
    same_id = source.account_id and account.account_id
    if source.account_id != account.account_id if same_id else label_of(account) != source.account_email:
        sentence = (
            f"This belongs to {label_of(account)}, and the source is {source.account_email}. "
            "Connect it as a source of its own."
        )
        raise Problem(422, "another_account", sentence)
    async with in_workspace(ports.pool, source.workspace_id) as connection:
        await credentials.put(
            connection, ports.secrets, source.workspace_id, source.source_id, kind, credential, scopes_of(credential)
        )
        await sources.mark_verified(connection, source.source_id)
        await sources.resume(connection, source.workspace_id, source.source_id)
        await auth.audit(
            connection, caller, source.workspace_id, "source.reconnected", str(source.source_id),
            platform=source.source_app, account=source.account_email,
        )  # fmt: skip


def label_of(account: Account) -> str:
    """The account as a person knows it, fit to be kept."""
    return " ".join(account.label.replace("\x00", "").encode("utf-8", "replace").decode().split())[:MAX_LABEL]


def scopes_of(credential: Mapping[str, str]) -> list[str]:
    """The rights that an authorization server says it granted."""
    return credential.get("scope", "").replace(",", " ").split()


async def begin_sync(connection: Connection, settings: Settings, source: Source) -> UUID | None:
    """A new sync, or the one that is under way. To be started with `pulls.start` after the commit.

    The schedule takes its syncs by the same row, so there are never two.
    """
    pull = CONNECTORS[source.source_app].pull if source.source_app in CONNECTORS else None
    if pull is None:
        return None
    await connection.execute(SQL["put_off_next_sync"], source.source_id)
    running: UUID | None = await connection.fetchval(SQL["running_sync"], source.source_id)
    if running is not None:
        await connection.execute(SQL["sync_at_once"], running)
        return running
    return await pulls.create_sync(
        connection, source, user_id=source.user_id, synced_until=source.synced_until, overlap=pull.overlap,
        reaches_back=pull.reaches_back, first_sync_days=settings.first_sync_days, count_first=pull.count is not None,
    )  # fmt: skip
