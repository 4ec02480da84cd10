"""Kafka, for everyone outside Faust's own consumers: encode, publish and await the broker's word, decode.

Events are CloudEvents 1.0 in the Kafka binary binding. A value above 512 KB goes to the media store and the event
carries a reference (`ce_dataref`, the claim check). `attempt` counts tries of an event, over all stages, from 1.
"""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from uuid import UUID

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from obstore.store import ObjectStore
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from schemas.calls import Event
from schemas.dead_letter import Headers
from schemas.faults import InvalidCall, OutageFault
from schemas.topics import Topic
from streams.io import clock, media
from streams.io.sender import Sender

MAX_INLINE = 512 * 1024
ATTEMPT = "attempt"
REPLAY_ID = "ce_replayid"
"""On an event that a replay brought: the replay's id. A raw event has it only here, its value stays as it was."""
CLAIM = re.compile(r"claims/[a-z0-9_]+(?:\.[a-z0-9_]+)*/[0-9a-f-]{36}-[0-9a-f]{16}\.json")
"""What a `ce_dataref` may look like. Nothing else is ever asked of the media store."""
TRACE = ("traceparent", "tracestate")


def header(headers: Sequence[tuple[str, bytes]], name: str) -> str | None:
    """The last header of that name as text, or None. Never raises."""
    found = [value for key, value in headers if key == name]
    return found[-1].decode("utf-8", "replace") if found and found[-1] is not None else None


def attempt_of(headers: Sequence[tuple[str, bytes]]) -> int:
    """Which try of the event this is; 1 where the header is missing or odd."""
    text = header(headers, ATTEMPT) or ""
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def headers_of(topic: Topic, event: Event, source: str, carried: Sequence[tuple[str, bytes]] = ()) -> Headers:
    """CloudEvents headers of `event`; trace context and attempt are carried over from the event that led to it."""
    ours: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event.event_id).encode()),
        ("ce_type", topic.type_of(event).encode()),
        ("ce_source", f"/callstream/{source}".encode()),
        ("ce_time", clock.now().isoformat().encode()),
        ("content-type", b"application/json"),
    ]
    if event.replay_id is not None:
        ours.append((REPLAY_ID, str(event.replay_id).encode()))
    return ours + [(key, value) for key, value in carried if key in TRACE or key == ATTEMPT]


async def encode(topic: Topic, event: Event, store: ObjectStore, headers: Headers) -> bytes:
    """The value of `event`. A large one is put into the media store, and `headers` gain its `ce_dataref`.

    Raises `InvalidCall` for what JSON cannot hold, and `OutageFault`.
    """
    try:
        value = event.model_dump_json().encode()
    except PydanticSerializationError as error:
        raise InvalidCall("unencodable", "The event cannot be written as JSON.", detail=str(error)[:500]) from None
    if len(value) <= MAX_INLINE:
        return value
    digest = hashlib.sha256(value).hexdigest()
    ref = f"claims/{topic.name}/{event.event_id}-{digest[:16]}.json"
    await media.put_bytes(store, ref, value)
    headers.append(("ce_dataref", ref.encode()))
    identity = event.model_dump(mode="json", include=set(Event.model_fields))
    return json.dumps({**identity, "claim_check": {"size_bytes": len(value), "sha256": digest}}).encode()


async def decode(topic: Topic, value: bytes | None, headers: Sequence[tuple[str, bytes]], store: ObjectStore) -> Event:
    """The event behind a record of `topic`. Raises `InvalidCall` for whatever cannot be one, and only that."""
    ce_type = header(headers, "ce_type")
    model = topic.model_of(ce_type)
    if model is None:
        raise InvalidCall("unknown_type", f"This version of callstream does not know events of type {ce_type!r:.120}.")
    ref = header(headers, "ce_dataref")
    if ref:
        if not CLAIM.fullmatch(ref):
            raise InvalidCall("bad_reference", "The event refers to something that is not an event payload.")
        value = await media.get_bytes(store, ref)
    if not value:
        raise InvalidCall("empty_event", "The event is empty.")
    try:
        event = model.model_validate_json(value)
        replay = header(headers, REPLAY_ID)
        return event.model_copy(update={"replay_id": UUID(replay)}) if replay else event
    except ValidationError as error:
        raise _why(error) from None
    except (RecursionError, ValueError) as error:
        raise InvalidCall("undecodable", "The event cannot be decoded.", detail=repr(error)[:500]) from None


def _why(error: ValidationError) -> InvalidCall:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return InvalidCall("undecodable", "The event is not valid JSON.", detail=first["msg"])
    if where == "version":
        return InvalidCall("unknown_version", "The event has a version this callstream does not know.", field=where)
    return InvalidCall("wrong_shape", f"The event has the wrong shape: {where}: {first['msg']}.", field=where)


class Bus:
    """A producer. `await publish(...)` returns only when the broker has the event."""

    def __init__(self, bootstrap: str, store: ObjectStore, *, source: str, linger_ms: int = 2) -> None:
        self._sender = Sender(bootstrap, linger_ms / 1000, _away)
        self._store = store
        self._source = source

    def named(self, source: str) -> "Bus":
        """The same connection under another name: what shares it shares its requests too."""
        other = copy.copy(self)
        other._source = source
        return other

    async def start(self) -> None:
        """Connect. Raises `OutageFault` when the broker is not there."""
        await self._sender.start()

    async def stop(self) -> None:
        """Send what is still waiting and disconnect."""
        await self._sender.stop()

    async def ping(self) -> None:
        """Ask the broker for its metadata. Raises `OutageFault` when it does not answer."""
        producer = await self._sender.connected()
        try:
            if not await producer.client.force_metadata_update():
                raise _away(KafkaError("no metadata"))
        except (KafkaError, OSError) as error:
            raise _away(error) from error

    async def publish(self, topic: Topic, event: Event, *, carried: Sequence[tuple[str, bytes]] = ()) -> None:
        """Publish and wait for the broker. Raises `OutageFault`, or `InvalidCall` for what can never be sent."""
        headers = headers_of(topic, event, self._source, carried)
        value = await encode(topic, event, self._store, headers)
        await self.send(topic.name, event.key, value, headers)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Send bytes as they are and wait for the broker. Raises as `publish` does."""
        try:
            await self._sender.send(topic, key, value, headers)
        except MessageSizeTooLargeError as error:
            raise InvalidCall("too_large_for_kafka", "The event is too large to be sent.", detail=str(error)) from error
        except (KafkaError, OSError) as error:
            raise _away(error) from error


def _away(error: Exception) -> OutageFault:
    return OutageFault("broker_away", "Kafka cannot be reached.", detail=repr(error))
