"""What a Slack channel is told."""

from typing import Any

import pytest

from streams.slack import LONGEST, failed_text, job_text

JOB: dict[str, Any] = {
    "job_type": "sync", "source_app": "gong", "status": "completed", "imported_calls": 8, "updated_calls": 0,
    "skipped_calls": 3, "failed_calls": 0, "last_error": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "Sync from Gong is done: 8 new, 3 already there."),
        ({"status": "partial", "failed_calls": 1},
         "Sync from Gong is done, but some calls failed: 8 new, 3 already there, 1 failed."),
        ({"status": "failed", "last_error": "The key was refused."},
         "Sync from Gong failed: 8 new, 3 already there.\nThe key was refused."),
        ({"job_type": "upload", "source_app": "upload", "skipped_calls": 0}, "Upload is done: 8 new."),
        ({"status": "cancelled", "imported_calls": 0, "skipped_calls": 0}, "Sync from Gong was cancelled: no calls."),
        ({"source_app": "unheard_of"}, "Sync from unheard_of is done: 8 new, 3 already there."),
    ],
)  # fmt: skip
def test_a_job_is_told_in_a_line(changed: dict[str, Any], text: str) -> None:
    assert job_text(JOB | changed) == text


def test_nothing_a_call_says_is_a_link_or_calls_everybody() -> None:
    text = failed_text({"source_app": None, "message": "<!channel> & <https://evil.example|here> " + "x" * 9999})
    assert "<" not in text
    assert "&lt;!channel&gt; &amp; " in text
    assert len(text) < LONGEST * 5
