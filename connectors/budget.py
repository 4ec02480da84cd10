"""What the client asks before and after each request about the limits of an account. Counted elsewhere."""

from typing import Protocol

from connectors.answers import LONGEST_WAIT


class Budget(Protocol):
    """What is spent of an account's limits, wherever that is counted."""

    async def spend(self, bucket: str, cost: int) -> float:
        """0: it is spent. Else nothing is, and it may be tried again in so many seconds."""
        ...

    async def observe(self, bucket: str, remaining: float, seconds: float) -> None:
        """The source says that so much is left, until it begins anew in so many seconds."""
        ...

    async def block(self, bucket: str, seconds: float | None) -> float:
        """The source refused: nothing more for so long; None: until its day is over. How long that is."""
        ...


class NoBudget:
    """For a request or two where nothing is counted: a credential that is checked before it is kept."""

    async def spend(self, bucket: str, cost: int) -> float:
        """Any time."""
        return 0.0

    async def observe(self, bucket: str, remaining: float, seconds: float) -> None:
        """Nobody asks again."""

    async def block(self, bucket: str, seconds: float | None) -> float:
        """As long as the source says."""
        return LONGEST_WAIT if seconds is None else seconds
