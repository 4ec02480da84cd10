"""Weak ETags on JSON answers."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.etags import MAX_BODY, Etags

state = {"count": 1}


async def _json(_: Request) -> Response:
    return JSONResponse(state, headers={"x-own": "kept"})


async def _large(_: Request) -> Response:
    return JSONResponse("x" * MAX_BODY)


async def _missing(_: Request) -> Response:
    return JSONResponse({"reason": "not_found"}, 404)


async def _text(_: Request) -> Response:
    return Response("text", media_type="text/plain")


async def _stream(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"[1,"
        yield b"2]"

    return StreamingResponse(pieces(), media_type="application/json")


ROUTES = {"/api/json": _json, "/json": _json, "/api/large": _large, "/api/missing": _missing, "/api/text": _text,
          "/api/stream": _stream}  # fmt: skip


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application with all sorts of answers."""
    app = Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path, answer in ROUTES.items()])
    transport = httpx2.ASGITransport(app=Etags(app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://calls.test") as made:
        yield made


async def test_what_has_not_changed_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    first = await client.get("/api/json")
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for asked in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await client.get("/api/json", headers={"If-None-Match": asked})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["x-own"]) == (tag, "kept")
        assert "content-type" not in again.headers
        assert "content-length" not in again.headers


async def test_what_has_changed_is_sent_under_another_tag(client: httpx2.AsyncClient) -> None:
    tag = (await client.get("/api/json")).headers["etag"]
    state["count"] += 1
    again = await client.get("/api/json", headers={"If-None-Match": tag})
    assert (again.status_code, again.json()) == (200, state)
    assert again.headers["etag"] != tag


@pytest.mark.parametrize("path", ["/json", "/api/large", "/api/missing", "/api/text", "/api/stream"])
async def test_everything_else_goes_through_as_it_is(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"If-None-Match": "*"})
    assert answer.status_code == (404 if path.endswith("missing") else 200)
    assert "etag" not in answer.headers
    assert answer.content


async def test_only_reading_is_tagged(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/json", headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert "etag" not in answer.headers
