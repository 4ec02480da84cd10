"""Writes down what samples map to, for a person to read before it counts.

    python -m tests.contract.expect tests/samples/parley/*.json

What is written is what the connector does, right or wrong: compare it with the vendor's pages, line by line.
"""

import json
import sys
from pathlib import Path

from connectors.payloads import parse_object
from connectors.registry import CONNECTORS, to_call
from schemas.calls import Media, NormalizedCall
from schemas.faults import InvalidCall

BESIDE = Media(ref="fetched/recording.wav", filename="recording.wav", sha256="0" * 64)
"""Stands for the recording that came beside a payload which holds nothing to read."""


def main(argv: list[str]) -> int:
    """The command of the module's docstring."""
    for path in map(Path, argv):
        if not path.name.endswith(".expected.json"):
            path.with_suffix(".expected.json").write_text(expected(path), "utf-8")
    return 0


def mapped(source_app: str, text: str) -> tuple[NormalizedCall, str]:
    """The call in a sample and its fingerprint, with a recording where there is nothing to read."""
    try:
        return to_call(source_app, text)
    except InvalidCall as refusal:
        if refusal.reason != "nothing_to_read":
            raise
        return to_call(source_app, text, BESIDE)


def expected(path: Path) -> str:
    """The id, the fingerprint and the call of a sample, as the contract suite compares them."""
    text = path.read_text("utf-8")
    content, fingerprint = mapped(path.parent.name, text)
    found = {
        "external_id": CONNECTORS[path.parent.name].external_id_of(parse_object(text)),
        "fingerprint": fingerprint,
        "call": content.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
