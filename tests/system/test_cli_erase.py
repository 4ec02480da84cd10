"""`callstream erase`: the real command on a real database. It asks, it says what was removed, and it says which."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.calls import Media
from streams.io import media
from streams.io.recordings import store
from tests.conftest import Broker, Database
from tests.system.api_harness import Api, running_api
from tests.system.test_persist import a_call

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application, for its settings."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def command(api: Api, *arguments: str) -> tuple[int, str, str]:
    """Run the command as a program would; exit code, output, and what it said beside."""
    settings = api.settings
    assert settings.database_url is not None
    assert settings.secret_keys is not None
    env = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")} | {
        "CALLSTREAM_KAFKA": str(settings.kafka), "CALLSTREAM_DATA_DIR": str(settings.data_dir),
        "CALLSTREAM_DATABASE_URL": settings.database_url.get_secret_value(),
        "CALLSTREAM_SECRET_KEYS": settings.secret_keys.get_secret_value(),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", "erase", *arguments, env=env, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def stored(api: Api) -> int:
    """How many calls the library has."""
    count: int = await api.value("SELECT count(*) FROM recordings")
    return count


async def test_it_says_what_was_removed(api: Api, database: Database) -> None:
    sha = "ab" * 32
    ref = f"pulled/{database.workspace_id}/{sha}/a.mp3"
    await media.put_bytes(api.ports.store, ref, b"sound")
    await store(database.pipeline_pool, [a_call(database.workspace_id, media=Media(ref=ref, sha256=sha))])
    await api.add_failed("call-1")
    code, out, err = await command(api, "call-1", "--yes")
    assert code == 0, err
    assert out == (
        "Erased generic call-1: the call with its transcript, 1 file, 1 failed import. It will not be brought back.\n"
    )
    assert await stored(api) == 0
    assert not await media.exists(api.ports.store, ref)
    [row] = await api.fetch("SELECT actor FROM audit_log WHERE action = 'call.erased'")
    assert row["actor"] == "command-line"


async def test_it_asks_for_the_source_where_several_have_such_a_call(api: Api, database: Database) -> None:
    calls = [a_call(database.workspace_id, source_app=name) for name in ("generic", "gong")]
    await store(database.pipeline_pool, calls)
    code, _, err = await command(api, "call-1", "--yes")
    assert (code, await stored(api)) == (1, 2)
    assert "generic, gong" in err
    code, out, _ = await command(api, "call-1", "--source", "gong", "--yes", "--json")
    assert json.loads(out) == {
        "source_app": "gong", "external_id": "call-1", "stored": True, "files": 0, "failed_imports": 0,
        "transcripts": 0,
    }  # fmt: skip
    assert (code, await stored(api)) == (0, 1)


async def test_without_a_yes_nothing_is_erased(api: Api, database: Database) -> None:
    await store(database.pipeline_pool, [a_call(database.workspace_id)])
    code, _, err = await command(api, "call-1")
    assert (code, await stored(api)) == (1, 1)
    assert "--yes" in err


async def test_a_call_that_nobody_knows_is_said(api: Api) -> None:
    code, _, err = await command(api, "call-9", "--yes")
    assert code == 1
    assert "There is no call call-9" in err
    assert await api.value("SELECT count(*) FROM erased_calls") == 0


async def test_erasing_twice_finishes_what_was_left(api: Api, database: Database) -> None:
    await store(database.pipeline_pool, [a_call(database.workspace_id)])
    assert (await command(api, "call-1", "--yes"))[0] == 0
    code, out, _ = await command(api, "call-1", "--yes")
    assert code == 0
    assert "nothing that was still here" in out
