"""The faults. Each takes a folder and its size, and says how many lines were written, lost and there twice."""

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import Settings
from tools.faults import daemons
from tools.faults.lines import LABELS, Counted, Writer, settled

OPENED = "tail routine: started"
BATCH_LINES = 262144 // 150
"""Lines of ours in one batch: what a killed Promtail may lose."""
QUICK = {"min_period": "100ms", "max_period": "500ms"}
GIVES_UP = {"client": {"backoff_config": {**QUICK, "max_retries": 3}}}
"""A client that gives up after a second, so that the control run of the short form can lose."""
ENDLESS = {"client": {"backoff_config": {**QUICK, "max_retries": 0}}}
DEFAULT_RETRIES = {"client": {"backoff_config": {"min_period": "500ms", "max_period": "5m", "max_retries": 10}}}


@dataclass(frozen=True)
class Size:
    """How much: the short form of a test run, or the full one."""

    lines: int
    kills: int
    sigkills: int
    away: float
    """Seconds."""
    control: dict[str, Any]


SHORT = Size(lines=20_000, kills=3, sigkills=3, away=5, control=GIVES_UP)
FULL = Size(lines=500_000, kills=10, sigkills=30, away=900, control=DEFAULT_RETRIES)


@dataclass(frozen=True)
class Result:
    """What a case found; `allowed` lines may be lost, and a `control` must lose some."""

    written: int
    counted: Counted
    allowed: int = 0
    control: bool = False
    seconds: float = 0

    @property
    def good(self) -> bool:
        """Whether the promise holds, or whether the control loses as it should."""
        if self.control:
            return self.counted.lost > 0
        return self.counted.lost <= self.allowed and self.counted.twice == 0


class Pipeline:
    """A Promtail that reads one file, and the Loki that it pushes to."""

    def __init__(self, folder: Path, settings: Settings, lines: int, **changes: Any) -> None:
        self.tenant = settings.loki.tenant
        pods = folder / "pods"
        pods.mkdir(parents=True)
        self.writer = Writer(pods / "0.log", lines)
        self.writer.file.touch()
        self.loki = daemons.loki(folder, settings, changes.pop("limits", None))
        scrapes = daemons.files_of(pods, **LABELS)
        self.promtail = daemons.promtail(folder, settings, self.loki.url, scrapes=scrapes, **changes)

    def __enter__(self) -> "Pipeline":
        self.loki.start().ready()
        self.reading()
        return self

    def __exit__(self, *_: object) -> None:
        self.promtail.end(signal.SIGKILL)
        self.loki.end(signal.SIGKILL)

    def reading(self) -> None:
        """Start Promtail and wait until it has opened the file: it looks for files every few seconds only."""
        opened = self.promtail.log().count(OPENED)
        self.promtail.start().ready()
        daemons.until("the file opened by Promtail", lambda: self.promtail.log().count(OPENED) > opened)

    def count(self, patience: float = 8) -> Counted:
        """What is in Loki at last."""
        return settled(self.loki, self.tenant, self.writer, patience)

    def on_the_way(self) -> bool:
        """Whether Promtail has begun to read since it was started."""
        return bool(re.search(r"^promtail_read_lines_total\{.*\} [1-9]", self.promtail.text("/metrics"), re.MULTILINE))

    def write_in(self, parts: int, between: Callable[[], None]) -> None:
        """Write all lines in so many parts, the last after the last `between`."""
        share = self.writer.total // (parts + 1)
        for _ in range(parts):
            self.writer.write(share)
            between()
        self.writer.write(self.writer.total - self.writer.written)


