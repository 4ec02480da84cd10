"""The only place that asks what time it is and makes new ids. Everything else takes them as arguments."""

import time
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def unix_now() -> float:
    """The present, in seconds since 1970."""
    return time.time()


def new_id() -> UUID:
    """A UUIDv7: new ids sort after old ones."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
