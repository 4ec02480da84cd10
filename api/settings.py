"""What a workspace has settled: its processing window. And which plan it has, which is the operator's to settle."""

from datetime import datetime, time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api import auth
from api.auth import Caller
from api.paging import Storable
from api.ports import Ports
from api.problems import Problem
from streams.io import clock, queries, quotas
from streams.io.store import in_workspace
from streams.io.windows import window_of, zone_of

SQL = queries.load("settings")
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["20:00"])]


class Window(BaseModel):
    """Hours of the day in a time zone, past midnight where `to` is earlier than `from`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, extra="forbid")

    begins: ClockTime = Field(alias="from")
    ends: ClockTime = Field(alias="to")
    zone: Storable = Field(max_length=60, examples=["Europe/Berlin"])


class Plan(BaseModel):
    """The plan of the workspace. Null: without one, and without limit."""

    name: str | None
    imports_a_month: int | None


class SettingsView(BaseModel):
    """What a workspace has settled. `window_opens_at`: when the window opens next, while it is closed."""

    processing_window: Window | None
    window_open: bool
    window_opens_at: datetime | None
    plan: Plan


class SettingsChange(BaseModel):
    """What is to be changed; what is left out stays. Null: imports may run at any time."""

    model_config = ConfigDict(extra="forbid")

    processing_window: Window | None = None


async def get(ports: Ports, caller: Caller) -> SettingsView:
    """What is settled."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        return _shown(ports, await connection.fetchrow(SQL["settings"], caller.workspace_id))


def _shown(ports: Ports, row: Any) -> SettingsView:
    window, shown = window_of(row), None
    if row["window_zone"]:
        shown = Window(
            begins=f"{row['window_from']:%H:%M}", ends=f"{row['window_to']:%H:%M}", zone=row["window_zone"]
        )  # fmt: skip
    opens_at = window.opens_at(clock.now()) if window else None
    limit = ports.settings.plans.get(row["plan"]) if row["plan"] else None
    return SettingsView(
        processing_window=shown, window_open=opens_at is None, window_opens_at=opens_at,
        plan=Plan(name=row["plan"], imports_a_month=limit),
    )  # fmt: skip


async def change(ports: Ports, caller: Caller, wanted: SettingsChange) -> SettingsView:
    """Change what is named. Imports that wait for the window are looked at again."""
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if "processing_window" in wanted.model_fields_set:
            window = wanted.processing_window
            await connection.execute(SQL["set_window"], caller.workspace_id, *_checked(window))
            await quotas.let_go_of_window(connection, caller.workspace_id)
            told = window.model_dump(by_alias=True) if window else None
            await auth.audit(
                connection, caller, caller.workspace_id, "settings.changed", str(caller.workspace_id),
                processing_window=told,
            )  # fmt: skip
        return _shown(ports, await connection.fetchrow(SQL["settings"], caller.workspace_id))


def _checked(window: Window | None) -> tuple[time | None, time | None, str | None]:
    if window is None:
        return None, None, None
    if zone_of(window.zone) is None:
        sentence = "There is no such time zone. Write it as in Europe/Berlin or America/New_York."
        raise Problem(422, "unknown_zone", sentence, field="processing_window.zone")
    if window.begins == window.ends:
        sentence = "The window must not end when it begins. For imports at any time, remove it."
        raise Problem(422, "empty_window", sentence, field="processing_window.to")
    return time.fromisoformat(window.begins), time.fromisoformat(window.ends), window.zone
