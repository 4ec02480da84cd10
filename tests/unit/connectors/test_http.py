"""The client that asks sources, against a real server on this machine that answers whatever it is told."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors import http as module
from connectors import wire
from connectors.answers import DAILY_LIMIT, FAULTS, endpoint_of, shown
from connectors.contract import Answer, Auth, AuthKind, Connector, Credential, LimitHeaders
from connectors.http import Client, open_http, rewrite
from schemas.calls import NormalizedCall
from schemas.faults import ConfigFault, Fault, InvalidCall, MissingFault, TransientFault
from schemas.metrics import API_REQUESTS
from streams.io.retry_after import retry_after
from tests.unit.io.raw_server import RawServer, raw_server, reply

NOW = datetime(2025, 11, 5, 10, 0, tzinfo=UTC)
BASE = "https://api.vendor.example/v1"
TOKEN = "t0p-s3cr3t"


def to_call(payload: dict[str, Any]) -> NormalizedCall:
    raise NotImplementedError


def vendor(**more: Any) -> Connector:
    options: dict[str, Any] = {"base": BASE} | more
    return Connector("acme", "Acme", to_call=to_call, external_id_of=lambda payload: "1", **options)


def bearer(credential: Credential) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential['access_token']}"}


@dataclass
class Counted:
    """A budget that writes down what it is asked, and grants what it is told."""

    waits: list[float] = field(default_factory=list)
    spent: list[tuple[str, int]] = field(default_factory=list)
    seen: list[tuple[str, float, float]] = field(default_factory=list)
    blocks: list[tuple[str, float | None]] = field(default_factory=list)
    day_ends: float = 7 * 3600.0

    async def spend(self, bucket: str, cost: int) -> float:
        if self.waits and (wait := self.waits.pop(0)):
            return wait
        self.spent.append((bucket, cost))
        return 0.0

    async def observe(self, bucket: str, remaining: float, seconds: float) -> None:
        self.seen.append((bucket, remaining, seconds))

    async def block(self, bucket: str, seconds: float | None) -> float:
        self.blocks.append((bucket, seconds))
        return self.day_ends if seconds is None else seconds


@dataclass
class Setup:
    """A client whose source is a server on this machine, what was slept, and what was asked."""

    api: Client
    server: RawServer
    budget: Counted
    slept: list[float]

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [request.split(b"\r\n")[0].decode() for request in self.server.requests]


Answers = Callable[[bytes], bytes] | list[bytes]


@asynccontextmanager
async def asking(
    answers: Answers, connector: Connector | None = None, *, kind: AuthKind = "api_key", **more: Any
) -> AsyncIterator[Setup]:
    """`answers` in order; the last one stays."""
    queue = list(answers) if isinstance(answers, list) else []
    one_by_one = lambda request: queue.pop(0) if len(queue) > 1 else queue[0]  # noqa: E731
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with raw_server(one_by_one if isinstance(answers, list) else answers) as server, open_http() as http:
        budget = more.pop("budget", Counted())
        api = Client(
            connector=connector or vendor(), auth=Auth(kind, bearer), credential={"access_token": TOKEN}, http=http,
            clock=lambda: NOW, wait_of=retry_after, budget=budget, sleep=sleep,
            vendor_origin=f"http://127.0.0.1:{server.port}", **more,
        )  # fmt: skip
        yield Setup(api, server, budget, slept)


def ok(value: Any = None, **headers: str) -> bytes:
    return reply(200, json.dumps({"ok": True} if value is None else value).encode(), **headers)


async def fault_of(answer: Answers, connector: Connector | None = None, **more: Any) -> Fault:
    async with asking(answer, connector, **more) as setup:
        with pytest.raises(Fault) as caught:
            await setup.api.get("/calls", params={"key": TOKEN})
    text = "".join(traceback.format_exception(caught.value)) + caught.value.detail
    assert TOKEN not in text
    assert "Bearer" not in text
    return caught.value


# Asking --------------------------------------------------------------------------------------------------------------


async def test_a_path_lies_below_the_base_and_goes_to_the_vendors_host_under_the_origin() -> None:
    async with asking([ok()]) as setup:
        assert await setup.api.get("/calls", params={"a": [1, 2], "b": None, "c": "x y"}) == {"ok": True}
    assert setup.lines == ["GET /api.vendor.example/v1/calls?a=1&a=2&c=x+y HTTP/1.1"] or setup.lines == [
        "GET /api.vendor.example/v1/calls?a=1&a=2&c=x%20y HTTP/1.1"
    ]
    request = setup.server.requests[0]
    assert f"authorization: bearer {TOKEN}".encode() in request.lower()
    assert b"user-agent: callstream" in request.lower()


async def test_parameters_are_added_to_those_of_an_absolute_address() -> None:
    async with asking([ok()]) as setup:
        await setup.api.get("https://other.vendor.example/x?cursor=a%2Fb", params={"limit": 5})
    assert setup.lines == ["GET /other.vendor.example/x?cursor=a%2Fb&limit=5 HTTP/1.1"]


async def test_what_is_encoded_twice_stays_so() -> None:
    async with asking([ok()]) as setup:
        await setup.api.get("/meetings/%252FaB3kd%252F%252FT0%253D%253D/recordings")
    assert setup.lines == ["GET /api.vendor.example/v1/meetings/%252FaB3kd%252F%252FT0%253D%253D/recordings HTTP/1.1"]


async def test_a_customers_own_base_comes_out_of_the_credential() -> None:
    connector = vendor(base=lambda credential: f"https://{credential['access_token'][:3]}.vendor.example/")
    async with asking([ok()], connector) as setup:
        await setup.api.get("v2/users")
    assert setup.lines == ["GET /t0p.vendor.example/v2/users HTTP/1.1"]


async def test_a_question_is_posted_as_json() -> None:
    async with asking([ok([1])]) as setup:
        assert await setup.api.post("/graphql", json={"query": "{ user }"}, headers={"X-Version": "3"}) == [1]
    head, body = setup.server.requests[0].split(b"\r\n\r\n")
    assert json.loads(body) == {"query": "{ user }"}
    assert b"content-type: application/json" in head.lower()
    assert b"x-version: 3" in head.lower()


async def test_an_answer_can_be_had_as_it_came() -> None:
    async with asking([reply(200, b"WEBVTT", X_Kind="vtt")]) as setup:
        answer = await setup.api.send("GET", "/calls/8812345/file", params={"sig": TOKEN})
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b"WEBVTT", "vtt")
    assert answer.url == "https://api.vendor.example/v1/calls/_/file"


async def test_an_empty_answer_is_none() -> None:
    async with asking([reply(204)]) as setup:
        assert await setup.api.get("/calls") is None


async def test_odd_text_is_read_and_cut_json_is_not() -> None:
    body = '\ufeff{"title": "Łódź \\u0000 \\ud800"}'.encode() + b" "
    async with asking([reply(200, body)]) as setup:
        assert (await setup.api.get("/calls"))["title"] == "Łódź \x00 \ud800"


async def test_cookies_are_not_kept() -> None:
    async with asking([ok(Set_Cookie="session=1; Path=/")]) as setup:
        await setup.api.get("/calls")
        await setup.api.get("/calls")
    assert b"cookie" not in setup.server.requests[1].lower()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with asking([ok()]) as setup:
        assert await setup.api.get("/calls") == {"ok": True}


# What is no success --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, InvalidCall, "request_refused"),
        (401, ConfigFault, "credential_refused"),
        (402, ConfigFault, "plan_insufficient"),
        (403, ConfigFault, "permission_missing"),
        (404, MissingFault, "not_at_source"),
        (408, TransientFault, "vendor_failing"),
        (410, MissingFault, "not_at_source"),
        (422, InvalidCall, "request_refused"),
        (425, TransientFault, "vendor_failing"),
        (429, TransientFault, "rate_limited"),
        (500, TransientFault, "vendor_failing"),
        (503, TransientFault, "vendor_failing"),
        (304, InvalidCall, "request_refused"),
    ],
)
async def test_each_status_is_one_fault_with_the_vendors_name_in_its_sentence(
    status: int, kind: type[Fault], reason: str
) -> None:
    fault = await fault_of([reply(status, b'{"token": "t0p-s3cr3t"}')])
    assert type(fault) is kind
    assert fault.reason == reason
    assert "Acme" in fault.sentence
    assert fault.sentence.endswith(".")


async def test_the_sentence_of_a_refused_credential_says_what_to_do() -> None:
    fault = await fault_of([reply(401)])
    assert fault.sentence == "Acme no longer accepts this account's credential. Connect it again."


async def test_a_status_that_is_expected_is_an_answer() -> None:
    async with asking([reply(404, b'{"errors": ["No calls found"]}')]) as setup:
        assert (await setup.api.send("GET", "/calls", ok=(404,))).status == 404


@pytest.mark.parametrize(
    "body", [b'{"items": [{"id": 1', b"<!doctype html><title>Sign in</title>", b'{"n": NaN}', b"[" * 100_000]
)
async def test_what_is_no_json_is_asked_for_again_and_then_a_passing_fault(body: bytes) -> None:
    async with asking([reply(200, body), reply(200, body), ok()]) as setup:
        assert await setup.api.get("/calls") == {"ok": True}
    fault = await fault_of([reply(200, body)])
    assert isinstance(fault, TransientFault)
    assert fault.reason == "vendor_answer_broken"


@pytest.mark.parametrize("answer", [b"", reply(200, b"{}", length=400), b"SSH-2.0-nonsense\r\n\r\n"])
async def test_a_connection_that_breaks_off_is_tried_again(answer: bytes) -> None:
    async with asking([answer, answer, ok()]) as setup:
        assert await setup.api.get("/calls") == {"ok": True}
    assert 0.5 <= setup.slept[0] <= 1 < setup.slept[1] <= 3
    assert (await fault_of([answer])).reason == "vendor_unreachable"


async def test_nobody_there_is_a_passing_fault() -> None:
    async with asking([ok()]) as setup:
        setup.api.vendor_origin = "http://127.0.0.1:1"
        with pytest.raises(TransientFault, match="Acme cannot be reached at the moment"):
            await setup.api.get("/calls")


async def test_an_answer_that_never_ends_is_a_passing_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "TOTAL_SECONDS", 0.05)
    fault = await fault_of([reply(200, b"{", length=10_000_000) + b" " * 1000])
    assert fault.reason == "vendor_unreachable"


async def test_a_body_has_a_limit_even_when_it_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(wire, "MAX_BODY", 1_000_000)
    packed = gzip.compress(b" " * 2_000_000)
    assert len(packed) < 10_000
    assert (await fault_of([reply(200, packed, Content_Encoding="gzip")])).reason == "answer_too_large"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.vendor.example/x",
        "http://api.vendor.example/x",
        "https://me@api.vendor.example/x",
        "https://",
        "https://[::1/x",
        "https:///x",
    ],
)
async def test_an_address_that_is_none_is_not_opened(url: str) -> None:
    async with asking([ok()]) as setup:
        with pytest.raises(InvalidCall, match="address that cannot be opened"):
            await setup.api.get(url)
    assert setup.lines == []


async def test_the_connector_is_heard_before_the_status() -> None:
    def complaint(answer: Answer) -> Fault | None:
        return MissingFault("gone", "Acme has forgotten it.") if b"forgotten" in answer.body else None

    fault = await fault_of([reply(500, b"forgotten")], vendor(complaint=complaint))
    assert fault.sentence == "Acme has forgotten it."
    assert (await fault_of([reply(200, b"forgotten")], vendor(complaint=complaint))).reason == "gone"
    assert (await fault_of([reply(500, b"x")], vendor(complaint=complaint))).reason == "vendor_failing"


# Limits --------------------------------------------------------------------------------------------------------------


async def test_each_try_is_paid_for_in_its_bucket() -> None:
    async with asking([reply(500), ok()]) as setup:
        await setup.api.get("/calls", bucket="heavy", cost=3)
    assert setup.budget.spent == [("heavy", 3), ("heavy", 3)]


async def test_a_short_wait_for_the_budget_is_sat_out() -> None:
    async with asking([ok()], budget=Counted(waits=[1.5, 2.0])) as setup:
        await setup.api.get("/calls")
    assert setup.slept == [1.5, 2.0]


async def test_a_long_wait_for_the_budget_is_a_fault_that_says_until_when() -> None:
    async with asking([ok()], budget=Counted(waits=[2.0, 300.0])) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert caught.value.sentence == "Acme allows no more requests until 10:05 UTC. It goes on by itself then."
    assert (caught.value.reason, caught.value.retry_after) == ("rate_limited", 300.0)
    assert setup.lines == []
    async with asking([ok()], budget=Counted(waits=[15 * 3600.0])) as setup:
        with pytest.raises(TransientFault, match="until 2025-11-06 01:00 UTC"):
            await setup.api.get("/calls")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("Wed, 05 Nov 2025 10:00:03 GMT", 3.0),
        ("2025-11-05T10:00:04Z", 4.0),
        ("2025-11-05T11:00:04+01:00", 4.0),
    ],
)
async def test_a_short_retry_after_is_sat_out_and_never_cut_short(value: str, seconds: float) -> None:
    async with asking([reply(429, Retry_After=value), ok()]) as setup:
        assert await setup.api.get("/calls") == {"ok": True}
    assert setup.budget.blocks == [("default", seconds)]
    assert seconds <= setup.slept[0] <= seconds * 1.1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90.0), ("Wed, 05 Nov 2025 10:20:00 GMT", 1200.0), ("2025-11-06T00:00:00Z", 14 * 3600.0)],
)
async def test_a_long_retry_after_is_handed_on_to_the_second(value: str, seconds: float) -> None:
    async with asking([reply(429, Retry_After=value)]) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls", bucket="heavy")
    assert (caught.value.reason, caught.value.retry_after) == ("rate_limited", seconds)
    assert setup.budget.blocks == [("heavy", seconds)]
    assert len(setup.lines) == 1


async def test_a_time_is_compared_with_the_clock_of_the_vendor() -> None:
    headers = {"Date": "Wed, 05 Nov 2025 13:00:00 GMT", "Retry_After": "Wed, 05 Nov 2025 13:01:00 GMT"}
    async with asking([reply(429, **headers)]) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert caught.value.retry_after == 60.0


async def test_a_429_without_a_time_is_not_tried_again_at_once() -> None:
    async with asking([reply(429)]) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert caught.value.retry_after == module.LIMITED_SECONDS
    assert len(setup.lines) == 1


async def test_a_retry_after_that_makes_no_sense_is_bounded() -> None:
    async with asking([reply(429, Retry_After="999999999")]) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 25 * 3600


async def test_a_503_may_name_a_time_too() -> None:
    fault = await fault_of([reply(503, Retry_After="120")])
    assert isinstance(fault, TransientFault)
    assert (fault.reason, fault.retry_after) == ("vendor_failing", 120.0)


async def test_what_is_left_is_told_to_the_budget_of_its_bucket() -> None:
    limits = (
        LimitHeaders("X-Left", "X-Reset"),
        LimitHeaders("X-Left", "X-Reset-At", "epoch", "heavy"),
        LimitHeaders("X-Left", "X-Interval", "milliseconds", "search"),
    )
    connector = vendor(limit_headers=limits)
    headers = {"X_Left": "7", "X_Reset": "30", "X_Reset_At": str(int(NOW.timestamp()) + 90), "X_Interval": "10000"}
    async with asking([ok(**headers)], connector) as setup:
        for bucket in ("default", "heavy", "search", "other"):
            await setup.api.get("/calls", bucket=bucket)
    assert setup.budget.seen == [("default", 7.0, 30.0), ("heavy", 7.0, 90.0), ("search", 7.0, 10.0)]


async def test_headers_that_make_no_sense_are_not_believed() -> None:
    connector = vendor(limit_headers=(LimitHeaders("X-Left", "X-Reset"),))
    async with asking([ok(X_Left="many", X_Reset="30"), ok(X_Left="3"), ok()], connector) as setup:
        for _ in range(3):
            await setup.api.get("/calls")
    assert setup.budget.seen == []


async def test_a_429_without_retry_after_waits_for_the_reset_it_names() -> None:
    connector = vendor(limit_headers=(LimitHeaders("X-Left", "X-Reset"),))
    async with asking([reply(429, X_Left="0", X_Reset="44")], connector) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert caught.value.retry_after == 44.0


async def test_a_limit_in_the_vendors_own_words_counts_like_a_429() -> None:
    def complaint(answer: Answer) -> Fault | None:
        if b"slow" in answer.body:
            return TransientFault("rate_limited", "Too many.", retry_after=70)
        return TransientFault(DAILY_LIMIT, "Quota.") if b"quota" in answer.body else None

    async with asking([reply(200, b'{"errors": "slow"}')], vendor(complaint=complaint)) as setup:
        with pytest.raises(TransientFault) as caught:
            await setup.api.get("/calls")
    assert (setup.budget.blocks, caught.value.retry_after) == ([("default", 70)], 70)
    async with asking([reply(403, b"quota")], vendor(complaint=complaint)) as setup:
        with pytest.raises(TransientFault, match="until 17:00 UTC") as caught:
            await setup.api.get("/calls", bucket="units")
    assert setup.budget.blocks == [("units", None)]
    assert (caught.value.reason, caught.value.retry_after) == (DAILY_LIMIT, 7 * 3600.0)


# Signing in again ----------------------------------------------------------------------------------------------------


def unless(token: str) -> Callable[[bytes], bytes]:
    return lambda request: ok() if f"Bearer {token}".encode() in request else reply(401)


async def test_a_refused_token_is_refreshed_once_and_the_request_sent_again() -> None:
    asked: list[Credential] = []

    async def refresh(stale: Credential) -> Mapping[str, str]:
        asked.append(stale)
        return {"access_token": "fresh"}

    async with asking(unless("fresh"), kind="oauth", refresh=refresh) as setup:
        assert await setup.api.get("/calls") == {"ok": True}
        assert await setup.api.get("/calls") == {"ok": True}
        assert setup.api.credential == {"access_token": "fresh"}
    assert asked == [{"access_token": TOKEN}]
    assert len(setup.lines) == 3


async def test_a_fresh_token_that_is_refused_is_a_refused_credential() -> None:
    async def refresh(stale: Credential) -> Mapping[str, str]:
        return {"access_token": "fresh"}

    fault = await fault_of([reply(401)], kind="oauth", refresh=refresh)
    assert fault.reason == "credential_refused"


async def test_a_refresh_that_fails_passes_by_its_fault() -> None:
    async def refresh(stale: Credential) -> Mapping[str, str]:
        raise TransientFault("vendor_failing", "Not now.", retry_after=7)

    assert str(await fault_of([reply(401)], kind="oauth", refresh=refresh)) == "Not now."


async def test_requests_side_by_side_have_a_dead_token_refreshed_once() -> None:
    asked: list[Credential] = []

    async def refresh(stale: Credential) -> Mapping[str, str]:
        asked.append(stale)
        await asyncio.sleep(0)
        return {"access_token": "fresh"}

    async with asking(unless("fresh"), kind="oauth", refresh=refresh) as setup:
        await setup.api.get("/calls")
        setup.api.credential = dict(setup.api.credential, access_token="dead")
        answers = await asyncio.gather(*(setup.api.get("/calls") for _ in range(5)))
    assert answers == [{"ok": True}] * 5
    assert asked[0] == {"access_token": TOKEN}
    assert all(stale == {"access_token": "dead"} for stale in asked[1:])


async def test_who_waits_for_the_budget_waits_in_turn() -> None:
    budget = Counted(waits=[4.0, 0, 4.0, 0, 4.0, 0, 4.0, 0])
    async with asking([ok()], budget=budget) as setup:
        assert await asyncio.gather(*(setup.api.get("/calls") for _ in range(4))) == [{"ok": True}] * 4
    assert setup.slept == [4.0] * 4


async def test_a_connectors_complaint_does_not_keep_a_token_from_being_refreshed() -> None:
    async def refresh(stale: Credential) -> Mapping[str, str]:
        return {"access_token": "fresh"}

    refused = ConfigFault("expired", "Expired.")
    connector = vendor(complaint=lambda answer: refused if answer.status == 401 else None)
    async with asking(unless("fresh"), connector, kind="oauth", refresh=refresh) as setup:
        assert await setup.api.get("/calls") == {"ok": True}


# Redirects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["/v1/moved?x=1", "https://api.vendor.example/v1/moved?x=1"])
async def test_a_redirect_on_the_same_host_is_followed(location: str) -> None:
    async with asking([reply(302, Location=location), ok()]) as setup:
        assert await setup.api.get("/calls") == {"ok": True}
    assert setup.lines[1] == "GET /api.vendor.example/v1/moved?x=1 HTTP/1.1"


@pytest.mark.parametrize(
    "location", ["https://evil.example/x", "http://api.vendor.example/v1/calls", "//evil.example/x"]
)
async def test_a_redirect_elsewhere_does_not_get_the_credential(location: str) -> None:
    async with asking([reply(302, Location=location), ok()]) as setup:
        with pytest.raises(InvalidCall) as caught:
            await setup.api.get("/calls")
    assert caught.value.reason == "redirect_refused"
    assert len(setup.lines) == 1


async def test_a_redirect_that_is_expected_is_an_answer() -> None:
    async with asking([reply(302, Location="https://files.example/a?sig=1")]) as setup:
        answer = await setup.api.send("GET", "/download", ok=(302,))
    assert answer.headers["location"] == "https://files.example/a?sig=1"


async def test_a_redirect_in_a_circle_ends() -> None:
    assert (await fault_of([reply(307, Location="/v1/calls")])).reason == "redirect_refused"


# Names in messages and metrics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/external/v1/recordings/48213377/transcript", "/external/v1/recordings/_/transcript"),
        ("/v2/meetings/%252FaB3kd%252F%252FT0/recordings", "/v2/meetings/_/recordings"),
        ("/oauth/v1/access-tokens/CJSP5qf1KhICAQEYs-gDIIGOBii1hQIyGQAf3xBKmlwHjX7OIpuIFEavB2-qYAGQsF4",
         "/oauth/v1/access-tokens/_"),
        ("/restapi/v1.0/account/~/extension/~/call-log", "/restapi/v1.0/account/~/extension/~/call-log"),
        ("/v2/conferenceRecords/a1B2c3-demo/participants", "/v2/conferenceRecords/_/participants"),
        ("/_/public-api/v2/recordings/5b1c2f0a-6a3d-4c1e-9f55-0d2c7be1a001", "/_/public-api/v2/recordings/_"),
        ("/crm/v3/objects/0-48/38214455012", "/crm/v3/objects/_/_"),
        ("", "/"),
        ("/a" * 40, "/a" * 13),
    ],
)  # fmt: skip
def test_ids_are_taken_out_of_a_path(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint


def test_an_address_in_a_message_has_neither_query_nor_user_nor_ids() -> None:
    assert shown("https://user:pass@h.example:8443/a/12345?token=x#y") == "https://h.example/a/_"


async def test_metrics_have_a_bounded_number_of_endpoints() -> None:
    words = [f"{a}{b}" for a in "abcdefghijkl" for b in "mnopqrstuvwx"]
    connector = Connector("bounded", "Bounded", to_call=to_call, external_id_of=lambda payload: "1", base=BASE)
    async with asking([ok()], connector) as setup:
        for word in words:
            await setup.api.get(f"/{word}")
    found = {
        sample.labels["endpoint"]
        for family in API_REQUESTS.collect()
        for sample in family.samples
        if sample.labels["platform"] == "bounded"
    }
    assert len(found) == wire.MAX_ENDPOINTS + 1
    assert "/other" in found


def test_rewriting_twice_is_rewriting_once() -> None:
    once = rewrite("https://h.example/a?b=c", "http://127.0.0.1:5/")
    assert once == "http://127.0.0.1:5/h.example/a?b=c" == rewrite(once, "http://127.0.0.1:5/")
    assert rewrite("https://h.example/a", None) == "https://h.example/a"
    assert wire.original(once, "http://127.0.0.1:5") == "https://h.example/a?b=c"


def test_the_table_speaks_of_the_vendor_in_whole_sentences() -> None:
    for make in FAULTS.values():
        fault = make("Acme", "")
        assert "{" not in fault.sentence
        assert "Acme" in fault.sentence
