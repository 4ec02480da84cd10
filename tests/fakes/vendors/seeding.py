"""Many calls at once: plain ones, and hostile ones with everything that breaks careless code."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from tests.fakes.vendors.shapes import FakeCall, Line, Person

NAMES = ("Mila Chen", "Sam Ortiz", "Rosa Lind", "Theo Grant", "Ines Vogel", "Noor Haddad")
SAID = (
    "Good morning, can you hear me?", "Yes, loud and clear.", "Then let us begin with the numbers.",
    "Two deals moved into the next month.", "I will send the offer today.", "Thank you, until Thursday.",
)  # fmt: skip
HUGE_LINES = 6_000
FIRST_ID = 500_001


def seeded(
    before: int, count: int, since: datetime, until: datetime, chance: Random, *, hostile: bool = False
) -> list[FakeCall]:
    """`count` calls that begin within [since, until), numbered on from the `before` that are there."""
    span = (until - since).total_seconds()
    starts = sorted(since + timedelta(seconds=int(chance.random() * span)) for _ in range(count))
    calls = [_plain(FIRST_ID + before + number, start, chance) for number, start in enumerate(starts)]
    if hostile:
        for number, call in enumerate(calls):
            TRICKS[number % len(TRICKS)](call)
    return calls


def _plain(number: int, start: datetime, chance: Random) -> FakeCall:
    names = chance.sample(NAMES, 2)
    lines, at = [], round(chance.uniform(0.2, 3.0), 2)
    for turn in range(chance.randint(2, len(SAID))):
        end = round(at + len(SAID[turn]) * 0.06, 2)
        lines.append(Line(names[turn % 2], at, end, SAID[turn]))
        at = round(end + chance.uniform(0.1, 5.0), 2)
    people = [
        Person(name, f"{name.split()[0].lower()}@acme.example", f"+1415555{NAMES.index(name):04d}") for name in names
    ]
    title = f"{chance.choice(('Review', 'Demo', 'Renewal', 'Planning'))} {number}"
    return FakeCall(str(number), title, start.replace(microsecond=0), float(int(at) + 10), people, lines)


def _odd_unicode(call: FakeCall) -> None:
    call.title = "Ünïcødé \u202eevil\u202c 会議 🧑‍🤝‍🧑 e\u0301 \ufeff\u200b"
    call.people = [Person("Zoë \u0000\u2028 Ω", "zoë@bücher.example", None), *call.people[1:]]
    call.lines = [Line("Zoë \u2028 Ω", line.start_s, line.end_s, line.text + " 🎉\u200d\u2029") for line in call.lines]


def _null_bytes(call: FakeCall) -> None:
    call.title = "Null\x00 in the title"
    call.lines = [Line(line.speaker, line.start_s, line.end_s, f"a\x00b {line.text}") for line in call.lines]


def _lone_surrogate(call: FakeCall) -> None:
    call.title = "Half an emoji \ud83d"
    call.lines = [Line(line.speaker, line.start_s, line.end_s, line.text + " \udc00") for line in call.lines]


def _long_title(call: FakeCall) -> None:
    call.title = "Very long " * 2_000


def _huge(call: FakeCall) -> None:
    """Longer than a message of the stream may be."""
    call.lines = [
        Line(f"Speaker {number % 3}", number * 2.0, number * 2.0 + 1.5, f"Sentence {number}: " + "word " * 25)
        for number in range(HUGE_LINES)
    ]
    call.duration_s = HUGE_LINES * 2.0


def _nobody(call: FakeCall) -> None:
    call.people = []
    call.lines = [Line(None, line.start_s, line.end_s, line.text) for line in call.lines]


def _skewed(call: FakeCall) -> None:
    """The recorder's clock was wrong: lines end before they begin, lie after the end, and it was changed earlier."""
    call.lines = [Line(line.speaker, line.start_s + 7, line.end_s, line.text) for line in call.lines]
    call.lines.append(Line("Late", call.duration_s + 900, call.duration_s + 901, "This comes after the end."))
    call.changed_at = call.started_at - timedelta(hours=3)


def _empty_words(call: FakeCall) -> None:
    call.title = ""
    call.lines = [Line("", line.start_s, line.end_s, "  " if number % 2 else line.text)
                  for number, line in enumerate(call.lines)]  # fmt: skip


def _markup(call: FakeCall) -> None:
    call.title = "<script>alert('x')</script> & '; DROP TABLE calls; --"
    call.lines = [Line("Note: this", line.start_s, line.end_s, f"<b>At 10:30:</b> {line.text}") for line in call.lines]


TRICKS = (
    _odd_unicode, _null_bytes, _long_title, _nobody, _skewed, _lone_surrogate, _empty_words, _markup, _huge,
)  # fmt: skip
"""In this order, so that nine hostile calls show each."""
