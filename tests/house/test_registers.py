"""What must stand in a list stands in it: connectors, topics, metrics, named queries, secrets, lock files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.registry import CONNECTORS
from ops.topics import wanted_topics
from schemas import metrics, topics
from schemas.settings import Settings
from streams.io import queries
from tests.house.source import ROOT, Source, dotted, imports, sources

SKIPPED_FOLDERS = {
    ".git", ".venv", "node_modules", "__pycache__", "build", "dist", ".callstream", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".hypothesis",
}  # fmt: skip
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".sql", ".sh", ".cfg", ".ini", ".lock", ".ts", ".tsx", ".css",
        ".html", ".txt", "", ".example"}  # fmt: skip


# Connectors ----------------------------------------------------------------------------------------------------------


def named_sources(file: Source) -> set[str]:
    """The sources for which a file builds a `Connector`."""
    found: set[str] = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "Connector":
            given = [keyword.value for keyword in node.keywords if keyword.arg == "source_app"] or node.args[:1]
            found |= {ast.literal_eval(value) for value in given if isinstance(value, ast.Constant)}
    return found


def unregistered(files: list[Source], registered: set[str], others: list[Source] | None = None) -> list[str]:
    """Connector files whose `Connector` is not in the registry, and files that neither are one nor help one, nor are
    what the others reach one by."""
    helpers = {name for file in [*files, *(others or [])] for name, _ in imports(file)}
    wrong: list[str] = []
    for file in files:
        names = named_sources(file)
        if names - registered:
            wrong.append(f"{file.path} is not in the registry")
        helps = any(name == file.module or name.startswith(f"{file.module}.") for name in helpers)
        if not names and not helps and not file.path.endswith(("__init__.py", "registry.py")):
            wrong.append(f"{file.path} is neither a connector nor used by one")
    return wrong


def test_every_connector_is_registered() -> None:
    files = [file for file in sources() if file.path.startswith("connectors/")]
    others = [file for file in sources() if file.path.startswith("streams/")]
    assert unregistered(files, set(CONNECTORS), others) == []
    assert all(name == connector.source_app for name, connector in CONNECTORS.items())


def test_a_forgotten_connector_is_seen() -> None:
    def made_up(name: str, text: str) -> Source:
        return Source(f"connectors/{name}.py", text, ast.parse(text))

    gong = made_up("gong", "from connectors.fields import x\nGONG = Connector('gong', to_call=f)")
    zoom = made_up("zoom", "ZOOM = Connector(source_app='zoom')")
    fields, lost = made_up("fields", "x = 1"), made_up("lost", "x = 1")
    assert unregistered([gong, fields], {"gong"}) == []
    assert unregistered([gong, zoom, fields, lost], {"gong"}) == [
        "connectors/zoom.py is not in the registry",
        "connectors/lost.py is neither a connector nor used by one",
    ]


# Topics, metrics, queries, secrets -----------------------------------------------------------------------------------


def test_every_topic_is_in_the_table_and_is_created() -> None:
    made = [value for value in vars(topics).values() if isinstance(value, topics.Topic)]
    assert sorted(made, key=lambda t: t.name) == sorted(topics.TOPICS, key=lambda t: t.name)
    created = {wanted.name: wanted for wanted in wanted_topics(Settings(_env_file=None))}
    assert set(topics.BY_NAME) < set(created)
    assert len({wanted.partitions for wanted in created.values()}) == 1


def test_every_metric_has_a_comment_that_says_what_it_counts() -> None:
    lines = (ROOT / "schemas" / "metrics.py").read_text("utf-8").splitlines()
    made = [number for number, line in enumerate(lines) if re.match(r"[A-Z_]+ = ", line)]
    assert len(made) == len([name for name in vars(metrics) if name.isupper()])
    for number in made:
        before = next(line for line in reversed(lines[:number]) if not re.match(r"[A-Z_]+ = ", line))
        assert before.startswith("# "), lines[number]


def test_every_query_has_a_name_and_a_sentence_and_is_used() -> None:
    used = {node.value for file in sources() for node in ast.walk(file.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    found = {file.stem: queries.load(file.stem) for file in (queries.SQL / "queries").glob("*.sql")}
    assert [noun for noun in found if noun not in used] == [], "nobody loads these files"
    named = [(noun, name, body) for noun, bodies in sorted(found.items()) for name, body in bodies.items()]
    assert [f"{noun}: {name}" for noun, name, _ in named if name not in used] == [], "nobody runs these queries"
    bare = [f"{noun}: {name}" for noun, name, body in named if not re.match(r"-- [A-Z].*\S", body)]
    assert bare == [], "these queries have no sentence"


SECRET = re.compile(r"key|secret|password|token|database.*url")


def test_no_setting_shows_a_secret() -> None:
    open_secrets = [
        name
        for name, field in Settings.model_fields.items()
        if SECRET.search(name) and SecretStr not in getattr(field.annotation, "__args__", (field.annotation,))
    ]
    assert open_secrets == []


# Files ---------------------------------------------------------------------------------------------------------------


def _files(root: Path = ROOT) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name not in SKIPPED_FOLDERS and not path.is_symlink():
            yield from _files(path)
        elif path.is_file() and path.suffix in TEXT and path.name != ".env":
            yield path


def addresses(lock: str) -> list[str]:
    """Lines of a lock file that tie it to a place: a registry's address, a link, a path."""
    tied = re.compile(r"(?i)https?:|file:|^\s*(--(extra-)?index-url|--find-links|-i |-f |-e )|@ [/.]")
    return [line for line in lock.splitlines() if tied.search(line)]


def test_lock_files_hold_no_address() -> None:
    locks = [path for path in _files() if path.suffix == ".lock" or path.name == "package-lock.json"]
    assert {"requirements.lock", "requirements-dev.lock"} <= {path.name for path in locks}
    for lock in locks:
        if lock.name != "package-lock.json":
            assert addresses(lock.read_text("utf-8")) == [], lock.name
        else:
            assert '"resolved": "http' not in lock.read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://mirror.example/simple",
        "  --extra-index-url mirror",
        "--find-links wheels",
        "thing @ https://example.com/thing.whl",
        "thing @ file:///tmp/thing.whl",
        "thing @ ./thing",
        "-e .",
    ],
)
def test_an_address_in_a_lock_file_is_seen(line: str) -> None:
    assert addresses(f"aiokafka==0.14.0 \\\n    --hash=sha256:00\n{line}\n    # via callstream") == [line]


def test_every_locked_package_has_a_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / name).read_text("utf-8"))
        bare = [entry.splitlines()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
        assert bare == []


HOME = re.compile(r"(?<![\w.$}/])/(?:home|Users)/(?!app\b|callstream\b)[a-z][\w.-]*/|(?<![\w.$}/])/[r]oot/\S")


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if HOME.search(line) and path != Path(__file__)
    ]
    assert found == []


def test_a_path_of_somebodys_machine_is_seen() -> None:
    assert HOME.search("see /home/ada/callstream/notes.md")
    assert HOME.search('open("/Users/ada/x")')
    assert HOME.search("cd /" + "root/work")
    assert not HOME.search("GET /api/home/page and https://example.com/home/ada/")
    assert not HOME.search("WORKDIR /home/app/")
