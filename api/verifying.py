"""Whether a platform still takes a connected account's credential, asked now because somebody wants to know."""

from uuid import UUID

from api import auth, connecting, sources
from api.auth import Caller
from api.ports import Ports
from api.problems import Problem
from api.sources import SourceView
from schemas.faults import ConfigFault, InvalidCall, MissingFault
from streams import vendor
from streams.io import sources as kept
from streams.io.sources import Source
from streams.io.store import in_workspace


async def verify(ports: Ports, caller: Caller, source_id: UUID) -> tuple[SourceView, Problem | None]:
    """The source after its platform was asked, and why it was refused; None: it was not.

    A credential that works again clears the source's error, and one that does not sets it. Raises `TransientFault`
    when the platform does not answer, which says nothing about the credential.
    """
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        source = await sources.find(connection, caller, source_id, to_change=True)
    refusal = await _ask(ports, source)
    async with in_workspace(ports.pool, caller.workspace_id) as connection:
        if refusal is None:
            await kept.mark_verified(connection, source_id)
        else:
            await kept.set_error(connection, source_id, refusal.reason, refusal.sentence, seen=source.last_verified_at)
        await auth.audit(
            connection, caller, caller.workspace_id, "source.verified", str(source_id), taken=refusal is None
        )
    return await sources.get_source(ports, caller, source_id), refusal


async def _ask(ports: Ports, source: Source) -> Problem | None:
    try:
        connector = vendor.connector_of(source.source_app)
        if connector.validate is None:
            raise Problem(409, "no_credential", "This source has no credential that could be checked.")
        async with vendor.open_api(ports.settings, ports.pool, ports.secrets, source) as api:
            connecting.must_have_rights(connector, await connector.validate(api))
    except (ConfigFault, MissingFault, InvalidCall) as fault:
        return Problem(422, fault.reason, fault.sentence)
    except Problem as problem:
        if problem.reason == "rights_missing":
            return problem
        raise
    return None
