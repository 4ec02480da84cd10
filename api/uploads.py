"""The upload request: receive it, read its fields, take the files in, once per idempotency key."""

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from api import idempotency, intake
from api.auth import Caller
from api.intake import Given, Sender, UploadAnswer
from api.multipart import Form, receive
from api.paging import Instant
from api.ports import Ports
from api.problems import Problem
from schemas.faults import InvalidCall, OutageFault
from schemas.metrics import DOOR_REQUESTS

MAX_TITLE = 500
_INSTANT: TypeAdapter[Instant] = TypeAdapter(Instant)


async def accept(ports: Ports, caller: Caller, request: Request) -> UploadAnswer:
    """One upload, from the first byte to the broker's word, counted. Temporary files are gone afterwards."""
    result = "refused"
    try:
        async with _folder(ports.scratch) as folder:
            answer = await _accept(ports, caller, request, folder)
        result = "accepted"
    except OutageFault:
        result = "unavailable"
        raise
    except ClientDisconnect:
        raise Problem(400, "client_disconnected", "The upload was broken off.") from None
    finally:
        DOOR_REQUESTS.labels("upload", result).inc()
    return answer


async def _accept(ports: Ports, caller: Caller, request: Request, folder: Path) -> UploadAnswer:
    key = idempotency.checked_key(request.headers.get("idempotency-key"))
    content_type = request.headers.get("content-type", "")
    with intake.disk_full_said():
        form = await receive(request.stream(), content_type, folder, max_file_bytes=ports.settings.upload_max_bytes)
    sender, given = _sender(caller, form), _given(form)

    async def work() -> dict[str, object]:
        answer = await intake.accept_files(ports, sender, form.files, given)
        return answer.model_dump(mode="json")

    answer = await idempotency.once(ports.pool, caller.workspace_id, key, _content(form), work)
    return UploadAnswer.model_validate(answer)


@asynccontextmanager
async def _folder(parent: Path) -> AsyncIterator[Path]:
    with intake.disk_full_said():
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=parent))
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _sender(caller: Caller, form: Form) -> Sender:
    return Sender(caller.workspace_id, caller.user_id, _id(form, "bank_id"), _id(form, "vault_id"))


def _id(form: Form, name: str) -> UUID | None:
    text = form.fields.get(name, "").strip()
    try:
        return UUID(text) if text else None
    except ValueError:
        raise InvalidCall("invalid_field", f"{name} is not an id.", field=name) from None


def _given(form: Form) -> Given:
    title, recorded_at = form.fields.get("title", "").strip(), form.fields.get("recorded_at", "").strip()
    if len(title) > MAX_TITLE:
        raise InvalidCall("invalid_field", f"title is longer than {MAX_TITLE} characters.", field="title")
    try:
        return Given(title or None, _INSTANT.validate_python(recorded_at) if recorded_at else None)
    except ValidationError:
        sentence = "recorded_at must be a time such as 2025-01-31T09:00:00Z."
        raise InvalidCall("invalid_field", sentence, field="recorded_at") from None


def _content(form: Form) -> str:
    """What two requests with the same idempotency key must share."""
    known = [sorted(form.fields.items()), [(file.filename, file.size, file.sha256) for file in form.files]]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
