"""Files on a customer's SFTP server: listed, looked at, read in chunks.

Names on the server are used only to ask that server for them. Links are not followed, and nothing outside the folder
that the account names is asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncssh

from connectors.contract import Api, T
from connectors.ssh import connected, ssh_faults
from schemas.faults import ConfigFault, MissingFault

ANSWER_SECONDS = 60.0
"""One question, or one chunk. A folder of many thousands of files takes a while to list."""
CLOSE_SECONDS = 5.0
CHUNK = 1024 * 1024
"""The parts of a chunk are asked for all at once, so that a far server is not slow."""
MAX_ENTRIES = 200_000
MAX_DEPTH = 8
"""Of folders below the account's own. Deeper ones are left alone: it is a loop, or no place for recordings."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder, by its name alone."""

    name: str
    is_folder: bool
    size: int
    written: datetime | None
    """When it was last changed, by the server's clock."""


@dataclass(slots=True)
class Sftp:
    """A connection that is made when it is needed, and made again when it is lost. `vendor` is for messages."""

    api: Api
    vendor: str
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _connection: asyncssh.SSHClientConnection | None = None
    _client: asyncssh.SFTPClient | None = None

    async def ask(self, path: str, question: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        """The answer of the server to a question about a path. A connection that was lost is made again once."""
        with ssh_faults(self.vendor, path):
            try:
                return await self._ask(question)
            except (ConnectionError, asyncssh.ConnectionLost, asyncssh.ChannelOpenError, asyncssh.SFTPConnectionLost):
                if self._connection is not None and not self._connection.is_closed():
                    raise
                return await self._ask(question)

    async def _ask(self, question: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        async with self._lock:
            if self._client is None or self._connection is None or self._connection.is_closed():
                await self.close()
                self._connection = await connected(self.api, self.vendor)
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._client = await self._connection.start_sftp_client(path_errors="surrogateescape")
            client, connection = self._client, self._connection
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await question(client)
        except TimeoutError:
            connection.abort()
            raise

    async def close(self) -> None:
        """Say good-bye; after a moment hang up without it, so that no worker waits for a dead server."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is None:
            return
        try:
            connection.close()
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.wait_closed()
        except (OSError, asyncssh.Error):  # TimeoutError is one
            connection.abort()
        except asyncio.CancelledError:
            connection.abort()
            raise


async def sftp_of(api: Api, vendor: str) -> Sftp:
    """The connection that belongs to this `Api` and is closed with it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Sftp]:
        sftp = Sftp(api, vendor)
        try:
            yield sftp
        finally:
            await sftp.close()

    return await api.keep("sftp", opened)


async def entries(sftp: Sftp, folder: str) -> list[Entry]:
    """What lies in a folder, by name. Links, and names that could lead elsewhere, are left out."""

    async def scan(client: asyncssh.SFTPClient) -> list[Entry]:
        found: list[Entry] = []
        async for each in client.scandir(folder):
            if (entry := _entry(str(each.filename), each.attrs)) is not None:
                found.append(entry)
            if len(found) > MAX_ENTRIES:
                sentence = f"One folder with recordings of {sftp.vendor} holds more than {MAX_ENTRIES:,} files."
                raise ConfigFault("folder_too_large", f"{sentence} Move the older ones into other folders.")
        return found

    return sorted(await sftp.ask(folder, scan), key=lambda entry: entry.name)


async def walk(
    sftp: Sftp, root: str, after: tuple[str, ...] = (), enter: Callable[[str], bool] = lambda folder: True
) -> AsyncGenerator[tuple[tuple[str, ...], list[Entry]], None]:
    """The files of each folder below `root`, folder by folder, always in the same order, beginning with folder `after`.

    A folder that is gone by the time it is its turn is passed over; a root that is not there is a `ConfigFault`.
    `enter` is asked whether a folder is of interest at all.
    """
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        folder = waiting.pop()
        try:
            found = await entries(sftp, below(root, "/".join(folder)))
        except MissingFault as fault:
            if folder:
                continue
            sentence = f"{sftp.vendor}'s SFTP server shows this user no folder {root[:200]}."
            todo = "Correct it and connect again."
            raise ConfigFault("folder_missing", f"{sentence} {todo}", detail=fault.detail) from None
        if folder >= after:
            yield folder, [entry for entry in found if not entry.is_folder]
        if len(folder) < MAX_DEPTH:
            inner = [(*folder, entry.name) for entry in found if entry.is_folder]
            waiting += [path for path in reversed(inner) if path >= after[: len(path)] and enter("/".join(path))]


def below(root: str, path: str) -> str:
    """The address on the server of a path below the root. Raises `MissingFault` for one that leads out of it."""
    parts = [part for part in path.split("/") if part]
    if "\x00" in path or any(part in (".", "..") for part in parts):
        raise MissingFault("not_at_source", "This path leads out of the folder of recordings.")
    return "/".join([root.rstrip("/") if root != "." else ".", *parts]) or "/"


async def look_at(sftp: Sftp, path: str) -> Entry:
    """A file as it is now. Raises `MissingFault` when there is none."""
    entry = _entry(path.rpartition("/")[2], await sftp.ask(path, lambda client: client.lstat(path)))
    if entry is None or entry.is_folder:
        raise MissingFault("not_at_source", f"{sftp.vendor}'s SFTP server has no file there that can be read.")
    return entry


async def chunks(sftp: Sftp, path: str, limit: int) -> AsyncGenerator[bytes, None]:
    """The content of a file, and of a longer one its first `limit` bytes."""
    file = await sftp.ask(path, lambda client: client.open(path, "rb"))
    try:
        offset = 0
        while offset < limit:
            with ssh_faults(sftp.vendor, path):
                async with asyncio.timeout(ANSWER_SECONDS):
                    chunk = await file.read(min(CHUNK, limit - offset), offset)
            if not chunk or not isinstance(chunk, bytes):
                return
            offset += len(chunk)
            yield chunk
    finally:
        with suppress(OSError, asyncssh.Error):
            async with asyncio.timeout(CLOSE_SECONDS):
                await file.close()


def _entry(name: str, attrs: asyncssh.SFTPAttrs) -> Entry | None:
    if name in ("", ".", "..") or "/" in name or "\x00" in name:
        return None
    if attrs.type not in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_DIRECTORY):
        return None
    try:
        written = datetime.fromtimestamp(attrs.mtime, UTC) if attrs.mtime else None
    except (OverflowError, ValueError, OSError):
        written = None
    return Entry(name, attrs.type == asyncssh.FILEXFER_TYPE_DIRECTORY, attrs.size or 0, written)
