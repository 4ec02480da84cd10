"""Whatever a customer's pattern and names are: what was put into a name is read out of it, and nothing else happens."""

from datetime import datetime, timedelta
from string import ascii_letters, digits
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from connectors.filenames import TEXTS, compiled, instant_of, read, sound_of
from connectors.sidecars import facts

FIELDS = [name for name in TEXTS if name != "any"]
VALUES = st.text(ascii_letters + digits + "@.-+ äß会🎉", min_size=1, max_size=20).map(str.strip).filter(bool)
STARTS = st.datetimes(datetime(1971, 1, 1), datetime(2190, 1, 1)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001
ZONES = st.sampled_from(["America/Los_Angeles", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
WORDS = st.text("{}%:!/_ abYmdHM0.[]()|*+?^$\\agent\x00\ud800", max_size=60)


@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=8),
    st.sampled_from(["__", "_|_", "#", " % "]),
    STARTS,
    ZONES,
    st.integers(0, 8),
    st.sampled_from(["%m_%d_%Y", "%Y%m%d", "%d-%b-%Y"]),
)
def test_what_was_put_into_a_name_is_read_out_of_it(
    values: dict[str, str], between: str, start: datetime, zone: str, at: int, form: str
) -> None:
    fields, told = [f"{{{name}}}" for name in values], list(values.values())
    fields.insert(at, f"{{date:{form}}}T{{time:%H_%M_%S}}")
    told.insert(at, start.strftime(f"{form}T%H_%M_%S"))
    named = read(compiled(between.join(fields)), between.join(told) + ".wav", ZoneInfo(zone))
    assert named is not None
    assert {name: value for name, value in named.fields.items() if name in values} == values
    assert named.start == instant_of(start, ZoneInfo(zone))


@given(WORDS, WORDS)
def test_a_pattern_is_understood_or_refused_and_no_name_breaks_it(pattern: str, name: str) -> None:
    try:
        known = compiled(pattern)
    except ValueError:
        return
    named = read(known, name, ZoneInfo("America/Los_Angeles"))
    assert named is None or all(named.fields.values())
    assert name.endswith(sound_of(name))


@given(STARTS, ZONES, st.integers(-7200, 7200))
def test_an_instant_shows_as_the_clock_it_was_read_from(start: datetime, zone: str, later: int) -> None:
    there = ZoneInfo(zone)
    first = instant_of(start, there)
    for found in (first, instant_of(start, there, first + timedelta(seconds=later))):
        shown = found.astimezone(there).replace(tzinfo=None)
        assert shown == start or abs(shown - start) <= timedelta(hours=1), "an hour that is left out in spring"
        assert found - first in (timedelta(0), timedelta(hours=1), timedelta(minutes=30))


@given(st.sampled_from(["a.json", "a.xml", "a.csv"]), st.text(max_size=200))
def test_no_sidecar_breaks_a_call(name: str, text: str) -> None:
    assert all(isinstance(value, str) for pair in facts(name, text, "a.wav").items() for value in pair)
