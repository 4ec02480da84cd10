"""Recordings from elsewhere, kept in the media store: what a payload's address leads to, and what a source gives us.

Both are streamed through a temporary file, at most as large as an upload may be.
"""

import hashlib
import mimetypes
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from schemas.calls import Call, Media
from schemas.faults import InvalidCall, OutageFault
from schemas.settings import Settings
from streams.io.fetch import Resolve, fetch, resolve
from streams.io.media import CHUNK, exists, local_copy, put_file
from streams.io.probe import HEAD_BYTES, ProbeError, probe_media, sniff

RECORDING_SECONDS = 900.0
"""How long the download of one recording may take while its call is pulled."""


@dataclass(frozen=True, slots=True)
class RecordingStore:
    """Where the recordings of pulled calls are kept: `pulled/<workspace>/<sha256>/<name>`, so nothing is kept twice."""

    store: ObjectStore
    settings: Settings
    resolve: Resolve = resolve
    tls: ssl.SSLContext | None = None

    async def download(
        self, workspace_id: UUID, url: str, filename: str, headers: Mapping[str, str] | None = None
    ) -> Media:
        """Keep what an address leads to. `headers` go to that host alone.

        Raises `InvalidCall` for an address that is refused or gone and for what is no recording, `TransientFault` and
        `OutageFault`.
        """
        async with fetch(
            url, self.settings, seconds=RECORDING_SECONDS, resolve=self.resolve, tls=self.tls, headers=headers
        ) as fetched:
            return await self.keep(workspace_id, fetched.chunks, filename or fetched.filename)

    async def keep(self, workspace_id: UUID, chunks: AsyncIterator[bytes], filename: str) -> Media:
        """Keep what comes in chunks, once it is known to be a recording. Raises as `download` does."""
        limit, digest, size = self.settings.upload_max_bytes, hashlib.sha256(), 0
        name = _key_name(filename)
        with tempfile.TemporaryDirectory(prefix="callstream-") as folder:
            path = Path(folder) / name
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        sentence = f"The recording is larger than {limit // 1_000_000} MB, the most that is taken."
                        raise InvalidCall("media_too_large", sentence, field="media")
                    digest.update(chunk)
                    file.write(chunk)
            content_type = await _content_type(path, filename)
            ref = f"pulled/{workspace_id}/{digest.hexdigest()}/{name}"
            if not await exists(self.store, ref):
                await put_file(self.store, ref, path)
        return Media(
            ref=ref, filename=filename, content_type=content_type, size_bytes=size, sha256=digest.hexdigest()
        )  # fmt: skip


async def _content_type(path: Path, filename: str) -> str:
    """What the file is by its content, looked at as uploads are. Raises `InvalidCall` for what is no recording."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    try:
        found = sniff(head, filename)
    except InvalidCall as fault:
        raise _unreadable("it is none", fault.sentence) from None
    if found.kind != "media":
        raise _unreadable("it is text", found.format)
    probed = await probe_media(path)
    if isinstance(probed, ProbeError) and probed.reason != "timeout":  # a slow machine says nothing about the file
        raise _unreadable(probed.sentence, probed.reason)
    return found.content_type


def _unreadable(why: str, detail: str) -> InvalidCall:
    sentence = f"What the source gave as the recording could not be read as audio or video: {why}."
    return InvalidCall("media_unreadable", sentence, field="media", detail=detail)


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """The media store as the transcribe stage sees it: local copies, and what addresses lead to.

    Fetched recordings lie under `fetched/<workspace>/<event>/<sha256>/<name>`, so a retry of the same event finds its
    copy although the signed address has expired by then.
    """

    store: ObjectStore
    settings: Settings
    resolve: Resolve = resolve
    tls: ssl.SSLContext | None = None

    def local_copy(self, ref: str) -> AbstractAsyncContextManager[Path]:
        """The object as a file in a temporary folder of its own; the folder is gone afterwards."""
        return local_copy(self.store, ref)

    async def fetch(self, call: Call) -> Media:
        """Copy what `call.media.url` leads to into the store, unless this event already did. Raises as `fetch` does,
        and `OutageFault` when the store is away."""
        if call.media is None or not call.media.url:
            raise InvalidCall("media_url_missing", "This call names no address of a recording.", field="media.url")
        folder = f"fetched/{call.workspace_id}/{call.event_id}"
        if kept := await self._kept(folder, call.media):
            return kept
        with tempfile.TemporaryFile(prefix="callstream-") as file:
            async with fetch(call.media.url, self.settings, resolve=self.resolve, tls=self.tls) as fetched:
                digest, size = hashlib.sha256(), 0
                async for chunk in fetched.chunks:
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            file.seek(0)
            ref = f"{folder}/{digest.hexdigest()}/{_key_name(fetched.filename)}"
            await self._put(ref, file)
        return Media(
            ref=ref,
            filename=call.media.filename or fetched.filename,
            content_type=fetched.content_type or call.media.content_type,
            size_bytes=size,
            sha256=digest.hexdigest(),
        )

    async def _kept(self, folder: str, wanted: Media) -> Media | None:
        with _store_outages():
            async for page in obstore.list(self.store, folder):
                for found in page:
                    ref = found["path"]
                    sha256, name = ref.split("/")[-2:]
                    return Media(
                        ref=ref,
                        filename=wanted.filename or name,
                        content_type=wanted.content_type or mimetypes.guess_type(name)[0],
                        size_bytes=found["size"],
                        sha256=sha256,
                    )
        return None

    async def _put(self, ref: str, file: IO[bytes]) -> None:
        with _store_outages():
            await obstore.put_async(self.store, ref, file, chunk_size=CHUNK)


@contextmanager
def _store_outages() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise OutageFault("media_store_away", "The media store cannot be reached.", detail=repr(error)) from error


def _key_name(filename: str) -> str:
    """A file name that every store takes as it is."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", filename)[-80:].lstrip(".") or "recording"
