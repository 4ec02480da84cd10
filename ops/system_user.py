"""PostgreSQL refuses to run as root. When we are root, for example in a container, it runs as a system user of ours."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

USER: Final = "callstream"


class NoSystemUser(Exception):
    """There is no user PostgreSQL could run as; the message says what to do."""


def server_user() -> str | None:
    """The system user to run PostgreSQL as, made if missing; None when we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    for _ in range(5):
        if _exists(USER) or _create(USER):
            return USER
        time.sleep(0.2)  # another instance may be making it
    raise NoSystemUser(
        f"PostgreSQL refuses to run as root, and the system user {USER!r} could not be made. "
        "Make it, or start callstream as an ordinary user."
    )


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _create(user: str) -> bool:
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/bin/false"]
    try:
        return subprocess.run(["useradd", *options, user], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def give(path: Path, user: str | None) -> None:
    """Make `path`, and all below it, the property of `user`, and let `user` reach it."""
    if user is None:
        return
    import pwd

    entry = pwd.getpwnam(user)
    if path.stat().st_uid != entry.pw_uid:
        for inner in (path, *path.rglob("*")):
            os.lchown(inner, entry.pw_uid, entry.pw_gid)
    let_pass(path)


def let_pass(path: Path) -> None:
    """Let other users pass through, not read, the folders above `path`. Each change is told on standard error."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            sys.stderr.write(f"{folder}: users other than root may now pass through it, as PostgreSQL's user must\n")


def let_read(tree: Path, user: str | None) -> None:
    """Make sure `user` can run and read the programs below `tree`, which may lie in root's own folders."""
    if user is None:
        return
    let_pass(tree)
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)
