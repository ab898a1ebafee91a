"""A systemd journal: written by systemd's own program, and read by an agent that sees it where a node has it."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import binaries
from tools.faults.lines import STEP, Writer

REMOTE = Path("/lib/systemd/systemd-journal-remote")
"""Makes journal files of entries in journald's export format."""
MACHINE_ID = Path("/etc/machine-id")
KEPT, VOLATILE = "/var/log/journal", "/run/log/journal"
"""Where journald keeps a journal over reboots, and where it writes without such a folder."""
BOOT = "0123456789abcdef0123456789abcdef"
UNIT = "faults.service"
# Nothing of this machine's own journals is seen; what is mounted is gone with the process.
SEEN = f"""
mount -t tmpfs none /var/log && mount -t tmpfs none /run && mkdir -p {KEPT} {VOLATILE} && mount --bind "$0" "$1" &&
shift && exec "$@"
"""


@dataclass(frozen=True)
class Journal:
    """Where lines come from: a folder that stands for one of the node's folders of journals."""

    folder: Path
    place: str = KEPT

    def file(self) -> Path:
        """The journal of this machine: agents leave those of others out."""
        return self.folder / MACHINE_ID.read_text().strip() / "system.journal"

    def seen_by(self, command: Sequence[str]) -> list[str]:
        """The command, run so that it finds the folder at its place."""
        shell, apart = shutil.which("sh"), shutil.which("unshare")
        return [str(apart), "--mount", str(shell), "-c", SEEN, str(self.folder), self.place, *command]

    def write(self, entries: Iterable[Mapping[str, str]]) -> None:
        """Append entries; `__REALTIME_TIMESTAMP` in microseconds is theirs to say."""
        self.file().parent.mkdir(parents=True, exist_ok=True)
        text = "".join("".join(f"{key}={value}\n" for key, value in _whole(entry).items()) + "\n" for entry in entries)
        command = [str(REMOTE), f"--output={self.file()}", "-"]
        subprocess.run(command, input=text.encode(), check=True, capture_output=True)


def _whole(entry: Mapping[str, str]) -> dict[str, str]:
    machine = MACHINE_ID.read_text().strip()
    # The clock since boot may be any that grows.
    return {"__MONOTONIC_TIMESTAMP": entry["__REALTIME_TIMESTAMP"], "_BOOT_ID": BOOT, "_MACHINE_ID": machine, **entry}


def missing(program: str) -> str | None:
    """Why this agent cannot read a journal here; None where it can."""
    if not REMOTE.exists():
        return f"no {REMOTE} writes journals here (apt-get install systemd-journal-remote)"
    if not (MACHINE_ID.exists() and MACHINE_ID.read_text().strip()):
        return f"{MACHINE_ID} holds no id"
    apart = ["unshare", "--mount", "true"]
    if not shutil.which("unshare") or subprocess.run(apart, capture_output=True, check=False).returncode != 0:
        return "nothing can be mounted here (root and unshare are needed)"
    return binaries.missing(f"{program}-journal")


@dataclass
class JournalWriter(Writer):
    """Writes numbered lines into a journal, as a service's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # An entry's time is whole microseconds, and lines are looked for from `base` on.
        self.base -= self.base % 1000

    def write(self, count: int) -> None:
        """Append the next lines."""
        Journal(self.file).write(
            {
                "__REALTIME_TIMESTAMP": str((self.base + number * STEP) // 1000),
                "_TRANSPORT": "stdout",
                "_SYSTEMD_UNIT": UNIT,
                "PRIORITY": "6",
                "MESSAGE": self.text(number),
            }
            for number in range(self.written, self.written + count)
        )
        self.written += count
