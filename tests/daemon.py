"""A program that runs for the length of a block."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE_SECONDS = 60
"""Until a program that was told to end is killed."""


@contextmanager
def daemon(command: Sequence[object], log: Path, **options: Any) -> Iterator[Callable[[], bool]]:
    """A process for the length of the block, and a function that raises RuntimeError, with its log, once it has ended.

    `options` are those of Popen. While it runs the function gives True, and so stands before what the process is asked.
    """
    with log.open("w") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT, **options)

    def alive() -> bool:
        if process.poll() is not None:
            said = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{command[0]} ended with code {process.returncode}:\n{said}")
        return True

    try:
        yield alive
    finally:
        process.terminate()
        try:
            process.wait(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
