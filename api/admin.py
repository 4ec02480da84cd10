"""Imports that support starts for a member of the workspace, with a credential that is deleted when they are over."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api import auth, connecting, imports, jobs
from api.auth import Caller
from api.idempotency import checked_key, content_with_secrets, once
from api.jobs import CallStatus, Job, JobCall, JobDetail, JobStatus, Retried
from api.paging import Items, cursor_id, cursor_time, decode_cursor, page
from api.ports import Ports
from api.problems import Problem, not_found
from api.sources import Span
from streams import vendor
from streams.io import clock, queries, sources
from streams.io.store import in_workspace

SQL = queries.load("connections")


class AdminImport(BaseModel):
    """An import for a customer. `fields` are the customer's credential, as `GET /api/platforms` names them."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID
    platform: str = Field(max_length=40)
    kind: str | None = Field(None, max_length=40)
    fields: dict[str, str] = Field(max_length=30)
    date_range: Span
    filters: dict[str, str] = Field(default_factory=dict, max_length=20)
    keep_recordings: bool = False


class AdminStarted(imports.ImportStarted):
    """The import that goes on, and the account it reads."""

    account: str


class AdminView(BaseModel):
    """One of these imports. `credential_kept` turns false when it is over and its credential is deleted. The customer's
    name is null once they are no longer in the workspace."""

    job_id: UUID
    customer_id: UUID
    customer_name: str | None
    customer_email: str | None
    platform: str
    account: str | None
    status: JobStatus
    total_calls: int
    processed_calls: int
    failed_calls: int
    credential_kept: bool
    created_at: datetime


class AdminDetail(AdminView):
    """The same with how far it is."""

    job: JobDetail


async def start(ports: Ports, caller: Caller, wanted: AdminImport, key: str | None = None) -> AdminStarted:
    """Check the credential with the vendor and start the import. The calls are filed as the customer's. The same
    `Idempotency-Key` with the same content starts it once."""

    async def work() -> dict[str, Any]:
        return (await _start(ports, caller, wanted)).model_dump(mode="json")

    key = checked_key(key)
    content = await content_with_secrets("admin-import", caller, wanted.model_dump(mode="json"), key)
    return AdminStarted(**await once(ports.pool, caller.workspace_id, key, content, work))


async def _start(ports: Ports, caller: Caller, wanted: AdminImport) -> AdminStarted:
    connector = connecting.platform_of(wanted.platform)
    way = connecting.way_in(connector, wanted.kind)
    credential = connecting.credential_of(way, wanted.fields)
    if connector.pull is None:
        raise Problem(422, "no_sync", f"Nothing can be imported from {connector.display_name}.", field="platform")
    window = imports.window_of(connector, wanted.date_range, wanted.filters, clock.now())
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if await connection.fetchval(SQL["member"], caller.workspace_id, wanted.customer_id) is None:
            sentence = "There is no such person in this workspace."
            raise Problem(422, "unknown_customer", sentence, field="customer_id")
    account = await connecting.check(ports.settings, connector, way, credential)
    async with vendor.open_api_for(ports.settings, connector, way.kind, credential) as api:
        count = await imports.counted(api, connector.pull, window)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:  # never a credential without its job
        source, _ = await sources.create_or_reconnect(
            connection, ports.secrets, workspace_id=caller.workspace_id, user_id=wanted.customer_id,
            source_app=connector.source_app, account_email=connecting.label_of(account), kind=way.kind,
            credential=credential, account_id=account.account_id, keep_recordings=wanted.keep_recordings,
            one_off=True,
        )  # fmt: skip
        job_id = await imports.write_down(connection, caller, source, "historical", window, count)
        await auth.audit(
            connection, caller, caller.workspace_id, "admin_import.started", str(job_id),
            platform=connector.source_app, account=source.account_email, customer=str(wanted.customer_id),
        )  # fmt: skip
    begun = await imports.set_off(ports, source, job_id, count)
    return AdminStarted(**begun.model_dump(), account=source.account_email)


async def list_imports(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Items[AdminView]:
    """These imports, newest first."""
    after = decode_cursor(cursor, cursor_time, cursor_id)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        rows = await connection.fetch(SQL["one_off_jobs"], caller.workspace_id, None, *after, limit + 1)
    found = {job.id: job for job in await jobs.read_jobs(ports, caller.workspace_id, [row["job_id"] for row in rows])}
    rows = [row for row in rows if row["job_id"] in found]
    return page(
        rows, limit, lambda row: AdminView(**_shown(row, found[row["job_id"]])),
        lambda row: (row["created_at"], row["job_id"]),
    )  # fmt: skip


def _shown(row: Any, job: Job) -> dict[str, Any]:
    counted = ("status", "total_calls", "processed_calls", "failed_calls")
    return {**dict(row), **{name: getattr(job, name) for name in counted}}


async def get_import(ports: Ports, caller: Caller, job_id: UUID) -> AdminDetail:
    """One of them."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        row = await connection.fetchrow(SQL["one_off_jobs"], caller.workspace_id, job_id, None, None, 1)
    if row is None:
        raise not_found("import")
    job = await jobs.get_job(ports, caller, job_id)
    return AdminDetail(**_shown(row, job), job=job)


async def list_calls(
    ports: Ports, caller: Caller, job_id: UUID, status: list[CallStatus] | None, limit: int, cursor: str | None
) -> Items[JobCall]:
    """The calls of one of them."""
    await get_import(ports, caller, job_id)
    return await jobs.list_calls(ports, caller, job_id, status, limit, cursor)


async def retry(ports: Ports, caller: Caller, job_id: UUID) -> Retried:
    """Retry the failed calls of one. Those that must be read at the platform again can be only while the credential is
    there; the others need none."""
    found = await get_import(ports, caller, job_id)
    return await jobs.retry_failed(ports, caller, job_id, read_again=found.credential_kept)


async def cancel(ports: Ports, caller: Caller, job_id: UUID) -> AdminDetail:
    """Cancel one. Its credential is deleted within seconds."""
    await get_import(ports, caller, job_id)
    await jobs.cancel(ports, caller, job_id)
    return await get_import(ports, caller, job_id)
