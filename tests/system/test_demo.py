"""`make demo` as a newcomer meets it: sources connected and filled, calls arriving, one failing and recovering."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.demo import ACCOUNTS, FAILING, MARK, empty
from schemas.faults import ConfigFault
from tests.fakes.vendors.core import modules
from tests.system.test_cli_up import Instance, running, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
EACH, LIMITED = 20, {"ringcentral": 2, "five9": 5}
"""Calls that every source must have brought; the limits of some let only a few through in a minute."""


class Demo(Instance):
    """A folder with a demo in it."""

    def up(self) -> None:
        """Start, and return once the sources are connected."""
        self.env["CALLSTREAM_DATA_DIR"] = str(self.data_dir)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops.demo", "--fails-after", "15", "--fails-for", "20"],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        until(lambda: self.said("Connected ") or self.ended(), "the sources", 150)
        assert not self.ended(), self.output()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of its database."""
        with psycopg.connect(self.instance()["database_owner_url"]) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload,no-any-return]

    def error(self) -> str | None:
        """What the failing source says."""
        return self.ask(f"SELECT error_message FROM import_sources WHERE source_app = '{FAILING}'")[0][0]

    def counts(self) -> dict[str, int]:
        """Stored calls by source."""
        return dict(self.ask("SELECT source_app, count(*) FROM recordings GROUP BY 1"))


@pytest.fixture
def demo() -> Iterator[Demo]:
    """An empty folder, not pytest's, which PostgreSQL's user could not enter."""
    with tempfile.TemporaryDirectory(prefix="callstream-tests-", ignore_cleanup_errors=True) as folder:
        made = Demo(Path(folder))
        try:
            yield made
        finally:
            made.end()


def test_a_newcomer_sees_sources_filled_calls_arriving_and_one_failing_and_recovering(demo: Demo) -> None:
    demo.up()
    wanted = set(ACCOUNTS) & set(modules())
    assert demo.said("Sign in")
    assert {row[0] for row in demo.ask("SELECT source_app FROM import_sources")} == wanted
    sentence = until(demo.error, "the failing source's sentence", 90)
    assert sentence.endswith(".")
    until(lambda: demo.error() is None, "its recovery", 90)
    least = {name: LIMITED.get(name, EACH) for name in wanted}
    until(lambda: all(demo.counts().get(name, 0) >= count for name, count in least.items()), f"{least}", 120)
    posted = "SELECT count(*) FROM webhook_deliveries"
    until(lambda: demo.ask(posted)[0][0] > 0, "a webhook", 60)
    live = "SELECT external_id FROM recordings WHERE recording_start_time > now() - interval '50 minutes'"
    before = len(demo.ask(live))
    until(lambda: len(demo.ask(live)) > before, "one more call", 60)
    assert running(demo.interrupt()) == []
    assert "Traceback" not in demo.output()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear Ada")
    with pytest.raises(ConfigFault, match="holds something else"):
        empty(tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "dear Ada"


def test_the_last_demo_is_forgotten(tmp_path: Path) -> None:
    empty(tmp_path)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "data").write_text("old")
    empty(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {MARK, "lock"}
