"""Sources: connected accounts, as people see and change them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import auth, connecting, quota
from api.auth import Caller
from api.idempotency import checked_key, content_with_secrets, once
from api.paging import Instant, Items, Storable, cursor_id, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from connectors.registry import CONNECTORS
from schemas.faults import MissingFault, OutageFault
from streams import vendor
from streams.io import clock, pulls, queries, sources
from streams.io.sources import Source
from streams.io.store import Connection, in_workspace

SQL = queries.load("connections")
ASKED = "Somebody asked for this call. It is read now."


class CredentialView(BaseModel):
    """What is known of a credential; never the credential."""

    kind: str
    scopes: list[str]
    expires_at: datetime | None
    last_verified_at: datetime | None


class SourceView(BaseModel):
    """A connected account. `state` is error when a person must do what `error_message` says before it goes on.

    `calls_imported` counts the calls it brought that are in the library; `found_by_poll` those that a sync found
    although the webhook should have brought them. `running_job_id` is the import under way. `credential` is null once
    it was deleted.
    """

    id: UUID
    platform: str
    display_name: str
    account: str
    owner_user_id: UUID
    state: Literal["active", "paused", "error"]
    error_reason: str | None
    error_message: str | None
    auto_sync: bool
    sync_frequency_minutes: int | None
    keep_recordings: bool
    next_sync_at: datetime | None
    last_sync_at: datetime | None
    synced_until: datetime | None
    calls_imported: int
    waiting_calls: int
    found_by_poll: int
    running_job_id: UUID | None
    credential: CredentialView | None
    created_at: datetime


class NewSource(SourceView):
    """The account just connected. `is_new` is false where it was connected before and only got another credential."""

    is_new: bool
    job_id: UUID | None


class SourceCreate(BaseModel):
    """An account to connect by a form. `kind` and `fields`: as `GET /api/platforms` names them."""

    model_config = ConfigDict(extra="forbid")

    platform: str = Field(max_length=40, examples=["fathom"])
    kind: str | None = Field(None, max_length=40)
    fields: dict[str, str] = Field(default_factory=dict, max_length=30)
    auto_sync: bool = True
    sync_frequency_minutes: int | None = Field(None, ge=5, le=10080)
    keep_recordings: bool = False


class SourceChange(BaseModel):
    """What is to be changed; what is left out stays. `fields`: another credential for the same account."""

    model_config = ConfigDict(extra="forbid")

    active: bool | None = None
    auto_sync: bool | None = None
    sync_frequency_minutes: int | None = Field(None, ge=5, le=10080)
    keep_recordings: bool | None = None
    kind: str | None = Field(None, max_length=40)
    fields: dict[str, str] | None = Field(None, max_length=30)


class Span(BaseModel):
    """From a time until before another."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, extra="forbid")

    since: Instant = Field(alias="from")
    until: Instant = Field(alias="to")


class Coverage(Span):
    """What of a time is proven imported, and what is not."""

    source_id: UUID
    covered: list[Span]
    gaps: list[Span]


class Begun(BaseModel):
    """The import that is under way."""

    job_id: UUID


class CallWanted(BaseModel):
    """One call, by its id at the vendor or, where the vendor has such, by its address."""

    model_config = ConfigDict(extra="forbid")

    url: Storable | None = Field(None, max_length=2000)
    external_id: Storable | None = Field(None, max_length=500)


class CallComing(BaseModel):
    """The call was found at the vendor and is being read."""

    external_id: str
    status: Literal["accepted"] = "accepted"


def state_of(source: Source) -> Literal["active", "paused", "error"]:
    """How a source stands. One that is paused is that first: its error is of no consequence until it is resumed."""
    if not source.is_active:
        return "paused"
    return "error" if source.error_message is not None else "active"


