"""What a stream acknowledges of events that a rebalance made void while they lay in its queue. Needs no broker.

NO_CYTHON=1 python -m tests.system.faust_apps.skip_events ours|stock
"""

import asyncio
import json
import sys
from typing import Any

import faust
from faust.types.tuples import TP, ConsumerMessage

from schemas.settings import load_settings
from schemas.topics import RAW
from streams.app import build_app

PLACE = TP(RAW.name, 0)


async def skip(app: Any) -> dict[str, list[int]]:
    """Offer two events of the generation before and one of this one; say which came through and which were acked."""
    topic = app.topic(RAW.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.topics._acking_topics.add(RAW.name)
    app.consumer_generation_id = 2
    app.flow_control.resume()
    stream = topic.stream()
    for offset, generation in ((5, 1), (6, 1), (7, 2)):
        message = ConsumerMessage(RAW.name, 0, offset, 0.0, 0, [], b"k", b"v", None, tp=PLACE, generation_id=generation)
        message.incref(1)
        await stream.channel.put(app.create_event(b"k", b"v", [], message))
    event = await anext(aiter(stream.noack().events()))
    return {"passed": [event.message.offset], "acked": sorted(app.consumer._acked[PLACE])}


def main() -> None:
    """Print it as JSON."""
    settings = load_settings()
    stock = faust.App("stock", broker=f"kafka://{settings.kafka}", store="memory://", datadir=str(settings.data_dir))
    app = stock if sys.argv[1] == "stock" else build_app("pipeline", settings)
    sys.stdout.write(json.dumps(asyncio.run(skip(app))))


if __name__ == "__main__":
    main()
