"""Somebody who listens: what is to be told to them, in a queue of a fixed length."""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api.live_events import NAMES, RESET, Fact, Kind, Mark, seal
from streams.io.job_views import Job
from streams.io.tail import Place

if TYPE_CHECKING:
    from api.live import Live

Told = tuple[str, dict[str, Any], str]
"""Name, data, and the id from which a stream can be resumed after it."""

MAX_WAITING: Final = 1_000
"""Events a listener may be behind before it is told `reset`."""


@dataclass(slots=True)
class News:
    """Something to tell a workspace. Its id is sealed once, however many listen."""

    name: str
    data: dict[str, Any]
    mark: Mark
    sealed: str | None = None


class EndedError(Exception):
    """There will be nothing more: the listener was closed, or the process stops."""


class Listener:
    """Somebody who listens. Close it."""

    def __init__(self, live: "Live", workspace_id: UUID, kinds: Collection[Kind], owner: object) -> None:
        self.workspace_id = workspace_id
        self.kinds = frozenset(kinds)
        self.owner = owner
        self.floor: Mapping[Place, int] = {}
        """What the listener knows already from another instance, although this one has not read so far."""
        self.ended = False
        self._closed = False
        self._live = live
        self._past: deque[News] = deque()
        self._waiting: deque[News] = deque()
        self._news = asyncio.Event()

    def put(self, news: News) -> None:
        """Something to tell. Never waits; what is too much becomes `reset`."""
        if len(self._waiting) >= MAX_WAITING:
            self.reset(news.mark)
        else:
            self._waiting.append(news)
            self._news.set()

    def put_past(self, fact: Fact, mark: Mark) -> None:
        """Something that happened before the listener came (back)."""
        if fact.kind in self.kinds:
            self._past.append(News(NAMES[fact.kind], fact.data, mark))

    def reset(self, mark: Mark) -> None:
        """Forget what waits: the listener has to read its lists again."""
        self._past.clear()
        self._waiting.clear()
        self._waiting.append(News(RESET, {}, mark))
        self._news.set()

    def hear_job(self, job: Job | None) -> None:
        """A job has moved."""
        if job is not None:
            self.put(News(NAMES["job"], job.model_dump(mode="json"), self._live.mark()))

    async def take(self, seconds: float | None = None) -> Told | None:
        """The next thing told, or None after so many seconds without one. Raises `EndedError` when it is over."""
        try:
            async with asyncio.timeout(seconds):
                while not self.ended and not self._past and not self._waiting:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        if self.ended:
            raise EndedError
        news = (self._past or self._waiting).popleft()
        return news.name, news.data, self._sealed(news)

    def place(self) -> str | None:
        """The id of this moment; None while something is still to be told."""
        return None if self._past or self._waiting else self._sealed(News(RESET, {}, self._live.mark()))

    def _sealed(self, news: News) -> str:
        mark, secrets = news.mark, self._live.ports.secrets
        ahead = {place: offset for place, offset in self.floor.items() if offset > mark.positions.get(place, 0)}
        if ahead:
            return seal(Mark({**mark.positions, **ahead}, mark.at_ms), secrets, self.workspace_id)
        if news.sealed is None:
            news.sealed = seal(mark, secrets, self.workspace_id)
        return news.sealed

    def close(self) -> None:
        """Listen no more. Whoever waits in `take` is told so."""
        self.end()
        if not self._closed:
            self._closed = True
            self._live.forget(self)

    def end(self) -> None:
        """Let whoever waits in `take` go."""
        self.ended = True
        self._news.set()
