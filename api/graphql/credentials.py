"""Credentials: connected accounts. A credential's id is its source's, as under `/api/sources`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from api import connecting, oauth, sources, verifying
from api.graphql.context import Info, asked
from api.graphql.errors import Refusal, as_data, id_of, refusal
from api.graphql.jobs import After, ImportJob, Limit, limited, shown
from api.graphql.limits import PAGED
from api.graphql.platforms import ImportCredentialType, platform_name
from api.jobs import get_job
from api.oauth import Back
from api.paging import encode_cursor
from api.problems import Problem
from api.sources import SourceChange, SourceCreate, SourceView
from connectors.contract import Auth


@strawberry.type(
    description="A connected account with its credential; never the credential itself. Its id is that of the source "
    "under `/api/sources`: it stays the same when the account is connected again."
)
class ImportCredential:
    """A connected account with its credential."""

    id: strawberry.ID
    platform: str
    account: str = strawberry.field(description="Whose it is, as a person knows it.")
    credential_type: ImportCredentialType | None = strawberry.field(description="Null once it was deleted.")
    is_valid: bool = strawberry.field(description="False: a person must do what `problem` says before it goes on.")
    problem: str | None = strawberry.field(description="What a person must do before it goes on.")
    is_paused: bool
    expires_at: datetime | None
    last_verified_at: datetime | None
    sync_enabled: bool = strawberry.field(description="Whether new calls come by themselves.")
    sync_frequency_minutes: int | None
    next_sync_at: datetime | None
    last_sync_at: datetime | None
    calls_imported: int
    created_at: datetime
    cursor: str = strawberry.field(description="`after` for the accounts connected before this one.")


@strawberry.input(description="A field of a form, as `PlatformCapability.auths` names them.")
class ImportFieldValue:
    """A filled-in field of a form."""

    name: str
    value: str


@strawberry.type(description="The connected account and its first sync, or why it was not connected.")
class CreateImportCredentialResult:
    """The connected account and its first sync, or why it was not connected."""

    credential: ImportCredential | None = None
    job: ImportJob | None = strawberry.field(default=None, description="The sync that has begun.")
    error: Refusal | None = None


@strawberry.type(description="The account after the change, or why it was not changed.")
class ImportCredentialResult:
    """The account after the change, or why it was not changed."""

    credential: ImportCredential | None = None
    error: Refusal | None = None


@strawberry.type(description="Where to send the person's browser, or why it cannot be sent.")
class InitiateOAuthImportResult:
    """Where to send the person."""

    authorization_url: str | None = strawberry.field(
        default=None, description="Open it in the browser of a person who is signed in here."
    )
    state: str | None = strawberry.field(default=None, description="For `completeOAuthImport`. It works once.")
    expires_at: datetime | None = None
    error: Refusal | None = None


@strawberry.type(description="What is no more, or why it still is.")
class DeleteImportCredentialResult:
    """What is no more, or why it still is."""

    deleted_credential_id: strawberry.ID | None = None
    error: Refusal | None = None


Fields = Annotated[
    list[ImportFieldValue] | None,
    strawberry.argument(description="Further fields of the platform's form, where it has more than a key."),
]


def credential_of(view: SourceView) -> ImportCredential:
    """A source as a credential."""
    same = (
        "platform", "account", "sync_frequency_minutes", "next_sync_at", "last_sync_at", "calls_imported",
        "created_at",
    )  # fmt: skip
    kept = view.credential
    return ImportCredential(
        id=strawberry.ID(str(view.id)),
        credential_type=ImportCredentialType(kept.kind) if kept else None,
        is_valid=kept is not None and view.error_message is None,
        problem=view.error_message,
        is_paused=view.state == "paused",
        expires_at=kept.expires_at if kept else None,
        last_verified_at=kept.last_verified_at if kept else None,
        sync_enabled=view.auto_sync,
        cursor=encode_cursor((view.created_at, view.id)),
        **{name: getattr(view, name) for name in same},
    )


async def import_credentials(info: Info, limit: Limit = 50, after: After = None) -> list[ImportCredential]:
    """Connected accounts, newest first."""
    ports, caller = asked(info)
    found = await sources.list_sources(ports, caller, limited(limit, PAGED["importCredentials"]), after)
    return [credential_of(each) for each in found.items]


async def create_import_credential(
    info: Info,
    platform: str,
    api_key: str | None = None,
    credential_type: ImportCredentialType | None = None,
    fields: Fields = None,
) -> CreateImportCredentialResult:
    """Connect an account by a key, or by the fields of the platform's form. The platform is asked at once, and the
    first sync begins. The same account again gets the new credential and keeps its id."""
    return await as_data(
        _create(info, platform_name(platform), api_key, credential_type, named(fields)),
        lambda error: CreateImportCredentialResult(error=error),
    )


async def _create(
    info: Info, platform: str, api_key: str | None, kind: ImportCredentialType | None, fields: dict[str, str]
) -> CreateImportCredentialResult:
    ports, caller = asked(info, "write")
    way = connecting.way_in(connecting.platform_of(platform), str(kind.value) if kind else None)
    key = key_field(way)
    if api_key is not None:
        fields |= {key: api_key}
    wanted = SourceCreate(platform=platform, kind=way.kind, fields=fields)
    try:
        made = await sources.connect(ports, caller, wanted)
    except Problem as problem:
        if api_key is not None and problem.extra.get("field") == f"fields.{key}":
            problem.extra["field"] = "apiKey"
        raise
    job = shown(await get_job(ports, caller, made.job_id)) if made.job_id else None
    return CreateImportCredentialResult(credential=credential_of(made), job=job)


def key_field(way: Auth) -> str:
    """The field of a form that `apiKey` fills in: the one of that name, or the first that is secret."""
    names = [each.name for each in way.fields]
    return next((name for name in ("api_key", *(each.name for each in way.fields if each.secret)) if name in names),
                "api_key")  # fmt: skip


def named(fields: list[ImportFieldValue] | None) -> dict[str, str]:
    """Fields by name."""
    return {each.name: each.value for each in fields or []}


async def initiate_oauth_import(info: Info, platform: str, fields: Fields = None) -> InitiateOAuthImportResult:
    """Begin to connect an account by signing in at its platform. The person comes back to callstream's own page, or
    the code they come back with is given to `completeOAuthImport`."""
    return await as_data(
        _initiate(info, platform_name(platform), named(fields)), lambda error: InitiateOAuthImportResult(error=error)
    )


async def _initiate(info: Info, platform: str, fields: Mapping[str, str]) -> InitiateOAuthImportResult:
    ports, caller = asked(info, "write")
    begun = await oauth.start(ports, caller, platform, fields, session=info.context.session)
    return InitiateOAuthImportResult(
        authorization_url=begun.authorize_url, state=begun.state, expires_at=begun.expires_at
    )


async def complete_oauth_import(info: Info, platform: str, code: str, state: str) -> CreateImportCredentialResult:
    """Connect the account of a person who has signed in at its platform. Its first sync begins."""
    return await as_data(
        _complete(info, platform_name(platform), Back(state[:200], code)),
        lambda error: CreateImportCredentialResult(error=error),
    )


async def _complete(info: Info, platform: str, back: Back) -> CreateImportCredentialResult:
    ports, caller = asked(info, "write")
    made = await oauth.finish(ports, caller, platform, back, session=info.context.session)
    view = await sources.get_source(ports, caller, made.source.source_id)
    job = shown(await get_job(ports, caller, made.job_id)) if made.job_id else None
    return CreateImportCredentialResult(credential=credential_of(view), job=job)


async def verify_import_credential(info: Info, credential_id: strawberry.ID) -> ImportCredentialResult:
    """Ask the platform whether it still takes the credential. Where it does not, `credential` says so, and `error`
    says what to do."""
    return await as_data(_verify(info, credential_id), lambda error: ImportCredentialResult(error=error))


async def _verify(info: Info, credential_id: str) -> ImportCredentialResult:
    ports, caller = asked(info, "write")
    view, refused = await verifying.verify(ports, caller, _id(credential_id))
    error = refusal(refused.sentence, refused.reason, "credentialId") if refused else None
    return ImportCredentialResult(credential=credential_of(view), error=error)


async def configure_import_sync(
    info: Info, credential_id: strawberry.ID, enabled: bool, sync_frequency_minutes: int | None = None
) -> ImportCredentialResult:
    """Whether new calls come by themselves, and how often they are looked for (5 minutes to a week)."""
    return await as_data(
        _configure(info, credential_id, enabled, sync_frequency_minutes),
        lambda error: ImportCredentialResult(error=error),
    )


async def _configure(info: Info, credential_id: str, enabled: bool, minutes: int | None) -> ImportCredentialResult:
    ports, caller = asked(info, "write")
    wanted = SourceChange(auto_sync=enabled, sync_frequency_minutes=minutes)
    changed = await sources.change(ports, caller, _id(credential_id), wanted)
    return ImportCredentialResult(credential=credential_of(changed))


async def delete_import_credential(info: Info, credential_id: strawberry.ID) -> DeleteImportCredentialResult:
    """Disconnect an account: its credential is deleted and imports under way end. Its calls stay in the library."""
    return await as_data(_delete(info, credential_id), lambda error: DeleteImportCredentialResult(error=error))


async def _delete(info: Info, credential_id: strawberry.ID) -> DeleteImportCredentialResult:
    ports, caller = asked(info, "write")
    await sources.disconnect(ports, caller, _id(credential_id))
    return DeleteImportCredentialResult(deleted_credential_id=credential_id)


def _id(credential_id: str) -> UUID:
    return id_of(credential_id, "credential", "credentialId")
