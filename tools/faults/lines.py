"""Numbered lines: written as kubelet writes them, and counted in Loki as a multiset."""

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable
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
                out.write(f"{_stamp(self.base + number * STEP)} stdout F {self.text(number)}\n")
        self.written += count

    def text(self, number: int) -> str:
        """The line of this number."""
        return f"seq={number:08d} {PADDING}"

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


def push(loki: Daemon, tenant: str, labels: dict[str, str], lines: Iterable[tuple[int, str]]) -> None:
    """Push lines of one stream, each with its time in nanoseconds. Raises OSError where Loki refuses them."""
    stream = {"stream": labels, "values": [[str(at), line] for at, line in lines]}
    request = urllib.request.Request(  # noqa: S310 (http on loopback)
        f"{loki.url}/loki/api/v1/push",
        json.dumps({"streams": [stream]}).encode(),
        {"Content-Type": "application/json", "X-Scope-OrgID": tenant},
    )
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310
        return


def settled(loki: Daemon, tenant: str, writer: Writer, patience: float) -> Counted:
    """The count once every line is there, or once none has come for so many seconds."""
    best, since = -1, time.monotonic()
    numbers: Counter[int] = Counter()

    def done() -> bool:
        nonlocal best, since, numbers
        found, late = _sum(loki, tenant, writer), time.monotonic() - since > patience
        # The sum is cheap, and counts what is there twice as two: it says when to look, and no more.
        if late or (found > best and found >= writer.written):
            numbers = _numbers(loki, tenant, writer, 0, writer.written)
        if found > best:
            best, since = found, time.monotonic()
        return late or len(numbers) >= writer.written

    until("all lines counted", done, patience=3600)
    missing = [number for number in range(writer.written) if number not in numbers]
    return Counted(len(missing), sum(times - 1 for times in numbers.values()), missing)


def _sum(loki: Daemon, tenant: str, writer: Writer) -> int:
    span = (time.time_ns() - writer.base) // 10**9 + 60
    query = f"sum(count_over_time({SELECTOR}[{span}s]))"
    result = loki.get("/loki/api/v1/query", tenant, query=query)["data"]["result"]
    return int(float(result[0]["value"][1])) if result else 0


def _numbers(loki: Daemon, tenant: str, writer: Writer, start: int, end: int) -> Counter[int]:
    """How often each of these numbers is there, asked for in spans that Loki answers whole."""
    if end - start > PAGE:
        spans = range(start, end, PAGE)
        return sum((_numbers(loki, tenant, writer, at, min(at + PAGE, end)) for at in spans), Counter[int]())
    times = {"start": str(writer.base + start * STEP), "end": str(writer.base + end * STEP)}
    answer = loki.get("/loki/api/v1/query_range", tenant, query=SELECTOR, limit=str(LIMIT), **times)["data"]["result"]
    lines = [line for stream in answer for _, line in stream["values"]]
    if len(lines) >= LIMIT and end - start > 1:
        # Lines that are there twice have pushed others out.
        half = (start + end) // 2
        return _numbers(loki, tenant, writer, start, half) + _numbers(loki, tenant, writer, half, end)
    return Counter(int(found[1]) for found in (re.match(r"seq=(\d+) ", line) for line in lines) if found)


def _stamp(nanoseconds: int) -> str:
    whole = datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % 10**9:09d}Z"
