"""What all parts of a run share, and what it says: lines to follow it by, numbers, and breaches of the promise."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ops.local import Local
from tests.chaos.crew import Crew, Memory
from tests.chaos.feed import Feed
from tests.chaos.outcomes import Outcomes
from tests.chaos.plan import Amounts
from tests.stack import Stack, until


@dataclass(frozen=True)
class Wishes:
    """How long, how much, and where the report goes."""

    seed: int
    storm_seconds: float
    amounts: Amounts
    cut_seconds: float = 120.0
    slow_seconds: float = 60.0
    """How long the slow transcription takes."""
    backlog: int = 3000
    """Events that wait at any time while workers come and go."""
    between: int = 150
    """Outcomes between two steps: work must go on, or it is a breach."""
    keys: int = 1_000_000
    """Keys of the dedup table that is restored; 0: that part is left out."""
    rolling: tuple[str, ...] = ("dedup", "pipeline", "transcribe")
    """The roles that are deployed one worker after another."""
    hang: bool = True
    stall_seconds: float = 30.0
    """The watchdog's patience."""
    still_seconds: float = 240.0
    """No outcome for this long, although work waits, is a breach."""
    lived_seconds: float = 60.0
    """Whose memory is judged: processes that lived this long."""


@dataclass
class Run:
    """The parts of a run, and its findings so far."""

    wishes: Wishes
    servers: Local
    stack: Stack
    crew: Crew
    feed: Feed
    outcomes: Outcomes
    memory: Memory
    dice: Random
    show: Callable[[str], None]
    restarted: list[str] = field(default_factory=list)
    """Roles that the watchdog restarted."""
    steps: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """A line of progress."""
        self.show(f"{time.monotonic() - self.began:6.1f} s  {line}")

    def breach(self, sentence: str) -> None:
        """The promise was broken."""
        self.breaches.append(sentence)
        self.say(f"BREACH: {sentence}")

    @property
    def open(self) -> int:
        """Events without an outcome yet."""
        return self.feed.total - len(self.outcomes.seen)

    async def went_on(self, count: int) -> bool:
        """Wait for so many more outcomes, or for all there can be. False, and a breach, when work stands still."""
        goal = self.outcomes.records + count

        async def enough() -> bool:
            return self.outcomes.records >= goal or self.open <= 0

        try:
            await until(enough, self.wishes.still_seconds, f"{count} more outcomes")
        except AssertionError:
            self.breach(f"Work stood still for {self.wishes.still_seconds:.0f} s after: {self.steps[-1:]}")
            return False
        return True

    def report(self) -> dict[str, Any]:
        """All of it, for a machine."""
        return {
            "seed": self.wishes.seed,
            "seconds": round(time.monotonic() - self.began, 1),
            "kept": not self.breaches,
            "breaches": self.breaches,
            "numbers": self.numbers,
            "steps": self.steps,
        }


def write_report(report: dict[str, Any], folder: Path, logs: Path | None) -> Path:
    """Write chaos-report.json, and beside it what the workers said when something was broken."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "chaos-report.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    if report["breaches"] and logs is not None and logs.exists():
        shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
    return path


def as_text(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = ["", f"Seed {report['seed']}, {report['seconds']:.0f} s, {len(report['steps'])} steps."]
    for name, value in report["numbers"].items():
        if isinstance(value, dict):
            lines.append(f"{name}:")
            lines += [f"    {key}: {_plain(inner)}" for key, inner in value.items()]
        else:
            lines.append(f"{name}: {_plain(value)}")
    lines.append("")
    lines += [f"BREACH: {sentence}" for sentence in report["breaches"]]
    lines.append("The promise was broken." if report["breaches"] else "The promise was kept.")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return str(value)
