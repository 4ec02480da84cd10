"""Every fault callstream knows, and what each one means.

Exception
└── Fault                   carries `reason` (snake_case, fit for a metric label) and a sentence for a person
    ├── ConfigFault         a credential or setting is missing or refused: no automatic cure, a person must act
    ├── TransientFault      somebody else is slow, away or limiting us: try again, later if told so
    ├── OutageFault         our own PostgreSQL, Kafka or media store is away: wait for it, never give up
    ├── InvalidCall         the call itself is at fault: it cannot become right by trying again
    ├── MissingFault        the source has no such thing, or not any more
    └── CursorFault         the source has forgotten where we were in its list: begin the list again

Any other exception is a bug of ours: dead-lettered with its trace, and a run of them stops the worker.
"""


class Fault(Exception):
    """Base of all faults. `str(fault)` is the sentence a person reads; `detail` is for the engineer."""

    retryable = False

    def __init__(self, reason: str, sentence: str, *, detail: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.detail = detail


class ConfigFault(Fault):
    """Something must be set up first. Not retried by itself; a retry by hand works once it is mended."""


class TransientFault(Fault):
    """Worth trying again. `retry_after` is in seconds, when the other side named a time."""

    retryable = True

    def __init__(self, reason: str, sentence: str, *, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(reason, sentence, detail=detail)
        self.retry_after = retry_after


class OutageFault(Fault):
    """One of our own stores is unreachable. The runner waits for it with readiness red instead of dead-lettering."""

    retryable = True


class InvalidCall(Fault):
    """The call cannot be decoded, misses a field, or brings media nobody can read. `field` names the culprit."""

    def __init__(self, reason: str, sentence: str, *, field: str = "", detail: str = "") -> None:
        super().__init__(reason, sentence, detail=detail)
        self.field = field


class MissingFault(Fault):
    """The source does not have it. Whether that is an answer or a fault is for the asker to say."""


class CursorFault(Fault):
    """A cursor has expired. Beginning again is safe: what was accepted is known."""

    retryable = True
