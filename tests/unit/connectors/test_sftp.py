"""Five9 over a server with a real folder: links, odd names, files that change, and servers that behave oddly."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors.contract import Recording
from connectors.five9 import FIVE9, download
from schemas.faults import MissingFault, TransientFault
from tests.unit.connectors.five9_rig import KEY, PULL, WINDOW, Disk, content, everything, ids, refused


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    (tmp_path / "in").mkdir()
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[KEY], server_factory=Anybody, config=None,
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=os.fsencode(tmp_path)),
    )  # fmt: skip
    yield Disk(tmp_path, server.get_port())
    server.close()
    await server.wait_closed()


class AsksLikePam(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == ["p"]


async def test_a_server_that_asks_for_the_password_itself_gets_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[KEY], server_factory=AsksLikePam, config=None,
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=os.fsencode(tmp_path)),
    )  # fmt: skip
    async with Disk(tmp_path, server.get_port()).api() as api:
        assert await everything(api, WINDOW) == []
    async with Disk(tmp_path, server.get_port()).api(password="wrong") as api:
        assert (await refused(api)).reason == "credential_refused"
    server.close()
    await server.wait_closed()


async def test_a_server_that_never_answers_is_left_alone_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.ssh.CONNECT_SECONDS", 0.1)
    monkeypatch.setattr("connectors.ssh.LOGIN_SECONDS", 0.1)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, Disk(tmp_path, server.sockets[0].getsockname()[1]).api() as api:
        assert isinstance(await refused(api), TransientFault)


async def test_links_and_files_of_other_kinds_are_left_alone(disk: Disk) -> None:
    disk.put(b"a/300_20251105T093012Z.wav")
    for other in (b"a/300.wav.part", b"a/300.txt", b"a/readme", b".hidden"):
        disk.put(other)
    (disk.root / "outside.wav").write_bytes(b"secret")
    (disk.root / "in" / "link_20251105T093012Z.wav").symlink_to(disk.root / "outside.wav")
    (disk.root / "in" / "loop").symlink_to(disk.root / "in")
    async with disk.api() as api:
        (item,) = await everything(api, WINDOW)
        assert item.external_id == "300/300_20251105T093012Z.wav"
        assert item.started_at == datetime(2025, 11, 5, 9, 30, 12, tzinfo=UTC)
        for url in ("sftp://x/../outside.wav", "sftp://x/a/../../outside.wav", "sftp://x/link_20251105T093012Z.wav"):
            with pytest.raises(MissingFault):
                await content(api, Recording(url, "a.wav"))


async def test_names_in_any_bytes_are_read_and_told_apart(disk: Disk) -> None:
    texts = ("Müller.wav", "M\u0308.wav", "a b%20#?;&'\".wav", "会議 🎉.wav")
    names = [b"M\xfcller.wav", *(text.encode() for text in texts)]
    for name in names:
        disk.put(b"x\xff/" + name, name * 50)
    async with disk.api() as api:
        items = await everything(api, WINDOW)
        assert len({item.external_id for item in items}) == len(names)
        for item in items:
            item.external_id.encode()
            found = await PULL.fetch(api, await PULL.find(api, item.external_id))
            assert FIVE9.external_id_of(json.loads(json.dumps(found.payload))) == item.external_id
            assert found.recording is not None
            assert await content(api, found.recording) in [name * 50 for name in names]


async def test_a_name_without_a_time_counts_by_when_it_was_written(disk: Disk) -> None:
    disk.put(b"old.wav", age=timedelta(days=3))
    disk.put(b"new.wav", age=timedelta(days=1))
    async with disk.api() as api:
        assert ids(await everything(api, WINDOW)) == ["new.wav"]


async def test_a_sidecar_that_comes_late_is_a_change(disk: Disk) -> None:
    disk.put(b"300_20251105T093012Z.wav", age=timedelta(hours=5))
    async with disk.api() as api:
        (before,) = await everything(api, WINDOW)
        disk.put(b"300_20251105T093012Z.xml", b"<r><agentName>Mila Chen</agentName></r>", timedelta(hours=2))
        (after,) = await everything(api, WINDOW)
        found = await PULL.fetch(api, after)
    assert before.external_id == after.external_id
    assert before.changed_at is not None
    assert after.changed_at == before.changed_at + timedelta(hours=3)
    assert FIVE9.to_call(dict(found.payload)).participants[0].name == "Mila Chen"


async def test_a_recording_that_grows_while_it_is_read_is_not_taken(disk: Disk) -> None:
    name = b"300_20251105T093012Z.wav"
    disk.put(name, b"x" * 3_000_000)
    async with disk.api() as api:
        (item,) = await everything(api, WINDOW)
        found = await PULL.fetch(api, item)
        assert found.recording is not None
        parts = download(api, found.recording)
        await anext(parts)
        disk.put(name, b"x" * 3_500_000, timedelta())
        with pytest.raises(TransientFault) as caught:
            [part async for part in parts]
        assert caught.value.reason == "recording_unfinished"
        disk.put(name, b"")
        assert (await PULL.fetch(api, item)).waits_for, "an empty file is one that is not written yet"


async def test_a_file_that_is_gone_is_missing(disk: Disk) -> None:
    disk.put(b"300_20251105T093012Z.wav")
    async with disk.api() as api:
        (item,) = await everything(api, WINDOW)
        (disk.root / "in" / "300_20251105T093012Z.wav").unlink()
        with pytest.raises(MissingFault):
            await PULL.fetch(api, item)
        with pytest.raises(MissingFault):
            await PULL.find(api, item.external_id)
