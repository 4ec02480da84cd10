"""The command line without servers: what is said, and with which exit code."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from api.problems import Problem
from ops import cli, doctor, show, topics, up
from ops.local import DataDirBusy
from ops.supervise import WORKERS
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import INSTANCE_FILE, Settings
from schemas.topics import CLAIMS_CHANGELOG, TOPICS
from streams.io.secrets import open_secrets

runner = CliRunner()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings from outside, and an empty folder to be in."""
    for name in list(os.environ):
        if name.startswith(("CALLSTREAM_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def callstream(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(cli.__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": path, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["jobs"], ["failed"], ["failed", "list", "--json"], ["keys", "list"], ["keys", "create", "--name", "x"],
        ["webhooks", "create", "--platform", "generic"], ["tail"], ["worker", "dedup"], ["migrate"], ["topics"],
        ["keys", "rotate-secrets"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_with_nothing_running_every_command_says_what_to_do(command: list[str]) -> None:
    done = callstream(*command)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("callstream: ")
    assert "CALLSTREAM_" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["nothing"], ["worker", "nothing"], ["import"], ["import", "missing.vtt"], ["failed", "retry"],
        ["failed", "retry", "no-id"], ["failed", "list", "--status", "odd"], ["failed", "discard"],
        ["jobs", "--limit", "0"], ["keys", "create"], ["failed", "retry", "--all", "--rate", "0"],
        ["failed", "retry", "01a1fc4e-5dd7-77d3-9c31-56389098e9b5", "--all"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(command: list[str]) -> None:
    result = runner.invoke(cli.app, command)
    assert result.exit_code == 2


def test_a_setting_that_cannot_be_read_is_named() -> None:
    done = callstream("jobs", CALLSTREAM_PORT="eighty")
    assert done.returncode == 2
    assert "CALLSTREAM_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_generated_secret_can_be_used_as_it_is() -> None:
    done = callstream("keys", "generate-secret")
    assert open_secrets(Settings(secret_keys=SecretStr(done.stdout.strip()))).newest


@pytest.mark.parametrize(
    "error",
    [ConfigFault("r", "Set it."), OutageFault("r", "Set it."), Problem(404, "r", "Set it."), DataDirBusy("Set it.")],
)
def test_expected_faults_are_a_sentence(error: Exception) -> None:
    assert cli.sentence_of(error) == "Set it."


def test_a_bug_keeps_its_trace() -> None:
    assert cli.sentence_of(KeyError("x")) is None


# up ----------------------------------------------------------------------------------------------------------------


def test_the_embedded_database_gets_a_key_that_only_we_can_read_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = up.secret_keys(settings)
    assert up.secret_keys(settings) == first
    path = tmp_path / up.KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_secrets(Settings(secret_keys=first)).newest


def test_a_database_of_ones_own_needs_keys_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="CALLSTREAM_SECRET_KEYS must be set"):
        up.secret_keys(Settings(data_dir=tmp_path, database_url=SecretStr("postgresql://h/d")))
    assert list(tmp_path.iterdir()) == []
    up.secret_keys(Settings(data_dir=tmp_path))
    with pytest.raises(ConfigFault, match=up.KEY_FILE):
        up.secret_keys(Settings(data_dir=tmp_path, database_url=SecretStr("postgresql://h/d")))


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(data_dir=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(ConfigFault, match=r"is taken by another program .* Set CALLSTREAM_PORT"):
            up.refuse_taken_port(settings)


@pytest.mark.parametrize(
    ("body", "red"),
    [
        (b"", ["api"]),
        (b"[]", ["api"]),
        (b"<html>", ["api"]),
        (b'{"red": [], "checks": []}', [f"worker:{role}" for role in WORKERS]),
        (b'{"red": ["broker"], "checks": [{"name": "broker"}, {"name": "worker:pipeline"}, {"name": "worker:dedup"},'
         b'{"name": "worker:transcribe"}, {"name": "worker:pull"}, {"name": "worker:audit"}]}', ["broker"]),
    ],
)  # fmt: skip
def test_what_is_not_ready(body: bytes, red: list[str]) -> None:
    assert up.red_names(body) == red


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:8400"),
        ({"host": "0.0.0.0", "port": 9}, "http://127.0.0.1:9"),
        ({"host": "::"}, "http://[::1]:8400"),
        ({"public_url": "https://calls.example.com/"}, "https://calls.example.com"),
    ],
)
def test_the_address_people_are_told(settings: dict[str, Any], address: str) -> None:
    assert up.address(Settings(**settings)) == address
    assert address in up.welcome(Settings(**settings), f"{address}/sign-in?token=t", [])


# topics ------------------------------------------------------------------------------------------------------------


def test_every_topic_and_the_changelog_get_the_same_partitions() -> None:
    wanted = topics.wanted_topics(Settings(partitions=12))
    assert {topic.name for topic in wanted} == {topic.name for topic in TOPICS} | {CLAIMS_CHANGELOG}
    assert {topic.partitions for topic in wanted} == {12}
    policies = {topic.name: topic.config["cleanup.policy"] for topic in wanted}
    assert [name for name, policy in policies.items() if policy == "compact"] == [CLAIMS_CHANGELOG]
    assert all(int(topic.config["max.message.bytes"]) > 2 * 1024**2 for topic in wanted)


def test_the_changelog_follows_the_group_prefix() -> None:
    assert topics.wanted_topics(Settings(group_prefix="eu"))[-1].name == "eu-dedup-claims-changelog"


def test_other_partition_counts_are_told_with_a_way_out() -> None:
    wanted = topics.wanted_topics(Settings(partitions=8))
    found = {topic.name: 8 for topic in wanted} | {"calls.raw.v1": 4}
    wrong = topics.wrong_counts(wanted, found)
    sentence = topics.mismatch_sentence(wrong, found)
    assert "calls.raw.v1 has 4" in sentence
    assert "CALLSTREAM_PARTITIONS=4" in sentence


# doctor ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unset"),
        (8400, "8400"),
        (SecretStr("k1:c2VjcmV0"), "•••"),
        (SecretStr("sk-proj-1234"), "•••"),
        (
            SecretStr("postgresql://app:hunter2@db:5432/calls?sslpassword=hunter3"),
            "postgresql://app:•••@db:5432/calls?•••",
        ),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("https://me:hunter2@host/v1", "https://me:•••@host/v1"),
        (SecretStr("postgresql://[bad"), "•••"),
    ],
)
def test_secrets_are_masked(value: Any, shown: str) -> None:
    assert doctor.masked(value) == shown


