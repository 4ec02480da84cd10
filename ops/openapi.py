"""The description of the API, made from the application: `docs/openapi.json`, and the page's types from it.

python -m ops.openapi               write both
python -m ops.openapi --check       fail if they are not current

The page calls the API through these types only: a route that changes its shape fails a check, not a person.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from api.app import create_app
from ops.node import WEB, NodeMissing, node_env, tool
from schemas.settings import Settings
from streams.io.secrets import generate_key

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "openapi.json"
TYPES = WEB / "src" / "api" / "schema.d.ts"
AGAIN = "run `python -m ops.openapi`"


def document() -> str:
    """The description as JSON. Needs no server: the application is built and never started."""
    app = create_app(Settings(secret_keys=SecretStr(generate_key())))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def types(text: str) -> str:
    """The TypeScript of the description `text`."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        source.write_text(text, "utf-8")
        command = [*tool("openapi-typescript"), str(source), "--output", str(made), "--alphabetize"]
        done = subprocess.run(command, cwd=WEB, env=node_env(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise NodeMissing(f"The types could not be made; run `python -m ops.page` first.\n{done.stderr}")
        return made.read_text("utf-8")


def stale() -> list[str]:
    """Sentences about what is not current; none means all is."""
    text = document()
    found = []
    if not DOCUMENT.exists() or DOCUMENT.read_text("utf-8") != text:
        found.append(f"docs/openapi.json is not what the application says of itself; {AGAIN}.")
    if not TYPES.exists() or TYPES.read_text("utf-8") != types(text):
        found.append(f"web/src/api/schema.d.ts is not made from the present API; {AGAIN}.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.openapi", description="The description of the API.")
    parser.add_argument("--check", action="store_true", help="fail if files are not current")
    try:
        if parser.parse_args(arguments).check:
            complaints = stale()
            sys.stdout.writelines(f"{line}\n" for line in complaints)
            return 1 if complaints else 0
        text = document()
        DOCUMENT.write_text(text, "utf-8")
        TYPES.parent.mkdir(parents=True, exist_ok=True)
        TYPES.write_text(types(text), "utf-8")
    except NodeMissing as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
