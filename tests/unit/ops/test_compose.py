"""docker-compose.yml, checked as far as that goes without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.jars import KAFKA_VERSION
from ops.kafka_server import MESSAGE_BYTES, settings
from ops.postgres_server import DATABASE, GROUP, LOGIN, LOGIN_RIGHTS, OWNER, OWNER_RIGHTS, POSTGRES_VERSION
from ops.supervise import WORKERS
from schemas.settings import Settings

ROOT = Path(__file__).parents[3]
ROLES = set(WORKERS)
ONE_SHOT = {"migrate", "topics"}
SERVERS = {"kafka", "postgres"}
SET_BY_PERSON = re.compile(r"\$\{(\w+)(?::[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_the_servers_are_the_embedded_versions(services: dict[str, Any]) -> None:
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert services["postgres"]["image"] == f"postgres:{POSTGRES_VERSION}"


def test_every_part_is_there_and_runs_its_command(services: dict[str, Any]) -> None:
    assert set(services) == SERVERS | ONE_SHOT | ROLES | {"api"}
    for role in ROLES:
        assert services[role]["command"] == ["worker", role]
    for name in ONE_SHOT | {"api"}:
        assert services[name]["command"] == [name]


def test_nothing_starts_before_what_it_needs(services: dict[str, Any]) -> None:
    for name in ROLES | {"api"}:
        waits = {other: how["condition"] for other, how in services[name]["depends_on"].items()}
        assert waits == dict.fromkeys(ONE_SHOT, "service_completed_successfully")
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}


def test_what_stays_up_has_a_health_check_and_comes_back(services: dict[str, Any]) -> None:
    for name in SERVERS | ROLES | {"api"}:
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        assert services[name]["restart"] == "unless-stopped"


def test_data_lives_in_named_volumes(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for name, service in services.items():
        mounted = [volume.split(":")[0] for volume in service["volumes"]]
        assert set(mounted) & set(compose["volumes"]), name


def test_no_secret_is_written_down(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY", variable):
                assert SET_BY_PERSON.fullmatch(value), f"{name}: {variable}"
            for password in re.findall(r"://[^/@:]+:(.+)@", value):
                assert SET_BY_PERSON.fullmatch(password), f"{name}: {variable}"


def test_what_a_person_must_set_is_in_the_example_and_empty() -> None:
    asked = set(SET_BY_PERSON.findall((ROOT / "docker-compose.yml").read_text()))
    example = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked - {"CALLSTREAM_PORT"} <= set(example)
    assert not any(example.values())


def test_every_setting_given_is_one_we_read(services: dict[str, Any]) -> None:
    known = {f"CALLSTREAM_{name}".upper() for name in Settings.model_fields}
    known |= {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
    for name in ONE_SHOT | ROLES | {"api"}:
        assert set(services[name]["environment"]) <= known, name


def test_only_the_migration_knows_the_owners_login(services: dict[str, Any]) -> None:
    for name in ONE_SHOT | ROLES | {"api"}:
        assert ("CALLSTREAM_DATABASE_OWNER_URL" in services[name]["environment"]) == (name == "migrate")
        assert f"{LOGIN}:" in services[name]["environment"]["CALLSTREAM_DATABASE_URL"]


def test_kafka_is_set_up_like_the_embedded_one(services: dict[str, Any]) -> None:
    given = services["kafka"]["environment"]
    embedded = settings(9092, 9093)
    for name in ("auto.create.topics.enable", "offsets.retention.minutes", "replica.fetch.max.bytes"):
        assert given["KAFKA_" + name.upper().replace(".", "_")] == str(embedded[name])
    assert given["KAFKA_MESSAGE_MAX_BYTES"] == str(MESSAGE_BYTES)


def test_postgresql_gets_the_same_roles_as_the_embedded_one() -> None:
    script = (ROOT / "deploy" / "postgres-init.sh").read_text()
    assert f"CREATE ROLE {GROUP};" in script
    assert f"CREATE ROLE {OWNER} {OWNER_RIGHTS} PASSWORD :'owner_password';" in script
    assert f"CREATE ROLE {LOGIN} {LOGIN_RIGHTS} PASSWORD :'login_password';" in script
    assert f"CREATE DATABASE {DATABASE} OWNER {OWNER};" in script


def test_the_image_installs_locked_versions_only_and_runs_unprivileged() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    for line in dockerfile.splitlines():
        if "pip install" in line:
            assert "--require-hashes" in line or "--no-index" in line
    assert "\nUSER callstream\n" in dockerfile
