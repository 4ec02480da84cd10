"""Believable calls: who talks to whom about what. The same seed tells the same stories.

Companies, people and numbers are invented; addresses end in `.example` and numbers lie in the range kept for fiction.
"""

from datetime import datetime, timedelta
from random import Random

from tests.fakes.vendors.core import FakeCall, Line, Person

OURS = ("Mila Chen", "Sam Ortiz", "Noor Haddad", "Theo Grant", "Ines Vogel", "Jonas Ek", "Amara Obi", "Priya Nair")
THEIRS = {
    "Northwind": ("Rosa Lind", "Henrik Dahl"),
    "Halden Foods": ("Marta Kowalska", "Luis Prado"),
    "Birchwood Clinic": ("Dr. Yuki Tanaka", "Clare Monroe"),
    "Castelló Logistics": ("Jordi Ferrer", "Núria Vidal"),
    "Ostermann GmbH": ("Jürgen Weiß", "Antje Brandt"),
    "Lumen & Field": ("Eve Adeyemi", "Oscar Bright"),
    "Tidewater Bank": ("Grace Whitlock", "Ravi Menon"),
    "Maple Street School": ("Hannah Cole", "Ben Archer"),
    "Fjord Energy": ("Sigrid Solberg", "Lars Nygård"),
    "Kestrel Robotics": ("Wei Zhang", "Dana Levi"),
}
TOPICS: dict[str, tuple[str, ...]] = {
    "discovery": (
        "Thanks for making the time. What made you look for something new?",
        "Mostly that nobody can find what was said three weeks ago.",
        "How are you dealing with that today?",
        "Everybody keeps notes of their own, and they never agree.",
        "If that were solved, who would notice first?",
        "Our support team, without a doubt.",
        "And who else has to agree to a change like this?",
        "Finance wants to see the numbers, and our security people will have questions.",
    ),
    "demo": (
        "Can you see my screen?",
        "Yes, we see the list of calls.",
        "I search for the word refund, and here are all the places where somebody said it.",
        "That is quicker than I expected. Does it work in other languages?",
        "It does. This one was in German, and you can switch while you read.",
        "What happens when the recording is missing?",
        "Then the call waits, and it tells you what it is waiting for.",
        "Good. That is exactly what went wrong for us last time.",
    ),
    "renewal": (
        "Your contract runs until the end of the quarter, so let us look at what you use.",
        "We started with twelve seats and need twenty by now.",
        "Then the larger plan would be cheaper for you from the first month.",
        "Could we keep the price of this year if we sign for two?",
        "I will ask, and you will have an answer by Thursday.",
        "Please put the data centre in Frankfurt into the offer as well.",
        "Noted. Anything that did not go well this year?",
        "The export was slow in spring, but that seems to be mended.",
    ),
    "onboarding": (
        "Let us walk through the setup together.",
        "I have the admin page open.",
        "First we connect the calendar, then we invite your colleagues.",
        "Do they all need an account?",
        "Only those who record. Everybody else can read by link.",
        "The invitation arrived. Now it asks me for a time zone.",
        "Take the one of your office, it can be changed later.",
        "Done. And the first meeting is already there.",
    ),
    "support": (
        "You wrote that the import stopped on Monday. What do you see now?",
        "It says that a right is missing, and names it.",
        "Then somebody has changed the role of the account at the vendor.",
        "That was me, I am afraid. Which one has to be ticked?",
        "The one for reading recordings. After that press Connect again.",
        "I did, and it goes on where it stopped.",
        "It catches up by itself, you need not do anything else.",
        "Perfect, then this can be closed.",
    ),
    "pricing": (
        "I have the offer in front of me and two questions.",
        "Please, go ahead.",
        "Is the transcription included, or does it come on top?",
        "Calls with a transcript of their own cost nothing more. Recordings are counted by the minute.",
        "And what would that have been for us last month?",
        "About forty euros, at four thousand minutes.",
        "That is less than the coffee machine. Send me the contract.",
        "You will have it this afternoon.",
    ),
    "planning": (
        "Let us go through what is open.",
        "The draft is with legal, we should hear by Friday.",
        "And the pilot group?",
        "Nine of ten have said yes. I will ring the last one today.",
        "Then we start on the first of the month, as planned.",
        "One thing: we still have no name for the project.",
        "I thought we had agreed on Lighthouse.",
        "Had we? Fine by me.",
    ),
}
TITLES = {
    "discovery": "{company}: discovery",
    "demo": "Demo for {company}",
    "renewal": "{company} renewal",
    "onboarding": "Onboarding {company}",
    "support": "{company}: import stopped",
    "pricing": "{company} – pricing questions",
    "planning": "Weekly with {company}",
}
FIRST_HOUR, LAST_HOUR = 8, 18
SECONDS_A_WORD = 0.4


