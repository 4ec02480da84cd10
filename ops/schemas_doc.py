"""The event reference, made from the models: JSON Schemas and an AsyncAPI document under `docs/events/`.

python -m ops.schemas_doc               write them
python -m ops.schemas_doc --check       fail if they are not current, or break the promise in `baseline/`
python -m ops.schemas_doc --baseline    promise the present shape (at a release)
"""

import argparse
import ast
import inspect
import json
import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from pydantic import BaseModel

from ops.schemas_diff import breaking_changes
from schemas import calls, dead_letter, pulls
from schemas.calls import Call, ClaimReleased, Event, ImportCompleted, ImportSkipped, RawCall
from schemas.pulls import PullCommand
from schemas.topics import DAY_MS, TOPICS, Topic
from streams.io import bus

EVENTS = Path(__file__).parent.parent / "docs" / "events"
BASELINE = EVENTS / "baseline"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

LARGE = (RawCall, Call)
"""Events whose content has no upper limit, so that they may travel by claim check."""
DEAD_HEADERS = {
    dead_letter.STAGE: "The stage that could not go on.",
    dead_letter.KIND: "What kind of fault it was.",
    dead_letter.REASON: "The reason, one snake_case word group.",
    dead_letter.MESSAGE: "The reason as a sentence for a person.",
    dead_letter.DETAIL: f"For the engineer; at most {dead_letter.MAX_DETAIL} characters.",
    dead_letter.TOPIC: "The topic the original was read from; a retry goes back to it.",
    dead_letter.PARTITION: "The partition the original was read from.",
    dead_letter.OFFSET: "The offset the original was read from.",
    dead_letter.ATTEMPT: "Which try of the event failed, counted from 1.",
    dead_letter.AT: "When it failed.",
    dead_letter.FINGERPRINT: "The same for failures of the same cause.",
}


# Schemas ---------------------------------------------------------------------------------------------------------


def topic_schema(topic: Topic) -> Schema:
    """The JSON Schema of the values of `topic`; of the dead letters, whose values are any bytes, an empty one."""
    head: Schema = {
        "$schema": DIALECT,
        "$id": f"urn:callstream:schema:{topic.name}",
        "title": topic.name,
        "description": _sentence(topic),
    }
    if not topic.models:
        return head
    parts = {model.__name__: _model_schema(model) for _, model in topic.models}
    if any(model in LARGE for _, model in topic.models):
        parts["ClaimChecked"] = _claim_checked()
    shared = {name: schema for part in parts.values() for name, schema in part.pop("$defs", {}).items()}
    return head | {
        "x-cloudevents-types": {ce_type: f"#/$defs/{model.__name__}" for ce_type, model in topic.models},
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in parts],
        "$defs": parts | shared,
    }


def _sentence(topic: Topic) -> str:
    return f"{topic.description[0].upper()}{topic.description[1:]}."


