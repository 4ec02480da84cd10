"""The schema: every operation on one screen. `docs/schema.graphql` is made from it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import strawberry
from graphql import GraphQLError
from pydantic import TypeAdapter, ValidationError
from strawberry.extensions import AddValidationRules, MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from api.graphql import credentials, jobs, platforms, previews
from api.graphql.context import Context
from api.graphql.errors import PlainErrors
from api.graphql.limits import MAX_TOKENS, SizeLimit
from api.graphql.watching import StillSignedIn
from api.paging import Instant

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def _read_time(value: Any) -> datetime:
    try:
        return _INSTANT.validate_python(value if isinstance(value, str) else "")
    except ValidationError:
        raise GraphQLError("A time must look like 2025-01-31T09:00:00Z.") from None


def _write_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A moment by RFC 3339, such as `2025-01-31T09:00:00Z`. Answers are in UTC; a date alone means "
    "midnight there.",
    specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
    serialize=_write_time,
    parse_value=_read_time,
)


@strawberry.type(description="What can be looked at. An error carries its `reason` in `extensions`.")
class Query:
    """What can be looked at."""

    import_platforms: list[platforms.PlatformCapability] = strawberry.field(
        resolver=platforms.import_platforms, description="What can be connected, by name."
    )
    import_credentials: list[credentials.ImportCredential] = strawberry.field(
        resolver=credentials.import_credentials, description="Connected accounts, newest first."
    )
    import_jobs: list[jobs.ImportJob] = strawberry.field(
        resolver=jobs.import_jobs, description="Imports, newest first, each with its counts."
    )
    import_job: jobs.ImportJob | None = strawberry.field(
        resolver=jobs.import_job, description="One import; null when there is none."
    )
    import_preview: previews.ImportPreview | None = strawberry.field(
        resolver=previews.import_preview,
        description="How many calls an import would bring, how long it would take and what it would cost. Nothing is "
        "imported. Null comes with an error.",
    )


@strawberry.type(
    description="What can be changed. Every result carries either what it was about, or `error` with a sentence."
)
class Mutation:
    """What can be changed."""

    create_import_credential: credentials.CreateImportCredentialResult = strawberry.mutation(
        resolver=credentials.create_import_credential,
        description="Connect an account by a key (`apiKey`), or by the fields of the platform's form. The platform is "
        "asked at once, and the first sync begins. The same account again gets the new credential and keeps its id.",
    )
    initiate_oauth_import: credentials.InitiateOAuthImportResult = strawberry.mutation(
        resolver=credentials.initiate_oauth_import,
        name="initiateOAuthImport",
        description="Begin to connect an account by signing in at its platform.",
    )
    complete_oauth_import: credentials.CreateImportCredentialResult = strawberry.mutation(
        resolver=credentials.complete_oauth_import,
        name="completeOAuthImport",
        description="Connect the account of a person who has signed in at its platform, by what they came back with.",
    )
    verify_import_credential: credentials.ImportCredentialResult = strawberry.mutation(
        resolver=credentials.verify_import_credential,
        description="Ask the platform whether it still takes the credential. Where it does not, `credential` has "
        "`isValid` false, and `error` says what to do.",
    )
    start_import_job: jobs.StartImportJobResult = strawberry.mutation(
        resolver=jobs.start_import_job,
        description="Import calls of a connected account. HISTORICAL and BACKFILL need a date range; a SYNC chooses "
        "its own.",
    )
    cancel_import_job: jobs.CancelImportJobResult = strawberry.mutation(
        resolver=jobs.cancel_import_job,
        description="Cancel an import: nothing more is fetched for it. Calls that were accepted already still arrive.",
    )
    configure_import_sync: credentials.ImportCredentialResult = strawberry.mutation(
        resolver=credentials.configure_import_sync,
        description="Whether new calls come by themselves, and how often they are looked for: every 5 to 10,080 "
        "minutes. Without `syncFrequencyMinutes` that stays.",
    )
    delete_import_credential: credentials.DeleteImportCredentialResult = strawberry.mutation(
        resolver=credentials.delete_import_credential,
        description="Disconnect an account: its credential is deleted and imports under way end. Its calls stay in "
        "the library.",
    )


@strawberry.type(description="What can be followed, over `graphql-transport-ws` at the same address.")
class Subscription:
    """What can be followed."""

    import_job_progress: AsyncGenerator[jobs.ImportJob] = strawberry.subscription(
        resolver=jobs.import_job_progress,
        description="An import as it stands, and at every change until it is over.",
    )


class QuietSchema(strawberry.Schema):
    """A schema that writes nothing about errors: `PlainErrors` does, and a document may hold a key."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing more."""


schema = QuietSchema(
    Query,
    Mutation,
    Subscription,
    config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    extensions=[
        PlainErrors,
        StillSignedIn,
        lambda: MaxTokensLimiter(MAX_TOKENS),
        lambda: AddValidationRules([SizeLimit]),
    ],
)


async def execute(
    query: str, variables: dict[str, Any] | None, operation_name: str | None, context: Context
) -> dict[str, Any]:
    """The answer to a query or a mutation, as it is sent: `data`, and `errors` where there are some."""
    try:
        result = await schema.execute(
            query, variables, context, operation_name=operation_name,
            allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
        )  # fmt: skip
    except InvalidOperationTypeError:
        return _refused("A subscription needs a WebSocket: speak graphql-transport-ws at this same address.")
    except CannotGetOperationTypeError:
        return _refused("The document has no such operation. Name one of its own as `operationName`.")
    shown: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown["errors"] = [error.formatted for error in result.errors]
    return shown


def _refused(sentence: str) -> dict[str, Any]:
    return {"data": None, "errors": [{"message": sentence, "extensions": {"reason": "invalid_request", "status": 422}}]}
