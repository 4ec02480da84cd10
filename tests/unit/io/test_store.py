"""Which of the driver's errors mean that PostgreSQL is away."""

import asyncpg
import pytest

from schemas.faults import OutageFault
from streams.io.store import outages


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InterfaceError("cannot call Transaction.__aexit__(): the underlying connection is closed"),
        asyncpg.CannotConnectNowError("the database system is shutting down"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
    ],
)
def test_a_server_that_goes_away_is_an_outage_whatever_the_driver_calls_it(error: Exception) -> None:
    with pytest.raises(OutageFault) as raised, outages():
        raise error
    assert raised.value.reason == "database_away"


@pytest.mark.parametrize("error", [asyncpg.DataError("invalid input"), asyncpg.UniqueViolationError("duplicate")])
def test_what_a_value_is_to_blame_for_is_none(error: Exception) -> None:
    with pytest.raises(type(error)), outages():
        raise error
