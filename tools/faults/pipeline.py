"""A log agent that reads one file, the Loki that it pushes to, and what a fault did to the lines between them."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from settings import Settings
from tools.faults import daemons
from tools.faults.agents import Files, Retries, Source, agent
from tools.faults.journal import Journal, JournalWriter
from tools.faults.lines import LABELS, Counted, Writer, settled

QUICK = Retries("100ms", "500ms", 0)
"""Without end as shipped, but soon again: the short form does not wait half a minute."""
GIVES_UP = Retries("100ms", "500ms", 3)
"""A client that gives up after a second, so that the control run of the short form can lose."""
DEFAULT_RETRIES = Retries("500ms", "5m", 10)
"""What both agents do unless told otherwise."""


@dataclass(frozen=True)
class Size:
    """How much: the short form of a test run, or the full one."""

    lines: int
    kills: int
    sigkills: int
    away: float
    """Seconds."""
    retries: Retries | None
    """None: as shipped."""
    control: Retries
    patience: float
    """Seconds without a new line until the count is taken to be the last: longer than a client waits between tries."""
    control_patience: float


SHORT = Size(20_000, kills=3, sigkills=3, away=5, retries=QUICK, control=GIVES_UP, patience=8, control_patience=8)
FULL = Size(
    500_000,
    kills=10,
    sigkills=30,
    away=900,
    retries=None,
    control=DEFAULT_RETRIES,
    patience=60,
    control_patience=330,
)


@dataclass(frozen=True)
class Result:
    """What a case found; `allowed` lines may be lost, and a `control` must lose some."""

    written: int
    counted: Counted
    allowed: int = 0
    control: bool = False
    again: bool = False
    """Whether lines may be there twice: what a killed agent reads again, Loki recognizes in its newest block only."""
    seconds: float = 0
    notes: list[str] = field(default_factory=list)
    """What the figures do not say."""
    skipped: str = ""
    """Why the case did not run."""

    @property
    def good(self) -> bool:
        """Whether the promise holds, or whether the control loses as it should."""
        if self.skipped:
            return True
        if self.control:
            return self.counted.lost > 0
        return self.counted.lost <= self.allowed and (self.again or self.counted.twice == 0)

    def noting(self, *notes: str) -> "Result":
        """The same with these notes."""
        return replace(self, notes=[*self.notes, *notes])


class Pipeline:
    """The agent of the settings, one file or journal that it reads, and a Loki with its data below the folder."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        lines: int,
        *,
        retries: Retries | None = None,
        limits: dict[str, Any] | None = None,
        journal: bool = False,
    ) -> None:
        self.tenant = settings.loki.tenant
        self.journal = journal
        logs = folder / "logs"
        logs.mkdir(parents=True)
        source: Source
        if journal:
            self.writer: Writer = JournalWriter(logs, lines)
            source = Journal(logs)
        else:
            self.writer = Writer(logs / "0.log", lines)
            self.writer.file.touch()
            source = Files(logs, LABELS)
        self.loki = daemons.loki(folder, settings, limits)
        self.agent = agent(folder, settings, self.loki.url, source, retries=retries)

    def __enter__(self) -> "Pipeline":
        try:
            self.loki.start().ready()
            self.reading()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.end(signal.SIGKILL)
        self.loki.end(signal.SIGKILL)

    def reading(self) -> None:
        """Start the agent and wait until it has opened the file: it looks for files every few seconds only."""
        opened = self.agent.opened()
        self.agent.start().ready()
        if not self.journal:
            daemons.until("the file opened by the agent", lambda: self.agent.opened() > opened)

    def count(self, patience: float) -> Counted:
        """What is in Loki at last."""
        return settled(self.loki, self.tenant, self.writer, patience)

    def write_in(self, parts: int, between: Callable[[], None]) -> None:
        """Write all lines in so many parts, the last after the last `between`."""
        share = self.writer.total // (parts + 1)
        for _ in range(parts):
            self.writer.write(share)
            between()
        self.writer.write(self.writer.total - self.writer.written)
