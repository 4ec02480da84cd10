"""The HTTP server: uvicorn, which lets live streams go before it waits for what is still being answered."""

import socket
import sys

import uvicorn
from fastapi import FastAPI

from schemas.settings import Settings

GRACE_SECONDS = 5
STARTUP_FAILED = 3


class ApiServer(uvicorn.Server):
    """Live streams have no end of their own; without this a stop would wait for them until its patience is over."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then stop as uvicorn does."""
        ports = getattr(self._app.state, "ports", None)
        if ports is not None:
            ports.live.end_streams()
        await super().shutdown(sockets)


def serve(app: FastAPI, settings: Settings) -> None:
    """Answer requests until told to stop. Exits with a code of its own where the application does not start."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws_max_size=1024 * 1024,  # as much as a body may have
    )
    server = ApiServer(config, app)
    try:
        server.run()
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has stopped
        return
    if not server.started:
        sys.exit(STARTUP_FAILED)
