"""The page's own checks, run with the packaged Node: types, lint, and the tests of its pure functions."""

import subprocess

import pytest

from ops.node import WEB, node_env, npm


@pytest.mark.parametrize("script", ["types", "lint", "test"])
@pytest.mark.timeout(300)
def test_the_page_keeps_its_own_rules(script: str) -> None:
    done = subprocess.run(
        npm("run", "--silent", script), cwd=WEB, env=node_env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"`npm run {script}` in web/:\n{done.stdout}\n{done.stderr}"


def test_the_lock_of_the_page_holds_hashes_and_no_address_to_fetch_from() -> None:
    lock = (WEB / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity": "sha512-') > 100
