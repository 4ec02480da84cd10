from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors import soap
from connectors.contract import Answer
from connectors.sidecars import MAX_CHARACTERS, facts, flat, length_ms, moment

PACIFIC = ZoneInfo("America/Los_Angeles")
BOMB = '<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;&b;">]><a><ani>&c;</ani></a>'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"callId": 300, "agent": {"E-mail": "mila@acme.example"}, "list": [1], "on": true, "no": null}'),
        ("a.json", '[{"callId": 1, "file": "b.wav"}, {"callId": "300", "Agent E Mail": "mila@acme.example", "": "a"}]'),
        ("a.XML", '<r><CallID>300</CallID><agent eMail="mila@acme.example"/><empty/></r>'),
        ("a.xml", '<r xmlns="u"><x name="Call ID"> 300 </x><agent><e-mail>mila@acme.example</e-mail></agent></r>'),
        ("a.csv", "Call ID,Agent E-Mail\r\n300,mila@acme.example\r\n"),
        ("a.csv", "\ufeffFile;Call ID;Agent E-Mail\nb.wav;1;x\na.wav;300;mila@acme.example\n"),
        ("a.csv", 'Call ID\tAgent E-Mail\n300\t"mila@acme.example"\n'),
    ],
)
def test_facts_are_read_in_every_form(name: str, text: str) -> None:
    found = facts(name, text, "a.wav")
    assert found["call_id"] == "300"
    assert found["agent_e_mail"] == "mila@acme.example"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", ""), ("a.json", "{"), ("a.json", "[]"), ("a.json", '"text"'), ("a.json", '[{"a": 1}, {"a": 2}]'),
        ("a.json", "[" * 5000), ("a.xml", "<a>"), ("a.xml", BOMB), ("a.xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'),
        ("a.xml", "\ud800"), ("a.csv", ""), ("a.csv", "a,b\n1,2\n3,4\n"), ("a.txt", "a: b"), ("a", "{}"),
        ("a.json", '{"a": "' + "x" * MAX_CHARACTERS + '"}'), ("a.csv", "a\n" + '"' + "x" * 200_000 + '"\n'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_nothing(name: str, text: str) -> None:
    assert facts(name, text, "a.wav") == {}


def test_depth_and_number_of_facts_are_bounded() -> None:
    assert facts("a.xml", "<a>" * 20_000 + "x" + "</a>" * 20_000, "a.wav") == {}
    assert len(flat({f"name{number}": "x" for number in range(10_000)})) == 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-05T01:30:12-08:00", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("2025-11-05T09:30:12Z", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("2025-11-05 01:30:12.250", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("Wed, 05 Nov 2025 01:30:12", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("11/05/2025 01:30:12", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("11/5/2025 1:30:12 PM", datetime(2025, 11, 5, 21, 30, 12, tzinfo=UTC)),
        ("1762335012", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("1762335012999", datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("0001-01-01 00:00:00", None),
    ],
)
def test_times_are_read_as_sidecars_and_reports_write_them(text: str, expected: datetime | None) -> None:
    assert moment(text, PACIFIC) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:04:01", 241_000), ("241", 241_000), ("20.5", 20_500), ("", None), ("-1", None), ("nan", None), ("9e9", None)],
)
def test_lengths_are_read(text: str, expected: int | None) -> None:
    assert length_ms(text) == expected


def answer(body: str, status: int = 200) -> Answer:
    return Answer(status, {}, body.encode(), "https://api.five9.com/wsadmin")


def envelope(inner: str) -> str:
    return f'<e:Envelope xmlns:e="{soap.ENVELOPE}"><e:Header/><e:Body>{inner}</e:Body></e:Envelope>'


def test_questions_are_written_so_that_nothing_in_them_is_markup() -> None:
    asked = soap.request("urn:x", "runReport", {"folderName": "<a>&\x00\ud800", "criteria": {"time": {"end": "now"}}})
    assert b"<folderName>&lt;a&gt;&amp;?</folderName><criteria><time><end>now</end></time></criteria>" in asked
    assert asked.count(b"runReport") == 2


def test_answers_and_faults_are_told_apart() -> None:
    good = answer(envelope("<n:runReportResponse xmlns:n='u'><return>8f14</return></n:runReportResponse>"))
    assert soap.result(good) == "8f14"
    assert soap.fault(good) is None
    assert soap.result(answer(envelope("<isReportRunningResponse/>"))) == ""
    bad = answer(
        envelope("<e:Fault><faultstring> No. </faultstring><detail><x:Denied xmlns:x='u'/></detail></e:Fault>"), 500
    )
    assert soap.result(bad) is None
    assert soap.fault(bad) == ("No.", "Denied")


@pytest.mark.parametrize(
    "body", ["", "<html>Envelope</html>", "{}", envelope(""), envelope("<a>"), f"{BOMB}<!-- Envelope -->"]
)
def test_what_is_no_soap_is_neither(body: str) -> None:
    assert soap.result(answer(body)) is None
    assert soap.fault(answer(body)) is None
