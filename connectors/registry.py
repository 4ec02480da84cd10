"""The only list of connectors, and the two ways through it: a payload becomes a call, a line becomes a payload."""

from pydantic import ValidationError

from connectors.contract import Connector, Received
from connectors.dialpad import DIALPAD
from connectors.fathom import FATHOM
from connectors.fireflies import FIREFLIES
from connectors.five9 import FIVE9
from connectors.generic import GENERIC
from connectors.gong import GONG
from connectors.google_meet import GOOGLE_MEET
from connectors.grain import GRAIN
from connectors.hubspot import HUBSPOT
from connectors.payloads import parse_json, parse_object, received, written
from connectors.ringcentral import RINGCENTRAL
from connectors.upload import UPLOAD
from connectors.youtube import YOUTUBE
from connectors.zoom import ZOOM
from connectors.zoom_phone import ZOOM_PHONE
from schemas.calls import Media, NormalizedCall, fingerprint
from schemas.faults import InvalidCall

CONNECTORS: dict[str, Connector] = {
    connector.source_app: connector
    for connector in (
        UPLOAD,
        GENERIC,
        FATHOM,
        ZOOM,
        ZOOM_PHONE,
        RINGCENTRAL,
        GRAIN,
        FIREFLIES,
        GONG,
        YOUTUBE,
        DIALPAD,
        HUBSPOT,
        GOOGLE_MEET,
        FIVE9,
    )
}


def to_call(source_app: str, payload: str, media: Media | None = None) -> tuple[NormalizedCall, str]:
    """The call in a payload, and the fingerprint of its content. Raises `InvalidCall` and nothing else.

    `media` is the recording that was fetched beside the payload.
    """
    connector = CONNECTORS.get(source_app)
    if connector is None:
        sentence = f'callstream has no source called "{source_app[:60]}". It may need a newer version of callstream.'
        raise InvalidCall("unknown_source", sentence, field="source_app")
    try:
        content = connector.to_call(parse_object(payload))
        if media is not None:
            content = content.model_copy(update={"media": media})
        if not content.media and not content.segments and not (content.full_transcript or "").strip():
            raise InvalidCall("nothing_to_read", connector.empty)
        return content, fingerprint(content, connector.volatile)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        sentence = f"{field} cannot be kept: {first['msg']}. Correct it and send the call again."
        raise InvalidCall("invalid_field", sentence, field=field, detail=str(error.error_count())) from None
    except RecursionError:
        sentence = "This call is nested too deeply to be read. Correct it and send it again."
        raise InvalidCall("payload_too_deep", sentence) from None


def raw_line(line: str) -> tuple[str, Received]:
    """One line of a JSON Lines file: a generic raw call, or `{"source_app": …, "payload": {…}}`. Never raises.

    A line that names a source nobody knows goes to `generic` as it is, and fails there with that reason. So does
    `upload`: its payloads name files in the media store, which only the upload door may do.
    """
    text = line.strip()
    try:
        value = parse_json(text)
        if isinstance(value, dict) and "source_app" in value and "payload" in value:
            name, payload = value["source_app"], value["payload"]
            connector = CONNECTORS.get(name) if isinstance(name, str) and name != UPLOAD.source_app else None
            if connector is not None:
                return connector.source_app, received(written(payload), payload, connector.external_id_of)
    except InvalidCall:
        value = None
    return GENERIC.source_app, received(text, value, GENERIC.external_id_of)
