"""A folder for uploads in flight, one a process. What a killed process left behind is removed by the next one."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def scratch_folder(data_dir: Path) -> Iterator[Path]:
    """A folder under `DATA_DIR/tmp` that lives as long as the block. Its lock tells other processes it is in use."""
    parent = data_dir.absolute() / "tmp"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(prefix="api-", dir=parent))
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob("api-*"):
        with suppress(OSError):
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
