"""The whole pipeline on one screen.

calls.{raw,backfill,replay}.v1 ─ normalize ─▶ calls.normalized.v1 ─ dedup ─▶ calls.ready.v1 ─ persist ─▶ imports.completed.v1
                                                                      │  ╲                       ╲
                                                                      │   ▶ imports.skipped.v1 ◀──┘
                                                                      ▶ calls.unique.v1 ─ transcribe ─▶ calls.ready.v1
                                                                      calls.unique.v1 ─ waiting ─▶ transcriptions
imports.pull.v1 ─ pull ─▶ calls.raw.v1, calls.backfill.v1, imports.pull.v1
any stage ─▶ imports.dead.v1 ─ dead_letters ─▶ failed_imports          imports.skipped.v1 ─ outcomes
"""  # noqa: E501

import asyncio
from typing import Any

import structlog

from schemas.faults import OutageFault
from schemas.settings import Settings
from schemas.topics import BACKFILL, DEAD, NORMALIZED, PULL, RAW, READY, REPLAY, SKIPPED, UNIQUE
from streams.agents.dead_letters import dead_letters_stage
from streams.agents.dedup import dedup_stage
from streams.agents.normalize import normalize_stage
from streams.agents.outcomes import outcomes_stage
from streams.agents.persist import persist_stage
from streams.agents.pull import commands_of, pull_stage
from streams.agents.transcribe import transcribe_stage
from streams.agents.waiting import waiting_stage
from streams.app import SafeApp, claims_table
from streams.health import serve_health
from streams.io import media, outcomes
from streams.io.bus import Bus
from streams.ports import Ports
from streams.runner import Runner, Stage

log = structlog.get_logger("wiring")
BEAT_SECONDS = 5.0
ROUND_MS = 15
"""Between two rounds of publishing: long enough for full requests under load, and nothing waits on an idle system."""


def stages_of(role: str, app: SafeApp, settings: Settings, ports: Ports, bus: Bus) -> list[Stage]:
    """The stages a role runs."""
    if role == "dedup":
        return [dedup_stage(NORMALIZED, claims_table(app, settings), settings)]
    if role == "transcribe":
        return [transcribe_stage(UNIQUE, ports, settings)]
    if role == "pull":
        commands = commands_of(ports, settings, bus.named("pull"))
        app.closers.append(commands.stop)
        return [pull_stage(PULL, commands, settings)]
    return [
        normalize_stage(RAW, settings),
        normalize_stage(BACKFILL, settings),
        normalize_stage(REPLAY, settings),
        waiting_stage(UNIQUE, ports, settings),
        persist_stage(READY, ports, settings),
        dead_letters_stage(DEAD, ports, settings),
        outcomes_stage(SKIPPED, ports, settings),
    ]


def wire(app: SafeApp, role: str, settings: Settings) -> list[Runner]:
    """Give `app` one agent a stage, each with a runner of its own, and the heartbeat."""
    store = media.open_media(settings)
    ports = Ports(settings, store)
    runners: list[Runner] = []
    bus = Bus(settings.kafka or "", store, source=role, linger_ms=ROUND_MS)
    for stage in stages_of(role, app, settings, ports, bus):
        runner = Runner(stage, bus.named(stage.name), store, app, breaker=settings.breaker)
        runners.append(runner)
        _agent(app, stage, runner)
        app.closers.append(runner.stop)
    app.closers.append(bus.stop)
    name, beating = settings.worker_name or role, asyncio.Lock()

    def blocked() -> str:
        return ", ".join(sorted({f"{r.stage.name}: {r.blocked}" for r in runners if r.blocked}))

    @app.task  # type: ignore[untyped-decorator]
    async def beat() -> None:
        """Say every few seconds that this worker lives, and what it waits for."""
        await ports.pool()
        while not app.should_stop:
            try:
                async with beating:
                    if not app.should_stop:
                        await outcomes.beat(await ports.pool(), name, role, ready=not blocked(), detail=blocked())
            except OutageFault as fault:
                log.warning("no_heartbeat", detail=fault.detail)
            await asyncio.sleep(BEAT_SECONDS)

    async def say_goodbye() -> None:
        """After an orderly stop nobody shall look for this worker; after a crash somebody should."""
        if not app.crashed:
            async with asyncio.timeout(BEAT_SECONDS), beating:
                await outcomes.unbeat(await ports.pool(), name)

    app.closers += [say_goodbye, ports.close]

    if settings.worker_port:

        @app.task  # type: ignore[untyped-decorator]
        async def health() -> None:
            """Answer health checks on the worker's own port."""
            await serve_health(role, settings.worker_port or 0, blocked)

    return runners


def _agent(app: SafeApp, stage: Stage, runner: Runner) -> None:
    topic = app.topic(stage.reads.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(topic, name=f"{stage.name}.{stage.reads.name}", concurrency=1)  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            await runner.take(event)
