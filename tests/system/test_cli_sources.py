"""`callstream sources`, `sync` and `doctor --platform`: the real commands against stand-ins of the vendors."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Broker, Database
from tests.system.sources_harness import Office, open_office

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with stand-ins of two vendors."""
    async with open_office(tmp_path, broker, database, "fathom", "zoom") as running:
        yield running


async def command(office: Office, *arguments: str, told: str = "") -> tuple[int, str, str]:
    """Run a command as a person would; exit code, output, and what it said beside."""
    settings = office.api.settings
    assert settings.database_url is not None
    assert settings.secret_keys is not None
    env = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")} | {
        "CALLSTREAM_KAFKA": str(settings.kafka), "CALLSTREAM_DATA_DIR": str(settings.data_dir),
        "CALLSTREAM_DATABASE_URL": settings.database_url.get_secret_value(),
        "CALLSTREAM_SECRET_KEYS": settings.secret_keys.get_secret_value(),
        "CALLSTREAM_VENDOR_ORIGIN": office.vendors.origin,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", *arguments, env=env, cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(told.encode())
    return process.returncode or 0, out.decode(), err.decode()


async def as_json(office: Office, *arguments: str, told: str = "") -> Any:
    """The same of a command that must work, with its answer read."""
    code, out, err = await command(office, *arguments, "--json", told=told)
    assert code == 0, err
    return json.loads(out)


async def test_a_source_from_connecting_to_removing(office: Office) -> None:
    office.seed("fathom", 3)
    credential = json.dumps(office.vendors.credential("fathom") | {"account": "sam@acme.example"})
    made = await as_json(office, "sources", "connect", "fathom", "--stdin", told=credential)
    assert (made["account"], made["state"]) == ("sam@acme.example", "active")
    await office.drain()
    [listed] = (await as_json(office, "sources"))["items"]
    assert listed["id"] == made["id"]
    code, out, _ = await command(office, "sources")
    assert (code, "sam@acme.example" in out) == (0, True)
    assert (await as_json(office, "sync", "fathom", "--no-wait"))["job_type"] == "sync"
    assert (await as_json(office, "sources", "pause", "fathom"))["state"] == "paused"
    assert (await as_json(office, "sources", "resume", "sam@acme.example"))["state"] == "active"
    assert (await as_json(office, "sources", "backfill", made["id"], "--from", "2026-01-01"))["job_id"]
    assert (await as_json(office, "sources", "remove", "fathom", "--yes"))["status"] == "removed"
    code, _, err = await command(office, "sync", "fathom")
    assert (code, "no account fits" in err) == (1, True)


async def test_sync_follows_the_import_to_its_end(office: Office) -> None:
    office.seed("fathom", 2)
    await office.connect("fathom")
    following = asyncio.create_task(command(office, "sync", "fathom", "--json"))
    while not (await asyncio.wait({following}, timeout=0.2))[0]:
        await office.drain()
        await office.api.execute("UPDATE job_calls SET status = 'imported'")
    code, out, err = following.result()
    assert code == 0, err
    assert (json.loads(out)["status"], json.loads(out)["job_type"]) == ("completed", "sync")


async def test_what_is_wrong_is_one_sentence_and_never_the_secret(office: Office) -> None:
    code, out, err = await command(office, "sources", "connect", "fathom", "--field", "api_key=quite-wrong")
    assert (code, out) == (1, "")
    assert err.startswith("callstream: ")
    assert "quite-wrong" not in err
    code, _, err = await command(office, "sources", "connect", "nowhere")
    assert (code, "fathom" in err) == (1, True)
    assert (await command(office, "sources", "connect", "fathom", "--field", "odd"))[0] == 2


async def test_the_live_check_reads_a_call_and_stores_nothing(office: Office) -> None:
    office.seed("fathom", 2)
    key = office.vendors.credential("fathom")["api_key"]
    found = await as_json(office, "doctor", "--platform", "fathom", "--field", f"api_key={key}")
    assert [each["check"] for each in found["checks"]] == ["credential", "rights", "list", "read", "map"]
    assert all(each["ok"] for each in found["checks"])
    for table in ("import_sources", "import_jobs", "waiting_calls"):
        assert await office.api.value(f"SELECT count(*) FROM {table}") == 0
    await office.connect("fathom")
    code, out, _ = await command(office, "doctor", "--platform", "fathom")
    assert (code, out.count("OK  ")) == (0, 5)
    office.vendors.world.credentials["fathom"] = [{"api_key": "another"}]
    code, out, _ = await command(office, "doctor", "--platform", "fathom")
    assert (code, out.startswith("!!  credential")) == (1, True)
