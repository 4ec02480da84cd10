"""Parts of an object in the media store, for players that ask for a range."""

from collections.abc import AsyncIterator

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from schemas.faults import InvalidCall, OutageFault

CHUNK = 1024 * 1024


async def size(store: ObjectStore, key: str) -> int:
    """How many bytes the object has. Raises `InvalidCall` when there is none, `OutageFault` when the store is away."""
    try:
        return int((await obstore.head_async(store, key))["size"])
    except (FileNotFoundError, obstore.exceptions.NotFoundError):
        raise InvalidCall("media_missing", "The recording is no longer in the media store.") from None
    except (BaseError, OSError) as error:
        raise OutageFault("media_store_away", "The media store cannot be reached.", detail=repr(error)) from error


async def part(store: ObjectStore, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from `start` up to `end`, a piece at a time: only what the reader takes is read."""
    try:
        while start < end:
            upto = min(start + CHUNK, end)
            yield bytes(await obstore.get_range_async(store, key, start=start, end=upto))
            start = upto
    except (BaseError, OSError) as error:
        raise OutageFault("media_store_away", "The media store cannot be reached.", detail=repr(error)) from error
