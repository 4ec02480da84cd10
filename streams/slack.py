"""What a Slack channel is told: a short text for people. Pure."""

from collections.abc import Mapping
from typing import Any

from connectors.registry import CONNECTORS

KINDS = {
    "historical": "Historical import",
    "sync": "Sync",
    "backfill": "Backfill",
    "upload": "Upload",
    "replay": "Replay",
}
ENDS = {
    "completed": "is done",
    "partial": "is done, but some calls failed",
    "failed": "failed",
    "cancelled": "was cancelled",
}
LONGEST = 2000
"""Slack takes more, and nobody reads it."""


def job_text(job: Mapping[str, Any]) -> str:
    """A job that is over, in a line or two."""
    kind = KINDS.get(job["job_type"], "Import")
    of = "" if job["source_app"] in ("upload", "all") else f" from {_name(job['source_app'])}"
    counts = [
        (job["imported_calls"], "new"), (job["updated_calls"], "updated"), (job["skipped_calls"], "already there"),
        (job["failed_calls"], "failed"),
    ]  # fmt: skip
    told = ", ".join(f"{count} {what}" for count, what in counts if count) or "no calls"
    why = f"\n{job['last_error']}" if job["status"] == "failed" and job["last_error"] else ""
    return _text(f"{kind}{of} {ENDS.get(job['status'], 'is over')}: {told}.{why}")


def failed_text(failed: Mapping[str, Any]) -> str:
    """A call that could not be imported, for all of the same cause within an hour."""
    of = f" from {_name(failed['source_app'])}" if failed["source_app"] else ""
    more = "Others that fail for the same cause within this hour are not told one by one."
    return _text(f"A call{of} could not be imported. {failed['message']}\n{more}")


def _name(source_app: str) -> str:
    connector = CONNECTORS.get(source_app)
    return connector.display_name if connector else source_app


def _text(text: str) -> str:
    """Fit for Slack, where `<…>` would be a link or call everybody."""
    return text[:LONGEST].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
