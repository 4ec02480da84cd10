"""What will be broken, and in which order: drawn from a seed, so that a run can be repeated. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "join", "leave", "kill", "stop broker", "kill broker", "stop database", "cut", "retry", "again"
]  # fmt: skip
CHANGES = ("join", "leave", "kill")
"""What makes a group rebalance; these are counted."""
ROLES = ("dedup", "dedup", "pipeline", "transcribe")
"""The roles that come and go. Twice dedup: the only one with a table."""
MOST = 3
"""Workers of a role at a time."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `worker` is the one that joins, leaves or is killed."""

    kind: Kind
    worker: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.worker}".strip()


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of everything."""

    changes: int = 60
    broker_stops: int = 2
    broker_kills: int = 1
    database_stops: int = 2
    cuts: int = 1
    retries: int = 3
    agains: int = 3


def steady(role: str) -> str:
    """The first worker of a role. It lives undisturbed for three quarters of a run: its memory is watched, and it is
    the one that waits for the slow transcription."""
    return f"{role}-1"


def role_of(worker: str) -> str:
    """The role a worker's name begins with."""
    return worker.rpartition("-")[0]


def plan(seed: int, amounts: Amounts) -> list[Step]:
    """The steps in their order. Equal arguments, equal steps. Transcription changes first in all three ways, while the
    slow one runs."""
    dice = random.Random(seed)
    there = {role: [steady(role)] for role in ROLES}
    numbers = dict.fromkeys(ROLES, 1)
    steps: list[Step] = []
    for number in range(amounts.changes):
        late = number >= amounts.changes * 3 // 4
        early = ("transcribe", ("join", "kill", "leave")[number]) if number < 3 else None
        role, wanted = early or (dice.choice(ROLES), dice.choice(CHANGES))
        victims = there[role] if late and wanted == "kill" else there[role][1:]
        if (wanted == "join" and len(there[role]) < MOST) or not victims:
            numbers[role] += 1
            there[role].append(f"{role}-{numbers[role]}")
            steps.append(Step("join", there[role][-1]))
        elif wanted == "kill":
            steps.append(Step("kill", dice.choice(victims)))
        else:
            gone = dice.choice(there[role][1:])
            there[role].remove(gone)
            steps.append(Step("leave", gone))
    for kind, count in _besides(amounts):
        for _ in range(count):
            steps.insert(dice.randint(min(3, len(steps)), len(steps)), Step(kind))
    return steps


def _besides(amounts: Amounts) -> Sequence[tuple[Kind, int]]:
    return (
        ("stop broker", amounts.broker_stops),
        ("kill broker", amounts.broker_kills),
        ("stop database", amounts.database_stops),
        ("cut", amounts.cuts),
        ("retry", amounts.retries),
        ("again", amounts.agains),
    )
