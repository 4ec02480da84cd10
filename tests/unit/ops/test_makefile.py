"""The Makefile prints itself and knows what it promises."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = {"help", "setup", "run", "demo", "test", "check", "bench", "chaos", "shots", "lock", "clean"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_target_with_a_sentence() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=2) for line in said.stdout.splitlines()]
    assert {target for _, target, _ in lines} == TARGETS
    assert all(len(sentence) > 10 for _, _, sentence in lines)
