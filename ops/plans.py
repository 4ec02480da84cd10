"""`callstream workspaces`: which there are, and what each may import."""

import asyncio
from typing import Annotated

import typer

from schemas.faults import ConfigFault
from schemas.settings import Settings, load_settings

workspaces = typer.Typer(help="Workspaces, and the plans they have.", no_args_is_help=True)
NONE = "none"


@workspaces.command("plan")
def set_plan(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workspace's name or id.")],
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan of CALLSTREAM_PLANS, or `none`: no limit.")],
) -> None:
    """Give a workspace a plan. It holds at once, also for imports under way."""
    settings = load_settings()
    typer.echo(asyncio.run(give_plan(settings, name, plan)))


async def give_plan(settings: Settings, name: str, plan: str) -> str:
    """Give a workspace a plan; what to tell the operator. Raises `ConfigFault` for a name that is not known."""
    from api.auth import audit
    from ops.workspaces import list_workspaces, pick
    from streams.io.quotas import set_plan as store
    from streams.io.store import in_workspace, open_pool

    if plan != NONE and plan not in settings.plans:
        known = ", ".join(sorted(settings.plans)) or "none"
        raise ConfigFault("unknown_plan", f"There is no plan {plan}. CALLSTREAM_PLANS names: {known}.")
    workspace = pick(await list_workspaces(settings), name)
    assert settings.database_url is not None  # noqa: S101 - the workspaces were found in it
    pool = await open_pool(settings.database_url.get_secret_value(), size=1)
    try:
        async with in_workspace(pool, workspace.workspace_id) as connection:
            await store(connection, workspace.workspace_id, None if plan == NONE else plan)
            await audit(
                connection, None, workspace.workspace_id, "plan.changed", str(workspace.workspace_id), plan=plan
            )  # fmt: skip
    finally:
        await pool.close()
    limit = settings.plans.get(plan)
    may = "without limit" if limit is None else f"{limit} calls a month"
    return f"The workspace {workspace.name} may import {may}."
