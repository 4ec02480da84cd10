"""The live picture of the stages."""

from fastapi import APIRouter

from api import pipeline
from api.deps import TheOperator, ThePorts
from api.pipeline import Pipeline

router = APIRouter(prefix="/api/pipeline", tags=["live"])


@router.get("")
async def get_pipeline(caller: TheOperator, ports: ThePorts) -> Pipeline:
    """What waits before each stage, how fast it goes and who works there, over all workspaces; and what failed in
    yours. For owners and support. 503 while Kafka is away."""
    return await pipeline.picture(ports, caller.workspace_id)
