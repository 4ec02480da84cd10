"""A worker as `streams.app` runs it, with stages that do what each event's payload says.

    python -m tests.system.faust_apps.worker '{"role": …, "topics": […], "out": …, "dead": …, "gates": …}'

With `"claims": true` it runs the real dedup stage on the real table instead. It says on standard output, a JSON line
each, when an event begins and ends.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import streams.app
import streams.runner
import streams.stages.dedup
import streams.wiring
from schemas.calls import Event, RawCall
from schemas.faults import InvalidCall, OutageFault, TransientFault
from schemas.outcomes import Done, Next, Outcome
from schemas.settings import Settings, load_settings
from schemas.topics import NORMALIZED, RAW, Topic
from streams.agents.dedup import dedup_stage
from streams.app import SafeApp, claims_table, run_worker
from streams.io import media
from streams.io.bus import Bus
from streams.runner import Runner, Stage, Taken


def main() -> None:
    """Run until told to stop."""
    plan = json.loads(sys.argv[1])
    streams.runner.DEAD = Topic(plan["dead"], (), 0, "")
    if plan.get("claims"):
        for name in ("READY", "UNIQUE", "SKIPPED"):
            original: Topic = getattr(streams.stages.dedup, name)
            setattr(streams.stages.dedup, name, Topic(plan[name.lower()], original.models, 0, ""))

    def wire(app: SafeApp, role: str, settings: Settings) -> list[Runner]:
        return _wire(app, plan, settings)

    streams.wiring.wire = wire
    run_worker(plan["role"], load_settings())


def _wire(app: SafeApp, plan: dict[str, Any], settings: Settings) -> list[Runner]:
    store = media.open_media(settings)
    runners = []
    for name in plan["topics"]:
        if plan.get("claims"):
            stage = dedup_stage(Topic(name, NORMALIZED.models, 0, ""), claims_table(app, settings), settings)
        else:
            reads = Topic(name, RAW.models, 0, "")
            stage = Stage("obey", reads, run=_obey(app, plan, reads), window=settings.window)
        bus = Bus(settings.kafka or "", store, source=stage.name, linger_ms=20)
        runner = Runner(stage, bus, store, app, breaker=settings.breaker)
        runners.append(runner)
        streams.wiring._agent(app, stage, runner)
        app.closers += [runner.stop, bus.stop]
    if plan.get("hangs"):
        streams.app.CRASH_GRACE = 2.0
        app.closers.append(asyncio.Event().wait)
    app.on_rebalance_complete.connect(_assigned)
    return runners


async def _assigned(app: SafeApp, **_: Any) -> None:
    say("assigned", partitions=sorted([*tp] for tp in app.consumer.assignment()))


def _obey(app: SafeApp, plan: dict[str, Any], reads: Topic) -> Any:
    out = Topic(plan["out"], RAW.models, 0, "")
    tries: dict[str, int] = {}

    async def run(event: Event, taken: Taken) -> Outcome:
        assert isinstance(event, RawCall)
        order, name = json.loads(event.payload), event.external_id
        at = {"topic": reads.name, "name": name, "partition": taken.partition, "offset": taken.offset}
        number = _number(plan["gates"], name)
        say("begin", **at, number=number, generation=app.consumer_generation_id)
        outcome: Outcome = Done()
        match order["do"]:
            case "echo":
                outcome = Next([(out, event)])
            case "echo to":
                outcome = Next([(Topic(order["topic"], RAW.models, 0, ""), event)])
            case "sleep":
                await asyncio.sleep(order["seconds"])
            case "wait":
                await _gate(plan["gates"], name, number)
            case "bug":
                raise ZeroDivisionError(name)
            case "reject":
                raise InvalidCall("refused", "Refused.")
            case "away":
                tries[name] = tries.get(name, 0) + 1
                if tries[name] < order["tries"]:
                    raise OutageFault("database_away", "PostgreSQL cannot be reached.")
            case "limited":
                raise TransientFault("busy", "Busy.", retry_after=3600)
        say("end", **at, number=number, generation=app.consumer_generation_id)
        return outcome

    return run


def _number(gates: str, name: str) -> int:
    """Which delivery of the event this is, over all workers: 0, 1, 2 …"""
    number = 0
    while True:
        try:
            os.close(os.open(Path(gates) / f"{name}.{number}.begun", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        else:
            return number


async def _gate(gates: str, name: str, number: int) -> None:
    """Wait until the test lets this delivery of the event go."""
    while not (Path(gates) / f"{name}.{number}.go").exists():  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.02)


def say(what: str, **fields: Any) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps({"what": what, **fields}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
