"""Where the transcription of each call stands, for people to see: waiting, running, done.

Only a note: nothing in the pipeline is decided by it, and a note that is missing or late costs no call. A call that
fails is a failed import, whatever its note says. The pool must see all workspaces; a call of a workspace that is gone
is noted nowhere.
"""

from collections.abc import Sequence

from schemas.calls import Call
from streams.io import queries
from streams.io.store import Pool, outages

SQL = queries.load("speech")


async def waiting(pool: Pool, calls: Sequence[Call]) -> list[None]:
    """Note that calls wait to be transcribed. The same event is never moved back from running or done.

    Raises `OutageFault` and nothing else, as do the others.
    """
    with outages():
        await pool.execute(
            SQL["note_waiting"],
            [call.workspace_id for call in calls],
            [call.source_app for call in calls],
            [call.external_id for call in calls],
            [call.event_id for call in calls],
        )
    return [None] * len(calls)


async def running(pool: Pool, call: Call, done: int, total: int | None) -> None:
    """Note that `done` of `total` parts of a call are transcribed; None: nobody knows yet how many there are."""
    with outages():
        await pool.execute(
            SQL["note_running"], call.workspace_id, call.source_app, call.external_id, call.event_id, done, total
        )


async def done(pool: Pool, call: Call) -> None:
    """Note that a call is transcribed and goes on."""
    with outages():
        await pool.execute(SQL["note_done"], call.workspace_id, call.source_app, call.external_id, call.event_id)