def test_each_setting_says_where_it_comes_from() -> None:
    settings = Settings(kafka="k:1", database_url=SecretStr("postgresql://h/d"), port=9, log_level="DEBUG")
    shown = doctor.shown_settings(
        settings,
        {"CALLSTREAM_PORT": "9", "callstream_database_url": "postgresql://h/d"},
        {"CALLSTREAM_LOG_LEVEL": "DEBUG"},
        {"kafka": "k:1", "host": "127.0.0.1"},
    )
    origins = {each.name: each.origin for each in shown}
    assert origins["CALLSTREAM_PORT"] == origins["CALLSTREAM_DATABASE_URL"] == "environment"
    assert origins["CALLSTREAM_LOG_LEVEL"] == ".env"
    assert origins["CALLSTREAM_KAFKA"] == "embedded instance"
    assert origins["CALLSTREAM_HOST"] == origins["OPENAI_API_KEY"] == "default"
    assert len(shown) == len(Settings.model_fields)


def test_doctor_without_anything_says_what_to_do_and_never_fails() -> None:
    done = callstream("doctor", "--json")
    assert done.returncode == 1
    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["Python"]["ok"]
    assert found["Data directory"]["ok"]
    assert "callstream up" in found["Kafka"]["sentence"]
    assert "callstream up" in found["Database"]["sentence"]
    assert "OPENAI_API_KEY" in found["Speech to text"]["sentence"]
    assert "Traceback" not in done.stderr


async def test_an_instance_that_died_is_told(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / INSTANCE_FILE).write_text(json.dumps({"pid": gone.pid, "port": 1}))
    with pytest.raises(doctor.Unwell, match="without tidying up"):
        await doctor.check_instance(Settings(data_dir=tmp_path))


def test_roles_that_are_silent_or_waiting_are_told() -> None:
    well = [{"worker": f"{role}-1", "role": role, "ready": True, "detail": "", "fresh": True} for role in doctor.ROLES]
    assert doctor.judge_roles(well) == "audit-1, dedup-1, pipeline-1, pull-1, transcribe-1"
    with pytest.raises(doctor.Unwell, match=r"obody runs dedup"):
        doctor.judge_roles([row for row in well if row["role"] != "dedup"])
    with pytest.raises(doctor.Unwell, match=r"Pipeline-1 waits for: persist"):
        doctor.judge_roles([{**well[0], "ready": False, "detail": "persist"}, *well[1:]])
    with pytest.raises(doctor.Unwell, match=r"obody runs pipeline, dedup, transcribe, pull, audit"):
        doctor.judge_roles([{**row, "fresh": False} for row in well])


# show --------------------------------------------------------------------------------------------------------------


def test_what_came_from_outside_gives_no_orders_to_the_terminal() -> None:
    assert show.cell("\x1b[31mred\x1b[0m [bold]x") == " \\[31mred \\[0m \\[bold]x"


def test_line_9_comes_before_line_10() -> None:
    names = ["a.jsonl, line 10", "a.jsonl, line 9", "a.jsonl, line 100", "b"]
    assert sorted(names, key=show.in_order) == ["a.jsonl, line 9", "a.jsonl, line 10", "a.jsonl, line 100", "b"]


def test_a_long_text_becomes_one_short_line() -> None:
    assert show.one_line("a\n b", 10) == "a b"
    assert show.one_line("x" * 200, 10) == "x" * 9 + "…"
