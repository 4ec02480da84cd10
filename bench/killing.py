"""kill -9 of each role under a steady load: how long until a call that came after the kill is through."""

import asyncio
import json
import random
import time

from bench.caller import Calls, deliver
from bench.chains import Chain, callstream, connected
from bench.feeder import payload
from bench.ground import open_ground
from bench.http import Client
from bench.rounds import Loss, Meter, Numbers, feeder, order_for, stored, until_stored
from bench.values import Show
from bench.webhooks import endpoint
from ops.processes import HOST
from schemas.calls import RawCall
from schemas.topics import RAW
from streams.io import clock, media
from streams.io.bus import Bus

RATE = 100
ROLES = ("pipeline", "dedup", "transcribe", "api")
SPACING_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
STORED = "SELECT 1 FROM recordings WHERE external_id = $1"
FAILED = "SELECT 1 FROM failed_imports WHERE external_id = $1"


async def run(seconds: float, show: Show) -> Numbers:
    """Kill each role in turn; afterwards every call must be stored, once."""
    async with open_ground() as ground:
        chain = await callstream(ground, api=True)
        await chain.start()
        try:
            door = await endpoint(chain)
            for role in ROLES:  # loads every module and opens every connection
                await mark(chain, role, f"before-{role}", door)
            order = order_for(chain, "k", int(RATE * max(seconds, SPACING_SECONDS * len(ROLES))), RATE)
            found: Numbers = {"rate": RATE, "seconds_to_next_call": {}}
            async with Meter(chain) as meter, feeder(order) as feed:
                since = await meter.ends(chain.completed)
                await feed.go()
                for role in ROLES:
                    await asyncio.sleep(SPACING_SECONDS / 2)
                    took = await kill(chain, role, door)
                    found["seconds_to_next_call"][role] = round(took, 1)
                    show(f"{role:<10} killed: next call through after {took:.1f} s")
                await feed.told()
                await until_stored(chain, "k", order.events // 2)
                await _settle(chain, meter)
                said = await meter.completed_since(since, "k")
            found |= await counts(chain, order.events // 2, len(said))
            return found
        finally:
            await chain.stop()


async def kill(chain: Chain, role: str, door: dict[str, str]) -> float:
    """kill -9 of a role; seconds until a call accepted afterwards has come through the stage of that role."""
    if not chain.supervisor.kill(role):
        raise Loss(f"There was no process of {role} to kill.")
    began = time.monotonic()
    await mark(chain, role, f"after-{role}", door)
    return time.monotonic() - began


async def mark(chain: Chain, role: str, name: str, door: dict[str, str]) -> None:
    """Send a call through the stage of a role and wait until it is out again. For transcribe that is a call without a
    transcript: there is no speech-to-text key here, so it becomes a failed import, which says as much."""
    text = payload(name, random.Random(name))
    if role == "api":
        await _deliver_until_accepted(chain, name, text.encode(), door)
    else:
        if role == "transcribe":
            call = json.loads(text)
            del call["full_transcript"]
            text = json.dumps({**call, "media_url": "https://media.invalid/call.mp3"})
        await _publish(chain, name, text)
    sql = FAILED if role == "transcribe" else STORED
    async with connected(chain.database_url) as connection, asyncio.timeout(PATIENCE_SECONDS):
        while not await connection.fetchval(sql, name):
            await asyncio.sleep(0.02)


async def _publish(chain: Chain, name: str, text: str) -> None:
    now = clock.now()
    call = RawCall(
        event_id=clock.new_id(),
        workspace_id=chain.ground.workspace_id,
        source_app="generic",
        external_id=name,
        observed_at=now,
        received_at=now,
        payload=text,
    )
    bus = Bus(chain.ground.kafka, media.open_media(chain.settings), source="bench")
    await bus.publish(RAW, call)
    await bus.stop()


async def _deliver_until_accepted(chain: Chain, name: str, body: bytes, door: dict[str, str]) -> None:
    order = Calls(HOST, chain.settings.port, door["path"], door["secret"], name, 0, 0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            client = Client(HOST, chain.settings.port)
            try:
                if await deliver(client, order, name, body) == 202:
                    return
            except (OSError, EOFError):
                await asyncio.sleep(0.05)
            finally:
                client.close()


async def _settle(chain: Chain, meter: Meter) -> None:
    """Wait until nothing more is said: what was under way at a kill comes again."""
    before: tuple[int, int] | None = None
    while True:
        ends = [await meter.ends(topic) for topic in (chain.completed, chain.skipped or "")]
        now = (sum(ends[0].values()), sum(ends[1].values()))
        if now == before:
            return
        before = now
        await asyncio.sleep(3)


async def counts(chain: Chain, calls: int, completed: int) -> Numbers:
    """What became of the steady load. Raises `Loss` unless every call is stored, and said to be, and none twice."""
    sql = "SELECT count(*) - count(DISTINCT external_id) FROM recordings WHERE external_id LIKE 'k-%'"
    async with connected(chain.database_url) as connection:
        twice = await connection.fetchval(sql)
    rows = await stored(chain, "k")
    if twice or rows != calls or completed != calls:
        raise Loss(f"Of {calls} calls {rows} are stored, {twice} of them twice, and {completed} are said to be.")
    return {"calls": calls, "stored": rows, "lost": calls - rows, "stored_twice": twice}
