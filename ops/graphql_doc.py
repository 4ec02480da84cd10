"""The schema of `/graphql`, made from the application: `docs/schema.graphql`.

python -m ops.graphql_doc               write it
python -m ops.graphql_doc --check       fail if it is not current

Clients are made from the published schema alone, so what is not in it cannot be asked.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from api.graphql.schema import schema

DOCUMENT = Path(__file__).parent.parent / "docs" / "schema.graphql"
HEAD = """\
# callstream's GraphQL API: POST /graphql, subscriptions over graphql-transport-ws at the same address.
# Made by `python -m ops.graphql_doc`. How to sign in, limits and errors: docs/graphql.md.

"""


def document() -> str:
    """The schema in the schema language."""
    return HEAD + schema.as_str().rstrip() + "\n"


def stale() -> list[str]:
    """Sentences about what is not current; none means all is."""
    if DOCUMENT.exists() and DOCUMENT.read_text("utf-8") == document():
        return []
    return ["docs/schema.graphql is not the schema that is served; run `python -m ops.graphql_doc`."]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.graphql_doc", description="The schema of /graphql.")
    parser.add_argument("--check", action="store_true", help="fail if the file is not current")
    if parser.parse_args(arguments).check:
        complaints = stale()
        sys.stdout.writelines(f"{line}\n" for line in complaints)
        return 1 if complaints else 0
    DOCUMENT.write_text(document(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
