"""The checks. Each takes one source file and yields its breaches as (what, sentence); none means it keeps the rule."""

import ast
import re
from collections.abc import Callable, Iterator

from schemas.topics import BY_NAME
from tests.house.source import PACKAGES, Source, dotted, imports, within

Breaches = Iterator[tuple[str, str]]
Check = Callable[[Source], Breaches]

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "schemas": ("schemas",),
    "connectors": ("schemas", "connectors"),
    "streams.io": ("schemas", "streams.io"),
    "streams.stages": ("schemas", "streams.stages"),
    "streams": ("schemas", "connectors", "streams"),
    "api": ("schemas", "connectors", "streams.io", "streams.vendor", "api"),
    "ops": PACKAGES,
}
"""Who may import what of ours. The first entry a module lies within counts."""

FAUST = ("streams/app.py", "streams/wiring.py", "streams/runner.py", "streams/recovery.py", "streams/intake.py",
         "streams/agents", "streams/schedule.py")  # fmt: skip
LIBRARIES: dict[str, tuple[str, ...]] = {
    "faust": FAUST,
    "mode": FAUST,
    "aiokafka": ("streams/io",),
    "asyncpg": ("streams/io",),
    "openai": ("streams/io",),
    "av": ("streams/io",),
    "asyncssh": ("connectors/sftp.py", "connectors/ssh.py"),
    "psycopg": ("ops",),
    "yoyo": ("ops",),
}
"""Where a library may be imported. What is not listed may be imported anywhere."""

HTTP_CLIENTS = ("streams/io/fetch.py", "connectors/http.py")
CLOCK = "streams/io/clock.py"
CLOCKS = re.compile(
    r"(datetime\.(now|utcnow|today)|date\.today|time\.time(_ns)?|uuid[1467]|uuid\.uuid[1467]|uuid_utils\.uuid\d)"
)
METRICS = "schemas/metrics.py"
METRIC_TYPES = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
TOPICS = "schemas/topics.py"
TOPIC_NAME = re.compile(r"(calls|imports)\.[a-z_]+\.v\d+")
SQL = re.compile(
    r"\b(SELECT\s.+?\bFROM\b|SELECT\s+\w+\(|INSERT\s+INTO\b|UPDATE\s+\S+\s+SET\b|DELETE\s+FROM\b|WHERE\s+\S+\s*(=|IN\b))",
    re.DOTALL,
)
MAX_LINES = {"connectors": 230}
MAX_LINES_ELSEWHERE = 400


def import_direction(source: Source) -> Breaches:
    """Ours imports ours only in the allowed direction; nobody imports `api` or `ops` but `ops`."""
    area = next(area for area in MAY_IMPORT if within(source.module, (area,)))
    for name, line in imports(source):
        if within(name, PACKAGES) and not within(name, MAY_IMPORT[area]):
            yield name, f"{source.path}:{line} imports {name}; {area} may import only {', '.join(MAY_IMPORT[area])}"
        if within(name, ("tests", "bench")):
            yield name, f"{source.path}:{line} imports {name}, which is no part of the product"


def libraries(source: Source) -> Breaches:
    """Faust, the drivers and the vendors' libraries each stay behind one door."""
    for name, line in imports(source):
        root = name.partition(".")[0]
        if root in LIBRARIES and not within(source.path, LIBRARIES[root]):
            yield root, f"{source.path}:{line} imports {root}, which belongs into {', '.join(LIBRARIES[root])}"


def http_clients(source: Source) -> Breaches:
    """Clients of `httpx2` are built in one place each for vendors and for media."""
    if within(source.path, HTTP_CLIENTS):
        return
    for name, line in imports(source):
        if name in {"httpx2.Client", "httpx2.AsyncClient", "httpx", "requests", "aiohttp"}:
            yield name, f"{source.path}:{line} imports {name}; clients are built in {' and '.join(HTTP_CLIENTS)}"
    for call in _calls(source):
        if re.fullmatch(r"httpx2\.((Async)?Client|get|post|put|patch|delete|request|stream)", dotted(call.func)):
            yield dotted(call.func), f"{source.path}:{call.lineno} builds an HTTP client"


def length(source: Source) -> Breaches:
    """A file reads in one sitting."""
    limit = MAX_LINES.get(source.module.partition(".")[0], MAX_LINES_ELSEWHERE)
    lines = len(source.text.splitlines())
    if lines > limit:
        yield "", f"{source.path} has {lines} lines; {limit} are allowed"