def call(number: int, start: datetime, chance: Random, *, spoken: bool = True) -> FakeCall:
    """One call of our sales or support with a customer. `number` makes its id; without `spoken` only a recording."""
    company = chance.choice(sorted(THEIRS))
    topic = chance.choice(sorted(TOPICS))
    ours, theirs = _ours(chance), _theirs(company, chance)
    lines = _lines(topic, ours, theirs, chance)
    length = int(lines[-1].end_s) + chance.randint(2, 20)
    return FakeCall(
        id=f"{number}",
        title=TITLES[topic].format(company=company),
        started_at=start,
        duration_s=length,
        people=[ours, theirs],
        lines=lines,
        has_transcript=spoken,
    )


def history(count: int, until: datetime, days: int, chance: Random, *, spoken: float = 1.0) -> list[FakeCall]:
    """Calls in the working hours of the last days, oldest first; a share of them without a transcript."""
    starts = sorted(_working_hour(until, days, chance) for _ in range(count))
    return [
        call(1000 + number, start, chance, spoken=chance.random() < spoken)
        for number, start in enumerate(starts)
    ]  # fmt: skip


def _working_hour(until: datetime, days: int, chance: Random) -> datetime:
    """A moment on a weekday between eight and six, at least an hour ago."""
    while True:
        day = until - timedelta(days=chance.randrange(days))
        hour, minute = chance.randrange(FIRST_HOUR, LAST_HOUR), chance.choice(range(0, 60, 5))
        start = day.replace(hour=hour, minute=minute, second=chance.randrange(60), microsecond=0)
        if start.weekday() < 5 and start < until - timedelta(hours=1):
            return start


def _lines(topic: str, ours: Person, theirs: Person, chance: Random) -> list[Line]:
    """The topic's talk, some other talk in the middle, and real pauses."""
    other = chance.choice(sorted(TOPICS))
    talk = [*TOPICS[topic][:4], *TOPICS[other][2:6], *TOPICS[topic][4:]]
    lines, at = [], chance.uniform(0.5, 4.0)
    for number, text in enumerate(talk):
        end = at + len(text.split()) * SECONDS_A_WORD
        speaker = (ours, theirs)[number % 2].name or "Guest"
        lines.append(Line(speaker=speaker, start_s=round(at, 2), end_s=round(end, 2), text=text))
        at = end + chance.uniform(0.2, 25.0)
    return lines


def _ours(chance: Random) -> Person:
    name = chance.choice(OURS)
    phone = f"+1415555010{OURS.index(name)}"
    return Person(name=name, email=f"{name.split()[0].lower()}@acme.example", phone=phone)


def _theirs(company: str, chance: Random) -> Person:
    name = chance.choice(THEIRS[company])
    domain = "".join(character for character in company.split()[0].lower() if character.isascii())
    phone = f"+1415555012{sorted(THEIRS).index(company)}"
    first = "".join(character for character in name.split()[-2].lower() if character.isalpha() and character.isascii())
    return Person(name=name, email=f"{first or 'info'}@{domain}.example", phone=phone)
