"""Exceptions to the house rules, each with its reason. A waiver that excuses nothing any more fails the tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Waiver:
    """`rule` does not hold for what lies under `path`; `what` narrows it down to one name."""

    rule: str
    path: str
    reason: str
    what: str = ""

    def excuses(self, rule: str, path: str, what: str) -> bool:
        """Whether a breach of `rule` in `path` about `what` is excused."""
        inside = path == self.path or path.startswith(self.path.rstrip("/") + "/")
        return rule == self.rule and inside and self.what in ("", what)


WAIVERS = (
    Waiver("libraries", "ops", "sets up and watches the brokers themselves: topics, groups, offsets", "aiokafka"),
    Waiver("libraries", "streams/app.py", "asks the broker whether a hole in the offsets holds records", "aiokafka"),
    Waiver("libraries", "streams/audit.py", "a reader of its own that owes nothing to Faust", "aiokafka"),
    Waiver("length", "connectors/contract.py", "the types a connector sees, all in one place; docstrings, no code"),
    Waiver("clock", "ops", "runs outside the pipeline: process ages, file names and ids of servers, not events"),
)
