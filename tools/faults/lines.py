"""Numbered lines: written as kubelet writes them, and counted in Loki as a multiset."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tools.faults.daemons import Daemon, until

STEP = 1_000_000
"""Nanoseconds between two lines: one a millisecond, so that each has its own time and a page is a span of time."""
PAGE = 4000
"""Lines asked for at once: fewer than the limit, so that lines that are there twice are seen."""
LIMIT = 5000
"""Lines that Loki gives at once, unless told otherwise."""
PADDING = "x" * 120
SELECTOR = '{app="faults"}'
LABELS = {"namespace": "faults", "pod": "faults-1", "container": "main", "app": "faults", "node": "node-1"}


@dataclass
class Writer:
    """Writes numbered lines into one container's log file, at times that end now."""

    file: Path
    total: int
    base: int = 0
    written: int = 0

    def __post_init__(self) -> None:
        self.base = time.time_ns() - self.total * STEP

    def write(self, count: int) -> None:
        """Append the next lines."""
        with self.file.open("a", encoding="utf-8") as out:
            for number in range(self.written, self.written + count):
                out.write(f"{_stamp(self.base + number * STEP)} stdout F seq={number:08d} {PADDING}\n")
        self.written += count

    def rotate(self) -> None:
        """What kubelet does with a full file: rename it; the runtime opens a new one."""
        self.file.rename(self.file.with_name(f"{self.file.name}.{time.time_ns()}"))
        self.file.touch()


@dataclass
class Counted:
    """How many of the written lines Loki has not, and how many more than once."""

    lost: int
    twice: int
    missing: list[int] = field(default_factory=list)


def settled(loki: Daemon, tenant: str, writer: Writer, patience: float) -> Counted:
    """The count once every line is there, or once none has come for so many seconds."""
    best, since = -1, time.monotonic()
    numbers: Counter[int] = Counter()

    def done() -> bool:
        nonlocal best, since, numbers
        numbers = _numbers(loki, tenant, writer)
        if len(numbers) > best:
            best, since = len(numbers), time.monotonic()
        return len(numbers) >= writer.written or time.monotonic() - since > patience

    until("all lines counted", done, patience=600)
    missing = [number for number in range(writer.written) if number not in numbers]
    return Counted(len(missing), sum(times - 1 for times in numbers.values()), missing)


def _numbers(loki: Daemon, tenant: str, writer: Writer) -> Counter[int]:
    found: Counter[int] = Counter()
    for start in range(0, writer.written, PAGE):
        end = min(start + PAGE, writer.written)
        query = {
            "query": SELECTOR,
            "limit": str(LIMIT),
            "start": str(writer.base + start * STEP),
            "end": str(writer.base + end * STEP),
        }
        for stream in loki.get("/loki/api/v1/query_range", tenant, **query)["data"]["result"]:
            for _, line in stream["values"]:
                match = re.match(r"seq=(\d+) ", line)
                if match:
                    found[int(match.group(1))] += 1
    return found


def _stamp(nanoseconds: int) -> str:
    whole = datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % 10**9:09d}Z"
