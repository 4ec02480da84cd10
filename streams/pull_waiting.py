"""Calls that wait: known at their source and not ready yet, or named by a webhook and not read yet.

A command has those of one source looked at that are due, a few at a time, for one slice. A call that is not ready gets
another turn by the connector's schedule; after the last one it is taken as it is, or its job reads why not. One that
only a webhook has named has no job: it goes to the failed imports, where its retry reads it. Claims run out, so a
worker that dies costs a call no more than its turn.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import structlog

from connectors.answers import LIMITED
from connectors.contract import Connector, Item, Window
from schemas.dead_letter import Death, headers_of
from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, MissingFault, OutageFault, TransientFault
from schemas.pulls import PullCommand
from schemas.topics import DEAD, PULL
from streams.io import bus, erase, pull_steps, pulls
from streams.io.erase import ERASED
from streams.io.pull_steps import Note, Waiting
from streams.pull_calls import OURS, CallReader, Errand, OpenApi, Pace, Stopped

log = structlog.get_logger("pull")
NEAR, MAX_PAGES = timedelta(days=1), 20
LONG = 3600.0
"""Longer than anybody waits in place: the failed import is retried by its own schedule."""
LIMIT_SECONDS = 60.0
"""How long the calls of a source rest after a limit that names no time."""


async def look_at_waiting(
    reader: CallReader, connectors: Mapping[str, Connector], open_api: OpenApi, pace: Pace, source_id: UUID
) -> None:
    """Look at the waiting calls of a source that are due. Raises `OutageFault` and nothing else: what cannot be done
    now is due again later."""
    source = await pull_steps.find_source(reader.pool, source_id)
    connector = connectors.get(source.source_app) if source else None
    if source is None or connector is None or connector.pull is None:
        return
    deadline, more = time.monotonic() + pace.slice_seconds, True
    try:
        async with open_api(source) as api:
            errand = Errand(source, connector, api)
            while more and time.monotonic() < deadline:
                more = await _some(reader, errand, pace)
    except OutageFault:
        raise
    except ConfigFault as fault:
        await pull_steps.source_error(reader.pool, source, fault.reason, fault.sentence)
        return
    except Exception as error:
        log.warning("waiting_calls_not_read", source=source.source_app, exc_info=error)
        return
    if more:
        with suppress(OutageFault):  # then the schedule does it
            await pulls.wake(reader.bus, source)


async def _some(reader: CallReader, errand: Errand, pace: Pace) -> bool:
    """Look at some calls, side by side. False: there is no more to do for now."""
    calls = await pull_steps.claim_waiting(
        reader.pool, errand.source.source_id, pace.calls_at_once, pace.waiting_lease_seconds
    )
    looked = await asyncio.gather(*(_look(reader, errand, call) for call in calls), return_exceptions=True)
    for result in looked:
        if isinstance(result, BaseException):
            raise result
    return bool(calls) and all(looked)


async def _look(reader: CallReader, errand: Errand, call: Waiting) -> bool:
    """Look at one call. False: the source allows no more requests now."""
    pool, source_id, pull = reader.pool, errand.source.source_id, errand.pull
    if call.cancelled and not call.from_webhook:
        await pull_steps.wait_no_more(pool, source_id, call.external_id, "This import was cancelled.")
        return True
    job_id = None if call.cancelled else call.job_id
    if call.erased:
        if job_id is not None:
            await pull_steps.note(
                pool, job_id, errand.source.source_app, [Note(call.external_id, "skipped", ERASED)]
            )  # fmt: skip
        await pull_steps.wait_no_more(pool, source_id, call.external_id, ERASED)
        return True
    errand = replace(errand, job_id=job_id, job_type=call.job_type)
    tries = call.tries + 1
    final = tries >= len(pull.tries)
    why, ending = call.why, pull.gives_up
    item = None
    try:
        item = await _find(errand, call)
        waits_for = await reader.bring(errand, item, final=final)
        if waits_for is None:
            return True
        why = waits_for
    except (OutageFault, ConfigFault):
        raise
    except Stopped:
        await pull_steps.wait_no_more(pool, source_id, call.external_id, "This import was cancelled.")
        return True
    except (TransientFault, CursorFault) as fault:
        if fault.reason in LIMITED:
            rest = fault.retry_after if isinstance(fault, TransientFault) else None
            await pull_steps.try_later(
                pool, source_id, call.external_id, tries=call.tries, why=call.why,
                seconds=LIMIT_SECONDS if rest is None else rest,
            )  # fmt: skip
            return False
        why, ending = fault.sentence, f"{fault.sentence} {pull.gives_up}"
    except MissingFault as fault:  # not ready yet, as far as anybody can tell
        ending = ending if item is None else fault.sentence
    except InvalidCall as fault:
        final, ending = True, fault.sentence
    except Exception as error:
        log.error("call_not_read", source=errand.source.source_app, call=call.external_id, exc_info=error)
        why = ending = error.sentence if isinstance(error, Fault) else OURS
    if final:
        log.warning("waiting_call_given_up", source=errand.source.source_app, call=call.external_id)
        if errand.job_id is None:
            await _bury(reader, errand, call.external_id, ending)
        await pull_steps.wait_no_more(pool, source_id, call.external_id, ending)
    else:
        seconds = pull.tries[tries].total_seconds()
        await pull_steps.try_later(pool, source_id, call.external_id, tries=tries, why=why, seconds=seconds)
    return True


async def _find(errand: Errand, call: Waiting) -> Item:
    """The call by its id; where the source can only look among its newest calls, in the list of its day."""
    try:
        return await errand.pull.find(errand.api, call.external_id)
    except MissingFault:
        if call.started_at is None:
            raise
        window, cursor = Window(call.started_at - NEAR, call.started_at + NEAR), None
        for _ in range(MAX_PAGES):
            page = await errand.pull.list_page(errand.api, window, cursor)
            for item in page.items:
                if item.external_id == call.external_id:
                    return item
            if (cursor := page.cursor) is None:
                break
        raise


async def _bury(reader: CallReader, errand: Errand, external_id: str, sentence: str) -> None:
    """Have a call that no job knows stand among the failed imports. What is retried there is a command to read it."""
    command = pulls.command(errand.source, external_id=external_id)
    death = Death(
        stage="pull", kind="transient", reason="call_not_ready", message=sentence, detail="", topic=PULL.name,
        partition=0, offset=0, attempt=1, at=reader.now(),
    )  # fmt: skip
    headers = bus.headers_of(PULL, command, "pull", ())
    value = command.model_dump_json().encode()
    await reader.bus.send(DEAD.name, command.key, value, headers_of(death, headers))


async def read_named(
    reader: CallReader, connectors: Mapping[str, Connector], open_api: OpenApi, command: PullCommand
) -> None:
    """Read the call of a retried command and publish it as it is. Raises what stands among the failed imports then."""
    source = await pull_steps.find_source(reader.pool, command.source_id)
    connector = connectors.get(source.source_app) if source else None
    if source is None or connector is None or connector.pull is None:
        raise ConfigFault("source_gone", "The account that announced this call was disconnected. Connect it again.")
    if await erase.erased(reader.pool, [(source.workspace_id, source.source_app, command.external_id)]):
        return await pull_steps.retried(reader.pool, command.event_id)
    async with open_api(source) as api:
        errand = Errand(source, connector, api)
        try:
            item = await errand.pull.find(api, command.external_id)
            await reader.bring(errand, item, final=True)
        except (MissingFault, CursorFault) as fault:
            raise TransientFault("call_not_ready", fault.sentence, retry_after=LONG) from None
    return await pull_steps.retried(reader.pool, command.event_id)
