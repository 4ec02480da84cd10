"""The media store: recordings, and event payloads too large for Kafka. A local folder by default, S3/GCS/Azure by URL.

Keys are `uploads/<workspace>/<sha256>/<name>`, `pulled/…`, `fetched/…` and `claims/<topic>/<event>-<hash>.json`.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from schemas.faults import InvalidCall, OutageFault
from schemas.settings import Settings

CHUNK = 4 * 1024 * 1024


def open_media(settings: Settings) -> ObjectStore:
    """The store that `settings` name. A local folder is made if it is not there."""
    if settings.media_url:
        return from_url(settings.media_url)
    folder = (settings.data_dir / "media").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(str(folder), automatic_cleanup=True)


async def put_bytes(store: ObjectStore, key: str, data: bytes) -> None:
    """Keep `data` under `key`; durable when this returns. Raises `OutageFault`."""
    try:
        await obstore.put_async(store, key, data)
    except (BaseError, OSError) as error:
        raise _away(error) from error


async def put_file(store: ObjectStore, key: str, path: Path) -> None:
    """Keep a file under `key`, streamed in chunks. Raises `OutageFault`."""
    try:
        await obstore.put_async(store, key, path, chunk_size=CHUNK, max_concurrency=3)
    except (BaseError, OSError) as error:
        raise _away(error) from error


async def get_bytes(store: ObjectStore, key: str) -> bytes:
    """The whole object. Raises `InvalidCall` when there is none, `OutageFault` when the store is away."""
    try:
        return bytes(await (await obstore.get_async(store, key)).bytes_async())
    except (BaseError, OSError) as error:
        raise _missing_or_away(error, key) from error


async def stream(store: ObjectStore, key: str) -> AsyncIterator[bytes]:
    """The object in chunks. Raises as `get_bytes` does."""
    try:
        result = await obstore.get_async(store, key)
        async for chunk in result.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        raise _missing_or_away(error, key) from error


@asynccontextmanager
async def local_copy(store: ObjectStore, key: str) -> AsyncIterator[Path]:
    """A temporary file with the object's bytes, for programs that want a path. Gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="callstream-") as folder:
        path = Path(folder) / (key.rsplit("/", 1)[-1] or "media")
        with path.open("wb") as file:
            async for chunk in stream(store, key):
                file.write(chunk)
        yield path


async def exists(store: ObjectStore, key: str) -> bool:
    """Whether there is an object under `key`. Raises `OutageFault`."""
    try:
        await obstore.head_async(store, key)
    except (FileNotFoundError, obstore.exceptions.NotFoundError):
        return False
    except (BaseError, OSError) as error:
        raise _away(error) from error
    return True


async def delete(store: ObjectStore, key: str) -> None:
    """Remove an object; one that is not there is no error. Raises `OutageFault`."""
    try:
        await obstore.delete_async(store, key)
    except (FileNotFoundError, obstore.exceptions.NotFoundError):
        return
    except (BaseError, OSError) as error:
        raise _away(error) from error


async def keys_in(
    store: ObjectStore, folder: str, *, after: str | None = None, until: str | None = None
) -> AsyncIterator[str]:
    """The keys in a folder, at any depth; of them those between two, if they are given. Raises `OutageFault`.

    A store that lists in order is asked for no more than these; a local folder has no order.
    """
    ordered = not isinstance(store, LocalStore)
    try:
        async for page in obstore.list(store, folder, offset=after):
            for found in page:
                if until is None or found["path"] <= until:
                    yield found["path"]
                elif ordered:
                    return
    except (BaseError, OSError) as error:
        raise _away(error) from error


def _missing_or_away(error: Exception, key: str) -> Exception:
    if isinstance(error, FileNotFoundError | obstore.exceptions.NotFoundError):
        return InvalidCall("media_missing", f"The file {key.rsplit('/', 1)[-1]} is no longer in the media store.")
    return _away(error)


def _away(error: Exception) -> OutageFault:
    return OutageFault("media_store_away", "The media store cannot be reached.", detail=repr(error))
