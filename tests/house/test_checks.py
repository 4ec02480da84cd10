"""The checks themselves, on made-up sources: each breach is seen, and what only looks like one is let be."""

import pytest

from tests.house.checks import CHECKS
from tests.house.source import imports, source
from tests.house.waivers import Waiver

BREACHES: list[tuple[str, str, str]] = [
    ("import_direction", "schemas/calls.py", "from connectors.contract import Connector"),
    ("import_direction", "schemas/calls.py", "import streams.io.clock"),
    ("import_direction", "schemas/calls.py", "def f():\n    from api import app"),
    ("import_direction", "connectors/gong.py", "from streams.io import clock"),
    ("import_direction", "connectors/gong.py", "from ops.cli import main"),
    ("import_direction", "streams/io/bus.py", "from streams.runner import run"),
    ("import_direction", "streams/io/bus.py", "from .. import runner"),
    ("import_direction", "streams/io/bus.py", "from connectors import registry"),
    ("import_direction", "streams/stages/dedup.py", "from streams.io import store"),
    ("import_direction", "streams/stages/dedup.py", "from connectors.registry import CONNECTORS"),
    ("import_direction", "streams/runner.py", "from api.app import app"),
    ("import_direction", "streams/runner.py", "import ops"),
    ("import_direction", "api/app.py", "from streams.app import make_app"),
    ("import_direction", "api/app.py", "from streams.agents import dedup"),
    ("import_direction", "api/app.py", "from streams import runner"),
    ("import_direction", "api/app.py", "import importlib\nimportlib.import_module('ops.cli')"),
    ("import_direction", "ops/cli.py", "from tests.fakes import openai_server"),
    ("libraries", "api/app.py", "import faust"),
    ("libraries", "streams/stages/dedup.py", "from faust.tables import Table"),
    ("libraries", "streams/audit.py", "import mode"),
    ("libraries", "connectors/gong.py", "import asyncpg"),
    ("libraries", "api/routes/calls.py", "from asyncpg import Pool"),
    ("libraries", "streams/runner.py", "from aiokafka.errors import KafkaError"),
    ("libraries", "streams/stages/transcribe.py", "import openai"),
    ("libraries", "streams/io/store.py", "import psycopg"),
    ("http_clients", "streams/io/whisper.py", "import httpx2\nclient = httpx2.AsyncClient()"),
    ("http_clients", "api/app.py", "from httpx2 import AsyncClient"),
    ("http_clients", "connectors/gong.py", "import httpx2\nhttpx2.get('https://example.com')"),
    ("http_clients", "connectors/gong.py", "import requests"),
    ("length", "connectors/gong.py", "x = 1\n" * 231),
    ("length", "api/app.py", "x = 1\n" * 401),
    ("clock", "api/app.py", "from datetime import UTC, datetime\nnow = datetime.now(UTC)"),
    ("clock", "api/app.py", "import datetime\nnow = datetime.datetime.utcnow()"),
    ("clock", "api/app.py", "from datetime import date\nday = date.today()"),
    ("clock", "streams/runner.py", "import time\nt = time.time()"),
    ("clock", "streams/runner.py", "from time import time"),
    ("clock", "streams/runner.py", "from uuid import uuid4\ni = uuid4()"),
    ("clock", "streams/runner.py", "import uuid\ni = uuid.uuid4()"),
    ("metrics", "streams/runner.py", "from prometheus_client import Counter"),
    ("metrics", "streams/runner.py", "import prometheus_client\nx = prometheus_client.Gauge('a', 'b')"),
    ("topic_names", "streams/runner.py", "topic = 'calls.raw.v1'"),
    ("topic_names", "api/app.py", "send('imports.forgotten.v2')"),
    ("formatted_sql", "streams/io/store.py", "f'SELECT a FROM b WHERE c = {d}'"),
    ("formatted_sql", "streams/io/store.py", "f'SELECT find({d})'"),
    ("formatted_sql", "streams/io/store.py", "f'''\n  INSERT INTO b\n  VALUES ({d})'''"),
    ("formatted_sql", "streams/io/store.py", "f'UPDATE b SET c = {d}'"),
    ("formatted_sql", "streams/io/store.py", "f'DELETE FROM {b}'"),
    ("formatted_sql", "streams/io/store.py", "'SELECT a FROM b WHERE c = %s' % d"),
    ("formatted_sql", "streams/io/store.py", "'SELECT a FROM {}'.format(b)"),
    ("formatted_sql", "streams/io/store.py", "'SELECT a FROM ' + b"),
    ("formatted_sql", "streams/io/store.py", "query + ' WHERE a = ' + b"),
    ("docstrings", "api/app.py", "x = 1"),
    ("docstrings", "api/app.py", "'''Words.'''\ndef f():\n    return 1"),
    ("docstrings", "api/app.py", "'''Words.'''\nasync def f():\n    return 1"),
    ("docstrings", "api/app.py", "'''Words.'''\nclass A:\n    x = 1"),
    ("docstrings", "api/app.py", "'''Words.'''\nclass A:\n    '''Words.'''\n    def f(self):\n        return 1"),
    ("docstrings", "api/app.py", "'''Words.'''\nif x:\n    def f():\n        return 1"),
    ("docstrings", "api/__init__.py", "x = 1"),
]

