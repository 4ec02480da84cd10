"""The jars Kafka runs on: exactly those in `kafka.sha256`, each checked before every start.

    python -m ops.jars            fetch what is missing and check everything
    python -m ops.jars --lock     resolve the versions below again and rewrite the lock file (a deliberate upgrade)

The jars live in Maven's usual local repository (`M2_REPO`, or `~/.m2/repository`), where other tools may have put them
already; a jar is trusted for its SHA-256 alone. Once all are there, nothing here needs the network.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.1.1"
# Resolved one by one: together, the logger's own version list would pull Kafka's libraries back to older ones.
ENDPOINTS: Final = ("org.apache.logging.log4j:log4j-slf4j-impl:2.24.3", f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")
LOCK: Final = Path(__file__).with_name("kafka.sha256")


class JarRefused(Exception):
    """A jar is not the one this release was tested with; the message names the file and the way out."""


def class_path(on_fetch: Callable[[str], None] = lambda name: None) -> str:
    """Kafka's class path, every jar fetched if missing and checked; raises `JarRefused` if one is not what we locked.
    `on_fetch` is told the name of each jar before it is fetched."""
    locked = list(read_lock(LOCK.read_text()))
    paths = [jar_path(repository(), coordinate) for coordinate, _ in locked]

    def provide(path: Path, coordinate: str, digest: str) -> None:
        if not path.exists():
            on_fetch(coordinate)
            _fetch(path, coordinate, digest)
        check(path, digest)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(provide, paths, *zip(*locked, strict=True)))
    return os.pathsep.join(map(str, paths))


def read_lock(text: str) -> Iterator[tuple[str, str]]:
    """The `group:artifact:version` and SHA-256 of each line of the lock file."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            digest, coordinate = line.split()
            yield coordinate, digest


def repository() -> Path:
    """The folder of the local Maven repository."""
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def jar_path(root: Path, coordinate: str) -> Path:
    """Where Maven's layout keeps the jar of `group:artifact:version`."""
    group, artifact, version = coordinate.split(":")
    return root.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def check(path: Path, digest: str) -> None:
    """Refuse a jar whose SHA-256 is not `digest`."""
    with path.open("rb") as jar:
        found = hashlib.file_digest(jar, "sha256").hexdigest()
    if found != digest:
        raise JarRefused(
            f"{path} is not the jar this release was tested with (SHA-256 {found}, expected {digest}). "
            "Kafka is not started with it. Delete the file to have it fetched again."
        )


def _fetch(path: Path, coordinate: str, digest: str) -> None:
    """Put the jar in its place once it is whole and checked: no cut-off and no wrong one is ever there."""
    from jgo.maven import MavenContext  # slow to import, and rarely needed

    group, artifact, version = coordinate.split(":")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        context = MavenContext(repo_cache=Path(folder))
        jar = Path(context.project(group, artifact).at_version(version).artifact().resolve())
        check(jar, digest)
        jar.replace(path)


def _locked_again() -> str:
    import jgo

    found = {f"{jar.groupId}:{jar.artifactId}": jar for endpoint in ENDPOINTS for jar in jgo.resolve(endpoint)}
    rows = [f"# Jars of Apache Kafka {KAFKA_VERSION}; written by `python -m ops.jars --lock`."]
    for name, jar in sorted(found.items()):
        rows.append(f"{hashlib.sha256(jar.resolve().read_bytes()).hexdigest()}  {name}:{jar.version}")
    return "\n".join(rows) + "\n"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(argv: list[str]) -> int:
    """Fetch and check, or with `--lock` write the lock file; say what is fetched on standard error."""
    if argv == ["--lock"]:
        LOCK.write_text(_locked_again())
    try:
        class_path(lambda name: _say(f"fetching {name}"))
    except (JarRefused, OSError) as problem:
        _say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
