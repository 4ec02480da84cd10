"""GraphQL: operations by POST, subscriptions by WebSocket. Described by `docs/schema.graphql`."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Request, Response, WebSocket
from pydantic import BaseModel, Field

from api.deps import TheCaller, ThePorts
from api.graphql.context import Context
from api.graphql.schema import execute, schema
from api.graphql.watching import Subscriptions

router = APIRouter(tags=["graphql"], include_in_schema=False)
subscriptions = Subscriptions(schema)


class Operation(BaseModel):
    """A request by GraphQL over HTTP."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = Field(None, alias="operationName")


@router.post("/graphql")
async def run_operation(
    body: Operation,
    request: Request,
    caller: TheCaller,
    ports: ThePorts,
    callstream_session: Annotated[str | None, Cookie()] = None,
) -> Response:
    """Run a query or a mutation. The answer is 200 with `data` and, where something went wrong, `errors`."""
    session = callstream_session if caller.csrf_token is not None else None
    context = Context(ports, caller, session, request.headers.get("authorization"))
    return Response(
        json.dumps(await execute(body.query, body.variables, body.operation_name, context)),
        media_type="application/json",
    )


@router.websocket("/graphql")
async def follow(websocket: WebSocket) -> None:
    """Operations and subscriptions over `graphql-transport-ws`."""
    await subscriptions.serve(websocket)
