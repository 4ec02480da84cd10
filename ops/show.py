"""What the commands show: tables and sentences for a person, JSON for a program."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api import failed_imports, jobs
from api.auth import Caller
from api.failed_imports import CAN_RETRY, FailedFilter, FailedImport
from api.jobs import Job
from api.ports import Ports, open_ports
from ops.importing import Sent
from ops.migrate import find_home
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from streams.io import queries, retries
from streams.io.store import in_workspace

NOTHING: Final = "–"
SHOWN_FAILURES: Final = 10
LOOKED_AT: Final = 200

out: Final = Console(highlight=False, width=None if sys.stdout.isatty() else 300)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_json(value: Any, *, one_line: bool = False) -> None:
    """JSON on standard output, and nothing else."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=None if one_line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(sentence: str) -> None:
    """A sentence for the person, beside the output."""
    err.print(sentence, markup=False)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table, or a sentence when there is nothing to put in it."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    if made.row_count:
        out.print(made)
    else:
        out.print(empty, markup=False)


def cell(value: Any) -> str:
    """A value in a table. What came from outside cannot give orders to the terminal."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    text = "".join(char if char.isprintable() else " " for char in str(value))
    return text.replace("[", "\\[")


def one_line(text: str, most: int = 100) -> str:
    """The beginning of a text, fit for a table."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


# The hub ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def hub(settings: Settings) -> AsyncIterator[tuple[Ports, Caller]]:
    """The ports and, as the caller, the home workspace's owner at the command line. Raises faults with a way out."""
    if settings.kafka is None or settings.database_url is None:
        raise ConfigFault(
            "nothing_running",
            "No Kafka and PostgreSQL are known here. Start `callstream up` in this folder first, or set "
            "CALLSTREAM_KAFKA and CALLSTREAM_DATABASE_URL.",
        )
    home = await asyncio.to_thread(find_home, settings.database_url.get_secret_value())
    async with open_ports(settings) as ports:
        yield ports, Caller(*home, role="owner", actor="command-line")


@dataclass
class Summary:
    """What became of an import."""

    jobs: list[str]
    imported: int = 0
    updated: int = 0
    duplicates: int = 0
    failed: int = 0
    pending: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


async def look(ports: Ports, caller: Caller, sent: Sent) -> Summary:
    """How far the jobs of an import are."""
    summary = Summary([str(job_id) for job_id in sent.jobs])
    summary.duplicates = sent.duplicates
    summary.failed = len(sent.refused)
    summary.failures = [{"name": name, "reason": reason} for name, reason in sent.refused]
    for job_id in sent.jobs:
        job = await jobs.get_job(ports, caller, job_id)
        summary.imported += job.imported_calls
        summary.updated += job.updated_calls
        summary.duplicates += job.skipped_calls
        summary.failed += job.failed_calls
        summary.pending += job.total_calls - job.processed_calls
    return summary


async def first_failures(ports: Ports, caller: Caller, sent: Sent, summary: Summary) -> None:
    """Add the first failures of the jobs to the summary, each with the file or line it was."""
    for job_id in sent.jobs:
        room = SHOWN_FAILURES - len(summary.failures)
        if room <= 0:
            return
        calls = await jobs.list_calls(ports, caller, job_id, ["failed", "refused"], LOOKED_AT, None)
        failures = [
            {"name": call.filename or call.external_id, "reason": call.detail or "", "external_id": call.external_id}
            for call in calls.items
        ]
        summary.failures += sorted(failures, key=lambda failure: in_order(failure["name"]))[:room]


def in_order(name: str) -> list[tuple[str, int]]:
    """A key that sorts `line 9` before `line 10`."""
    return [(words, int(digits or 0)) for words, digits in re.findall(r"(\D*)(\d{0,18})", name)]


async def wait_for_outcomes(
    ports: Ports, caller: Caller, sent: Sent, stop: asyncio.Event, on_look: Callable[[Summary], None]
) -> Summary:
    """Wait until every call of the import has an outcome, or until `stop`; the last look."""
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            summary = await look(ports, caller, sent)
        except OutageFault:
            summary = Summary([], pending=1)
        else:
            on_look(summary)
        if summary.pending == 0 or stop.is_set():
            return summary
        pause = max(0.3, 4 * (loop.time() - began))  # counting a large job takes time; leave most of it to the workers
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue


