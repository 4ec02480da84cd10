"""How deep a document goes and what it costs, by hand and by properties."""

import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st

from api.graphql import limits
from api.graphql.limits import SizeLimit
from api.graphql.schema import schema

INNER = schema._schema


def refused(document: str) -> list[str]:
    """What the rule says about a document."""
    return [error.message for error in validate(INNER, parse(document), [SizeLimit])]


def cost(document: str) -> int:
    """What a document costs, as the rule says when nothing is allowed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAX_COST", -1)
        [sentence] = refused(document)
    return int(sentence.split()[3])


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ("{ importJob(id: 1) { id } }", 2),
        ("{ importJob(id: 1) { a: id b: id c: id } }", 4),
        ("{ importJobs { id status } }", 1 + 20 * 2),
        ("{ importJobs(limit: 7) { id status } }", 1 + 7 * 2),
        ("{ importJobs(limit: 9999) { id } }", 1 + 200),
        ("{ importJobs(limit: -4) { id } }", 1 + 1),
        ("query($n: Int) { importJobs(limit: $n) { id } }", 1 + 200),
        ("{ importCredentials { id } }", 1 + 50),
        ("{ importPlatforms { auths { fields { name } } } }", 1 + 20 * (1 + 3 * (1 + 6))),
        ('{ importPreview(credentialId: 1, dateRangeStart: "x", dateRangeEnd: "y") { callCount } }', 1001),
        ("mutation { cancelImportJob(jobId: 1) { job { id } } }", 1000 + 3),
        ("mutation { ...M } fragment M on Mutation { cancelImportJob(jobId: 1) { job { id } } }", 1000 + 3),
        ("{ importJobs(limit: 3) { ...J ...J } } fragment J on ImportJob { id status }", 1 + 3 * 4),
        ("{ __schema { types { name } } }", 1),
        ("{ ... { ... on Query { importJob(id: 1) { id } } } }", 2),
        ("{ ...Nobody }", 0),
        ("{ ...A } fragment A on Query { ...B importJob(id: 1) { id } } fragment B on Query { ...A }", 2),
    ],
)
def test_a_document_costs_the_values_it_may_answer(document: str, wanted: int) -> None:
    assert cost(document) == wanted


def test_depth_counts_through_fragments() -> None:
    deep = "{ importJob(id: 1) { ...F0 } } " + " ".join(
        f"fragment F{n} on ImportJob {{ a {{ ...F{n + 1} }} }}" for n in range(9)
    )
    assert refused(deep + " fragment F9 on ImportJob { b }")
    assert not refused("{ importJob(id: 1) { ...F } } fragment F on ImportJob { a { b { c { d { e } } } } }")


@given(st.integers(1, 30), st.integers(1, 6))
def test_fragments_that_multiply_are_counted_and_not_walked(chain: int, times: int) -> None:
    spreads = " ".join(f"fragment F{n} on ImportJob {{ {f'...F{n + 1} ' * times} }}" for n in range(chain))
    document = f"{{ importJob(id: 1) {{ ...F0 }} }} {spreads} fragment F{chain} on ImportJob {{ id }}"
    assert cost(document) == 1 + times**chain
