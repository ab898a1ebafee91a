"""The faults. Each takes a folder and its size, and says how many lines were written, lost and there twice."""

import bisect
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from components.log_agent_client import BATCH_BYTES
from settings import Settings
from tools.faults import daemons, journal, storage
from tools.faults.lines import Counted
from tools.faults.pipeline import Pipeline, Result, Size

BATCH_LINES = BATCH_BYTES // 150
"""Lines of ours in one batch: what a killed agent may lose."""


def loki_killed(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki is killed again and again while lines come."""
    with Pipeline(folder, settings, size.lines, retries=size.retries) as pipeline:

        def kill() -> None:
            pipeline.loki.end(signal.SIGKILL)
            pipeline.loki.start().ready()

        pipeline.write_in(size.kills, kill)
        return Result(pipeline.writer.written, pipeline.count(size.patience))


def loki_away(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki is away for longer than the control run survives."""
    with Pipeline(folder, settings, size.lines, retries=size.retries) as pipeline:
        return _away(pipeline, size, size.patience)


def loki_away_control(folder: Path, settings: Settings, size: Size) -> Result:
    """The same with a client that gives up: it must lose, or the case above proves nothing."""
    with Pipeline(folder, settings, size.lines, retries=size.control) as pipeline:
        found = _away(pipeline, size, size.control_patience)
    return Result(found.written, found.counted, control=True)


def _away(pipeline: Pipeline, size: Size, patience: float) -> Result:
    pipeline.loki.end(signal.SIGTERM)
    pipeline.write_in(1, lambda: time.sleep(size.away))
    pipeline.loki.start().ready()
    return Result(pipeline.writer.written, pipeline.count(patience))


def agent_ended(folder: Path, settings: Settings, size: Size) -> Result:
    """The agent is ended as a rollout ends it, again and again while lines come.

    Alloy up to 1.11 often hangs at its end while it reads (grafana/alloy pull request 4585), and is killed then.
    """
    killed = size.kills if settings.log_agent.program == "alloy" else 0
    return _restarted(folder, settings, size, signal.SIGTERM, size.kills, killed * BATCH_LINES)


def agent_killed(folder: Path, settings: Settings, size: Size) -> Result:
    """The agent is killed: at most a batch each may be lost."""
    return _restarted(folder, settings, size, signal.SIGKILL, size.sigkills, size.sigkills * BATCH_LINES)


def journal_loki_away(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki is away while lines come into the node's journal."""
    if why := journal.missing(settings.log_agent.program):
        return Result(0, Counted(0, 0), skipped=why)
    with Pipeline(folder, settings, size.lines, retries=size.retries, journal=True) as pipeline:
        return _away(pipeline, size, size.patience)


def journal_agent_killed(folder: Path, settings: Settings, size: Size) -> Result:
    """The agent is killed while it reads the journal: it goes on at the place that it has written down."""
    if why := journal.missing(settings.log_agent.program):
        return Result(0, Counted(0, 0), skipped=why)
    allowed = size.sigkills * BATCH_LINES
    return _restarted(folder, settings, size, signal.SIGKILL, size.sigkills, allowed, from_journal=True)


def _restarted(
    folder: Path,
    settings: Settings,
    size: Size,
    how: signal.Signals,
    times: int,
    allowed: int,
    *,
    from_journal: bool = False,
) -> Result:
    with Pipeline(folder, settings, size.lines, journal=from_journal) as pipeline:
        parts: list[int] = []

        def again() -> None:
            # In the midst of reading: some lines of this part are there, and more are to come.
            daemons.until("lines on their way", pipeline.agent.has_read)
            parts.append(pipeline.writer.written)
            pipeline.agent.end(how)
            pipeline.reading()

        pipeline.write_in(times, again)
        counted = pipeline.count(size.patience)
        lost = Counter(bisect.bisect_right(parts, number) for number in counted.missing)
        each = ", ".join(str(lost[part]) for part in range(times))
        found = Result(pipeline.writer.written, counted, allowed, again=allowed > 0)
        return found.noting(f"lost at each: {each}")


def rotated_while_away(folder: Path, settings: Settings, size: Size) -> Result:
    """The log file is rotated once while Loki is away; the agent holds the old one open and reads it to its end."""
    with Pipeline(folder, settings, size.lines, retries=size.retries) as pipeline:
        pipeline.loki.end(signal.SIGTERM)
        pipeline.write_in(1, pipeline.writer.rotate)
        pipeline.loki.start().ready()
        return Result(pipeline.writer.written, pipeline.count(size.patience))


def rotated_during_restart(folder: Path, settings: Settings, size: Size) -> Result:
    """The log file is rotated while the agent is down, after it has read all of it."""
    with Pipeline(folder, settings, size.lines) as pipeline:
        writer = pipeline.writer
        writer.write(writer.total * 2 // 3)
        pipeline.count(size.patience)
        pipeline.agent.end(signal.SIGTERM)
        writer.rotate()
        writer.write(writer.total - writer.written)
        pipeline.reading()
        return Result(writer.written, pipeline.count(size.patience))


def rate_limited(folder: Path, settings: Settings, size: Size) -> Result:
    """Loki takes less than comes: lines are late, and none is lost."""
    limits = {"ingestion_rate_mb": 0.5, "ingestion_burst_size_mb": 1}
    with Pipeline(folder, settings, size.lines, limits=limits, retries=size.retries) as pipeline:
        pipeline.writer.write(pipeline.writer.total)
        counted = pipeline.count(size.patience)
        if "429" not in pipeline.agent.log():
            raise RuntimeError("Loki never refused a push; the case proves nothing")
        return Result(pipeline.writer.written, counted)


Case = Callable[[Path, Settings, Size], Result]
AGENT_CASES: dict[str, Case] = {
    "Loki killed (SIGKILL)": loki_killed,
    "Loki away": loki_away,
    "Loki away, control with a client that gives up": loki_away_control,
    "agent ended (SIGTERM)": agent_ended,
    "agent killed (SIGKILL)": agent_killed,
    "rotation while Loki is away": rotated_while_away,
    "rotation during a restart of the agent": rotated_during_restart,
    "rate limit hit": rate_limited,
    "journal: Loki away": journal_loki_away,
    "journal: agent killed (SIGKILL)": journal_agent_killed,
}
LOKI_CASES: dict[str, Case] = {
    "disk of Loki nearly full, Loki killed": storage.disk_nearly_full,
    "disk of Loki full within seconds, Loki killed": storage.disk_full_at_once,
    "retention": storage.retention,
}
"""What does not depend on which agent pushes."""
CASES = AGENT_CASES | LOKI_CASES