FINE: list[tuple[str, str, str]] = [
    ("import_direction", "schemas/topics.py", "from schemas.calls import Call"),
    ("import_direction", "connectors/gong.py", "from connectors.contract import Connector\nimport schemas.calls"),
    ("import_direction", "streams/io/bus.py", "from streams.io import clock\nfrom . import media"),
    (
        "import_direction",
        "streams/agents/dedup.py",
        "from connectors.registry import CONNECTORS\nimport streams.io.bus",
    ),
    ("import_direction", "api/app.py", "from streams.io import bus\nfrom connectors import registry\nimport api.deps"),
    ("import_direction", "ops/cli.py", "import api.app, streams.app, connectors.registry"),
    ("import_direction", "api/app.py", "import apiary, opsgenie, streamsets, schemas_of_others"),
    ("libraries", "streams/agents/dedup.py", "import faust"),
    ("libraries", "streams/app.py", "import faust, mode"),
    ("libraries", "streams/io/store.py", "import asyncpg"),
    ("libraries", "api/app.py", "import avro, models, openai_tools"),
    ("http_clients", "streams/io/fetch.py", "import httpx2\nhttpx2.AsyncClient()"),
    ("http_clients", "streams/io/whisper.py", "import httpx2\nx = httpx2.Timeout(5)"),
    ("length", "connectors/gong.py", "x = 1\n" * 230),
    ("length", "api/app.py", "x = 1\n" * 400),
    ("clock", "streams/io/clock.py", "import time\nt = time.time()"),
    ("clock", "api/app.py", "import time\nt = time.monotonic()\nt = time.perf_counter()"),
    ("clock", "api/app.py", "from streams.io import clock\nt = clock.now()\ni = clock.new_id()"),
    ("metrics", "schemas/metrics.py", "from prometheus_client import Counter"),
    ("metrics", "api/app.py", "from collections import Counter\nfrom enum import Enum\nx = Counter()"),
    ("metrics", "api/app.py", "from prometheus_client import generate_latest"),
    ("topic_names", "schemas/topics.py", "RAW = 'calls.raw.v1'"),
    ("topic_names", "api/app.py", "'''Reads calls.raw.v1.'''\nx = 'follow calls.raw.v1'"),
    ("formatted_sql", "streams/io/store.py", "'SELECT a FROM b' ' WHERE c = $1'"),
    ("formatted_sql", "streams/io/store.py", "'SELECT a FROM b' + ' WHERE c = $1'"),
    ("formatted_sql", "streams/io/store.py", "f'SELECT ROLE for {name} from the list'"),
    ("formatted_sql", "streams/io/store.py", "f'Select a file, {name}, and delete from the list'"),
    ("formatted_sql", "streams/io/store.py", "'%s calls' % n"),
    ("docstrings", "api/__init__.py", ""),
    (
        "docstrings",
        "api/app.py",
        "'''Words.'''\ndef _f():\n    return 1\nclass _A:\n    def f(self):\n        return 1",
    ),
    ("docstrings", "api/app.py", "'''Words.'''\nclass A:\n    '''Words.'''\n    def f(self) -> int: ..."),
    ("docstrings", "api/app.py", "'''Words.'''\ndef f():\n    '''Words.'''\n    def inner():\n        return 1"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES)
def test_a_breach_is_seen(rule: str, path: str, text: str) -> None:
    found = list(CHECKS[rule](source(path, text)))
    assert found
    assert all(path in sentence for _, sentence in found)


@pytest.mark.parametrize(("rule", "path", "text"), FINE)
def test_what_only_looks_like_a_breach_is_let_be(rule: str, path: str, text: str) -> None:
    assert list(CHECKS[rule](source(path, text))) == []


def test_every_rule_is_tried_both_ways() -> None:
    assert {rule for rule, *_ in BREACHES} == {rule for rule, *_ in FINE} == set(CHECKS)


def test_relative_imports_are_followed() -> None:
    text = "from . import a\nfrom .b import c\nfrom .. import d\nfrom ..e import f\nimport g.h as i"
    assert [name for name, _ in imports(source("streams/io/x.py", text))] == [
        "streams.io.a",
        "streams.io.b.c",
        "streams.d",
        "streams.e.f",
        "g.h",
    ]


def test_a_waiver_excuses_what_it_names_and_nothing_else() -> None:
    waiver = Waiver("libraries", "streams/app.py", "a reason in words", "aiokafka")
    assert waiver.excuses("libraries", "streams/app.py", "aiokafka")
    assert not waiver.excuses("libraries", "streams/app.py", "asyncpg")
    assert not waiver.excuses("libraries", "streams/app.pyx", "aiokafka")
    assert not waiver.excuses("clock", "streams/app.py", "aiokafka")
    assert Waiver("clock", "ops", "a reason in words").excuses("clock", "ops/cli.py", "uuid4")
    assert not Waiver("clock", "ops", "a reason in words").excuses("clock", "opsi/cli.py", "uuid4")
