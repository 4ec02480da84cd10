"""The HTTP application, built from settings and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import problems
from api.guards import BodyCap, SafeHeaders
from api.pages import STATIC
from api.ports import open_ports
from api.routes import (
    admin,
    calls,
    failed_imports,
    health,
    imports,
    keys,
    oauth,
    page,
    platforms,
    replays,
    session,
    sources,
    uploads,
    usage,
    webhooks,
)  # fmt: skip
from api.webhooks import Door
from schemas.settings import Settings
from streams.io.secrets import open_secrets

DESCRIPTION = """Brings recorded calls and meetings into one library.

Send `Authorization: Bearer csk_…`, or sign in with the link `callstream up` prints. Lists are paged:
`?limit=&cursor=`, answered as `{"items": […], "next_cursor": …}`. Errors are `application/problem+json`: `reason` is a
word for programs, `detail` a sentence for people.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application. Raises `ConfigFault` at once when secrets could not be kept encrypted."""
    open_secrets(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_ports(settings) as ports:
            app.state.ports = ports
            app.state.door = Door(ports)
            yield

    app = FastAPI(
        title="callstream", version="0.1.0", description=DESCRIPTION, lifespan=lifespan, responses=problems.RESPONSES
    )
    problems.handle(app)
    app.add_middleware(BodyCap)
    app.add_middleware(SafeHeaders)
    for routes in (
        webhooks, platforms, sources, oauth, uploads, imports, replays, failed_imports, calls, usage, keys, session,
        admin, health, page,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
