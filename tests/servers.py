"""Embedded Kafka and PostgreSQL for tests: one pair for the whole session, and pairs of a test's own to be stopped."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypedDict

from ops.local import Local, running, start_local


class Servers(TypedDict):
    """Where a pair of servers is."""

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
    return addresses_of(shared_local())


def addresses_of(local: Local) -> Servers:
    """Where these servers are."""
    return Servers(
        kafka=local.kafka.bootstrap,
        owner_url=local.postgres.owner_url,
        app_url=local.postgres.app_url,
        admin_url=local.postgres.admin_url,
    )


@contextmanager
def own_servers(name: str) -> Iterator[Local]:
    """A pair of servers for somebody who stops them or wants their topics to himself. They and their folder are gone
    afterwards. The folder is not pytest's: that one is closed to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix=f"callstream-{name}-"))
    try:
        with running(folder, throwaway=True) as local:
            yield local
    finally:
        shutil.rmtree(folder, ignore_errors=True)
