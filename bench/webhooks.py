"""How fast a webhook is answered under load, each answered only after the broker's word."""

import asyncio
import json
import os
import sys
from typing import Any

from bench.caller import Calls
from bench.chains import ROOT, Chain, api_key, callstream
from bench.ground import cpu_seconds, open_ground
from bench.http import Client
from bench.rounds import Loss, Numbers, stored, until_stored
from bench.values import Show, latencies, percentile
from ops.processes import HOST

RATES = (50.0, 300.0)
BUSY = 0.7
"""A generator that uses more than this share of a core may be what is measured."""


async def run(seconds: float, show: Show) -> Numbers:
    """The door at two rates, all workers running."""
    async with open_ground() as ground:
        chain = await callstream(ground, api=True)
        await chain.start()
        try:
            door = await endpoint(chain)
            found = {}
            for rate in RATES:
                found[f"{rate:g}"] = numbers = await at(chain, door, rate, seconds)
                show(f"{rate:g}/s: p50 {numbers['p50_ms']} ms, p99 {numbers['p99_ms']} ms, max {numbers['max_ms']} ms, "
                     f"generator at {numbers['generator_cpu_share']:.0%} of a core")  # fmt: skip
            return found
        finally:
            await chain.stop()


async def endpoint(chain: Chain) -> dict[str, str]:
    """A new webhook endpoint: its path and secret."""
    client = Client(HOST, chain.settings.port)
    headers = {"authorization": f"Bearer {await api_key(chain)}", "content-type": "application/json"}
    status, answer = await client.request(
        "POST", "/api/webhook-endpoints", headers, json.dumps({"platform": "generic"}).encode()
    )
    client.close()
    if status != 201:
        raise Loss(f"No webhook endpoint could be made: {status} {answer[:200]!r}")
    made = json.loads(answer)
    return {"path": f"/webhooks/generic/{made['id']}", "secret": made["secret"]}


async def at(chain: Chain, door: dict[str, str], rate: float, seconds: float) -> Numbers:
    """Deliver at this rate; every call must be answered 202 and be stored once in the end."""
    prefix = f"hook{rate:g}"
    order = Calls(HOST, chain.settings.port, door["path"], door["secret"], prefix, rate, seconds)
    load, used = os.getloadavg()[0], cpu_seconds([*chain.supervisor.pids("api")])
    said = await call(order)
    used = cpu_seconds([*chain.supervisor.pids("api")]) - used
    statuses = {int(status): count for status, count in said["statuses"].items()}
    if set(statuses) != {202}:
        raise Loss(f"At {rate:g} requests a second not all were accepted: {statuses}")
    await until_stored(chain, prefix, said["delivered"])
    return {
        **latencies(said["taken"]),
        "rate": rate,
        "seconds": round(said["seconds"], 1),
        "stored": await stored(chain, prefix),
        "generator_cpu_share": said["cpu_share"],
        "generator_late_p99_ms": round(percentile(said["late"], 0.99) * 1000, 2),
        "generator_is_busy": said["cpu_share"] > BUSY,
        "api_cpu_share": round(used / said["seconds"], 3),
        "connections": said["connections"],
        "load_before": round(load, 2),
    }


async def call(order: Calls) -> dict[str, Any]:
    """Run a generator and return what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.caller", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, limit=2**26,
    )  # fmt: skip
    out, _ = await process.communicate(order.line())
    if process.returncode:
        raise Loss("The load generator failed.")
    said: dict[str, Any] = json.loads(out)
    return said
