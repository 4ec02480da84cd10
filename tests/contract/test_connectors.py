"""One suite over the registry: every connector maps its samples as written down, and survives hostile payloads."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Connector
from connectors.payloads import parse_object
from connectors.registry import CONNECTORS, to_call
from schemas.calls import NormalizedCall
from schemas.faults import InvalidCall
from tests.contract.expect import mapped

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(path for path in SAMPLES.glob("*/*.json") if not path.name.endswith(".expected.json"))
WHOLE = {"upload": "zoom", "generic": "full", "fathom": "meeting"}
"""The sample in which every field that counts is filled, where that is not the longest one."""


def names(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def sample(source_app: str) -> dict[str, Any]:
    longest = max((path for path in FILES if path.parent.name == source_app), key=lambda path: path.stat().st_size)
    return parse_object((SAMPLES / source_app / f"{WHOLE.get(source_app, longest.stem)}.json").read_text())


@pytest.mark.parametrize("path", FILES, ids=names)
def test_a_sample_maps_as_written_down(path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    content, fingerprint = mapped(path.parent.name, path.read_text())
    assert content.model_dump(mode="json", exclude_none=True) == expected["call"]
    assert CONNECTORS[path.parent.name].external_id_of(parse_object(path.read_text())) == expected["external_id"]
    assert fingerprint == expected["fingerprint"], "a new fingerprint makes an update of every call that is replayed"


@pytest.mark.parametrize("connector", CONNECTORS.values(), ids=lambda connector: connector.source_app)
def test_a_connector_is_whole(connector: Connector) -> None:
    assert CONNECTORS[connector.source_app] is connector
    assert any(path.parent.name == connector.source_app for path in FILES), "no samples"
    assert connector.volatile <= set(NormalizedCall.model_fields)
    assert connector.display_name.strip()


def test_every_sample_has_a_connector() -> None:
    assert {path.parent.name for path in FILES} == set(CONNECTORS)


@pytest.mark.parametrize("source_app", CONNECTORS)
def test_mapping_is_stable_and_pure(source_app: str) -> None:
    payload = sample(source_app)
    before = json.dumps(payload)
    first, second = CONNECTORS[source_app].to_call(payload), CONNECTORS[source_app].to_call(payload)
    assert first == second
    assert json.dumps(payload) == before
    assert "external_id" not in first.source_metadata


HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    10**400,
    -(10**400),
    "",
    " ",
    "\x00",
    "\ud800",
    "a" * 100_000,
    "'; DROP TABLE x;--",
    [],
    [None],
    [[]],
    ["a"],
    [{}],
    [{"text": None}],
    {},
    {"a": {}},
    {"\x00": "\ud800"},
    "2025-11-03",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "https://[",
    "file:///etc/passwd",
    [{"start_ms": -1}],
    [{"start_ms": 10**30}],
    [1] * 1000,
]


@pytest.mark.parametrize("source_app", CONNECTORS)
def test_hostile_values_in_every_field_end_as_calls_or_invalid_calls(source_app: str) -> None:
    payload = sample(source_app)
    for target in paths(payload):
        for value in HOSTILE:
            outcome(source_app, json.dumps(put(payload, target, value)))


@pytest.mark.parametrize("source_app", CONNECTORS)
def test_a_missing_field_ends_as_call_or_invalid_call(source_app: str) -> None:
    payload = sample(source_app)
    for name in payload:
        outcome(source_app, json.dumps({key: value for key, value in payload.items() if key != name}))


@pytest.mark.parametrize("source_app", CONNECTORS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "payload_not_json"),
        ("\x00", "payload_not_json"),
        ("{", "payload_not_json"),
        ('{"a": NaN}', "payload_not_json"),
        ('{"a": -Infinity}', "payload_not_json"),
        ('{"a": 1e999}', "payload_not_json"),
        ('{"a": ' + "9" * 5000 + "}", "payload_not_json"),
        ("null", "payload_not_object"),
        ("[]", "payload_not_object"),
        ('"\\ud800"', "payload_not_object"),
        ("[" * 100_000 + "]" * 100_000, "payload_too_deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "payload_too_deep"),
    ],
)
def test_a_payload_that_is_no_object_is_refused(source_app: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        to_call(source_app, text)
    assert caught.value.reason == reason


def outcome(source_app: str, payload: str) -> None:
    """Map it; the result must survive every hop: JSON out, JSON in, UTF-8, no NUL."""
    try:
        content, _ = to_call(source_app, payload)
    except InvalidCall as refusal:
        check_refusal(refusal)
        return
    wire = content.model_dump_json()
    assert NormalizedCall.model_validate_json(wire) == content
    assert not any("\x00" in text for text in texts(content.model_dump(mode="json")))
    assert len(CONNECTORS[source_app].external_id_of(parse_object(payload)).encode()) > 0


def check_refusal(refusal: InvalidCall) -> None:
    """A reason fit for a label, and a whole sentence that can be sent and stored."""
    assert refusal.reason.replace("_", "").isalpha()
    assert refusal.sentence.endswith(".")
    assert "\x00" not in refusal.sentence
    (refusal.sentence + refusal.field + refusal.detail).encode()


def texts(value: Any) -> list[str]:
    """Every text in a JSON value, names included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def paths(value: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a payload."""
    found: list[tuple[str | int, ...]] = [prefix] if prefix else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        found += paths(child, (*prefix, name))
    return found


def put(payload: Any, target: tuple[str | int, ...], value: Any) -> Any:
    """A copy of the payload with another value in one place."""
    if not target:
        return value
    copy: Any = dict(payload) if isinstance(payload, dict) else list(payload)
    copy[target[0]] = put(copy[target[0]], target[1:], value)
    return copy
