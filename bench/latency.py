"""From a webhook to a visible row, on a system that does nothing else."""

import asyncio
import random
import time

from bench.caller import Calls, deliver
from bench.chains import callstream, connected
from bench.feeder import payload
from bench.ground import open_ground
from bench.http import Client
from bench.rounds import Loss, Numbers, stored
from bench.values import Show, latencies
from bench.webhooks import endpoint
from ops.processes import HOST

EVERY_SECONDS = 0.5
POLL_SECONDS = 0.002
PATIENCE_SECONDS = 30.0
WARM_UP = 5
FIND = "SELECT 1 FROM recordings WHERE workspace_id = $1 AND source_app = 'generic' AND external_id = $2"


async def run(requests: int, show: Show) -> Numbers:
    """One call each half second: when it was answered, and when its row could be read."""
    async with open_ground() as ground:
        chain = await callstream(ground, api=True)
        await chain.start()
        client = Client(HOST, chain.settings.port)
        try:
            door = await endpoint(chain)
            order = Calls(HOST, chain.settings.port, door["path"], door["secret"], "idle", 0, 0)
            answered, visible = [], []
            async with connected(chain.database_url) as connection:
                for number in range(requests + WARM_UP):
                    name = f"idle-{number:07d}"
                    body = payload(name, random.Random(name)).encode()
                    began = time.monotonic()
                    status = await deliver(client, order, name, body)
                    answer = time.monotonic() - began
                    if status != 202:
                        raise Loss(f"A webhook was answered {status}.")
                    while not await connection.fetchval(FIND, ground.workspace_id, name):
                        if time.monotonic() - began > PATIENCE_SECONDS:
                            raise Loss(f"A call was not stored within {PATIENCE_SECONDS:g} s.")
                        await asyncio.sleep(POLL_SECONDS)
                    if number >= WARM_UP:
                        answered.append(answer)
                        visible.append(time.monotonic() - began)
                    await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))
            found: Numbers = {
                "answered": latencies(answered),
                "visible": latencies(visible),
                "stored": await stored(chain, "idle"),
            }
            show(f"visible after p50 {found['visible']['p50_ms']} ms, p99 {found['visible']['p99_ms']} ms")
            return found
        finally:
            client.close()
            await chain.stop()
