"""What is known about a started cluster, in `cluster.json` of its state folder: enough to find and to end it."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tools.cluster import processes
from tools.cluster.processes import Process
from tools.console import heard, progress

LOCAL = Path(__file__).parents[2] / "out" / "local"
"""Everything of the local cluster: its state, the engine's, generated secrets. `make down` removes it."""
FILE = "cluster.json"
Mode = Literal["real", "kind", "fake"]
"""A node in namespaces of this machine, one in Docker by kind, or no node on which containers run."""


@dataclass
class State:
    """A started, or half started, cluster.

    `ready` is set once everything answered. `forwards` maps a port of this machine to an address inside.
    """

    folder: Path
    mode: Mode
    ports: dict[str, int]
    ready: bool = False
    parts: dict[str, Process] = field(default_factory=dict)
    forwards: dict[str, tuple[str, int]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str | Path], *, wrapped: bool = False) -> None:
        """Start a part, unless it runs, and write it down: what is not recorded cannot be stopped later.

        `wrapped`: as for `processes.start`.
        """
        if name in self.parts and self.parts[name].alive:
            return
        with _uninterrupted():
            self.parts[name] = processes.start(name, command, self.folder / "logs" / f"{name}.log", wrapped=wrapped)
            self.save()

    def save(self) -> None:
        """Write it down, replacing the file as a whole."""
        content = asdict(self)
        del content["folder"]
        temporary = self.folder / f".{FILE}.{os.getpid()}"
        temporary.write_text(json.dumps(content, indent=1))
        temporary.rename(self.folder / FILE)

    def running(self) -> list[Process]:
        """The recorded parts, in the order of their start."""
        return list(self.parts.values())

    @property
    def dead(self) -> list[str]:
        """The names of recorded parts that no longer run."""
        return [name for name, process in self.parts.items() if not process.alive]


def load(folder: Path) -> State | None:
    """The cluster of that state folder; None when none was started."""
    try:
        content = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return None
    content["parts"] = {name: Process(**process) for name, process in content["parts"].items()}
    return State(folder=folder, **content)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from starting or stopping the cluster of this folder meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as handle:
        with progress(f"waiting for another start or stop of {folder}"):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM until the end of the block."""
    told: list[int] = []
    with heard(lambda number, _: told.append(number)):
        yield
    if told:
        raise KeyboardInterrupt
