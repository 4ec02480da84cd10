"""The plan of a chaos run: the same seed gives the same steps, and no step asks for what cannot be done."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.plan import CHANGES, MOST, ROLES, Amounts, plan, role_of, steady

SEEDS = st.integers(0, 10**6)


def test_the_same_seed_gives_the_same_steps_and_another_one_others() -> None:
    assert plan(7, Amounts()) == plan(7, Amounts())
    assert plan(7, Amounts()) != plan(8, Amounts())


@given(SEEDS, st.integers(0, 80))
def test_everything_that_is_wished_for_happens(seed: int, changes: int) -> None:
    kinds = Counter(step.kind for step in plan(seed, Amounts(changes=changes)))
    assert sum(kinds[kind] for kind in CHANGES) == changes
    rest = {"stop broker": 2, "kill broker": 1, "stop database": 2, "cut": 1, "retry": 3, "again": 3}
    assert {kind: kinds[kind] for kind in rest} == rest


@given(SEEDS)
def test_only_who_is_there_leaves_or_is_killed_and_the_first_of_each_role_stays(seed: int) -> None:
    there = {steady(role) for role in ROLES}
    for step in plan(seed, Amounts()):
        if step.kind == "join":
            assert step.worker not in there
            there.add(step.worker)
        elif step.kind in CHANGES:
            assert step.worker in there
        if step.kind == "leave":
            there.remove(step.worker)
        assert {steady(role) for role in ROLES} <= there
        assert max(Counter(map(role_of, there)).values()) <= MOST


@given(SEEDS)
def test_the_steady_workers_live_undisturbed_for_three_quarters(seed: int) -> None:
    steps = [step for step in plan(seed, Amounts()) if step.kind in CHANGES]
    assert not {step.worker for step in steps[:45]} & {steady(role) for role in ROLES}


def test_transcription_changes_first_in_all_three_ways() -> None:
    assert [str(step) for step in plan(1, Amounts())[:3]] == [
        "join transcribe-2", "kill transcribe-2", "leave transcribe-2",
    ]  # fmt: skip
