"""Delivers signed webhooks at a fixed rate, in a process of its own. `python -m bench.caller`, its order on its input.

Open loop: the moments of arrival are fixed beforehand, and a request's time counts from its moment, not from when we
came to send it. So a server that stalls cannot hide it by slowing us down.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from bench.feeder import payload
from bench.http import Client
from connectors.signatures import sign_standard_webhook
from streams.io import clock

WARM_UP = 50


@dataclass(frozen=True)
class Calls:
    """What to deliver, where, how fast and how long."""

    host: str
    port: int
    path: str
    secret: str
    prefix: str
    rate: float
    seconds: float

    def line(self) -> bytes:
        """As the caller's input."""
        return json.dumps(asdict(self)).encode()


async def deliver(client: Client, order: Calls, external_id: str, body: bytes) -> int:
    """One signed delivery; the answer's status."""
    headers = sign_standard_webhook(order.secret, external_id, int(clock.unix_now()), body)
    status, _ = await client.request("POST", order.path, {**headers, "content-type": "application/json"}, body)
    return status


async def run(order: Calls) -> dict[str, object]:
    """All deliveries: their statuses and their times in seconds."""
    chance = random.Random(order.prefix)
    client = Client(order.host, order.port)
    count = int(order.rate * order.seconds)
    names = [f"{order.prefix}-{number:07d}" for number in range(count + WARM_UP)]
    bodies = {name: payload(name, chance).encode() for name in names}
    for name in names[:WARM_UP]:
        await deliver(client, order, name, bodies[name])
    taken: list[float] = []
    late: list[float] = []
    statuses: dict[int, int] = {}

    async def one(name: str, due: float) -> None:
        late.append(time.monotonic() - due)
        status = await deliver(client, order, name, bodies[name])
        taken.append(time.monotonic() - due)
        statuses[status] = statuses.get(status, 0) + 1

    used, first = time.process_time(), time.monotonic()
    tasks = []
    for number, name in enumerate(names[WARM_UP:]):
        due = first + number / order.rate
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(name, due)))
    await asyncio.gather(*tasks)
    took = time.monotonic() - first
    client.close()
    return {
        "statuses": statuses, "taken": taken, "late": late, "seconds": took, "delivered": len(names),
        "cpu_share": round((time.process_time() - used) / took, 3), "connections": client.opened,
    }  # fmt: skip


def main() -> None:
    """Do what the input orders and print the outcome as JSON."""
    order = Calls(**json.loads(sys.stdin.read()))
    print(json.dumps(uvloop.run(run(order))), flush=True)


if __name__ == "__main__":
    main()
