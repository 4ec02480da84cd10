from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors import soap
from connectors.contract import Answer
from connectors.five9_reports import complaint, row_in, rows_of
from schemas.faults import ConfigFault, Fault, InvalidCall, TransientFault

PACIFIC = ZoneInfo("America/Los_Angeles")
START = datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)
REPORT = """\ufeff
CALL ID,TIMESTAMP,CAMPAIGN,ANI,DNIS
300,"Wed, 05 Nov 2025 01:30:12",Outbound West,4155550100,4155550143
301,"Wed, 05 Nov 2025 01:31:20",Outbound West,4155550100,4155550143
302,"Wed, 05 Nov 2025 01:40:00","Support, evening",4155550119,4155550100

short
"""


def test_a_row_is_found_by_its_id_and_kept_word_for_word() -> None:
    assert row_in(rows_of(REPORT), {"302", "x"}, set(), START, PACIFIC) == {
        "CALL ID": "302", "TIMESTAMP": "Wed, 05 Nov 2025 01:40:00", "CAMPAIGN": "Support, evening",
        "ANI": "4155550119", "DNIS": "4155550100",
    }  # fmt: skip
    assert row_in(rows_of(REPORT), {"303"}, {"4155550143"}, START, PACIFIC) is None, "another call of the same number"
    assert row_in(rows_of("Session Id,X\n 300 ,y\n"), {"300"}, set(), START, PACIFIC) == {
        "Session Id": " 300 ",
        "X": "y",
    }


@pytest.mark.parametrize(
    ("number", "minute", "found"),
    [("+1 (415) 555-0119", 39, "302"), ("4155550119", 45, None), ("4155550199", 39, None), ("4155550143", 30, None)],
)
def test_a_call_without_an_id_is_found_if_only_one_can_be_meant(number: str, minute: int, found: str | None) -> None:
    day = rows_of(REPORT)
    row = row_in(day, set(), {number}, START.replace(minute=minute, second=40), PACIFIC)
    assert (row["CALL ID"] if row else None) == found


@pytest.mark.parametrize("text", ["", "\n", "CALL ID,TIMESTAMP\n", "No data\n"])
def test_a_report_without_rows_is_one(text: str) -> None:
    assert row_in(rows_of(text), {"300"}, set(), START, PACIFIC) is None
    assert row_in(rows_of(text), set(), {"300"}, START, PACIFIC) is None


@pytest.mark.parametrize(
    ("sentence", "detail", "fault", "reason"),
    [
        ("Requests limit is exceeded", "", TransientFault, "rate_limited"),
        ("Concurrent requests are not allowed for the user", "", TransientFault, "vendor_failing"),
        ("Error", "ResultIsNotReadyException", TransientFault, "vendor_failing"),
        ("User does not have permission", "", ConfigFault, "permission_missing"),
        ('Report with name "Recordings" does not exist, not found', "", ConfigFault, "report_missing"),
        ("Something else", "OtherException", InvalidCall, "request_refused"),
    ],
)
def test_what_five9_complains_of_is_understood(sentence: str, detail: str, fault: type[Fault], reason: str) -> None:
    inner = f"<detail><x:{detail} xmlns:x='u'/></detail>" if detail else ""
    body = f"<e:Fault><faultstring>{sentence}</faultstring>{inner}</e:Fault>"
    text = f'<e:Envelope xmlns:e="{soap.ENVELOPE}"><e:Body>{body}</e:Body></e:Envelope>'
    found = complaint(Answer(500, {}, text.encode(), "https://api.five9.com/wsadmin"))
    assert type(found) is fault
    assert found.reason == reason
    assert found.sentence.startswith("Five9")


def test_other_answers_are_judged_by_their_status() -> None:
    assert complaint(Answer(500, {}, b"<html>Fault</html>", "https://api.five9.com/wsadmin")) is None
    assert complaint(Answer(401, {}, b"", "https://api.five9.com/wsadmin")) is None
