"""The migrations as SQL: their names, what they say of themselves, and that they apply to an empty database."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from ops.migrate import FOLDER
from streams.io import queries
from tests.servers import shared_servers

pytestmark = pytest.mark.database
FILES = sorted(FOLDER.iterdir())
NAME = re.compile(r"\d{4}_(pre|post)_[a-z0-9]+(_[a-z0-9]+)*\.sql")


@pytest.fixture
def empty_database() -> Iterator[str]:
    """The owner's address of a database without a table."""
    servers = shared_servers()
    name = "empty_" + uuid4().hex[:8]
    with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" OWNER callstream_owner')
    try:
        yield servers["owner_url"].rsplit("/", 1)[0] + "/" + name
    finally:
        with psycopg.connect(servers["admin_url"], autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def migrated(empty_database: str) -> Iterator[psycopg.Connection]:
    """The owner's connection to a database to which every migration was applied, each in a transaction of its own."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for file in FILES:
            with connection.transaction():
                connection.execute(file.read_bytes())
        yield connection


def test_names_say_the_order_and_when_to_apply() -> None:
    """pre: before the new version runs; post: when the old one is gone."""
    assert FILES
    assert [file.name for file in FILES if not NAME.fullmatch(file.name)] == []
    numbers = [int(file.name[:4]) for file in FILES]
    assert numbers == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_begins_with_a_sentence(file: Path) -> None:
    first, *_ = file.read_text(encoding="utf-8").split("\n\n")
    lines = first.splitlines()
    assert all(line.startswith("--") for line in lines), "a comment comes first, then an empty line"
    assert lines[0][3].isupper()
    assert lines[-1].endswith(".")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_none_breaks_the_version_that_still_runs(file: Path) -> None:
    """What takes something away comes in a `post` migration. The first one has nothing before it."""
    code = re.sub(r"--.*", "", file.read_text(encoding="utf-8"))
    takes_away = re.search(r"\b(DROP\s+(TABLE|COLUMN|FUNCTION|TYPE|VIEW)|RENAME\s+(TO|COLUMN))\b", code, re.IGNORECASE)
    assert takes_away is None or "_post_" in file.name


def test_they_apply_to_an_empty_database(migrated: psycopg.Connection) -> None:
    found = migrated.execute(
        "SELECT c.relkind, count(*) FROM pg_class c WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'v') GROUP BY relkind"
    ).fetchall()
    assert dict(found).keys() == {"r"}
    tables = {row[0] for row in migrated.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {"workspaces", "recordings", "imported_calls", "failed_imports", "import_jobs", "job_calls"} <= tables


def test_every_query_of_the_product_is_understood_by_the_schema(migrated: psycopg.Connection) -> None:
    """A query that names a column or a table that is not there would be found only when it is first used."""
    wrong = {}
    for file in sorted((queries.SQL / "queries").glob("*.sql")):
        for name, sql in queries.load(file.stem).items():
            try:
                with migrated.transaction():
                    # Without parameters libpq sends the text as it is, so that $1 reaches the server's parser.
                    migrated.execute(f"PREPARE probe AS {sql}")
                    migrated.execute("DEALLOCATE probe")
            except psycopg.Error as error:
                wrong[f"{file.stem}: {name}"] = str(error)
    assert wrong == {}


def test_what_belongs_to_a_workspace_goes_with_it(migrated: psycopg.Connection) -> None:
    """A table whose rows would keep a workspace from being deleted."""
    rows = migrated.execute(
        "SELECT conrelid::regclass::text, confdeltype FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid = 'workspaces'::regclass"
    ).fetchall()
    assert rows
    assert {row[0] for row in rows if row[1] != "c"} == set()


def test_a_second_database_of_the_same_server_can_be_migrated(migrated: psycopg.Connection) -> None:
    """The role is the server's: it is there already the second time."""
    assert migrated.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'callstream_app'").fetchone() == (1,)
    role = migrated.execute(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname = 'callstream_app'"
    ).fetchone()
    assert role == (False,) * 5
