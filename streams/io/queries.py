"""SQL lives in `sql/queries/<noun>.sql`, each query under a name and a sentence; code calls it by name.

A query begins with a line `-- name --`; comment lines that follow say what it does.
"""

import re
from functools import cache
from pathlib import Path

SQL = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def load(noun: str) -> dict[str, str]:
    """The queries of `sql/queries/<noun>.sql` by name. Raises on a name given twice."""
    parts = _HEADER.split((SQL / "queries" / f"{noun}.sql").read_text(encoding="utf-8"))
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{noun}.sql names a query twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
