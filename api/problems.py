"""Errors as `application/problem+json` (RFC 9457). One table from fault to HTTP status, one handler for each kind."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, MissingFault, OutageFault, TransientFault

RETRY_AFTER_SECONDS = 5
MEDIA_TYPE = "application/problem+json"

FAULT_STATUS: tuple[tuple[type[Fault], int], ...] = (
    (ConfigFault, 409),
    (OutageFault, 503),
    (TransientFault, 503),
    (CursorFault, 503),
    (MissingFault, 404),
    (InvalidCall, 422),
)

REASON_STATUS: Mapping[str, int] = {
    "file_too_large": 413,
    "transcript_too_large": 413,
    "too_large_for_kafka": 413,
    "media_missing": 404,
    "quota_used_up": 402,
}
"""Reasons that have a status of their own, whatever kind of fault they come with."""

DOCUMENT = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string", "example": "urn:callstream:problem:not_found"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "reason": {"type": "string", "description": "A word for a program."},
        "field": {"type": "string", "description": "The field that is at fault, where there is one."},
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457).", "content": {MEDIA_TYPE: {"schema": DOCUMENT}}}
}
"""What the API's description says about every answer that is not the one hoped for."""

log = structlog.get_logger()


class Problem(Exception):
    """An answer that is not the one hoped for. `sentence` is what the person reads, `reason` what a program reads."""

    def __init__(
        self, status: int, reason: str, sentence: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.sentence = sentence
        self.headers = dict(headers or {})
        self.extra = extra


def not_found(what: str) -> Problem:
    """404 for a thing by its name. Things of other workspaces are not found either."""
    return Problem(404, "not_found", f"There is no such {what}.")


def status_of(fault: Fault) -> int:
    """The HTTP status of a fault."""
    if fault.reason in REASON_STATUS:
        return REASON_STATUS[fault.reason]
    return next((status for kind, status in FAULT_STATUS if isinstance(fault, kind)), 500)


def answer(
    status: int, reason: str, sentence: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """A problem document."""
    body = {
        "type": f"urn:callstream:problem:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
        "reason": reason,
        **extra,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def handle(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Fault, _fault)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)


async def _problem(_: Request, error: Exception) -> Response:
    error = cast(Problem, error)
    return answer(error.status, error.reason, error.sentence, error.headers, **error.extra)


async def _fault(_: Request, error: Exception) -> Response:
    error = cast(Fault, error)
    status = status_of(error)
    headers = {}
    if status == 503:
        wait = getattr(error, "retry_after", None) or RETRY_AFTER_SECONDS
        headers["Retry-After"] = str(max(1, round(wait)))
    if status >= 500:
        log.warning("request failed", reason=error.reason, detail=error.detail)
    extra = {"field": error.field} if isinstance(error, InvalidCall) and error.field else {}
    return answer(status, error.reason, error.sentence, headers, **extra)


async def _malformed(_: Request, error: Exception) -> Response:
    """422 without the input: it may be a secret, or nothing that JSON can hold."""
    error = cast(RequestValidationError, error)
    errors = [
        {"field": _where(found["loc"]), "message": _clean(str(found["msg"]).removeprefix("Value error, "))}
        for found in error.errors()
    ]
    first = errors[0] if errors else {"field": "", "message": "the request cannot be read"}
    sentence = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return answer(422, "invalid_request", sentence, field=first["field"], errors=errors[:50])


def _where(location: tuple[Any, ...]) -> str:
    parts = [str(part) for part in location]
    return _clean(".".join(parts[1:] if parts and parts[0] in {"body", "query", "path", "header", "cookie"} else parts))


def _clean(text: str) -> str:
    return text[:300].encode("utf-8", "replace").decode()


async def _http(_: Request, error: Exception) -> Response:
    error = cast(HTTPException, error)
    reasons = {
        400: "unreadable_request", 401: "not_signed_in", 404: "not_found", 405: "method_not_allowed",
        413: "body_too_large",
    }  # fmt: skip
    reason = reasons.get(error.status_code, "http_error")
    return answer(error.status_code, reason, _clean(str(error.detail)), error.headers)


async def _gone(_: Request, __: Exception) -> Response:
    """Nobody reads this; it only keeps a hung-up client from counting as a bug of ours."""
    return answer(400, "client_disconnected", "The request was broken off.")


async def _bug(request: Request, error: Exception) -> Response:
    """Ours. The trace goes to the log; values PostgreSQL cannot hold are the caller's after all."""
    if str(getattr(error, "sqlstate", None) or "")[:2] == "22":
        return answer(422, "invalid_request", "The request holds a value that cannot be stored or compared.")
    log.error("request failed", method=request.method, route=_route(request), exc_info=error)
    return answer(500, "internal_error", "Something went wrong inside callstream. The log says what.")


def _route(request: Request) -> str:
    """The route's pattern, never the path: a path may carry an id, a query a token."""
    return str(getattr(request.scope.get("route"), "path", "?"))
