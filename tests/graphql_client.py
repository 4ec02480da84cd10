"""A GraphQL client that knows nothing but `docs/schema.graphql`.

Every document it sends is built from the published schema and validated against it, and every answer is compared with
what the schema promises.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import websockets
from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    parse,
    validate,
)

PUBLISHED = Path(__file__).parent.parent / "docs" / "schema.graphql"
SCALARS: Mapping[str, type | tuple[type, ...]] = {
    "ID": str, "String": str, "Int": int, "Float": (int, float), "Boolean": bool, "DateTime": str,
}  # fmt: skip


def published() -> GraphQLSchema:
    """The schema as clients get it."""
    return build_schema(PUBLISHED.read_text("utf-8"))


def operation(schema: GraphQLSchema, kind: str, name: str, variables: Mapping[str, Any]) -> str:
    """A document that calls one operation with these variables and asks for everything it answers."""
    root = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}
    found = root[kind]
    assert found is not None
    field = found.fields[name]
    declared = ", ".join(f"${each}: {field.args[each].type}" for each in variables)
    given = ", ".join(f"{each}: ${each}" for each in variables)
    head = f"{kind} Run({declared})" if declared else kind
    document = f"{head} {{ {name}{f'({given})' if given else ''} {everything(field.type)} }}"
    assert validate(schema, parse(document)) == [], document
    return document


def everything(type_: GraphQLOutputType) -> str:
    """All fields of a type, and all of theirs."""
    named = get_named_type(type_)
    if not isinstance(named, GraphQLObjectType):
        return ""
    return "{ " + " ".join(f"{name} {everything(field.type)}".strip() for name, field in named.fields.items()) + " }"


def conforms(value: Any, type_: GraphQLOutputType) -> bool:
    """Whether a value is one of the type."""
    match type_:
        case GraphQLNonNull():
            return value is not None and conforms(value, type_.of_type)
        case _ if value is None:
            return True
        case GraphQLList():
            return isinstance(value, list) and all(conforms(each, type_.of_type) for each in value)
        case GraphQLObjectType():
            return isinstance(value, dict) and all(
                conforms(value[name], field.type) for name, field in type_.fields.items() if name in value
            )
        case GraphQLEnumType():
            return value in type_.values
        case GraphQLScalarType():
            return isinstance(value, SCALARS[type_.name])
    return False


class Client:
    """Calls operations by name. `http` carries the address and the key."""

    def __init__(self, http: httpx2.AsyncClient, url: str = "") -> None:
        self.schema = published()
        self.http = http
        self.url = url

    async def query(self, name: str, **variables: Any) -> Any:
        """What a query answers. An error is an `AssertionError` that shows it."""
        return await self._run("query", name, variables)

    async def mutate(self, name: str, **variables: Any) -> Any:
        """What a mutation answers."""
        return await self._run("mutation", name, variables)

    async def errors(self, kind: str, name: str, **variables: Any) -> list[dict[str, Any]]:
        """The errors of an operation that must have some."""
        answer = await self.post(operation(self.schema, kind, name, variables), variables)
        found: list[dict[str, Any]] = answer["errors"]
        return found

    async def post(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a document answers, whatever it is."""
        answer = await self.http.post("/graphql", json={"query": query, "variables": dict(variables or {})})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def _run(self, kind: str, name: str, variables: Mapping[str, Any]) -> Any:
        answer = await self.post(operation(self.schema, kind, name, variables), variables)
        assert "errors" not in answer, answer["errors"]
        root = self.schema.query_type if kind == "query" else self.schema.mutation_type
        assert root is not None
        value = answer["data"][name]
        assert conforms(value, root.fields[name].type), value
        return value

    async def follow(self, name: str, **variables: Any) -> AsyncIterator[Any]:
        """What a subscription tells, until it ends."""
        key = str(self.http.headers["authorization"])
        async with connected(self.url, init={"Authorization": key}) as socket:
            query = operation(self.schema, "subscription", name, variables)
            await send(socket, type="subscribe", id="1", payload={"query": query, "variables": variables})
            while (said := await receive(socket))["type"] == "next":
                assert "errors" not in said["payload"], said
                yield said["payload"]["data"][name]
            assert said["type"] == "complete", said


@asynccontextmanager
async def connected(
    url: str, *, init: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Any]:
    """A connection that was let in. Raises `websockets.ConnectionClosed` with the code where it was not."""
    address = url.replace("http", "ws", 1) + "/graphql"
    told = dict(headers or {})
    origin: Any = told.pop("Origin", None)
    async with websockets.connect(
        address,
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        additional_headers=told,
        origin=origin,
        proxy=None,
    ) as socket:
        assert socket.subprotocol == "graphql-transport-ws"
        await send(socket, type="connection_init", payload=dict(init or {}))
        assert (await receive(socket))["type"] == "connection_ack"
        yield socket


async def send(socket: Any, **message: Any) -> None:
    """Send a message of the protocol."""
    await socket.send(json.dumps(message))


async def receive(socket: Any) -> dict[str, Any]:
    """The next message that is no ping."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] == "ping":
            await send(socket, type="pong")
            continue
        return message