def _model_schema(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    for definition in (schema, *schema.get("$defs", {}).values()):
        described = _field_docs(getattr(pulls if hasattr(pulls, definition["title"]) else calls, definition["title"]))
        for name, field in definition.get("properties", {}).items():
            field.pop("title", None)
            if name in described:
                field["description"] = described[name]
    return schema


@cache
def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The strings written under a model's fields, those of its bases included."""
    lines = [*ast.parse(inspect.getsource(calls)).body, *ast.parse(inspect.getsource(pulls)).body]
    classes = {node.name: node for node in lines if isinstance(node, ast.ClassDef)}
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        body = classes[part.__name__].body if part.__name__ in classes else []
        for field, after in pairwise(body):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = inspect.cleandoc(words)
    return found


def _claim_checked() -> Schema:
    schema = _model_schema(Event)
    schema["title"] = "ClaimChecked"
    schema["description"] = (
        f"What stands in a record whose value would be larger than {bus.MAX_INLINE} bytes. "
        "The whole value is in the media store under the key named in the header `ce_dataref`."
    )
    measures = {"size_bytes": {"type": "integer"}, "sha256": {"type": "string"}}
    claim: Schema = {"type": "object", "description": "Size and SHA-256 of the whole value."}
    schema["properties"]["claim_check"] = claim | {"properties": measures, "required": list(measures)}
    schema["required"].append("claim_check")
    return schema


# Samples ---------------------------------------------------------------------------------------------------------


def samples() -> dict[type[Event], Event]:
    """One telling event of every kind, always the same."""
    identity: dict[str, Any] = {
        "event_id": UUID("01990b6e-7a00-7000-8000-0000000000aa"),
        "workspace_id": UUID("01990b00-0000-7000-8000-000000000001"),
        "source_app": "generic",
        "external_id": "call-4711",
        "job_id": UUID("01990b6e-7000-7000-8000-00000000000b"),
        "observed_at": "2026-01-15T10:00:00Z",
        "received_at": "2026-01-15T10:00:02Z",
    }
    spoken = [{"speaker": "Ada", "text": "Good morning.", "start_ms": 0, "end_ms": 1200}]
    payload = {"external_id": "call-4711", "title": "Quarterly review", "segments": spoken}
    fingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    about: Schema = {"title": "Quarterly review", "recording_start_time": "2026-01-15T09:00:00Z", "duration_ms": 1200}
    source = "01990b00-0000-7000-8000-00000000005c"
    made: tuple[Event, ...] = (
        PullCommand(**identity | {"source_app": "zoom", "external_id": source}, source_id=source, step=3),
        RawCall(**identity, payload=json.dumps(payload), received_via="webhook"),
        Call(
            **identity,
            **about,
            full_transcript="Ada: Good morning.",
            segments=spoken,
            participants=[{"name": "Ada", "email": "ada@example.com"}],
            source_metadata={"external_id": "call-4711"},
            metadata_quality="full",
            language="en",
            fingerprint=fingerprint,
        ),
        ClaimReleased(**identity),
        ImportCompleted(
            **identity,
            import_id=UUID("01990b6e-7b00-7000-8000-0000000000cc"),
            recording_id=UUID("01990b6e-7b00-7000-8000-0000000000dd"),
            outcome="imported",
            metadata_quality="full",
            **about,
            imported_at="2026-01-15T10:00:03Z",
        ),
        ImportSkipped(
            **identity,
            reason="already_imported",
            fingerprint=fingerprint,
            owner_event_id=UUID("01990b6e-0000-7000-8000-0000000000ee"),
            stage="dedup",
            skipped_at="2026-01-15T10:00:03Z",
        ),
    )
    return {type(event): event for event in made}


# AsyncAPI --------------------------------------------------------------------------------------------------------


def asyncapi() -> Schema:
    """The AsyncAPI 3.0 document: every topic, its messages, headers, key and retention."""
    channels: Schema = {}
    operations: Schema = {}
    messages: Schema = {}
    for topic in TOPICS:
        names = [model.__name__ for _, model in topic.models] or ["DeadLetter"]
        ids = {name: f"{topic.name}.{name}" for name in names}
        for ce_type, model in topic.models:
            messages[ids[model.__name__]] = _message(topic, ce_type, model)
        if not topic.models:
            messages[ids["DeadLetter"]] = _dead_message()
        channels[topic.name] = {
            "address": topic.name,
            "description": f"{_sentence(topic)} Kept {topic.retention_ms // DAY_MS} days.",
            "messages": {name: {"$ref": f"#/components/messages/{ids[name]}"} for name in names},
            "bindings": {
                "kafka": {
                    "topic": topic.name,
                    "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms},
                    "bindingVersion": "0.5.0",
                }
            },
        }
        operations[f"send.{topic.name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "summary": f"callstream publishes {topic.description}.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "callstream events",
            "version": "1.0.0",
            "description": "The topics of callstream. `imports.completed.v1` is the contract with other software; "
            "the others are described for operators and may be read, but not relied on.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The broker named in CALLSTREAM_KAFKA, or the embedded one.",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "host:port of a broker"}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {"CloudEventHeaders": _cloud_headers(), "DeadLetterHeaders": _dead_headers()},
        },
    }


def _message(topic: Topic, ce_type: str, model: type[Event]) -> Schema:
    sample = samples()[model]
    headers = {name: value.decode() for name, value in bus.headers_of(topic, sample, "pipeline", [(bus.ATTEMPT, b"1")])}
    schema = {"$ref": f"./{topic.name}.schema.json#/$defs/{model.__name__}"}
    large = {"$ref": f"./{topic.name}.schema.json#/$defs/ClaimChecked"}
    return {
        "name": ce_type,
        "title": model.__name__,
        "summary": inspect.cleandoc(model.__doc__ or ""),
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventHeaders"},
                {"type": "object", "properties": {"ce_type": {"const": ce_type}}},
            ]
        },
        "payload": {"anyOf": [schema, large]} if model in LARGE else schema,
        "correlationId": {"location": "$message.header#/ce_id"},
        "bindings": {"kafka": {"key": _key(model), "bindingVersion": "0.5.0"}},
        "examples": [
            {
                "name": "sample",
                "headers": headers | {"ce_time": "2026-01-15T10:00:03+00:00"},
                "payload": sample.model_dump(mode="json"),
            }
        ],
    }


