"""Workspaces as an operator at the command line sees them: all of them, each with the person who acts there."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.auth import Caller
from schemas.faults import ConfigFault
from schemas.settings import Settings
from streams.io import queries
from streams.io.store import open_pool

SQL: Final = queries.load("workspaces")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace, and the first of its owners."""

    workspace_id: UUID
    name: str
    is_home: bool
    user_id: UUID | None

    @property
    def caller(self) -> Caller:
        """The operator as the workspace's owner. Raises `ConfigFault` for a workspace that nobody owns."""
        if self.user_id is None:
            raise ConfigFault("no_owner", f"The workspace {self.name} has no owner. Make somebody its owner first.")
        return Caller(self.workspace_id, self.user_id, role="owner", actor="command-line")


def nothing_running() -> ConfigFault:
    """What is said where no servers are known."""
    return ConfigFault(
        "nothing_running",
        "No Kafka and PostgreSQL are known here. Start `callstream up` in this folder first, or set "
        "CALLSTREAM_KAFKA and CALLSTREAM_DATABASE_URL.",
    )


async def list_workspaces(settings: Settings) -> list[Workspace]:
    """Every workspace, the home workspace first."""
    if settings.database_url is None:
        raise nothing_running()
    pool = await open_pool(settings.database_url.get_secret_value(), pipeline=True, size=1)
    try:
        return [Workspace(**dict(row)) for row in await pool.fetch(SQL["list_workspaces"])]
    finally:
        await pool.close()


async def find_replay(settings: Settings, replay_id: UUID) -> Workspace:
    """The workspace whose replay it is. Raises `ConfigFault` when there is no such replay."""
    if settings.database_url is None:
        raise nothing_running()
    pool = await open_pool(settings.database_url.get_secret_value(), pipeline=True, size=1)
    try:
        workspace_id = await pool.fetchval(SQL["workspace_of_replay"], replay_id)
    finally:
        await pool.close()
    for each in await list_workspaces(settings):
        if each.workspace_id == workspace_id:
            return each
    raise ConfigFault("unknown_replay", f"There is no replay {replay_id}. See `callstream replay list`.")


def pick(found: list[Workspace], wanted: str) -> Workspace:
    """The workspace of that id or name. Raises `ConfigFault` when there is none, or more than one."""
    fitting = [each for each in found if wanted.lower() == str(each.workspace_id)]
    fitting = fitting or [each for each in found if each.name == wanted]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(f"{each.name} ({each.workspace_id})" for each in (fitting or found)[:10])
    if fitting:
        raise ConfigFault("ambiguous_workspace", f"Several workspaces are called {wanted}: {names}. Give the id.")
    raise ConfigFault("unknown_workspace", f"There is no workspace {wanted}. There are: {names}.")


def home(found: list[Workspace]) -> Workspace:
    """The installation's own workspace."""
    for each in found:
        if each.is_home:
            return each
    raise ConfigFault("database_empty", "The database has not been set up. Run `callstream migrate`.")
