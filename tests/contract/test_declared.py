"""One suite over the registry: what a connector declares is complete, fit for people, and said in the documentation."""

import math
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.contract import Connector, Pull
from connectors.registry import CONNECTORS
from ops.connectors_doc import PAGE, renewed
from tests.contract.vendors import PULLING, TWELVE

WRITE = "write it again: .venv/bin/python -m ops.connectors_doc"
SENTENCE = re.compile(r"\S.*[.!?]", re.DOTALL)


@pytest.fixture(params=PULLING)
def connector(request: pytest.FixtureRequest) -> Connector:
    """Every connector that pulls."""
    return CONNECTORS[request.param]


def pull_of(connector: Connector) -> Pull:
    assert connector.pull is not None
    return connector.pull


def test_a_limit_is_a_real_number(connector: Connector) -> None:
    assert connector.limits, "a source without any limit is not known yet; state a careful one"
    for limit in connector.limits:
        assert isinstance(limit.count, int)
        assert limit.count > 0
        assert 0 < limit.seconds < math.inf
        if limit.zone is not None:
            assert ZoneInfo(limit.zone)
            assert limit.seconds == timedelta(days=1).total_seconds()


def test_what_a_call_spends_is_limited(connector: Connector) -> None:
    buckets = {limit.bucket for limit in connector.limits}
    assert set(pull_of(connector).spends) <= buckets
    assert {headers.bucket for headers in connector.limit_headers} <= buckets
    assert all(cost > 0 for cost in pull_of(connector).spends.values())


def test_header_names_are_lower_case(connector: Connector) -> None:
    for headers in connector.limit_headers:
        assert headers.remaining == headers.remaining.lower()
        assert headers.reset == headers.reset.lower()


def test_it_can_be_connected_and_proved(connector: Connector) -> None:
    assert connector.auths
    assert len({auth.kind for auth in connector.auths}) == len(connector.auths), "one way of each kind"
    assert connector.validate is not None
    assert connector.docs_url.startswith("https://")


def test_a_form_says_where_to_find_what_it_asks_for(connector: Connector) -> None:
    for auth in connector.auths:
        assert auth.fields or auth.kind == "oauth"
        assert len({field.name for field in auth.fields}) == len(auth.fields)
        for field in auth.fields:
            assert field.label.strip()
            assert SENTENCE.fullmatch(field.help), f"{field.name} has no help"
    for field in pull_of(connector).filters:
        assert field.label.strip()
        assert SENTENCE.fullmatch(field.help), f"the filter {field.name} has no help"
        assert not field.secret, "a filter is no secret"


def test_oauth_goes_over_https(connector: Connector) -> None:
    for auth in connector.auths:
        assert (auth.oauth is not None) == (auth.kind == "oauth")
        if auth.oauth is not None:
            assert auth.oauth.authorize_url.startswith(("https://", "/"))
            assert auth.oauth.token_url.startswith(("https://", "/"))


def test_a_call_that_is_not_ready_is_tried_less_and_less_often(connector: Connector) -> None:
    tries = pull_of(connector).tries
    assert tries
    assert list(tries) == sorted(tries)
    assert tries[0] > timedelta(0)
    assert SENTENCE.fullmatch(pull_of(connector).gives_up)


def test_syncs_overlap(connector: Connector) -> None:
    assert timedelta(minutes=5) <= pull_of(connector).overlap <= timedelta(days=31)


def test_a_webhook_says_how_it_is_set_up(connector: Connector) -> None:
    if connector.webhook is not None:
        assert SENTENCE.fullmatch(connector.webhook.setup), "no word on how to set it up"
        assert connector.webhook.keys_url is None or connector.webhook.keys_url.startswith("https://")


def test_the_documentation_names_it(connector: Connector) -> None:
    assert f"### {connector.display_name} (`{connector.source_app}`)" in PAGE.read_text("utf-8"), WRITE
    if connector.source_app in TWELVE:
        assert f"**{connector.display_name}.**" in PAGE.read_text("utf-8"), "no paragraph under “Source by source”"


def test_the_documentation_says_what_the_registry_declares() -> None:
    text = PAGE.read_text("utf-8")
    assert renewed(text, CONNECTORS.values()) == text, WRITE


def test_a_source_is_beta_until_it_was_run_live(connector: Connector) -> None:
    paragraph = "## Status: all of them are BETA" in PAGE.read_text("utf-8")
    assert connector.status == ("beta" if paragraph else "supported")
