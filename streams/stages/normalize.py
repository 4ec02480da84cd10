"""Raw call in, call in our own terms out."""

from collections.abc import Callable

from schemas.calls import Call, Media, NormalizedCall, RawCall
from schemas.outcomes import Next
from schemas.topics import NORMALIZED

ToCall = Callable[[str, str, Media | None], tuple[NormalizedCall, str]]
"""(source_app, payload, the recording fetched beside it) -> the content and its fingerprint. Raises `InvalidCall`."""


def normalize(raw: RawCall, to_call: ToCall) -> Next:
    """Map the payload with its connector. Everything that identifies the event is carried over unchanged."""
    content, fingerprint = to_call(raw.source_app, raw.payload, raw.media)
    fields = {name: getattr(content, name) for name in NormalizedCall.model_fields}
    metadata = {key: value for key, value in content.source_metadata.items() if key != "external_id"}
    fields["source_metadata"] = {"external_id": raw.external_id, **metadata}
    # Both halves are validated models already; to validate a long transcript twice would cost as much as all the rest.
    call = Call.model_construct(
        version=1, **raw.identity(), source_id=raw.source_id, placement=raw.placement, fingerprint=fingerprint, **fields
    )
    return Next([(NORMALIZED, call)])
