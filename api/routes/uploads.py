"""`POST /api/uploads`."""

from typing import Any

from fastapi import APIRouter, Request

from api import uploads
from api.deps import TheCaller, ThePorts
from api.intake import UploadAnswer

router = APIRouter(tags=["uploads"])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "Recordings (MP3, WAV, M4A, MP4, MOV, WebM, OGG, FLAC) and transcripts "
                            "(VTT, SRT, TXT, JSON). Any part with a file name counts, whatever its name is.",
                        },
                        "title": {"type": "string", "description": "Default: the file's name."},
                        "recorded_at": {"type": "string", "format": "date-time"},
                        "bank_id": {"type": "string", "format": "uuid", "description": "Default: your personal bank."},
                        "vault_id": {"type": "string", "format": "uuid"},
                    },
                }
            }
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "maxLength": 255},
            "description": "The same key with the same content gets the same answer; with other content 409.",
        }
    ],
}


@router.post("/api/uploads", status_code=202, openapi_extra=BODY)
async def upload(request: Request, caller: TheCaller, ports: ThePorts) -> UploadAnswer:
    """Upload recordings and transcripts, as many as you like, each streamed.

    202 once every good file is kept and its event is with the broker; files that cannot be imported are listed with a
    reason beside them. `duplicate` means that the same content is in this upload twice, or in the library already.
    422 (413 for size) when no file is good. 409 for an `Idempotency-Key` used before with other content, or whose first
    request is still running. 503 when the broker or the database is away, 507 when the disk is full: nothing was
    accepted then. Title, time, bank and vault count for all files of the upload.
    """
    return await uploads.accept(ports, caller, request)
