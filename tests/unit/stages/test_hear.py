"""Long recordings: cut at pauses, paid once a part, put together again; and silence, which is not sent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from schemas.calls import Segment
from schemas.faults import InvalidCall, TransientFault
from tests.unit.stages.test_transcribe import Heard, Measured, World, make_call, only, sounding

LIMIT = 100


@pytest.fixture
def world() -> World:
    """A recording of 330 seconds with pauses at 90, 170 and 260, and a service that takes 100 at a time."""
    world = World()
    world.speech.limit = LIMIT
    world.measured = sounding(330, pauses=[90, 170, 260])
    world.speech.answer = by_part(lambda start: Heard(f"From {start}.", (said(f"From {start}.", 0, 1000),), "en", None))
    return world


PARTS = ["0+90.5", "90.5+80", "170.5+90", "260.5+69.5"]


def by_part(answer: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """What the service says to the part that begins at a second."""
    return lambda sound: answer(sound.decode().partition("+")[0])


def said(text: str, start_ms: int, end_ms: int, speaker: str | None = None) -> Segment:
    return Segment(text=text, start_ms=start_ms, end_ms=end_ms, speaker=speaker)


def sent(world: World) -> list[str]:
    return [sound.decode() for _, sound, _, _ in world.speech.sent]


async def test_a_long_recording_is_cut_at_its_pauses_and_put_together(world: World) -> None:
    ready = await world.finish(make_call())
    assert sent(world) == PARTS
    assert ready.full_transcript == "From 0. From 90.5. From 170.5. From 260.5."
    assert [segment.start_ms for segment in ready.segments] == [0, 90_500, 170_500, 260_500]
    assert (ready.language, ready.duration_ms) == ("en", 330_000)
    rows = {key[4:]: (row["seconds"], row["cost_micros"]) for key, row in world.results.paid.items()}
    assert rows == {
        (0, 90_500): (90.5, 9050),
        (90_500, 170_500): (80, 8000),
        (170_500, 260_500): (90, 9000),
        (260_500, 330_000): (69.5, 6950),
    }
    assert world.steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


async def test_a_few_parts_go_at_a_time(world: World) -> None:
    world.speech.seconds = 10
    await world.finish(make_call())
    assert world.speech.most_at_once == 3


async def test_after_a_fault_only_the_rest_is_paid(world: World) -> None:
    good = world.speech.answer
    fault = TransientFault("speech_to_text_failing", "Down.")
    world.speech.answer = by_part(lambda start: fault if start == "90.5" else good(f"{start}+".encode()))
    with pytest.raises(TransientFault):
        await world.finish(make_call())
    answered = {key[4] for key in world.results.paid}
    assert answered >= {0, 170_500}  # those that were in flight beside the fault are waited for and kept
    assert 90_500 not in answered
    assert world.results.leases == {}
    world.speech.answer = good
    world.speech.sent.clear()
    assert (await world.finish(make_call())).full_transcript == "From 0. From 90.5. From 170.5. From 260.5."
    assert {int(float(part.partition("+")[0]) * 1000) for part in sent(world)} == {
        start for start in (0, 90_500, 170_500, 260_500) if start not in answered
    }


async def test_a_worker_that_ends_leaves_what_was_answered(world: World) -> None:
    world.speech.seconds = 10
    task = asyncio.ensure_future(world.start(make_call()))
    await world.clock.pass_by(15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.results.paid) == 3
    world.steps.clear()
    ready = only(await world.clock.run(world.start(make_call())))
    assert len(ready.segments) == 4
    assert world.steps == [(3, 4), (4, 4)]


async def test_one_that_died_between_the_answer_and_the_result_paid_for_all_of_it(world: World) -> None:
    world.measured = sounding(50)
    world.speech.answer = Heard()
    await world.finish(make_call())
    ((key, row),) = world.results.paid.items()
    assert (key[4:], row["seconds"]) == ((0, 0), 50)
    world.results.rows.clear()
    assert (await world.finish(make_call())).full_transcript == "Hello. Hi."
    assert len(world.speech.sent) == 1


async def test_a_recording_without_any_sound_is_not_sent(world: World) -> None:
    world.measured = Measured(330, bytes([90]) * 3300)
    ready = await world.finish(make_call())
    assert (ready.full_transcript, ready.segments, ready.duration_ms) == ("", (), 330_000)
    assert ready.metadata_quality == "minimal"
    assert (world.speech.sent, world.results.paid) == ([], {})


async def test_a_part_without_any_sound_is_not_sent(world: World) -> None:
    world.measured = Measured(330, bytes([20]) * 800 + bytes([120]) * 1300 + bytes([20]) * 1200)
    ready = await world.finish(make_call())
    assert len(sent(world)) == len(ready.segments) == len(world.results.paid) < 4


async def test_a_recording_that_is_not_readable_is_at_fault_and_costs_nothing(world: World) -> None:
    async def measure(_: object) -> Measured:
        raise InvalidCall("media_unreadable", "The recording could not be read.")

    world.measure = measure  # type: ignore[method-assign,assignment]
    with pytest.raises(InvalidCall):
        await world.finish(make_call())
    assert (world.speech.sent, world.results.leases) == ([], {})


async def test_speakers_are_known_again_by_their_voices(world: World) -> None:
    world.speech.tells_speakers = True
    answers = {
        "0": [said("a", 0, 30_000, "A"), said("b", 30_000, 35_000, "B")],
        "90.5": [said("c", 0, 9000, "known-2"), said("d", 9000, 20_000, "A")],
        "170.5": [said("e", 0, 5000, "known-1"), said("f", 5000, 6000, "C")],
        "260.5": [said("g", 0, 5000, "known-3"), said("h", 5000, 9000, "B")],
    }
    world.speech.answer = by_part(lambda start: Heard("Words.", tuple(answers[start]), None, None))
    ready = await world.finish(make_call())
    assert [segment.speaker for segment in ready.segments] == ["A", "B", "B", "C", "A", "D", "C", "E"]
    assert world.speech.most_at_once == 1
    assert [[name for name, _ in voices] for voices in world.speech.voices] == [
        [],
        ["known-1", "known-2"],
        ["known-1", "known-2", "known-3"],
        ["known-1", "known-2", "known-3"],
    ]
    assert world.speech.voices[1][0][1] == b"11+8"  # the middle of the longest time that A speaks alone


async def test_speakers_of_a_short_recording_keep_the_vendors_labels(world: World) -> None:
    world.measured, world.speech.tells_speakers = sounding(50), True
    world.speech.answer = Heard("Words.", (said("a", 0, 900, "B"), said("b", 900, 990, "A")), None, None)
    ready = await world.finish(make_call())
    assert [segment.speaker for segment in ready.segments] == ["B", "A"]
