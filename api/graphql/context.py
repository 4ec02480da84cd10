"""What resolvers are given: the ports, and the caller, whose scopes are checked where something is asked for."""

from dataclasses import dataclass, field
from typing import Any

import strawberry

from api.auth import Caller, Scope
from api.deps import caller_of, must_have
from api.ports import Ports


@dataclass
class Context:
    """One request, or one connection with its subscriptions.

    `session` is the token of a browser's session, `authorization` the header that a program sent instead of one;
    `stays_open`: it is a connection, whose caller must be looked at again before each operation.
    """

    ports: Ports
    caller: Caller | None = None
    session: str | None = None
    authorization: str | None = None
    stays_open: bool = False
    connection_params: dict[str, object] = field(default_factory=dict)


async def let_in(context: Context) -> Caller:
    """The caller as they are now. Raises the 401 or 403 problem of somebody who may not read here."""
    return must_have(await caller_of(context.ports, context.authorization, context.session), "read")


Info = strawberry.Info[Context, Any]


def asked(info: Info, scope: Scope = "read") -> tuple[Ports, Caller]:
    """The ports, and who asks. Raises a 403 problem when their key has not got the scope."""
    context = info.context
    assert context.caller is not None  # noqa: S101 - both doors refuse whoever is not signed in
    return context.ports, must_have(context.caller, scope)
