"""Starts daemons that outlive us, and finds them again by process id and start time, never by name."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.console import UserError

LOG_LINES = 12
POLL_SECONDS = 0.05
FORK_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """A started daemon. `started` tells it from a later process with the same id."""

    name: str
    pid: int
    started: str
    log: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return bool(self.started) and _start_time(self.pid) == self.started

    def log_tail(self) -> str:
        """The last lines of its log, indented."""
        path = Path(self.log)
        lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.exists() else []
        return "\n".join(f"  {line[:400]}" for line in lines)


def start(name: str, command: Sequence[str | Path], log: Path, *, wrapped: bool = False) -> Process:
    """Start `command` in a session of its own, so that Ctrl-C here does not reach it; its output goes to `log`.

    `wrapped`: the command (nsenter, unshare) forks the daemon proper and waits for it; the daemon is what is returned.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(argument) for argument in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    pid = _only_child(child) if wrapped else child.pid
    return Process(name, pid, _start_time(pid) or "", str(log))


def kill(processes: Iterable[Process]) -> None:
    """End the processes at once and wait until they are gone: what they would save on the way out is deleted anyway.

    The whole group of each: also its children, and what entered the namespaces for it. That one waits for its end, and
    while it is itself stopped the namespaces would never go.
    """
    remaining = [process for process in processes if process.alive]
    # Looked up before the first is killed: with the namespaces' first process all the others in them end.
    groups = []
    for process in remaining:
        with suppress(ProcessLookupError):
            groups.append(os.getpgid(process.pid))
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    while remaining := [process for process in remaining if process.alive]:
        time.sleep(POLL_SECONDS)


def wait_for(what: str, condition: Callable[[], bool], seconds: float, processes: Sequence[Process]) -> None:
    """Wait until `condition` holds.

    Raises `UserError` when one of `processes` ends before, or after `seconds`; both show the end of a log.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        for process in processes:
            if not process.alive:
                raise UserError(f"{process.name} ended while waiting for {what}. {process.log}:\n{process.log_tail()}")
        if time.monotonic() > deadline:
            logs = "".join(f"\nThe last lines of {process.log}:\n{process.log_tail()}" for process in processes[-1:])
            raise UserError(f"no {what} within {seconds:.0f} s.{logs}")
        time.sleep(POLL_SECONDS)


def _only_child(parent: subprocess.Popen[bytes]) -> int:
    """The process that `parent` forked; `parent` itself when it ended without."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    deadline = time.monotonic() + FORK_SECONDS
    while parent.poll() is None and time.monotonic() < deadline:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.005)
    return parent.pid


def _start_time(pid: int) -> str | None:
    """The start time of a running process in the system's own notation; None when it is gone or a zombie."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        state, _, started = shown.strip().partition(" ")
        return started.strip() if started and not state.startswith("Z") else None
    try:
        # proc(5), counted after the program's name in parentheses, which may hold blanks: 3 state, 22 starttime.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
