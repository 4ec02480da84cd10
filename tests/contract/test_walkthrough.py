"""docs/adding-a-connector.md is true: it is followed word for word in a copy, and the contract suite runs there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-connector.md"
BLOCK = re.compile(r"^<!-- (file|edit|run|extra|shown): (.*?) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COPIED = ("schemas", "connectors", "streams", "api", "ops", "tests", "docs")
FILES = ("pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md")
MOST_LINES = 100


def blocks(*kinds: str) -> list[tuple[str, str, str]]:
    """The page's blocks of these kinds: kind, where, and text."""
    return [found for found in BLOCK.findall(PAGE.read_text("utf-8")) if found[0] in kinds]


def added(text: str) -> list[str]:
    """The lines that an edit adds."""
    return [line[1:] for line in text.splitlines() if line.startswith("+")]


def edited(before: str, edit: str) -> str:
    """A text after an edit written as pieces of a diff, with a line `…` between them."""
    for piece in edit.split("…\n"):
        lines = piece.splitlines()
        old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        assert before.count(old) == 1, f"the page shows {old!r}, which is not so any more"
        before = before.replace(old, "".join(f"{line[1:]}\n" for line in lines))
    return before


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the connector of the page."""
    folder = tmp_path_factory.mktemp("walkthrough") / "callstream"
    folder.mkdir()
    for name in COPIED:
        unwanted = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    write(folder, "file", "edit")
    for _, command, _ in blocks("run"):
        run(folder, *command.split())
    return folder


def write(folder: Path, *kinds: str) -> None:
    """Write the page's blocks of these kinds into the copy."""
    for kind, where, text in blocks(*kinds):
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edited(path.read_text("utf-8"), text) if kind == "edit" else text, "utf-8")


def run(folder: Path, *command: str) -> str:
    """Run one of our modules in the copy."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_it_takes_less_than_a_hundred_lines() -> None:
    written = [line for kind, _, text in blocks("file") for line in text.splitlines()]
    written += [line for _, _, text in blocks("edit") for line in added(text)]
    assert 0 < len(written) < MOST_LINES, len(written)


def test_it_is_one_file_one_folder_and_one_entry() -> None:
    files = [Path(where) for _, where, _ in blocks("file")]
    assert [path.parent.name for path in files if path.suffix == ".py"] == ["connectors"]
    assert {path.parent for path in files if path.suffix == ".json"} == {Path("tests/samples/parley")}
    assert [where for _, where, _ in blocks("edit")] == ["connectors/registry.py"]


@pytest.mark.timeout(300)
def test_the_contract_suite_passes_over_it_without_and_with_a_stand_in(copy: Path) -> None:
    suite = ("-m", "pytest", "tests/contract", "-q", "-p", "no:cacheprovider", "-k", "parley", "-rs")
    without = run(copy, *suite)
    assert "what parley pulls is not tested" in without
    write(copy, "extra")
    whole = run(copy, *suite)
    assert "is not tested" not in whole
    assert passed(whole) > passed(without) + 25


def passed(said: str) -> int:
    """How many tests pytest says have passed."""
    found = re.search(r"(\d+) passed", said)
    assert found, said
    return int(found[1])


@pytest.mark.timeout(120)
def test_it_keeps_the_house_rules(copy: Path) -> None:
    write(copy, "extra")
    names = ("connectors/parley.py", "connectors/registry.py", "tests/fakes/vendors/parley.py")
    run(copy, "-m", "ruff", "check", *names)
    run(copy, "-m", "ruff", "format", "--check", *names)
    run(copy, "-c", HOUSE)


HOUSE = """
from tests.house.checks import CHECKS
from tests.house.source import sources
for source in sources():
    if "parley" in source.path:
        assert not [breach for check in CHECKS.values() for breach in check(source)]
        break
else:
    raise SystemExit("no such source")
"""


def test_the_call_the_page_shows_is_what_the_sample_becomes(copy: Path) -> None:
    written = json.loads((copy / "tests/samples/parley/call.expected.json").read_text("utf-8"))
    ((_, _, shown),) = blocks("shown")
    assert json.loads(shown) == {name: value for name, value in written.items() if name != "fingerprint"}