def loki_killed(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki is killed again and again while lines come."""
    with Pipeline(folder, settings, size.lines, **ENDLESS) as pipeline:

        def kill() -> None:
            pipeline.loki.end(signal.SIGKILL)
            pipeline.loki.start().ready()

        pipeline.write_in(size.kills, kill)
        return Result(pipeline.writer.written, pipeline.count())


def loki_away(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki is away for longer than the control run survives."""
    with Pipeline(folder, settings, size.lines, **(ENDLESS if size is SHORT else {})) as pipeline:
        return _away(pipeline, size)


def loki_away_control(folder: Path, settings: Settings, size: Size) -> Result:
    """The same with a client that gives up: it must lose, or the case above proves nothing."""
    with Pipeline(folder, settings, size.lines, **size.control) as pipeline:
        found = _away(pipeline, size)
    return Result(found.written, found.counted, control=True)


def _away(pipeline: Pipeline, size: Size) -> Result:
    pipeline.loki.end(signal.SIGTERM)
    pipeline.write_in(1, lambda: time.sleep(size.away))
    pipeline.loki.start().ready()
    return Result(pipeline.writer.written, pipeline.count(patience=8 if size is SHORT else 60))


def promtail_ended(folder: Path, settings: Settings, size: Size) -> Result:
    """Promtail is ended as a rollout ends it, again and again while lines come."""
    return _promtail(folder, settings, size, signal.SIGTERM, size.kills, 0)


def promtail_killed(folder: Path, settings: Settings, size: Size) -> Result:
    """Promtail is killed: at most a batch each may be lost."""
    return _promtail(folder, settings, size, signal.SIGKILL, size.sigkills, size.sigkills * BATCH_LINES)


def _promtail(folder: Path, settings: Settings, size: Size, how: signal.Signals, times: int, allowed: int) -> Result:
    with Pipeline(folder, settings, size.lines) as pipeline:

        def again() -> None:
            # In the midst of reading: some lines of this part are there, and more are to come.
            daemons.until("lines on their way", pipeline.on_the_way)
            pipeline.promtail.end(how)
            pipeline.reading()

        pipeline.write_in(times, again)
        return Result(pipeline.writer.written, pipeline.count(), allowed)


def rotated_while_away(folder: Path, settings: Settings, size: Size) -> Result:
    """The log file is rotated once while Loki is away; Promtail holds the old one open and reads it to its end."""
    with Pipeline(folder, settings, size.lines, **ENDLESS) as pipeline:
        pipeline.loki.end(signal.SIGTERM)
        pipeline.write_in(1, pipeline.writer.rotate)
        pipeline.loki.start().ready()
        return Result(pipeline.writer.written, pipeline.count())


def rotated_during_restart(folder: Path, settings: Settings, size: Size) -> Result:
    """The log file is rotated while Promtail is down, after it has read all of it."""
    with Pipeline(folder, settings, size.lines) as pipeline:
        writer = pipeline.writer
        writer.write(writer.total * 2 // 3)
        pipeline.count()
        pipeline.promtail.end(signal.SIGTERM)
        writer.rotate()
        writer.write(writer.total - writer.written)
        pipeline.reading()
        return Result(pipeline.writer.written, pipeline.count())


def rate_limited(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki takes less than comes: lines are late, and none is lost."""
    limits = {"ingestion_rate_mb": 0.5, "ingestion_burst_size_mb": 1}
    with Pipeline(folder, settings, size.lines, limits=limits, **ENDLESS) as pipeline:
        pipeline.writer.write(pipeline.writer.total)
        counted = pipeline.count()
        if "429" not in pipeline.promtail.log():
            raise RuntimeError("Loki never refused a push; the case proves nothing")
        return Result(pipeline.writer.written, counted)


CASES: dict[str, Callable[[Path, Settings, Size], Result]] = {
    "Loki killed (SIGKILL)": loki_killed,
    "Loki away": loki_away,
    "Loki away, control with a client that gives up": loki_away_control,
    "Promtail ended (SIGTERM)": promtail_ended,
    "Promtail killed (SIGKILL)": promtail_killed,
    "rotation while Loki is away": rotated_while_away,
    "rotation during a restart of Promtail": rotated_during_restart,
    "rate limit hit": rate_limited,
}
