"""Builds the page (`web/`) into `api/page/` with the packaged Node.

python -m ops.page            build it, if anything changed since the last time
python -m ops.page --check    fail if it is not built, or not from the present sources
python -m ops.page --dev      a server that shows every change at once, for an API that runs on this machine

A build that fails leaves the page that is there.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops.node import WEB, NodeMissing, node_env, npm, tool

PAGE = WEB.parent / "api" / "page"
NEW = PAGE.with_name("page.new")
STAMP = "stamp"
INSTALLED = WEB / "node_modules" / ".callstream"
INSTALLS = ("package.json", "package-lock.json", ".npmrc")
NOT_BUILT_FROM = {"node_modules", "README.md"}


class Failed(Exception):
    """The page could not be built. The text says what to do."""


def sources_hash() -> str:
    """A hash of all the page is built from. Tests of the page are not part of it."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(WEB):
        folders[:] = sorted(name for name in folders if name not in NOT_BUILT_FROM and not name.startswith("."))
        for name in sorted(names):
            if name not in NOT_BUILT_FROM and ".test." not in name:
                path = Path(folder, name)
                digest.update(f"{path.relative_to(WEB)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def fresh() -> bool:
    """Whether the page that is there was built from the present sources."""
    return (PAGE / "index.html").exists() and _read(PAGE / STAMP) == sources_hash()


def build() -> None:
    """Build the page and put it in place. Raises `Failed`."""
    wanted = sources_hash()
    shutil.rmtree(NEW, ignore_errors=True)
    try:
        _run(npm("run", "--silent", "build"), "`npm run build` in web/ says what is wrong", out=NEW)
        (NEW / STAMP).write_text(wanted)
        old = PAGE.with_name("page.old")
        shutil.rmtree(old, ignore_errors=True)
        if PAGE.exists():
            PAGE.rename(old)
        NEW.rename(PAGE)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(NEW, ignore_errors=True)


def install() -> None:
    """Fetch what the page is built with, when the lock changed since the last time. Raises `Failed`."""
    wanted = hashlib.sha256(b"\0".join((WEB / name).read_bytes() for name in INSTALLS)).hexdigest()
    if _read(INSTALLED) == wanted:
        return
    sys.stdout.write("Installing what web/package-lock.json names …\n")
    command = npm("ci", "--prefer-offline", "--no-progress", "--loglevel=error")
    _run(command, "check that a registry of npm packages can be reached")
    INSTALLED.write_text(wanted)


def first_load(page: Path = PAGE) -> int:
    """Bytes of compressed script that a first visit to the Import Hub loads."""
    chunks = json.loads((page / ".vite" / "manifest.json").read_text("utf-8"))
    wanted, seen = ["index.html", "src/pages/Hub.tsx"], set[str]()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += chunks[name].get("imports", [])
    return sum(_compressed(page / chunks[name]["file"]) for name in seen)


def _compressed(path: Path) -> int:
    packed = path.with_name(path.name + ".gz")
    return (packed if packed.exists() else path).stat().st_size


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _run(command: list[str], advice: str, out: Path | None = None) -> None:
    env = node_env() | ({"CALLSTREAM_PAGE_OUT": str(out)} if out else {})
    done = subprocess.run(
        command, cwd=WEB, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        kept = "; the page built before stays" if (PAGE / "index.html").exists() else ""
        raise Failed(
            f"{done.stdout.strip()}\nThe page could not be built{kept}: {advice}, then run `make setup` again."
        )


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time, however many start together."""
    with (WEB / "package-lock.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.page", description="Builds the page.")
    parser.add_argument("--check", action="store_true", help="fail if the page is not built from the present sources")
    parser.add_argument("--dev", action="store_true", help="serve the sources, showing every change at once")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.check:
            if not fresh():
                raise Failed("The page is not built from the present sources: run `python -m ops.page`.")
            return 0
        if chosen.dev:
            with _alone():
                install()
            return subprocess.run(tool("vite"), cwd=WEB, env=node_env(), check=False).returncode
        with _alone():
            install()
            if not fresh():
                sys.stdout.write("Building the page …\n")
                build()
                sys.stdout.write(f"The page is built; a first visit loads {first_load() / 1000:.0f} kB of script.\n")
    except (Failed, NodeMissing) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