def _shown(source: Source, progress: Mapping[str, Any]) -> dict[str, Any]:
    connector = CONNECTORS.get(source.source_app)
    return {
        "id": source.source_id,
        "platform": source.source_app,
        "display_name": connector.display_name if connector else source.source_app,
        "account": source.account_email,
        "owner_user_id": source.user_id,
        "state": state_of(source),
        "auto_sync": bool(source.enabled),
        "calls_imported": progress["calls_imported"],
        "waiting_calls": progress["waiting_calls"],
        "running_job_id": progress["running_job_id"],
        "credential": source.credential_type and CredentialView(
            kind=source.credential_type, scopes=list(source.scopes or ()), expires_at=source.expires_at,
            last_verified_at=source.last_verified_at,
        ),
        **{name: getattr(source, name) for name in (
            "error_reason", "error_message", "sync_frequency_minutes", "keep_recordings", "next_sync_at",
            "last_sync_at", "synced_until", "found_by_poll", "created_at",
        )},
    }  # fmt: skip


async def _progress(connection: Connection, caller: Caller, found: Sequence[Source]) -> dict[UUID, Any]:
    rows = await connection.fetch(SQL["progress"], [each.source_id for each in found], caller.workspace_id)
    return {row["source_id"]: row for row in rows}


async def list_sources(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[SourceView]:
    """The accounts connected in the workspace, newest first."""
    created_at, source_id = decode_cursor(cursor, cursor_time, cursor_id)
    before = (created_at, source_id) if created_at else None
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        found = await sources.list_sources(connection, caller.workspace_id, limit=limit + 1, before=before)
        progress = await _progress(connection, caller, found)
    return page(
        found, limit, lambda each: SourceView(**_shown(each, progress[each.source_id])),
        lambda each: (each.created_at, each.source_id),
    )  # fmt: skip


async def get_source(ports: Ports, caller: Caller, source_id: UUID) -> SourceView:
    """One of them."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id)
        progress = await _progress(connection, caller, [source])
    return SourceView(**_shown(source, progress[source_id]))


async def find(connection: Connection, caller: Caller, source_id: UUID, *, to_change: bool = False) -> Source:
    """A source of the caller's workspace. Raises a 404 problem; `to_change`: a 403 for a colleague's, but to owners."""
    source = await sources.get(connection, caller.workspace_id, source_id)
    if source is None or source.one_off:
        raise not_found("source")
    if to_change and caller.own_only not in (None, source.user_id):
        raise Problem(403, "not_allowed", "A colleague connected this account. Ask them, or an owner of the workspace.")
    return source


async def connect(ports: Ports, caller: Caller, wanted: SourceCreate, key: str | None = None) -> NewSource:
    """Connect an account by a form: the vendor is asked at once, and the first sync begins. Once a key."""

    async def work() -> dict[str, Any]:
        return (await _connect(ports, caller, wanted)).model_dump(mode="json")

    key = checked_key(key)
    content = await content_with_secrets("source", caller, wanted.model_dump(mode="json"), key)
    return NewSource(**await once(ports.pool, caller.workspace_id, key, content, work))


async def _connect(ports: Ports, caller: Caller, wanted: SourceCreate) -> NewSource:
    connector = connecting.platform_of(wanted.platform)
    way = connecting.way_in(connector, wanted.kind)
    credential = connecting.credential_of(way, wanted.fields)
    account = await connecting.check(ports.settings, connector, way, credential)
    made = await connecting.connect(
        ports, connector, way.kind, credential, account, workspace_id=caller.workspace_id, user_id=caller.user_id,
        caller=caller, keep_recordings=wanted.keep_recordings, sync_minutes=wanted.sync_frequency_minutes,
        auto_sync=wanted.auto_sync,
    )  # fmt: skip
    shown = await get_source(ports, caller, made.source.source_id)
    return NewSource(**shown.model_dump(), is_new=made.is_new, job_id=made.job_id)


async def change(ports: Ports, caller: Caller, source_id: UUID, wanted: SourceChange) -> SourceView:
    """Change what is named. A new credential is checked with the vendor first, and must be the same account's."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id, to_change=True)
    if wanted.fields is not None:
        connector = connecting.platform_of(source.source_app)
        way = connecting.way_in(connector, wanted.kind)
        credential = connecting.credential_of(way, wanted.fields)
        account = await connecting.check(ports.settings, connector, way, credential)
        await connecting.change_credential(ports, caller, source, way.kind, credential, account)
    told = wanted.model_dump(exclude={"fields", "kind"}, exclude_none=True)
    if told:
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            await sources.change(
                connection, caller.workspace_id, source_id, is_active=wanted.active,
                keep_recordings=wanted.keep_recordings,
            )  # fmt: skip
            await sources.set_schedule(
                connection, caller.workspace_id, source_id, enabled=wanted.auto_sync,
                minutes=wanted.sync_frequency_minutes,
            )  # fmt: skip
            if wanted.active:
                await sources.sync_now(connection, source_id)
            await auth.audit(connection, caller, caller.workspace_id, "source.changed", str(source_id), **told)
    return await get_source(ports, caller, source_id)


async def disconnect(ports: Ports, caller: Caller, source_id: UUID) -> None:
    """Remove the account with its credential. Imports under way end; the calls stay."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id, to_change=True)
        await sources.delete(connection, caller.workspace_id, source_id)
        await auth.audit(
            connection, caller, caller.workspace_id, "source.disconnected", str(source_id),
            platform=source.source_app, account=source.account_email,
        )  # fmt: skip


async def sync(ports: Ports, caller: Caller, source_id: UUID) -> Begun:
    """Begin a sync now, or name the one under way. A source in error is tried again; 409 for one that is paused."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id, to_change=True)
        if not source.is_active:
            raise Problem(409, "source_paused", "This source is paused. Resume it first.")
        await quota.must_have_room(ports, connection, caller.workspace_id)
        await sources.clear_error(connection, source_id)
        job_id = await connecting.begin_sync(connection, ports.settings, source)
        if job_id is None:
            raise Problem(409, "no_sync", "Calls of this source come by webhook only; there is nothing to sync.")
        await auth.audit(connection, caller, caller.workspace_id, "source.synced", str(source_id))
    await pulls.start(ports.pool, ports.bus, caller.workspace_id, job_id)
    return Begun(job_id=job_id)


async def set_active(ports: Ports, caller: Caller, source_id: UUID, *, active: bool) -> SourceView:
    """Pause or resume."""
    return await change(ports, caller, source_id, SourceChange(active=active))


async def coverage(
    ports: Ports, caller: Caller, source_id: UUID, since: datetime | None, until: datetime | None
) -> Coverage:
    """What is proven imported between two times: by default from the first that is covered until the last sync."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id)
        covered = await pulls.covered(connection, source_id)
        until = until or source.synced_until or clock.now()
        default = source.created_at - timedelta(days=ports.settings.first_sync_days)
        since = since or min(covered[0][0] if covered else default, until - timedelta(seconds=1))
        if since >= until:
            raise Problem(422, "empty_period", "`from` must be earlier than `to`.", field="from")
        gaps = await pulls.gaps(connection, source_id, since, until)
    inside = [Span(since=max(a, since), until=min(b, until)) for a, b in covered if a < until and b > since]
    return Coverage(
        source_id=source_id, since=since, until=until, covered=inside, gaps=[Span(since=a, until=b) for a, b in gaps]
    )


async def read_call(ports: Ports, caller: Caller, source_id: UUID, wanted: CallWanted) -> CallComing:
    """Find one call at the vendor now, and have it read. 404 when the vendor has no such call."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await find(connection, caller, source_id)
    text = (wanted.url or wanted.external_id or "").strip()
    pull = CONNECTORS[source.source_app].pull if source.source_app in CONNECTORS else None
    if not text or (wanted.url and wanted.external_id):
        raise Problem(422, "invalid_request", "Give either the call's url or its external_id.", field="url")
    if pull is None:
        raise Problem(409, "no_sync", "Calls of this source come by webhook only.")
    try:
        async with vendor.open_api(ports.settings, ports.pool, ports.secrets, source) as api:
            item = await pull.find(api, text)
    except MissingFault as fault:
        raise Problem(404, fault.reason, fault.sentence) from None
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        await pulls.note_call(
            connection, source=source, external_id=item.external_id, job_id=None, why=ASKED, due_at=clock.now(),
            from_webhook=True,
        )  # fmt: skip
        await auth.audit(
            connection, caller, caller.workspace_id, "source.call_asked", str(source_id), call=item.external_id
        )
    with suppress(OutageFault):  # then the schedule does it
        await pulls.wake(ports.bus, source)
    return CallComing(external_id=item.external_id)
