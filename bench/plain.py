"""What a call goes through in the two chains that callstream is compared with: plain dicts, nothing checked.

It is less than callstream does (no models, no claim rule for updates, no search index, no outcome of a duplicate), so
the comparison errs to their advantage.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

Row = tuple[str, str, str, str, str, datetime, int, str, str]

CREATE = """
    CREATE TABLE IF NOT EXISTS calls (
        workspace_id text NOT NULL, source_app text NOT NULL, external_id text NOT NULL, title text NOT NULL,
        full_transcript text NOT NULL, recording_start_time timestamptz NOT NULL, duration_ms bigint NOT NULL,
        source_metadata json NOT NULL, event_id text NOT NULL, imported_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace_id, source_app, external_id)
    );
    GRANT SELECT, INSERT, UPDATE ON calls TO callstream_app
"""
COLUMNS = (
    "workspace_id, source_app, external_id, title, full_transcript, recording_start_time, duration_ms, "
    "source_metadata, event_id"
)


def topics_of(prefix: str) -> dict[str, str]:
    """The topics of a chain: each hop reads one and writes the next."""
    return {name: f"{prefix}.{name}" for name in ("raw", "normalized", "unique", "ready", "completed")}


def normalize(value: bytes) -> bytes:
    """A raw call as a call."""
    event = json.loads(value)
    payload = json.loads(event["payload"])
    call = {
        name: event[name] for name in ("event_id", "workspace_id", "source_app", "observed_at", "received_at")
    } | {
        "external_id": payload["external_id"],
        "title": payload["title"].strip(),
        "full_transcript": payload["full_transcript"],
        "recording_start_time": payload["recording_start_time"],
        "duration_ms": int(payload["duration_seconds"] * 1000),
        "source_metadata": {"external_id": payload["external_id"], **payload["metadata"]},
    }  # fmt: skip
    content = json.dumps([call["title"], call["full_transcript"], call["recording_start_time"], call["duration_ms"]])
    call["fingerprint"] = hashlib.sha256(content.encode()).hexdigest()
    return json.dumps(call).encode()


def claim_of(value: bytes) -> dict[str, str]:
    """What dedup keeps of a call."""
    call = json.loads(value)
    return {name: call[name] for name in ("event_id", "fingerprint", "observed_at")}


def row_of(value: bytes) -> Row:
    """A call as the columns of the table."""
    call = json.loads(value)
    return (
        call["workspace_id"],
        call["source_app"],
        call["external_id"],
        call["title"],
        call["full_transcript"],
        datetime.fromisoformat(call["recording_start_time"]),
        call["duration_ms"],
        json.dumps(call["source_metadata"]),
        call["event_id"],
    )


def completed(row: Row) -> bytes:
    """What is said when a row is stored."""
    said: dict[str, Any] = {"external_id": row[2], "event_id": row[8], "title": row[3]}
    return json.dumps(said).encode()
