"""The fakes' own door, for a demo or a test in another process: look at calls, add some, order faults, revoke.

POST /_control/add     {"source": "zoom", "call": {…}}
POST /_control/seed    {"source": "zoom", "count": 50, "days": 30}
POST /_control/order   {"source": "zoom", "kind": "429", "times": 2, "where": ""}
POST /_control/revoke, /_control/restore, /_control/expire    {"source": "zoom"}
GET  /_control/calls?source=zoom     GET /_control/requests?source=zoom     GET /_control/credential?source=zoom
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from random import Random
from types import ModuleType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.vendors.auth import issue
from tests.fakes.vendors.shapes import FakeCall, Fault, Line, Person
from tests.fakes.vendors.world import World, reply

TIMES = ("started_at", "transcript_at", "changed_at", "appears_at")


def control_routes(world: World, modules: Mapping[str, ModuleType]) -> list[Route]:
    """The routes of the module's docstring."""

    async def change(request: Request) -> Response:
        body = await request.json()
        source = body["source"]
        if source not in modules:
            return reply({"error": f"no such source: {source}"}, 404)
        match request.path_params["what"]:
            case "add":
                world.add(source, call_of(body["call"]))
            case "seed":
                until = world.now()
                since = until - timedelta(days=body.get("days", 30))
                chance = Random(body.get("chance", 1))
                world.seed(source, body.get("count", 10), since, until, chance, hostile=body.get("hostile", False))
            case "order":
                world.order(source, Fault(**{name: value for name, value in body.items() if name != "source"}))
            case "revoke":
                world.revoke(source)
            case "restore":
                world.restore(source)
            case "expire":
                world.expire(source)
            case _:
                return reply({"error": "no such order"}, 404)
        return reply({"ok": True})

    async def look(request: Request) -> Response:
        source, what = request.query_params.get("source", ""), request.path_params["what"]
        if source not in modules:
            return reply({"sources": sorted(modules)})
        if what == "calls":
            external_id = modules[source].external_id
            return reply([_plain(call) | {"external_id": external_id(call)} for call in world.calls[source]])
        if what == "credential":
            module = modules[source]
            fresh = issue(world, source) if source in world.servers and module.KIND == "oauth" else {}
            return reply({"kind": module.KIND, "credential": {**module.CREDENTIAL, **fresh}})
        return reply([
            {"method": seen.method, "path": seen.path, "at": seen.at, "status": seen.status, "fault": seen.fault}
            for seen in world.asked(source)
        ])  # fmt: skip

    return [
        Route("/_control/{what}", change, methods=["POST"]),
        Route("/_control/{what}", look, methods=["GET"]),
    ]


def call_of(value: Mapping[str, Any]) -> FakeCall:
    """A call out of JSON: times as ISO text, people and lines as objects."""
    found = dict(value)
    for name in TIMES:
        if isinstance(found.get(name), str):
            found[name] = datetime.fromisoformat(found[name])
    found["people"] = [Person(**person) for person in found.get("people", ())]
    found["lines"] = [Line(**line) for line in found.get("lines", ())]
    return FakeCall(**found)


def _plain(call: FakeCall) -> dict[str, Any]:
    found = asdict(call)
    for name in TIMES:
        found[name] = found[name].isoformat() if found[name] else None
    return found
