"""What a GraphQL source complains of in `errors`, whatever the status of its answer. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime

from connectors.answers import FAULTS, LONGEST_WAIT, RATE_LIMITED, asked_at, json_of
from connectors.contract import Answer
from connectors.payloads import Payload
from schemas.faults import Fault, InvalidCall, TransientFault

STATUS = {
    "auth_failed": 401, "paid_required": 402, "require_ai_credits": 402, "forbidden": 403, "object_not_found": 404,
}  # fmt: skip
"""The codes that mean the same as a status."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def complaint(vendor: str) -> Callable[[Answer], Fault | None]:
    """The `Connector.complaint` of such a source."""

    def of(answer: Answer) -> Fault | None:
        if b'"errors"' not in answer.body:  # a page of transcripts is read once, not twice
            return None
        try:
            value = json_of(answer, vendor)
        except TransientFault:
            return None
        errors = value.get("errors") if isinstance(value, dict) else None
        if not isinstance(errors, list) or not errors:
            return None
        error = errors[0] if isinstance(errors[0], dict) else {}
        more = error["extensions"] if isinstance(error.get("extensions"), dict) else {}
        code = str(error.get("code") or more.get("code") or "")[:60]
        if code in STATUS:
            return FAULTS[STATUS[code]](vendor, code)
        if code == "invalid_arguments":
            return InvalidCall("request_refused", f"{vendor} refused the request. Report it with the time it happened.")
        if code == "too_many_requests":
            wait = _wait(more, asked_at(answer, NEVER))
            return TransientFault(RATE_LIMITED, f"{vendor} allows no more requests at the moment.", retry_after=wait)
        return TransientFault("vendor_failing", f"{vendor} cannot answer now. It is tried again.", detail=code)

    return of


def _wait(extensions: Payload, now: datetime) -> float | None:
    """`retryAfter` is a moment in milliseconds by the source's clock, which its `Date` header tells."""
    details = extensions.get("metadata")
    until = details.get("retryAfter") if isinstance(details, dict) else None
    if isinstance(until, bool) or not isinstance(until, int | float) or now == NEVER:
        return None
    return min(max(until / 1000 - now.timestamp(), 1.0), LONGEST_WAIT)
