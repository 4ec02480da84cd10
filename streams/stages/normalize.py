"""Raw call in, call in our own terms out."""

from collections.abc import Callable
from typing import Any

from schemas.calls import Call, NormalizedCall, RawCall
from schemas.faults import InvalidCall
from schemas.outcomes import Next
from schemas.topics import NORMALIZED

ToCall = Callable[[str, str], tuple[NormalizedCall, str]]
"""(source_app, payload as text) -> the content and its fingerprint. Raises `InvalidCall`."""
MAX_METADATA_DEPTH = 20


def normalize(raw: RawCall, to_call: ToCall) -> Next:
    """Map the payload with its connector. Everything that identifies the event is carried over unchanged."""
    content, fingerprint = to_call(raw.source_app, raw.payload)
    fields = {name: getattr(content, name) for name in NormalizedCall.model_fields}
    fields["source_metadata"] = {
        "external_id": raw.external_id,
        **{k: v for k, v in clean(content.source_metadata).items() if k != "external_id"},
    }
    call = Call(
        event_id=raw.event_id,
        workspace_id=raw.workspace_id,
        source_app=raw.source_app,
        external_id=raw.external_id,
        job_id=raw.job_id,
        observed_at=raw.observed_at,
        received_at=raw.received_at,
        source_id=raw.source_id,
        placement=raw.placement,
        fingerprint=fingerprint,
        **fields,
    )
    return Next([(NORMALIZED, call)])


def clean(value: Any, depth: int = 0) -> Any:
    """Metadata as PostgreSQL can hold it: no U+0000, no lone surrogates, no endless nesting, no NaN."""
    if depth > MAX_METADATA_DEPTH:
        raise InvalidCall("metadata_too_deep", "The metadata is nested too deeply.", field="metadata")
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {clean(str(k)): clean(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, depth + 1) for item in value]
    return value
