"""The fake vendors keep what vendors promise: real OAuth, limits that hold, faults on order, links that die."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors import server
from tests.fakes.vendors.core import (
    CLIENT_ID,
    CLIENT_SECRET,
    FakeCall,
    Fault,
    Rate,
    Vendors,
    World,
    guard,
    media_url,
    oauth_routes,
    page_of,
    reply,
    start_fake_vendors,
)

SINCE, UNTIL = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 8, tzinfo=UTC)
BACK = "http://127.0.0.1/back"
BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
RATE = Rate(5, 60.0, remaining_header="X-Left", reset_header="X-Reset", reset_in="epoch")


def toy_routes(world: World) -> list[Route]:
    async def calls(request: Request) -> Response:
        if refusal := await guard(world, "toy", request):
            return refusal
        offset = int(request.query_params.get("offset", "0"))
        page = page_of(world, "toy", request, world.listed("toy"), offset, 2)
        return reply({"calls": [call.id for call in page.items], "next": page.following})

    return [
        Route("/api.toy.example/calls", calls),
        *oauth_routes(
            world, "toy", "https://toy.example/authorize", "https://toy.example/token", "header", "form", True, True,
            {"base": "x"}, revoke_url="https://toy.example/revoke",
        ),
    ]  # fmt: skip


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    toy = SimpleNamespace(
        SOURCE="toy", KIND="oauth", CREDENTIAL={}, LIMITS=(RATE,), routes=toy_routes, external_id=lambda call: call.id
    )
    monkeypatch.setattr(server, "modules", lambda only=(): {"toy": toy})
    with start_fake_vendors() as running:
        running.world.limited = False
        running.world.seed("toy", 5, SINCE, UNTIL, Random(1))
        yield running


@pytest.fixture
def http(vendors: Vendors) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=vendors.origin, trust_env=False) as client:
        yield client


@pytest.fixture
def ask(vendors: Vendors, http: httpx2.Client) -> Callable[..., httpx2.Response]:
    token = vendors.credential("toy")["access_token"]
    return lambda offset=0: http.get(
        "/api.toy.example/calls", params={"offset": offset}, headers={"Authorization": f"Bearer {token}"}
    )


def walk(ask: Callable[..., httpx2.Response]) -> list[str]:
    found, offset = [], 0
    while offset is not None:
        page = ask(offset).json()
        found += page["calls"]
        offset = page["next"]
    return found


def consent(http: httpx2.Client, verifier: str = "v" * 50) -> dict[str, str]:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    answer = http.get(
        "/toy.example/authorize",
        params={
            "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": BACK, "state": "s1", "scope": "read write",
            "code_challenge": challenge, "code_challenge_method": "S256",
        },
    )  # fmt: skip
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def token(http: httpx2.Client, **form: str) -> httpx2.Response:
    return http.post("/toy.example/token", data=form, headers={"Authorization": BASIC})


def exchange(http: httpx2.Client, code: str, verifier: str = "v" * 50) -> httpx2.Response:
    return token(http, grant_type="authorization_code", code=code, redirect_uri=BACK, code_verifier=verifier)


def test_a_walk_sees_every_call_whatever_pages_are_empty_repeated_or_reordered(
    vendors: Vendors, ask: Callable[..., httpx2.Response]
) -> None:
    everything = [call.id for call in vendors.world.listed("toy")]
    assert walk(ask) == everything
    for kind in ("empty_page", "repeat_page", "reorder_page"):
        vendors.world.order("toy", Fault(kind, times=2))
        assert set(walk(ask)) == set(everything)
    vendors.world.calm("toy")


def test_faults_come_as_often_as_ordered(vendors: Vendors, ask: Callable[..., httpx2.Response]) -> None:
    vendors.world.order("toy", Fault("503", times=2, where="/calls"))
    assert [ask().status_code for _ in range(3)] == [503, 503, 200]
    vendors.world.order("toy", Fault("429", retry_after=7))
    refused = ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    vendors.world.order("toy", Fault("cut_json"))
    with pytest.raises(ValueError, match=r".+"):
        ask().json()
    vendors.world.order("toy", Fault("bad_token"))
    assert [ask().status_code for _ in range(2)] == [401, 401]
    assert [seen.fault for seen in vendors.world.asked("toy", status=503)] == ["503", "503"]


def test_a_limit_holds_and_says_what_is_left(vendors: Vendors, ask: Callable[..., httpx2.Response]) -> None:
    vendors.world.limited = True
    answers = [ask() for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["x-left"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_oauth_with_pkce_codes_used_once_and_rotated_refresh_tokens(vendors: Vendors, http: httpx2.Client) -> None:
    back = consent(http)
    assert back["state"] == "s1"
    first = exchange(http, back["code"]).json()
    assert first["base"] == "x"
    assert first["scope"] == "read write"
    assert exchange(http, back["code"]).json() == {"error": "invalid_grant"}
    assert exchange(http, consent(http)["code"], "w" * 50).status_code == 400
    second = token(http, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert token(http, grant_type="refresh_token", refresh_token=first["refresh_token"]).status_code == 400
    vendors.world.revoke("toy")
    assert token(http, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 400
    assert exchange(http, consent(http)["code"]).status_code == 200


def test_a_person_may_refuse_or_grant_less(vendors: Vendors, http: httpx2.Client) -> None:
    vendors.world.order("toy", Fault("deny"))
    assert consent(http)["error"] == "access_denied"
    vendors.world.granted["toy"] = frozenset({"read"})
    assert exchange(http, consent(http)["code"]).json()["scope"] == "read"


def test_an_access_token_runs_out(vendors: Vendors, ask: Callable[..., httpx2.Response]) -> None:
    assert ask().status_code == 200
    vendors.world.expire("toy")
    assert ask().status_code == 401


def test_a_recording_is_real_sound_until_its_link_dies(vendors: Vendors, http: httpx2.Client) -> None:
    call = vendors.world.listed("toy")[0]
    url = media_url(vendors.world, call, lives=60).removeprefix("https:/")
    assert http.get(url).content[:3] == b"ID3"
    vendors.world.skew = timedelta(minutes=2)
    assert http.get(url).status_code == 403


def test_a_call_that_comes_late_is_not_listed_before(vendors: Vendors) -> None:
    late = vendors.world.now() + timedelta(hours=1)
    call = FakeCall("late", "Late", SINCE, 60, appears_at=late, transcript_at=late)
    vendors.world.add("toy", call)
    assert vendors.world.find("toy", "late") is None
    vendors.world.skew = timedelta(hours=2)
    assert vendors.world.find("toy", "late") is call
    assert vendors.world.transcript_ready(call)


def test_seeding_gives_the_same_calls_again_and_hostile_ones_on_demand() -> None:
    one, other, hostile = World(), World(), World()
    assert one.seed("toy", 20, SINCE, UNTIL, Random(3)) == other.seed("toy", 20, SINCE, UNTIL, Random(3))
    found = hostile.seed("toy", 9, SINCE, UNTIL, Random(3), hostile=True)
    assert any("\x00" in call.title for call in found)
    assert any(len(call.title) > 10_000 for call in found)
    assert any(not call.people for call in found)
    assert max(len(call.lines) for call in found) > 5_000
    assert len({call.id for call in found}) == 9


def test_the_door_for_other_processes_adds_and_orders(vendors: Vendors, http: httpx2.Client) -> None:
    call = {"id": "77", "title": "By hand", "started_at": "2025-11-03T10:00:00+00:00", "duration_s": 60}
    assert http.post("/_control/add", json={"source": "toy", "call": call}).json() == {"ok": True}
    assert http.post("/_control/order", json={"source": "toy", "kind": "500", "times": 3}).json() == {"ok": True}
    assert vendors.world.find("toy", "77")
    assert vendors.world.waiting("toy") == [Fault("500", 3)]
    assert [call["external_id"] for call in http.get("/_control/calls?source=toy").json()][-1] == "77"
