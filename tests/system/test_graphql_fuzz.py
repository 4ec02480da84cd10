"""Whatever a client asks that has read the schema, or has not: no answer is a fault of ours.

`CALLSTREAM_FUZZ_EXAMPLES=2000` looks longer.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull, GraphQLSchema, StringValueNode
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema

from tests.conftest import Broker, Database
from tests.graphql_client import PUBLISHED, Client, operation, published
from tests.system.api_harness import Api
from tests.system.sources_harness import Office, open_office
from tests.system.test_api_hub import add_job

pytestmark = [pytest.mark.broker, pytest.mark.database]
EXAMPLES = int(os.environ.get("CALLSTREAM_FUZZ_EXAMPLES", "120"))
TIMES = st.one_of(
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.sampled_from(["2026-01-01", "0001-01-01", "9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-14:00", "soon"]),
)
ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "\x00", "\ud800", "fathom", "FATHOM", "zoom", "' OR 1=1 --", "x" * 70_000, "🦄", "../..", "%s"]
    ),
)


@pytest.fixture
async def office(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Office]:
    """The application with a stand-in of a vendor."""
    async with open_office(tmp_path, broker, database, "fathom") as running:
        yield running


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same so many examples every time."""
    found: list[Any] = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def values(type_: Any, ids: list[str]) -> st.SearchStrategy[Any]:
    """What a client may give for a type, good or bad."""
    if isinstance(type_, GraphQLNonNull):
        return values(type_.of_type, ids)
    if isinstance(type_, GraphQLList):
        return st.lists(values(type_.of_type, ids), max_size=3)
    if isinstance(type_, GraphQLEnumType):
        return st.sampled_from([*type_.values, "NONE"])
    if isinstance(type_, GraphQLInputObjectType):
        return st.fixed_dictionaries({name: values(field.type, ids) for name, field in type_.fields.items()})
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "ID": st.one_of(st.sampled_from(ids), ODD),
        "Int": st.one_of(st.integers(-5, 500), st.sampled_from([2**31 - 1, -(2**31), 2**31, 2**63])),
        "Boolean": st.booleans(),
        "DateTime": TIMES,
    }
    return kinds.get(type_.name, ODD)


def calls(schema: GraphQLSchema, ids: list[str]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """An operation with variables of its own."""
    found = []
    for kind, root in (("query", schema.query_type), ("mutation", schema.mutation_type)):
        assert root is not None
        for name, field in root.fields.items():
            needed = {n: values(a.type, ids) for n, a in field.args.items() if isinstance(a.type, GraphQLNonNull)}
            others = {n: values(a.type, ids) for n, a in field.args.items() if n not in needed}
            given_ = st.fixed_dictionaries(needed, optional=others)
            found.append(given_.map(lambda v, k=kind, n=name: (operation(schema, k, n, v), v)))  # type: ignore[misc]
    return st.one_of(found)


async def check(api: Api, query: str, variables: dict[str, Any]) -> None:
    """Ask, and see that the answer is neither a 500 nor a masked fault."""
    body = json.dumps({"query": query, "variables": variables})
    answer = await api.client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422), (query, variables, answer.text)
    assert "Something went wrong" not in answer.text, (query, variables, answer.text)
    if answer.status_code == 200:
        found = answer.json()
        assert found.get("data") is not None or found["errors"], (query, variables)


@pytest.mark.timeout(900)
async def test_documents_made_from_the_schema_find_no_fault_of_ours(office: Office) -> None:
    time = TIMES.map(lambda text: StringValueNode(value=text))
    for document in examples(from_schema(PUBLISHED.read_text(), custom_scalars={"DateTime": time}), EXAMPLES):
        await check(office.api, document, {})


@pytest.mark.timeout(900)
async def test_variables_of_every_kind_find_no_fault_of_ours(office: Office) -> None:
    client = Client(office.api.client)
    key = office.vendors.credential("fathom")["api_key"]
    made = await client.mutate("createImportCredential", platform="fathom", apiKey=key)
    ids = [made["credential"]["id"], made["job"]["id"], str(await add_job(office.api, "pending", "failed"))]
    for query, variables in examples(calls(published(), ids), EXAMPLES * 2):
        await check(office.api, query, variables)


async def test_broken_documents_find_no_fault_of_ours(office: Office) -> None:
    whole = operation(published(), "mutation", "startImportJob", {"credentialId": "x", "filters": []})
    cuts = st.tuples(st.integers(0, len(whole)), st.integers(0, 12), st.text(max_size=6))
    for start, length, text in examples(cuts, EXAMPLES):
        await check(office.api, whole[:start] + text + whole[start + length :], {"credentialId": "x", "filters": []})
