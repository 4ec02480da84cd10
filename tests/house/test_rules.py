"""Our own source keeps the house rules of CONTRIBUTING.md, and no waiver outlives its reason."""

import pytest

from tests.house.checks import CHECKS
from tests.house.source import ROOT, Source, sources
from tests.house.waivers import WAIVERS, Waiver


def _breaches(rule: str, of: Source, waivers: tuple[Waiver, ...] = WAIVERS) -> list[str]:
    return [
        sentence
        for what, sentence in CHECKS[rule](of)
        if not any(waiver.excuses(rule, of.path, what) for waiver in waivers)
    ]


@pytest.mark.parametrize("rule", CHECKS)
def test_our_source_keeps_the_rule(rule: str) -> None:
    assert [breach for of in sources() for breach in _breaches(rule, of)] == []


@pytest.mark.parametrize("waiver", WAIVERS, ids=lambda waiver: f"{waiver.rule}-{waiver.path}-{waiver.what}")
def test_a_waiver_names_a_rule_and_a_reason_and_is_needed(waiver: Waiver) -> None:
    assert waiver.rule in CHECKS
    assert len(waiver.reason.split()) >= 4
    if not (ROOT / waiver.path).exists():
        pytest.fail(f"{waiver.path} is no more; take its waiver away")
    others = tuple(other for other in WAIVERS if other != waiver)
    assert any(_breaches(waiver.rule, of, others) for of in sources()), "nothing breaks the rule any more: take it away"