def clock(source: Source) -> Breaches:
    """The time and new ids come from one place, so that tests can choose them."""
    if source.path == CLOCK:
        return
    for call in _calls(source):
        if CLOCKS.fullmatch(name := dotted(call.func)) or CLOCKS.fullmatch(name.partition(".")[2]):
            yield name, f"{source.path}:{call.lineno} calls {name}(); ask {CLOCK}, or take it as an argument"
    for name, line in imports(source):
        if name in {"time.time", "time.time_ns"}:
            yield name, f"{source.path}:{line} imports {name}; ask {CLOCK}, or take it as an argument"


def metrics(source: Source) -> Breaches:
    """Metrics are made in one list."""
    if source.path == METRICS:
        return
    for name, line in imports(source):
        package, _, last = name.rpartition(".")
        if package.startswith("prometheus_client") and last in METRIC_TYPES:
            yield last, f"{source.path}:{line} imports {name}; metrics are made in {METRICS}"
    for call in _calls(source):
        package, _, last = dotted(call.func).rpartition(".")
        if package.endswith("prometheus_client") and last in METRIC_TYPES:
            yield last, f"{source.path}:{call.lineno} makes a metric; metrics are made in {METRICS}"


def topic_names(source: Source) -> Breaches:
    """Topics are named in one table; everyone else uses the constant."""
    if source.path == TOPICS:
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Constant(value=str(name)) if name in BY_NAME or TOPIC_NAME.fullmatch(name):
                yield name, f"{source.path}:{node.lineno} names {name}; use the constant of {TOPICS}"


def formatted_sql(source: Source) -> Breaches:
    """Values are bound to SQL, never written into it."""
    for node in ast.walk(source.tree):
        match node:
            case ast.JoinedStr(values=values) if any(isinstance(value, ast.FormattedValue) for value in values):
                text = "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in values)
            case ast.BinOp(left=left, op=ast.Mod() | ast.Add(), right=right):
                if isinstance(node.op, ast.Add) and _written(left) and _written(right):
                    continue
                text = f"{_written(left)} {_written(right)}"
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format" | "format_map")):
                pass
            case _:
                continue
        if SQL.search(text):
            yield "", f"{source.path}:{node.lineno} formats values into SQL; bind them"


def docstrings(source: Source) -> Breaches:
    """Every public module, class and function says what it promises."""
    if not source.text.strip() and source.path.endswith("__init__.py"):
        return
    private = re.search(r"/_(?!_init__)", source.path)
    if not private and ast.get_docstring(source.tree) is None:
        yield source.module, f"{source.path} has no docstring"
    yield from _without_docstring(source, source.tree.body, "")


def _without_docstring(source: Source, body: list[ast.stmt], prefix: str) -> Breaches:
    for node in body:
        match node:
            case ast.If() | ast.Try():
                yield from _without_docstring(source, _inner(node), prefix)
            case ast.ClassDef(name=name) if not name.startswith("_"):
                if ast.get_docstring(node) is None:
                    yield prefix + name, f"{source.path}:{node.lineno} {prefix}{name} has no docstring"
                yield from _without_docstring(source, node.body, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("_"):
                if ast.get_docstring(node) is None and not _is_stub(node):
                    yield prefix + name, f"{source.path}:{node.lineno} {prefix}{name}() has no docstring"


def _inner(node: ast.If | ast.Try) -> list[ast.stmt]:
    handlers = (
        [statement for handler in node.handlers for statement in handler.body] if isinstance(node, ast.Try) else []
    )
    return [*node.body, *handlers, *node.orelse]


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A line of a Protocol or an overload: its body is `...` alone."""
    match node.body:
        case [ast.Expr(value=ast.Constant(value=value))]:
            return value is ...
    return False


def _written(node: ast.expr) -> str:
    """The text of a string constant, or of constants added to each other; empty for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _written(left) + _written(right)
    return ""


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


CHECKS: dict[str, Check] = {
    "import_direction": import_direction,
    "libraries": libraries,
    "http_clients": http_clients,
    "length": length,
    "clock": clock,
    "metrics": metrics,
    "topic_names": topic_names,
    "formatted_sql": formatted_sql,
    "docstrings": docstrings,
}
