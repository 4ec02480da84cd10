"""Errors as clients see them: of mutations as data, of queries with a reason beside the sentence, of ours masked."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import strawberry
import structlog
from graphql import GraphQLError
from pydantic import ValidationError
from strawberry.extensions import MaskErrors

from api.problems import Problem, not_found, status_of
from schemas.faults import Fault, InvalidCall

T = TypeVar("T")
MASKED = "Something went wrong here, and the log says what. Try again; if it stays, tell whoever runs callstream."
UNSTORABLE = "The request holds a value that cannot be stored or compared."
ARGUMENTS = {
    "source_id": "credentialId", "job_id": "jobId", "date_range": "dateRangeStart",
    "date_range.from": "dateRangeStart", "date_range.to": "dateRangeEnd", "from": "dateRangeStart",
    "to": "dateRangeEnd", "job_type": "jobType", "sync_frequency_minutes": "syncFrequencyMinutes",
    "auto_sync": "enabled", "kind": "credentialType", "cursor": "after",
}  # fmt: skip
"""What the functions behind call a field, as this schema's argument."""
ABOUT_KEY = frozenset({"bad_idempotency_key", "idempotency_key_reused", "still_running"})

log = structlog.get_logger()


@strawberry.type(name="ImportError", description="Why something was not done, and what to do next.")
class Refusal:
    """Why something was not done."""

    message: str = strawberry.field(description="A sentence for a person.")
    reason: str = strawberry.field(description="A word for a program, such as `not_found`.")
    field: str | None = strawberry.field(
        default=None, description="The argument that is at fault, where there is one; `fields.x` is a field of a form."
    )


def refusal(sentence: str, reason: str, field: str | None = None) -> Refusal:
    """Why something was not done; `field` as the functions behind call it."""
    return Refusal(message=sentence, reason=reason, field=ARGUMENTS.get(field, field) if field else None)


def told(error: BaseException) -> tuple[Refusal, int] | None:
    """An error that is meant for the client, with the status it has under REST; None for one of ours."""
    if isinstance(error, Problem):
        where = error.extra.get("field") or ("idempotencyKey" if error.reason in ABOUT_KEY else None)
        return refusal(error.sentence, error.reason, where), error.status
    if isinstance(error, Fault):
        where = error.field if isinstance(error, InvalidCall) else None
        return refusal(error.sentence, error.reason, where), status_of(error)
    if isinstance(error, ValidationError):
        [first, *_] = error.errors()
        name = ".".join(str(part) for part in first["loc"])
        name = ARGUMENTS.get(name, name)
        message = f"{name}: {str(first['msg']).removeprefix('Value error, ').rstrip('.')}."[:300]
        return refusal(message.encode("utf-8", "replace").decode(), "invalid_request", name), 422
    if isinstance(error, RecursionError):
        return refusal("This is nested too deep to be read. Ask in several requests.", "too_much"), 422
    if isinstance(error, UnicodeError) or str(getattr(error, "sqlstate", None) or "")[:2] == "22":
        return refusal(UNSTORABLE, "invalid_request"), 422
    return None


async def as_data(work: Awaitable[T], refused: Callable[[Refusal], T]) -> T:
    """What a mutation answers: the result, or the error as part of it. Errors of ours go on, to be masked."""
    try:
        return await work
    except Exception as error:
        known = told(error)
        if known is None:
            raise
        if known[1] >= 500:
            log.warning("request failed", reason=known[0].reason, detail=getattr(error, "detail", ""))
        return refused(known[0])


def id_of(value: str, what: str, name: str) -> UUID:
    """An id. What cannot be one is an id that there is not. Raises a 404 problem."""
    try:
        return UUID(value)
    except ValueError:
        problem = not_found(what)
        problem.extra["field"] = name
        raise problem from None


class PlainErrors(MaskErrors):
    """Errors in `errors`: known ones carry `reason`, `status` and `field`, and ours are masked and logged."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=_from_a_resolver, error_message=MASKED)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """What the client gets instead."""
        original = error.original_error
        known = told(original) if original is not None else None
        if known is None:
            log.error("request failed", method="graphql", route=_path(error), exc_info=original)
            return super().anonymise_error(error)
        shown, status = known
        if status >= 500:
            log.warning("request failed", reason=shown.reason, detail=getattr(original, "detail", ""))
        extensions: dict[str, Any] = {"reason": shown.reason, "status": status}
        if shown.field:
            extensions["field"] = shown.field
        return GraphQLError(shown.message, nodes=error.nodes, path=error.path, extensions=extensions)


def _from_a_resolver(error: GraphQLError) -> bool:
    """Whether code of ours raised it. What the library finds wrong with a document or a variable is said as it is."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)


def _path(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())
