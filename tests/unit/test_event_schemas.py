"""The event reference is current, true, and breaks no promise; the check that says so catches each kind of breach."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from ops import schemas_doc
from ops.schemas_diff import breaking_changes
from schemas import dead_letter
from schemas.calls import Event
from schemas.topics import BY_NAME, DEAD, TOPICS, Topic

Schema = dict[str, Any]

MESSAGES = [(topic, ce_type, model) for topic in TOPICS for ce_type, model in topic.models]
NAMES = [f"{topic.name}-{model.__name__}" for topic, _, model in MESSAGES]


# Current and unbroken ------------------------------------------------------------------------------------------------


def test_the_generated_files_are_current() -> None:
    assert schemas_doc.stale() == [], "run `python -m ops.schemas_doc`"


def test_no_promise_is_broken() -> None:
    assert schemas_doc.broken() == []


def test_stale_files_are_named(tmp_path: Any) -> None:
    schemas_doc.write(tmp_path, schemas_doc.rendered())
    assert schemas_doc.stale(tmp_path) == []
    (tmp_path / "calls.raw.v1.schema.json").write_text("{}")
    (tmp_path / "calls.ready.v1.schema.json").unlink()
    (tmp_path / "calls.forgotten.v1.schema.json").write_text("{}")
    assert schemas_doc.stale(tmp_path) == [
        "calls.forgotten.v1.schema.json",
        "calls.raw.v1.schema.json",
        "calls.ready.v1.schema.json",
    ]


def test_a_removed_topic_and_a_topic_without_baseline_are_named(tmp_path: Any) -> None:
    schemas_doc.write(tmp_path, {name: text for name, text in schemas_doc.rendered().items() if name.endswith(".json")})
    assert schemas_doc.broken(tmp_path) == []
    (tmp_path / "calls.raw.v1.schema.json").rename(tmp_path / "calls.former.v1.schema.json")
    assert schemas_doc.broken(tmp_path) == [
        "calls.raw.v1.schema.json: there is no baseline; promise it with --baseline",
        "calls.former.v1.schema.json: the topic was removed",
    ]


# True ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_schema_is_a_valid_schema(topic: Topic) -> None:
    schema = schemas_doc.topic_schema(topic)
    assert validator_for(schema) is Draft202012Validator
    Draft202012Validator.check_schema(schema)


def test_there_is_a_sample_of_every_event() -> None:
    assert set(schemas_doc.samples()) == {model for _, _, model in MESSAGES} == set(Event.__subclasses__())


@pytest.mark.parametrize(("topic", "ce_type", "model"), MESSAGES, ids=NAMES)
def test_a_sample_of_every_model_is_valid_under_its_schema(topic: Topic, ce_type: str, model: type[Event]) -> None:
    schema = schemas_doc.topic_schema(topic)
    validator = Draft202012Validator({**schema, "$ref": schema["x-cloudevents-types"][ce_type]})
    value = schemas_doc.samples()[model].model_dump(mode="json")
    validator.validate(value)
    Draft202012Validator(schema).validate(value)
    for required in ("event_id", "external_id", "observed_at"):
        assert not validator.is_valid({key: part for key, part in value.items() if key != required})
    assert not validator.is_valid(value | {"source_app": "Not An App"})
    assert not validator.is_valid(value | {"version": 2})
    validator.validate(value | {"a_field_of_tomorrow": 1})


def test_descriptions_come_from_the_docstrings_of_fields() -> None:
    raw = schemas_doc.topic_schema(BY_NAME["calls.raw.v1"])["$defs"]["RawCall"]
    assert raw["description"].startswith("`calls.raw.v1`")
    assert raw["properties"]["observed_at"]["description"].startswith("When the content was seen")
    assert raw["properties"]["payload"]["description"].startswith("The payload exactly as it came")


# AsyncAPI ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> Schema:
    loaded: Schema = yaml.safe_load((schemas_doc.EVENTS / "asyncapi.yaml").read_text("utf-8"))
    return loaded


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _resolve(document: Schema, reference: str) -> Any:
    file, _, path = reference.partition("#")
    target: Any = json.loads((schemas_doc.EVENTS / file).read_text("utf-8")) if file else document
    for step in path.strip("/").split("/"):
        target = target[step.replace("~1", "/").replace("~0", "~")]
    return target


def _headers_validator(document: Schema, headers: Schema) -> Draft202012Validator:
    return Draft202012Validator({**headers, "components": document["components"]})


def test_asyncapi_has_the_parts_the_standard_asks_for(document: Schema) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert set(document["channels"]) == set(BY_NAME)
    for name, channel in document["channels"].items():
        kafka = channel["bindings"]["kafka"]
        assert channel["address"] == kafka["topic"] == name
        assert kafka["topicConfiguration"]["retention.ms"] == BY_NAME[name].retention_ms
        assert channel["messages"]
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in BY_NAME
    for server in document["servers"].values():
        assert server["protocol"] == "kafka"
        assert set(re.findall(r"{(\w+)}", server["host"])) == set(server["variables"])


def test_every_reference_of_asyncapi_leads_somewhere(document: Schema) -> None:
    references = list(_references(document))
    assert len(references) > 20
    for reference in references:
        assert _resolve(document, reference) is not None, reference


def test_every_message_has_headers_key_payload_and_a_valid_example(document: Schema) -> None:
    messages = document["components"]["messages"]
    used = [m["$ref"] for channel in document["channels"].values() for m in channel["messages"].values()]
    assert sorted(used) == sorted(f"#/components/messages/{name}" for name in messages)
    for name, message in messages.items():
        assert {"name", "title", "summary", "contentType", "headers", "payload", "bindings"} <= message.keys(), name
        for example in message.get("examples", []):
            _headers_validator(document, message["headers"]).validate(example["headers"])
            options = message["payload"].get("anyOf", [message["payload"]])
            file = options[0]["$ref"].partition("#")[0].removeprefix("./")
            root = json.loads((schemas_doc.EVENTS / file).read_text("utf-8"))
            pointer = "#" + options[0]["$ref"].partition("#")[2]
            Draft202012Validator({"$defs": root["$defs"], "$ref": pointer}).validate(example["payload"])


def test_keys_of_events_match_the_key_that_is_promised(document: Schema) -> None:
    for message in document["components"]["messages"].values():
        pattern = message["bindings"]["kafka"]["key"].get("pattern")
        for example in message.get("examples", []):
            event = next(e for e in schemas_doc.samples().values() if type(e).__name__ == message["title"])
            assert re.fullmatch(pattern, event.key.decode())
            assert example["payload"]["external_id"] in event.key.decode()


def test_the_dead_letter_headers_are_all_described(document: Schema) -> None:
    names = {
        value
        for name, value in vars(dead_letter).items()
        if name.isupper() and isinstance(value, str) and value.startswith(dead_letter.PREFIX) and name != "PREFIX"
    }
    described = document["components"]["schemas"]["DeadLetterHeaders"]
    assert set(described["properties"]) == set(described["required"]) == names
    assert document["channels"][DEAD.name]["messages"]


# The check itself ----------------------------------------------------------------------------------------------------

OLD: Schema = {
    "x-cloudevents-types": {"thing.v1": "#/$defs/Thing"},
    "anyOf": [{"$ref": "#/$defs/Thing"}],
    "$defs": {
        "Thing": {
            "type": "object",
            "title": "Thing",
            "required": ["id", "kind", "parts"],
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 10, "pattern": "^a", "format": "uuid"},
                "kind": {"type": "string", "enum": ["x", "y"]},
                "version": {"type": "integer", "const": 1},
                "size": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]},
                "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "maxItems": 5},
                "extra": {"type": "object", "additionalProperties": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {},
            },
        },
        "Part": {"type": "object", "title": "Part", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


def _edited(edit: Callable[[Schema], object]) -> Schema:
    new = copy.deepcopy(OLD)
    edit(new["$defs"])
    return new


def _set(path: str, value: Any) -> Callable[[Schema], object]:
    """An edit that sets (or with None removes) what is at the dotted path under `$defs`."""

    def edit(defs: Schema) -> None:
        *way, last = path.split(".")
        part: Any = defs
        for step in way:
            part = part[int(step)] if isinstance(part, list) else part[step]
        if value is None:
            del part[last]
        else:
            part[last] = value

    return edit


FIELDS = "Thing.properties"
BREACHES = {
    "removed field": (_set(f"{FIELDS}.size", None), "Thing.size: the field was removed"),
    "removed nested field": (_set("Part.properties.name", None), "Thing.parts[].name: the field was removed"),
    "new required field": (
        lambda d: (d["Thing"]["properties"].update(new={"type": "string"}), d["Thing"]["required"].append("new")),
        "Thing.new: a new field must not be required",
    ),
    "optional becomes required": (
        lambda d: d["Thing"]["required"].append("size"),
        "Thing.size: is now required, but old events may lack it",
    ),
    "required becomes optional": (
        lambda d: d["Thing"]["required"].remove("kind"),
        "Thing.kind: is no longer always there, but readers rely on it",
    ),
    "changed type": (_set(f"{FIELDS}.id.type", "integer"), "Thing.id: may no longer be string"),
    "narrowed type": (_set(f"{FIELDS}.size", {"type": "null"}), "Thing.size: may no longer be integer"),
    "widened type": (_set(f"{FIELDS}.id.type", ["string", "null"]), "Thing.id: may now be null"),
    "number instead of integer": (_set(f"{FIELDS}.size.anyOf.0.type", "number"), "Thing.size: may now be number"),
    "anything becomes something": (_set(f"{FIELDS}.free", {"type": "string"}), "Thing.free: must now be string"),
    "something becomes anything": (_set(f"{FIELDS}.id", {}), "Thing.id: may now be anything"),
    "narrowed enum": (_set(f"{FIELDS}.kind.enum", ["x"]), 'Thing.kind: the value "y" was removed'),
    "widened enum": (_set(f"{FIELDS}.kind.enum", ["x", "y", "z"]), 'Thing.kind: the value "z" is new'),
    "new enum": (_set(f"{FIELDS}.id.enum", ["a"]), "Thing.id: only some values are allowed now"),
    "dropped enum": (_set(f"{FIELDS}.kind.enum", None), "Thing.kind: any value is allowed now"),
    "changed constant": (_set(f"{FIELDS}.version.const", 2), "Thing.version: the value 1 was removed"),
    "changed pattern": (_set(f"{FIELDS}.id.pattern", "^ab"), "Thing.id: pattern changed"),
    "new pattern": (_set("Part.properties.name.pattern", "^x"), "Thing.parts[].name: pattern changed"),
    "changed format": (_set(f"{FIELDS}.id.format", "date-time"), "Thing.id: format changed"),
    "shorter": (_set(f"{FIELDS}.id.maxLength", 9), "Thing.id: maxLength was narrowed from 10 to 9"),
    "longer": (_set(f"{FIELDS}.id.maxLength", 11), "Thing.id: maxLength was widened from 10 to 11"),
    "longer at least": (_set(f"{FIELDS}.id.minLength", 2), "Thing.id: minLength was narrowed from 1 to 2"),
    "new limit": (_set("Part.properties.name.maxLength", 3), "name: maxLength was narrowed from None to 3"),
    "no limit": (_set(f"{FIELDS}.id.maxLength", None), "Thing.id: maxLength was widened from 10 to None"),
    "higher minimum": (_set(f"{FIELDS}.size.anyOf.0.minimum", 1), "Thing.size: minimum was narrowed from 0 to 1"),
    "lower maximum": (_set(f"{FIELDS}.size.anyOf.0.maximum", 8), "Thing.size: maximum was narrowed from 9 to 8"),
    "fewer items": (_set(f"{FIELDS}.parts.maxItems", 4), "Thing.parts: maxItems was narrowed from 5 to 4"),
    "other items": (_set(f"{FIELDS}.parts.items", {"type": "string"}), "Thing.parts[]: may no longer be object"),
    "closed object": (_set(f"{FIELDS}.extra.additionalProperties", False), "Thing.extra: other fields are now refused"),
    "other values": (_set(f"{FIELDS}.labels.additionalProperties.type", "integer"), "Thing.labels.*: may no longer be"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breaking_change_is_caught(breach: str) -> None:
    edit, complaint = BREACHES[breach]
    found = breaking_changes(OLD, _edited(edit))
    assert any(complaint in line for line in found), found


def test_an_opened_object_is_caught() -> None:
    closed = _edited(_set(f"{FIELDS}.extra.additionalProperties", False))
    assert any("other fields are now allowed" in line for line in breaking_changes(closed, OLD))


def test_a_removed_event_type_is_caught() -> None:
    assert breaking_changes(OLD, OLD | {"x-cloudevents-types": {}}) == ["thing.v1: the event type was removed"]


SAFE: dict[str, Callable[[Schema], object]] = {
    "nothing": lambda _: None,
    "a new optional field": _set(f"{FIELDS}.new", {"type": "string"}),
    "a description": _set(f"{FIELDS}.id.description", "other words"),
    "a default": _set(f"{FIELDS}.id.default", "a"),
    "a definition nobody uses": _set("Unused", {"type": "string"}),
    "the same type in other words": _set(f"{FIELDS}.size", {"type": ["null", "integer"], "minimum": 0, "maximum": 9}),
    "a reference in place of the thing": _set(
        f"{FIELDS}.parts.items",
        {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    ),
}


@pytest.mark.parametrize("change", SAFE)
def test_a_compatible_change_passes(change: str) -> None:
    assert breaking_changes(OLD, _edited(SAFE[change])) == []


def test_a_new_event_type_on_a_topic_passes() -> None:
    new = OLD | {"x-cloudevents-types": {"thing.v1": "#/$defs/Thing", "part.v1": "#/$defs/Part"}}
    assert breaking_changes(OLD, new) == []


def test_schemas_without_event_types_are_compared_as_a_whole() -> None:
    assert breaking_changes({"type": "string"}, {"type": "integer"}) == [
        "$: may no longer be string",
        "$: may now be integer, which readers do not expect",
    ]
    assert breaking_changes({}, {}) == []


def test_a_schema_that_contains_itself_is_compared_to_its_end() -> None:
    tree: Schema = {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }
    other = copy.deepcopy(tree)
    other["$defs"]["Node"]["properties"]["name"] = {"type": "string"}
    assert breaking_changes(tree, other) == []
    assert breaking_changes(other, tree) == ["$.name: the field was removed"]


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_writes_checks_and_promises(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas_doc, "EVENTS", tmp_path)
    monkeypatch.setattr(schemas_doc, "BASELINE", tmp_path / "baseline")
    monkeypatch.setattr(schemas_doc.stale, "__defaults__", (tmp_path,))
    monkeypatch.setattr(schemas_doc.broken, "__defaults__", (tmp_path / "baseline",))
    assert schemas_doc.main(["--check"]) == 1
    assert "calls.raw.v1.schema.json: not current" in capsys.readouterr().out
    assert schemas_doc.main(["--baseline"]) == 0
    assert schemas_doc.main(["--check"]) == 0
    assert capsys.readouterr().out == ""