def _dead_message() -> Schema:
    return {
        "name": "dead-letter",
        "title": "DeadLetter",
        "summary": "The untouched original, bytes, key and headers, plus `dead_*` headers that say why.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": "#/components/schemas/DeadLetterHeaders"},
        "payload": {"description": "The original bytes, readable or not, or none at all."},
        "bindings": {
            "kafka": {"key": {"description": "The original key, or none."}, "bindingVersion": "0.5.0"},
        },
    }


def _cloud_headers() -> Schema:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, Kafka binary binding. Header values are UTF-8 bytes.",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": text
            | {"format": "uuid", "description": "The event_id, the same in every stage, retry and replay."},
            "ce_type": text | {"description": "Which model the value is; skip a type you do not know."},
            "ce_source": text | {"pattern": "^/callstream/", "description": "The role that published it."},
            "ce_time": text | {"format": "date-time", "description": "When this record was published."},
            "content-type": {"const": "application/json"},
            "ce_dataref": text
            | {
                "pattern": f"^{bus.CLAIM.pattern}$",
                "description": "Claim check: the media store's key of the whole value.",
            },
            bus.ATTEMPT: text
            | {"pattern": "^[0-9]{1,5}$", "description": "Which try this is, counted from 1; absent: 1."},
            "traceparent": text | {"description": "W3C trace context, carried along."},
            "tracestate": text,
        },
    }


def _dead_headers() -> Schema:
    properties: Schema = {name: {"type": "string", "description": words} for name, words in DEAD_HEADERS.items()}
    properties[dead_letter.KIND]["enum"] = list(dead_letter.KINDS)
    properties[dead_letter.AT]["format"] = "date-time"
    for name in (dead_letter.PARTITION, dead_letter.OFFSET, dead_letter.ATTEMPT):
        properties[name]["pattern"] = "^[0-9]+$"
    return {
        "type": "object",
        "description": "The original's own headers are kept beside these.",
        "required": list(DEAD_HEADERS),
        "properties": properties,
    }


def _key(model: type[Event]) -> Schema:
    if model is PullCommand:
        return {"type": "string", "description": "The id of the connected account.", "pattern": "^[0-9a-f-]{36}$"}
    words = "`workspace:source:external_id`, UTF-8, the same all the way down."
    return {"type": "string", "description": words, "pattern": "^[0-9a-f-]{36}:[a-z][a-z0-9_]{1,39}:[^\\x00]{1,512}$"}


# Files -----------------------------------------------------------------------------------------------------------


class _Plain(yaml.SafeDumper):
    """YAML without anchors, so that every part can be read where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def rendered() -> dict[str, str]:
    """Every generated file of `docs/events/` by name."""
    files = {_file(topic.name): _json(topic_schema(topic)) for topic in TOPICS}
    text = yaml.dump(asyncapi(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
    return files | {"asyncapi.yaml": "# Made by `python -m ops.schemas_doc`; do not edit.\n" + text}


def stale(folder: Path = EVENTS) -> list[str]:
    """Names of generated files in `folder` that are missing, not current, or of a topic that is no more."""
    wanted = rendered()
    present = {path.name for path in (*folder.glob("*.schema.json"), *folder.glob("*.yaml"))}
    wrong = [name for name, text in wanted.items() if name not in present or (folder / name).read_text("utf-8") != text]
    return sorted([*wrong, *(present - wanted.keys())])


def broken(folder: Path = BASELINE) -> list[str]:
    """What the present models break of the promise in `folder`."""
    now = {_file(topic.name): topic_schema(topic) for topic in TOPICS}
    promised = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.schema.json"))}
    missing = [f"{name}: there is no baseline; promise it with --baseline" for name in now.keys() - promised.keys()]
    gone = [f"{name}: the topic was removed" for name in promised.keys() - now.keys()]
    changes = [
        f"{name}: {change}"
        for name in sorted(now.keys() & promised.keys())
        for change in breaking_changes(promised[name], now[name])
    ]
    return sorted(missing) + sorted(gone) + changes


def write(folder: Path, files: dict[str, str]) -> None:
    """Write `files` into `folder` and remove schemas of topics that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.schema.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")


def _file(topic: str) -> str:
    return f"{topic}.schema.json"


def _json(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.schemas_doc", description="The event reference.")
    parser.add_argument("--check", action="store_true", help="fail if files are not current or a promise is broken")
    parser.add_argument("--baseline", action="store_true", help="promise the present shape")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        complaints = [f"{name}: not current; run python -m ops.schemas_doc" for name in stale()] + broken()
        sys.stdout.writelines(f"{line}\n" for line in complaints)
        return 1 if complaints else 0
    write(EVENTS, rendered())
    if chosen.baseline:
        write(BASELINE, {_file(topic.name): _json(topic_schema(topic)) for topic in TOPICS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
