"""One embedded Kafka and one embedded PostgreSQL for the whole test session, started when a test first asks."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TypedDict

from ops.local import Local, start_local


class Servers(TypedDict):
    """Where the session's servers are."""

    kafka: str
    owner_url: str
    app_url: str
    admin_url: str


@cache
def shared_local() -> Local:
    """The session's servers themselves, for tests that stop and start them. They end with the session."""
    data_dir = Path(tempfile.mkdtemp(prefix="callstream-tests-"))
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    local = start_local(data_dir, throwaway=True)
    atexit.register(local.stop)
    return local


def shared_servers() -> Servers:
    """Addresses of the session's servers, which are started by the first call."""
    local = shared_local()
    return Servers(
        kafka=local.kafka.bootstrap,
        owner_url=local.postgres.owner_url,
        app_url=local.postgres.app_url,
        admin_url=local.postgres.admin_url,
    )
