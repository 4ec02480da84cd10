"""However a source's history falls into pages, windows and moments, and whatever goes wrong: all of it is published."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from connectors.contract import Item
from schemas.faults import CursorFault, TransientFault
from streams.io import clock
from streams.io.pull_steps import Known
from streams.pull import skip_reason
from tests.property.conftest import World
from tests.pulling import QUICK, START, Deaths, Killed, Rig, Told, rig

pytestmark = pytest.mark.database
HOUR = timedelta(hours=1)
OVERLAP = timedelta(hours=6)
LAST = 48

FAULTS = {
    "limit": TransientFault("rate_limited", "Tiny allows no more requests.", retry_after=0.0),
    "trouble": TransientFault("vendor_failing", "Tiny cannot answer."),
    "cursor": CursorFault("cursor_expired", "Tiny has forgotten where we were."),
    "bug": KeyError("surprise"),
}


@dataclass(frozen=True)
class Session:
    """One listing: until which hour, what its requests meet, and when its worker dies."""

    until: int
    faults: tuple[str | None, ...]
    dies_at: int | None
    after: bool


CALLS = st.lists(
    st.tuples(st.integers(0, LAST - 1), st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=14
)  # fmt: skip
"""(hour of the start, hours until it is listed, looks until it can be read)"""
SESSIONS = st.lists(
    st.builds(
        Session,
        until=st.integers(1, LAST + 5),
        faults=st.lists(st.sampled_from([None, None, None, *FAULTS]), max_size=4).map(tuple),
        dies_at=st.none() | st.integers(1, 25),
        after=st.booleans(),
    ),
    max_size=4,
)


async def user_of(world: World) -> UUID:
    """Somebody to whom sources belong."""
    found: UUID = await world.pool.fetchval("SELECT user_id FROM users LIMIT 1")
    return found


async def pull(it: Rig, job_type: str, since: int, session: Session) -> None:
    """One listing to its end, through everything that goes wrong."""
    it.source.faults.clear()
    it.source.faults.extend(FAULTS[name] if name else None for name in session.faults)
    job = await it.job(job_type, since=START + since * HOUR, days=(session.until - since) / 24)  # type: ignore[arg-type]
    try:
        await it.drain(it.puller(Deaths(session.dies_at, session.after)))
    except Killed:
        await it.let_leases_end()
    await it.settle()
    row = await it.row(job)
    assert row["phase"] == "done"
    assert row["failed_at"] is None, row["last_error"]


async def check(it: Rig) -> None:
    """All is published, and nothing is left to do."""
    assert set(it.bus.ids()) == it.source.ids()
    unsettled = await it.pool.fetchval(
        "SELECT count(*) FROM job_calls c JOIN import_jobs j USING (job_id)"
        " WHERE j.source_id = $1 AND (c.status IN ('waiting', 'failed') OR NOT c.accepted)", it.source_id,
    )  # fmt: skip
    assert unsettled == 0
    waiting = await it.pool.fetchval("SELECT count(*) FROM waiting_calls WHERE source_id = $1", it.source_id)
    assert waiting == 0


def told_of(calls: list[tuple[int, int, int]]) -> list[Told]:
    """The calls, each under a name."""
    return [
        Told(f"n{number}", START + hour * HOUR, delay=delay * HOUR, ready_after=looks)
        for number, (hour, delay, looks) in enumerate(calls)
    ]


@settings(max_examples=25, deadline=None)
@given(calls=CALLS, sessions=SESSIONS, page_size=st.integers(1, 6), at_once=st.integers(1, 4))
def test_syncs_bring_every_call_however_late_it_is_listed(
    world: World, calls: list[tuple[int, int, int]], sessions: list[Session], page_size: int, at_once: int
) -> None:
    async def play() -> None:
        it = await rig(
            world.pool, world.workspace_id, await user_of(world), told_of(calls), page_size=page_size,
            pace=replace(QUICK, calls_at_once=at_once), pull={"tries": (timedelta(0),) * 6},
        )  # fmt: skip
        synced = 0
        for session in [*sorted(sessions, key=lambda s: s.until), Session(LAST + 6, (), None, False)]:
            it.source.time = START + session.until * HOUR
            await pull(it, "sync", synced - 6, session)
            synced = session.until
        await check(it)

    with capture_logs():
        world.run(play())


@settings(max_examples=20, deadline=None)
@given(calls=CALLS, sessions=SESSIONS, page_size=st.integers(1, 6))
def test_windows_side_by_side_bring_the_whole_history(
    world: World, calls: list[tuple[int, int, int]], sessions: list[Session], page_size: int
) -> None:
    async def play() -> None:
        it = await rig(
            world.pool, world.workspace_id, await user_of(world), told_of(calls), page_size=page_size,
            pull={"tries": (timedelta(0),) * 6},
        )  # fmt: skip
        begun = 0
        for session in [*sorted(sessions, key=lambda s: s.until), Session(LAST + 6, (), None, False)]:
            if session.until > begun:
                await pull(it, "historical", begun, session)
                begun = session.until
        await check(it)
        sql = "SELECT covered = tstzmultirange(tstzrange($2, $3)) FROM coverage WHERE source_id = $1"
        assert await it.pool.fetchval(sql, it.source_id, START, START + (LAST + 6) * HOUR)

    with capture_logs():
        world.run(play())


@given(hours=st.integers(-3, 3), sync=st.booleans())
def test_what_has_changed_since_it_was_seen_is_read_again(hours: int, sync: bool) -> None:
    seen = clock.now()
    item = Item("x", {}, changed_at=seen + hours * HOUR)
    for known in (Known(stored_at=seen), Known(failed_at=seen), Known(discarded_at=seen)):
        left_alone = hours <= 0 and (sync or known.stored_at is not None)
        assert (skip_reason(item, known, sync) is not None) == left_alone
