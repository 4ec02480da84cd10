"""docs/consumers.md is true, and what it promises of `imports.completed.v1` cannot be broken unnoticed."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops import schemas_doc
from ops.schemas_diff import breaking_changes
from schemas.calls import ImportCompleted
from schemas.topics import COMPLETED, DAY_MS
from tests.consumers import EXAMPLES, ROOT

PAGE = ROOT / "docs" / "consumers.md"
SHOWN = re.compile(r"<!-- (examples/\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
((CE_TYPE, _),) = COMPLETED.models


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def test_the_page_shows_the_programs_that_are_tested_word_for_word(page: str) -> None:
    shown = dict(SHOWN.findall(page))
    assert shown == {
        path: (PAGE.parent / path).read_text("utf-8")
        for path in ("examples/python/consumer.py", "examples/node/consumer.js")
    }


def test_the_programs_and_the_page_name_the_topic_and_its_type(page: str) -> None:
    for text in (page, *(path.read_text("utf-8") for path in EXAMPLES.glob("*/consumer.*"))):
        assert COMPLETED.name in text
        assert CE_TYPE in text


def test_the_retention_the_page_names_is_the_topics(page: str) -> None:
    assert "**Thirty days are kept.**" in page
    assert COMPLETED.retention_ms == 30 * DAY_MS


@pytest.mark.parametrize("document", [PAGE, ROOT / "docs" / "events" / "README.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(#[^)]*)?\)", document.read_text("utf-8")):
        found = (document.parent / target) if target else document
        assert found.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_lock_of_the_node_example_fits_its_package_file() -> None:
    package = json.loads((EXAMPLES / "node" / "package.json").read_text())
    root = json.loads((EXAMPLES / "node" / "package-lock.json").read_text())["packages"][""]
    assert {name: root[name] for name in ("name", "version", "dependencies", "engines")} == {
        name: package[name] for name in ("name", "version", "dependencies", "engines")
    }


# The contract --------------------------------------------------------------------------------------------------------

FIELDS = sorted(ImportCompleted.model_fields)
Model = dict[str, Any]


def edited(edit: Any) -> list[str]:
    """What the check says of the contract after an edit of the model's schema."""
    old = schemas_doc.topic_schema(COMPLETED)
    new = copy.deepcopy(old)
    edit(new["$defs"]["ImportCompleted"])
    return breaking_changes(old, new)


@pytest.mark.parametrize("field", FIELDS)
def test_a_completed_event_cannot_lose_a_field(field: str) -> None:
    def remove(model: Model) -> None:
        del model["properties"][field]
        model["required"] = [name for name in model["required"] if name != field]

    assert f"ImportCompleted.{field}: the field was removed" in edited(remove)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_completed_event_cannot_change_its_type(field: str) -> None:
    changed = edited(lambda model: model["properties"].update({field: {"type": "boolean"}}))
    assert any(line.startswith(f"ImportCompleted.{field}:") for line in changed)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_completed_event_cannot_become_or_stop_being_required(field: str) -> None:
    def turn(model: Model) -> None:
        model["required"] = sorted(set(model["required"]) ^ {field})

    assert len(edited(turn)) == 1


def test_a_new_field_of_a_completed_event_must_be_optional() -> None:
    def add(model: Model) -> None:
        model["properties"]["mood"] = {"type": "string"}

    def require(model: Model) -> None:
        add(model)
        model["required"] = [*model["required"], "mood"]

    assert edited(add) == []
    assert edited(require) == ["ImportCompleted.mood: a new field must not be required"]


def test_an_outcome_that_readers_do_not_know_cannot_be_added() -> None:
    assert edited(lambda model: model["properties"]["outcome"]["enum"].append("erased")) == [
        'ImportCompleted.outcome: the value "erased" is new, which readers do not expect'
    ]
