"""Runs promtool."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tools import binaries

MEMORY = Path("/dev/shm")
LEAST = 2**30
"""Bytes free there for the storages of all that run beside each other; a container has 64 MiB unless it is told."""
# Each case opens a storage of its own: it collects seldom, and lies in memory where that can be.
_ENVIRONMENT = {**os.environ, "GOGC": "off", "GOMEMLIMIT": "300MiB", "GODEBUG": "memprofilerate=0"}
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > LEAST:
    _ENVIRONMENT["TMPDIR"] = str(MEMORY)


@cache
def program() -> Path:
    """Path of promtool, built on first use."""
    return binaries.find("promtool")


def test(files: Sequence[Path]) -> str:
    """Runs test files; the failures as promtool prints them, or nothing."""
    command: list[str | Path] = [program(), "test", "rules", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).replace("  SUCCESS\n", "").strip()


def check(files: Sequence[Path]) -> str:
    """Lints rule files with every lint that promtool has, fatally; what it finds, or nothing."""
    command: list[str | Path] = [program(), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
