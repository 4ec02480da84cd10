"""The HTTP application, built from settings and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import problems
from api.bulk_retries import keep_on
from api.etags import Etags
from api.guards import BodyCap, SafeHeaders
from api.live import open_live
from api.pages import STATIC, page_or
from api.ports import open_ports
from api.routes import (
    admin,
    audit,
    calls,
    events,
    failed_imports,
    graphql,
    health,
    imports,
    keys,
    logos,
    members,
    oauth,
    page,
    pipeline,
    platforms,
    replays,
    session,
    sources,
    subscriptions,
    uploads,
    usage,
    webhooks,
)  # fmt: skip
from api.routes import settings as workspace_settings
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
        async with open_ports(settings) as ports, open_live(ports):
            app.state.ports = ports
            app.state.door = Door(ports)
            ports.in_background(keep_on(ports))
            yield

    app = FastAPI(
        title="callstream", version="0.1.0", description=DESCRIPTION, lifespan=lifespan, responses=problems.RESPONSES
    )
    problems.handle(app)
    app.add_middleware(Etags)
    app.add_middleware(BodyCap)
    app.add_middleware(SafeHeaders)
    for routes in (
        webhooks, platforms, sources, oauth, uploads, imports, replays, failed_imports, calls, usage, keys, members,
        audit, subscriptions, workspace_settings, session, admin, graphql, health, logos, events, pipeline,
        page,
    ):  # fmt: skip
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.router.default = page_or(app.router.default)
    return app
