"""People, workspaces and the scopes of keys from the command line, on real servers."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ops import cli
from schemas.faults import ConfigFault
from streams.io.secrets import generate_key
from tests.conftest import Broker, Database

pytestmark = [pytest.mark.broker, pytest.mark.database]


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broker: Broker, database: Database) -> None:
    """The commands find these servers."""
    for name in list(os.environ):
        if name.startswith("CALLSTREAM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLSTREAM_KAFKA", broker.bootstrap)
    monkeypatch.setenv("CALLSTREAM_DATABASE_URL", database.app_url)
    monkeypatch.setenv("CALLSTREAM_SECRET_KEYS", generate_key())


def run(*arguments: str) -> str:
    """What a command prints. Raises what it ended in."""
    result: Result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def people(*arguments: str) -> dict[str, str]:
    """Names and roles."""
    return {each["name"]: each["role"] for each in json.loads(run("members", "list", "--json", *arguments))["items"]}


def test_people_come_change_and_go() -> None:
    link = run("members", "add", "--name", "Mila", "--email", "mila@acme.example", "--role", "support")
    assert "/sign-in?token=" in link
    assert len(link.split()) == 1, "alone, for a script"
    assert people() == {"Mila": "support", "Owner": "owner"}
    assert "mila@acme.example" in run("members", "list")
    assert run("members", "role", "MILA@acme.example", "owner") == "Mila is owner now."
    assert run("members", "link", "Mila") != link
    assert "was taken out" in run("members", "remove", "Mila")
    assert people() == {"Owner": "owner"}
    with pytest.raises(ConfigFault, match="no one person Mila"):
        run("members", "remove", "Mila")
    with pytest.raises(Exception, match="only owner"):
        run("members", "remove", "Owner")


def test_a_second_workspace_has_people_of_its_own() -> None:
    assert "/sign-in?token=" in run("workspaces", "create", "Acme", "--owner", "Cleo")
    assert people("--workspace", "Acme") == {"Cleo": "owner"}
    assert people() == {"Owner": "owner"}
    run("members", "add", "--name", "Dan", "--workspace", "Acme")
    assert people("--workspace", "Acme") == {"Cleo": "owner", "Dan": "member"}
    names = [each["name"] for each in json.loads(run("workspaces", "list", "--json"))["items"]]
    assert names == ["Home", "Acme"]
    assert "home" in run("workspaces", "list")
    with pytest.raises(ConfigFault, match="Choose another name"):
        run("workspaces", "create", "Acme")
    with pytest.raises(ConfigFault, match="no workspace Nowhere"):
        run("members", "list", "--workspace", "Nowhere")


def test_a_key_is_made_for_what_it_is_needed_for() -> None:
    assert run("keys", "create", "--name", "all").startswith("csk_")
    assert run("keys", "create", "--name", "looking", "--scope", "read").startswith("csk_")
    scopes = {each["name"]: each["scopes"] for each in json.loads(run("keys", "list", "--json"))["items"]}
    assert scopes == {"all": ["read", "write", "admin"], "looking": ["read"]}
    with pytest.raises(Exception, match="scopes read, write, admin"):
        run("keys", "create", "--name", "odd", "--scope", "everything")