def print_jobs(found: Sequence[Job]) -> None:
    """Jobs as a table."""
    table(
        (
            "Job", "Type", "Source", "Status", "Calls", "Imported", "Updated", "Duplicates", "Failed", "Started",
            "Last error",
        ),
        (
            (
                job.id, job.job_type, job.source_app, job.status, f"{job.processed_calls} of {job.total_calls}",
                job.imported_calls, job.updated_calls, job.skipped_calls, job.failed_calls, job.started_at,
                one_line(job.last_error or "", 60),
            )
            for job in found
        ),
        empty="There are no jobs yet.",
    )  # fmt: skip


def print_failed(found: Sequence[FailedImport]) -> None:
    """Failed imports as a table."""
    table(
        ("Id", "Source", "Call", "Stage", "Status", "Tries", "Next try", "Last seen", "Group", "Why"),
        (
            (
                each.id, each.source_app, one_line(each.external_id or "", 24), each.stage, each.status, each.attempts,
                each.next_retry_at, each.last_seen_at, each.fingerprint, one_line(each.message),
            )
            for each in found
        ),
        empty="There are no failed imports.",
    )  # fmt: skip


def print_groups(found: Sequence[failed_imports.FailedGroup]) -> None:
    """Failed imports of the same cause as one row each."""
    table(
        ("Group", "Count", "Stage", "Reason", "Last seen", "Why"),
        (
            (group.fingerprint, group.count, group.stage, group.reason, group.last_seen_at, one_line(group.message))
            for group in found
        ),
        empty="There are no failed imports.",
    )


async def pages(fetch: Any, limit: int) -> list[Any]:
    """Up to `limit` items of a list that comes in pages. `fetch(limit, cursor)` gives one."""
    found: list[Any] = []
    cursor: str | None = None
    while len(found) < limit:
        page = await fetch(min(200, limit - len(found)), cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def list_jobs(settings: Settings, limit: int) -> list[Job]:
    """The newest jobs."""
    async with hub(settings) as (ports, caller):
        return await pages(lambda size, cursor: jobs.list_jobs(ports, caller, size, cursor), limit)


async def list_failed(settings: Settings, wanted: FailedFilter, limit: int) -> list[FailedImport]:
    """The latest failed imports that fit."""
    async with hub(settings) as (ports, caller):
        return await pages(lambda size, cursor: failed_imports.list_failed(ports, caller, wanted, size, cursor), limit)


async def group_failed(settings: Settings, wanted: FailedFilter, limit: int) -> list[failed_imports.FailedGroup]:
    """The largest groups of failed imports that fit."""
    async with hub(settings) as (ports, caller):
        return await pages(lambda size, cursor: failed_imports.list_groups(ports, caller, wanted, size, cursor), limit)


async def retry_one(settings: Settings, failed_import_id: UUID) -> failed_imports.StatusAnswer:
    """Retry one failed import."""
    async with hub(settings) as (ports, caller):
        return await failed_imports.retry(ports, caller, failed_import_id)


async def discard_one(settings: Settings, failed_import_id: UUID) -> failed_imports.StatusAnswer:
    """Discard one failed import."""
    async with hub(settings) as (ports, caller):
        return await failed_imports.discard(ports, caller, failed_import_id)


async def retry_many(settings: Settings, wanted: FailedFilter, *, rate: float, dry_run: bool) -> dict[str, Any]:
    """Retry all that fit, at most `rate` a second; how many it were, and of a dry run the groups they belong to."""
    async with hub(settings) as (ports, caller):
        if dry_run:
            many = failed_imports.RetryMany(filter=wanted, dry_run=True, rate=rate)
            answer = await failed_imports.retry_matching(ports, caller, many)
            return {"dry_run": True, "retry_count": answer.retry_count, "groups": answer.groups or []}
        sql = queries.load("failed_imports")["matching_failed"]
        async with in_workspace(ports.pool, caller.workspace_id) as connection:
            rows = await connection.fetch(sql, caller.workspace_id, *wanted.values(CAN_RETRY))
        retried = 0
        with bar("Retrying", len(rows)) as progress:
            due = asyncio.get_running_loop().time()
            for row in rows:
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                due += 1 / rate
                try:
                    await retries.retry(ports.pool, ports.bus, caller.workspace_id, row["failed_import_id"])
                    retried += 1
                except LookupError:
                    pass  # somebody else was faster
                progress.advance(progress.task_ids[0])
        return {"dry_run": False, "retry_count": retried}


def bar(what: str, total: int | None = None) -> Progress:
    """A progress bar on standard error, which disappears when it is done; nothing where no person looks."""
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    progress.add_task(what, total=total)
    return progress


def byte_bar(what: str, total: int) -> Progress:
    """The same for bytes."""
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    progress.add_task(what, total=total)
    return progress
