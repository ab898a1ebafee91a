"""Runs promtool."""

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tools import binaries


@cache
def program() -> Path:
    """Path of promtool, built on first use."""
    return binaries.find("promtool")


def test(files: Sequence[Path]) -> str:
    """Runs test files; the failures as promtool prints them, or nothing."""
    done = subprocess.run([program(), "test", "rules", *files], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).replace("  SUCCESS\n", "").strip()


def check(files: Sequence[Path]) -> str:
    """Lints rule files with every lint that promtool has, fatally; what it finds, or nothing."""
    command: list[str | Path] = [program(), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
